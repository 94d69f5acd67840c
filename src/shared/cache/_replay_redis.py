"""Answered requests of a fleet, in Redis or Valkey."""

import asyncio
import hashlib
import secrets
import weakref
from typing import Any, Final

from shared.cache._redis import async_redis_client, redis_client, redis_errors
from shared.cache._replay_types import ReplayClaim, ReplayState, StoredAnswer, done
from shared.security import mask_url

__all__ = ["RedisReplays"]

# A record under way lives as long as its lease, by the server's clock: when it is gone,
# the next one begins.
_BEGIN: Final = """
local mark, token, is_done, answer = unpack(redis.call('HMGET', KEYS[1], 'f', 't', 'd', 'a'))
if not mark then
  redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', ARGV[2], 'd', '0')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'started'}
end
if mark ~= ARGV[1] then return {'other'} end
if is_done == '1' then return {'done', answer} end
return {'busy', redis.call('PTTL', KEYS[1])}
"""
_FINISH: Final = """
local token, is_done = unpack(redis.call('HMGET', KEYS[1], 't', 'd'))
if token and (token ~= ARGV[2] or is_done == '1') then return 0 end
redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', ARGV[2], 'd', '1', 'a', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
_ABANDON: Final = """
local token, is_done = unpack(redis.call('HMGET', KEYS[1], 't', 'd'))
if token == ARGV[1] and is_done == '0' then redis.call('DEL', KEYS[1]) end
return 1
"""


class RedisReplays:
    """The store for a fleet: one round trip each, by the server's clock, cluster-safe.

    Answers are as durable as the server keeps them: for exactly once, across a crash of
    everything, write the key in the transaction of the work itself.

    Args:
        url: As for :func:`redis_client`.
        prefix: Before every key, to share one server.
        timeout: Longest wait for a connection and for the answer, each, in seconds.

    Connects with the first request. Close it when done; each event loop closes its own
    connections with :meth:`aclose`.

    Raises:
        ConfigurationError: The URL is not one of Redis.
        InvalidArgumentError: *timeout* is not seconds above 0.

    Example:
        >>> store = RedisReplays("redis://:secret@127.0.0.1:6379/0")
        >>> store.shown
        'redis://:***@127.0.0.1:6379/0'
        >>> store.close()
    """

    def __init__(self, url: str, *, prefix: str = "shared:", timeout: float = 1.0) -> None:
        self._url = url
        self.shown: str = mask_url(url)
        self._prefix = prefix + "replay:"
        self._keep: dict[str, Any] = {"timeout": timeout, "connect_timeout": timeout}
        self._client: Any = None if "+cluster" in url else redis_client(url, **self._keep)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def begin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """Claim a key; see :meth:`ReplayStore.begin`.

        Raises:
            SharedError: The server does not answer, or refuses.
        """
        token = secrets.token_hex(16)
        return _claim(self._run(_BEGIN, scope, key, fingerprint, token, _ms(lease)), token)

    async def abegin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """As :meth:`begin`, without blocking the event loop."""
        token = secrets.token_hex(16)
        return _claim(await self._arun(_BEGIN, scope, key, fingerprint, token, _ms(lease)), token)

    def finish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """Keep the answer; see :meth:`ReplayStore.finish`.

        Raises:
            SharedError: The server does not answer, or refuses.
        """
        kept = "" if answer is None else answer.dump()
        return bool(self._run(_FINISH, scope, key, fingerprint, token, kept, _ms(ttl)))

    async def afinish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """As :meth:`finish`, without blocking the event loop."""
        kept = "" if answer is None else answer.dump()
        return bool(await self._arun(_FINISH, scope, key, fingerprint, token, kept, _ms(ttl)))

    def abandon(self, scope: str, key: str, token: str) -> None:
        """Give the key back; see :meth:`ReplayStore.abandon`.

        Raises:
            SharedError: The server does not answer, or refuses.
        """
        self._run(_ABANDON, scope, key, token)

    async def aabandon(self, scope: str, key: str, token: str) -> None:
        """As :meth:`abandon`, without blocking the event loop."""
        await self._arun(_ABANDON, scope, key, token)

    # -- inside ------------------------------------------------------------------------

    def _name(self, scope: str, key: str) -> str:
        # Both come from callers, in any length; the digest is one of 128 bits.
        return (
            self._prefix + hashlib.sha256(f"{scope}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        )

    def _run(self, script: str, scope: str, key: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            if self._client is None:
                self._client = redis_client(self._url, **self._keep)
            client = self._client
            try:
                return client.evalsha(_SHA[script], 1, self._name(scope, key), *arguments)
            except Exception as exc:
                if type(exc).__name__ != "NoScriptError":
                    raise
                return client.eval(script, 1, self._name(scope, key), *arguments)

    async def _arun(self, script: str, scope: str, key: str, *arguments: Any) -> Any:
        with redis_errors(self._url):
            loop = asyncio.get_running_loop()
            client = self._clients.get(loop)
            if client is None:
                client = self._clients[loop] = async_redis_client(self._url, **self._keep)
            try:
                return await client.evalsha(_SHA[script], 1, self._name(scope, key), *arguments)
            except Exception as exc:
                if type(exc).__name__ != "NoScriptError":
                    raise
                return await client.eval(script, 1, self._name(scope, key), *arguments)

    def close(self) -> None:
        """Close the connections of the threads."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the connections of the threads and of this event loop."""
        self.close()
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()


_SHA: Final = {
    script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    for script in (_BEGIN, _FINISH, _ABANDON)
}


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _claim(found: list[Any], token: str) -> ReplayClaim:
    state = ReplayState(found[0].decode())
    if state is ReplayState.STARTED:
        return ReplayClaim(state, token)
    if state is ReplayState.DONE:
        return done(found[1])
    return ReplayClaim(state, retry_after=found[1] / 1000 if state is ReplayState.BUSY else 0.0)
