"""The protocol for browsers, without a server: what is answered, what stays inside, what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.api.flags import OfrepEndpoint
from shared.auth import Principal, require_user
from shared.context import request_context
from shared.errors import AuthenticationError, InvalidArgumentError, SharedError
from shared.feature_flags import Condition, Flag, FlagDocument, FlagExposed, Flags, Rule, Split
from shared.runtime import Events, Runtime, use

REASONS = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"}
CODES = {"PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", "FLAG_NOT_FOUND"}
VALUES = {"b": True, "s": "blue", "i": 3, "f": 2.5, "o": {"a": [1]}, "l": [1, 2]}


def when(attr, value):
    return Condition(attr=attr, op="eq", value=value)


def client(key, **fields):
    return Flag(key, tags=["client"], **fields)


def made(*flags, **options):
    events = options.pop("events", None) or Events()
    return OfrepEndpoint(Flags(flags, events=events), **options)


def body(**context):
    return json.dumps({"context": context}).encode()


def ask(endpoint, key, **context):
    reply = endpoint.evaluate(key, body(**context))
    return reply.status, json.loads(reply.body)


@pytest.fixture
def endpoint():
    return made(
        *(client(key, default=value) for key, value in VALUES.items()),
        client("off", enabled=False, default=True),
        client("pro", rules=[Rule("on", when=when("plan", "pro"))]),
        client("half", salt="s", rules=[Rule(split=Split({"on": 1, "off": 1}))]),
        client("null", default=None, type="json", variants={"none": None}),
        client("needs", prerequisites=[{"flag": "off", "variants": ["on"]}]),
        Flag("internal", default="secret plan"),
    )


@pytest.mark.parametrize("key", VALUES)
def test_every_type_of_value_is_answered(endpoint, key):
    status, found = ask(endpoint, key)

    assert (status, found["value"], found["reason"]) == (200, VALUES[key], "STATIC")


@pytest.mark.parametrize(
    ("key", "context", "reason"),
    [
        ("off", {}, "DISABLED"),
        ("pro", {"plan": "pro"}, "TARGETING_MATCH"),
        ("pro", {}, "STATIC"),  # the protocol has no DEFAULT
        ("half", {"targetingKey": "u-1"}, "SPLIT"),
        ("needs", {}, "DISABLED"),
    ],
)
def test_the_reason_is_one_of_the_protocol(endpoint, key, context, reason):
    assert ask(endpoint, key, **context)[1]["reason"] == reason


def test_an_override_is_a_configured_value():
    flags = Flags([client("b")], overrides={"b": True}, events=Events())

    assert ask(OfrepEndpoint(flags), "b")[1] == {
        "key": "b",
        "value": True,
        "reason": "STATIC",
        "variant": "on",
    }


def test_a_stale_value_has_an_unknown_reason():
    flags = Flags([client("b")], events=Events())
    flags.swap(FlagDocument({"b": client("b", default=True)}, revision=1), state="stale")

    assert ask(OfrepEndpoint(flags), "b")[1]["reason"] == "UNKNOWN"


def test_a_null_leaves_the_default_of_the_code(endpoint):
    assert ask(endpoint, "null")[1] == {"key": "null", "reason": "STATIC", "variant": "none"}


def test_the_targeting_key_is_the_unit(endpoint):
    flags = endpoint._flags

    for number in range(30):
        found = ask(endpoint, "half", targetingKey=f"u-{number}")[1]["value"]
        assert found is flags.is_enabled("half", {"user_id": f"u-{number}"})


def test_a_user_id_in_the_context_wins_over_the_targeting_key():
    endpoint = made(client("f", rules=[Rule("on", when=when("user_id", "a"))]))

    assert ask(endpoint, "f", targetingKey="b", user_id="a")[1]["value"] is True


# --- what stays inside ----------------------------------------------------------------------


def test_a_flag_that_is_not_for_clients_does_not_exist(endpoint):
    internal, unknown = ask(endpoint, "internal"), ask(endpoint, "misspelt")

    assert internal[0] == unknown[0] == 404
    assert internal[1]["errorCode"] == unknown[1]["errorCode"] == "FLAG_NOT_FOUND"
    assert internal[1]["errorDetails"] == unknown[1]["errorDetails"]
    assert b"internal" not in endpoint.evaluate_all(body()).body


def test_another_tag_a_function_or_nothing_can_decide():
    flags = [Flag("a", tags=["web"]), Flag("b", owner="web"), Flag("c")]

    def keys(visible):
        answer = made(*flags, visible=visible).evaluate_all(body())
        return [flag["key"] for flag in json.loads(answer.body)["flags"]]

    assert keys("web") == ["a"]
    assert keys(lambda flag: flag.owner == "web") == ["b"]
    assert keys(None) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["roles", "tenant", "permissions", "scopes"])
def test_a_browser_cannot_say_what_it_may(name):
    endpoint = made(client("f", rules=[Rule("on", when=when(name, "admin"))]))

    assert ask(endpoint, "f", **{name: "admin"})[1]["value"] is False


def test_the_principal_says_who_it_is():
    rules = [Rule("on", when=Condition(all=[when("user_id", "u-1"), when("tenant", "acme")]))]
    endpoint = made(client("f", rules=rules))

    with request_context(principal=Principal(user_id="u-1", tenant="acme", roles=["admin"])):
        assert ask(endpoint, "f", targetingKey="somebody", user_id="else")[1]["value"] is True


def test_a_principal_that_is_a_name_counts_too():
    endpoint = made(client("f", rules=[Rule("on", when=when("user_id", "u-1"))]))

    with request_context(principal="u-1"):
        assert ask(endpoint, "f")[1]["value"] is True


def test_facts_of_the_service_win_over_the_caller():
    endpoint = made(client("f", rules=[Rule("on", when=when("plan", "pro"))]), facts=lambda: {"plan": "free"})

    assert ask(endpoint, "f", plan="pro")[1]["value"] is False


def test_callers_can_be_asked_to_prove_who_they_are():
    endpoint = made(client("f"), require=require_user())

    with pytest.raises(AuthenticationError):
        endpoint.evaluate("f", body())
    with pytest.raises(AuthenticationError):
        endpoint.evaluate_all(body())
    with request_context(principal=Principal(user_id="u-1")):
        assert endpoint.evaluate("f", body()).status == 200


def test_no_answer_is_kept_by_a_cache(endpoint):
    single, bulk = endpoint.evaluate("b", body()), endpoint.evaluate_all(body())

    assert dict(single.headers)["Cache-Control"] == "no-store"
    assert dict(bulk.headers)["Cache-Control"] == "private, no-cache"


# --- all at once ------------------------------------------------------------------------------


def test_all_flags_are_answered_at_once(endpoint):
    found = json.loads(endpoint.evaluate_all(body(plan="pro")).body)["flags"]

    assert {flag["key"]: flag.get("value") for flag in found} == {
        **VALUES,
        "off": False,
        "pro": True,
        "half": False,  # nobody has no half
        "null": None,
        "needs": False,
    }


def test_the_tag_changes_with_the_answer_and_only_then():
    flags = Flags([client("f"), Flag("internal")], events=Events())
    endpoint = OfrepEndpoint(flags)
    first = dict(endpoint.evaluate_all(body()).headers)["ETag"]

    flags.swap(FlagDocument({"internal": Flag("internal", default=True)}, revision=7))
    same = endpoint.evaluate_all(body(), if_none_match=first)
    flags.swap(FlagDocument({"f": client("f", default=True)}, revision=8))
    changed = endpoint.evaluate_all(body(), if_none_match=first)

    assert (same.status, same.body, dict(same.headers)["ETag"]) == (304, b"", first)
    assert changed.status == 200
    assert dict(changed.headers)["ETag"] != first


@pytest.mark.parametrize("tag", ["*", '"a", {}', "W/{}"])
def test_every_form_of_the_condition_is_understood(tag):
    endpoint = made(client("f"))
    etag = dict(endpoint.evaluate_all(body()).headers)["ETag"]

    assert endpoint.evaluate_all(body(), if_none_match=tag.format(etag)).status == 304


@pytest.mark.parametrize("tag", ["", "nonsense", '"other"', '"a' * 9000])
def test_a_condition_that_does_not_hold_is_no_condition(tag):
    assert made(client("f")).evaluate_all(body(), if_none_match=tag).status == 200


def test_fetching_all_is_neither_use_nor_exposure():
    exposed, events = [], Events()
    events.subscribe(FlagExposed, exposed.append)
    endpoint = made(client("f", rules=[Rule(split=Split({"on": 1}))]), events=events)

    endpoint.evaluate_all(body(targetingKey="u-1"))
    assert (exposed, endpoint._flags.usage()) == ([], [])

    endpoint.evaluate("f", body(targetingKey="u-1"))
    assert [(event.key, event.unit) for event in exposed] == [("f", "u-1")]
    assert [use.count for use in endpoint._flags.usage()] == [1]


def test_values_forced_by_a_test_are_answered():
    endpoint = made(client("f"))

    with endpoint._flags.override(f=True):
        assert json.loads(endpoint.evaluate_all(body()).body)["flags"][0]["value"] is True


def test_a_protection_that_cannot_be_evaluated_is_a_failure_of_its_own():
    flags = Flags([client("guard", required=True), client("f")], events=Events())
    flags.swap(FlagDocument(), state="defaults")
    endpoint = OfrepEndpoint(flags)

    single = endpoint.evaluate("guard", body())
    bulk = json.loads(endpoint.evaluate_all(body()).body)["flags"]

    assert (single.status, json.loads(single.body)) == (
        500,
        {"errorDetails": "the flag cannot be evaluated now"},
    )
    assert [flag.get("errorCode") for flag in bulk] == ["GENERAL", None]


def test_flags_of_the_runtime_are_asked_by_default():
    with use(Runtime("test")) as runtime:
        with runtime.override(Flags, Flags([client("f", default=True)])):
            assert ask(OfrepEndpoint(), "f")[1]["value"] is True
        runtime.close()


# --- hostile requests ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"\xff\xfe", "PARSE_ERROR"),
        (b"NaN", "PARSE_ERROR"),
        (b"[" * 5000, "PARSE_ERROR"),
        (b'{"context": {"a": "' + b"x" * 70_000 + b'"}}', "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'"text"', "INVALID_CONTEXT"),
        (b'{"context": []}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
        (json.dumps({"context": {str(n): n for n in range(600)}}).encode(), "INVALID_CONTEXT"),
    ],
    ids=["cut", "bytes", "nan", "deep", "long", "list", "text", "context", "key", "many"],
)
def test_a_request_that_cannot_be_read_is_told_in_the_form_of_the_protocol(raw, code):
    endpoint = made(client("f"))

    single, bulk = endpoint.evaluate("f", raw), endpoint.evaluate_all(raw)

    assert (single.status, bulk.status) == (400, 400)
    assert json.loads(single.body)["key"] == "f"
    assert json.loads(single.body)["errorCode"] == json.loads(bulk.body)["errorCode"] == code
    assert "key" not in json.loads(bulk.body)


@pytest.mark.parametrize("raw", [b"", b"  ", b"{}", b'{"context": {}}', b'{"context": null}', b'{"more": 1}'])
def test_a_request_without_a_context_is_one_for_nobody(raw):
    assert made(client("f")).evaluate("f", raw).status == 200


def test_a_long_key_is_not_sent_back_whole():
    reply = made(client("f")).evaluate("k" * 100_000, b"{}")

    assert reply.status == 404
    assert len(reply.body) < 1000


def test_a_limit_without_room_is_refused():
    with pytest.raises(InvalidArgumentError, match="max_body"):
        OfrepEndpoint(max_body=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
CONTEXTS = st.dictionaries(
    st.sampled_from(["targetingKey", "user_id", "plan", "roles", "version"]) | st.text(max_size=5),
    JSON,
    max_size=5,
)
BODIES = (
    st.binary(max_size=100)
    | JSON.map(lambda value: json.dumps(value).encode())
    | CONTEXTS.map(lambda context: json.dumps({"context": context}).encode())
)
FUZZED = made(
    client("plan", rules=[Rule("on", when=Condition(attr="plan", op="regex", value="^p"))]),
    client("half", rules=[Rule(split=Split({"on": 1, "off": 1}))]),
    client("new", rules=[Rule("on", when=Condition(attr="version", op="semver_ge", value="1.2.3"))]),
    client("between", rules=[Rule("on", when=Condition(attr="plan", op="between", value=[1, 2]))]),
    client("object", default={"a": 1}),
    Flag("internal"),
)


@settings(deadline=None, max_examples=300)
@given(key=st.sampled_from(["plan", "half", "new", "internal", "object"]) | st.text(max_size=20), raw=BODIES)
def test_any_request_has_an_answer_of_the_protocol(key, raw):
    single, bulk = FUZZED.evaluate(key, raw), FUZZED.evaluate_all(raw, if_none_match=key)

    assert single.status in (200, 400, 404)
    assert bulk.status in (200, 304, 400)
    for reply in (single, bulk):
        assert reply.status == 304 or dict(reply.headers)["Content-Type"] == "application/json"
    answers = json.loads(bulk.body).get("flags", []) if bulk.status == 200 else []
    for found in (json.loads(single.body), *answers):
        assert found["key"] != "internal" or single.status in (400, 404)
        assert found.get("reason") in REASONS or found["errorCode"] in CODES


@settings(deadline=None, max_examples=100)
@given(raw=BODIES)
def test_only_our_errors_come_out_when_somebody_must_be_known(raw):
    endpoint = made(client("f"), require=require_user())

    with pytest.raises(SharedError):
        endpoint.evaluate("f", raw)
