"""API keys and sessions in Redis or Valkey: one hash for each record, one index for each owner.

Every command is about one key, so a cluster serves it. The index is written before the
record and may name records that are gone; what it lacks does not exist.
"""

import asyncio
import json
import math
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.auth._record_store import Record, RecordKind
from shared.cache import async_redis_client, redis_client, redis_errors
from shared.config import ConnectionUrl

__all__ = ["AsyncRedisRecordStore", "RedisRecordStore"]

# Version that must be there ('' for none), new version, owner, data, created, expires, touched,
# milliseconds since 1970 at which it ends ('' for never).
_WRITE: Final = """
local version = redis.call('HGET', KEYS[1], 'version')
if ARGV[1] == '' then
  if version then return 0 end
elseif version ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'owner', ARGV[3], 'data', ARGV[4], 'created', ARGV[5],
  'expires', ARGV[6], 'touched', ARGV[7])
if ARGV[8] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIREAT', KEYS[1], ARGV[8]) end
return 1
"""
# Only a record that is there, and only forward.
_TOUCH: Final = """
local touched = redis.call('HGET', KEYS[1], 'touched')
if touched and (touched == '' or tonumber(touched) < tonumber(ARGV[1])) then
  redis.call('HSET', KEYS[1], 'touched', ARGV[1])
end
return 1
"""
# Member, milliseconds at which it ends ('' for never): the index lives as long as its longest member.
_INDEX: Final = """
local score = ARGV[2] == '' and '+inf' or ARGV[2]
redis.call('ZADD', KEYS[1], score, ARGV[1])
local longest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if longest == 'inf' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIREAT', KEYS[1], longest) end
return 1
"""
_FIELDS: Final = ("owner", "data", "version", "created", "expires", "touched")


class _Layout:
    """How records are spelled on the server."""

    def __init__(self, url: str, kind: RecordKind, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        self._url = ConnectionUrl(url)
        self._prefix = f"{prefix}auth:{kind}:"
        self._timeout = timeout

    def _key(self, record_id: str) -> str:
        # The part in braces decides the slot of a cluster.
        return f"{self._prefix}{{{record_id}}}"

    def _index(self, owner: str) -> str:
        return f"{self._prefix}of:{{{owner}}}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url.masked!r})"


class RedisRecordStore(_Layout):
    """A store in Redis or Valkey, shared by all processes that use the server.

    The server should write to disk and must not evict keys before their time
    (``maxmemory-policy noeviction``). Close it when done.

    Args:
        url: As for :func:`shared.cache.redis_client`, of a cluster as well.
        kind: ``"api_key"`` or ``"session"``.
        prefix: Before every key, to share one server.
        timeout: Longest wait for the server, in seconds.

    Raises:
        ConfigurationError: The URL is not one of Redis.
        MissingDependencyError: redis is not installed.

    Example:
        >>> store = RedisRecordStore("redis://:secret@127.0.0.1:6379/0", "session")
        >>> store
        RedisRecordStore('redis://:***@127.0.0.1:6379/0')
        >>> store.close()
    """

    def __init__(self, url: str, kind: RecordKind, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        super().__init__(url, kind, prefix=prefix, timeout=timeout)
        # A cluster's client asks for the layout at once: only a call may wait for that.
        self._client: Any = None if "+cluster" in url else redis_client(url, timeout=timeout)

    def get(self, record_id: str, *, now: float) -> Record | None:
        """See :meth:`RecordStore.get`."""
        with redis_errors(self._url):
            return _record(record_id, self._connected().hmget(self._key(record_id), _FIELDS), now)

    def insert(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.insert`."""
        del now
        self._run(_INDEX, self._index(record.owner), record.id, _ends(record))
        return bool(self._run(_WRITE, self._key(record.id), *_arguments("", 1, record)))

    def change(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.change`."""
        del now
        self._run(_INDEX, self._index(record.owner), record.id, _ends(record))
        arguments = _arguments(record.version, record.version + 1, record)
        return bool(self._run(_WRITE, self._key(record.id), *arguments))

    def delete(self, record_id: str) -> bool:
        """See :meth:`RecordStore.delete`."""
        with redis_errors(self._url):
            client = self._connected()
            owner = client.hget(self._key(record_id), "owner")
            gone = bool(client.delete(self._key(record_id)))
            if owner is not None:
                client.zrem(self._index(_text(owner)), record_id)
            return gone

    def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """See :meth:`RecordStore.of_owner`."""
        with redis_errors(self._url):
            client = self._connected()
            client.zremrangebyscore(self._index(owner), "-inf", now * 1000)
            ids = [_text(each) for each in client.zrange(self._index(owner), 0, -1)]
            pipeline = client.pipeline(transaction=False)
            for each in ids:
                pipeline.hmget(self._key(each), _FIELDS)
            return _sorted(ids, pipeline.execute() if ids else (), owner, now)

    def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """See :meth:`RecordStore.delete_of_owner`."""
        with redis_errors(self._url):
            ids = [_text(each) for each in self._connected().zrange(self._index(owner), 0, -1)]
        return sum(self.delete(each) for each in ids if each != keep)

    def touch(self, moments: Mapping[str, float]) -> None:
        """See :meth:`RecordStore.touch`."""
        for record_id, at in moments.items():
            self._run(_TOUCH, self._key(record_id), repr(at))

    def purge(self, *, now: float) -> int:
        """Return 0: the server forgets by itself."""
        del now
        return 0

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> Any:
        client = self._client
        if client is None:
            client = self._client = redis_client(self._url, timeout=self._timeout)
        return client

    def _run(self, script: str, key: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            return self._connected().register_script(script)(keys=[key], args=arguments)


class AsyncRedisRecordStore(_Layout):
    """A :class:`RedisRecordStore` for asynchronous code; both know the same.

    Each event loop has connections of its own, closed by :meth:`close` in it.

    Args:
        url: As :class:`RedisRecordStore`.
        kind: As :class:`RedisRecordStore`.
        prefix: As :class:`RedisRecordStore`.
        timeout: As :class:`RedisRecordStore`.

    Example:
        >>> AsyncRedisRecordStore("redis://:secret@127.0.0.1:6379/0", "session")
        AsyncRedisRecordStore('redis://:***@127.0.0.1:6379/0')
    """

    def __init__(self, url: str, kind: RecordKind, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        super().__init__(url, kind, prefix=prefix, timeout=timeout)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    async def get(self, record_id: str, *, now: float) -> Record | None:
        """See :meth:`RecordStore.get`."""
        with redis_errors(self._url):
            return _record(record_id, await self._connected().hmget(self._key(record_id), _FIELDS), now)

    async def insert(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.insert`."""
        del now
        await self._run(_INDEX, self._index(record.owner), record.id, _ends(record))
        return bool(await self._run(_WRITE, self._key(record.id), *_arguments("", 1, record)))

    async def change(self, record: Record, *, now: float) -> bool:
        """See :meth:`RecordStore.change`."""
        del now
        await self._run(_INDEX, self._index(record.owner), record.id, _ends(record))
        arguments = _arguments(record.version, record.version + 1, record)
        return bool(await self._run(_WRITE, self._key(record.id), *arguments))

    async def delete(self, record_id: str) -> bool:
        """See :meth:`RecordStore.delete`."""
        with redis_errors(self._url):
            client = self._connected()
            owner = await client.hget(self._key(record_id), "owner")
            gone = bool(await client.delete(self._key(record_id)))
            if owner is not None:
                await client.zrem(self._index(_text(owner)), record_id)
            return gone

    async def of_owner(self, owner: str, *, now: float) -> Sequence[Record]:
        """See :meth:`RecordStore.of_owner`."""
        with redis_errors(self._url):
            client = self._connected()
            await client.zremrangebyscore(self._index(owner), "-inf", now * 1000)
            ids = [_text(each) for each in await client.zrange(self._index(owner), 0, -1)]
            pipeline = client.pipeline(transaction=False)
            for each in ids:
                pipeline.hmget(self._key(each), _FIELDS)
            return _sorted(ids, await pipeline.execute() if ids else (), owner, now)

    async def delete_of_owner(self, owner: str, *, keep: str | None = None) -> int:
        """See :meth:`RecordStore.delete_of_owner`."""
        with redis_errors(self._url):
            ids = [_text(each) for each in await self._connected().zrange(self._index(owner), 0, -1)]
        return sum([await self.delete(each) for each in ids if each != keep])

    async def touch(self, moments: Mapping[str, float]) -> None:
        """See :meth:`RecordStore.touch`."""
        for record_id, at in moments.items():
            await self._run(_TOUCH, self._key(record_id), repr(at))

    async def purge(self, *, now: float) -> int:
        """Return 0: the server forgets by itself."""
        del now
        return 0

    async def close(self) -> None:
        """Close the connections of this event loop; the next call opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _connected(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = async_redis_client(self._url, timeout=self._timeout)
        return client

    async def _run(self, script: str, key: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            return await self._connected().register_script(script)(keys=[key], args=arguments)


def _ends(record: Record) -> str:
    return "" if record.expires_at is None else str(math.ceil(record.expires_at * 1000))


def _arguments(expected: object, version: int, record: Record) -> tuple[str, ...]:
    return (
        str(expected),
        str(version),
        record.owner,
        json.dumps(dict(record.data)),
        repr(record.created_at),
        "" if record.expires_at is None else repr(record.expires_at),
        "" if record.touched_at is None else repr(record.touched_at),
        _ends(record),
    )


def _record(record_id: str, values: Sequence[Any], now: float) -> Record | None:
    if values[0] is None or values[2] is None:
        return None
    owner, data, version, created, expires, touched = map(_text, values)
    record = Record(
        record_id, owner, json.loads(data), int(version), float(created), _moment(expires), _moment(touched)
    )
    return None if record.is_over(now) else record


def _sorted(ids: Sequence[str], rows: Sequence[Any], owner: str, now: float) -> list[Record]:
    found = [_record(record_id, row, now) for record_id, row in zip(ids, rows, strict=True)]
    mine = [record for record in found if record is not None and record.owner == owner]
    return sorted(mine, key=lambda record: (record.created_at, record.id))


def _moment(text: str) -> float | None:
    return float(text) if text else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
