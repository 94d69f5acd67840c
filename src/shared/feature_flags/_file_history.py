"""What was done to a file of flags: a log beside it, one JSON text per line, only ever added to.

A write first notes what it is about to do, with the digest of the new contents, then
renames the new file into place, then notes that it is done. Whoever finds a note without
its end tells by the file which of the two it was.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.feature_flags._forms import Form, Step, Steps, empty_form, patched, to_text

__all__ = ["MISSING", "FileLog", "Note", "form_at"]

MISSING: Final = ""  # digest of a file that is not there


@dataclass(frozen=True, slots=True)
class Note:
    """One revision of a file."""

    revision: int
    digest: str
    at: float
    actor: str
    reason: str
    steps: Steps


class FileLog:
    """Reads and extends the log of one file.

    Args:
        path: Of the log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def notes(self, digest: str) -> list[Note]:
        """Return the revisions that came about, the oldest first.

        Args:
            digest: Of the file as it is now: it tells whether the newest was cut short.
        """
        return self._read(digest)[0]

    def repair(self, digest: str) -> list[Note]:
        """As :meth:`notes`, and tell for good whether the newest came about; for who holds the lock."""
        found, open_note = self._read(digest)
        if open_note is not None:
            came = bool(found) and found[-1].revision == open_note
            self._append({"done" if came else "void": open_note})
        return found

    def _read(self, digest: str) -> tuple[list[Note], int | None]:
        """Return the revisions, and the number of one whose end was not noted."""
        found: list[Note] = []
        done = 0
        for line in self._lines():
            if "done" in line:
                done = line["done"]
            elif "void" not in line:
                found.append(_note(line))
            elif found and found[-1].revision == line["void"]:
                found.pop()
        if not found or found[-1].revision <= done:
            return found, None
        number = found[-1].revision
        before = found[-2].digest if len(found) > 1 else MISSING
        if digest == before != found[-1].digest:
            found.pop()
        return found, number

    def begin(self, note: Note) -> None:
        """Note what is about to be done."""
        steps = [[step.kind, step.key, step.before, step.after] for step in note.steps]
        self._append(
            {
                "revision": note.revision,
                "digest": note.digest,
                "at": note.at,
                "actor": note.actor,
                "reason": note.reason,
                "steps": steps,
            }
        )

    def end(self, revision: int) -> None:
        """Note that it is done."""
        self._append({"done": revision})

    def _append(self, line: dict[str, Any]) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            torn = b""
            if end:
                file.seek(end - 1)
                torn = b"" if file.read(1) == b"\n" else b"\n"  # the line of a writer that died stays apart
            file.write(torn + to_text(line).encode() + b"\n")
            os.fsync(file.fileno())

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return
        for line in raw.split(b"\n"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue  # nothing, or a line cut short
            if isinstance(found, dict) and (_is_mark(found) or _is_note(found)):
                yield found


def form_at(notes: list[Note], revision: int) -> Form | None:
    """Return the document at *revision*, None when there was no such revision."""
    if revision != 0 and all(note.revision != revision for note in notes):
        return None
    form = empty_form()
    for note in notes:
        if note.revision <= revision:
            form = patched(form, note.steps)
    return form


def _is_mark(line: dict[str, Any]) -> bool:
    return len(line) == 1 and all(
        key in ("done", "void") and isinstance(number, int) for key, number in line.items()
    )


def _is_note(line: dict[str, Any]) -> bool:
    steps = line.get("steps")
    return (
        isinstance(line.get("revision"), int)
        and isinstance(line.get("digest"), str)
        and isinstance(steps, list)
        and all(
            isinstance(step, list) and len(step) == 4 and step[0] in ("flag", "segment") for step in steps
        )
    )


def _note(line: dict[str, Any]) -> Note:
    steps = tuple(Step(kind, key, before, after) for kind, key, before, after in line["steps"])
    who, why = str(line.get("actor", "unknown")), str(line.get("reason", ""))
    at = line.get("at")
    moment = float(at) if isinstance(at, (int, float)) else 0.0
    return Note(line["revision"], line["digest"], moment, who, why, steps)
