"""The rules for SQLite and MySQL."""

from collections.abc import Iterator
from typing import Final

from shared.database.migrations._change import Change
from shared.database.migrations._effects import SchemaState
from shared.database.migrations._rules import Hit, Place

__all__ = ["for_mysql", "for_sqlite"]

#: What SQLite has no statement for. Source: SQLite, "ALTER TABLE", and its list of omitted features.
_SQLITE_NEVER: Final = frozenset({
    "alter_type", "set_not_null", "drop_not_null", "set_default", "drop_default", "add_foreign_key",
    "add_check", "add_unique", "add_primary_key", "add_exclude", "drop_constraint", "validate_constraint",
})  # fmt: skip
_POSTGRES_ONLY: Final = frozenset({
    "truncate", "cluster", "lock_table", "vacuum_full", "refresh_view", "enum_add_value", "enum_rename",
    "comment",
    "set_logged", "set_statistics", "set_storage", "set_options", "switch_trigger", "row_security", "owner",
    "rename_constraint",
})  # fmt: skip


def for_sqlite(change: Change, place: Place, state: SchemaState) -> Iterator[Hit]:
    """Yield what *change* breaks on SQLite."""
    del state
    if change.kind in _SQLITE_NEVER and not change.is_ours:
        if not place.batch:
            yield Hit(
                "sqlite-not-possible",
                "error",
                f"SQLite has no statement for this ({change.kind.replace('_', ' ')})",
                "write it in op.batch_alter_table(), which rebuilds the table",
            )
        elif not place.made_here:
            yield _rebuilt()
    elif change.kind in _POSTGRES_ONLY:
        yield Hit(
            "sqlite-not-possible",
            "error",
            f"SQLite does not know this statement ({change.kind.replace('_', ' ')})",
            "ask op.get_bind().dialect.name before",
        )
    elif change.kind == "drop_column" and place.batch and not place.made_here:
        yield _rebuilt()
    elif change.kind == "add_column" and not place.batch and not place.made_here:
        yield from _sqlite_column(change)


def _rebuilt() -> Hit:
    return Hit(
        "sqlite-rebuild",
        "warning",
        "the table is copied while every writer of the database waits",
        "run it when the copy's time does not matter",
    )


def _sqlite_column(change: Change) -> Iterator[Hit]:
    if change.default in {"stable", "volatile", "unknown"}:
        yield Hit(
            "sqlite-default",
            "error",
            "SQLite adds no column whose default is computed",
            "add it without a default and backfill(), or write it in op.batch_alter_table()",
        )
    if change.is_unique or change.is_serial:
        yield Hit(
            "sqlite-unique-column",
            "error",
            "SQLite adds no column that is unique or numbered",
            "add the column, then a unique index",
        )
    if change.generated == "stored":
        yield Hit(
            "sqlite-generated",
            "error",
            "SQLite adds no stored generated column",
            "make it virtual, or rebuild",
        )


def for_mysql(change: Change, place: Place, state: SchemaState) -> Iterator[Hit]:
    """Yield what *change* breaks on MySQL 8: what it can only do by copying the table.

    Source: MySQL 8.4 Reference Manual, "Online DDL Operations".
    """
    if place.made_here:
        return
    if change.kind == "alter_type":
        old = change.old_type or state.types.get((change.table, change.column or ""))
        if not _mysql_widens(old, change.type):
            yield _copied("a change of type")
    elif change.kind == "add_foreign_key":
        yield _copied("a foreign key, while foreign_key_checks is on")
    elif change.kind == "add_column" and change.generated == "stored":
        yield _copied("a stored generated column")
    elif change.kind == "add_check":
        yield _copied("a check")
    elif change.kind in {"add_primary_key", "set_not_null"}:
        yield Hit(
            "mysql-rebuild",
            "warning",
            "the table is rebuilt, and may be written meanwhile",
            "mind the space on disk",
        )


def _copied(what: str) -> Hit:
    return Hit(
        "mysql-copy",
        "error",
        f"{what} copies the table while nobody may write to it (ALGORITHM=COPY)",
        "use gh-ost or pt-online-schema-change, or a window",
    )


def _mysql_widens(old: str | None, new: str | None) -> bool:
    """Tell whether only the limit of a text grows and its length byte count stays."""
    import re

    limits = [re.fullmatch(r"(?:varchar|character varying)\((\d+)\)", each or "") for each in (old, new)]
    if limits[0] is None or limits[1] is None:
        return False
    before, after = int(limits[0][1]) * 4, int(limits[1][1]) * 4  # utf8mb4
    return after >= before and (before > 255) == (after > 255)
