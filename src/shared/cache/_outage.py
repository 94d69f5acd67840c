"""What is owed to Redis after it could not be told something."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Debt", "Outage"]

_MOST = 10_000  # keys and tags remembered; beyond, everything is cleared instead


@dataclass(slots=True)
class Debt:
    """Changes Redis has not seen: what it still holds of these is old."""

    keys: dict[str, None] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    clear: bool = False


class Outage:
    """Whether Redis failed since it was last in order, and what is to be made good first.

    Thread-safe; a forked child inherits the debt.
    """

    __slots__ = ("_debt", "_lock", "_paying", "impaired")

    def __init__(self) -> None:
        self.impaired: bool = False
        self._paying = False
        self._debt = Debt()
        self._lock = threading.Lock()

    def owe(self, keys: Iterable[str] = (), tags: Iterable[str] = (), *, clear: bool = False) -> None:
        """Note a change that Redis was not told, and that it failed."""
        with self._lock:
            self.impaired = True
            debt = self._debt
            debt.clear = debt.clear or clear
            debt.keys.update(dict.fromkeys(keys))
            debt.tags.update(dict.fromkeys(tags))
            if debt.clear or len(debt.keys) + len(debt.tags) > _MOST:
                self._debt = Debt(clear=True)

    def take(self) -> Debt | None:
        """Return what is owed, to be paid by the caller alone; None while another one pays."""
        with self._lock:
            if self._paying:
                return None
            self._paying = True
            debt, self._debt = self._debt, Debt()
            return debt

    def give_back(self, debt: Debt) -> None:
        """Say that *debt* could not be paid."""
        with self._lock:
            self._paying = False
        self.owe(debt.keys, debt.tags, clear=debt.clear)

    def settle(self) -> bool:
        """Say that the debt is paid; tell whether Redis is in order, nothing being owed since."""
        with self._lock:
            self._paying = False
            owed = self._debt.keys or self._debt.tags or self._debt.clear
            if not owed:
                self.impaired = False
            return not owed

    def after_fork(self) -> None:
        """Bring the lock into a working state; whoever was paying does so in the parent."""
        self._lock = threading.Lock()
        self._paying = False
