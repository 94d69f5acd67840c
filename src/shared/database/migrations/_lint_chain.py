"""What the linter says of a chain as a whole, and of the way back."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._changes import changes_of
from shared.database.migrations._effects import SchemaState, is_free_type_change
from shared.database.migrations._findings import LintFinding
from shared.database.migrations._record import record

__all__ = ["chain_findings", "downgrade_findings"]

_HARMLESS: Final = frozenset({"update", "delete", "insert", "question", "aside", "comment", "maintenance"})


def chain_findings(script: Any, chain: MigrationChain, edited: Iterable[str]) -> Iterator[LintFinding]:
    """Yield several heads, and applied revisions that were changed."""
    groups: dict[str, list[str]] = {}
    for head in chain.heads(script):
        folder = Path(script.get_revision(head).path).parent.name if chain.name == "library" else ""
        groups.setdefault(folder, []).append(head)
    for folder, heads in groups.items():
        if len(heads) > 1:
            where = f"room {folder!r}" if folder else "the chain"
            yield LintFinding(
                "several-heads",
                "error",
                "",
                message=f"{where} ends in {len(heads)} revisions: {', '.join(sorted(heads))}",
                recipe="let one follow the other, or merge them with 'alembic merge heads'",
            )
    for revision in edited:
        yield LintFinding(
            "edited-revision",
            "error",
            revision,
            message="the file was changed after it was applied: databases differ from each other now",
            recipe="put it back as it was, and write what must change into a new revision",
        )


def downgrade_findings(script: Any) -> Iterator[LintFinding]:
    """Yield what is missing or lost on the way back from *script*."""
    up, down = record(script), record(script, downgrade=True)
    forth = [(each, change) for each in up.operations for change in changes_of(each.operation)]
    back = [change for each in down.operations for change in changes_of(each.operation)]
    accepted = next((each.accepted for each in (*down.operations, *up.operations) if each.accepted), None)
    schema = [
        change for _each, change in forth if change.kind not in _HARMLESS and change.kind != "safe:backfill"
    ]
    if schema and not back and (down.stopped is None or "NotImplementedError" in down.stopped):
        yield LintFinding(
            "downgrade-missing",
            "error",
            script.revision,
            message="the revision cannot be taken back",
            recipe="write downgrade(), and try it with 'shared db rehearse'",
            accepted=accepted,
        )
    state = SchemaState()
    for each, change in forth:
        lost = _lost(change, state)
        if lost:
            yield LintFinding(
                "downgrade-loses-data",
                "warning",
                script.revision,
                line=each.line,
                table=change.table,
                message=f"{lost}: a downgrade brings the shape back, not the data",
                recipe="keep a copy for as long as the revision may be taken back",
                accepted=each.accepted,
            )
        state.apply(change)


def _lost(change: Any, state: SchemaState) -> str:
    if change.table in state.tables:  # made in the same revision
        return ""
    if change.kind == "drop_column":
        return f"the values of {change.table}.{change.column} are dropped"
    if change.kind in {"drop_table", "truncate"}:
        return f"the rows of {change.table} are dropped"
    if (
        change.kind == "alter_type"
        and change.old_type
        and not is_free_type_change(change.old_type, change.type)
    ):
        return f"{change.table}.{change.column} is converted from {change.old_type} to {change.type}"
    return ""
