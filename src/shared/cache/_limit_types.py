"""What a store of rate limits is asked, and what it answers."""

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

from shared.errors import InvalidArgumentError
from shared.resilience import CircuitBreaker, RateDecision, RateLimit, rate_algorithm

__all__ = ["LimitTier", "RateLimitStore", "wire_of"]

#: Grants that a sliding window remembers at most; larger limits are for the other algorithms.
_MOST_GRANTS: Final = 10_000
_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}\Z").match
_LETTERS: Final = {"fixed_window": "f", "gcra": "g", "sliding_window": "s", "sub_buckets": "b"}


class LimitTier:
    """One limit of several that a request has to pass, such as ten a second.

    Args:
        limit: The limit, or its text form.
        name: Of the limit; shown to callers, and part of every key: two tiers of one
            name and limit count together.
        algorithm: ``"sliding_window"`` (exact, up to 10 000 permits), ``"gcra"``,
            ``"sub_buckets"`` or ``"fixed_window"``; see :func:`shared.resilience.rate_algorithm`.

    Raises:
        InvalidArgumentError: The text is not a limit, the algorithm is unknown, the
            name is not 1 to 64 letters, digits and ``_.:/-``, or the limit is too large
            for a sliding window.

    Example:
        >>> tier = LimitTier("100/minute", name="search")
        >>> tier.limit.permits, tier.kind
        (100, 'sliding_window')
    """

    __slots__ = ("algorithm", "kind", "limit", "name", "prefix", "wire")

    def __init__(
        self, limit: RateLimit | str, *, name: str = "default", algorithm: str = "sliding_window"
    ) -> None:
        if not _NAME(name):
            msg = f"the name of a limit is 1 to 64 letters, digits and _.:/-, got {name!r}"[:200]
            raise InvalidArgumentError(msg)
        self.algorithm: Any = rate_algorithm(limit, algorithm)
        self.kind: str = algorithm
        self.name: str = name
        self.limit: RateLimit = self.algorithm.limit
        if algorithm == "sliding_window" and self.limit.permits > _MOST_GRANTS:
            msg = (
                f"a sliding window remembers each of at most {_MOST_GRANTS} grants, got {self.limit}: "
                "choose algorithm='sub_buckets' or 'gcra'"
            )
            raise InvalidArgumentError(msg)
        letter = _LETTERS[algorithm]
        # A changed limit starts anew: its old state would mean something else.
        self.prefix: str = f"{name}|{letter}{self.limit}|"
        self.wire: tuple[str, ...] = wire_of(letter, self.limit, getattr(self.algorithm, "buckets", 0))

    def __repr__(self) -> str:
        return f"LimitTier({str(self.limit)!r}, name={self.name!r}, algorithm={self.kind!r})"


def wire_of(letter: str, limit: RateLimit, slices: int) -> tuple[str, ...]:
    """Return what the script of the Redis store reads of a tier; times in microseconds."""
    return (letter, str(limit.permits), repr(limit.per * 1e6), str(slices))


class RateLimitStore(Protocol):
    """Where the states of rate limits are kept, and where they are decided.

    Example:
        >>> from shared.cache import MemoryRateLimits
        >>> store: RateLimitStore = MemoryRateLimits()
        >>> [decision.remaining for decision in store.hit((LimitTier("5/second"),), "user-1")]
        [4]
    """

    breaker: CircuitBreaker | None
    """In front of a store that can fail; None for one that cannot."""
    shown: str
    """Kind of store and where it is, without secrets."""

    def hit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """Ask every tier for permits; they are taken only when all of them grant.

        Args:
            tiers: The limits.
            key: Whose permits: one text for all tiers, or one for each. Always the same
                form for the same tiers.
            cost: Permits, for all tiers or for each; 0 looks without taking.

        Returns:
            One decision per tier; its numbers tell what is so after the call.

        Raises:
            SharedError: The store did not decide.
        """

    async def ahit(
        self, tiers: Sequence[LimitTier], key: str | Sequence[str], cost: int | Sequence[int] = 1
    ) -> tuple[RateDecision, ...]:
        """As :meth:`hit`, without blocking the event loop."""

    def close(self) -> None:
        """Give back what is held open."""

    async def aclose(self) -> None:
        """Give back what is held open, also what belongs to the event loop."""
