"""All guards of one dependency, in the one order that works."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from shared.errors import InvalidArgumentError
from shared.resilience._blocks import enter_block, leave_block
from shared.resilience._breaker import CircuitBreaker
from shared.resilience._budget import RetryBudget
from shared.resilience._bulkhead import Bulkhead
from shared.resilience._checks import is_async
from shared.resilience._compile import compile_call
from shared.resilience._fallback import Fallback
from shared.resilience._faults import Faults
from shared.resilience._fleet import Fleet
from shared.resilience._hedge import Hedge
from shared.resilience._retry import RetryPolicy
from shared.resilience._snapshot import PolicySnapshot
from shared.resilience._timeout import Timeout
from shared.runtime import Events

__all__ = ["Policy", "policies_named"]

P = ParamSpec("P")
R = TypeVar("R")


class Policy:
    """The guards of one dependency, compiled into one call.

    From the outside in: *fallback* → *deadline* (for all tries together) → *retry* →
    *hedge* → *breaker* → *bulkhead* → *timeout* (of one try) → the call. So each try
    passes the breaker, a refusal is never retried, a full bulkhead does not count as
    a failure of the dependency, and a timed-out try does. Leave out what you do not
    need; a retry around a breaker costs one call layer together.

    A policy is a decorator for synchronous and asynchronous functions, has
    :meth:`call` and :meth:`acall`, and is a ``with`` and ``async with`` block. A block
    cannot be run twice, so there *fallback*, *retry* and *hedge* play no part.

    Args:
        name: The dependency.
        fallback: What to answer when all else has failed.
        deadline: Seconds for all tries together, or None.
        retry: A :class:`RetryPolicy`, or None.
        hedge: A :class:`Hedge`, or None; asynchronous functions only.
        breaker: A :class:`CircuitBreaker`, or None.
        bulkhead: A :class:`Bulkhead`, or None.
        timeout: Seconds for one try, or None.
        events: Where the events of deadline and timeout go; the current runtime's by default.

    Raises:
        InvalidArgumentError: A value is out of range.

    Example:
        >>> payments = Policy(
        ...     "payments",
        ...     retry=RetryPolicy(max_attempts=2, delay=0.0),
        ...     breaker=CircuitBreaker("payments"),
        ...     timeout=2.0,
        ... )
        >>> payments.explain()
        ['retry: 2 tries', 'breaker: CLOSED', 'timeout: 2 s']
        >>> payments.call(int, "42")
        42
    """

    __slots__ = (
        "__weakref__",
        "_events",
        "_faults",
        "breaker",
        "bulkhead",
        "deadline",
        "fallback",
        "hedge",
        "name",
        "retry",
        "timeout",
    )

    def __init__(
        self,
        name: str,
        *,
        fallback: Fallback | None = None,
        deadline: float | None = None,
        retry: RetryPolicy | None = None,
        hedge: Hedge | None = None,
        breaker: CircuitBreaker | None = None,
        bulkhead: Bulkhead | None = None,
        timeout: float | None = None,
        events: Events | None = None,
    ) -> None:
        if not name or not isinstance(name, str):
            msg = f"a policy needs the name of its dependency, got {name!r}"
            raise InvalidArgumentError(msg)
        self.name: str = name
        self.fallback: Fallback | None = fallback
        self.deadline: Timeout | None = (
            None if deadline is None else Timeout(deadline, name=name, total=True, events=events)
        )
        self.retry: RetryPolicy | None = retry
        self.hedge: Hedge | None = hedge
        self.breaker: CircuitBreaker | None = breaker
        self.bulkhead: Bulkhead | None = bulkhead
        self.timeout: Timeout | None = None if timeout is None else Timeout(timeout, name=name, events=events)
        self._events = events
        self._faults: Faults | None = None
        _fleet.add(self)

    # -- compiling ------------------------------------------------------------------

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Guard *function*, synchronous or asynchronous.

        Raises:
            UnsupportedCallableError: *function* is a generator function, or
                synchronous under a hedge.
        """
        asynchronous = is_async(function)
        guarded: Callable[..., Any] = function
        for inner in (self.timeout, self.bulkhead):
            guarded = guarded if inner is None else inner(guarded)
        if self.breaker is None:
            guarded = self._with_faults(guarded, asynchronous=asynchronous)
        guarded = self._with_tries(guarded)
        for outer in (self.deadline, self.fallback):
            guarded = guarded if outer is None else outer(guarded)
        if getattr(guarded, "__wrapped__", None) is not function:
            guarded = wraps(function)(guarded)
        return cast("Callable[P, R]", guarded)

    def _with_tries(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self.hedge is not None:
            function = function if self.breaker is None else compile_call(function, breaker=self.breaker)
            function = self.hedge(function)
            return function if self.retry is None else self.retry(function)
        if self.breaker is None and self.retry is None:
            return function
        return compile_call(function, breaker=self.breaker, retry=self.retry)

    def _with_faults(self, function: Callable[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
        """Leave a gap for chaos tests; a breaker has one of its own, behind its door."""
        if asynchronous:

            @wraps(function)
            async def acall(*args: Any, **kwargs: Any) -> Any:
                faults = self._faults
                if faults is None:
                    return await function(*args, **kwargs)
                return await faults.arun(function, args, kwargs)

            return acall

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            faults = self._faults
            return function(*args, **kwargs) if faults is None else faults.run(function, args, kwargs)

        return call

    @property
    def only_tries(self) -> bool:
        """Whether retry and breaker are all there is, which one closure can do."""
        others = (self.fallback, self.deadline, self.hedge, self.bulkhead, self.timeout)
        return all(guard is None for guard in others)

    # -- calling --------------------------------------------------------------------

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* under the policy; a decorated function is cheaper."""
        return self(function)(*args, **kwargs)

    async def acall(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await *function* under the policy; a decorated function is cheaper."""

        @wraps(function)
        async def run(*inner: Any, **named: Any) -> R:
            return await function(*inner, **named)

        return await self(run)(*args, **kwargs)

    def _block_guards(self) -> list[Any]:
        guards = (self.deadline, self.breaker, self.bulkhead, self.timeout)
        return [guard for guard in guards if guard is not None]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for guard in self._block_guards():
                stack.enter_context(guard)
            enter_block(self, stack.pop_all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        stack: ExitStack | None = leave_block(self)
        return None if stack is None else stack.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for guard in self._block_guards():
                await stack.enter_async_context(guard)
            enter_block(self, stack.pop_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        stack: AsyncExitStack | None = leave_block(self)
        return None if stack is None else await stack.__aexit__(kind, error, trace)

    def replace(self, **changes: Any) -> "Policy":
        """Return a policy of the same name with other guards; breaker and bulkhead stay shared."""
        parts: dict[str, Any] = {"fallback": self.fallback, "retry": self.retry, "hedge": self.hedge}
        parts |= {"breaker": self.breaker, "bulkhead": self.bulkhead, "events": self._events}
        parts["deadline"] = None if self.deadline is None else self.deadline.limit
        parts["timeout"] = None if self.timeout is None else self.timeout.limit
        return Policy(self.name, **{**parts, **changes})

    # -- for people and tests -----------------------------------------------------------

    def explain(self) -> list[str]:
        """Return the guards from the outside in, one line each."""
        lines = [
            self.fallback and f"fallback: on {', '.join(cls.__name__ for cls in self.fallback.on)}",
            self.deadline and f"deadline: {self.deadline.limit:g} s for all tries",
            self.retry and f"retry: {self.retry.max_attempts} tries",
            self.hedge and f"hedge: after {self.hedge.delay:g} s",
            self.breaker and f"breaker: {self.breaker.state.value}",
            self.bulkhead
            and f"bulkhead: {self.bulkhead.limit.value} at once, {self.bulkhead.max_queue} wait",
            self.timeout and f"timeout: {self.timeout.limit:g} s",
        ]
        return [line for line in lines if line]

    def snapshot(self) -> PolicySnapshot:
        """Return what the budget and the bulkhead know at this moment."""
        budget = None if self.retry is None else self.retry.budget
        tokens = budget.tokens if isinstance(budget, RetryBudget) else None
        house = self.bulkhead
        if house is None:
            return PolicySnapshot(self.name, tokens)
        return PolicySnapshot(
            self.name, tokens, house.limit.value, house.in_flight, house.waiting, house.rejected
        )

    def inject(self, faults: Faults | None) -> None:
        """Run guarded calls through *faults* (a chaos test), or no longer with None."""
        self._faults = faults

    def after_fork(self) -> None:
        """Nothing to re-arm: the parts do that themselves."""

    def __repr__(self) -> str:
        return f"<Policy {self.name!r} {' > '.join(line.partition(':')[0] for line in self.explain())}>"


_fleet: Fleet[Policy] = Fleet()
policies_named = _fleet.named
