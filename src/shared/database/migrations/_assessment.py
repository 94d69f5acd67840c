"""What a revision will cost: how long who waits, and whether that can be borne."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.database.migrations._effects import BLOCKING
from shared.database.migrations._live import LiveDatabase, LiveTable
from shared.database.migrations._options import Phase
from shared.database.migrations._probe import STRENGTH, Measured
from shared.database.migrations._status import RevisionState
from shared.errors import InvalidArgumentError

__all__ = ["Assessment", "AssessmentLimits", "StepAssessment", "TableImpact", "Verdict", "judge"]

_READERS_TOO = "ACCESS EXCLUSIVE"


class Verdict(StrEnum):
    """Whether a revision may be applied now.

    Example:
        >>> Verdict.WINDOW.value
        'needs a window'
    """

    SAFE = "safe"
    WINDOW = "needs a window"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentLimits:
    """What counts as long. Times are seconds.

    Args:
        window_after: Others wait for longer: a window is needed.
        forbid_after: Others wait for longer: not even in a window.

    Raises:
        InvalidArgumentError: They are not in order.

    Example:
        >>> AssessmentLimits(window_after=0.2).forbid_after
        30.0
    """

    window_after: float = 1.0
    forbid_after: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.window_after <= self.forbid_after:
            msg = f"0 < window_after <= forbid_after, got {self.window_after!r} and {self.forbid_after!r}"
            raise InvalidArgumentError(msg)


@dataclass(frozen=True, slots=True)
class TableImpact:
    """What a revision does to one table.

    Attributes:
        table: Its name.
        lock: The strongest lock taken.
        rewritten: Whether its rows are written anew.
        scanned: Whether its rows are all read.
        block_seconds: How long writers wait, readers too when the lock is ACCESS
            EXCLUSIVE; estimated for the live size, until the transaction ends.
        rows: In the live table.
        waiting: Statements that come during that time, at the live rates.

    Example:
        >>> TableImpact("orders", "SHARE", False, True, 4.0, 10**6, 120.0).lock
        'SHARE'
    """

    table: str
    lock: str
    rewritten: bool
    scanned: bool
    block_seconds: float
    rows: int
    waiting: float


@dataclass(frozen=True, slots=True)
class StepAssessment:
    """What one revision will cost.

    Attributes:
        revision: Its id.
        message: First line of its file.
        phase: When it may be applied.
        verdict: Whether it may be applied now.
        reason: Why.
        tables: Live tables it touches.
        seconds: Estimated time of the whole, at the live sizes.
        wal_bytes: Estimated write-ahead log, at the live sizes.
        failed: Why it failed on the copy, or None.

    Example:
        >>> step = StepAssessment("a", "b", Phase.EXPAND, Verdict.SAFE, "brief", (), 0.1, 0, None)
        >>> step.to_dict()["verdict"]
        'safe'
    """

    revision: str
    message: str
    phase: Phase
    verdict: Verdict
    reason: str
    tables: tuple[TableImpact, ...]
    seconds: float
    wal_bytes: int
    failed: str | None

    @property
    def lock(self) -> str:
        """The strongest lock on any live table; empty when none is touched."""
        return max((each.lock for each in self.tables), key=STRENGTH.index, default="")

    @property
    def block_seconds(self) -> float:
        """How long anybody waits, at most."""
        return max((each.block_seconds for each in self.tables), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> StepAssessment("a", "b", Phase.EXPAND, Verdict.SAFE, "", (), 0.1, 0, None).to_dict()["lock"]
            ''
        """
        return {
            "revision": self.revision,
            "message": self.message,
            "phase": self.phase.value,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "lock": self.lock,
            "block_seconds": round(self.block_seconds, 3),
            "seconds": round(self.seconds, 3),
            "wal_bytes": self.wal_bytes,
            "failed": self.failed,
            "tables": [
                {
                    "table": each.table,
                    "lock": each.lock,
                    "rewritten": each.rewritten,
                    "scanned": each.scanned,
                    "block_seconds": round(each.block_seconds, 3),
                    "rows": each.rows,
                    "waiting": round(each.waiting, 1),
                }
                for each in self.tables
            ],
        }

    def __str__(self) -> str:
        lock = self.lock or "no lock on a table in use"
        return (
            f"{self.verdict.value.upper():<14} {self.revision}  {lock}, "
            f"blocks {self.block_seconds:.1f} s, takes {self.seconds:.1f} s: {self.reason}"
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the pending revisions will cost.

    Attributes:
        steps: One for each, in order; the first that failed is the last.
        live: What the live database is like.
        notes: What the copy does not show.

    Example:
        >>> Assessment((), LiveDatabase(), ()).verdict
        <Verdict.SAFE: 'safe'>
    """

    steps: tuple[StepAssessment, ...]
    live: LiveDatabase
    notes: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """That of the worst step."""
        order = list(Verdict)
        return max((step.verdict for step in self.steps), key=order.index, default=Verdict.SAFE)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> Assessment((), LiveDatabase(), ()).to_dict()["steps"]
            []
        """
        return {
            "verdict": self.verdict.value,
            "steps": [step.to_dict() for step in self.steps],
            "longest_transaction": round(self.live.longest_transaction, 1),
            "replica_lag": round(self.live.replica_lag, 1),
            "invalid_indexes": list(self.live.invalid_indexes),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [str(step) for step in self.steps] or ["nothing is pending"]
        if self.live.longest_transaction > 1:
            lines.append(
                f"a transaction has been open for {self.live.longest_transaction:.0f} s: "
                "every lock waits for it, and 'shared db upgrade' tries again until it ends"
            )
        if self.live.replica_lag > 1:
            lines.append(f"a replica is {self.live.replica_lag:.0f} s behind")
        lines += [f"index {name} is invalid: drop it and build it anew" for name in self.live.invalid_indexes]
        return "\n".join([*lines, *(f"note: {each}" for each in self.notes)])


def judge(
    state: RevisionState,
    transactions: Sequence[Sequence[Measured]],
    live: LiveDatabase,
    sizes: Mapping[str, int],
    *,
    limits: AssessmentLimits,
    failed: str | None = None,
) -> StepAssessment:
    """Return what a revision will cost.

    Args:
        state: The revision.
        transactions: What its statements did on the copy.
        live: What the live database is like.
        sizes: Bytes of each table of the copy, without indexes.
        limits: What counts as long.
        failed: Why it failed on the copy.
    """
    impacts: dict[str, _Impact] = {}
    seconds, wal = 0.0, 0.0
    for statements in transactions:
        costs = [_cost(each, live, sizes) for each in statements]
        seconds += sum(cost for cost, _factor in costs)
        wal += sum(each.wal_bytes * factor for each, (_cost_, factor) in zip(statements, costs, strict=True))
        _add_transaction(impacts, statements, [cost for cost, _factor in costs], live)
    tables = tuple(
        sorted((each.finished(live) for each in impacts.values()), key=lambda each: -each.block_seconds)
    )
    verdict, reason = _verdict(tables, limits, failed)
    return StepAssessment(
        state.revision, state.message, state.phase, verdict, reason, tables, seconds, int(wal), failed
    )


class _Impact:
    """What is known of one table so far."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.locks: set[str] = set()
        self.rewritten = self.scanned = False
        self.block_seconds = 0.0

    def finished(self, live: LiveDatabase) -> TableImpact:
        lock = max(self.locks, key=STRENGTH.index, default="")
        size = live.tables[self.table]
        rate = size.writes + (size.reads if lock == _READERS_TOO else 0.0)
        return TableImpact(
            self.table,
            lock,
            self.rewritten,
            self.scanned,
            self.block_seconds,
            size.rows,
            rate * self.block_seconds,
        )


def _add_transaction(
    impacts: dict[str, _Impact], statements: Sequence[Measured], costs: Sequence[float], live: LiveDatabase
) -> None:
    """Count from the statement that takes a blocking lock to the end of its transaction."""
    held: set[str] = set()
    for number, each in enumerate(statements):
        for table in {*each.locks, *each.rewritten, *each.scanned}:
            if table not in live.tables:
                continue
            impact = impacts.setdefault(table, _Impact(table))
            lock = each.locks.get(table, "")
            if lock:
                impact.locks.add(lock)
            impact.rewritten |= table in each.rewritten
            impact.scanned |= table in each.scanned
            if lock in BLOCKING and table not in held:
                held.add(table)
                impact.block_seconds += sum(costs[number:])


def _cost(each: Measured, live: LiveDatabase, sizes: Mapping[str, int]) -> tuple[float, float]:
    """Return the seconds a statement takes at the live sizes, and by what it was multiplied."""
    factor = 1.0
    for table in {*each.rewritten, *each.scanned}:
        found = live.tables.get(table)
        if found is not None:
            factor = max(factor, _ratio(found, sizes.get(table, 0)))
    return each.seconds * factor, factor


def _ratio(table: LiveTable, copied: int) -> float:
    return max(1.0, table.heap_bytes / max(copied, 8192))


def _verdict(
    tables: Sequence[TableImpact], limits: AssessmentLimits, failed: str | None
) -> tuple[Verdict, str]:
    if failed is not None:
        return Verdict.FORBIDDEN, f"it failed on the copy: {failed}"
    worst = tables[0] if tables else None
    if worst is None:
        return Verdict.SAFE, "touches no table in use"
    if worst.block_seconds <= 0:
        return Verdict.SAFE, "nobody waits"
    does = "written anew" if worst.rewritten else "read" if worst.scanned else "locked"
    who = "everybody" if worst.lock == _READERS_TOO else "writers"
    text = (
        f"{worst.table} ({worst.rows} rows) is {does} while {who} wait, about {worst.waiting:.0f} statements"
    )
    if worst.block_seconds > limits.forbid_after:
        return Verdict.FORBIDDEN, text
    if worst.block_seconds > limits.window_after:
        return Verdict.WINDOW, text
    return Verdict.SAFE, f"brief: {text}"
