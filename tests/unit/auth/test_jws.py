"""The compact form: everything but the one spelling of an authentic token is refused."""

import base64
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import JoseBackend, Key, KeyRing, NativeBackend, sign_compact, verify_compact
from shared.errors import ConfigurationError, InvalidArgumentError, InvalidTokenError
from tests.unit.auth.forge import ALGORITHMS, b64, claims, header, hs256, key, raw, ring, signed, unb64

BACKENDS = ("jose", "native")


def refused(token, source=None, **options):
    with pytest.raises(InvalidTokenError) as caught:
        verify_compact(token, source or ring(), **options)
    return str(caught.value)


# --- what is accepted --------------------------------------------------------------------


@pytest.mark.parametrize("verifying", BACKENDS)
@pytest.mark.parametrize("signing", BACKENDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_of_one_backend_is_verified_by_the_other(algorithm, signing, verifying):
    token = sign_compact(b'{"a": 1}', ring(algorithm, signing), typ="at+jwt")

    assert verify_compact(token, ring(algorithm, verifying), typ="at+jwt") == b'{"a": 1}'


@given(st.binary(max_size=500))
def test_a_payload_of_any_bytes_comes_back(payload):
    source = ring()

    assert verify_compact(sign_compact(payload, source), source) == payload


def test_the_header_names_the_key_its_algorithm_and_the_type():
    token = sign_compact(b"{}", ring("ES256"), typ="at+jwt")

    assert json.loads(unb64(token.split(".")[0])) == {"alg": "ES256", "kid": "k1", "typ": "at+jwt"}


def test_a_token_without_kid_is_verified_when_there_is_one_key():
    token = raw({"alg": "HS256"}, claims())

    assert json.loads(verify_compact(token, ring()))["sub"] == "u-1"


def test_a_token_without_kid_is_refused_when_there_are_two_keys():
    both = KeyRing([key(), key(kid="k2").with_status("next")])

    assert "key" in refused(raw({"alg": "HS256"}, claims()), both)


def test_a_token_without_kid_is_verified_when_the_other_key_is_retired():
    both = KeyRing([key(), key(kid="k2").with_status("retired")])

    assert verify_compact(raw({"alg": "HS256"}, b"{}"), both) == b"{}"


def test_a_token_without_typ_is_verified_unless_one_is_asked_for():
    token = raw({"alg": "HS256", "kid": "k1"}, b"{}")

    assert verify_compact(token, ring()) == b"{}"
    assert "type" in refused(token, typ="at+jwt")


def test_parameters_that_mean_nothing_here_are_left_alone():
    token = raw(header(cty="x", x5t="thumbprint", anything=1), b"{}")

    assert verify_compact(token, ring()) == b"{}"


# --- algorithms ---------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", "NONE", "HS512", "RS256", "hs256", "HS256 ", "dir"])
def test_another_algorithm_than_that_of_the_key_is_refused(alg):
    assert refused(raw(header(alg=alg), claims())) == "the token's algorithm is not that of its key, HS256"


@pytest.mark.parametrize("alg", ["none", "None", "nOnE"])
def test_an_unsigned_token_is_refused(alg):
    text = f"{b64(json.dumps(header(alg=alg)))}.{b64(json.dumps(claims()))}"

    refused(f"{text}.")
    refused(f"{text}.AA")


@pytest.mark.parametrize("alg", [None, ["HS256"], 256, True, {"a": 1}, "", "x" * 256, "HS\n256"])
def test_an_algorithm_that_is_no_text_is_refused(alg):
    assert "'alg'" in refused(raw(header(alg=alg), claims()))


def test_a_missing_algorithm_is_refused():
    assert "algorithm" in refused(raw({"kid": "k1", "typ": "at+jwt"}, claims()))


def spellings_of_a_public_key():
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key("RS256").material(private=False)
    spki = PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(Encoding.PEM, spki)
    der = public.public_bytes(Encoding.DER, spki)
    return {
        "pem": pem,
        "pem-stripped": pem.strip(),
        "pem-newline": b"\n" + pem,
        "pem-bom": b"\xef\xbb\xbf" + pem,
        "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "pkcs1-der": public.public_bytes(Encoding.DER, PublicFormat.PKCS1),
        "der": der,
        "base64": base64.b64encode(der),
        "base64-lines": base64.encodebytes(der),
        "base64url": base64.urlsafe_b64encode(der).rstrip(b"="),
        "openssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "openssh-body": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1],
        "jwk": json.dumps(key("RS256").to_jwk()).encode(),
        "jwks": json.dumps({"keys": [key("RS256").to_jwk()]}).encode(),
    }


SPELLINGS = (
    "pem", "pem-stripped", "pem-newline", "pem-bom", "pkcs1", "pkcs1-der", "der", "base64", "base64-lines",
    "base64url", "openssh", "openssh-body", "jwk", "jwks",
)  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_public_key_is_no_hmac_secret_in_any_spelling(spelling):
    secret = spellings_of_a_public_key()[spelling]
    text = f"{b64(json.dumps(header()))}.{b64(json.dumps(claims()))}"

    refused(hs256(text, secret), ring("RS256"))
    with pytest.raises(ConfigurationError, match="public key is no secret"):
        Key.from_secret(secret, "HS256")


def test_a_certificate_is_no_hmac_secret():
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    moment = dt.datetime(2026, 1, 1)
    found = key("RS256")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(found.material(private=False))
        .serial_number(1)
        .not_valid_before(moment)
        .not_valid_after(moment + dt.timedelta(days=1))
        .sign(found.material(private=True), hashes.SHA256())
    )

    for encoding in (Encoding.PEM, Encoding.DER):
        with pytest.raises(ConfigurationError):
            Key.from_secret(certificate.public_bytes(encoding), "HS256")


# --- the header ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "enc"])
@pytest.mark.parametrize("value", [[], ["exp"], False, "DEF", "https://evil.example/keys", None, {}])
def test_a_parameter_that_could_change_what_is_verified_is_refused(name, value):
    assert repr(name) in refused(raw(header(**{name: value}), claims()))


def test_an_embedded_key_is_refused_before_it_is_looked_at():
    attacker = Key.generate("ES256", kid="k1")

    token = raw(header(alg="ES256", jwk=attacker.to_jwk()), claims(), signing=attacker)

    assert "'jwk'" in refused(token, ring("ES256"))


@pytest.mark.parametrize(
    "kid", ["../../dev/null", "/etc/passwd", "k1' OR '1'='1", "K1", "k1 ", "x" * 255, "k2", "-"]
)
def test_an_unknown_key_id_is_refused(kid):
    assert refused(raw(header(kid=kid), claims())) == "the token's key is not known here, or retired"


@pytest.mark.parametrize("kid", [1, None, True, ["k1"], {"k1": 1}, "", "k" * 10_000, "k\x001", "кід"])
def test_a_key_id_that_is_no_short_text_is_refused(kid):
    refused(raw(header(kid=kid), claims()))


@pytest.mark.parametrize("typ", [1, None, ["at+jwt"], "", "x" * 256, "a\nb"])
def test_a_type_that_is_no_text_is_refused(typ):
    assert "'typ'" in refused(raw(header(typ=typ), claims()))


@pytest.mark.parametrize("typ", ["AT+JWT", "At+jwt", "application/at+jwt", "at+jwt ", "JWT", "rt+jwt"])
def test_another_type_is_refused_also_in_another_case(typ):
    assert refused(raw(header(typ=typ), claims()), typ="at+jwt") == "the token is of another type"


@pytest.mark.parametrize(
    "head",
    [
        b'{"alg":"none","alg":"HS256","kid":"k1"}',
        b'{"alg":"HS256","kid":"k2","kid":"k1"}',
        b'{"alg":"HS256","\\u0061lg":"none","kid":"k1"}',
        b"[]",
        b'"HS256"',
        b"null",
        b"1",
        b" ",
        b'{"alg":"HS256","kid":"k1"',
        b'{"alg":"HS256","kid":"k1"}{}',
        b'{"alg":"HS256","kid":"k1",}',
        b'{"alg":"HS256","kid":"k1","x":NaN}',
        b'{"alg":"HS256","kid":"k1","x":Infinity}',
        b'{"alg":"HS256","kid":"k1","x":1e400}',
        b'{"alg":"HS256","kid":"k1","x":"\\ud800"}',
        b'\xef\xbb\xbf{"alg":"HS256","kid":"k1"}',
        '{"alg":"HS256","kid":"k1"}'.encode("utf-16"),
        b'{"alg":"HS256","kid":"k1","x":"\xff"}',
        b"{'alg':'HS256','kid':'k1'}",
    ],
    ids=range(19),
)
def test_a_header_that_is_no_unambiguous_json_object_is_refused(head):
    assert "header" in refused(raw(head, claims()))


def test_a_header_larger_than_a_kibibyte_is_refused():
    assert "1 KiB" in refused(raw(header(x="y" * 1025), claims()))


def test_a_header_of_a_kibibyte_is_read_and_no_larger_one():
    empty = json.dumps(header(x="")).encode()
    heads = [
        empty.replace(b'"x": ""', b'"x": "' + b"y" * (size - len(empty)) + b'"') for size in (1024, 1025)
    ]

    assert list(map(len, heads)) == [1024, 1025]
    assert verify_compact(raw(heads[0], b"{}"), ring()) == b"{}"
    assert "1 KiB" in refused(raw(heads[1], b"{}"))


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'], ids=["list", "object"])
@pytest.mark.parametrize("depth", [17, 900, 100_000])
def test_a_deep_header_is_refused_at_once(bracket, depth):
    head = b'{"alg":"HS256","kid":"k1","x":' + bracket * depth
    began = time.process_time()

    refused(f"{b64(head)}.{b64(b'{}')}.AA")

    assert time.process_time() - began < 5


# --- spelling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 1, 1.5, True, b"a.b.c", [], {}, object(), ("a", "b")], ids=range(9))
def test_what_is_no_text_is_refused(value):
    assert "a token is text" in refused(value)


def test_a_subclass_of_text_cannot_say_one_thing_and_be_another():
    class Liar(str):
        def partition(self, sep):
            return str.partition(sign_compact(b"{}", ring()), sep)

        def isascii(self):
            return True

    refused(Liar("a.b.c"))


@pytest.mark.parametrize("change", [
    lambda t: t + "=",
    lambda t: t + "==",
    lambda t: t + "\n",
    lambda t: t + " ",
    lambda t: " " + t,
    lambda t: "\ufeff" + t,
    lambda t: t.replace(".", " .", 1),
    lambda t: t.replace(".", ".\n", 1),
    lambda t: t + "!!",
    lambda t: t[:-3] + "!" + t[-3:],
    lambda t: t.replace(".", "=.", 1),
    lambda t: t + ".",
    lambda t: t + ".AA",
    lambda t: t + ".AA.AA",
    lambda t: "." + t,
    lambda t: t.rsplit(".", 1)[0],
    lambda t: t.rsplit(".", 1)[0] + ".",
    lambda t: t.split(".")[0],
    lambda t: t.replace(".", "..", 1),
    lambda t: json.dumps({"payload": t.split(".")[1], "protected": t.split(".")[0], "signature": t.split(".")[2]}),
    lambda t: t.encode().hex(),
    lambda t: t + "\x00",
    lambda t: t + "é",
    lambda t: t + "\ud800",
    lambda t: t[:-1],
    lambda t: t[1:],
    lambda t: "",
    lambda t: ".",
    lambda t: "..",
    lambda t: "Bearer " + t,
], ids=range(30))  # fmt: skip
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_other_spelling_of_an_authentic_token_is_refused(backend, change):
    source = ring("HS256", backend)
    token = sign_compact(b'{"a":1}', source)

    refused(change(token), source)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_in_the_alphabet_of_plain_base64_is_refused(part):
    source = ring()
    token = next(
        found
        for number in range(5000)
        if set("-_")
        & set(
            (found := sign_compact(b'{"n":"\xff\xfe%d"}' % number, source, typ=f"a{number}?>?>")).split(".")[
                part
            ]
        )
    )
    parts = token.split(".")
    parts[part] = parts[part].replace("-", "+").replace("_", "/")

    refused(".".join(parts), source)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256", "EdDSA"])
def test_a_signature_has_one_spelling(algorithm, backend):
    source = ring(algorithm, backend)
    token = sign_compact(b"{}", source)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    accepted = [last for last in alphabet if _accepts(token[:-1] + last, source)]

    assert accepted == [token[-1]]


def _accepts(token, source):
    try:
        verify_compact(token, source)
    except InvalidTokenError:
        return False
    return True


@pytest.mark.parametrize("body", ["YQ", "YWI"])
def test_a_payload_has_one_spelling(body):
    head = b64(json.dumps(header()))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    wrong = [f"{body[:-1]}{last}" for last in alphabet if unb64(f"{body[:-1]}{last}") == unb64(body)]
    wrong.remove(body)

    assert verify_compact(signed(f"{head}.{body}"), ring()) == unb64(body)
    assert len(wrong) == (15 if len(body) == 2 else 3)
    for each in wrong:
        assert "payload" in refused(signed(f"{head}.{each}"))


@pytest.mark.parametrize("body", ["A", "AAAAA", "YQ==", "Y Q", "Y\tQ", "+/8A", "a.b", "YQ=", "é"])
def test_a_payload_that_is_no_base64url_is_refused_even_with_a_true_signature(body):
    refused(f"{b64(json.dumps(header()))}.{body}.AA")
    if body.isascii():
        refused(signed(f"{b64(json.dumps(header()))}.{body}"))


@pytest.mark.parametrize("size", [8192, 8191])
def test_a_token_may_be_as_long_as_a_header_line(size):
    source = ring()
    spare = size - len(sign_compact(b"", source))
    token = sign_compact(b"x" * (spare * 3 // 4), source)

    assert size - 2 <= len(token) <= size
    assert verify_compact(token, source)


def test_a_longer_token_is_neither_made_nor_read():
    source = ring()
    token = signed(f"{b64(json.dumps(header()))}.{b64(b'x' * 6100)}")

    assert len(token) > 8192
    assert "8192" in refused(token)
    with pytest.raises(InvalidArgumentError, match="at most 8192"):
        sign_compact(b"x" * 6100, source)


@pytest.mark.parametrize(
    "token", ["x" * 20_000_000, "." * 1_000_000, "a." * 4000 + "a", ("[" * 6000) + ".a.a"], ids=range(4)
)
def test_a_bomb_is_refused_at_once(token):
    began = time.process_time()

    refused(token)

    assert time.process_time() - began < 5


# --- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "signature",
    [
        b"\x00",
        b"\x00" * 32,
        b"\x00" * 64,
        b"\x00" * 66,
        b"\x00" * 132,
        b"\x00" * 256,
        b"\xff" * 64,
        b"\xff" * 256,
    ],
    ids=range(8),
)
def test_a_made_up_signature_is_refused(algorithm, backend, signature):
    text = f"{b64(json.dumps(header(alg=algorithm)))}.{b64(json.dumps(claims()))}"

    assert (
        refused(f"{text}.{b64(signature)}", ring(algorithm, backend)) == "the token's signature does not hold"
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_elliptic_signature_in_der_is_refused(backend):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    text = f"{b64(json.dumps(header(alg='ES256')))}.{b64(b'{}')}"
    der = key("ES256").material(private=True).sign(text.encode(), ec.ECDSA(hashes.SHA256()))

    refused(f"{text}.{b64(der)}", ring("ES256", backend))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [63, 65, 66, 128])
def test_an_elliptic_signature_of_another_length_is_refused(backend, size):
    source = ring("ES256", backend)
    head, body, tail = sign_compact(b"{}", source).split(".")
    raw_signature = unb64(tail)
    r, s = raw_signature[:32], raw_signature[32:]
    wide = (size + 1) // 2
    wrong = (r.rjust(wide, b"\x00") + s.rjust(wide, b"\x00"))[:size]

    refused(f"{head}.{body}.{b64(wrong)}", source)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_token_signed_with_another_key_of_the_same_id_is_refused(backend):
    for algorithm in ("HS256", "RS256", "ES256", "EdDSA"):
        other = Key.generate(algorithm, kid="k1")
        token = raw(header(alg=algorithm), claims(), signing=other)

        assert refused(token, ring(algorithm, backend)) == "the token's signature does not hold"


@pytest.mark.parametrize("algorithm", ["HS256", "ES256", "RS256"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_byte_of_a_token_can_be_changed(algorithm, backend):
    source = ring(algorithm, backend)
    token = sign_compact(b'{"sub":"u-1"}', source)
    verify_compact(token, source)

    for place in range(0, len(token), 3):
        other = "A" if token[place] != "A" else "B"
        assert not _accepts(token[:place] + other + token[place + 1 :], source)


def test_a_header_known_from_an_authentic_token_does_not_vouch_for_another():
    source = ring()
    head, body, _ = sign_compact(b'{"sub":"u-1"}', source).split(".")
    verify_compact(sign_compact(b'{"sub":"u-1"}', source), source)

    assert head in source.openers
    refused(f"{head}.{b64(b'{}')}.{b64(b'x' * 32)}", source)
    refused(f"{head}.{body}.AAAA", source)


def test_the_header_of_a_forged_token_is_not_remembered():
    source = ring()

    refused(f"{b64(json.dumps(header(x=1)))}.{b64(b'{}')}.{b64(b'x' * 32)}", source)

    assert not source.openers


def test_headers_are_remembered_without_growing_for_ever():
    source = ring()

    for number in range(600):
        verify_compact(sign_compact(b"{}", source, typ=f"t{number}"), source)

    assert len(source.openers) <= 256


# --- making --------------------------------------------------------------------------------------


@pytest.mark.parametrize("typ", ["", "x" * 256, "a\nb", "ä"])
def test_a_type_that_could_not_be_read_back_is_not_written(typ):
    with pytest.raises(InvalidArgumentError, match="typ"):
        sign_compact(b"{}", ring(), typ=typ)


def test_a_ring_without_an_active_key_does_not_sign():
    source = KeyRing([key("ES256").public()])

    with pytest.raises(ConfigurationError, match="verifies only"):
        sign_compact(b"{}", source)


# --- fuzz ----------------------------------------------------------------------------------------

RING = ring()
TOKEN = sign_compact(b'{"sub":"u-1","exp":1}', RING, typ="at+jwt")


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.floats(), st.lists(st.text())))
def test_only_our_error_comes_out_whatever_goes_in(value):
    with pytest.raises(InvalidTokenError):
        verify_compact(value, RING)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]), _json, max_size=5),
    st.binary(max_size=64),
)
def test_only_our_error_comes_out_whatever_the_header_says(head, signature):
    text = f"{b64(json.dumps(head).encode('utf-8', 'surrogatepass'))}.{b64(b'{}')}"

    with pytest.raises(InvalidTokenError):
        verify_compact(f"{text}.{b64(signature or b'x')}", RING)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_a_token_with_changed_characters_is_refused(data):
    letters = list(TOKEN)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(letters) - 1))
        kind = data.draw(st.sampled_from(["change", "drop", "add", "double"]))
        letter = data.draw(
            st.sampled_from([".", "=", "A", "-", "_", "+", "/", "\n", "\x00", "é", "\ud800", "["])
        )
        letters[place : place + (kind in ("change", "drop"))] = (
            [] if kind == "drop" else [letters[place]] if kind == "double" else [letter]
        )
    changed = "".join(letters)

    if changed != TOKEN:
        with pytest.raises(InvalidTokenError):
            verify_compact(changed, RING)


def test_backends_are_chosen_by_name_or_given():
    assert verify_compact(TOKEN, KeyRing([key()], backend=NativeBackend()))
    assert verify_compact(TOKEN, KeyRing([key()], backend=JoseBackend()))
    with pytest.raises(ConfigurationError, match="'fast' is not known"):
        KeyRing([key()], backend="fast")


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("a" * 8193, "a token has 5 to 8192 characters, this one has 8193"),
        ("a" * 8192, "a token has three parts, joined by dots"),
        ("a.b.", "a token has 5 to 8192 characters, this one has 4"),
        ("a.b.c.d", "a token has three parts, joined by dots"),
        ("a.b.c.d.e", "a token has three parts, joined by dots"),
        ("a.bcd", "a token has three parts, joined by dots"),
        (".bbb.c", "a token has three parts, joined by dots"),
        ("aaa.b.", "a token has three parts, joined by dots"),
        ("aé.b.c", "a token is ASCII"),
    ],
    ids=range(9),
)
def test_the_first_look_says_what_is_wrong(token, message):
    assert refused(token) == message
