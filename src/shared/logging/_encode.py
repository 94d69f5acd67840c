"""From an event to bytes, whatever is in it: three rungs of a ladder."""

from collections.abc import Callable
from typing import Any, Final

import orjson

from shared.logging._plain import Limits, plain
from shared.logging._text import printable, safe_text, type_name

__all__ = ["Counters", "Encoder"]

# Dates and dataclasses come to us instead of being written by orjson: a foreign
# tzinfo that raises inside orjson ends the process, and a dataclass has secrets.
_OPTIONS: Final = (
    orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
)
_SHRINK: Final = (4000, 1000, 250, 60, 20)  # characters left of each text, try after try
_HEAD: Final = ("timestamp", "@timestamp", "level", "log.level", "event", "message", "logger", "log.logger")


class Counters:
    """How often the ladder was needed; read by ``log_stats()``."""

    __slots__ = ("repaired", "truncated", "unloggable")

    def __init__(self) -> None:
        self.repaired: int = 0
        self.truncated: int = 0
        self.unloggable: int = 0


class Encoder:
    """Turns an event into one JSON line of at most *max_bytes* bytes; never raises.

    ``KeyboardInterrupt`` and ``SystemExit`` pass.

    Args:
        redact: Masks the secrets of a plain value.
        max_bytes: Longest line, its newline included.
    """

    __slots__ = ("_max_bytes", "_redact", "counters")

    def __init__(self, redact: Callable[[Any], Any], max_bytes: int) -> None:
        self._redact = redact
        self._max_bytes = max_bytes
        self.counters: Counters = Counters()

    def encode(self, line: dict[str, Any]) -> bytes:
        """Return *line*, which is redacted already, as JSON with a newline."""
        try:
            data = printable(orjson.dumps(line, self.plain, _OPTIONS))
        except Exception as exc:  # noqa: BLE001 - orjson raises TypeError, foreign code anything
            data = self._repair(line, exc)
        return data if len(data) <= self._max_bytes else self._shorten(line)

    def plain(self, value: Any) -> Any:
        """Return *value*, of any type, in plain types and without secrets."""
        return self._redact(plain(value))

    def _repair(self, line: dict[str, Any], failure: Exception) -> bytes:
        cause = failure.__cause__ or failure.__context__
        if cause is not None and not isinstance(cause, Exception):
            raise cause  # orjson wraps an interrupt that met our hook
        self.counters.repaired += 1
        try:
            return _dump(self._redact(plain(line)))
        except Exception as exc:  # noqa: BLE001 - the last rung holds
            return self.minimal(line, exc)

    def minimal(self, line: dict[str, Any], failure: BaseException) -> bytes:
        """Return the last rung: the head of *line* as text, and what went wrong."""
        self.counters.unloggable += 1
        head = _head(line, 500)
        head.setdefault("event", "")
        head["log_error"] = type_name(failure)
        return _dump(head)

    def _shorten(self, line: dict[str, Any]) -> bytes:
        """Return *line* with its texts and containers cut until it fits; ``truncated`` says so."""
        if not line.get("truncated"):
            self.counters.truncated += 1
        for text in _SHRINK:
            limits = Limits(depth=6, nodes=max(20, self._max_bytes // (text + 40)), text=text)
            data = _dump({**self._redact(plain(line, limits)), "truncated": True})
            if len(data) <= self._max_bytes:
                return data
        return _dump({**_head(line, 60), "truncated": True})


def _dump(line: dict[str, Any]) -> bytes:
    return printable(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _head(line: dict[str, Any], text: int) -> dict[str, Any]:
    """Return what a line cannot do without; it holds no secret, each part was masked already."""
    return {key: plain(safe_text(line[key], text), Limits(text=text)) for key in _HEAD if key in line}
