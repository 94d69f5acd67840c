"""The switch that tests turn: no waiting between tries, fewer tries."""

from shared.runtime import current

__all__ = ["Switch", "find_switch"]


class Switch:
    """Test settings of one runtime; read only after a call has failed.

    Attributes:
        waits: False makes every retry wait 0 seconds.
        max_attempts: Caps the tries of every policy, or None.
    """

    __slots__ = ("max_attempts", "waits")

    def __init__(self) -> None:
        self.waits = True
        self.max_attempts: int | None = None


def find_switch() -> Switch | None:
    """Return the switch of the current runtime if a test has made one."""
    return current().find(Switch)
