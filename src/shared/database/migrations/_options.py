"""How migrations are run, and what they tell while they run."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.errors import InvalidArgumentError, MigrationError

__all__ = ["MigrationOptions", "MigrationProgress", "Phase", "as_phase", "phase_of"]


class Phase(StrEnum):
    """When a revision may be applied, measured by the deploy of the code that goes with it.

    ``EXPAND`` before it, old and new code both run on the result; ``MIGRATE`` moves data;
    ``CONTRACT`` after the last old process has gone. A revision says so with
    ``phase = "expand"`` in its file, and one that says nothing expands.

    Example:
        >>> Phase.EXPAND.rank < Phase.CONTRACT.rank
        True
    """

    EXPAND = "expand"
    MIGRATE = "migrate"
    CONTRACT = "contract"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return _RANKS[self]


_RANKS: Final = {Phase.EXPAND: 0, Phase.MIGRATE: 1, Phase.CONTRACT: 2}


def as_phase(word: "Phase | str") -> Phase:
    """Return the phase that *word* names.

    Raises:
        InvalidArgumentError: There is none of that name.
    """
    try:
        return Phase(word)
    except ValueError:
        msg = f"unknown phase {word!r} (known: {', '.join(each.value for each in Phase)})"
        raise InvalidArgumentError(msg) from None


def phase_of(script: Any) -> Phase:
    """Return the phase the file of a revision names.

    Raises:
        MigrationError: It names one that does not exist.
    """
    word = getattr(script.module, "phase", Phase.EXPAND)
    try:
        return Phase(word)
    except ValueError:
        known = ", ".join(each.value for each in Phase)
        msg = f"revision {script.revision!r}: unknown phase {word!r} (known: {known})"
        raise MigrationError(msg) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationOptions:
    """Times and limits of a run. Times are seconds.

    Args:
        lock_timeout: How long a statement waits for a lock on a table before it gives way:
            while it waits, everybody behind it waits, too. PostgreSQL only.
        concurrent_lock_timeout: The same for work that blocks nobody while it waits, such
            as an index built concurrently, which waits for every older transaction.
        statement_timeout: Longest run of one statement; 0 is no limit.
        lock_attempts: Runs in total when a lock was not free.
        retry_wait: Longest wait before the second run; doubles, and the wait is drawn at
            random below it.
        retry_wait_cap: Longest wait before any run.
        queue_timeout: How long to wait for another process that migrates the same database.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> MigrationOptions(lock_timeout=0.5).lock_attempts
        10
        >>> MigrationOptions(lock_attempts=0)
        Traceback (most recent call last):
            ...
        shared.errors.InvalidArgumentError: lock_attempts is 1 or more, got 0
    """

    lock_timeout: float = 2.0
    concurrent_lock_timeout: float = 1800.0
    statement_timeout: float = 0.0
    lock_attempts: int = 10
    retry_wait: float = 1.0
    retry_wait_cap: float = 30.0
    queue_timeout: float = 600.0

    def __post_init__(self) -> None:
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if not value >= least:
                msg = f"{name} is {least} or more, got {value!r}"
                raise InvalidArgumentError(msg)


_AT_LEAST: Final = {
    "lock_timeout": 0.001,
    "concurrent_lock_timeout": 0.001,
    "statement_timeout": 0,
    "lock_attempts": 1,
    "retry_wait": 0,
    "retry_wait_cap": 0,
    "queue_timeout": 0,
}


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """What a run tells while it goes on.

    Attributes:
        state: ``waiting`` for another process, ``started``, ``working``, ``finished`` or
            ``retrying`` after a lock was not free.
        revision: Which; empty while waiting.
        number: Which step of the run, from 1.
        total: Steps of the run.
        seconds: Since the step began; before a retry, how long it will wait.
        note: More, for people: rows moved, blocks read, what the lock was.

    Example:
        >>> str(MigrationProgress("finished", "orders_0002", number=1, total=2, seconds=0.31))
        '[1/2] orders_0002 finished after 0.3 s'
    """

    state: str
    revision: str = ""
    number: int = 0
    total: int = 0
    seconds: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        place = f"[{self.number}/{self.total}] {self.revision} " if self.revision else ""
        preposition = {"retrying": "in", "started": "at"}.get(self.state, "after")
        when = "" if self.state == "started" else f" {preposition} {self.seconds:.1f} s"
        return f"{place}{self.state}{when}{': ' + self.note if self.note else ''}"
