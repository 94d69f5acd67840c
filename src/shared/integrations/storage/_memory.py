"""Objects in the memory of the process: for development and tests."""

import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import IO, NamedTuple

from shared.errors import ServiceUnavailableError
from shared.integrations.storage._errors import missing, unmet
from shared.integrations.storage._parts import Attributes, Condition, Found
from shared.integrations.storage._staging import Staged
from shared.runtime import after_fork_in_child

__all__ = ["MemoryBackend"]


class _Kept(NamedTuple):
    data: bytes
    found: Found


class MemoryBackend:
    """Keeps objects until the process ends.

    Args:
        capacity: Most bytes kept in all.
        now: Gives the time in UTC.
    """

    scheme = "memory"
    masked_url = "memory://"

    def __init__(
        self, *, capacity: int = 1024**3, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._capacity = capacity
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._used = 0
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def stat(self, key: str) -> Found:
        """Return the object."""
        return self._get(key).found

    def _get(self, key: str) -> _Kept:
        kept = self._kept.get(key)
        if kept is None:
            raise missing(key)
        return kept

    def open(self, key: str, start: int, stop: int | None) -> "MemoryReader":
        """Begin to read."""
        data, found = self._get(key)
        return MemoryReader(found, data[start:stop])

    def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        """Write all of it or nothing."""
        data = b"".join(staged.pieces())
        # Of encrypted content every version is another, so its tag is drawn.
        mark = attributes.sha256[:32] if attributes.sha256 else secrets.token_hex(16)
        found = Found(key, len(data), f'"{mark}"', self._now(), attributes)
        with self._lock:
            old = self._kept.get(key)
            if condition.create and old is not None:
                raise unmet(key, create=True)
            if condition.etag is not None and (old is None or old.found.etag != condition.etag):
                raise unmet(key, create=False)
            grown = self._used + len(data) - (0 if old is None else len(old.data))
            if grown > self._capacity:
                msg = f"the memory storage is full: {grown} bytes, at most {self._capacity} are kept"
                raise ServiceUnavailableError(msg)
            self._kept[key] = _Kept(data, found)
            self._used = grown
        return found

    def delete(self, key: str) -> bool:
        """Delete; False when there was nothing."""
        with self._lock:
            old = self._kept.pop(key, None)
            self._used -= 0 if old is None else len(old.data)
        return old is not None

    def copy(self, source: str, target: str) -> None:
        """Copy with all attributes."""
        with self._lock:
            data, found = self._get(source)
            copied = Found(target, found.size, found.etag, self._now(), found.attributes)
            old = self._kept.get(target)
            self._used += len(data) - (0 if old is None else len(old.data))
            self._kept[target] = _Kept(data, copied)

    def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        """Return the next objects."""
        with self._lock:
            keys = [key for key in self._kept if key.startswith(prefix)]
            start = after.encode()
            wanted = sorted(key for key in map(str.encode, keys) if key > start)[:limit]
            return [self._kept[key.decode()].found for key in wanted]

    def sign(self, method: str, key: str, seconds: float) -> str | None:  # noqa: ARG002
        """Return None: whoever serves the objects signs."""
        return None

    def check(self) -> None:
        """Memory always answers."""

    def spool(self) -> IO[bytes]:
        """Open a nameless file."""
        return tempfile.TemporaryFile()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._used = 0

    def after_fork(self) -> None:
        """Re-arm in a forked child, with a copy of what the parent had."""
        self._lock = threading.Lock()


class MemoryReader:
    """Bytes that are there already."""

    def __init__(self, found: Found, data: bytes) -> None:
        self.found = found
        self._data = data

    def read(self) -> bytes:
        """Return all that is left."""
        return self._data

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield pieces."""
        for start in range(0, len(self._data), size):
            yield self._data[start : start + size]

    def close(self) -> None:
        """Nothing is held."""
