"""What Alembic can do and has no public name for, in one place."""

# ruff: noqa: SLF001

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

__all__ = [
    "applied_of",
    "downgrade_steps",
    "emit",
    "is_outside",
    "knows",
    "own_transactions",
    "parents_of",
    "stamp_steps",
    "steps_back",
    "transaction",
    "upgrade_steps",
    "use_folder",
]


def upgrade_steps(script: "ScriptDirectory", revision: str, heads: Any) -> list[Any]:
    """Return the steps from *heads* up to *revision*; branches in the order of their names, every time."""
    waiting = {step.revision.revision: step for step in script._upgrade_revs(revision, heads)}
    ordered: list[Any] = []
    while waiting:
        ready = min(name for name, step in waiting.items() if not waiting.keys() & parents_of(step.revision))
        ordered.append(waiting.pop(ready))
    return ordered


def downgrade_steps(script: "ScriptDirectory", revision: str, heads: Any) -> list[Any]:
    """Return the steps from *heads* down to *revision*."""
    return list(script._downgrade_revs(revision, heads))


def steps_back(script: "ScriptDirectory", revisions: Iterable[str]) -> list[Any]:
    """Return the steps that take exactly *revisions* back, in the order given."""
    from alembic.runtime.migration import MigrationStep

    make = MigrationStep.downgrade_from_script
    return [make(script.revision_map, script.get_revision(each)) for each in revisions]


def stamp_steps(script: "ScriptDirectory", revision: str, heads: Any) -> list[Any]:
    """Return the steps that say *revision* without running it."""
    return list(script._stamp_revs(revision, heads))


def parents_of(script: "Script") -> tuple[str, ...]:
    """Return the revisions *script* follows, dependencies included."""
    return tuple(script._all_down_revisions)


def knows(script: "ScriptDirectory", revision: str) -> bool:
    """Tell whether there is a file for *revision*."""
    return revision in script.revision_map._revision_map


def applied_of(script: "ScriptDirectory", heads: Iterable[str]) -> set[str]:
    """Return all revisions a database at *heads* has; unknown heads have none."""
    known = tuple(head for head in heads if knows(script, head))
    if not known:
        return set()
    return {str(each.revision) for each in script.get_all_current(known)} | {
        str(each.revision) for each in script.iterate_revisions(known, "base", implicit_base=True)
    }


def use_folder(script: "ScriptDirectory", folder: Path) -> None:
    """Add *folder* to the places of *script*."""
    if str(folder) not in script.version_locations:
        script.version_locations = [*script.version_locations, str(folder)]
        script.__dict__.pop("_version_locations", None)


def emit(context: Any, statement: Any) -> None:
    """Run *statement* in *context*, or write it down where that only writes SQL."""
    context.impl._exec(statement)


def is_outside(context: Any) -> bool:
    """Tell whether the caller's own transaction is around the run."""
    return bool(context._in_external_transaction)


@contextmanager
def own_transactions(context: Any) -> Iterator[None]:
    """Let the block begin and commit transactions of its own; what went before is committed.

    Inside the caller's own transaction nothing is committed, and the block works in that.
    """
    if context.as_sql:
        context.impl.emit_commit()
        yield
        context.impl.emit_begin()
        return
    if is_outside(context) or context._transaction is None:
        yield
        return
    context._transaction.commit()
    context._transaction = None
    try:
        yield
    finally:
        if not context.connection.closed and not context.connection.invalidated:
            if context.connection.in_transaction():
                context.connection.rollback()
            context._transaction = context.connection.begin()


@contextmanager
def transaction(context: Any) -> Iterator[None]:
    """Run the block in one transaction, within :func:`own_transactions`."""
    if context.as_sql:
        context.impl.emit_begin()
        yield
        context.impl.emit_commit()
    elif context.connection.in_transaction():
        yield
    else:
        with context.connection.begin():
            yield
