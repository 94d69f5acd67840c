"""The fused functions that write a line: everything they need per line is a local of theirs.

There are two. The quick one knows lines of known names, known texts and numbers,
which is nearly every line of a running service, and joins them from pieces that
are encoded already. Whatever it does not know it leaves, untouched, to the
careful one, which masks, repairs and learns.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson

from shared.context import RequestContext, current_context
from shared.logging._clock import HUNDREDS, HUNDREDS_END, Clock, second_of, stamp
from shared.logging._scrub import ATOMS, Scrubber
from shared.logging._state import STATE

__all__ = ["QUICK", "Parts", "Put", "Writer", "careful_writer", "quick_writer"]

Writer = Callable[[str, int, Any, dict[str, Any]], None]
"""Writes one line: level, its number, event, fields. Never raises."""

QUICK: Final = "of_quick_writer"
"""Attribute of a quick writer: its arguments."""

_NEWLINE: Final = orjson.OPT_APPEND_NEWLINE
_MAX_EVENTS: Final = 1024  # texts per level and logger


Put = Callable[[bytes, int], None]
"""Takes a finished line and the number of its level."""


class Parts(Protocol):
    """What a writer needs of its pipeline."""

    clock: Clock
    max_line_bytes: int
    render: Callable[[dict[str, Any]], bytes]
    scrubber: Scrubber

    def head(self, name: str | None) -> dict[str, Any]:
        """Return what is the same in every line of the logger *name*."""

    def complete(
        self, name: str | None, line: dict[str, Any], fields: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Complete *line*; None when it is dropped."""

    def rescue(
        self, head: dict[str, Any], level: str, event: Any, exc: Exception
    ) -> tuple[dict[str, Any], bytes | None]:
        """Return what can be said when building the line failed."""


def careful_writer(parts: Parts, name: str | None, put: Put) -> Writer:
    """Return the function that gives any line of the logger *name* to *put*, or to a capture."""
    head = parts.head(name)
    clock, render = parts.clock, parts.render

    def write(level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
        data: bytes | None = None
        line: dict[str, Any] | None
        try:
            context = current_context()
            line = {"timestamp": stamp(clock()), "level": level, "event": event, **head, **_ids_of(context)}
            line = parts.complete(name, line, _with_bound(context, fields))
            if line is not None and STATE.capture is None:
                data = render(line)
        except Exception as exc:  # noqa: BLE001 - a log line must not harm its caller
            line, data = parts.rescue(head, level, event, exc)
        if data is not None:
            put(data, number)
        elif line is not None and STATE.capture is not None:
            STATE.capture.events.append(line)

    return write


def quick_writer(parts: Parts, name: str | None, put: Put) -> Writer:
    """Return the function that gives the usual JSON line of the logger *name* to *put*."""
    careful = careful_writer(parts, name, put)
    clock, limit = parts.clock, parts.max_line_bytes
    names, texts, harmless = parts.scrubber.names, parts.scrubber.texts, parts.scrubber.is_harmless
    fixed = _FixedParts(parts.head(name), parts.scrubber)
    dumps, join = orjson.dumps, b"".join
    second = (0.0, b"")  # replaced whole, so that threads never mix two seconds

    def write(level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
        nonlocal second
        try:
            middle = fixed[level].get(event) or fixed.make(level, event)
            context = current_context()
            facts = fields if context is None else _with_bound(context, fields)
            if middle is None or not names.issuperset(facts):
                return careful(level, number, event, fields)
            for value in facts.values():
                if value not in texts and type(value) not in ATOMS and not harmless(value):
                    return careful(level, number, event, fields)
            if context is not None:
                ids = _ids_of(context)
                if "tenant" in ids and "tenant" in facts:
                    return careful(level, number, event, fields)
                facts = {**ids, **facts}
            start, prefix = second
            past = clock() - start
            if not 0.0 <= past < 1.0:
                start, prefix = second = second_of(clock())
                past = max(0.0, min(clock() - start, 0.999999))
            micros = int(past * 1_000_000)
            time_parts = prefix, HUNDREDS[micros // 1000], HUNDREDS_END[micros % 1000]
            if facts:
                data = join((*time_parts, middle, b",", dumps(facts, None, _NEWLINE)[1:]))
            else:
                data = join((*time_parts, middle, b"}\n"))
            # What is known is ASCII; the ids come from outside.
            if len(data) > limit or (context is not None and not data.isascii()):
                return careful(level, number, event, fields)
        except Exception:  # noqa: BLE001 - a number of 70 bits, a hostile __hash__
            return careful(level, number, event, fields)
        return put(data, number)

    # For writers of one kind of line: only where this way is open do they have a shorter one.
    setattr(write, QUICK, (parts, name, put))
    return write


class _FixedParts(defaultdict[str, dict[str, bytes]]):
    """What is the same in every line of one event, encoded: level, event, logger, service."""

    def __init__(self, head: dict[str, Any], scrubber: Scrubber) -> None:
        super().__init__(dict)
        self._head = head
        self._scrubber = scrubber

    def make(self, level: str, event: Any) -> bytes | None:
        """Encode the part of *event*; None when it is no text, or one that needs care.

        Kept is what comes a second time: many events are made with values in them.
        """
        seen = type(event) is str and event in self._scrubber.texts
        if not seen and not self._scrubber.is_harmless(event):
            return None
        part = b"," + orjson.dumps({"level": level, "event": event, **self._head})[1:-1]
        if seen:
            known = self[level]
            if len(known) >= _MAX_EVENTS:
                known.clear()
            known[event] = part
        return part


def _with_bound(context: RequestContext | None, fields: dict[str, Any]) -> dict[str, Any]:
    """Return *fields* over those bound to the request and the task."""
    if context is None:
        return fields
    if context.overlay:
        return {**context.fields, **context.overlay, **fields}
    return {**context.fields, **fields} if context.fields else fields


def _ids_of(context: RequestContext | None) -> dict[str, Any]:
    """Return the ids of *context* as fields."""
    if context is None:
        return {}
    trace = context.trace
    ids = {"correlation_id": context.correlation_id, "request_id": context.request_id}
    if trace is not None:
        ids["trace_id"], ids["span_id"] = trace[0], trace[1]
    tenant = (context.root or context).tenant
    if tenant is not None:
        ids["tenant"] = tenant
    return ids
