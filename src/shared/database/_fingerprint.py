"""Statements without their values, and where they came from."""

import hashlib
import re
import sys
from functools import lru_cache
from pathlib import PurePath
from types import FrameType
from typing import Final

__all__ = ["caller", "fingerprint", "normalise", "operation_of"]

_MAX_STATEMENT: Final = 4096  # characters shown
# Alternatives are tried in this order at every place: what stands inside of a quote is
# never taken for a number or a comment.
_LITERALS: Final = re.compile(
    r"""
      '(?:[^']|'')*(?:'|\Z)                           # text, also unterminated
    | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)  # dollar quotes
    | --[^\n]* | /\*.*?(?:\*/|\Z)                      # comments may hold anything
    | "(?:[^"]|"")*(?:"|\Z)                           # names stay
    | %\(\w+\)s(?:::\w+(?:\[\])?)? | %s | (?<!:):\w+ | \$\d+ | \?\d*   # placeholders
    | (?<![\w.])[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)(?!\w)
    """,
    re.VERBOSE | re.DOTALL,
)
_LISTS: Final = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)")
_ROWS: Final = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")
_SPACE: Final = re.compile(r"\s+")
_VERB: Final = re.compile(r"[A-Za-z]+")
_OWN: Final = (
    "sqlalchemy.",
    "shared.database.",
    "shared.runtime.",
    "aiosqlite.",
    "psycopg.",
    "contextlib",
    "asyncio.",
)


def _plain(match: "re.Match[str]") -> str:
    text = match.group()
    if text[0] == '"':
        return text
    return " " if text.startswith(("--", "/*")) else "?"


@lru_cache(maxsize=512)
def normalise(statement: str) -> str:
    """Return *statement* in one line with every literal and list of values as ``?``."""
    text = _LITERALS.sub(_plain, statement)
    text = _ROWS.sub("(?)", _LISTS.sub("(?)", text))
    return _SPACE.sub(" ", text).strip()[:_MAX_STATEMENT]


@lru_cache(maxsize=512)
def fingerprint(statement: str) -> str:
    """Return 16 hex digits that are the same for statements that differ in values only."""
    return hashlib.blake2b(normalise(statement).encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=1024)
def operation_of(statement: str) -> str:
    """Return the verb of *statement* in upper case; ``OTHER`` when there is none."""
    match = _VERB.search(_LITERALS.sub(_plain, statement[:1000]))
    return match.group().upper()[:20] if match else "OTHER"


def caller() -> str:
    """Return ``file:line function`` of the first frame outside of the database's code."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - only for slow statements and in tests
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not f"{module}.".startswith(_OWN) and module not in {"threading", "asyncio", "greenlet"}:
            name = PurePath(frame.f_code.co_filename)
            return f"{name.parent.name}/{name.name}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return ""
