"""From a request to a principal: the list that is asked in order, and the bearer token."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from shared.auth._auth_request import AuthRequest
from shared.auth._decision import AuthenticationFailed, Challenges
from shared.auth._principal import Principal
from shared.auth._token_functions import decode_token
from shared.auth._token_functions_async import adecode_token
from shared.errors import AuthenticationError, ConfigurationError, SharedError
from shared.runtime import current

__all__ = ["Authenticator", "Authenticators", "BearerAuthenticator", "Identified"]

_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{1,8192}=*) *\Z", re.IGNORECASE).match
_INVALID: Final = 'Bearer error="invalid_token"'  # RFC 6750, section 3.1

Claims = Mapping[str, Any]


class Authenticator:
    """One way to prove who sends a request; subclass and override :meth:`authenticate`.

    Attributes:
        name: For events and documents; stable.
        challenge: What a 401 asks for (``WWW-Authenticate``), or empty.

    Example:
        >>> class Staff(Authenticator):
        ...     name = "staff"
        ...     def authenticate(self, request):
        ...         badge = request.header("x-badge")
        ...         return None if badge is None else Principal(user_id=badge, method="staff")
        >>> from shared.auth import PlainRequest
        >>> Staff().authenticate(PlainRequest("GET", "/", [("X-Badge", "b-7")])).user_id
        'b-7'
    """

    name: str = "custom"
    challenge: str = ""

    def authenticate(self, request: AuthRequest) -> Principal | None:
        """Return who sends *request*, or None when it has no credential of this kind.

        Raises:
            AuthenticationError: It has one that does not hold.
        """
        raise NotImplementedError

    async def aauthenticate(self, request: AuthRequest) -> Principal | None:
        """Do :meth:`authenticate` in an event loop; override it where that would block."""
        return self.authenticate(request)

    def openapi(self) -> Mapping[str, Any] | None:
        """Return the security scheme of the OpenAPI document, or None."""
        return None


class BearerAuthenticator(Authenticator):
    """Reads ``Authorization: Bearer <token>``.

    Args:
        verify: Returns the claims of a valid token, or None; may raise
            :class:`~shared.errors.AuthenticationError`, whose reason is then told.
            :func:`decode_token` when neither is given: access tokens of this service.
        averify: The same for an event loop; *verify* is called there when None.

    Example:
        >>> from shared.auth import PlainRequest
        >>> bearer = BearerAuthenticator(verify={"t-1": {"sub": "u-1", "roles": ["admin"]}}.get)
        >>> bearer.authenticate(PlainRequest("GET", "/", [("Authorization", "Bearer t-1")]))
        Principal(user_id='u-1', roles=['admin'], method='token')
    """

    name = "bearer"
    challenge = "Bearer"

    def __init__(
        self,
        verify: Callable[[str], Claims | None] | None = None,
        *,
        averify: Callable[[str], Awaitable[Claims | None]] | None = None,
    ) -> None:
        if verify is None:
            verify, averify = decode_token, averify or adecode_token
        self._verify = verify
        self._averify = averify

    def authenticate(self, request: AuthRequest) -> Principal | None:
        """Return whom the token speaks of, or None without one."""
        token = _token_of(request)
        return None if token is None else _speaker(self._verify(token))

    async def aauthenticate(self, request: AuthRequest) -> Principal | None:
        """Do the same, awaiting the store of revocations."""
        token = _token_of(request)
        if token is None:
            return None
        return _speaker(self._verify(token) if self._averify is None else await self._averify(token))

    def openapi(self) -> Mapping[str, Any]:
        """Return the scheme ``http bearer``."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def _token_of(request: AuthRequest) -> str | None:
    header = request.header("authorization")
    if header is None or header[:6].lower() != "bearer":
        return None
    match = _BEARER(header)
    if match is None:
        raise AuthenticationError(
            "the Authorization header is malformed: write 'Bearer TOKEN'",
            challenge='Bearer error="invalid_request"',
        )
    return match[1]


def _speaker(claims: Claims | None) -> Principal:
    if claims is None:
        raise AuthenticationError("the token is not valid", challenge=_INVALID)
    return Principal.from_claims(claims)


class Identified(NamedTuple):
    """Who sends a request.

    Attributes:
        principal: Who, or None.
        failure: Why nobody is known although a credential was there, or None.

    Example:
        >>> Identified(None, None).principal is None
        True
    """

    principal: Principal | None
    failure: SharedError | None


class Authenticators:
    """Ways to prove who one is, asked in order until one finds its kind of credential.

    A credential that does not hold ends the search: a request with a bad token and a
    good cookie is nobody's. What went wrong is returned, not raised, so that public
    routes work with a stale credential; protected ones refuse with that reason. A store
    that cannot be asked lets nobody in.

    Args:
        authenticators: In order.

    Raises:
        ConfigurationError: Two have one name, or one is no :class:`Authenticator`.

    Example:
        >>> from shared.auth import PlainRequest
        >>> ways = Authenticators([BearerAuthenticator(verify=lambda token: None)])
        >>> ways.identify(PlainRequest("GET", "/", [("Authorization", "Bearer stale")])).failure
        AuthenticationError('the token is not valid', code='AUTHENTICATION_ERROR')
    """

    def __init__(self, authenticators: Iterable[Authenticator]) -> None:
        self._all = tuple(authenticators)
        strangers = [type(way).__name__ for way in self._all if not issubclass(type(way), Authenticator)]
        if strangers:
            msg = f"an authenticator is an object of a subclass of Authenticator, got {strangers[0]}"
            raise ConfigurationError(msg)
        names = [way.name for way in self._all]
        if len(set(names)) < len(names):
            msg = f"two authenticators have one name: {', '.join(names)}"
            raise ConfigurationError(msg)

    @property
    def challenges(self) -> Challenges:
        """What a 401 asks for: every way's challenge, once."""
        found = dict.fromkeys(way.challenge for way in self._all if way.challenge)
        return Challenges(", ".join(found) or "Bearer")

    def identify(self, request: AuthRequest) -> Identified:
        """Return who sends *request*; raises nothing of ours."""
        for way in self._all:
            try:
                principal = way.authenticate(request)
            except SharedError as exc:
                return _failed(way, exc, request)
            if principal is not None:
                return Identified(principal, None)
        return _NOBODY

    async def aidentify(self, request: AuthRequest) -> Identified:
        """Do :meth:`identify` in an event loop."""
        for way in self._all:
            try:
                principal = await way.aauthenticate(request)
            except SharedError as exc:
                return _failed(way, exc, request)
            if principal is not None:
                return Identified(principal, None)
        return _NOBODY

    def schemes(self) -> dict[str, Mapping[str, Any]]:
        """Return the security schemes of the OpenAPI document by name."""
        found = {way.name: way.openapi() for way in self._all}
        return {name: scheme for name, scheme in found.items() if scheme is not None}

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(way.name for way in self._all)

    def __iter__(self) -> Iterator[Authenticator]:
        return iter(self._all)


_NOBODY: Final = Identified(None, None)


def _failed(way: Authenticator, exc: SharedError, request: AuthRequest) -> Identified:
    current().events.emit(AuthenticationFailed(way.name, str(exc.code), exc.message, request.client))
    return Identified(None, exc)
