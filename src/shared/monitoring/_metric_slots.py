"""Numbers in files that the processes of one service read of each other.

Each process owns one *slot*, a file that it alone writes, by holding a lock (on a
file beside it) that the kernel drops when it dies. The next process takes a free slot over and counts
on from what is there, so restarts lose nothing and the number of files is that of
the processes that ever ran at the same time.

A file is a row of 8-byte words: a header, then records that are never moved. A
record is [size][key bytes][number of cells][key, padded][cells]; the header's
count of words in use grows after a record is complete, so a reader never sees half
of one.
"""

import contextlib
import json
import mmap
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from shared.monitoring._metric_definition import MetricDefinition
from shared.monitoring._metric_series import Cells

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: no fork, no prefork servers
    fcntl = None  # type: ignore[assignment]

_HAS_LOCKS: Final = fcntl is not None
_WORD: Final = 8
_MAGIC: Final = 0x53484D4554303031  # "SHMET001"
_HEADER: Final = 4  # words: magic, words in use, process id, reserved
_CHUNK: Final = 32 * mmap.ALLOCATIONGRANULARITY  # bytes; each is mapped on its own and never moves
_MAX_SLOTS: Final = 1024
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)


class _Record(NamedTuple):
    key: str
    at: int  # index of the first cell, in words from the start of the file
    width: int


def _encode(definition: MetricDefinition, labels: tuple[str, ...]) -> str:
    return f"{definition.key}{json.dumps(labels, separators=(',', ':'))}"


class SlotFile:
    """The slot of this process: takes it, finds or makes records, keeps them mapped.

    Args:
        directory: Folder of the group, for this service's processes alone.

    Raises:
        OSError: The folder cannot be written, or every slot is taken.
    """

    def __init__(self, directory: Path) -> None:
        self.pid = os.getpid()
        self._fd = -1
        self.path, self._lock = _claim(directory)
        # Not the file that is locked: a mapping keeps a copy of its descriptor, and
        # in a forked child such a copy would keep the parent's lock alive.
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
        self._chunks: list[tuple[mmap.mmap, memoryview[int], memoryview[float]]] = []
        self._records: dict[str, tuple[int, int]] = {}
        self._definitions: dict[str, MetricDefinition] = {}
        self._known: dict[str, list[tuple[str, ...]]] = {}
        self._map(max(1, -(-os.fstat(self._fd).st_size // _CHUNK)))
        self._start()

    def _start(self) -> None:
        head = self._chunks[0][1]
        if head[0] != _MAGIC:
            head[0], head[1] = _MAGIC, _HEADER
        head[2] = self.pid
        for record in _scan(self._words, head[1], self._text):
            self._records[record.key] = (record.at, record.width)
            self._note(record)

    def _note(self, record: _Record) -> None:
        """Remember whose series a record is; the numbers of gauges died with their process."""
        definition = _definition(record.key)
        if definition is not None:
            self._definitions[definition.key] = definition
            return
        key, labels = record.key[:16], tuple(json.loads(record.key[16:]))
        self._known.setdefault(key, []).append(labels)
        owner = self._definitions.get(key)
        if owner is not None and owner.kind == "gauge":
            view, at = self._cells(record.at)
            for index in range(record.width):
                view[at + index] = 0.0

    # -- the store's face ----------------------------------------------------------

    def known(self, definition: MetricDefinition) -> Iterable[tuple[str, ...]]:
        """Return the label values of the series that the slot's earlier owners made."""
        return list(self._known.get(definition.key, ()))

    def allocate(self, definition: MetricDefinition, labels: tuple[str, ...]) -> tuple[Cells, int]:
        """Return the cells of a series, making its record on first use."""
        key = _encode(definition, labels)
        found = self._records.get(key)
        if found is None:
            if definition.key not in self._definitions:
                self._append("=" + json.dumps(definition.to_json()), 0)
                self._definitions[definition.key] = definition
            found = self._records[key] = self._append(key, definition.width)
            self._known.setdefault(definition.key, []).append(labels)
        return self._cells(found[0])

    # -- words -----------------------------------------------------------------------

    def _append(self, key: str, width: int) -> tuple[int, int]:
        text = key.encode()
        key_words = -(-len(text) // _WORD)
        size = 3 + key_words + width
        per_chunk = _CHUNK // _WORD
        used = int(self._chunks[0][1][1])
        room = per_chunk - used % per_chunk
        if size > room:  # a record lies in one chunk; the rest of this one is skipped
            self._words(used)[0][used % per_chunk] = -room
            used += room
        if used + size > per_chunk * len(self._chunks):
            self._map(len(self._chunks) + 1)
        words, base = self._words(used)
        words[base + 1], words[base + 2] = len(text), width
        chunk = self._chunks[used // per_chunk][0]
        start = (base + 3) * _WORD
        chunk[start : start + len(text)] = text
        words[base] = size
        self._chunks[0][1][1] = used + size
        return used + 3 + key_words, width

    def _words(self, at: int) -> "tuple[memoryview[int], int]":
        per_chunk = _CHUNK // _WORD
        return self._chunks[at // per_chunk][1], at % per_chunk

    def _cells(self, at: int) -> "tuple[memoryview[float], int]":
        per_chunk = _CHUNK // _WORD
        return self._chunks[at // per_chunk][2], at % per_chunk

    def _text(self, at: int, length: int) -> str:
        per_chunk = _CHUNK // _WORD
        start = at % per_chunk * _WORD
        return self._chunks[at // per_chunk][0][start : start + length].decode()

    def _map(self, count: int) -> None:
        if os.fstat(self._fd).st_size < count * _CHUNK:
            # Reserved, not only declared: a full disk must fail here and not at a later store.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._fd, 0, count * _CHUNK)
            else:  # pragma: no cover - macOS
                os.ftruncate(self._fd, count * _CHUNK)
        for index in range(len(self._chunks), count):
            chunk = mmap.mmap(self._fd, _CHUNK, offset=index * _CHUNK)
            view = memoryview(chunk)
            self._chunks.append((chunk, view.cast("q"), view.cast("d")))

    def release(self) -> None:
        """Give the slot back; the numbers stay, and whoever takes it next counts on."""
        for descriptor in (self._fd, self._lock):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._fd = self._lock = -1

    def __del__(self) -> None:
        if getattr(self, "_lock", -1) >= 0:
            self.release()


class SlotReader:
    """Reads the slots of a group, remembering where the records are.

    Args:
        directory: Folder of the group.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._slots: dict[str, _Seen] = {}

    def rows(self) -> Iterator[tuple[MetricDefinition, tuple[str, ...], list[float], bool]]:
        """Yield definition, label values, numbers, and whether the process that wrote them lives."""
        for seen in self._look():
            try:
                rows = seen.rows()
            except (OSError, ValueError, IndexError, TypeError):  # cut short by somebody else
                continue
            yield from rows

    def processes(self) -> list[int]:
        """Return the ids of the processes that live."""
        return sorted(seen.owner() for seen in self._look() if seen.is_alive())

    def _look(self) -> list["_Seen"]:
        for path in sorted(self._directory.glob("slot-????")):
            if path.name not in self._slots:
                with contextlib.suppress(OSError):  # removed this moment
                    self._slots[path.name] = _Seen(path)
        return list(self._slots.values())

    def close(self) -> None:
        """Close the files."""
        for seen in self._slots.values():
            seen.close()
        self._slots.clear()


class _Seen:
    """One slot as a reader knows it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._lock = _lock_of(path)
        self._scanned = _HEADER
        self._definitions: dict[str, MetricDefinition] = {}
        self._series: list[tuple[MetricDefinition, tuple[str, ...], int, int]] = []
        self._data = memoryview(b"")

    def rows(self) -> list[tuple[MetricDefinition, tuple[str, ...], list[float], bool]]:
        self._refresh()
        alive = self.is_alive()
        cells = self._data.cast("d")
        return [
            (definition, labels, list(cells[at : at + width]), alive)
            for definition, labels, at, width in self._series
        ]

    def owner(self) -> int:
        """Return the id of the process that took the slot last."""
        self._file.seek(2 * _WORD)
        return int.from_bytes(self._file.read(_WORD), sys.byteorder)

    def is_alive(self) -> bool:
        """Tell whether somebody holds the slot's lock."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | _NO_FOLLOW)
        except OSError:
            return False
        try:
            return not _try_lock(descriptor, shared=True)
        finally:
            os.close(descriptor)

    def _refresh(self) -> None:
        # One read is one moment as far as the kernel can give one.
        self._file.seek(0)
        raw = self._file.read()
        self._data = memoryview(raw[: len(raw) // _WORD * _WORD])
        words = self._data.cast("q")
        if len(words) < _HEADER or words[0] != _MAGIC:
            return
        used = min(int(words[1]), len(words))

        def look(at: int) -> "tuple[memoryview[int], int]":
            return words, at

        def text(at: int, length: int) -> str:
            return bytes(self._data[at * _WORD : at * _WORD + length]).decode()

        for record in _scan(look, used, text, start=self._scanned):
            self._take(record)
        self._scanned = max(self._scanned, used)

    def _take(self, record: _Record) -> None:
        definition = _definition(record.key)
        if definition is not None:
            self._definitions[definition.key] = definition
            return
        owner = self._definitions.get(record.key[:16])
        if owner is not None and owner.width == record.width:
            labels = tuple(json.loads(record.key[16:]))
            self._series.append((owner, labels, record.at, record.width))

    def close(self) -> None:
        self._file.close()

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()


def _definition(key: str) -> MetricDefinition | None:
    return MetricDefinition.from_json(json.loads(key[1:])) if key.startswith("=") else None


def _scan(words: Any, used: int, text: Any, *, start: int = _HEADER) -> Iterator[_Record]:
    at = start
    while at < used:
        view, base = words(at)
        size = int(view[base])
        if size <= 0:  # the unused end of a chunk
            if size == 0:
                return
            at -= size
            continue
        length, width = int(view[base + 1]), int(view[base + 2])
        yield _Record(text(at + 3, length), at + size - width, width)
        at += size


def _claim(directory: Path) -> tuple[Path, int]:
    for number in range(_MAX_SLOTS):
        path = directory / f"slot-{number:04d}"
        lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
        for _attempt in range(2):  # a reader that tests the lock holds it for a moment
            if _try_lock(lock, shared=False):
                return path, lock
            time.sleep(0.001)
        os.close(lock)
    msg = f"every one of the {_MAX_SLOTS} metric slots is taken"
    raise OSError(msg)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _try_lock(descriptor: int, *, shared: bool) -> bool:
    """Take the lock until *descriptor* is closed; return False when somebody else holds it."""
    if not _HAS_LOCKS:  # pragma: no cover - Windows
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
