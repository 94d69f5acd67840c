"""SQL of revisions, read as far as the linter needs it: which table, what kind of change."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from shared.database.migrations._change import Change
from shared.database.migrations._sql_alter import NAME, alter_table, bare

__all__ = ["changes_in_sql", "parse_default", "statements_in"]

_MAX_TEXT: Final = 120  # characters of a statement that are kept for a message
# fmt: off
_STABLE: Final = frozenset({
    "array_fill", "coalesce", "concat", "current_catalog", "current_database", "current_date",
    "current_schema", "current_setting", "current_time", "current_timestamp", "current_user",
    "json_build_object",
    "jsonb_build_array", "jsonb_build_object", "localtime", "localtimestamp", "lower", "make_date",
    "make_interval", "md5", "now", "session_user", "statement_timestamp", "to_char", "to_timestamp",
    "transaction_timestamp", "upper", "user",
})
_VOLATILE: Final = frozenset({
    "clock_timestamp", "gen_random_bytes", "gen_random_uuid", "nextval", "random", "setseed", "timeofday",
    "txid_current", "uuid_generate_v1", "uuid_generate_v4", "uuidv4", "uuidv7",
})
# fmt: on
_CALL: Final = re.compile(r"([a-z_][a-z0-9_]*)\s*\(")


def parse_default(expression: str) -> str:
    """Return what kind of default *expression* is: ``constant``, ``stable``, ``volatile`` or ``unknown``.

    The server computes a constant and a stable one once for all rows; a volatile one is
    written into every row, and the table with it. Functions it does not know count as
    ``unknown``.
    """
    plain = re.sub(r"'(?:[^']|'')*'", "''", expression.strip().lower())
    called = set(_CALL.findall(plain)) - {"cast", "array", "row", "numeric", "varchar", "char", "decimal"}
    if called & _VOLATILE:
        return "volatile"
    if called - _STABLE:
        return "unknown"
    words = set(re.findall(r"[a-z_]+", plain))
    return "stable" if called or words & _STABLE else "constant"


def statements_in(sql: str) -> list[str]:
    """Return the statements of *sql* without comments; semicolons within quotes do not count."""
    found: list[str] = []
    kept: list[str] = []
    for kind, text in _pieces(sql):
        if kind == "end":
            found.append("".join(kept))
            kept = []
        elif kind != "comment":
            kept.append(text)
    found.append("".join(kept))
    return [each.strip() for each in found if each.strip()]


_PIECE: Final = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"""
    r"""|(?P<quoted>'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))"""
    r"""|(?P<end>;)|(?P<plain>[^-/'"$;]+|.)""",
    re.DOTALL,
)


def _pieces(sql: str) -> Iterator[tuple[str, str]]:
    for match in _PIECE.finditer(sql):
        kind = "quoted" if match["quoted"] is not None else str(match.lastgroup)
        yield kind, match[0]


def changes_in_sql(sql: str) -> list[Change]:
    """Return the changes the statements of *sql* make."""
    found: list[Change] = []
    for statement in statements_in(sql):
        found.extend(_changes_in(statement))
    return found


def _changes_in(statement: str) -> list[Change]:
    flat = " ".join(statement.split())
    for pattern, read in _PATTERNS:
        match = pattern.match(flat)
        if match:
            return read(match, flat)
    return [Change("unread", text=flat[:_MAX_TEXT])]


def _simple(kind: str, **more: Any) -> Callable[[re.Match[str], str], list[Change]]:
    def read(match: re.Match[str], flat: str) -> list[Change]:
        groups = match.groupdict()
        table = bare(groups.get("table") or "")
        name = groups.get("name")
        concurrent = bool(groups.get("concurrently"))
        return [
            Change(
                kind,
                table,
                name=bare(name) if name else None,
                is_concurrent=concurrent,
                text=flat[:_MAX_TEXT],
                **more,
            )
        ]

    return read


def _rows(kind: str) -> Callable[[re.Match[str], str], list[Change]]:
    def read(match: re.Match[str], flat: str) -> list[Change]:
        whole = re.search(r"\bwhere\b", flat, re.IGNORECASE) is None
        return [Change(kind, bare(match["table"]), is_whole=whole, text=flat[:_MAX_TEXT])]

    return read


def _index(match: re.Match[str], flat: str) -> list[Change]:
    columns = tuple(bare(part.split()[0]) for part in re.split(r",", match["columns"]) if part.split())
    return [
        Change(
            "create_index",
            bare(match["table"]),
            name=bare(match["name"]) if match["name"] else None,
            columns=columns,
            is_unique=bool(match["unique"]),
            is_concurrent=bool(match["concurrently"]),
            text=flat[:_MAX_TEXT],
        )
    ]


def _table(match: re.Match[str], flat: str) -> list[Change]:
    return alter_table(bare(match["table"]), match["actions"], flat[:_MAX_TEXT], parse_default)


def _several(kind: str) -> Callable[[re.Match[str], str], list[Change]]:
    def read(match: re.Match[str], flat: str) -> list[Change]:
        tables = re.split(r"\s*,\s*", match["tables"])
        return [Change(kind, bare(table), text=flat[:_MAX_TEXT]) for table in tables]

    return read


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("NAME", NAME), re.IGNORECASE | re.DOTALL)


_CONCURRENTLY: Final = r"(?P<concurrently>concurrently\s+)?"
_IF: Final = r"(?:if\s+(?:not\s+)?exists\s+)?"
_INDEX_HEAD: Final = rf"create\s+(?P<unique>unique\s+)?index\s+{_CONCURRENTLY}{_IF}"
_INDEX_TAIL: Final = r"(?P<table>NAME)\s*(?:using\s+\w+\s*)?\((?P<columns>.*)"
_PATTERNS: Final = tuple(
    (_pattern(text), read)
    for text, read in (
        (rf"alter\s+table\s+{_IF}(?:only\s+)?(?P<table>NAME)\s+(?P<actions>.+)", _table),
        (
            rf"{_INDEX_HEAD}(?P<name>(?!on\b)NAME)?\s*on\s+(?:only\s+)?{_INDEX_TAIL}",
            _index,
        ),
        (rf"drop\s+index\s+{_CONCURRENTLY}{_IF}(?P<name>NAME)", _simple("drop_index")),
        (rf"reindex\s+(?:\([^)]*\)\s*)?(?:index|table)\s+{_CONCURRENTLY}(?P<table>NAME)", _simple("reindex")),
        (rf"create\s+(?:temp\w*\s+|unlogged\s+)?table\s+{_IF}(?P<table>NAME)", _simple("create_table")),
        (rf"drop\s+table\s+{_IF}(?P<tables>NAME(?:\s*,\s*NAME)*)", _several("drop_table")),
        (r"truncate\s+(?:table\s+)?(?:only\s+)?(?P<tables>NAME(?:\s*,\s*NAME)*)", _several("truncate")),
        (r"update\s+(?:only\s+)?(?P<table>NAME)", _rows("update")),
        (r"delete\s+from\s+(?:only\s+)?(?P<table>NAME)", _rows("delete")),
        (r"insert\s+into\s+(?P<table>NAME)", _simple("insert")),
        (
            r"vacuum\s+(?:\([^)]*\bfull\b[^)]*\)|full\b)(?:\s+verbose|\s+analyze)*\s*(?P<table>NAME)?",
            _simple("vacuum_full"),
        ),
        (r"vacuum\b", _simple("maintenance")),
        (r"analyze\b", _simple("maintenance")),
        (r"cluster\s+(?:verbose\s+)?(?P<table>NAME)", _simple("cluster")),
        (r"lock\s+(?:table\s+)?(?:only\s+)?(?P<table>NAME)", _simple("lock_table")),
        (
            r"create\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger\s+(?P<name>NAME)\s.*?\bon\s+(?P<table>NAME)",
            _simple("create_trigger"),
        ),
        (rf"drop\s+trigger\s+{_IF}(?P<name>NAME)\s+on\s+(?P<table>NAME)", _simple("drop_trigger")),
        (r"alter\s+type\s+(?P<name>NAME)\s+add\s+value\b", _simple("enum_add_value")),
        (r"alter\s+type\s+(?P<name>NAME)\s+rename\s+(?:value\b|to\b)", _simple("enum_rename")),
        (
            rf"refresh\s+materialized\s+view\s+{_CONCURRENTLY}(?P<table>NAME)",
            _simple("refresh_view"),
        ),
        (r"comment\s+on\b", _simple("comment")),
        (
            r"set\s+(?:local\s+|session\s+)?(?:lock_timeout)\s*(?:=|to)\s*'?0\w*'?\s*$",
            _simple("no_lock_timeout"),
        ),
        (r"(?:set|reset|show|select|with|begin|commit|savepoint|release)\b", _simple("question")),
        (
            r"(?:grant|revoke|create\s+(?:extension|schema|sequence|type|domain|view|role|policy))\b",
            _simple("aside"),
        ),
        (
            r"(?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:function|procedure|view|sequence|type|domain|schema|extension)\b",
            _simple("aside"),
        ),
    )
)
