"""The line of an ordinary request in one step: what is known about it never meets a mapping."""

from collections.abc import Callable
from typing import Final

import orjson

from shared.context import current_context
from shared.logging._clock import HUNDREDS, HUNDREDS_END, second_of
from shared.logging._writer import Parts, Put

__all__ = ["RequestLine", "request_line"]

RequestLine = Callable[
    [str, int, str, str, str, int, float, float | None, int, str | None],
    bool,
]
"""Writes the line of one request, or returns False for one that needs care; never raises.

Takes level, its number, method, path, route, status, milliseconds to the last and to
the first byte, bytes sent and client.
"""

_NEWLINE: Final = orjson.OPT_APPEND_NEWLINE
FIELDS: Final = (
    "method",
    "path",
    "route",
    "status",
    "duration_ms",
    "ttfb_ms",
    "bytes_sent",
    "client",
)


def request_line(parts: Parts, name: str | None, put: Put, event: str) -> RequestLine:
    """Return the function that gives the usual line of a request to *put*."""
    clock, limit, texts = parts.clock, parts.max_line_bytes, parts.scrubber.texts
    dumps, join = orjson.dumps, b"".join
    heads = _Heads(parts, name, event)
    second = (0.0, b"")  # replaced whole, so that threads never mix two seconds

    def write(  # noqa: PLR0917 - names would cost what this saves
        level: str,
        number: int,
        method: str,
        path: str,
        route: str,
        status: int,
        duration: float,
        first_byte: float | None,
        sent: int,
        client: str | None,
    ) -> bool:
        nonlocal second
        try:
            context = current_context()
            head = heads[level]
            if (
                not (head and context)
                or context.fields
                or context.overlay
                or (trace := context.trace) is None
                or context.tenant is not None
                or not texts.issuperset((path, route, method, client or method))
            ):
                return False
            line = {
                "correlation_id": context.correlation_id,
                "request_id": context.request_id,
                "trace_id": trace[0],
                "span_id": trace[1],
                "method": method,
                "path": path,
                "route": route,
                "status": status,
                "duration_ms": duration,
                "ttfb_ms": first_byte,
                "bytes_sent": sent,
                "client": client,
            }
            now, (start, prefix) = clock(), second
            if not 0.0 <= now - start < 1.0:
                start, prefix = second = second_of(now)
            micros = min(int((now - start) * 1_000_000), 999_999)
            moment = prefix, HUNDREDS[micros // 1000], HUNDREDS_END[micros % 1000]
            data = join((*moment, head, dumps(line, None, _NEWLINE)[1:]))
        except Exception:  # noqa: BLE001 - an id that is no text; the careful way copes
            return False
        if len(data) > limit or not data.isascii():
            return False
        put(data, number)
        return True

    return write


class _Heads(dict[str, bytes | None]):
    """By level: what is the same in every line, encoded; None until the fields are known as harmless."""

    def __init__(self, parts: Parts, name: str | None, event: str) -> None:
        super().__init__()
        self._parts = parts
        self._name = name
        self._event = event

    def __missing__(self, level: str) -> bytes | None:
        scrubber = self._parts.scrubber
        if self._event not in scrubber.texts or not scrubber.names.issuperset(FIELDS):
            return None
        line = {"level": level, "event": self._event, **self._parts.head(self._name)}
        head = self[level] = b"," + orjson.dumps(line)[1:-1] + b","
        return head
