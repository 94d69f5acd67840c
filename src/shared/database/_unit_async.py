"""The asynchronous twin of a transaction; it decides with the same objects."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from shared.database._transaction import TransactionRetry, enter, running
from shared.database._unit import Attempt, outcome_of, refuse_block, tell_retry
from shared.errors import UnsupportedCallableError

if TYPE_CHECKING:
    from shared.database._core import Core

__all__ = ["AsyncTransaction"]

P = ParamSpec("P")
R = TypeVar("R")


class AsyncOpener(Protocol):
    """What a transaction needs of its database."""

    _core: "Core"

    def _open(self, isolation: str | None, *, read_only: bool) -> AsyncSession: ...


class AsyncTransaction:
    """One asynchronous transaction, or one description of many: see :meth:`AsyncDatabase.transaction`.

    Example:
        >>> import asyncio
        >>> from shared.database import Database
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         @db.aio.transaction(retry=3)
        ...         async def double(session, x):
        ...             return x * 2
        ...         print(await double(21))
        >>> asyncio.run(main())
        42
    """

    __slots__ = ("_blocks", "_database", "_isolation", "_policy", "_read_only", "_sleep")

    def __init__(
        self,
        database: AsyncOpener,
        isolation: str | None,
        policy: TransactionRetry,
        *,
        read_only: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._isolation = isolation
        self._policy = policy
        self._read_only = read_only
        self._sleep = sleep
        self._blocks: list[AbstractAsyncContextManager[AsyncSession]] = []

    async def run(
        self,
        work: "Callable[Concatenate[AsyncSession, P], Awaitable[R]]",
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Await ``work(session, *args, **kwargs)`` in a transaction; see :meth:`Transaction.run`.

        Example:
            >>> import asyncio
            >>> from shared.database import Database
            >>> async def work(session):
            ...     return session.sync_session.read_only
            >>> async def main() -> None:
            ...     async with Database("sqlite://") as db:
            ...         print(await db.aio.transaction(read_only=True).run(work))
            >>> asyncio.run(main())
            True
        """
        core = self._database._core  # noqa: SLF001 - its other half
        token = enter(core, self._policy)
        try:
            attempt = 0
            while True:
                attempt += 1
                state = Attempt()
                try:
                    async with self._once(state) as session:
                        return await work(session, *args, **kwargs)
                except Exception as exc:
                    reason = self._policy.reason(exc, attempt=attempt, committing=state.committing)
                    if reason is None:
                        raise
                wait = self._policy.wait(attempt)
                tell_retry(core, attempt, wait, reason)
                await self._sleep(wait)
        finally:
            running.reset(token)

    def __call__(
        self, function: "Callable[Concatenate[AsyncSession, P], Awaitable[R]]"
    ) -> "Callable[P, Awaitable[R]]":
        if not inspect.iscoroutinefunction(function):
            msg = "a plain function needs the synchronous database: @db.transaction()"
            raise UnsupportedCallableError(msg)

        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            return await self.run(function, *args, **kwargs)

        return run

    async def __aenter__(self) -> AsyncSession:
        refuse_block(self._policy, "await db.aio.transaction(retry=…).run(work)")
        block = self._once(Attempt())
        session = await block.__aenter__()
        self._blocks.append(block)
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._blocks.pop().__aexit__(kind, exc, trace)

    @asynccontextmanager
    async def _once(self, state: Attempt) -> AsyncIterator[AsyncSession]:
        database = self._database
        session = database._open(self._isolation, read_only=self._read_only)  # noqa: SLF001
        try:
            async with session:
                yield session
                await session.flush()  # what fails here was rolled back for certain
                state.committing = True
                await session.commit()
        except Exception as exc:
            ours = outcome_of(exc, state, where=database._core.where())  # noqa: SLF001
            if ours is None or ours is exc:
                raise
            raise ours from exc
