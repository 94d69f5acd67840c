"""What Alembic can do and has no public name for, in one place."""

# ruff: noqa: SLF001

from collections.abc import Iterable
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
    "parents_of",
    "stamp_steps",
    "upgrade_steps",
    "use_folder",
]


def upgrade_steps(script: "ScriptDirectory", revision: str, heads: Any) -> list[Any]:
    """Return the steps from *heads* up to *revision*."""
    return list(script._upgrade_revs(revision, heads))


def downgrade_steps(script: "ScriptDirectory", revision: str, heads: Any) -> list[Any]:
    """Return the steps from *heads* down to *revision*."""
    return list(script._downgrade_revs(revision, heads))


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
