"""What is remembered of tokens, in Redis or Valkey: one key for each mark and family.

Every command is about one key, so a cluster serves it. Lives are relative: the server's
clock ends them, whatever the callers' clocks say.
"""

import asyncio
import math
import weakref
from collections.abc import Sequence
from typing import Any, Final

from shared.auth._token_store import Advance, Family
from shared.cache import async_redis_client, redis_client, redis_errors
from shared.config import ConnectionUrl

__all__ = ["AsyncRedisTokenStore", "RedisTokenStore"]

# Value, milliseconds to live. A larger value, and a longer life, that are there stay.
_MARK: Final = """
local value, life = ARGV[1], tonumber(ARGV[2])
local old = redis.call('GET', KEYS[1])
if old then
  if tonumber(old) > tonumber(value) then value = old end
  life = math.max(life, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], value, 'PX', life)
return 1
"""
_BEGIN: Final = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'generation', 0, 'rotated', '0', 'sealed', '', 'client', '', 'revoked', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
# Generation expected, the next one, moment, sealed successor, client.
_ADVANCE: Final = """
local found = redis.call('HMGET', KEYS[1], 'generation', 'rotated', 'sealed', 'client', 'revoked')
if not found[1] then return {0} end
if found[5] ~= '0' or found[1] ~= ARGV[1] then
  return {0, found[1], found[2], found[3], found[4], found[5]}
end
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'rotated', ARGV[3], 'sealed', ARGV[4], 'client', ARGV[5])
return {1}
"""
_END: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'revoked', 1, 'sealed', '')
end
return 1
"""


class _Keys:
    """What both stores have: where the server is, and how things are spelled there."""

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        self._url = ConnectionUrl(url)
        self._prefix = prefix + "auth:"
        self._timeout = timeout

    def _key(self, name: str) -> str:
        # The part in braces decides the slot of a cluster.
        return f"{self._prefix}{{{name}}}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url.masked!r})"


class RedisTokenStore(_Keys):
    """A token store in Redis or Valkey, shared by all processes that use the server.

    The server must not evict keys before their time (``maxmemory-policy noeviction``),
    and should write to disk: what it forgets counts as never taken back. Close it when
    done.

    Args:
        url: As for :func:`shared.cache.redis_client`, of a cluster as well.
        prefix: Before every key, to share one server.
        timeout: Longest wait for the server, in seconds.

    Raises:
        ConfigurationError: The URL is not one of Redis.
        MissingDependencyError: redis is not installed.

    Example:
        >>> store = RedisTokenStore("redis://:secret@127.0.0.1:6379/0")
        >>> store
        RedisTokenStore('redis://:***@127.0.0.1:6379/0')
        >>> store.close()
    """

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        super().__init__(url, prefix=prefix, timeout=timeout)
        # A cluster's client asks for the layout at once: only a call may wait for that.
        self._client: Any = None if "+cluster" in url else redis_client(url, timeout=timeout)

    def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """See :meth:`TokenStore.marks`."""
        del now
        with redis_errors(self._url):
            pipeline = self._connected().pipeline(transaction=False)
            for name in names:
                pipeline.get(self._key(name))
            return [_number(value) for value in pipeline.execute()]

    def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.mark`."""
        self._run(_MARK, name, repr(value), _life(now, until))

    def claim(self, name: str, *, now: float, until: float) -> bool:
        """See :meth:`TokenStore.claim`."""
        with redis_errors(self._url):
            return bool(self._connected().set(self._key(name), repr(now), nx=True, px=_life(now, until)))

    def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.begin_family`."""
        self._run(_BEGIN, f"family:{family_id}", _life(now, until))

    def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """See :meth:`TokenStore.advance_family`."""
        answer = self._run(
            _ADVANCE, f"family:{family_id}", generation, generation + 1, repr(now), sealed, client
        )
        return _advance(answer, Family(generation + 1, now, sealed, client))

    def end_family(self, family_id: str, *, now: float) -> None:
        """See :meth:`TokenStore.end_family`."""
        del now
        self._run(_END, f"family:{family_id}")

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

    def _run(self, script: str, name: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            # Sent by its digest; loaded by redis-py when the server does not know it.
            return self._connected().register_script(script)(keys=[self._key(name)], args=arguments)


class AsyncRedisTokenStore(_Keys):
    """A :class:`RedisTokenStore` for asynchronous code; both know the same.

    Each event loop has connections of its own, closed by :meth:`close` in it.

    Args:
        url: As :class:`RedisTokenStore`.
        prefix: As :class:`RedisTokenStore`.
        timeout: As :class:`RedisTokenStore`.

    Example:
        >>> AsyncRedisTokenStore("redis://:secret@127.0.0.1:6379/0")
        AsyncRedisTokenStore('redis://:***@127.0.0.1:6379/0')
    """

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        super().__init__(url, prefix=prefix, timeout=timeout)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    async def marks(self, names: Sequence[str], *, now: float) -> Sequence[float | None]:
        """See :meth:`TokenStore.marks`."""
        del now
        with redis_errors(self._url):
            pipeline = self._connected().pipeline(transaction=False)
            for name in names:
                pipeline.get(self._key(name))
            return [_number(value) for value in await pipeline.execute()]

    async def mark(self, name: str, value: float, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.mark`."""
        await self._run(_MARK, name, repr(value), _life(now, until))

    async def claim(self, name: str, *, now: float, until: float) -> bool:
        """See :meth:`TokenStore.claim`."""
        with redis_errors(self._url):
            client = self._connected()
            return bool(await client.set(self._key(name), repr(now), nx=True, px=_life(now, until)))

    async def begin_family(self, family_id: str, *, now: float, until: float) -> None:
        """See :meth:`TokenStore.begin_family`."""
        await self._run(_BEGIN, f"family:{family_id}", _life(now, until))

    async def advance_family(
        self, family_id: str, *, generation: int, sealed: str, client: str, now: float
    ) -> Advance:
        """See :meth:`TokenStore.advance_family`."""
        answer = await self._run(
            _ADVANCE, f"family:{family_id}", generation, generation + 1, repr(now), sealed, client
        )
        return _advance(answer, Family(generation + 1, now, sealed, client))

    async def end_family(self, family_id: str, *, now: float) -> None:
        """See :meth:`TokenStore.end_family`."""
        del now
        await self._run(_END, f"family:{family_id}")

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

    async def _run(self, script: str, name: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            return await self._connected().register_script(script)(keys=[self._key(name)], args=arguments)


def _life(now: float, until: float) -> int:
    """Return how long, in whole milliseconds, at least one."""
    return max(1, math.ceil((until - now) * 1000))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _advance(answer: Any, wanted: Family) -> Advance:
    if int(answer[0]):
        return Advance(won=True, family=wanted)
    if len(answer) == 1:
        return Advance(won=False, family=None)
    generation, rotated, sealed, client, revoked = answer[1:]
    family = Family(int(generation), float(rotated), _text(sealed), _text(client), int(revoked) != 0)
    return Advance(won=False, family=family)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
