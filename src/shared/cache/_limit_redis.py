"""Rate limits of a whole fleet, in Redis or Valkey."""

import asyncio
import hashlib
import weakref
from collections.abc import Sequence
from typing import Any, Final

from shared.cache._limit_lua import script_for
from shared.cache._limit_types import LimitTier
from shared.cache._redis import async_redis_client, redis_client, redis_errors, translated
from shared.resilience import CircuitBreaker, RateDecision
from shared.security import mask_url

__all__ = ["RedisRateLimits"]

_MICRO: Final = 1e6


class RedisRateLimits:
    """The store for a fleet: every process that names the same server counts together.

    One round trip per request, however many tiers; the clock is the server's, so the
    clocks of the callers do not matter. All keys of a request share one hash slot: with
    one key for all tiers the requests spread over a cluster, with a key per tier they
    meet in one slot. Keys expire when their permits are back.

    Args:
        url: As for :func:`redis_client`.
        prefix: Before every key, to share one server.
        timeout: Longest wait for a connection and for the answer, each, in seconds; in
            an event loop for both together.
        max_connections: Connections at most, in each event loop and for all threads.

    Connects with the first request. Close it when done; each event loop closes its own
    connections with :meth:`aclose`.

    Raises:
        ConfigurationError: The URL is not one of Redis.
        InvalidArgumentError: *timeout* is not seconds above 0.

    Example:
        >>> store = RedisRateLimits("redis://:secret@127.0.0.1:6379/0", prefix="orders:")
        >>> store.shown
        'redis://:***@127.0.0.1:6379/0'
        >>> store.close()
    """

    def __init__(
        self, url: str, *, prefix: str = "shared:", timeout: float = 0.05, max_connections: int = 50
    ) -> None:
        self._url = url
        self.shown: str = mask_url(url)
        self._prefix = prefix + "limit:"
        self._timeout = timeout
        self._keep: dict[str, Any] = {
            "timeout": timeout,
            "connect_timeout": timeout,
            "max_connections": max_connections,
        }
        # A cluster's client asks for the layout at once: only a request may wait for that.
        self._client: Any = None if "+cluster" in url else redis_client(url, **self._keep)
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._scripts: dict[str, tuple[str, str]] = {}  # by the letters of the algorithms
        self.breaker: CircuitBreaker | None = CircuitBreaker(
            f"rate limits at {self.shown}", failure_threshold=3, recovery_timeout=1.0
        )

    @staticmethod
    def _source(letters: str) -> str:
        return script_for(letters)

    def _script(self, tiers: Sequence[LimitTier]) -> tuple[str, str]:
        """Return the script for *tiers* and its digest."""
        letters = "".join([tier.wire[0] for tier in tiers])
        found = self._scripts.get(letters)
        if found is None:
            source = self._source(letters)
            digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
            found = self._scripts[letters] = (source, digest)
        return found

    def hit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """Ask every tier for permits; see :meth:`RateLimitStore.hit`.

        Raises:
            ServiceUnavailableError: The server did not answer in time.
            InfrastructureError: It refuses us or the command.
        """
        arguments = self._arguments(tiers, key, cost)
        script, digest = self._script(tiers)
        # Not `with redis_errors`: a context manager costs as much as the rest of this method.
        try:
            client = self._client
            if client is None:
                client = self._client = redis_client(self._url, **self._keep)
            try:
                answer = client.evalsha(digest, *arguments)
            except Exception as exc:
                if not _forgot(exc):
                    raise
                answer = client.eval(script, *arguments)
        except Exception as exc:
            ours = translated(exc, self._url)
            if ours is None:
                raise
            raise ours from exc
        return _decisions(tiers, answer)

    async def ahit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """As :meth:`hit`, without blocking the event loop."""
        arguments = self._arguments(tiers, key, cost)
        script, digest = self._script(tiers)
        with redis_errors(self._url):
            async with asyncio.timeout(self._timeout):
                client = self._of_loop()
                try:
                    answer = await client.evalsha(digest, *arguments)
                except Exception as exc:
                    if not _forgot(exc):
                        raise
                    answer = await client.eval(script, *arguments)
        return _decisions(tiers, answer)

    def _of_loop(self) -> Any:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = async_redis_client(self._url, **self._keep)
        return client

    def _arguments(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int]
    ) -> list[Any]:
        # The tag in braces decides the slot. A key for all tiers is a tag of its own; with
        # a key per tier only something common to every request can be one.
        if isinstance(key, str):
            head = f"{self._prefix}{{{tiers[0].name}|{key}}}"
            keys = [f"{head}{tier.prefix}" for tier in tiers]
        else:
            head = f"{self._prefix}{{{tiers[0].name}}}"
            keys = [f"{head}{tier.prefix}{of}" for tier, of in zip(tiers, key, strict=True)]
        arguments: list[Any] = [len(keys), *keys]
        costs = (cost,) * len(tiers) if isinstance(cost, int) else cost
        for tier, price in zip(tiers, costs, strict=True):
            arguments += tier.wire
            arguments.append(price)
        return arguments

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


def _forgot(exc: Exception) -> bool:
    """Tell whether the server does not know the script: it is new, or was started again."""
    return type(exc).__name__ == "NoScriptError"


def _decisions(tiers: Sequence[LimitTier], answer: list[int]) -> tuple[RateDecision, ...]:
    if len(tiers) == 1:
        allowed, left, wait, reset = answer
        return (_decision(tiers[0], allowed, left, wait, reset),)
    rows = zip(tiers, answer[::4], answer[1::4], answer[2::4], answer[3::4], strict=True)
    return tuple(_decision(*row) for row in rows)


def _decision(tier: LimitTier, allowed: int, left: int, wait: int, reset: int) -> RateDecision:
    retry = float("inf") if wait < 0 else wait / _MICRO
    return RateDecision(bool(allowed), tier.limit.permits, left, retry, reset / _MICRO)
