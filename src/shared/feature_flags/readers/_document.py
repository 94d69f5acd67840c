"""What every reader does with what it is given: parse, look at, complain once about everything."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.errors import FlagDocumentError

_MOST_FAULTS: Final = 50
_DEEPEST: Final = 100


class Faults:
    """A list of what is wrong with a document, with the place of each."""

    __slots__ = ("lines", "subject")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.lines: list[str] = []

    def add(self, where: str, what: str) -> None:
        """Remember that *what* is wrong at *where*."""
        if len(self.lines) < _MOST_FAULTS:
            self.lines.append(f"{printable(where)}: {what}" if where else what)

    def settle(self) -> None:
        """Refuse the document when anything is wrong with it."""
        if self.lines:
            raise FlagDocumentError(self.lines, subject=self.subject)

    def mapping(self, where: str, value: Any) -> Mapping[str, Any]:
        """Return *value* where it is a mapping with names; an empty one where it is not."""
        if isinstance(value, dict):
            return value
        self.add(where, f"an object expected, got {kind_of(value)}")
        return {}

    def items(self, where: str, value: Any) -> list[Any]:
        """Return a list; ``None`` is an empty one."""
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self.add(where, f"a list expected, got {kind_of(value)}")
        return []

    def objects(self, where: str, value: Any) -> list[Mapping[str, Any]]:
        """Return a list of objects; ``None`` is an empty one."""
        return [self.mapping(f"{where}[{n}]", item) for n, item in enumerate(self.items(where, value))]

    def text(self, where: str, value: Any) -> str:
        """Return a text that is not empty."""
        if isinstance(value, str) and value:
            return value
        self.add(where, f"a text expected, got {kind_of(value)}")
        return ""

    def whole(self, where: str, value: Any, default: int = 0) -> int:
        """Return a whole number of 0 or more."""
        if value is None:
            return default
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and value >= 0
            and value == value // 1
        ):
            return int(value)
        self.add(where, f"a whole number of 0 or more expected, got {kind_of(value)}")
        return default


def read_document(source: Any, faults: Faults) -> Mapping[str, Any]:
    """Return the JSON object that *source* is: a mapping, or JSON as ``str`` or ``bytes``.

    Raises:
        FlagDocumentError: It is no JSON, no object, or nested deeper than 100 levels.
    """
    if isinstance(source, str | bytes | bytearray | memoryview):
        try:
            source = json.loads(bytes(source) if isinstance(source, memoryview) else source)
        except RecursionError:
            faults.add("", f"nested deeper than {_DEEPEST} levels")
            faults.settle()
        except ValueError as exc:  # also text that is no Unicode
            raise FlagDocumentError([f"not JSON: {_reason(exc)}"], subject=faults.subject) from None
    elif isinstance(source, os.PathLike):
        faults.add("", "a document expected, got a path: pass its content, path.read_bytes()")
        faults.settle()
    if not isinstance(source, Mapping):
        faults.add("", f"an object expected, got {kind_of(source)}")
        faults.settle()
    return _plain(source, faults)


def _reason(exc: ValueError) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at line {exc.lineno}, column {exc.colno}"
    return type(exc).__name__


def _plain(source: Any, faults: Faults) -> Mapping[str, Any]:
    """Copy the document: a change made to it afterwards must not reach what was compiled."""
    try:
        copied = _copied(source, 0)
    except RecursionError:
        copied = None
    if copied is None:
        faults.add("", f"nested deeper than {_DEEPEST} levels")
        faults.settle()
    result: Mapping[str, Any] = copied
    return result


def _copied(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, Mapping):
        return {str(key): _copied(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item, depth + 1) for item in value]
    return value


def kind_of(value: Any) -> str:
    """Return what JSON calls the type of *value*; never the value."""
    if value is None:
        return "null"
    names: tuple[tuple[Any, str], ...] = (
        (bool, "a boolean"),
        (str, "a text" if value else "an empty text"),
        ((int, float), "a number"),
        (dict, "an object"),
        (list, "a list"),
    )
    return next((name for types, name in names if isinstance(value, types)), type(value).__name__)


def printable(text: str) -> str:
    """Return *text* without what would break a log line, cut to a sensible length."""
    return "".join(char for char in text[:200] if char.isprintable())


def never(_context: Mapping[str, Any]) -> bool:
    """Say no."""
    return False


def always(_context: Mapping[str, Any]) -> bool:
    """Say yes."""
    return True


def all_of(tests: list[Callable[[Mapping[str, Any]], bool]]) -> Callable[[Mapping[str, Any]], bool]:
    """Return one test that holds when each of *tests* does; without a test it always holds."""
    tests = [test for test in tests if test is not always]
    if never in tests:
        return never
    if not tests:
        return always
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda context: first(context) and second(context)
    frozen = tuple(tests)

    def every(context: Mapping[str, Any]) -> bool:
        for test in frozen:  # noqa: SIM110 (a generator costs more than the tests)
            if not test(context):
                return False
        return True

    return every
