"""What a gateway signed for this request, and nothing else."""

import asyncio
import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import GatewayAuthenticator, GatewaySigner, PlainRequest, Principal, get_user_context
from shared.context import request_context
from shared.errors import AuthenticationError, ConfigurationError, InvalidArgumentError
from shared.security import MemoryReplayStore
from tests.unit.auth._both import Clock

SECRET = "gateway-secret-of-at-least-32-bytes"
ADA = Principal(user_id="u-1", email="ada@example.com", roles=["admin"], scopes=["a:b"], tenant="acme")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def signer(clock):
    return GatewaySigner(SECRET, clock=clock)


class AsyncReplays:
    def __init__(self):
        self._inner = MemoryReplayStore()

    async def claim(self, keys, *, ttl):
        return self._inner.claim(keys, ttl=ttl)

    async def release(self, keys):
        self._inner.release(keys)


@pytest.fixture(params=["sync", "async", "async store"])
def gateway(request, clock):
    def make(secrets=SECRET, **options):
        if request.param == "async store":
            options["replay_store"] = AsyncReplays()
        made = GatewayAuthenticator(secrets, audience="orders", clock=clock, **options)
        if request.param == "sync":
            return made.authenticate
        return lambda found: asyncio.run(made.aauthenticate(found))

    return make


def sign(signer, method="GET", path="/orders", audience="orders", principal=ADA, query="a=1"):
    return signer.sign(method, path, audience=audience, principal=principal, query=query)


def request(token, method="GET", path="/orders", query="a=1"):
    return PlainRequest(method, path, [("X-Gateway-Token", token)], query=query)


def test_what_the_gateway_signed_makes_a_principal(gateway, signer):
    principal = gateway()(request(sign(signer)))

    assert (principal.user_id, principal.email, principal.tenant) == ("u-1", "ada@example.com", "acme")
    assert (principal.roles, principal.scopes, principal.method) == ({"admin"}, {"a:b"}, "gateway")


def test_no_scopes_and_none_allowed_are_told_apart(gateway, signer):
    ask = gateway()

    assert ask(request(sign(signer, principal=Principal(user_id="u")))).scopes is None
    assert ask(request(sign(signer, principal=Principal(user_id="u", scopes=[])))).scopes == frozenset()


@pytest.mark.parametrize(
    "name", ["X-User-Id", "X-Gateway-User", "X-Auth-Roles", "X_Gateway_Token", "X-Gateway-Token2"]
)
def test_a_bare_header_makes_nobody(gateway, name):
    assert gateway()(PlainRequest("GET", "/", [(name, "u-1")])) is None


@pytest.mark.parametrize(
    "other",
    [
        {"method": "POST"},
        {"path": "/admin"},
        {"query": "a=2"},
        {"query": ""},
        {"path": "/order", "query": "sa=1"},
    ],
    ids=str,
)
def test_a_token_holds_for_its_own_request_alone(gateway, signer, other):
    with pytest.raises(AuthenticationError, match="not made for this request"):
        gateway()(request(sign(signer), **other))


def test_a_token_for_another_service_is_refused(gateway, signer):
    with pytest.raises(AuthenticationError, match="another service"):
        gateway()(request(sign(signer, audience="billing")))


@pytest.mark.parametrize(
    ("age", "holds"), [(0, True), (60, True), (61, False), (-5, True), (-6, False), (86_400, False)]
)
def test_a_token_holds_for_a_minute(gateway, signer, clock, age, holds):
    token = sign(signer)
    clock.now += age

    if holds:
        assert gateway()(request(token))
    else:
        with pytest.raises(AuthenticationError, match="last 60 s"):
            gateway()(request(token))


def test_a_token_is_used_once(gateway, signer):
    ask, token = gateway(), sign(signer)
    ask(request(token))

    with pytest.raises(AuthenticationError, match="used before"):
        ask(request(token))
    assert ask(request(sign(signer)))


def test_a_refused_token_uses_up_nothing(gateway, signer):
    ask, token = gateway(), sign(signer)
    with pytest.raises(AuthenticationError):
        ask(request(token, path="/admin"))

    assert ask(request(token))


def test_a_doubled_header_is_refused(gateway, signer):
    pairs = [("X-Gateway-Token", sign(signer)), ("x-gateway-token", sign(signer))]

    with pytest.raises(AuthenticationError, match="twice"):
        gateway()(PlainRequest("GET", "/orders", pairs, query="a=1"))


def test_secrets_are_rotated_without_a_gap(gateway, signer, clock):
    newer = GatewaySigner("newer-secret-of-at-least-32-bytes!", clock=clock)
    both = gateway(["newer-secret-of-at-least-32-bytes!", SECRET])

    assert both(request(sign(signer)))
    assert both(request(sign(newer)))
    with pytest.raises(AuthenticationError):
        gateway()(request(sign(newer)))


def forged(**changes):
    """A token with other claims under the same MAC."""

    def forge(token):
        version, payload, mac = token.split(".")
        said = json.loads(base64.urlsafe_b64decode(payload + "=="))
        text = json.dumps({**said, **changes}).encode()
        return f"{version}.{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{mac}"

    return forge


@pytest.mark.parametrize(
    "forge",
    [
        forged(sub="root"), forged(kid="other"), forged(kid=None), forged(kid=["a"]), forged(iat="now"),
        lambda token: token[:-1], lambda token: token + "=", lambda token: token + "\n", lambda token: token[:-2] + "AA",
        lambda token: token.replace("v1.", "v2."), lambda token: "v1." + "." * 100, lambda token: "v1." + "A" * 9000,
        lambda token: "", lambda token: "eyJhbGciOiJub25lIn0.e30.", lambda token: "x" * 10_000_000,
        lambda token: token.replace(".", "..", 1), lambda token: "v1.W10." + token.rpartition(".")[2],
        lambda token: "v1." + base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode() + "." + "A" * 43,
        lambda token: "v1." + base64.urlsafe_b64encode(b"\xff\xfe").rstrip(b"=").decode() + "." + "A" * 43,
    ],
    ids=["sub", "kid", "kid null", "kid list", "iat", "cut", "padded", "newline", "mac", "version", "dots", "long",
         "empty", "jwt none", "10 MB", "empty part", "list", "deep", "utf-16"],
)  # fmt: skip
def test_a_forged_token_is_refused_cleanly(gateway, signer, forge):
    with pytest.raises(AuthenticationError) as caught:
        gateway()(request(forge(sign(signer))))

    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "iat",
    [True, 1.5, "1", None, -1, 2**53, 10**400, [1]],
    ids=["true", "float", "text", "null", "negative", "2^53", "400 digits", "list"],
)
def test_a_moment_that_is_none_is_refused_even_when_signed(gateway, signer, monkeypatch, iat):
    original = json.dumps
    monkeypatch.setattr(json, "dumps", lambda said, **options: original({**said, "iat": iat}, **options))
    token = sign(signer)
    monkeypatch.undo()

    with pytest.raises(AuthenticationError):
        gateway()(request(token))


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=150)
def test_no_header_makes_the_check_raise_anything_else(value):
    way = GatewayAuthenticator(SECRET, audience="orders")
    encoded = base64.urlsafe_b64encode(value).rstrip(b"=")
    for header in (value, b"v1." + value, b"v1." + encoded + b"." + b"A" * 43):
        with suppress(AuthenticationError):
            assert way.authenticate(PlainRequest("GET", "/", [(b"x-gateway-token", header)])) is None


# --- gateways that send a JWT -------------------------------------------------------------


CLAIMS = {"sub": "u-1", "jti": "t-1", "method": "GET", "path": "/orders"}


def test_a_gateway_may_send_a_jwt_that_is_bound_to_the_request(gateway):
    ask = gateway((), verify={"jwt": CLAIMS}.get)

    assert ask(request("jwt")).user_id == "u-1"
    with pytest.raises(AuthenticationError, match="used before"):
        ask(request("jwt"))
    with pytest.raises(AuthenticationError, match="not made for this request"):
        ask(request("jwt", path="/admin"))
    with pytest.raises(AuthenticationError, match="not valid"):
        ask(request("other"))


@pytest.mark.parametrize("missing", ["method", "path", "jti"])
def test_a_jwt_without_method_path_or_id_is_refused(gateway, missing):
    claims = {name: value for name, value in CLAIMS.items() if name != missing}

    with pytest.raises(AuthenticationError):
        gateway((), verify={"jwt": claims}.get)(request("jwt"))


@pytest.mark.parametrize("token_id", ["", "x" * 256, 7, None])
def test_a_jwt_whose_id_is_no_short_text_is_refused(gateway, token_id):
    ask = gateway((), verify={"jwt": {**CLAIMS, "jti": token_id}}.get)

    with pytest.raises(AuthenticationError, match="has no id"):
        ask(request("jwt"))


def test_a_jwt_may_be_verified_by_awaiting(clock):
    async def averify(token):
        return CLAIMS if token == "jwt" else None

    way = GatewayAuthenticator(audience="orders", averify=averify, clock=clock)

    assert asyncio.run(way.aauthenticate(request("jwt"))).user_id == "u-1"


# --- configuration -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "secrets",
    ["", "short", [], [SECRET, "short"], 7, None],
    ids=["empty", "short", "none given", "one short", "int", "none"],
)
def test_an_absent_or_short_secret_is_refused_at_start(secrets):
    with pytest.raises(ConfigurationError) as caught:
        GatewayAuthenticator(secrets, audience="orders")

    assert "short" not in str(caught.value)


@pytest.mark.parametrize("max_age", [0, 301, float("nan")])
def test_a_life_out_of_range_is_refused(max_age):
    with pytest.raises(InvalidArgumentError):
        GatewayAuthenticator(SECRET, audience="orders", max_age=max_age)


def test_an_asynchronous_replay_store_cannot_be_asked_from_wsgi(signer, clock):
    way = GatewayAuthenticator(SECRET, audience="orders", clock=clock, replay_store=AsyncReplays())

    with pytest.raises(ConfigurationError, match="ReplayStore"):
        way.authenticate(request(sign(signer)))


def test_the_user_context_is_who_acts():
    with request_context(principal=ADA):
        assert get_user_context() is ADA
    assert get_user_context() is None
