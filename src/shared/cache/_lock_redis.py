"""Locks of a whole fleet, in Redis or Valkey."""

import asyncio
import weakref
from typing import Any, Final

from shared.cache._redis import async_redis_client, redis_client, redis_errors
from shared.config import ConnectionUrl

__all__ = ["RedisLocks"]

# One hash holds owner, end and token; the line is a sorted set by the time of coming, and
# beside it one by the time until which the place is kept. All share a slot. Times are the
# server's, in microseconds. The token is never below the time, so that a hash that has
# been forgotten (it ends a day after the lock) does not begin anew with low numbers.
_CLOCK: Final = "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2]\n"
_DAY: Final = "86400000"
TAKE: Final = (
    _CLOCK
    + """
local lock, line, kept = KEYS[1], KEYS[2], KEYS[3]
local owner, ttl, patience = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', kept, '-inf', now)) do
  redis.call('ZREM', line, gone)
  redis.call('ZREM', kept, gone)
end
local state = redis.call('HMGET', lock, 'owner', 'until', 'token')
local first = redis.call('ZRANGE', line, 0, 0)[1]
if (not state[1] or tonumber(state[2]) <= now) and (not first or first == owner) then
  local token = math.max((tonumber(state[3]) or 0) + 1, now)
  local text = string.format('%.0f', token)
  redis.call('HSET', lock, 'owner', owner, 'until', string.format('%.0f', now + ttl), 'token', text)
  redis.call('PEXPIRE', lock, math.ceil(ttl / 1000) + """
    + _DAY
    + """)
  redis.call('ZREM', line, owner)
  redis.call('ZREM', kept, owner)
  return text
end
if patience > 0 then
  redis.call('ZADD', line, 'NX', now, owner)
  redis.call('ZADD', kept, now + patience, owner)
  redis.call('PEXPIRE', line, """
    + _DAY
    + """)
  redis.call('PEXPIRE', kept, """
    + _DAY
    + """)
end
return false
"""
)
RENEW: Final = (
    _CLOCK
    + """
local state = redis.call('HMGET', KEYS[1], 'owner', 'until')
if state[1] ~= ARGV[1] or tonumber(state[2]) <= now then return 0 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], math.ceil(ARGV[2] / 1000) + """
    + _DAY
    + """)
return 1
"""
)
GIVE_BACK: Final = (
    _CLOCK
    + """
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
local state = redis.call('HMGET', KEYS[1], 'owner', 'until')
if state[1] ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'owner', 'until')
if tonumber(state[2]) <= now then return 0 end
return 1
"""
)


class RedisLocks:
    """The store for a fleet: exclusive among all processes that name the same server.

    One round trip for each step; the clock is the server's. A server that loses its
    memory, or a replica that takes over before it has heard of a lock, lets two hold it:
    the one who came first has the lower token, and what checks tokens refuses it. Close
    it when done; each event loop closes its own connections with :meth:`aclose`.

    Args:
        url: As for :func:`redis_client`.
        prefix: Before every key, to share one server.
        timeout: Longest wait for an answer, in seconds.

    Raises:
        ConfigurationError: The URL is not one of Redis.

    Example:
        >>> store = RedisLocks("redis://:secret@127.0.0.1:6379/0", prefix="orders:")
        >>> store.shown
        'redis://:***@127.0.0.1:6379/0'
        >>> store.close()
    """

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        self._url = ConnectionUrl(url)
        self.shown: str = self._url.masked
        self._prefix = f"{prefix}lock:"
        self._keep: dict[str, Any] = {"timeout": timeout, "connect_timeout": timeout}
        self._client: Any = None if "+cluster" in url else redis_client(url, **self._keep)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def _keys(self, name: str) -> tuple[str, str, str]:
        base = f"{self._prefix}{{{name.replace('%', '%25').replace('}', '%7D')}}}"
        return base, f"{base}:line", f"{base}:kept"

    def take(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """See :meth:`LockStore.take`.

        Raises:
            ServiceUnavailableError: The server did not answer in time.
        """
        reply = self._run(TAKE, name, owner, _micro(ttl), _micro(patience))
        return None if reply is None else int(reply)

    def renew(self, name: str, owner: str, ttl: float) -> bool:
        """See :meth:`LockStore.renew`.

        Raises:
            ServiceUnavailableError: The server did not answer in time.
        """
        return bool(self._run(RENEW, name, owner, _micro(ttl)))

    def give_back(self, name: str, owner: str) -> bool:
        """See :meth:`LockStore.give_back`.

        Raises:
            ServiceUnavailableError: The server did not answer in time.
        """
        return bool(self._run(GIVE_BACK, name, owner))

    async def atake(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """As :meth:`take`, without blocking the event loop."""
        reply = await self._arun(TAKE, name, owner, _micro(ttl), _micro(patience))
        return None if reply is None else int(reply)

    async def arenew(self, name: str, owner: str, ttl: float) -> bool:
        """As :meth:`renew`, without blocking the event loop."""
        return bool(await self._arun(RENEW, name, owner, _micro(ttl)))

    async def agive_back(self, name: str, owner: str) -> bool:
        """As :meth:`give_back`, without blocking the event loop."""
        return bool(await self._arun(GIVE_BACK, name, owner))

    def close(self) -> None:
        """Close the connections of the threads."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop, and of the threads."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()
        self.close()

    def _run(self, script: str, name: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            if self._client is None:
                self._client = redis_client(self._url, **self._keep)
            return self._client.register_script(script)(keys=self._keys(name), args=arguments)

    async def _arun(self, script: str, name: str, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        with redis_errors(self._url):
            client = self._clients.get(loop)
            if client is None:
                client = self._clients[loop] = async_redis_client(self._url, **self._keep)
            return await client.register_script(script)(keys=self._keys(name), args=arguments)


def _micro(seconds: float) -> int:
    return int(seconds * 1_000_000)
