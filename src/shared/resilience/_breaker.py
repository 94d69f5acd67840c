"""The shell of the circuit breaker: clock, lock, events, and every way to call through it."""

import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from types import CoroutineType, TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, Unpack

from shared.errors import InvalidArgumentError
from shared.resilience._blocks import enter_block, leave_block
from shared.resilience._by_hand import ByHand
from shared.resilience._checks import no_coroutine
from shared.resilience._compile import compile_call
from shared.resilience._config import BreakerConfig, BreakerOptions, breaker_config
from shared.resilience._events import (
    BreakerTransition,
    CallRejected,
    emit,
    private_events,
    wants_events,
)
from shared.resilience._faults import Faults
from shared.resilience._fleet import Fleet
from shared.resilience._machine import (
    BreakerMachine,
    BreakerMode,
    BreakerState,
    Change,
    Probes,
    Token,
)
from shared.resilience._random import draw
from shared.resilience._refusal import Refusal
from shared.resilience._snapshot import BreakerSnapshot, take_snapshot
from shared.resilience._windows import TimeWindow, Window
from shared.runtime import Events

__all__ = ["CircuitBreaker", "breakers_named"]

P = ParamSpec("P")
R = TypeVar("R")


class CircuitBreaker(ByHand):
    """Stops calling a dependency that fails, and finds out when it is well again.

    CLOSED lets every call pass and counts failures; OPEN refuses calls at once with
    :class:`~shared.errors.CircuitOpenError` for *recovery_timeout* seconds; then
    HALF_OPEN lets single probes pass: enough good ones close, one bad one re-opens.
    There is no timer and no thread; the clock is read when somebody calls.

    One breaker serves synchronous and asynchronous code, threads and tasks. It is a
    decorator, a context manager (``with`` and ``async with``) and has :meth:`call`
    and :meth:`acall`. No lock is held while the guarded call, a listener or an
    await runs.

    Args:
        name: The dependency; shown in errors, events and metrics.
        failure_threshold: Failures in a row that open.
        recovery_timeout: Seconds to stay open.
        success_threshold: Good probes needed to close.
        half_open_max_calls: Probes allowed at the same time.
        clock: Gives monotonic seconds.
        rng: Gives numbers in ``[0, 1)`` for the jitter of the open time.
        listeners: Called with each :class:`BreakerTransition`, outside of any lock.
        events: Where events go; the current runtime's by default.
        config: A ready :class:`BreakerConfig`, instead of the single options.
        **options: The other fields of :class:`BreakerConfig`.

    Raises:
        InvalidArgumentError: A value is out of range, or an option is unknown.

    Example:
        >>> breaker = CircuitBreaker("payments", failure_threshold=2, recovery_timeout=30.0)
        >>> @breaker
        ... def charge(amount):
        ...     raise ConnectionError("no route")
        >>> for _ in range(3):
        ...     try:
        ...         charge(5)
        ...     except Exception as error:
        ...         print(type(error).__name__)
        ConnectionError
        ConnectionError
        CircuitOpenError
        >>> breaker.state
        <BreakerState.OPEN: 'OPEN'>
    """

    __slots__ = (
        "__weakref__",
        "_events",
        "_faults",
        "_listeners",
        "_lock",
        "_machine",
        "_refused",
        "clock",
        "clocked",
        "config",
        "door",
        "name",
        "timed",
        "window_kind",
    )

    def __init__(
        self,
        name: str,
        *,
        failure_threshold: int | None = 5,
        recovery_timeout: float = 30.0,
        success_threshold: int = 1,
        half_open_max_calls: int = 1,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = draw,
        listeners: Iterable[Callable[[BreakerTransition], object]] = (),
        events: Events | None = None,
        config: BreakerConfig | None = None,
        **options: Unpack[BreakerOptions],
    ) -> None:
        if not name or not isinstance(name, str):
            msg = f"a breaker needs the name of its dependency, got {name!r}"
            raise InvalidArgumentError(msg)
        self.name: str = name
        self.config: BreakerConfig = config or breaker_config(
            failure_threshold=failure_threshold,
            recovery_timeout=recovery_timeout,
            success_threshold=success_threshold,
            half_open_max_calls=half_open_max_calls,
            **options,
        )
        self.clock: Callable[[], float] = clock
        self._machine = BreakerMachine(self.config, rng)
        self._lock = threading.RLock()
        self._events = events
        self._listeners = private_events(BreakerTransition, listeners)
        self._faults: Faults | None = None
        self._refused: Refusal | None = None
        self.door: Window | None = self._machine.window
        # For the short cuts: do durations or the time matter, and which window is inlined?
        self.timed: bool = self.config.slow_call_seconds is not None
        self.clocked: bool = self.timed or isinstance(self.door, TimeWindow)
        self.window_kind: type[Window] | None = (
            None if self.clocked or self.config.failure_result else type(self.door)
        )
        _fleet.add(self)

    # -- state ----------------------------------------------------------------------

    @property
    def state(self) -> BreakerState:
        """CLOSED, OPEN or HALF_OPEN, as a caller would meet it now; reading changes nothing."""
        return self._machine.shown(self.clock())

    @property
    def mode(self) -> BreakerMode:
        """Who decides: the breaker (AUTO) or an operator."""
        return self._machine.mode

    def snapshot(self) -> BreakerSnapshot:
        """Return all there is to know at this moment, consistently."""
        now = self.clock()
        with self._lock:
            return take_snapshot(self.name, self._machine, now)

    # -- by hand: see ByHand --------------------------------------------------------

    def _force(self, mode: BreakerMode, reason: str) -> None:
        with self._lock:
            change = self._machine.force(mode, reason)
            self._refresh()
        self._tell(change)

    # -- permits: one acquire, then exactly one of ok, error, cancel -----------------------

    def acquire(self) -> Token:
        """Return the permit for one call.

        For code that composes its own guard: hand the permit to exactly one of
        :meth:`ok`, :meth:`error` or :meth:`cancel`.

        Raises:
            CircuitOpenError: The call must not be made.
        """
        door = self.door
        if door is not None:
            return door
        now, machine = self.clock(), self._machine
        with self._lock:
            token, change = machine.acquire(now)
            if change is not None:
                self._refresh()
            wait = machine.wait(now)
        if change is not None:
            self._tell(change)
        if token is not None:
            return token
        refused, key = self._refused, (machine.generation, int(wait * 10.0))
        if refused is None or refused.key != key:
            refused = self._refused = Refusal(key, self.name, machine.mode, machine.reason, wait)
        error = refused.error(wait)
        if wants_events(self._events, CallRejected):
            emit(self._events, CallRejected(self.name, error.retry_after or 0.0))
        raise error

    def ok(self, permit: Token, result: Any = None, *, started: float | None = None) -> None:
        """Report that the call answered; *started* is the clock's reading before it."""
        bad = self.config.failure_result
        if permit is self.door and bad is None and not permit.failures:
            # Nothing to forget, so no lock: the short cut of the compiled closures.
            now = self.clock() if self.clocked else 0.0
            if started is None or not self._slow(started, now):
                permit.note(now)
                return
        if bad is not None:
            try:
                failed = bad(result)
            except BaseException:
                self.cancel(permit)
                raise
            if failed:
                self._settle(permit, started, failed=True)
                return
        self._settle(permit, started, failed=False)

    def error(self, permit: Token, error: BaseException, *, started: float | None = None) -> None:
        """Report that the call raised; the configuration says what that means."""
        try:
            verdict = self.config.judge(error)
        except BaseException:
            self.cancel(permit)
            raise
        if verdict is None:
            self.cancel(permit)
        else:
            self._settle(permit, started, failed=verdict)

    def cancel(self, permit: Token) -> None:
        """Give the permit back: the call says nothing about the dependency."""
        if isinstance(permit, Probes):
            with self._lock:
                self._machine.neutral(permit)

    def _slow(self, started: float, now: float) -> bool:
        limit = self.config.slow_call_seconds
        return limit is not None and now - started >= limit

    def _settle(self, permit: Token, started: float | None, *, failed: bool) -> None:
        now = self.clock()
        slow = started is not None and self._slow(started, now)
        with self._lock:
            tell = self._machine.failure if failed else self._machine.success
            change = tell(permit, now, slow=slow)
            if change is not None:
                self._refresh()
        self._tell(change)

    # -- calling --------------------------------------------------------------------

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Guard *function*, synchronous or asynchronous.

        Raises:
            UnsupportedCallableError: *function* is a generator function or not callable.
        """
        return compile_call(function, breaker=self)

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call *function* through the breaker and return its result.

        Raises:
            CircuitOpenError: The call was refused.
            UnsupportedCallableError: *function* is asynchronous; use :meth:`acall`.
        """
        permit = self.acquire()
        started = self.clock() if self.timed else None
        faults = self._faults
        try:
            result: R = function(*args, **kwargs) if faults is None else faults.run(function, args, kwargs)
            if type(result) is CoroutineType:
                no_coroutine(result, function, "await breaker.acall(...)")
        except BaseException as exc:
            self.error(permit, exc, started=started)
            raise
        self.ok(permit, result, started=started)
        return result

    async def acall(self, function: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Await *function* through the breaker and return its result.

        Raises:
            CircuitOpenError: The call was refused.
        """
        permit = self.acquire()
        started = self.clock() if self.timed else None
        faults = self._faults
        try:
            result: R = (
                await function(*args, **kwargs)
                if faults is None
                else await faults.arun(function, args, kwargs)
            )
        except BaseException as exc:
            self.error(permit, exc, started=started)
            raise
        self.ok(permit, result, started=started)
        return result

    def __enter__(self) -> Self:
        permit = self.acquire()
        if self._faults is not None:
            try:
                self._faults.run(_nothing, (), {})
            except BaseException as exc:
                self.error(permit, exc)
                raise
        enter_block(self, (permit, self.clock() if self.timed else None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        permit, started = self._leave()
        if error is None:
            self.ok(permit, started=started)
        else:
            self.error(permit, error, started=started)

    async def __aenter__(self) -> Self:
        permit = self.acquire()
        if self._faults is not None:
            try:
                await self._faults.arun(_anothing, (), {})
            except BaseException as exc:
                self.error(permit, exc)
                raise
        enter_block(self, (permit, self.clock() if self.timed else None))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _leave(self) -> tuple[Token, float | None]:
        entry: tuple[Token, float | None] | None = leave_block(self)
        if entry is not None:
            return entry
        # Entered in another context (a framework runs the two halves of a generator in
        # different threads): the outcome counts for the present state, or nothing would.
        with self._lock:
            return self._machine.probes or self._machine.window, None

    # -- inside ---------------------------------------------------------------------

    def inject(self, faults: Faults | None) -> None:
        """Run guarded calls through *faults* (a chaos test), or no longer with None."""
        with self._lock:
            self._faults = faults
            self._refresh()

    def _refresh(self) -> None:
        machine = self._machine
        self.door = machine.window if machine.free and self._faults is None else None

    def _tell(self, change: Change | None) -> None:
        if change is None:
            return
        event = BreakerTransition(self.name, *change)
        if self._listeners is not None:
            self._listeners.emit(event)
        emit(self._events, event)

    def after_fork(self) -> None:
        """Re-arm in a forked child: locks are new, probes of the parent's threads are forgotten.

        The state is kept; totals begin at 0, since they are added to the parent's.
        """
        self._lock = threading.RLock()
        self._machine.failed = self._machine.rejected = self._machine.opened = 0
        if self._machine.probes is not None:
            self._machine.probes = Probes()

    def __repr__(self) -> str:
        mode = "" if self.mode is BreakerMode.AUTO else f", {self.mode.value}"
        return f"<CircuitBreaker {self.name!r} {self.state.value}{mode}>"


_fleet: Final[Fleet[CircuitBreaker]] = Fleet()
breakers_named = _fleet.named


def _nothing() -> None:
    """Stand for the body of a with block when faults are injected."""


async def _anothing() -> None:
    """As _nothing, awaited."""
