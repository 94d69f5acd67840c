"""The half of both token services that needs no store: what makes tokens."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from shared.auth import _token_flows as flows
from shared.auth._key_ring import KeyRing, KeySource
from shared.auth._token_core import TokenCore, UserId
from shared.auth._token_events import TokenRefused
from shared.auth._token_profile import ACCESS, TokenOptions, TokenProfile
from shared.errors import ServiceUnavailableError, SharedError
from shared.runtime import Events, current

__all__ = ["Life", "TokenMaker", "unavailable"]

Life = float | timedelta


class TokenMaker:
    """What both services have: the core, and the makers that need no store."""

    def __init__(
        self,
        ring: KeySource,
        *,
        options: TokenOptions | None = None,
        events: Events | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._core = TokenCore(ring, options or TokenOptions(), clock=clock, new_id=new_id)
        self._events = events

    @property
    def options(self) -> TokenOptions:
        """How tokens are made and judged."""
        return self._core.options

    @property
    def profiles(self) -> Mapping[str, TokenProfile]:
        """The kinds of tokens by name."""
        return self._core.profiles

    @property
    def ring(self) -> KeyRing:
        """The keys in force."""
        return self._core.source.current()

    def use_keys(self, ring: KeySource) -> None:
        """Use other keys from now on, without a restart.

        Tokens of keys that are not there any more are refused at once, also those
        whose signature was checked a moment ago.

        Example:
            >>> from shared.auth import Key, KeyRing, TokenService
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> token = tokens.create_access_token("u-1")
            >>> tokens.use_keys(KeyRing([Key.generate("HS256")]))
            >>> tokens.verify(token) is None
            True
        """
        self._core.source = ring

    def create_access_token(
        self,
        user_id: UserId,
        email: str | None = None,
        *,
        roles: Iterable[str] = (),
        permissions: Iterable[str] = (),
        audience: str | None = None,
        expires_in: Life | None = None,
        family: str | None = None,
        **claims: Any,
    ) -> str:
        """Return a signed access token.

        Args:
            user_id: Whose it is: text, a whole number or a UUID.
            email: Their address, if services need it.
            roles: What they are; at most 1000.
            permissions: What they may; at most 1000.
            audience: Who accepts it; that of the options when None.
            expires_in: Its life, in seconds or as a ``timedelta``.
            family: Refresh family (``payload.family``) that ends with it.
            claims: More, as JSON. What the library sets cannot be given.

        Raises:
            InvalidArgumentError: An argument cannot be used.
            ConfigurationError: No key signs here.

        Example:
            >>> from shared.auth import Key, KeyRing, TokenService
            >>> tokens = TokenService(KeyRing([Key.generate("ES256")]))
            >>> token = tokens.create_access_token("u-1", roles=["admin"], tenant="acme")
            >>> tokens.decode(token)["tenant"]
            'acme'
        """
        given = {"email": email, "roles": _texts(roles) or None, "permissions": _texts(permissions) or None}
        more = {name: value for name, value in given.items() if value is not None}
        return self._core.issue(
            self._core.profiles["access"],
            user_id,
            audience=audience,
            expires_in=expires_in,
            claims={**claims, **more},
            ours=None if family is None else {"fid": family},
        )

    def create_gateway_token(
        self, user_id: UserId, *, audience: str | None = None, expires_in: Life | None = None, **claims: Any
    ) -> str:
        """Return a token by which a gateway tells a service behind it who calls; a minute long.

        Args:
            user_id: Who calls.
            audience: The one service that accepts it.
            expires_in: Its life, in seconds.
            claims: More, such as ``method`` and ``path``.

        Raises:
            InvalidArgumentError: An argument cannot be used.

        Example:
            >>> from shared.auth import Key, KeyRing, TokenService
            >>> tokens = TokenService(KeyRing([Key.generate("ES256")]))
            >>> token = tokens.create_gateway_token("u-1", audience="orders", path="/orders")
            >>> tokens.decode(token, token_type="gateway", audience="orders")["path"]
            '/orders'
        """
        profile = self._core.profiles["gateway"]
        return self._core.issue(profile, user_id, audience=audience, expires_in=expires_in, claims=claims)

    def create_password_reset_token(
        self,
        user_id: UserId,
        email: str | None = None,
        *,
        bound_to: str | None = None,
        expires_in: Life | None = None,
    ) -> str:
        """Return a token that resets a password once: spend it with :meth:`consume`.

        Args:
            user_id: Whose password.
            email: Where the token is sent.
            bound_to: Something that the reset changes, such as the present password
                hash: the token dies with it. Only a digest is in the token.
            expires_in: Its life, in seconds.

        Raises:
            InvalidArgumentError: An argument cannot be used.

        Example:
            >>> from shared.auth import Key, KeyRing, TokenService
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> token = tokens.create_password_reset_token("u-1")
            >>> tokens.consume(token, token_type="password_reset").user_id
            'u-1'
        """
        return self._once("password_reset", user_id, email, bound_to, expires_in)

    def create_email_verification_token(
        self,
        user_id: UserId,
        email: str | None = None,
        *,
        bound_to: str | None = None,
        expires_in: Life | None = None,
    ) -> str:
        """Return a token that verifies an address once: spend it with :meth:`consume`.

        Arguments and errors as for :meth:`create_password_reset_token`.

        Example:
            >>> from shared.auth import Key, KeyRing, TokenService
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> token = tokens.create_email_verification_token("u-1", "ada@example.com")
            >>> tokens.consume(token, token_type="email_verification").email
            'ada@example.com'
        """
        return self._once("email_verification", user_id, email, bound_to, expires_in)

    def _once(
        self, kind: str, user_id: UserId, email: str | None, bound_to: str | None, expires_in: Life | None
    ) -> str:
        token_id = self._core.new_id()
        ours: dict[str, Any] = {"jti": token_id}
        bound = flows.binding(bound_to, token_id)
        if bound is not None:
            ours["bnd"] = bound
        claims = {} if email is None else {"email": email}
        profile = self._core.profiles[kind]
        return self._core.issue(profile, user_id, expires_in=expires_in, claims=claims, ours=ours)

    def is_expired(self, token: Any) -> bool:
        """Tell whether nothing can be done with *token* any more; never raises.

        True for an authentic token whose time is over, and for everything that is no
        token of ours. Revocations are not looked at.

        Example:
            >>> from shared.auth import Key, KeyRing, TokenService
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> tokens.is_expired(tokens.create_access_token("u-1")), tokens.is_expired("junk")
            (False, True)
        """
        try:
            self._core.open_any(token)
        except SharedError:
            return True
        return False

    # -- for the shells ------------------------------------------------------------------

    def _emit(self, event: object) -> None:
        (self._events or current().events).emit(event)

    def _refused(self, token_type: str, error: SharedError) -> None:
        self._emit(TokenRefused(token_type, str(error.code), error.message))

    def _without_store(self, token_type: str, exc: Exception) -> None:
        """Return when a token may pass without its store.

        Raises:
            ServiceUnavailableError: It may not.
        """
        if token_type == ACCESS and self._core.options.on_store_failure == "accept":
            return
        raise unavailable(exc) from exc


def _texts(values: Iterable[str]) -> list[str]:
    # A single text would be taken for its letters.
    return [values] if isinstance(values, str) else list(values)


def unavailable(exc: Exception) -> ServiceUnavailableError:
    """Return the error of a store that failed."""
    return ServiceUnavailableError("the store of tokens does not answer", cause=exc)
