"""The circuit breaker as a pure state machine: time and outcomes come in, verdicts go out.

It knows no clock, no lock and no I/O; :class:`~shared.resilience.CircuitBreaker` is
its shell. Each state is a new *generation*, and a permit belongs to the one it was
given in: the result of an older one changes nothing.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from shared.resilience._config import BreakerConfig
from shared.resilience._windows import Window, plural

__all__ = [
    "CLOSED",
    "DISABLED",
    "FORCED_OPEN",
    "HALF_OPEN",
    "OPEN",
    "PASS",
    "BreakerMachine",
    "BreakerMode",
    "BreakerState",
    "Change",
    "Probes",
    "Token",
]


class BreakerState(StrEnum):
    """The three states of a circuit breaker.

    Example:
        >>> BreakerState.OPEN == "OPEN", BreakerState("HALF_OPEN") is HALF_OPEN
        (True, True)
    """

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


CLOSED: Final = BreakerState.CLOSED
OPEN: Final = BreakerState.OPEN
HALF_OPEN: Final = BreakerState.HALF_OPEN


class BreakerMode(StrEnum):
    """Who decides: the breaker, or an operator.

    Attributes:
        AUTO: The breaker decides.
        FORCED_OPEN: Every call is refused.
        FORCED_CLOSED: Every call passes; outcomes are counted, nothing opens.
        DISABLED: Every call passes and nothing is counted.
        METRICS_ONLY: The breaker changes its state and tells, and refuses nothing:
            for trying thresholds out on live traffic.

    Example:
        >>> BreakerMode("METRICS_ONLY").value
        'METRICS_ONLY'
    """

    AUTO = "AUTO"
    FORCED_OPEN = "FORCED_OPEN"
    FORCED_CLOSED = "FORCED_CLOSED"
    DISABLED = "DISABLED"
    METRICS_ONLY = "METRICS_ONLY"


DISABLED: Final = BreakerMode.DISABLED
FORCED_OPEN: Final = BreakerMode.FORCED_OPEN
_AUTO: Final = BreakerMode.AUTO
_FORCED_CLOSED: Final = BreakerMode.FORCED_CLOSED
_METRICS_ONLY: Final = BreakerMode.METRICS_ONLY


class Probes:
    """One half-open period: how many test calls are out, how many came back well."""

    __slots__ = ("granted", "in_flight", "successes")

    def __init__(self) -> None:
        self.granted: float = 0.0  # when the last permit was given
        self.in_flight: int = 0
        self.successes: int = 0

    def give_back(self) -> None:
        """Take a permit back; one too many from a caller who reports twice makes no new one."""
        self.in_flight = max(0, self.in_flight - 1)


class _Pass:
    """The token of a call that is let through uncounted."""

    __slots__ = ()


PASS: Final = _Pass()

Token = Window | Probes | _Pass
Change = tuple[BreakerState, BreakerState, str, int]
"""Old state, new state, reason, generation."""


class BreakerMachine:
    """Decides whether a call may pass and what its outcome means."""

    __slots__ = (
        "config",
        "failed",
        "generation",
        "mode",
        "open_until",
        "opened",
        "probes",
        "reason",
        "rejected",
        "reopened",
        "rng",
        "state",
        "window",
    )

    def __init__(self, config: BreakerConfig, rng: Callable[[], float]) -> None:
        self.config = config
        self.rng = rng
        self.mode = _AUTO
        self.state = CLOSED
        self.window: Window = config.new_window()
        self.probes: Probes | None = None
        self.open_until = 0.0
        self.reason = ""
        self.generation = 0
        self.reopened = 0  # times in a row that probing failed
        self.failed = self.opened = self.rejected = 0  # totals for snapshots

    # -- asking -------------------------------------------------------------------

    def acquire(self, now: float) -> tuple[Token | None, Change | None]:
        """Return a token for one call, or None when it must not pass."""
        mode = self.mode
        if mode is DISABLED:
            return PASS, None
        if mode is FORCED_OPEN:
            return self._refuse(None)
        change = None
        if self.state is OPEN and now >= self.open_until:
            change = self._enter(HALF_OPEN, "time to probe")
            self.probes = Probes()
        if self.state is CLOSED:
            return self.window, None
        probes = self.probes
        if self.state is OPEN or probes is None:
            return self._refuse(None)
        if probes.in_flight < self.config.half_open_max_calls:
            probes.in_flight += 1
            probes.granted = now
            return probes, change
        return self._refuse(self._unstick(probes, now))

    def _refuse(self, change: Change | None) -> tuple[Token | None, Change | None]:
        self.rejected += 1
        return (PASS if self.mode is _METRICS_ONLY else None), change

    def _unstick(self, probes: Probes, now: float) -> Change | None:
        """Give up a half-open period whose probes never come back (threads killed, tasks leaked)."""
        limit = self.config.half_open_timeout
        if limit is None or now - probes.granted < limit:
            return None
        return self._reopen(f"no probe came back within {limit:g} s", now)

    # -- telling ------------------------------------------------------------------

    def success(self, token: Token, now: float, *, slow: bool = False) -> Change | None:
        """Take a good outcome; a slow one counts against the dependency."""
        if token is self.window:
            reason = self.window.good(now, slow=slow)
            return self._trip(reason, now)
        if token is not self.probes or self.probes is None:
            return None
        self.probes.give_back()
        if slow:
            return self._reopen("a probe was slow", now)
        self.probes.successes += 1
        if self.probes.successes < self.config.success_threshold:
            return None
        return self._close(f"{plural(self.probes.successes, 'probe')} succeeded")

    def failure(self, token: Token, now: float, *, slow: bool = False) -> Change | None:
        """Take a bad outcome."""
        if token is self.window:
            self.failed += 1
            return self._trip(self.window.bad(now, slow=slow), now)
        if token is not self.probes or self.probes is None:
            return None
        self.failed += 1
        return self._reopen("a probe failed", now)

    def neutral(self, token: Token) -> None:
        """Take back the permit of a call that says nothing: cancelled, or ignored."""
        if token is self.probes and self.probes is not None:
            self.probes.give_back()

    def _trip(self, reason: str | None, now: float) -> Change | None:
        if reason is None or self.mode is _FORCED_CLOSED:
            return None
        self.reopened = 0
        return self._open(reason, now)

    # -- states -------------------------------------------------------------------

    def _enter(self, state: BreakerState, reason: str) -> Change:
        change = (self.state, state, reason, self.generation + 1)
        self.state = state
        self.reason = reason
        self.generation += 1
        self.probes = None
        # Every state gets a window of its own, so that a late result of the last
        # closed period is not mistaken for one of the next.
        self.window = self.config.new_window()
        return change

    def _reopen(self, reason: str, now: float) -> Change:
        self.reopened += 1
        return self._open(reason, now)

    def _open(self, reason: str, now: float) -> Change:
        self.opened += 1
        self.open_until = now + self.config.open_seconds(self.reopened, self.rng)
        return self._enter(OPEN, reason)

    def _close(self, reason: str) -> Change:
        self.reopened = 0
        return self._enter(CLOSED, reason)

    def force(self, mode: BreakerMode, reason: str) -> Change | None:
        """Switch the mode; the breaker starts afresh, so nothing old decides."""
        shown = self.shown(0.0)
        self.mode = mode
        self.reopened = 0
        self.open_until = 0.0
        self._enter(OPEN if mode is FORCED_OPEN else CLOSED, reason)
        return None if shown is self.state else (shown, self.state, reason, self.generation)

    # -- reading ------------------------------------------------------------------

    def shown(self, now: float) -> BreakerState:
        """Return the state a caller would meet at *now*; changes nothing."""
        if self.state is OPEN and self.mode is not FORCED_OPEN and now >= self.open_until:
            return HALF_OPEN
        return self.state

    def wait(self, now: float) -> float:
        """Return the seconds until a call may pass, as far as is known; 0.0 means now."""
        if self.state is OPEN and self.mode is not FORCED_OPEN:
            return max(0.0, self.open_until - now)
        return 0.0

    @property
    def free(self) -> bool:
        """Whether calls pass without asking: closed, and outcomes are counted."""
        return self.state is CLOSED and self.mode is not DISABLED
