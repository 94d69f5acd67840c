"""The newest good document on this machine's disk, for a start while the store is down."""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from shared.errors import FlagDocumentError, ServiceUnavailableError
from shared.feature_flags._forms import to_text
from shared.feature_flags._model import FlagDocument

__all__ = ["LastKnownGood"]

_SCHEMA: Final = 1
_MOST_BYTES: Final = 64 * 1024 * 1024


class LastKnownGood:
    """Keeps one document in a file that is replaced in one step and checked when read.

    Processes of one machine may share it.

    Args:
        path: Of the file; its directory is made when it is not there.
        clock: Seconds since 1970.

    Example:
        >>> import tempfile
        >>> from shared.feature_flags import Flag
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     kept = LastKnownGood(f"{directory}/flags.lkg.json")
        ...     kept.load() is None
        ...     kept.save(FlagDocument({"beta": Flag("beta", default=True)}, revision=7))
        ...     kept.load().revision
        True
        7
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time) -> None:
        self._path = Path(path).absolute()
        self._clock = clock

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    def save(self, document: FlagDocument) -> None:
        """Keep *document* in place of what was kept.

        Raises:
            ServiceUnavailableError: The file cannot be written.
        """
        body = to_text(document.to_dict())
        whole = {
            "schema": _SCHEMA,
            "saved_at": self._clock(),
            "checksum": _checksum(body),
            "document": body,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(to_text(whole))
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
                raise
        except OSError as exc:
            msg = f"the last known flags cannot be kept in {self._path.name}: {type(exc).__name__}"
            raise ServiceUnavailableError(msg) from exc

    def load(self) -> FlagDocument | None:
        """Return what was kept, None when nothing was.

        Raises:
            FlagDocumentError: The file is damaged, or of a version this code does not know.
            ServiceUnavailableError: It cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            msg = f"the last known flags in {self._path.name} cannot be read: {type(exc).__name__}"
            raise ServiceUnavailableError(msg) from exc
        return FlagDocument.from_dict(self._body(raw))

    def _body(self, raw: bytes) -> Any:
        try:
            whole = json.loads(raw)
            body = whole["document"]
            if whole["schema"] != _SCHEMA:
                raise FlagDocumentError(["of a version this code does not know"], subject=self._path.name)
            if _checksum(body) != whole["checksum"]:
                raise FlagDocumentError(["damaged: its checksum is wrong"], subject=self._path.name)
            return json.loads(body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
            if isinstance(exc, FlagDocumentError):
                raise
            raise FlagDocumentError(["damaged"], subject=self._path.name) from exc


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
