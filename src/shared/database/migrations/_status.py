"""How far a database is, and whether it is what the revisions and the models say."""

from dataclasses import dataclass
from typing import Any

from shared.database.migrations._alembic import applied_of, knows, parents_of
from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._ledger import applied_checksums, checksum
from shared.database.migrations._options import Phase, phase_of

__all__ = ["MigrationCheck", "RevisionState", "compare", "states_of"]


@dataclass(frozen=True, slots=True)
class RevisionState:
    """A revision, and whether a database has it.

    Attributes:
        revision: Its id.
        parents: The ids it follows, dependencies included.
        message: First line of its file.
        phase: When it may be applied.
        is_applied: Whether the database has it.
        is_head: Whether no other follows it.

    Example:
        >>> RevisionState("orders_0001", (), "orders", Phase.EXPAND, is_applied=True, is_head=True).is_head
        True
    """

    revision: str
    parents: tuple[str, ...]
    message: str
    phase: Phase
    is_applied: bool
    is_head: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> RevisionState("a", (), "b", Phase.EXPAND, True, True).to_dict()["applied"]
            True
        """
        return {
            "revision": self.revision,
            "parents": list(self.parents),
            "message": self.message,
            "phase": self.phase.value,
            "applied": self.is_applied,
            "head": self.is_head,
        }


@dataclass(frozen=True, slots=True)
class MigrationCheck:
    """What stands between a database and its revisions and models.

    Attributes:
        pending: Revisions that are not applied.
        unknown: What the database says it is at and no file knows.
        edited: Applied revisions whose file was changed since.
        differences: How the tables differ from the models.

    Example:
        >>> MigrationCheck((), (), (), ()).ok
        True
    """

    pending: tuple[str, ...]
    unknown: tuple[str, ...]
    edited: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing stands between them."""
        return not (self.pending or self.unknown or self.edited or self.differences)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> MigrationCheck(("a",), (), (), ()).to_dict()["pending"]
            ['a']
        """
        return {
            "ok": self.ok,
            "pending": list(self.pending),
            "unknown": list(self.unknown),
            "edited": list(self.edited),
            "differences": list(self.differences),
        }


def states_of(script: Any, heads: Any, chain: MigrationChain | None) -> list[RevisionState]:
    """Return the revisions of *script* that *chain* means, or all, parents first."""
    applied = applied_of(script, heads)
    ends = set(script.get_heads())
    return [
        RevisionState(
            each.revision,
            parents_of(each),
            each.doc or "",
            phase_of(each),
            is_applied=each.revision in applied,
            is_head=each.revision in ends,
        )
        for each in reversed(list(script.walk_revisions()))
        if chain is None or chain.owns(each)
    ]


def compare(script: Any, heads: Any, context: Any, chain: MigrationChain) -> MigrationCheck:
    """Return what stands between the database of *context*, the files of *script* and the models."""
    unknown = tuple(each for each in heads if not knows(script, each))
    states = states_of(script, heads, chain)
    pending = tuple(state.revision for state in states if not state.is_applied)
    noted = applied_checksums(context.connection, context.version_table)
    edited = tuple(
        state.revision
        for state in states
        if state.is_applied
        and noted.get(state.revision) not in {None, checksum(script.get_revision(state.revision).path)}
    )
    differences = () if pending or unknown else differences_of(context)
    return MigrationCheck(pending, unknown, edited, differences)


def differences_of(context: Any, metadata: Any = None) -> tuple[str, ...]:
    """Return how the tables differ from the models, those of the environment when None are given."""
    from alembic.autogenerate import compare_metadata

    metadata = context.opts.get("target_metadata") if metadata is None else metadata
    if metadata is None:
        return ()
    return tuple(_words(each) for each in _flat(compare_metadata(context, metadata)))


def _flat(differences: Any) -> list[Any]:
    found: list[Any] = []
    for each in differences:
        if isinstance(each, list):
            found.extend(_flat(each))
        else:
            found.append(each)
    return found


def _words(difference: tuple[Any, ...]) -> str:
    kind, *rest = difference
    if kind.startswith("modify_"):
        _schema, table, column, _existing, before, after = rest
        return f"{kind} {table}.{column}: the database has {before!r}, the model {after!r}"
    named = [str(getattr(each, "name", None) or each) for each in rest if each is not None]
    table = getattr(getattr(rest[-1], "table", None), "name", "")
    where = f" of {table}" if table and table not in named else ""
    return f"{kind} {'.'.join(named)}{where}"
