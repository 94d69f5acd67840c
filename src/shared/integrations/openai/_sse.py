"""Read a stream of events: bytes go in, documents come out. Pure, for both clients.

Source: HTML Living Standard, section 9.2.6 (interpreting an event stream).
"""

import json
from typing import Any, Final

from shared.integrations.openai._results import malformed

__all__ = ["EventStream"]

_BOM: Final = b"\xef\xbb\xbf"


class EventStream:
    r"""Turns the bytes of a completion stream into its JSON documents.

    Args:
        model: For errors.
        max_bytes: More of them end the stream.

    Example:
        >>> stream = EventStream("m", max_bytes=1000)
        >>> stream.feed(b'data: {"a": 1}\n'), stream.feed(b'\r\ndata: [DONE]\n\n'), stream.done
        ([], [{'a': 1}], True)
    """

    __slots__ = ("_data", "_line", "_max", "_seen", "done", "model")

    def __init__(self, model: str, *, max_bytes: int) -> None:
        self.model = model
        self.done: bool = False
        self._max = max_bytes
        self._seen = 0
        self._line: list[bytes] = []
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Any]:
        """Take in *chunk* and return the documents it completes.

        Raises:
            AIServiceError: The stream is too large or holds no JSON.
        """
        if not self._seen:
            chunk = chunk.removeprefix(_BOM)
        self._seen += len(chunk)
        if self._seen > self._max:
            raise malformed(self.model, f"more than {self._max} bytes")
        if b"\n" not in chunk:  # kept in pieces: joining them each time would copy without end
            self._line.append(chunk)
            return []
        *lines, rest = b"".join((*self._line, chunk)).split(b"\n")
        self._line = [rest]
        found: list[Any] = []
        for line in lines:
            self._take(line.rstrip(b"\r"), found)
        return found

    def _take(self, line: bytes, found: list[Any]) -> None:
        if self.done:
            return
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            if data.startswith(b"[DONE]"):
                self.done = True
                return
            found.append(self._document(data))

    def _document(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            pass  # raised below, outside of the handler: its text quotes the answer
        raise malformed(self.model, "an event that is not JSON")
