"""What an operator does to a circuit breaker."""

from shared.resilience._machine import BreakerMode

__all__ = ["ByHand"]


class ByHand:
    """The switches of a circuit breaker; each starts a new state in which nothing old counts."""

    __slots__ = ()

    def _force(self, mode: BreakerMode, reason: str) -> None:
        raise NotImplementedError

    def force_open(self) -> None:
        """Refuse every call until :meth:`reset`."""
        self._force(BreakerMode.FORCED_OPEN, "forced open")

    def force_closed(self) -> None:
        """Let every call pass and count outcomes, but never open, until :meth:`reset`."""
        self._force(BreakerMode.FORCED_CLOSED, "forced closed")

    def disable(self) -> None:
        """Let every call pass uncounted until :meth:`reset`."""
        self._force(BreakerMode.DISABLED, "disabled")

    def metrics_only(self) -> None:
        """Change states and tell, but refuse nothing, until :meth:`reset`."""
        self._force(BreakerMode.METRICS_ONLY, "metrics only")

    def reset(self) -> None:
        """Start afresh: closed, nothing counted, the breaker decides."""
        self._force(BreakerMode.AUTO, "reset")
