"""The failure path of a retry: tenacity drives, the policy decides.

Only the public interface of tenacity is used, and a fresh controller for each
failed call: its decorator shares statistics among threads, and one shared
controller loses attempts when tasks overlap.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, Retrying

from shared.resilience._backoff import Backoff
from shared.resilience._budget import Budget
from shared.resilience._events import RetriesExhausted, RetryScheduled, RetrySucceeded, emit
from shared.runtime import Events

__all__ = ["AsyncReplay", "Replay", "Run"]


class Decider(Protocol):
    """What the driver asks of a retry policy."""

    backoff: Backoff
    budget: Budget
    clock: Callable[[], float]
    events: Events | None
    name: str | None
    on_result: Callable[[Any], object] | None
    rng: Callable[[], float]
    sleep: Callable[[float], Any] | None
    stop: Callable[[Any], bool] | None
    wait: Callable[[Any], float] | None
    wrap: Callable[[Exception], Exception] | None

    def wants(self, error: BaseException) -> bool:
        """Tell whether *error* is worth another try."""

    def plan(
        self, attempt: int, error: BaseException | None, backoff: float, now: float
    ) -> tuple[float, str | None]:
        """Return the wait, and why not to go on, or None."""


class Replay:
    """The call as tenacity sees it: the first time it repeats what has already happened."""

    __slots__ = ("args", "first", "function", "kwargs", "replayed", "result")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        first: Exception | None,
        result: Any,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.first = first
        self.result = result
        self.replayed = False

    def again(self) -> bool:
        """Tell whether a real call is due; the first time raise or keep what has happened."""
        if self.replayed:
            return True
        self.replayed = True
        if self.first is not None:
            first, self.first = self.first, None
            try:
                raise first
            finally:
                del first
        return False

    def __call__(self) -> Any:
        return self.function(*self.args, **self.kwargs) if self.again() else self.result


class AsyncReplay(Replay):
    """As :class:`Replay`, awaited."""

    __slots__ = ()

    async def __call__(self) -> Any:
        return await self.function(*self.args, **self.kwargs) if self.again() else self.result


class Run:
    """One failed call on its way: what tenacity asks, answered by the policy."""

    __slots__ = ("name", "policy", "previous", "reason", "started")

    def __init__(self, policy: "Decider", name: str, started: float | None) -> None:
        self.policy = policy
        self.name = policy.name or name
        self.started = started
        self.previous: float | None = None
        self.reason: str | None = None

    def controller(self) -> Retrying:
        """Return tenacity's driver for a synchronous call."""
        return Retrying(sleep=self.policy.sleep or time.sleep, **self._strategies())

    def async_controller(self) -> AsyncRetrying:
        """Return tenacity's driver for an asynchronous call."""
        return AsyncRetrying(sleep=_awaitable(self.policy.sleep), **self._strategies())

    def _strategies(self) -> dict[str, Any]:
        return {
            "retry": self.should_retry,
            "wait": self.wait,
            "stop": self.stop,
            "before_sleep": self.before_sleep,
            "retry_error_callback": self.give_up,
        }

    # -- asked by tenacity, in this order -----------------------------------------------

    def should_retry(self, state: RetryCallState) -> bool:
        """Judge the outcome of a try."""
        policy = self.policy
        error = _error(state)
        if error is not None:
            return policy.wants(error)
        if policy.on_result is not None and policy.on_result(_result(state)):
            return True
        policy.budget.success()
        emit(policy.events, RetrySucceeded(self.name, state.attempt_number))
        return False

    def wait(self, state: RetryCallState) -> float:
        """Return the seconds to wait, and note whether to go on at all."""
        policy = self.policy
        now = policy.clock()
        if self.started is not None:
            # tenacity counts from the moment it was called in and by its own clock;
            # its stop_* objects must see the whole call, by ours.
            state.start_time, state.outcome_timestamp = self.started, now
        if policy.wait is not None:
            proposed = float(policy.wait(state))
        else:
            proposed = policy.backoff.wait(state.attempt_number, previous=self.previous, rng=policy.rng)
        wait, self.reason = policy.plan(state.attempt_number, _error(state), proposed, now)
        self.previous = proposed
        return wait

    def stop(self, state: RetryCallState) -> bool:
        """Tell whether to give up."""
        if self.reason is None and self.policy.stop is not None and self.policy.stop(state):
            self.reason = "stop"
        return self.reason is not None

    def before_sleep(self, state: RetryCallState) -> None:
        """Tell the listeners."""
        event = RetryScheduled(self.name, state.attempt_number, state.upcoming_sleep, _error(state))
        emit(self.policy.events, event)

    def give_up(self, state: RetryCallState) -> Any:
        """End with the last outcome, as it was."""
        error = _error(state)
        emit(
            self.policy.events,
            RetriesExhausted(self.name, state.attempt_number, self.reason or "stop", error),
        )
        if error is None:
            return _result(state)
        try:
            if self.policy.wrap is not None and isinstance(error, Exception):
                raise self.policy.wrap(error) from error
            raise error
        finally:
            del error  # no cycle through this frame


def _error(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _result(state: RetryCallState) -> Any:
    return None if state.outcome is None else state.outcome.result()


def _awaitable(sleep: Callable[[float], Any] | None) -> Callable[[float], Awaitable[None]]:
    if sleep is None:
        return asyncio.sleep

    async def wait(seconds: float) -> None:
        done = sleep(seconds)
        if inspect.isawaitable(done):
            await done

    return wait
