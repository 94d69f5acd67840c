"""What a gateway in front of the service says about the user, signed for this one request.

``X-Gateway-Token: v1.<payload>.<HMAC>``; the MAC covers method, path and query as well, so
the header of one request is worth nothing with another.
"""

import base64
import binascii
import hmac
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from shared.auth._auth_request import AuthRequest
from shared.auth._authenticators import Authenticator
from shared.auth._principal import Principal, current_principal
from shared.errors import AuthenticationError, ConfigurationError, InvalidArgumentError
from shared.security import AsyncReplayStore, MemoryReplayStore, ReplayStore

__all__ = ["GatewayAuthenticator", "GatewaySigner", "get_user_context"]

_TOKEN: Final = re.compile(r"v1\.([A-Za-z0-9_-]{1,8000})\.([A-Za-z0-9_-]{43})\Z").match
_HEADER: Final = "X-Gateway-Token"
_MIN_SECRET: Final = 32
_SKEW: Final = 5.0  # seconds the gateway's clock may be ahead
_CLAIMS: Final = frozenset(
    {"sub", "email", "roles", "permissions", "scopes", "tenant", "jti", "aud", "iat", "kid"}
)

Claims = Mapping[str, Any]


class GatewaySigner:
    """The gateway's half: makes the header for one request to one service.

    Args:
        secret: Shared with the service, at least 32 bytes; one of its several during a
            rotation.
        clock: Seconds since 1970.

    Raises:
        ConfigurationError: The secret is too short.

    Example:
        >>> signer = GatewaySigner("s" * 32)
        >>> header = signer.sign("GET", "/orders", audience="orders", principal=Principal(user_id="u-1"))
        >>> header.count(".")
        2
    """

    def __init__(self, secret: Any, *, clock: Callable[[], float] = time.time) -> None:
        self._key = _key(secret)
        self._clock = clock

    def sign(self, method: str, path: str, *, audience: str, principal: Principal, query: str = "") -> str:
        """Return the value of ``X-Gateway-Token`` for a request.

        Args:
            method: Of the request.
            path: As the service sees it, percent-decoded.
            audience: Name of the service.
            principal: Who the user is.
            query: As it stands in the URL, without the question mark.
        """
        said = {
            "kid": _fingerprint(self._key),
            "aud": audience,
            "iat": int(self._clock()),
            "jti": secrets.token_urlsafe(12),
            "sub": principal.user_id,
            "email": principal.email,
            "roles": sorted(principal.roles),
            "permissions": sorted(principal.permissions),
            "scopes": None if principal.scopes is None else sorted(principal.scopes),
            "tenant": principal.tenant,
        }
        kept = {name: value for name, value in said.items() if value not in (None, [])}
        if said["scopes"] == []:
            kept["scopes"] = []  # allowed nothing is not the same as not restricted
        payload = _encode(json.dumps(kept, separators=(",", ":")).encode())
        return f"v1.{payload}.{_encode(_mac(self._key, payload, method, path, query))}"


class GatewayAuthenticator(Authenticator):
    """Believes what a gateway signed for this request, and nothing it merely says.

    A token holds for one method, path and query, for one service, for a minute, once.
    Together with the request layer, which takes ``X-User-*``, ``X-Auth-*`` and
    ``X-Gateway-*`` out of every request, nobody can name a user by a bare header.

    Args:
        secrets: Shared with the gateway, at least 32 bytes; several during a rotation.
        audience: Name of this service.
        max_age: Seconds for which a token is good.
        replay_store: Remembers which tokens were used; of this process alone when None.
        verify: Returns the claims of a signed JWT, for gateways that send those, such as
            ``partial(decode_token, token_type="gateway")``; its claims ``method`` and
            ``path`` must be those of the request, and it counts once by ``jti``.
        averify: The same for an event loop.
        header: Where the token is.
        clock: Seconds since 1970.

    Raises:
        ConfigurationError: There is neither a secret nor *verify*, or a secret is too short.
        InvalidArgumentError: *max_age* is not within 1 to 300.

    Example:
        >>> from shared.auth import PlainRequest
        >>> signer, gateway = GatewaySigner("s" * 32), GatewayAuthenticator("s" * 32, audience="orders")
        >>> header = signer.sign("GET", "/orders", audience="orders", principal=Principal(user_id="u-1"))
        >>> gateway.authenticate(PlainRequest("GET", "/orders", [("X-Gateway-Token", header)])).user_id
        'u-1'
    """

    name = "gateway"
    challenge = "Gateway"

    def __init__(
        self,
        secrets: Any = (),
        *,
        audience: str,
        max_age: float = 60.0,
        replay_store: ReplayStore | AsyncReplayStore | None = None,
        verify: Callable[[str], Claims | None] | None = None,
        averify: Callable[[str], Awaitable[Claims | None]] | None = None,
        header: str = _HEADER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = {_fingerprint(key): key for key in _keys(secrets)}
        if not self._keys and verify is None and averify is None:
            raise ConfigurationError("a gateway needs a secret, or a function that verifies its tokens")
        if not 1 <= max_age <= 300:
            msg = f"max_age is 1 to 300 seconds, got {max_age!r}"
            raise InvalidArgumentError(msg)
        self._audience, self._max_age, self._clock = audience, max_age, clock
        self._replays: Any = replay_store or MemoryReplayStore()
        self._verify, self._averify = verify, averify
        self._header = header

    def authenticate(self, request: AuthRequest) -> Principal | None:
        """Return whom the gateway speaks of, or None when it says nothing."""
        token = request.header(self._header)
        if token is None:
            return None
        claims = self._opened(token, request)
        if claims is None:
            claims = self._bound(self._verify(token) if self._verify else None, request)
        fresh = self._replays.claim(_replay_keys(claims), ttl=self._remember)
        if not isinstance(fresh, bool):
            _discard(fresh)
            raise ConfigurationError("an asynchronous replay store cannot be asked here: give a ReplayStore")
        return _once(fresh, claims)

    async def aauthenticate(self, request: AuthRequest) -> Principal | None:
        """Do the same, awaiting the store of replays."""
        token = request.header(self._header)
        if token is None:
            return None
        claims = self._opened(token, request)
        if claims is None:
            if self._averify is not None:
                claims = self._bound(await self._averify(token), request)
            else:
                claims = self._bound(self._verify(token) if self._verify else None, request)
        fresh = self._replays.claim(_replay_keys(claims), ttl=self._remember)
        return _once(fresh if isinstance(fresh, bool) else await fresh, claims)

    def openapi(self) -> Mapping[str, Any]:
        """Return the scheme: a header that only the gateway can make."""
        return {"type": "apiKey", "in": "header", "name": self._header}

    @property
    def _remember(self) -> float:
        return 2 * self._max_age + _SKEW

    def _opened(self, token: str, request: AuthRequest) -> Claims | None:
        """Return the claims of a token of ours; None for what may be a JWT."""
        match = _TOKEN(token)
        if match is None or not self._keys:
            if token.startswith("v1.") or len(token) > 8192:
                raise _refused("the gateway token is malformed")
            return None
        payload, given = match.groups()
        said = _payload(payload)
        # The id of the key is believed for the choice of the key alone.
        key = self._keys.get(str(said.get("kid"))) if said else None
        wanted = _mac(key or b"\0" * 32, payload, request.method, request.path, request.query)
        if said is None or not hmac.compare_digest(_encode(wanted).encode(), given.encode()) or key is None:
            raise _refused("the gateway token was not made for this request")
        if said.get("aud") != self._audience:
            raise _refused("the gateway token is for another service")
        issued = said.get("iat")
        if type(issued) is not int or not 0 <= issued < 2**53:
            raise _refused("the gateway token does not say when it was made")
        if not -_SKEW <= self._clock() - issued <= self._max_age:
            raise _refused(f"the gateway token is not from the last {self._max_age:g} s")  # noqa: EM102
        return {name: value for name, value in said.items() if name in _CLAIMS}

    def _bound(self, claims: Claims | None, request: AuthRequest) -> Claims:
        if claims is None:
            raise _refused("the gateway token is not valid")
        if (claims.get("method"), claims.get("path")) != (request.method, request.path):
            raise _refused("the gateway token was not made for this request")
        return claims


def get_user_context() -> Principal | None:
    """Return who the request at hand is from, as gateway, token, session or key proved it; None for nobody.

    Example:
        >>> from shared.context import request_context
        >>> with request_context(principal=Principal(user_id="u-1", method="gateway")):
        ...     get_user_context().user_id
        'u-1'
    """
    return current_principal()


def _once(fresh: bool, claims: Claims) -> Principal:
    if not fresh:
        raise _refused("the gateway token was used before")
    return Principal.from_claims(claims, method="gateway")


def _replay_keys(claims: Claims) -> list[str]:
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= 255:
        raise _refused("the gateway token has no id")
    return [f"gateway:{token_id}"]


def _refused(reason: str) -> AuthenticationError:
    return AuthenticationError(reason, challenge="Gateway")


def _payload(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _mac(key: bytes, payload: str, method: str, path: str, query: str) -> bytes:
    signed = b"shared.auth/v1/gateway"
    # The length first: the border between two parts must not move.
    for part in (payload, method, path, query):
        data = str.encode(part, "utf-8", "surrogatepass")
        signed += len(data).to_bytes(4, "big") + data
    return hmac.digest(key, signed, "sha256")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _fingerprint(key: bytes) -> str:
    return hmac.digest(key, b"shared.auth/v1/gateway-key-id", "sha256").hex()[:8]


def _keys(given: Any) -> list[bytes]:
    several = [given] if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) else given
    return [_key(each) for each in several]


def _key(secret: Any) -> bytes:
    reveal = getattr(secret, "get_secret_value", None)
    value = reveal() if callable(reveal) else secret
    key = value.encode() if isinstance(value, str) else value
    if not isinstance(key, bytes) or len(key) < _MIN_SECRET:
        msg = f"the secret of a gateway has at least {_MIN_SECRET} bytes"
        raise ConfigurationError(msg)
    return key


def _discard(answer: Any) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()
