"""API keys and sessions as ways to prove who one is."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from shared.auth._access_accessors import get_api_keys, get_async_api_keys, get_async_sessions, get_sessions
from shared.auth._api_key import ApiKey
from shared.auth._api_keys import ApiKeys, AsyncApiKeys
from shared.auth._auth_request import AuthRequest
from shared.auth._authenticators import Authenticator
from shared.auth._principal import Principal
from shared.auth._session import Session, SessionCookie
from shared.auth._sessions import AsyncSessions, Sessions
from shared.errors import AuthenticationError, ConfigurationError
from shared.security import CrossSiteGuard, CsrfTokens

__all__ = ["ApiKeyAuthenticator", "SessionAuthenticator"]

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ApiKeyAuthenticator(Authenticator):
    """Reads ``X-API-Key: <key>`` or ``Authorization: ApiKey <key>``; never the URL, which is logged.

    Args:
        keys: Which keys there are: :class:`AsyncApiKeys` for ASGI, :class:`ApiKeys` for
            WSGI; the latter is asked in a thread when an event loop must not wait. Those
            of the runtime, :func:`get_api_keys` or its twin, when None.
        header: Where keys are.

    Example:
        >>> from shared.auth import MemoryRecordStore, PlainRequest
        >>> keys = ApiKeys(MemoryRecordStore(), pepper="p" * 32)
        >>> key = keys.create("billing").secret.get_secret_value()
        >>> ApiKeyAuthenticator(keys).authenticate(PlainRequest("GET", "/", [("X-API-Key", key)])).user_id
        'billing'
    """

    name = "api_key"
    challenge = "ApiKey"

    def __init__(self, keys: ApiKeys | AsyncApiKeys | None = None, *, header: str = "X-API-Key") -> None:
        self._keys = keys
        self._header = header

    def authenticate(self, request: AuthRequest) -> Principal | None:
        """Return whose key it is, or None without one."""
        key = self._key_of(request)
        if key is None:
            return None
        keys = self._keys or get_api_keys()
        if isinstance(keys, AsyncApiKeys):
            raise ConfigurationError("AsyncApiKeys cannot be asked from WSGI: give ApiKeys")
        return keys.verify(key, client=request.client).principal()

    async def aauthenticate(self, request: AuthRequest) -> Principal | None:
        """Do the same without blocking."""
        key = self._key_of(request)
        if key is None:
            return None
        keys = self._keys or get_async_api_keys()
        found: ApiKey
        if isinstance(keys, AsyncApiKeys):
            found = await keys.verify(key, client=request.client)
        else:
            found = await asyncio.to_thread(keys.verify, key, client=request.client)
        return found.principal()

    def openapi(self) -> Mapping[str, Any]:
        """Return the scheme: a header."""
        return {"type": "apiKey", "in": "header", "name": self._header}

    def _key_of(self, request: AuthRequest) -> str | None:
        key = request.header(self._header)
        scheme, _, rest = (request.header("authorization") or "").partition(" ")
        if scheme.lower() == "apikey":
            if key is not None:
                raise AuthenticationError("two API keys were sent", challenge="ApiKey")
            return rest.strip()
        return key


class SessionAuthenticator(Authenticator):
    """Reads the session cookie, and refuses what another site made a browser send.

    Requests that change something must come from this site (``Sec-Fetch-Site``, or
    ``Origin`` where browsers do not send it), and with *csrf* carry the token of the session
    in ``X-CSRF-Token``; make it with ``csrf.issue(principal.session_id)``.

    Args:
        sessions: Which sessions there are: :class:`AsyncSessions` for ASGI,
            :class:`Sessions` for WSGI; the latter is asked in a thread when an event
            loop must not wait. Those of the runtime, :func:`get_sessions` or its twin,
            when None.
        cookie: How the cookie is called.
        origin: This site as browsers see it, such as ``"https://shop.example"``; from the
            request's scheme and ``Host`` when None, which a proxy may have changed.
        trusted_origins: Other sites that may send.
        csrf: Asks for a token as well; None for Fetch Metadata alone.

    Example:
        >>> from shared.auth import MemoryRecordStore, PlainRequest
        >>> sessions = Sessions(MemoryRecordStore())
        >>> token, _ = sessions.start(Principal(user_id="u-1"))
        >>> cookie = f"__Host-session={token.get_secret_value()}"
        >>> way = SessionAuthenticator(sessions)
        >>> way.authenticate(PlainRequest("GET", "/", [("Cookie", cookie)])).user_id
        'u-1'
        >>> forged = PlainRequest("POST", "/", [("Cookie", cookie), ("Origin", "https://evil.example")])
        >>> way.authenticate(forged)
        Traceback (most recent call last):
            ...
        shared.errors.CsrfError: the request came from 'https://evil.example', not from this site
    """

    name = "session"

    def __init__(
        self,
        sessions: Sessions | AsyncSessions | None = None,
        *,
        cookie: SessionCookie | None = None,
        origin: str | None = None,
        trusted_origins: tuple[str, ...] = (),
        csrf: CsrfTokens | None = None,
    ) -> None:
        self._sessions = sessions
        self.cookie: SessionCookie = cookie or SessionCookie()
        self.challenge: str = f'Cookie cookie-name="{self.cookie.name}"'
        self._guard = CrossSiteGuard(trusted_origins)
        self._origin = origin
        self._csrf = csrf

    def authenticate(self, request: AuthRequest) -> Principal | None:
        """Return whose session it is, or None without one."""
        token = self._token_of(request)
        if token is None:
            return None
        sessions = self._sessions or get_sessions()
        if isinstance(sessions, AsyncSessions):
            raise ConfigurationError("AsyncSessions cannot be asked from WSGI: give Sessions")
        return self._judged(sessions.load(token), request)

    async def aauthenticate(self, request: AuthRequest) -> Principal | None:
        """Do the same without blocking."""
        token = self._token_of(request)
        if token is None:
            return None
        sessions = self._sessions or get_async_sessions()
        if isinstance(sessions, AsyncSessions):
            return self._judged(await sessions.load(token), request)
        return self._judged(await asyncio.to_thread(sessions.load, token), request)

    def openapi(self) -> Mapping[str, Any]:
        """Return the scheme: a cookie."""
        return {"type": "apiKey", "in": "cookie", "name": self.cookie.name}

    def _token_of(self, request: AuthRequest) -> str | None:
        token = self.cookie.read(request)
        if token is not None and request.method not in _SAFE:
            self._refuse_strangers(request)
        return token

    def _refuse_strangers(self, request: AuthRequest) -> None:
        names = ("sec-fetch-site", "origin")
        sent = {name: value for name in names if (value := request.header(name)) is not None}
        scheme = "https" if request.https else "http"
        own = self._origin or f"{scheme}://{request.header('host') or ''}"
        self._guard.check(request.method, {**sent, "cookie": "yes"}, origin=own)

    def _judged(self, session: Session | None, request: AuthRequest) -> Principal:
        if session is None:
            raise AuthenticationError("the session has ended", challenge=self.challenge)
        # A handshake of a websocket is a GET that no page can give a header.
        if self._csrf is not None and request.method not in _SAFE | {"WEBSOCKET"}:
            self._csrf.verify(request.header("x-csrf-token"), session.id)
        return session.principal()
