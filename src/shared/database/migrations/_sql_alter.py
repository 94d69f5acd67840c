"""The actions of ``ALTER TABLE``."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from shared.database.migrations._change import Change

__all__ = ["NAME", "alter_table", "bare"]

#: A name, quoted or not, with a schema or without.
NAME: Final = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)(?:\.(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*))?'
_END_OF_TYPE: Final = re.compile(
    r"\b(?:not\s+null|null|default|primary\s+key|unique|references|check|constraint|generated|collate|using)\b",
    re.IGNORECASE,
)


def bare(name: str) -> str:
    """Return *name* without schema and quotes; unquoted names are lower case, as the server has them."""
    last = re.findall(r'"(?:[^"]|"")+"|[^.]+', name.strip())[-1:] or [""]
    word: str = last[0].strip()
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower().rstrip("(;")


def alter_table(table: str, actions: str, text: str, default_of: Callable[[str], str]) -> list[Change]:
    """Return the changes of ``ALTER TABLE table actions``.

    Args:
        table: Its name.
        actions: All of them.
        text: The statement, for messages.
        default_of: Tells what kind of default an expression is.
    """
    found: list[Change] = []
    for action in _split(actions):
        found.extend(_action(table, action, text, default_of))
    return found


def _split(actions: str) -> Iterator[str]:
    """Yield the actions: commas within brackets and quotes do not separate."""
    depth, begin, quote = 0, 0, ""
    for place, letter in enumerate(actions):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and depth == 0:
            yield actions[begin:place].strip()
            begin = place + 1
    yield actions[begin:].strip()


def _action(table: str, action: str, text: str, default_of: Callable[[str], str]) -> list[Change]:
    for pattern, read in _ACTIONS:
        match = pattern.match(action)
        if match:
            return read(table, match, text, default_of)
    return [Change("unread", table, text=text)]


def _add_constraint(table: str, match: re.Match[str], text: str, _default: Any) -> list[Change]:
    rest = match["rest"]
    valid = re.search(r"\bnot\s+valid\b", rest, re.IGNORECASE) is None
    uses_index = re.search(r"\busing\s+index\s+(?!tablespace)", rest, re.IGNORECASE) is not None
    kind = {
        "primary": "add_primary_key", "unique": "add_unique", "foreign": "add_foreign_key",
        "check": "add_check", "exclude": "add_exclude", "not": "set_not_null",
    }[match["kind"].split()[0].lower()]  # fmt: skip
    referred = re.search(rf"\breferences\s+({NAME})", rest, re.IGNORECASE)
    inside = re.search(r"\(([^()]*)\)", rest)
    columns = tuple(bare(each) for each in inside[1].split(",")) if inside and kind != "add_check" else ()
    condition = rest[rest.find("(") :] if kind == "add_check" else text
    name = bare(match["name"]) if match["name"] else None
    return [
        Change(
            kind, table, name=name, columns=columns, referred=bare(referred[1]) if referred else None,
            is_valid=valid, uses_index=uses_index, text=condition,
        )
    ]  # fmt: skip


def _add_column(
    table: str, match: re.Match[str], text: str, default_of: Callable[[str], str]
) -> list[Change]:
    rest = match["rest"]
    end = _END_OF_TYPE.search(rest)
    kind = (rest[: end.start()] if end else rest).strip().lower()
    clauses = rest[end.start() :] if end else ""
    default = re.search(
        r"\bdefault\s+(.+?)(?=\s+(?:not\s+null|null|primary\s+key|unique|references|check|constraint|generated)\b|$)",
        clauses,
        re.IGNORECASE,
    )
    generated = re.search(r"\bgenerated\s+always\s+as\s*\(.*\)\s*(stored|virtual)?", clauses, re.IGNORECASE)
    identity = re.search(r"\bgenerated\s+(?:always|by\s+default)\s+as\s+identity\b", clauses, re.IGNORECASE)
    unique = re.search(r"\b(?:unique|primary\s+key)\b", clauses, re.IGNORECASE) is not None
    column = bare(match["column"])
    changes = [
        Change(
            "add_column",
            table,
            column=column,
            type=kind,
            is_nullable=re.search(r"\bnot\s+null\b|\bprimary\s+key\b", clauses, re.IGNORECASE) is None,
            default=default_of(default[1]) if default else "",
            generated=None if generated is None else (generated[1] or "virtual").lower(),
            is_serial=identity is not None or kind in {"serial", "bigserial", "smallserial"},
            is_unique=unique,
            text=text,
        )
    ]
    if re.search(r"\bcheck\s*\(", clauses, re.IGNORECASE):
        changes.append(Change("add_check", table, text=clauses))
    return changes


def _column(kind: str) -> Callable[..., list[Change]]:
    def read(table: str, match: re.Match[str], text: str, _default: Any) -> list[Change]:
        groups = match.groupdict()
        new = groups.get("new")
        type_ = groups.get("type")
        return [
            Change(
                kind,
                table,
                column=bare(match["column"]),
                new_name=bare(new) if new else None,
                type=re.split(r"\s+(?:using|collate)\b", type_, flags=re.IGNORECASE)[0].strip().lower()
                if type_
                else None,
                text=text,
            )
        ]

    return read


def _named(kind: str) -> Callable[..., list[Change]]:
    def read(table: str, match: re.Match[str], text: str, _default: Any) -> list[Change]:
        groups = match.groupdict()
        name, new = groups.get("name"), groups.get("new")
        return [
            Change(
                kind, table, name=bare(name) if name else None, new_name=bare(new) if new else None, text=text
            )
        ]

    return read


_COLUMN: Final = r"(?:column\s+)?"
_ACTIONS: Final = tuple(
    (re.compile(text.replace("NAME", NAME), re.IGNORECASE | re.DOTALL), read)
    for text, read in (
        (
            r"add\s+(?:constraint\s+(?P<name>NAME)\s+)?(?P<kind>primary\s+key|unique|foreign\s+key|check|exclude|not\s+null)\b(?P<rest>.*)",
            _add_constraint,
        ),
        (rf"add\s+{_COLUMN}(?:if\s+not\s+exists\s+)?(?P<column>NAME)\s+(?P<rest>.+)", _add_column),
        (r"validate\s+constraint\s+(?P<name>NAME)", _named("validate_constraint")),
        (r"drop\s+constraint\s+(?:if\s+exists\s+)?(?P<name>NAME)", _named("drop_constraint")),
        (rf"drop\s+{_COLUMN}(?:if\s+exists\s+)?(?P<column>NAME)", _column("drop_column")),
        (r"rename\s+to\s+(?P<new>NAME)", _named("rename_table")),
        (r"rename\s+constraint\s+(?P<name>NAME)\s+to\s+(?P<new>NAME)", _named("rename_constraint")),
        (rf"rename\s+{_COLUMN}(?P<column>NAME)\s+to\s+(?P<new>NAME)", _column("rename_column")),
        (
            rf"alter\s+{_COLUMN}(?P<column>NAME)\s+(?:set\s+data\s+)?type\s+(?P<type>.+)",
            _column("alter_type"),
        ),
        (rf"alter\s+{_COLUMN}(?P<column>NAME)\s+set\s+not\s+null", _column("set_not_null")),
        (rf"alter\s+{_COLUMN}(?P<column>NAME)\s+drop\s+not\s+null", _column("drop_not_null")),
        (rf"alter\s+{_COLUMN}(?P<column>NAME)\s+set\s+default\b", _column("set_default")),
        (rf"alter\s+{_COLUMN}(?P<column>NAME)\s+drop\s+default", _column("drop_default")),
        (rf"alter\s+{_COLUMN}(?P<column>NAME)\s+set\s+statistics\b", _column("set_statistics")),
        (rf"alter\s+{_COLUMN}(?P<column>NAME)\s+set\s+storage\b", _column("set_storage")),
        (r"set\s+(?:logged|unlogged|tablespace|access\s+method)\b", _named("set_logged")),
        (r"(?:set|reset)\s*\(", _named("set_options")),
        (r"(?:enable|disable)\s+(?:always\s+|replica\s+)?trigger\b", _named("switch_trigger")),
        (r"(?:enable|disable|force|no\s+force)\s+row\s+level\s+security", _named("row_security")),
        (r"owner\s+to\b", _named("owner")),
    )
)
