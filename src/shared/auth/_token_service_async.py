"""Tokens of one issuer, for asynchronous code: the same steps as ``TokenService``, awaited."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from shared.auth import _token_flows as flows
from shared.auth._jws import peek_header
from shared.auth._key_ring import KeySource
from shared.auth._token_core import UserId
from shared.auth._token_maker import Life, TokenMaker, unavailable
from shared.auth._token_payload import TokenPayload
from shared.auth._token_profile import ACCESS, TokenOptions
from shared.auth._token_store import Advance, AsyncTokenStore, MemoryTokenStore
from shared.errors import InvalidTokenError, SharedError
from shared.runtime import Events

__all__ = ["AsyncMemoryTokenStore", "AsyncTokenService"]

T = TypeVar("T")


class AsyncMemoryTokenStore:
    """A :class:`MemoryTokenStore` behind awaits; give it one to share with threads.

    Args:
        store: Where things are kept; a new one when None.

    Example:
        >>> import asyncio
        >>> asyncio.run(AsyncMemoryTokenStore().claim("a", now=0.0, until=60.0))
        True
    """

    def __init__(self, store: MemoryTokenStore | None = None) -> None:
        self._store = MemoryTokenStore() if store is None else store

    async def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """See :meth:`MemoryTokenStore.marks`."""
        return self._store.marks(names, now=now)

    async def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """See :meth:`MemoryTokenStore.mark`."""
        self._store.mark(name, value, now=now, until=until)

    async def claim(self, name: str, *, now: float, until: float) -> bool:
        """See :meth:`MemoryTokenStore.claim`."""
        return self._store.claim(name, now=now, until=until)

    async def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """See :meth:`MemoryTokenStore.begin_family`."""
        self._store.begin_family(family_id, now=now, until=until)

    async def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """See :meth:`MemoryTokenStore.advance_family`."""
        return self._store.advance_family(
            family_id, generation=generation, sealed=sealed, client=client, now=now
        )

    async def end_family(self, family_id: str, *, now: float) -> None:
        """See :meth:`MemoryTokenStore.end_family`."""
        self._store.end_family(family_id, now=now)

    async def purge(self, *, now: float) -> int:
        """See :meth:`MemoryTokenStore.purge`."""
        return self._store.purge(now=now)


class AsyncTokenService(TokenMaker):
    """Tokens of one issuer, for asynchronous code.

    Args:
        ring: As :class:`TokenService`.
        store: What was taken back or used; of this process alone when None.
        options: As :class:`TokenService`.
        events: As :class:`TokenService`.
        clock: As :class:`TokenService`.
        new_id: As :class:`TokenService`.

    Example:
        >>> import asyncio
        >>> from shared.auth import Key, KeyRing
        >>> async def main() -> None:
        ...     tokens = AsyncTokenService(KeyRing([Key.generate("ES256")]))
        ...     payload = await tokens.verify(tokens.create_access_token("u-1"))
        ...     print(payload["user_id"])
        >>> asyncio.run(main())
        u-1
    """

    def __init__(
        self,
        ring: KeySource,
        store: AsyncTokenStore | None = None,
        *,
        options: TokenOptions | None = None,
        events: Events | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(ring, options=options, events=events, clock=clock, new_id=new_id)
        self.store: AsyncTokenStore = AsyncMemoryTokenStore() if store is None else store

    async def decode(
        self, token: str, *, token_type: str = ACCESS, audience: str | None = None
    ) -> TokenPayload:
        """See :meth:`TokenService.decode`."""
        core = self._core
        profile = core.profile(token_type)
        await self._prepare(token)
        opened = core.open(token, profile, audience)
        try:
            marks = await self.store.marks(opened.names, now=core.clock())
        except Exception as exc:  # noqa: BLE001 - a store of somebody else's may raise anything
            self._without_store(token_type, exc)
            return opened.payload
        core.judge(opened, marks)
        return opened.payload

    async def verify(
        self, token: object, *, token_type: str = ACCESS, audience: str | None = None
    ) -> TokenPayload | None:
        """See :meth:`TokenService.verify`."""
        try:
            return await self.decode(token, token_type=token_type, audience=audience)  # type: ignore[arg-type]
        except SharedError as exc:
            self._refused(token_type, exc)
            return None

    async def create_refresh_token(
        self, user_id: UserId, email: str | None = None, *, expires_in: Life | None = None, **claims: Any
    ) -> str:
        """See :meth:`TokenService.create_refresh_token`."""
        more = {**claims, **({} if email is None else {"email": email})}
        return await self._run(flows.start_family(self._core, user_id, more, expires_in))

    async def rotate_refresh_token(self, token: str, *, client: str | None = None) -> str:
        """See :meth:`TokenService.rotate_refresh_token`."""
        await self._prepare(token)
        return await self._run(flows.rotate(self._core, token, client))

    async def consume(self, token: str, *, token_type: str, bound_to: str | None = None) -> TokenPayload:
        """See :meth:`TokenService.consume`."""
        await self._prepare(token)
        return await self._run(flows.consume(self._core, token, token_type, bound_to))

    async def revoke(self, token: str) -> bool:
        """See :meth:`TokenService.revoke`."""
        try:
            await self._prepare(token)
        except InvalidTokenError:
            return False
        return await self._run(flows.revoke(self._core, token))

    async def revoke_all_for_user(self, user_id: UserId) -> None:
        """See :meth:`TokenService.revoke_all_for_user`."""
        await self._run(flows.revoke_user(self._core, user_id))

    async def _prepare(self, token: object) -> None:
        """Let a source of keys that are elsewhere fetch them without blocking."""
        source = self._core.source
        if not source.is_local:
            await source.aprepare(peek_header(token).get("kid"))

    async def _run(self, flow: flows.Flow[T]) -> T:
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
                answer = await getattr(self.store, wanted.method)(*wanted.arguments, **wanted.keywords)
            except Exception as exc:
                flow.close()
                raise unavailable(exc) from exc
