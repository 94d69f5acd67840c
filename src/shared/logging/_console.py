"""Lines for people: aligned, short, one event each, safe to show in a terminal."""

from typing import Any, Final

from shared.logging._encode import Encoder
from shared.logging._exceptions import render_lines
from shared.logging._text import clip, escape_controls

__all__ = ["ConsoleRenderer"]

_EVENT_WIDTH: Final = 32
_SHORT_ID: Final = 8  # characters of an id that people compare by eye
_MAX_VALUE: Final = 1000  # characters
# Shown in their own place, or of no use to somebody who watches one process.
_PLACED: Final = frozenset(
    {"timestamp", "level", "event", "logger", "exception", "stack", "service", "service_version",
     "environment", "correlation_id", "request_id", "trace_id", "span_id"}
)  # fmt: skip
_RESET: Final = "\x1b[0m"
_DIM: Final = "\x1b[2m"
_BOLD: Final = "\x1b[1m"
_CYAN: Final = "\x1b[36m"
_LEVEL_COLORS: Final = {
    "debug": "\x1b[34m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}


class ConsoleRenderer:
    """Renders a line as ``12:30:01.123 INFO  event  key=value  [logger a1b2c3d4]``.

    Control characters in names and values are escaped, so no value can forge a
    line or steer the terminal. An exception follows on indented lines.
    """

    def __init__(self, encoder: Encoder, *, colors: bool) -> None:
        self._encoder = encoder
        self._colors = colors

    def render(self, line: dict[str, Any]) -> bytes:
        """Return *line* as text with a newline."""
        level = str(line.get("level", ""))
        event = clip(escape_controls(str(line.get("event", ""))), _MAX_VALUE)
        parts = [
            self._paint(_DIM, str(line.get("timestamp", ""))[11:23]),
            self._paint(_LEVEL_COLORS.get(level, ""), f"{level.upper():<8}"),
            self._paint(_BOLD, f"{event:<{_EVENT_WIDTH}}"),
            *self._pairs(line),
        ]
        where = self._where(line)
        if where:
            parts.append(self._paint(_DIM, where))
        text = " ".join(parts).rstrip() + "\n"
        return (text + self._details(line)).encode("utf-8", "backslashreplace")

    def _pairs(self, line: dict[str, Any]) -> list[str]:
        return [
            f"{self._paint(_CYAN, escape_controls(str(key)))}={self._value(value)}"
            for key, value in line.items()
            if key not in _PLACED
        ]

    def _value(self, value: Any) -> str:
        if isinstance(value, str):
            text = escape_controls(clip(value, _MAX_VALUE))
            return text if text and " " not in text and "=" not in text and '"' not in text else f'"{text}"'
        return escape_controls(
            clip(self._encoder.encode({"": value})[4:-2].decode("utf-8", "replace"), _MAX_VALUE)
        )

    def _where(self, line: dict[str, Any]) -> str:
        known = [escape_controls(str(line[key])) for key in ("logger",) if line.get(key)]
        if line.get("correlation_id"):
            known.append(escape_controls(str(line["correlation_id"]))[:_SHORT_ID])
        return f"[{' '.join(known)}]" if known else ""

    def _details(self, line: dict[str, Any]) -> str:
        lines: list[str] = []
        exception = line.get("exception")
        if isinstance(exception, dict):
            lines += render_lines(exception)
        elif exception is not None:
            lines.append(self._value(exception))
        if isinstance(line.get("stack"), list):
            lines += [f"  at {frame['file']}:{frame['line']} in {frame['func']}" for frame in line["stack"]]
        return "".join(f"    {escape_controls(detail)}\n" for detail in lines)

    def _paint(self, color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if self._colors and color else text
