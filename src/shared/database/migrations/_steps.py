"""The steps of a run: which revisions, in which order, and what is done around each."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.database.migrations._alembic import parents_of
from shared.database.migrations._ledger import note_applied, note_taken_back
from shared.database.migrations._options import MigrationProgress, Phase, phase_of
from shared.database.migrations._session import ForeignKeys

__all__ = ["AppliedRevision", "StepRunner", "of_phase"]


@dataclass(frozen=True, slots=True)
class AppliedRevision:
    """A revision that was applied or taken back.

    Attributes:
        revision: Its id.
        message: First line of its file.
        phase: When it may be applied.
        direction: ``up`` or ``down``.
        seconds: How long it took.

    Example:
        >>> AppliedRevision("orders_0002", "add status", Phase.EXPAND, "up", 0.2).direction
        'up'
    """

    revision: str
    message: str
    phase: Phase
    direction: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> AppliedRevision("a", "b", Phase.EXPAND, "up", 0.25).to_dict()["phase"]
            'expand'
        """
        return {
            "revision": self.revision,
            "message": self.message,
            "phase": self.phase.value,
            "direction": self.direction,
            "seconds": round(self.seconds, 3),
        }


def of_phase(steps: list[Any], phase: Phase | None) -> list[Any]:
    """Return those of *steps* that belong to *phase* or an earlier one and wait for no later one."""
    if phase is None:
        return steps
    held: set[str] = set()
    kept = []
    for step in steps:
        script = step.revision
        waits = any(parent in held for parent in parents_of(script))
        if waits or phase_of(script).rank > phase.rank:
            held.add(script.revision)
        else:
            kept.append(step)
    return kept


class StepRunner:
    """Wraps the function of each step: progress, foreign keys, the ledger.

    Args:
        progress: Told before and after each step.
        around: Called with a step's script; returns a context manager around its function.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        progress: Callable[[MigrationProgress], object],
        around: Callable[[Any], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._around, self._clock = progress, around, clock
        self.done: list[AppliedRevision] = []
        #: Whether a step that failed had work of its own outside of transactions.
        self.is_half_done = False

    def prepare(self, steps: list[Any], context: Any) -> Iterator[Any]:
        """Yield *steps* with their functions wrapped."""
        blocks = context.autocommit_block

        def autocommit_block() -> Any:
            self.is_half_done = True
            return blocks()

        context.autocommit_block = autocommit_block
        keys = None if context.as_sql else ForeignKeys(context.connection)
        for number, step in enumerate(steps, start=1):
            step.migration_fn = self._wrapped(step, context, keys, (number, len(steps)))
            yield step

    def _wrapped(
        self, step: Any, context: Any, keys: ForeignKeys | None, place: tuple[int, int]
    ) -> Callable[..., None]:
        script, function = step.revision, step.migration_fn
        number, total = place

        def run(**keywords: Any) -> None:
            phase = phase_of(script)
            self._progress(
                MigrationProgress("started", script.revision, number, total, note=script.doc or "")
            )
            begin = self._clock()
            self.is_half_done = False
            with self._around((script, number, total)):
                function(**keywords)
            if keys is not None:
                keys.verify(script.revision)
            seconds = self._clock() - begin
            if step.is_upgrade:
                note_applied(context, script, phase.value, 0.0 if context.as_sql else seconds)
            else:
                note_taken_back(context, script)
            direction = "up" if step.is_upgrade else "down"
            self.done.append(AppliedRevision(script.revision, script.doc or "", phase, direction, seconds))
            self._progress(MigrationProgress("finished", script.revision, number, total, seconds))

        return run
