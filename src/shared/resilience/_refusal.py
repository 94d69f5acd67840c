"""The error of a call that a circuit breaker did not let pass.

An outage makes one for every call, so what is the same for a tenth of a second (the
text, the header, the facts) is made once and copied.
"""

from typing import Final

from shared.errors import CircuitOpenError
from shared.resilience._machine import FORCED_OPEN, BreakerMode

__all__ = ["Refusal"]

_UNKNOWN_WAIT: Final = 1.0
"""Seconds a caller is told to wait when nobody knows how long it takes."""


class Refusal:
    """The pattern of the errors of one breaker within one tenth of a second of one state."""

    __slots__ = ("_pattern", "_state", "key")

    def __init__(self, key: tuple[int, int], name: str, mode: BreakerMode, reason: str, wait: float) -> None:
        self.key = key
        state = "OPEN"
        if mode is FORCED_OPEN:
            text, wait = f"circuit {name!r} is forced open: no call passes until reset()", _UNKNOWN_WAIT
        elif wait > 0.0:
            text = f"circuit {name!r} is open ({reason}): next try in {wait:.1f} s"
        else:
            text = f"circuit {name!r} is half-open: its probes are out, others wait for their result"
            state, wait = "HALF_OPEN", _UNKNOWN_WAIT
        self._pattern = CircuitOpenError(text, retry_after=wait, details={"breaker": name, "state": state})
        self._state = vars(self._pattern)

    def error(self, wait: float) -> CircuitOpenError:
        """Return a fresh error; *wait* are the exact seconds, or 0.0 when nobody knows."""
        pattern = self._state
        error = CircuitOpenError.__new__(CircuitOpenError, self._pattern.message)
        # The state of our errors is complete without their constructors; pickling
        # and copying them stand on the same promise.
        error.__dict__.update(pattern)
        error.details = pattern["details"].copy()
        error.headers = pattern["headers"].copy()
        if wait:
            error.retry_after = wait
        return error
