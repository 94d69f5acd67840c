"""The rules for PostgreSQL, and those for every database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.database.migrations._change import Change
from shared.database.migrations._effects import Effect, SchemaState, effect_of
from shared.database.migrations._options import Phase

__all__ = ["Hit", "Place", "for_every_database", "for_postgresql"]


class Hit(NamedTuple):
    """A rule that a change breaks."""

    rule: str
    severity: str
    message: str
    recipe: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change stands.

    Attributes:
        phase: Of its revision.
        autocommit: Whether it runs outside of transactions.
        batch: Whether it stands in ``batch_alter_table``.
        made_here: Whether its table was made in the same revision: nobody uses it yet.
        mapped: Whether the service's models still have what it drops.
        is_alone: Whether its revision does nothing else but move data.
    """

    phase: Phase
    autocommit: bool = False
    batch: bool = False
    made_here: bool = False
    mapped: bool = False
    is_alone: bool = True


_EXPAND_FIRST: Final = (
    "in three releases: expand_column_rename() before the deploy, backfill() with it, "
    "contract_column_rename() after the last old process"
)
_RECIPES: Final = {
    "set_not_null": (
        "set-not-null",
        "use add_not_null(): check NOT VALID, VALIDATE, SET NOT NULL, drop the check",
    ),
    "create_index": ("index-not-concurrent", "use create_index_concurrently()"),
    "add_unique": (
        "unique-not-by-index",
        "use add_unique(): the index concurrently, then UNIQUE USING INDEX",
    ),
    "add_primary_key": (
        "primary-key-not-by-index",
        "build a unique index concurrently, then ADD PRIMARY KEY USING INDEX on columns that are NOT NULL",
    ),
    "add_exclude": ("exclude-constraint", "make a new table with it, copy, and exchange the two"),
    "add_foreign_key": ("foreign-key-validates", "use add_foreign_key(): NOT VALID, then VALIDATE"),
    "add_check": ("check-validates", "use add_check(): NOT VALID, then VALIDATE"),
    "alter_type": ("type-change", "use expand_column_type(), backfill() and contract_column_type()"),
    "reindex": ("reindex-not-concurrent", "REINDEX … CONCURRENTLY, outside of transactions"),
    "refresh_view": ("refresh-not-concurrent", "REFRESH MATERIALIZED VIEW CONCURRENTLY, with a unique index"),
    "vacuum_full": ("table-rewrite", "not in a migration: use pg_repack, or a window"),
    "cluster": ("table-rewrite", "not in a migration: use pg_repack, or a window"),
    "set_logged": ("table-rewrite", "in a window: the table is written anew while nobody may use it"),
}


def for_postgresql(change: Change, place: Place, state: SchemaState) -> Iterator[Hit]:
    """Yield what *change* breaks on PostgreSQL; *state* is that before it."""
    effect = effect_of(change, state)
    if change.is_concurrent and not place.autocommit:
        yield Hit(
            "concurrent-in-transaction",
            "error",
            "the server refuses CONCURRENTLY inside of a transaction",
            "use create_index_concurrently() or drop_index_concurrently()",
        )
    if change.kind == "add_column":
        yield from _added(change, place)
    if place.made_here or change.kind == "truncate":
        return
    if effect.blocks:
        yield from _blocking(change, effect, state)
    yield from _brief(change, state)


def _added(change: Change, place: Place) -> Iterator[Hit]:
    if place.made_here:
        return
    if change.is_serial:
        yield Hit(
            "add-serial",
            "error",
            "numbering the rows writes the whole table anew while nobody may use it",
            "add the column empty, give it the sequence as default, backfill(), then add_not_null()",
        )
    elif change.generated == "stored":
        yield Hit(
            "add-generated",
            "error",
            "a stored generated column writes the whole table anew while nobody may use it",
            "add a plain column, keep it by a trigger, and backfill()",
        )
    elif change.default in {"volatile", "unknown"}:
        unknown = " (the function is not known to be stable)" if change.default == "unknown" else ""
        yield Hit(
            "volatile-default",
            "error",
            f"the default is computed for every row, and the table written anew{unknown}",
            "add the column without a default, set the default, then backfill()",
        )


def _blocking(change: Change, effect: Effect, state: SchemaState) -> Iterator[Hit]:
    does = "writes every row anew" if effect.rewrite else "reads every row"
    who = "nobody may use the table" if effect.lock == "ACCESS EXCLUSIVE" else "nobody may write to it"
    message = f"{does} while {who} ({effect.lock})"
    if change.kind == "alter_type":
        old = change.old_type or state.types.get((change.table, change.column or ""), "a type not known")
        message = f"{old} to {change.type}: {message}"
    if change.kind == "add_column" and change.is_unique and not effect.rewrite:
        yield Hit("add-unique-column", "error", message, "add the column plainly, then use add_unique()")
    elif change.kind in _RECIPES:
        rule, recipe = _RECIPES[change.kind]
        yield Hit(rule, "error", message, recipe)


def _brief(change: Change, state: SchemaState) -> Iterator[Hit]:
    if change.kind == "drop_index" and not change.is_concurrent:
        yield Hit(
            "drop-index-not-concurrent",
            "warning",
            "waits in front of everybody who reads the table",
            "use drop_index_concurrently()",
        )
    elif change.kind == "lock_table":
        yield Hit("lock-table", "error", "keeps others out until the revision ends", "do without the lock")
    elif change.kind == "no_lock_timeout":
        yield Hit(
            "lock-timeout-off",
            "error",
            "a statement that waits for a lock keeps everybody behind it waiting",
            "leave lock_timeout alone: 'shared db upgrade' sets it and tries again",
        )
    elif change.kind == "enum_add_value":
        yield Hit(
            "enum-value-in-transaction",
            "warning",
            "the new value cannot be used before the revision is committed",
            "use it in a later revision",
        )
    elif (
        change.kind in {"add_foreign_key", "safe:add_foreign_key"}
        and change.columns
        and not _has_index(state, change)
    ):
        yield Hit(
            "foreign-key-without-index",
            "warning",
            f"a delete in {change.referred!r} reads all of {change.table!r}",
            f"create_index_concurrently() on {', '.join(change.columns)} before",
        )


def _has_index(state: SchemaState, change: Change) -> bool:
    wanted = change.columns
    return any(columns[: len(wanted)] == wanted for columns in state.indexed.get(change.table, ()))


def for_every_database(change: Change, place: Place) -> Iterator[Hit]:
    """Yield what *change* breaks for the code that runs, or for the data."""
    if change.kind == "unread":
        yield Hit(
            "sql-unread",
            "warning",
            f"this SQL is not understood, so it was not judged: {change.text}",
            "look at it, run 'shared db assess', and wrap it in safe(reason)",
        )
    if place.made_here:
        return
    if change.is_ours:
        if change.kind == "drop_column":
            yield from _dropped(change, place)
        return
    if change.kind == "add_column" and not change.is_nullable and not change.default and not change.generated:
        if not change.is_serial:
            yield Hit(
                "add-not-null",
                "error",
                "rows that are there have no value, so the change fails",
                "add the column nullable, backfill(), then add_not_null()",
            )
    elif change.kind in {"rename_column", "rename_table", "enum_rename"}:
        what = change.kind.replace("_", " ")
        recipe = (
            _EXPAND_FIRST
            if change.kind == "rename_column"
            else "make the new one beside it, and drop the old later"
        )
        yield Hit(
            change.kind.replace("_", "-"),
            "error",
            f"{what}: code that runs asks for the old name and fails",
            recipe,
        )
    elif change.kind in {"drop_column", "drop_table"}:
        yield from _dropped(change, place)
    elif change.kind == "truncate":
        yield Hit("truncate", "error", "all rows are lost", "delete what must go in batches")
    elif change.kind in {"update", "delete"}:
        yield from _rows(change, place)


def _dropped(change: Change, place: Place) -> Iterator[Hit]:
    what = f"column {change.column!r}" if change.kind == "drop_column" else f"table {change.table!r}"
    rule = change.kind.replace("_", "-")
    if place.mapped:
        yield Hit(
            "drop-mapped",
            "error",
            f"{what} is dropped and the models still have it",
            "remove it from the models first",
        )
    elif place.phase is not Phase.CONTRACT:
        yield Hit(
            rule,
            "error",
            f"{what} is dropped while code that knows it may run",
            'remove it from the models, deploy, then drop it in a revision with phase = "contract"',
        )


def _rows(change: Change, place: Place) -> Iterator[Hit]:
    if change.is_whole:
        yield Hit(
            "data-unbatched",
            "error",
            "all rows in one transaction: their locks, their log and their dead versions at once",
            "use backfill()",
        )
    else:
        yield Hit(
            "data-unbatched",
            "warning",
            "rows in one transaction, however many",
            "use backfill() when they may be many",
        )
    if not place.is_alone:
        yield Hit(
            "data-with-schema",
            "warning",
            "the locks of the schema's change are held while the rows are changed",
            'move the data in a revision of its own, with phase = "migrate"',
        )
