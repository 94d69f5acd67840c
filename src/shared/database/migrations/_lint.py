"""Read the revisions of a chain and tell what would hurt."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import MetaData

from shared.database.migrations._alembic import parents_of
from shared.database.migrations._chain import MigrationChain, alembic_alone
from shared.database.migrations._change import Change
from shared.database.migrations._changes import changes_of
from shared.database.migrations._effects import SchemaState
from shared.database.migrations._findings import LintFinding, LintReport
from shared.database.migrations._lint_chain import chain_findings, downgrade_findings
from shared.database.migrations._options import phase_of
from shared.database.migrations._record import Recorded, record
from shared.database.migrations._rules import Hit, Place, for_every_database, for_postgresql
from shared.database.migrations._rules_other import for_mysql, for_sqlite
from shared.errors import InvalidArgumentError

__all__ = ["DIALECTS", "lint", "read_baseline", "write_baseline"]

DIALECTS: Final[dict[str, Callable[[Change, Place, SchemaState], Iterator[Hit]]]] = {
    "postgresql": for_postgresql,
    "sqlite": for_sqlite,
    "mysql": for_mysql,
}
_DATA: Final = frozenset({"update", "delete", "insert", "question", "aside", "comment", "maintenance"})


def lint(
    chain: MigrationChain,
    *,
    dialects: Iterable[str] = ("postgresql", "sqlite"),
    metadata: MetaData | None = None,
    since: str | None = None,
    baseline: Iterable[str] = (),
    edited: Iterable[str] = (),
) -> LintReport:
    """Read the revisions of *chain* and report what would hurt; no database is needed.

    A change of a table that the same revision makes hurts nobody. What stands in a
    :func:`safe` block is reported as accepted.

    Args:
        chain: Whose revisions.
        dialects: Of ``postgresql``, ``sqlite`` and ``mysql``.
        metadata: The models, to find what is dropped and still mapped.
        since: Only revisions after this one; those before are read for what they make.
        baseline: Fingerprints of findings that are known, from :func:`read_baseline`.
        edited: Applied revisions whose files were changed, from ``MigrationCheck.edited``.

    Raises:
        InvalidArgumentError: A dialect is unknown.
        MigrationError: *since* is not known, or the chain cannot be read.

    Example:
        >>> lint(MigrationChain.library()).ok
        True
    """
    wanted = list(dict.fromkeys(dialects))
    for name in wanted:
        if name not in DIALECTS:
            msg = f"unknown dialect {name!r} (known: {', '.join(DIALECTS)})"
            raise InvalidArgumentError(msg)
    script = chain.script()
    ordered = [each for each in reversed(list(script.walk_revisions())) if chain.owns(each)]
    skipped = _up_to(script, since)
    judged = [each for each in ordered if each.revision not in skipped]
    found = list(chain_findings(script, chain, edited))
    for name in wanted:
        reader = _Reader(name, metadata)
        for each in ordered:
            found.extend(reader.read(each, judged=each.revision not in skipped))
    for each in judged:
        found.extend(downgrade_findings(each))
    return _report(found, set(baseline), ordered, len(judged))


def _up_to(script: Any, since: str | None) -> set[str]:
    if since is None:
        return set()
    with alembic_alone():
        queue = [script.get_revision(since)]
    found: set[str] = set()
    while queue:
        each = queue.pop()
        found.add(each.revision)
        queue.extend(script.get_revision(parent) for parent in parents_of(each) if parent not in found)
    return found


def _report(found: list[LintFinding], known: set[str], ordered: list[Any], revisions: int) -> LintReport:
    places = {each.revision: number for number, each in enumerate(ordered, start=1)}
    unique = sorted(
        dict.fromkeys(found),
        key=lambda each: (places.get(each.revision, 0), each.line, each.rule, each.dialect),
    )
    open_ = [each for each in unique if each.accepted is None]
    return LintReport(
        tuple(each for each in open_ if each.fingerprint not in known),
        tuple(each for each in unique if each.accepted is not None),
        sum(each.fingerprint in known for each in open_),
        revisions,
    )


@dataclass(slots=True)
class _Reader:
    """Reads one revision after the other for one dialect, and remembers what they made."""

    dialect: str
    metadata: MetaData | None
    state: SchemaState = field(default_factory=SchemaState)

    def read(self, script: Any, *, judged: bool) -> Iterator[LintFinding]:
        recording = record(script, dialect=self.dialect)
        entries = [(each, changes_of(each.operation)) for each in recording.operations]
        made = {
            change.table for _each, changes in entries for change in changes if change.kind == "create_table"
        }
        is_alone = all(
            change.kind in _DATA or change.kind.startswith("safe:backfill")
            for _each, changes in entries
            for change in changes
        )
        if judged and recording.stopped is not None:
            yield self._finding(script, None, _unread(recording.stopped))
        if judged and _mixes(entries):
            yield self._finding(script, None, _MIXED)
        for each, changes in entries:
            for change in changes:
                if judged:
                    yield from self._judge(script, each, change, made, is_alone=is_alone)
                self.state.apply(change)

    def _judge(
        self, script: Any, each: Recorded, change: Change, made: set[str], *, is_alone: bool
    ) -> Iterator[LintFinding]:
        place = Place(
            phase_of(script),
            autocommit=each.autocommit,
            batch=each.batch,
            made_here=change.table in made and bool(change.table),
            mapped=self._is_mapped(change),
            is_alone=is_alone,
        )
        for hit in for_every_database(change, place):
            yield self._finding(script, each, hit, change.table, dialect="")
        for hit in DIALECTS[self.dialect](change, place, self.state):
            yield self._finding(script, each, hit, change.table)
        if change.kind == "safe:backfill" and not is_alone:
            yield self._finding(script, each, _BACKFILL_MIXED, change.table, dialect="")

    def _is_mapped(self, change: Change) -> bool:
        table = None if self.metadata is None else self.metadata.tables.get(change.table)
        if table is None or change.new_name is not None:  # another column takes its place
            return False
        return change.kind == "drop_table" or (
            change.kind == "drop_column" and (change.column or "") in table.c
        )

    def _finding(
        self, script: Any, each: Recorded | None, hit: Hit, table: str = "", *, dialect: str | None = None
    ) -> LintFinding:
        return LintFinding(
            hit.rule,
            hit.severity,
            script.revision,
            self.dialect if dialect is None else dialect,
            0 if each is None else each.line,
            table,
            hit.message,
            hit.recipe,
            None if each is None else each.accepted,
        )


def _mixes(entries: Sequence[tuple[Recorded, list[Change]]]) -> bool:
    """Tell whether a revision works inside and outside of transactions."""
    inside = any(not each.autocommit and not _is_own(changes) for each, changes in entries)
    outside = any(each.autocommit and not _is_own(changes) for each, changes in entries)
    return inside and outside


def _is_own(changes: list[Change]) -> bool:
    return any(change.kind.startswith("safe:") for change in changes)


def _unread(reason: str) -> Hit:
    return Hit(
        "revision-unread",
        "warning",
        f"reading stopped: {reason}",
        "run 'shared db assess', which runs the revision on a copy",
    )


_MIXED: Final = Hit(
    "autocommit-mixed",
    "warning",
    "work outside of transactions commits what stands before it: a failure leaves half a revision",
    "give it a revision of its own",
)
_BACKFILL_MIXED: Final = Hit(
    "backfill-with-schema",
    "error",
    "a backfill commits what stands before it, and a run that was stopped begins with that again and fails",
    'give the backfill a revision of its own, with phase = "migrate"',
)


def read_baseline(path: str | Path) -> frozenset[str]:
    """Return the fingerprints of the findings in the file *path*.

    Raises:
        InvalidArgumentError: It is not a baseline.

    Example:
        >>> write_baseline("baseline.json", LintReport((), (), 0, 1))
        >>> read_baseline("baseline.json")
        frozenset()
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return frozenset(str(each["fingerprint"]) for each in data["findings"])
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        msg = f"{str(path)!r} is no baseline: write one with 'shared db lint --write-baseline FILE'"
        raise InvalidArgumentError(msg) from exc


def write_baseline(path: str | Path, report: LintReport) -> None:
    """Write the findings of *report* to the file *path*, so that only new ones count.

    Example:
        >>> from pathlib import Path
        >>> write_baseline("baseline.json", LintReport((), (), 0, 1))
        >>> Path("baseline.json").read_text().startswith("{")
        True
    """
    findings = [
        {"fingerprint": each.fingerprint, "rule": each.rule, "revision": each.revision, "table": each.table}
        for each in report.findings
    ]
    Path(path).write_text(json.dumps({"findings": findings}, indent=2) + "\n", encoding="utf-8")
