"""Tokens of one issuer: made, verified, rotated, taken back. For threads; its twin awaits."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from shared.auth import _token_flows as flows
from shared.auth._key_ring import KeySource
from shared.auth._token_core import UserId
from shared.auth._token_maker import Life, TokenMaker, unavailable
from shared.auth._token_payload import TokenPayload
from shared.auth._token_profile import ACCESS, TokenOptions
from shared.auth._token_store import MemoryTokenStore, TokenStore
from shared.errors import SharedError
from shared.runtime import Events

__all__ = ["TokenService"]

T = TypeVar("T")


class TokenService(TokenMaker):
    """Tokens of one issuer, for synchronous code; thread-safe.

    Args:
        ring: The keys: a :class:`KeyRing`, or a source such as :class:`KeyFile`.
        store: What was taken back or used; of this process alone when None.
        options: Lives, issuer, audience.
        events: Who hears :class:`TokenEvent` objects; those of the current runtime when None.
        clock: Seconds since 1970.
        new_id: Makes the ids of tokens and families: at least 128 random bits.

    Example:
        >>> from shared.auth import Key, KeyRing
        >>> tokens = TokenService(KeyRing([Key.generate("ES256")]))
        >>> payload = tokens.verify(tokens.create_access_token("u-1", "ada@example.com"))
        >>> payload["user_id"], payload["email"]
        ('u-1', 'ada@example.com')
    """

    def __init__(
        self,
        ring: KeySource,
        store: TokenStore | None = None,
        *,
        options: TokenOptions | None = None,
        events: Events | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(ring, options=options, events=events, clock=clock, new_id=new_id)
        self.store: TokenStore = MemoryTokenStore() if store is None else store

    def decode(self, token: str, *, token_type: str = ACCESS, audience: str | None = None) -> TokenPayload:
        """Return what *token* says.

        Args:
            token: As it came.
            token_type: What it must be for.
            audience: Whom it must be for; that of the type when None.

        Raises:
            TokenExpiredError: Its time is over.
            TokenRevokedError: It was taken back, or used.
            InvalidTokenError: It is malformed, forged or for something else.
            ServiceUnavailableError: Whether it was taken back cannot be found out.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> tokens.decode(tokens.create_access_token(7)).user_id
            '7'
        """
        core = self._core
        opened = core.open(token, core.profile(token_type), audience)
        try:
            marks = self.store.marks(opened.names, now=core.clock())
        except Exception as exc:  # noqa: BLE001 - a store of somebody else's may raise anything
            self._without_store(token_type, exc)
            return opened.payload
        core.judge(opened, marks)
        return opened.payload

    def verify(
        self, token: object, *, token_type: str = ACCESS, audience: str | None = None
    ) -> TokenPayload | None:
        """Return what *token* says, or None when it is not accepted for whatever reason; never raises.

        The reason is told to who listens for :class:`TokenRefused`.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> TokenService(KeyRing([Key.generate("HS256")])).verify("junk") is None
            True
        """
        try:
            return self.decode(token, token_type=token_type, audience=audience)  # type: ignore[arg-type]
        except SharedError as exc:
            self._refused(token_type, exc)
            return None

    def create_refresh_token(
        self, user_id: UserId, email: str | None = None, *, expires_in: Life | None = None, **claims: Any
    ) -> str:
        """Return the first refresh token of a new family; change it with :meth:`rotate_refresh_token`.

        Args:
            user_id: Whose it is.
            email: Their address, kept by all successors.
            expires_in: Life of this one, in seconds.
            claims: More, as JSON, kept by all successors.

        Raises:
            InvalidArgumentError: An argument cannot be used.
            ServiceUnavailableError: The store does not answer.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> tokens.decode(tokens.create_refresh_token("u-1"), token_type="refresh")["gen"]
            0
        """
        more = {**claims, **({} if email is None else {"email": email})}
        return self._run(flows.start_family(self._core, user_id, more, expires_in))

    def rotate_refresh_token(self, token: str, *, client: str | None = None) -> str:
        """Return the successor of a refresh token, which cannot be used any more.

        Of callers that come at once, and of one that lost the answer and asks again
        within the grace, all get the same successor. Who comes later, or is another
        *client*, has a stolen token or met its thief: the whole family is revoked.

        Args:
            token: The refresh token.
            client: What tells one client from another, such as a device id or the user
                agent. Kept as a digest.

        Raises:
            TokenReuseError: It was used before; its family is revoked now.
            TokenRevokedError: The family, or all of the user's tokens, were taken back.
            TokenExpiredError: Its time is over, or that of the family.
            InvalidTokenError: It is no refresh token of ours.
            ServiceUnavailableError: The store does not answer.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> first = tokens.create_refresh_token("u-1")
            >>> second = tokens.rotate_refresh_token(first)
            >>> tokens.decode(second, token_type="refresh")["gen"]
            1
        """
        return self._run(flows.rotate(self._core, token, client))

    def consume(self, token: str, *, token_type: str, bound_to: str | None = None) -> TokenPayload:
        """Return what a token for one use says, and spend it.

        Args:
            token: As it came.
            token_type: ``"password_reset"`` or ``"email_verification"``.
            bound_to: As it was when the token was made.

        Raises:
            TokenReuseError: It was used before, or revoked.
            InvalidTokenError: As :meth:`decode`, or *bound_to* has changed.
            ServiceUnavailableError: The store does not answer.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> token = tokens.create_password_reset_token("u-1", bound_to="$2b$old-hash")
            >>> tokens.consume(token, token_type="password_reset", bound_to="$2b$old-hash").user_id
            'u-1'
        """
        return self._run(flows.consume(self._core, token, token_type, bound_to))

    def revoke(self, token: str) -> bool:
        """Take back a token; a refresh token with its whole family.

        Returns:
            Whether there was anything to take back: False for a token that has expired
            or is none of ours.

        Raises:
            ServiceUnavailableError: The store does not answer.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> token = tokens.create_access_token("u-1")
            >>> tokens.revoke(token), tokens.verify(token), tokens.revoke("junk")
            (True, None, False)
        """
        return self._run(flows.revoke(self._core, token))

    def revoke_all_for_user(self, user_id: UserId) -> None:
        """Take back every token that *user_id* has got until now; later ones are not concerned.

        Raises:
            InvalidArgumentError: *user_id* cannot be one.
            ServiceUnavailableError: The store does not answer.

        Example:
            >>> from shared.auth import Key, KeyRing
            >>> tokens = TokenService(KeyRing([Key.generate("HS256")]))
            >>> before = tokens.create_access_token("u-1")
            >>> tokens.revoke_all_for_user("u-1")
            >>> tokens.verify(before) is None, tokens.verify(tokens.create_access_token("u-1")) is None
            (True, False)
        """
        self._run(flows.revoke_user(self._core, user_id))

    def _run(self, flow: flows.Flow[T]) -> T:
        answer: Any = None
        while True:
            try:
                wanted = flow.send(answer)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(wanted, flows.Tell):
                self._emit(wanted.event)
                answer = None
                continue
            try:
                answer = getattr(self.store, wanted.method)(*wanted.arguments, **wanted.keywords)
            except Exception as exc:
                flow.close()
                raise unavailable(exc) from exc
