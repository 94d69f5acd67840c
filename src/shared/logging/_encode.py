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
_SHRINK: Final = (4000, 1000, 250, 60)  # characters left of each text, try after try
_HEAD: Final = ("timestamp", "@timestamp", "level", "log.level", "event", "message", "logger", "log.logger")


class Counters:
    """How often the ladder was needed; read by ``log_stats()``."""

    __slots__ = ("repaired", "truncated", "unloggable")

    def __init__(self) -> None:
        self.repaired = 0
        self.truncated = 0
        self.unloggable = 0


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
        self.counters = Counters()

    def encode(self, line: dict[str, Any]) -> bytes:
        """Return *line*, which is redacted already, as JSON with a newline."""
        try:
            data = orjson.dumps(line, self.plain, _OPTIONS)
        except Exception as exc:  # noqa: BLE001 - orjson raises TypeError, foreign code anything
            data = self._repair(line, exc)
        if len(data) > self._max_bytes:
            data = self._shorten(line)
        return data if data.isascii() else printable(data)

    def plain(self, value: Any) -> Any:
        """Return *value*, of any type, in plain types and without secrets."""
        return self._redact(plain(value))

    def _repair(self, line: dict[str, Any], failure: Exception) -> bytes:
        cause = failure.__cause__ or failure.__context__
        if cause is not None and not isinstance(cause, Exception):
            raise cause  # orjson wraps an interrupt that met our hook
        self.counters.repaired += 1
        try:
            return orjson.dumps(self._redact(plain(line)), option=orjson.OPT_APPEND_NEWLINE)
        except Exception as exc:  # noqa: BLE001
            return self.minimal(line, exc)

    def minimal(self, line: dict[str, Any], failure: BaseException) -> bytes:
        """Return the last rung: the head of *line* as text, and what went wrong."""
        self.counters.unloggable += 1
        head: dict[str, Any] = {key: plain(safe_text(line[key], 500)) for key in _HEAD if key in line}
        head.setdefault("event", "")
        head["log_error"] = type_name(failure)
        return orjson.dumps(self._redact(head), option=orjson.OPT_APPEND_NEWLINE)

    def _shorten(self, line: dict[str, Any]) -> bytes:
        """Return *line* with its texts and containers cut until it fits; ``truncated`` says so."""
        self.counters.truncated += 1
        for text in _SHRINK:
            if text * 2 > self._max_bytes:
                continue
            limits = Limits(depth=6, nodes=max(20, self._max_bytes // (text + 40)), text=text)
            short = self._redact(plain(line, limits))
            short["truncated"] = True
            data = orjson.dumps(short, option=orjson.OPT_APPEND_NEWLINE)
            if len(data) <= self._max_bytes:
                return data
        head = {key: plain(line[key], Limits(depth=1, nodes=5, text=200)) for key in _HEAD if key in line}
        return orjson.dumps(self._redact({**head, "truncated": True}), option=orjson.OPT_APPEND_NEWLINE)
