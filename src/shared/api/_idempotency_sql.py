"""Answered requests in the service's own SQL database."""

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from shared.cache import ReplayClaim, ReplayState, StoredAnswer

if TYPE_CHECKING:
    from shared.database import Database, IdempotencyLease

__all__ = ["DatabaseReplays"]

T = TypeVar("T")


class DatabaseReplays:
    """A store of answered requests in the table ``database_idempotency``; PostgreSQL or SQLite.

    Each call is a short transaction of its own. Rows are overwritten when their time is
    up; :meth:`shared.database.IdempotencyStore.purge` deletes what nobody asked for again.

    Args:
        database: Where, or a function that says it at the first use; it is not closed.

    In an event loop it works in a thread.

    Example:
        >>> from shared.database import Database, IdempotencyKey
        >>> database = Database("sqlite://")
        >>> IdempotencyKey.__table__.create(database.engine)
        >>> store = DatabaseReplays(database)
        >>> [str(store.begin("u-1", "k-1", "f", lease=60.0).state) for _ in range(2)]
        ['started', 'busy']
        >>> database.close()
    """

    shown: str = "the service's database"

    def __init__(self, database: "Database | Callable[[], Database]") -> None:
        from shared.database import IdempotencyLeases

        self._database = database if callable(database) else lambda: database
        self._leases = IdempotencyLeases()

    def begin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """Claim a key; see :meth:`shared.cache.ReplayStore.begin`."""
        return _claim(
            self._run(lambda session: self._leases.begin(session, key, fingerprint, scope=scope, lease=lease))
        )

    async def abegin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """As :meth:`begin`, without blocking the event loop."""
        return await asyncio.to_thread(self.begin, scope, key, fingerprint, lease=lease)

    def finish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """Keep the answer; see :meth:`shared.cache.ReplayStore.finish`."""
        kept, proof = None if answer is None else answer.dump(), uuid.UUID(token)
        return self._run(
            lambda session: self._leases.finish(session, key, fingerprint, proof, kept, scope=scope, ttl=ttl)
        )

    async def afinish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """As :meth:`finish`, without blocking the event loop."""
        return await asyncio.to_thread(self.finish, scope, key, fingerprint, token, answer, ttl=ttl)

    def abandon(self, scope: str, key: str, token: str) -> None:
        """Give the key back; see :meth:`shared.cache.ReplayStore.abandon`."""
        proof = uuid.UUID(token)
        self._run(lambda session: self._leases.abandon(session, key, proof, scope=scope))

    async def aabandon(self, scope: str, key: str, token: str) -> None:
        """As :meth:`abandon`, without blocking the event loop."""
        await asyncio.to_thread(self.abandon, scope, key, token)

    def _run(self, work: Callable[[Any], T]) -> T:
        with self._database().transaction() as session:
            return work(session)

    def close(self) -> None:
        """Do nothing: the database is its owner's."""

    async def aclose(self) -> None:
        """Do nothing: the database is its owner's."""


def _claim(lease: "IdempotencyLease") -> ReplayClaim:
    state = ReplayState(lease.state)
    answer = StoredAnswer.load(lease.response) if lease.response else None
    token = "" if lease.token is None else str(lease.token)
    return ReplayClaim(state, token, answer, lease.retry_after)
