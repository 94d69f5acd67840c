"""What PostgreSQL does for a change: the lock it takes, and whether it goes through all rows.

Source: PostgreSQL 15 to 18, "Explicit Locking" and "ALTER TABLE"; each row is held by a test
against a real server.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from shared.database.migrations._change import Change

__all__ = ["BLOCKING", "Effect", "SchemaState", "effect_of", "is_free_type_change"]

AE: Final = "ACCESS EXCLUSIVE"
EX: Final = "EXCLUSIVE"
SRE: Final = "SHARE ROW EXCLUSIVE"
SH: Final = "SHARE"
SUE: Final = "SHARE UPDATE EXCLUSIVE"
RE: Final = "ROW EXCLUSIVE"
#: Locks that keep writers out, and the strongest of them readers, too.
BLOCKING: Final = frozenset({SH, SRE, EX, AE})


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change costs on PostgreSQL.

    Attributes:
        lock: The strongest lock on the table, or empty.
        rewrite: Whether every row is written anew.
        scan: Whether every row is read while the lock is held.
    """

    lock: str = ""
    rewrite: bool = False
    scan: bool = False

    @property
    def blocks(self) -> bool:
        """Whether others wait for as long as the table is large."""
        return self.lock in BLOCKING and (self.rewrite or self.scan)


@dataclass(slots=True)
class SchemaState:
    """What the revisions before have made, as far as changes depend on it.

    Attributes:
        types: Type of each column known, by table and column.
        checked: Columns a valid check keeps from being NULL, by table and column.
        constraints: The condition of each check, by table and name.
        indexed: Tuples of columns that have an index, by table.
        tables: Tables that exist.
    """

    types: dict[tuple[str, str], str] = field(default_factory=dict)
    checked: set[tuple[str, str]] = field(default_factory=set)
    constraints: dict[tuple[str, str], str] = field(default_factory=dict)
    indexed: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)

    def apply(self, change: Change) -> None:
        """Take *change* into account."""
        table = change.table
        key = (table, change.column or "")
        if change.kind == "create_table":
            self.tables.add(table)
        elif change.kind == "drop_table":
            self._forget(table)
        elif change.kind in {"new_column", "add_column", "alter_type"} and change.type:
            self.types[key] = change.type
        elif change.kind == "drop_column":
            self.types.pop(key, None)
            self.checked.discard(key)
        elif change.kind == "rename_column" and change.new_name:
            self._rename_column(table, change.column or "", change.new_name)
        elif change.kind in {"new_index", "create_index", "add_unique", "add_primary_key"}:
            self.indexed.setdefault(table, set()).add(change.columns)
        elif change.kind == "add_check":
            self._check(change)
        elif change.kind == "validate_constraint":
            self._guard(table, self.constraints.get((table, change.name or ""), ""))
        elif change.kind == "drop_constraint":
            self._unguard(table, self.constraints.pop((table, change.name or ""), ""))

    def _check(self, change: Change) -> None:
        if change.name:
            self.constraints[change.table, change.name] = change.text
        if change.is_valid:
            self._guard(change.table, change.text)

    def _guard(self, table: str, condition: str) -> None:
        self.checked |= {(table, column) for column in _not_null_in(condition)}

    def _unguard(self, table: str, condition: str) -> None:
        self.checked -= {(table, column) for column in _not_null_in(condition)}

    def _forget(self, table: str) -> None:
        self.tables.discard(table)
        self.types = {key: value for key, value in self.types.items() if key[0] != table}
        self.indexed.pop(table, None)

    def _rename_column(self, table: str, old: str, new: str) -> None:
        if (table, old) in self.types:
            self.types[table, new] = self.types.pop((table, old))


def _not_null_in(condition: str) -> list[str]:
    """Return the columns that *condition* alone keeps from being NULL."""
    match = re.fullmatch(
        r'[\s(]*"?(\w+)"?\s+is\s+not\s+null[\s)]*(?:not\s+valid)?', condition.strip(), re.IGNORECASE
    )
    return [match[1].lower()] if match else []


def effect_of(change: Change, state: SchemaState) -> Effect:
    """Return what *change* costs on PostgreSQL, after the changes of *state*."""
    if change.kind == "add_column":
        return _add_column(change)
    if change.kind == "alter_type":
        old = change.old_type or state.types.get((change.table, change.column or ""))
        free = is_free_type_change(old, change.type)
        return Effect(AE, rewrite=not free, scan=not free)
    if change.kind == "set_not_null":
        return Effect(AE, scan=(change.table, change.column or "") not in state.checked)
    if change.kind == "create_index":
        return Effect(SUE if change.is_concurrent else SH, scan=True)
    if change.kind in {"drop_index", "refresh_view", "reindex"}:
        return _either(change)
    if change.kind in {"add_unique", "add_primary_key", "add_exclude"}:
        return Effect(AE, scan=not change.uses_index)
    if change.kind == "add_foreign_key":
        return Effect(SRE, scan=change.is_valid)
    if change.kind == "add_check":
        return Effect(AE, scan=change.is_valid)
    return _PLAIN.get(change.kind, Effect())


def _add_column(change: Change) -> Effect:
    if change.generated == "stored" or change.is_serial or change.default in {"volatile", "unknown"}:
        return Effect(AE, rewrite=True, scan=True)
    return Effect(AE, scan=change.is_unique)


def _either(change: Change) -> Effect:
    if change.kind == "drop_index":
        return Effect(SUE if change.is_concurrent else AE)
    if change.kind == "reindex":
        return Effect(SUE if change.is_concurrent else SH, scan=True)
    return Effect(EX if change.is_concurrent else AE, rewrite=not change.is_concurrent, scan=True)


_PLAIN: Final = {
    "cluster": Effect(AE, rewrite=True, scan=True),
    "comment": Effect(SUE),
    "create_trigger": Effect(SRE),
    "delete": Effect(RE, scan=True),
    "drop_column": Effect(AE),
    "drop_constraint": Effect(AE),
    "drop_default": Effect(AE),
    "drop_not_null": Effect(AE),
    "drop_table": Effect(AE),
    "drop_trigger": Effect(AE),
    "insert": Effect(RE),
    "lock_table": Effect(AE),
    "owner": Effect(AE),
    "rename_column": Effect(AE),
    "rename_constraint": Effect(AE),
    "rename_table": Effect(AE),
    "row_security": Effect(AE),
    "set_default": Effect(AE),
    "set_logged": Effect(AE, rewrite=True, scan=True),
    "set_options": Effect(SUE),
    "set_statistics": Effect(SUE),
    "set_storage": Effect(AE),
    "switch_trigger": Effect(SRE),
    "truncate": Effect(AE, rewrite=True, scan=True),
    "update": Effect(RE, scan=True),
    "vacuum_full": Effect(AE, rewrite=True, scan=True),
    "validate_constraint": Effect(SUE, scan=True),
}

_ALIASES: Final = {
    "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "float8": "double precision",
    "float4": "real", "varchar": "character varying", "char": "character", "bpchar": "character",
    "decimal": "numeric", "bool": "boolean", "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone", "timetz": "time with time zone",
    "time": "time without time zone", "varbit": "bit varying",
}  # fmt: skip
_TYPE: Final = re.compile(r"^([a-z_][a-z_0-9 ]*?)\s*(?:\(([\d,\s]+)\))?\s*((?:with|without) time zone)?$")
_TIMES: Final = {"timestamp without time zone", "timestamp with time zone"}
_OPEN: Final = {"character varying": "text"}


def _parsed(text: str) -> tuple[str, tuple[int, ...]] | None:
    match = _TYPE.match(" ".join(text.lower().split()))
    if match is None:
        return None
    base = match[1].strip()
    if match[3]:
        base = f"{base} {match[3]}"
    numbers = tuple(int(part) for part in match[2].split(",")) if match[2] and match[2].strip() else ()
    return _ALIASES.get(base, base), numbers


def is_free_type_change(old: str | None, new: str | None) -> bool:
    """Tell whether PostgreSQL changes the type without touching the rows.

    Only widening counts: text of a longer limit or none, numbers of more digits before
    the same scale, times of more precision, and timestamps with and without zone, whose
    session is in UTC here. An unknown type is not free.
    """
    before, after = _parsed(old or "?"), _parsed(new or "?")
    if before is None or after is None:
        return False
    (kind, limits), (wanted, bounds) = before, after
    if kind == wanted == "numeric":
        return not bounds or (bool(limits) and _wider_number(limits, bounds))
    if {kind, wanted} <= _TIMES or (kind == wanted and kind.startswith(("time ", "interval"))):
        return not bounds or (bool(limits) and bounds[0] >= limits[0]) or bounds[0] >= 6
    if {kind, wanted} <= {"character varying", "text"}:
        return not bounds or (bool(limits) and bounds[0] >= limits[0])
    if kind == wanted == "bit varying":
        return not bounds or (bool(limits) and bounds[0] >= limits[0])
    if (kind, wanted) == ("cidr", "inet"):
        return True
    return kind == wanted and limits == bounds


def _wider_number(limits: tuple[int, ...], bounds: tuple[int, ...]) -> bool:
    (precision, scale), (digits, places) = ((*each, 0)[:2] for each in (limits, bounds))
    return digits >= precision and places == scale
