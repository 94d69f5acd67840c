"""Memory of accepted webhooks that several processes share: in SQL, in Redis."""

import asyncio
import hashlib
import math
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from shared.auth._token_store_sql import claim_mark
from shared.auth._token_tables import TokenMark
from shared.cache import async_redis_client, redis_client, redis_errors
from shared.config import ConnectionUrl
from shared.errors import InvalidArgumentError

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncRedisWebhookReplays", "AsyncSqlWebhookReplays", "RedisWebhookReplays", "SqlWebhookReplays"]


class SqlWebhookReplays:
    """A ``replay_store`` for :func:`shared.security.verify_webhook` in SQLite or PostgreSQL.

    Of processes that share the database, one accepts a delivery. Each call is a
    transaction of its own. Needs the table :class:`TokenMark`.

    Args:
        database: Where the table is.
        clock: Seconds since 1970.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...     store = SqlWebhookReplays(db)
        ...     store.claim(["a"], ttl=60.0), store.claim(["a", "b"], ttl=60.0), store.claim(["b"], ttl=60.0)
        (True, False, True)
    """

    def __init__(self, database: "Database", *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """Remember *keys* for *ttl* seconds; False, and nothing remembered, when one of them is."""
        try:
            with self._database.transaction() as session:
                _claim_all(session, keys, self._clock(), _life(ttl))
        except _Known:
            return False
        return True

    def release(self, keys: Sequence[str]) -> None:
        """Forget *keys*, so that they can be claimed again."""
        with self._database.transaction() as session:
            _release_all(session, keys)


class AsyncSqlWebhookReplays:
    """A :class:`SqlWebhookReplays` for :func:`shared.security.averify_webhook`.

    Args:
        database: Where the table is.
        clock: Seconds since 1970.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...         print(await AsyncSqlWebhookReplays(db).claim(["a"], ttl=60.0))
        >>> asyncio.run(main())
        True
    """

    def __init__(self, database: "Database", *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """See :meth:`SqlWebhookReplays.claim`."""
        try:
            async with self._database.aio.transaction() as session:
                await session.run_sync(_claim_all, keys, self._clock(), _life(ttl))
        except _Known:
            return False
        return True

    async def release(self, keys: Sequence[str]) -> None:
        """See :meth:`SqlWebhookReplays.release`."""
        async with self._database.aio.transaction() as session:
            await session.run_sync(_release_all, keys)


class _Known(Exception):  # noqa: N818 - ends a transaction; nobody sees it
    """A key is remembered: nothing of the claim may stay."""


def _claim_all(session: Session, keys: Sequence[str], now: float, ttl: float) -> None:
    # In one order: two claims of the same keys wait for each other and never in a circle.
    for name in sorted(set(map(_name, keys))):
        if not claim_mark(name, now, now + ttl)(session):
            raise _Known


def _release_all(session: Session, keys: Sequence[str]) -> None:
    session.execute(delete(TokenMark).where(TokenMark.name.in_(list(map(_name, keys)))))


def _name(key: str) -> str:
    return f"seen:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _life(ttl: float) -> float:
    if not 0 < ttl < math.inf:
        msg = f"ttl is seconds above 0, got {ttl!r}"
        raise InvalidArgumentError(msg)
    return float(ttl)


# --- Redis -----------------------------------------------------------------------------------

_CLAIM: Final = """
for _, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then return 0 end
end
for _, key in ipairs(KEYS) do
  redis.call('SET', key, '1', 'PX', ARGV[1])
end
return 1
"""
# Nothing is claimed by a script without keys, and a cluster would not know where to run it.
_FORGET: Final = "return redis.call('DEL', unpack(KEYS))"


class _Place:
    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        self._url = ConnectionUrl(url)
        self._prefix = prefix
        self._timeout = timeout

    def _keys(self, keys: Sequence[str]) -> list[str]:
        # One slot of a cluster for all of them: a claim is all or nothing.
        return [f"{self._prefix}{{webhooks}}:{_name(key)}" for key in dict.fromkeys(keys)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url.masked!r})"


class RedisWebhookReplays(_Place):
    """A ``replay_store`` for :func:`shared.security.verify_webhook` in Redis or Valkey.

    The server must not evict keys before their time. Close it when done.

    Args:
        url: As for :func:`shared.cache.redis_client`, of a cluster as well.
        prefix: Before every key, to share one server.
        timeout: Longest wait for the server, in seconds.

    Example:
        >>> store = RedisWebhookReplays("redis://:secret@127.0.0.1:6379/0")
        >>> store
        RedisWebhookReplays('redis://:***@127.0.0.1:6379/0')
        >>> store.close()
    """

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        super().__init__(url, prefix=prefix, timeout=timeout)
        self._client: Any = None

    def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """Remember *keys* for *ttl* seconds; False, and nothing remembered, when one of them is."""
        life = math.ceil(_life(ttl) * 1000)
        return not keys or bool(self._run(_CLAIM, keys, life))

    def release(self, keys: Sequence[str]) -> None:
        """Forget *keys*, so that they can be claimed again."""
        if keys:
            self._run(_FORGET, keys)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _run(self, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        with redis_errors(self._url):
            if self._client is None:
                self._client = redis_client(self._url, timeout=self._timeout)
            return self._client.register_script(script)(keys=self._keys(keys), args=arguments)


class AsyncRedisWebhookReplays(_Place):
    """A :class:`RedisWebhookReplays` for :func:`shared.security.averify_webhook`.

    Each event loop has connections of its own, closed by :meth:`close` in it.

    Args:
        url: As :class:`RedisWebhookReplays`.
        prefix: As :class:`RedisWebhookReplays`.
        timeout: As :class:`RedisWebhookReplays`.

    Example:
        >>> AsyncRedisWebhookReplays("redis://:secret@127.0.0.1:6379/0")
        AsyncRedisWebhookReplays('redis://:***@127.0.0.1:6379/0')
    """

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        super().__init__(url, prefix=prefix, timeout=timeout)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    async def claim(self, keys: Sequence[str], *, ttl: float) -> bool:
        """See :meth:`RedisWebhookReplays.claim`."""
        life = math.ceil(_life(ttl) * 1000)
        return not keys or bool(await self._run(_CLAIM, keys, life))

    async def release(self, keys: Sequence[str]) -> None:
        """See :meth:`RedisWebhookReplays.release`."""
        if keys:
            await self._run(_FORGET, keys)

    async def close(self) -> None:
        """Close the connections of this event loop; the next call opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def _run(self, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        with redis_errors(self._url):
            loop = asyncio.get_running_loop()
            client = self._clients.get(loop)
            if client is None:
                client = self._clients[loop] = async_redis_client(self._url, timeout=self._timeout)
            return await client.register_script(script)(keys=self._keys(keys), args=arguments)
