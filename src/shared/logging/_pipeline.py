"""The one way of a log line: context, time, redaction, shape, bytes, sink."""

import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Final

from shared.logging._buffer import DebugBuffer
from shared.logging._clock import Clock, stamp
from shared.logging._encode import Counters, Encoder
from shared.logging._exceptions import describe_exception
from shared.logging._levels import DEBUG, LevelMap
from shared.logging._options import Options
from shared.logging._scrub import RESERVED, Scrubber
from shared.logging._shapes import renderer_for
from shared.logging._sinks import Sink
from shared.logging._state import STATE
from shared.logging._text import safe_text, type_name
from shared.logging._writer import Writer, careful_writer, quick_writer
from shared.security import Redactor

__all__ = ["Pipeline", "Processor"]

Processor = Callable[[Any, str, dict[str, Any]], Any]
"""A structlog processor: takes the logger, the method's name and the event; returns the event."""

_MAX_WRITERS: Final = 1024
_MAX_EVENT: Final = 4000  # characters
_MAX_STACK: Final = 30  # frames
_ASIDE: Final = frozenset({"exc_info", "stack_info"})
_OURS: Final = ("shared.logging", "structlog", "logging")


class Pipeline:
    """Everything one application's log lines go through. Thread-safe.

    Args:
        options: Levels, format, names; already checked.
        sink: Where lines go.
        processors: structlog processors that see each event before the redaction.
        clock: Seconds since the epoch.
        colors: Whether the console format may use colours.
        debug_buffer: Lines below their level kept per request, for the case of an error.
    """

    def __init__(
        self,
        options: Options,
        sink: Sink,
        *,
        processors: Sequence[Processor] = (),
        clock: Clock = time.time,
        colors: bool = False,
        debug_buffer: int = 0,
    ) -> None:
        self.options = options
        self.sink = sink
        self.levels: LevelMap = options.level_map()
        self.processors: tuple[Processor, ...] = tuple(processors)
        self.server_access: bool = True  # whether the access lines of servers are written
        self.clock = clock
        redactor = Redactor(options.redact_names)
        self.scrubber: Scrubber = Scrubber(redactor)
        self._encoder = Encoder(redactor.redact, options.max_line_bytes)
        self.counters: Counters = self._encoder.counters
        chosen = options.chosen_format()
        self.render: Callable[[dict[str, Any]], bytes] = renderer_for(chosen, self._encoder, colors=colors)
        self._quick = chosen == "json" and not self.processors
        named = {
            "service": options.service,
            "service_version": options.version,
            "environment": options.environment,
        }
        self._static = {key: str(value) for key, value in named.items() if value}
        self.max_line_bytes: int = options.max_line_bytes
        self._writers: dict[str | None, Writer] = {}
        self._buffer = DebugBuffer(debug_buffer, sink) if debug_buffer > 0 else None

    def log(self, name: str | None, level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
        """Write one line; never raises.

        Args:
            name: Of the logger.
            level: Name of the level.
            number: Of the level.
            event: What happened; anything, text is best.
            fields: The rest; read, not changed.
        """
        self.writer(name)(level, number, event, fields)

    def writer(self, name: str | None) -> Writer:
        """Return the function that writes the lines of the logger *name*."""
        writer = self._writers.get(name)
        if writer is None:
            if len(self._writers) >= _MAX_WRITERS:  # names may come from data
                self._writers = {}
            writer = self._writers[name] = self._make_writer(name)
        return writer

    def _make_writer(self, name: str | None) -> Writer:
        make = quick_writer if self._quick and STATE.capture is None else careful_writer
        writer = make(self, name, self.sink.write)
        if self._buffer is None:
            return writer
        return self._buffer.around(writer, make(self, name, self._buffer.keep), self.levels.level_for(name))

    def threshold_for(self, name: str | None) -> int:
        """Return the lowest level worth a call of the logger *name*."""
        level = self.levels.level_for(name)
        return level if self._buffer is None else min(level, DEBUG)

    def forget_writers(self) -> None:
        """Make writers anew: a capture begins or ends."""
        self._writers = {}

    def head(self, name: str | None) -> dict[str, Any]:
        """Return what is the same in every line of the logger *name*."""
        return {"logger": name, **self._static} if name else self._static

    def complete(
        self, name: str | None, line: dict[str, Any], fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Complete *line*: run processors, mask, describe exceptions, keep our names ours.

        Returns:
            The line, or None when a processor dropped the event.
        """
        event = line["event"]
        if issubclass(type(event), BaseException):  # isinstance would ask the object
            fields = {"exc_info": event, **fields}
            event = f"{type_name(event)}: {safe_text(event, _MAX_EVENT)}"
        if self.processors:
            processed = self._process(name, line["level"], {**fields, "event": event})
            if processed is None:
                return None
            event = processed.pop("event", "")
            fields = processed
        line["event"] = self._short(line, event if type(event) is str else safe_text(event, _MAX_EVENT))
        if not _ASIDE.isdisjoint(fields):
            fields = self._set_aside(line, dict(fields))
        long = [
            key for key, value in fields.items() if type(value) is str and len(value) > self.max_line_bytes
        ]
        if long:
            fields = {**fields, **{key: self._short(line, fields[key]) for key in long}}
        clean = self.scrubber.scrub(fields)
        if RESERVED.isdisjoint(clean) and line.keys().isdisjoint(clean):
            line.update(clean)
            return line
        for key, value in clean.items():
            line[_free_name(key, line)] = value
        return line

    def _short(self, line: dict[str, Any], text: str) -> str:
        """Return *text* without secrets, cut when no line could hold it."""
        if len(text) <= self.max_line_bytes:
            return self.scrubber.text(text)
        self.counters.truncated += 1 - bool(line.get("truncated"))
        line["truncated"] = True
        return self.scrubber.cut(text, min(_MAX_EVENT, self.max_line_bytes))

    def _set_aside(self, line: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        """Turn ``exc_info`` and ``stack_info`` into what they stand for."""
        exc = _exception_of(fields.pop("exc_info", None))
        if exc is not None:
            line["exception"] = describe_exception(exc, self.scrubber.text)
        if fields.pop("stack_info", None):
            line["stack"] = _stack(sys._getframe(1))  # noqa: SLF001 - the documented way to a frame
        return fields

    def _process(self, name: str | None, level: str, event_dict: dict[str, Any]) -> dict[str, Any] | None:
        """Run the processors; None when one drops the event. One that fails is named and passed over."""
        from structlog import DropEvent

        target = STATE.target(name)
        for processor in self.processors:
            try:
                event_dict = processor(target, level, event_dict)
            except DropEvent:
                return None
            except Exception as exc:  # noqa: BLE001 - a processor is foreign code
                event_dict["log_error"] = f"{type_name(exc)} in a processor"
        return event_dict

    def rescue(
        self, head: dict[str, Any], level: str, event: Any, exc: Exception
    ) -> tuple[dict[str, Any], bytes | None]:
        """Return what can be said when building the line failed."""
        line = {
            "timestamp": stamp(self.clock()),
            "level": level,
            "event": self.scrubber.text(safe_text(event, 500)),
            **head,
            "log_error": type_name(exc),
        }
        return line, None if STATE.capture is not None else self._encoder.minimal(line, exc)

    def mask_argument(self, value: Any) -> Any:
        """Return *value* without its secrets, to be put into a text; clean values stay what they are."""
        return self.scrubber.redactor.redact(value)

    def stats(self) -> dict[str, Any]:
        """Return the counters of the sink and those of the encoding."""
        counters = self.counters
        return {
            **self.sink.stats(),
            "repaired": counters.repaired,
            "truncated": counters.truncated,
            "unloggable": counters.unloggable,
        }

    def dropped_line(self, count: int) -> bytes:
        """Return the line that tells that *count* lines did not fit into a queue."""
        line = {
            "timestamp": stamp(self.clock()),
            "level": "warning",
            "event": "log lines dropped",
            **self.head("shared.logging"),
            "dropped": count,
        }
        return self.render(line)


def _exception_of(exc_info: Any) -> BaseException | None:
    """Return the exception meant by ``exc_info=``: True, an exception, or the triple of ``sys``."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        found = exc_info[1:2]
        return found[0] if found and isinstance(found[0], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


# Always ours: a made-up trace id would tie the line to a stranger's trace.
_ALWAYS: Final = frozenset({"timestamp", "level", "event", "logger", "service", "trace_id", "span_id"})


def _free_name(key: str, line: dict[str, Any]) -> str:
    """Return *key*, or ``extra.<key>`` when that name is the line's own."""
    return f"extra.{key}" if key in _ALWAYS or key in line else key


def _stack(frame: FrameType | None) -> list[dict[str, Any]]:
    """Return the calls that led to the log call, oldest first, without our own."""
    frames: list[dict[str, Any]] = []
    while frame is not None and len(frames) < _MAX_STACK:
        module = frame.f_globals.get("__name__", "")
        if not (isinstance(module, str) and module.startswith(_OURS)):
            code = frame.f_code
            frames.append({"file": code.co_filename, "line": frame.f_lineno, "func": code.co_qualname})
        frame = frame.f_back
    return frames[::-1]
