"""What a token says must be what it has to be; every attack on claims is refused cleanly."""

import json
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import TokenOptions, TokenService
from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidTokenError,
    SharedError,
    TokenExpiredError,
)
from tests.unit.auth.forge import NOW, Clock, access, b64, claims, header, key, raw, ring, service, unb64


def refused(token, error=InvalidTokenError, at=NOW, **options):
    tokens = service(clock=Clock(at), **options)
    with pytest.raises(InvalidTokenError) as caught:
        tokens.decode(token)
    assert type(caught.value) is error
    assert tokens.verify(token) is None
    return str(caught.value)


def accepted(token, at=NOW, **options):
    return service(clock=Clock(at), **options).decode(token)


def test_moments_are_whole_seconds_and_the_exact_one_stands_beside():
    tokens = service(clock=Clock(NOW + 0.75))

    payload = tokens.decode(tokens.create_access_token("u-1", expires_in=60))

    assert (payload["iat"], payload["exp"], payload["its"]) == (NOW, NOW + 60, NOW + 0.75)
    assert type(payload["iat"]) is type(payload["exp"]) is int


@pytest.mark.parametrize("value", [NOW - 0.001, NOW + 1, NOW + 3600, "x", None, True, -1], ids=range(7))
def test_an_exact_moment_that_is_not_in_its_second_is_refused(value):
    assert accepted(access(its=NOW + 0.999))
    assert "'its'" in refused(access(its=value))


def test_an_honest_token_is_accepted():
    assert accepted(access())["user_id"] == "u-1"


# --- times -----------------------------------------------------------------------------------

NO_TIMES = [
    ..., None, "1790000600", "", True, False, [NOW + 600], {"a": 1}, -1, -0.5, 2**63, 1e18, 253402300800,
]  # fmt: skip


@pytest.mark.parametrize("value", NO_TIMES, ids=range(len(NO_TIMES)))
@pytest.mark.parametrize("name", ["exp", "iat"])
def test_a_time_that_is_no_plain_number_of_seconds_is_refused(name, value):
    message = refused(access(**{name: value}))

    assert f"'{name}' must be a number of seconds" in message


@pytest.mark.parametrize("value", NO_TIMES[1:], ids=range(1, len(NO_TIMES)))
def test_a_beginning_that_is_no_plain_number_of_seconds_is_refused(value):
    assert "'nbf'" in refused(access(nbf=value))


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 5000, "1" * 4000]
)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf", "anything"])
def test_a_number_that_is_none_is_refused(name, number):
    body = json.dumps(claims(**{name: 0})).replace(f'"{name}": 0', f'"{name}": {number}')
    if name == "anything" and number == "1" * 4000:
        body = body.replace(number, "NaN")  # a large whole number is JSON, and nobody's business here

    refused(raw(header(), body.encode()))


def test_a_token_is_accepted_until_the_leeway_after_its_end_and_no_longer():
    token = access(exp=NOW + 600)

    assert accepted(token, at=NOW + 629.999)
    message = refused(token, TokenExpiredError, at=NOW + 630)
    assert message == "the token expired 30 s ago (leeway 30 s)"


def test_without_leeway_a_token_is_refused_at_its_end():
    token = access(exp=NOW + 600)

    assert accepted(token, at=NOW + 599.999, leeway=0.0)
    refused(token, TokenExpiredError, at=NOW + 600, leeway=0.0)


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_from_the_future_is_accepted_within_the_leeway_only(name):
    token = access(**{name: NOW + 100, "exp": NOW + 600})

    assert accepted(token, at=NOW + 70)
    assert refused(token, at=NOW + 69.9) == "the token is valid only in 30 s (leeway 30 s)"


def test_a_life_above_that_of_the_kind_is_refused():
    day = 86_400

    assert accepted(access(exp=NOW + day))
    assert "life" in refused(access(exp=NOW + day + 1))
    assert accepted(access(exp=NOW + 2 * day), access_life=2.0 * day)


@pytest.mark.parametrize("exp", [NOW, NOW - 1])
def test_a_token_that_ends_before_it_begins_is_refused(exp):
    assert "life" in refused(access(exp=exp), at=NOW - 10)


# --- who and for whom -----------------------------------------------------------------------


NO_TEXTS = [
    ...,
    None,
    "",
    1,
    1.5,
    True,
    [],
    ["u-1"],
    {"a": 1},
    "x" * 256,
    "x" * 7000,
    "u\x00-1",
    "u\n1",
    "\u202e1",
]


@pytest.mark.parametrize("value", NO_TEXTS, ids=range(len(NO_TEXTS)))
@pytest.mark.parametrize("name", ["sub", "jti"])
def test_an_id_that_is_no_short_printable_text_is_refused(name, value):
    if value == "x" * 7000:
        value = "x" * 5000

    assert "printable" in refused(access(**{name: value}))


@pytest.mark.parametrize("name", ["sub", "jti"])
def test_an_id_of_255_characters_is_accepted(name):
    assert accepted(access(**{name: "x" * 255}))[name] == "x" * 255


def test_a_look_alike_is_somebody_else():
    tokens = service()
    tokens.revoke_all_for_user("admin")

    assert tokens.decode(access(sub="аdmin")).user_id != "admin"
    assert tokens.verify(access(sub="admin")) is None


@pytest.mark.parametrize(
    "value", [..., None, "", "other", "Shared", "shared/", "share", "sharedx", ["shared"], True, 1]
)
def test_another_issuer_is_refused(value):
    assert refused(access(iss=value)) == "the token is from another issuer"


def test_an_issuer_with_a_slash_more_is_another():
    token = access(iss="https://id.example/")

    refused(token, issuer="https://id.example")
    assert accepted(token, issuer="https://id.example/")


@pytest.mark.parametrize(
    "value", ["", "other", "Shared", "shared/", "share", "sharedx", "shared orders", ["a", "b"]]
)
def test_another_audience_is_refused(value):
    assert refused(access(aud=value)) == "the token is for another audience"


NO_AUDIENCES = [..., None, 1, True, [], [1], ["shared", 1], ["shared", None], {"shared": 1}, [["shared"]]]


@pytest.mark.parametrize("value", NO_AUDIENCES, ids=range(len(NO_AUDIENCES)))
def test_an_audience_that_is_no_text_or_list_of_it_is_refused(value):
    assert "'aud'" in refused(access(aud=value))


def test_one_of_several_audiences_is_enough():
    assert accepted(access(aud=["orders", "shared"]))


def test_an_audience_can_be_asked_for():
    tokens = service()
    token = tokens.create_access_token("u-1", audience="orders")

    assert tokens.decode(token, audience="orders")
    assert tokens.verify(token) is None
    assert tokens.verify(token, audience="order") is None
    assert tokens.verify(tokens.create_access_token("u-1"), audience="orders") is None


NO_ADDRESSES = ["", 1, ["a@b.c"], True, "x" * 256, "a\nb@c.d", {"a": 1}]


@pytest.mark.parametrize("value", NO_ADDRESSES, ids=range(len(NO_ADDRESSES)))
def test_an_address_that_is_no_text_is_refused(value):
    assert "'email'" in refused(access(email=value))


NO_LISTS = [
    "admin",
    1,
    None,
    {"admin": 1},
    [1],
    [None],
    [["admin"]],
    [""],
    ["x" * 256],
    ["a\nb"],
    ["r"] * 1001,
]


@pytest.mark.parametrize("value", NO_LISTS, ids=range(len(NO_LISTS)))
@pytest.mark.parametrize("name", ["roles", "permissions"])
def test_roles_that_are_no_list_of_texts_are_refused(name, value):
    assert f"'{name}'" in refused(access(**{name: value}))


# --- the payload as JSON --------------------------------------------------------------------


def body(text):
    whole = json.dumps(claims())
    return raw(header(), (whole[:-1] + text + "}").encode())


@pytest.mark.parametrize(
    "text",
    [
        ', "sub": "admin"',
        ', "\\u0073ub": "admin"',
        ', "exp": 1',
        ', "a": {"b": 1, "b": 2}',
        ', "roles": [], "roles": ["a"]',
    ],
)
def test_a_name_that_stands_there_twice_is_refused(text):
    assert "twice" in refused(body(text))


BODIES = [
    b"", b" ", b"[]", b"null", b'"text"', b"1", b"{", b"{}}", b"{}{}", b"{'a':1}", b"\xff",
    b"\xef\xbb\xbf" + json.dumps(claims()).encode(),
    json.dumps(claims()).encode("utf-16"),
    json.dumps(claims()).encode("utf-32-le"),
    json.dumps(claims(name="x")).replace('"x"', '"\\ud800"').encode(),
    json.dumps(claims(name="x")).replace('"x"', '"\\udc00\\ud800"').encode(),
    json.dumps(claims(name="é"), ensure_ascii=False).encode("latin-1"),
    json.dumps(claims()).encode() + b"\x00",
]  # fmt: skip


@pytest.mark.parametrize("data", BODIES, ids=range(len(BODIES)))
def test_a_payload_that_is_no_unambiguous_json_object_is_refused(data):
    assert "JSON object" in refused(raw(header(), data))


def test_text_beyond_ascii_comes_back_however_it_is_written():
    plain = raw(header(), json.dumps(claims(name="Grüße 🌍"), ensure_ascii=False).encode())
    escaped = raw(header(), json.dumps(claims(name="Grüße 🌍")).encode())

    assert accepted(plain)["name"] == accepted(escaped)["name"] == "Grüße 🌍"


@pytest.mark.parametrize("bracket", ["[", '{"a":'], ids=["list", "object"])
@pytest.mark.parametrize("depth", [16, 400, 1400])
def test_a_deep_payload_is_refused(bracket, depth):
    close = {"[": "]", '{"a":': "}"}[bracket]

    refused(body(f', "x": {bracket * depth}1{close * depth}'))


def test_a_payload_of_sixteen_levels_is_read():
    assert accepted(body(f', "x": {"[" * 15}{"]" * 15}'))


def test_many_brackets_that_are_not_deep_are_read():
    assert accepted(body(', "x": "[[[[[[[[[[[[[[[[[[[[{{{{{{\\"[[[[\\\\"'))
    assert accepted(body(f', "x": [{", ".join(["[]"] * 40)}]'))


def test_a_deep_payload_costs_little_also_when_it_is_signed():
    began = time.process_time()

    refused(body(', "x": ' + "[" * 4000))

    assert time.process_time() - began < 5


# --- kinds ------------------------------------------------------------------------------------

KINDS = ("access", "refresh", "password_reset", "email_verification", "gateway")


def made(tokens, kind):
    makers = {
        "access": tokens.create_access_token,
        "refresh": tokens.create_refresh_token,
        "password_reset": tokens.create_password_reset_token,
        "email_verification": tokens.create_email_verification_token,
        "gateway": tokens.create_gateway_token,
    }
    return makers[kind]("u-1")


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_one_kind_is_never_taken_for_another(kind, other):
    tokens = service()

    payload = tokens.verify(made(tokens, kind), token_type=other)

    assert (payload is not None) == (kind == other)


@pytest.mark.parametrize(("kind", "typ"), [
    ("access", "at+jwt"), ("refresh", "rt+jwt"), ("password_reset", "reset+jwt"),
    ("email_verification", "verify+jwt"), ("gateway", "gw+jwt"),
])  # fmt: skip
def test_each_kind_has_its_type_its_audience_and_its_life(kind, typ):
    tokens = service()
    head, payload, _ = made(tokens, kind).split(".")
    found = json.loads(unb64(payload))
    lives = {
        "access": 1800, "refresh": 14 * 86_400, "password_reset": 3600, "email_verification": 86_400, "gateway": 60,
    }  # fmt: skip
    audiences = {
        "access": "shared", "refresh": "shared/refresh", "password_reset": "shared/password-reset",
        "email_verification": "shared/email", "gateway": "shared/gateway",
    }  # fmt: skip

    assert json.loads(unb64(head))["typ"] == typ
    assert found["aud"] == audiences[kind]
    assert found["exp"] - found["iat"] == lives[kind]
    assert {"iss", "sub", "aud", "iat", "exp", "jti"} <= found.keys()


@pytest.mark.parametrize(
    "typ", ["JWT", "AT+JWT", "at+JWT", "application/at+jwt", "rt+jwt", "at+jwt ", ...], ids=range(7)
)
def test_the_claims_alone_do_not_make_an_access_token(typ):
    head = {name: value for name, value in header(typ=typ).items() if value is not ...}

    assert "not of the type 'at+jwt'" in refused(raw(head, claims()))


def test_the_type_alone_does_not_make_an_access_token():
    tokens = service()
    refresh = tokens.create_refresh_token("u-1")
    body_of_it = unb64(refresh.split(".")[1])

    assert tokens.verify(raw(header(), body_of_it)) is None


@pytest.mark.parametrize("change", [{"fid": ...}, {"fid": 1}, {"gen": ...}, {"gen": -1}, {"gen": 1.0}, {"gen": True},
                                    {"gen": "0"}, {"gen": 2**53}, {"fex": ...}, {"fex": "x"}], ids=range(10))  # fmt: skip
def test_a_refresh_token_without_its_family_is_refused(change):
    tokens = service()
    whole = {"aud": "shared/refresh", "fid": "f", "gen": 0, "fex": NOW + 600, **change}
    token = raw(header(typ="rt+jwt"), claims(**whole))

    assert tokens.verify(token, token_type="refresh") is None


@pytest.mark.parametrize("kind", ["unknown", "", "ACCESS", None, 1])
def test_an_unknown_kind_is_an_error_of_the_caller_and_verifies_nothing(kind):
    tokens = service()

    assert tokens.verify(access(), token_type=kind) is None
    with pytest.raises(InvalidArgumentError, match="token type"):
        tokens.decode(access(), token_type=kind)


# --- making -------------------------------------------------------------------------------------


def test_what_was_given_is_what_is_read():
    tokens = service()

    payload = tokens.decode(
        tokens.create_access_token(
            "u-1",
            "ada@example.com",
            roles=("admin",),
            permissions={"orders:read"},
            tenant="acme",
            plan={"a": [1]},
        )
    )

    assert payload["user_id"] == payload["sub"] == payload.user_id == "u-1"
    assert payload["email"] == payload.email == "ada@example.com"
    assert payload.roles == payload["roles"] == ("admin",)
    assert payload.permissions == ("orders:read",)
    assert payload["tenant"] == "acme"
    assert payload["plan"]["a"] == (1,)
    assert payload.token_type == "access"


def test_user_ids_are_text_whole_numbers_or_uuids():
    import uuid

    tokens, number = service(), uuid.UUID(int=7)

    assert tokens.decode(tokens.create_access_token(7)).user_id == "7"
    assert tokens.decode(tokens.create_access_token(number)).user_id == str(number)


@pytest.mark.parametrize("user", [None, "", True, 1.5, b"u", [], "x" * 256, "a\nb", "\ud800"], ids=range(9))
def test_a_user_id_that_could_not_be_read_back_is_refused(user):
    tokens = service()

    for make in (tokens.create_access_token, tokens.create_refresh_token, tokens.create_password_reset_token):
        with pytest.raises(InvalidArgumentError, match="user_id"):
            make(user)
    with pytest.raises(InvalidArgumentError, match="user_id"):
        tokens.revoke_all_for_user(user)


@pytest.mark.parametrize(
    "name", ["iss", "sub", "aud", "exp", "nbf", "iat", "its", "jti", "typ", "fid", "gen", "fex", "bnd"]
)
def test_what_the_library_answers_for_cannot_be_given(name):
    with pytest.raises(InvalidArgumentError, match=repr(name)):
        service().create_access_token("u-1", **{name: "x"})
    with pytest.raises(InvalidArgumentError, match=repr(name)):
        service().create_refresh_token("u-1", **{name: "x"})


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, float("nan"), float("inf"), b"x", "\ud800", {1: 1, "1": 2}], ids=range(7)
)
def test_claims_that_are_no_json_are_refused(value):
    with pytest.raises(InvalidArgumentError, match="claims of a token must"):
        service().create_access_token("u-1", x=value)


def test_claims_that_are_too_deep_or_refer_to_themselves_are_refused():
    deep = shallow = []
    for _ in range(20):
        deep = [deep]
    shallow.append(shallow)

    for value in (deep, shallow):
        with pytest.raises(InvalidArgumentError, match="claims of a token must"):
            service().create_access_token("u-1", x=value)


@pytest.mark.parametrize("given", [{"email": ""}, {"email": 1}, {"roles": [1]}, {"roles": [""]}, {"permissions": ["a\nb"]},
                                   {"roles": ["r"] * 1001}, {"family": ""}, {"audience": "a\nb"}, {"audience": "x" * 256}],
                         ids=range(9))  # fmt: skip
def test_what_would_be_refused_is_not_made(given):
    with pytest.raises(InvalidArgumentError):
        service().create_access_token("u-1", **given)


def test_a_single_role_is_not_taken_for_its_letters():
    tokens = service()

    assert tokens.decode(tokens.create_access_token("u-1", roles="admin")).roles == ("admin",)


@pytest.mark.parametrize(
    "life",
    [0, -1, float("nan"), float("inf"), True, "60", 86_401, timedelta(0), timedelta(days=2)],
    ids=range(9),
)
def test_a_life_out_of_range_is_refused(life):
    with pytest.raises(ConfigurationError):
        service().create_access_token("u-1", expires_in=life)


@pytest.mark.parametrize("life", [1, 1.5, 60, 86_400, timedelta(minutes=1)], ids=range(5))
def test_a_life_can_be_given(life):
    tokens = service()
    wanted = life.total_seconds() if isinstance(life, timedelta) else life

    payload = tokens.decode(tokens.create_access_token("u-1", expires_in=life))

    assert payload["exp"] - payload["iat"] == wanted
    assert (payload.expires_at - payload.issued_at).total_seconds() == wanted


def test_every_token_has_an_id_of_its_own():
    tokens = service()

    ids = {tokens.decode(tokens.create_access_token("u-1")).token_id for _ in range(50)}

    assert len(ids) == 50
    assert min(map(len, ids)) >= 22


# --- what comes back -------------------------------------------------------------------------


def test_what_a_token_says_cannot_be_changed():
    tokens = service()
    token = tokens.create_access_token("u-1", plan={"a": [1, {"b": 2}]}, roles=["a"])
    payload = tokens.decode(token)

    for change in (
        lambda: payload.__setitem__("user_id", "admin"),
        lambda: payload["plan"].__setitem__("a", 2),
        lambda: payload["plan"]["a"].append(3),
        lambda: payload["plan"]["a"][1].__setitem__("b", 3),
        lambda: payload["roles"].append("admin"),
        lambda: setattr(payload, "roles", ("admin",)),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()
    payload.to_dict()["plan"]["a"].append("changed")
    assert tokens.decode(token)["plan"]["a"][0] == 1
    assert len(tokens.decode(token)["plan"]["a"]) == 2


def test_a_copy_is_plain_json():
    tokens = service()
    token = tokens.create_access_token("u-1", plan={"a": [1, {"b": 2}]})

    assert json.loads(json.dumps(tokens.decode(token).to_dict()))["plan"] == {"a": [1, {"b": 2}]}


def test_a_payload_shows_no_personal_data():
    tokens = service()
    payload = tokens.decode(tokens.create_access_token("u-4711", "ada@example.com"))

    assert "ada" not in repr(payload) + str(payload)
    assert "4711" not in repr(payload) + str(payload)


def test_an_error_shows_neither_the_token_nor_its_claims():
    token = access(sub="u-4711", email="ada@example.com", iss="elsewhere")

    message = refused(token)

    assert "4711" not in message
    assert "ada" not in message
    assert token[10:30] not in message


# --- fuzz ---------------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_names = st.sampled_from(
    ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "email", "roles", "permissions", "fid", "bnd"]
)
TOKENS = service()


@settings(max_examples=500, deadline=None)
@given(
    st.dictionaries(_names, _json, max_size=4), st.sampled_from(["at+jwt", "rt+jwt", "reset+jwt", "gw+jwt"])
)
def test_only_our_errors_come_out_whatever_a_signed_token_says(change, typ):
    data = json.dumps({**claims(), **change}).encode("utf-8", "surrogatepass")
    if len(data) > 5000:
        return
    token = raw(header(typ=typ), data)

    for kind in KINDS:
        result = TOKENS.verify(token, token_type=kind)
        assert result is None or result.user_id
        try:
            TOKENS.decode(token, token_type=kind)
        except SharedError:
            pass
    TOKENS.is_expired(token)
    TOKENS.revoke(token)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_only_our_errors_come_out_whatever_bytes_are_signed(data):
    token = raw(header(), data)

    assert TOKENS.verify(token) is None
    assert TOKENS.is_expired(token)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_only_our_errors_come_out_of_changed_bytes_that_are_signed(data):
    whole = bytearray(json.dumps(claims(roles=["a"], x={"y": [1.5, None]})).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))

    try:
        TOKENS.decode(raw(header(), bytes(whole)))
    except InvalidTokenError:
        pass


# --- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"issuer": ""}, {"audience": "x" * 201}, {"issuer": "a\nb"}, {"access_life": 0}, {"leeway": -1}, {"leeway": 601},
     {"reuse_grace": 301}, {"cache_life": 301}, {"gateway_life": 301}, {"access_life": True}, {"access_life": "60"},
     {"cache_size": -1}, {"cache_size": 1.5}, {"refresh_life": 100.0, "family_life": 99.0},
     {"on_store_failure": "ignore"}, {"access_life": float("nan")}],
    ids=range(16),
)  # fmt: skip
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        TokenOptions(**wrong)


def test_lives_come_from_the_settings():
    from shared.config import SecuritySettings

    options = TokenOptions.from_settings(
        SecuritySettings(
            JWT_EXPIRE_MINUTES=5,
            JWT_REFRESH_EXPIRE_DAYS=100,
            JWT_PASSWORD_RESET_EXPIRE_MINUTES=15,
            JWT_EMAIL_VERIFICATION_EXPIRE_HOURS=2,
            JWT_ISSUER="id",
            JWT_AUDIENCE="orders",
            JWT_LEEWAY_SECONDS=5,
        )
    )

    assert options == TokenOptions(
        issuer="id", audience="orders", access_life=300.0, refresh_life=8_640_000.0, family_life=8_640_000.0,
        password_reset_life=900.0, email_verification_life=7200.0, leeway=5.0,
    )  # fmt: skip


def test_tokens_need_no_store_of_their_own():
    assert TokenService(ring()).verify(b64("x")) is None
    assert key().kid == "k1"
