"""Make a dependency fail, crawl or answer nonsense, on purpose and by its name."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from shared.errors import ExternalServiceError, InvalidArgumentError
from shared.resilience._breaker import CircuitBreaker, breakers_named
from shared.resilience._checks import at_least
from shared.resilience._policy import Policy, policies_named

__all__ = ["Chaos", "chaos"]

_KEEP: Final = object()


class Chaos:
    """The faults of one chaos test; see :func:`chaos`.

    Attributes:
        calls: Calls seen.
        struck: Calls that were made to go wrong.

    Example:
        >>> Chaos(rate=0.0).run(int, ("7",), {})
        7
    """

    def __init__(
        self,
        *,
        rate: float = 1.0,
        error: Callable[[], Exception] | type[Exception] | None = None,
        latency: float = 0.0,
        result: Any = _KEEP,
        before: Callable[[], object] | None = None,
        seed: int | None = None,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        if at_least("rate", rate, 0.0) > 1.0:
            msg = f"rate must be a share in [0, 1], got {rate!r}"
            raise InvalidArgumentError(msg)
        plain = not latency and result is _KEEP and before is None
        self.rate = rate
        self.error: Any = ExternalServiceError if error is None and plain else error
        self.latency: float = at_least("latency", latency, 0.0)
        self.result = result
        self.before = before
        self.calls: int = 0
        self.struck: int = 0
        self._draw = random.Random(seed).random  # noqa: S311 - a test's dice
        self._sleep = sleep

    def _strikes(self) -> bool:
        self.calls += 1
        struck = self._draw() < self.rate
        self.struck += struck
        return struck

    def _act(self) -> None:
        if self.before is not None:
            self.before()
        if self.error is not None:
            raise self.error()

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Call *function*, or go wrong in its place."""
        if not self._strikes():
            return function(*args, **kwargs)
        if self.latency:
            (self._sleep or time.sleep)(self.latency)
        self._act()
        return function(*args, **kwargs) if self.result is _KEEP else self.result

    async def arun(
        self, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Await *function*, or go wrong in its place."""
        if not self._strikes():
            return await function(*args, **kwargs)
        if self.latency:
            slept = (self._sleep or asyncio.sleep)(self.latency)
            if slept is not None:
                await slept
        self._act()
        return await function(*args, **kwargs) if self.result is _KEEP else self.result


@contextmanager
def chaos(
    name: str,
    *,
    rate: float = 1.0,
    error: Callable[[], Exception] | type[Exception] | None = None,
    latency: float = 0.0,
    result: Any = _KEEP,
    before: Callable[[], object] | None = None,
    seed: int | None = None,
    sleep: Callable[[float], Any] | None = None,
) -> Iterator[Chaos]:
    """Make guarded calls to the dependency *name* go wrong inside the block.

    It strikes between the guards and the dependency, so breakers count, retries
    retry and timeouts cut off as they would in production. Reached are the breakers
    and policies of that name that exist when the block begins, in every runtime of
    the process; ask for them before (``guard(name).policy``).

    Args:
        name: The dependency.
        rate: Share of calls that go wrong.
        error: What is raised: an exception class or a callable; an
            :class:`~shared.errors.ExternalServiceError` unless another fault is asked for.
        latency: Seconds added before the call (or before its error).
        result: Answer in place of the dependency's.
        before: Called when a fault strikes, for anything else.
        seed: Makes the choice of calls repeatable.
        sleep: Waits the latency; for fake clocks.

    Raises:
        InvalidArgumentError: A value is out of range, or nothing of that name is guarded.

    Example:
        >>> from shared.resilience import CircuitBreaker
        >>> breaker = CircuitBreaker("payments", failure_threshold=2)
        >>> charge = breaker(lambda amount: f"charged {amount}")
        >>> with chaos("payments", error=ConnectionError, seed=1) as faults:
        ...     for _ in range(3):
        ...         try:
        ...             charge(5)
        ...         except Exception as failure:
        ...             print(type(failure).__name__)
        ConnectionError
        ConnectionError
        CircuitOpenError
        >>> faults.struck
        2
    """
    faults = Chaos(
        rate=rate, error=error, latency=latency, result=result, before=before, seed=seed, sleep=sleep
    )
    targets = _guards_of(name)
    for target in targets:
        target.inject(faults)
    try:
        yield faults
    finally:
        for target in targets:
            target.inject(None)


def _guards_of(name: str) -> list[CircuitBreaker | Policy]:
    """Return what is between the callers and the dependency: its breakers, and policies without one."""
    policies = [policy for policy in policies_named(name) if policy.breaker is None]
    found: list[CircuitBreaker | Policy] = [*breakers_named(name), *policies]
    if not found:
        msg = (
            f"nothing guards {name!r} yet: make its breaker, or read guard({name!r}).policy, before the block"
        )
        raise InvalidArgumentError(msg)
    return found
