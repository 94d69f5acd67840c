"""Keys in a file: made by a command, read again by the services when it changes."""

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from shared.auth._algorithms import algorithm_named
from shared.auth._backends import SignatureBackend
from shared.auth._json import parse_object
from shared.auth._key import Key, KeyStatus
from shared.auth._key_ring import KeyRing, KeySource
from shared.errors import ConfigurationError

__all__ = ["KeyFile"]

_MAX_BYTES: Final = 1_048_576
_WAIT: Final = 10.0  # seconds for another command that changes the file

Mark = tuple[int, int, int]


class _Entry(NamedTuple):
    """A key of the file and when its status began, in seconds since 1970."""

    key: Key
    since: float


class KeyFile(KeySource):
    """The keys of a JSON file, as ``shared keys new|rotate|list`` keeps it.

    A source for :class:`TokenService`: the file is looked at again at most every
    *check_every* seconds and read when it has changed, so keys rotate without a restart.
    A file that cannot be read, or holds something wrong, is logged and the keys before
    stay in force.

    The file is a JWK Set with the private halves and, for each key, its ``status`` and
    ``since``. It is written as a whole or not at all, readable by its owner only.

    Args:
        path: Of the file.
        check_every: Seconds between two looks at the file.
        backend: As :class:`KeyRing`.
        clock: Seconds since 1970.
        monotonic: Seconds that never go back.

    Example:
        >>> import tempfile, pathlib
        >>> folder = tempfile.TemporaryDirectory()
        >>> keys = KeyFile(pathlib.Path(folder.name) / "keys.json")
        >>> keys.new("ES256", kid="2026").status.value, keys.new("ES256", kid="2027").status.value
        ('active', 'next')
        >>> keys.rotate()
        KeyRing(2026: verify-only, 2027: active)
        >>> folder.cleanup()
    """

    __slots__ = ("_backend", "_check_every", "_clock", "_looked", "_mark", "_monotonic", "_path", "_ring")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        check_every: float = 5.0,
        backend: str | SignatureBackend = "jose",
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._check_every = check_every
        self._backend = backend
        self._clock = clock
        self._monotonic = monotonic
        self._ring: KeyRing | None = None
        self._mark: Mark | None = None
        self._looked = 0.0

    # -- reading -----------------------------------------------------------------------

    def current(self) -> KeyRing:
        """Return the ring in force.

        Raises:
            ConfigurationError: The file has never been readable.
        """
        now, ring = self._monotonic(), self._ring
        if ring is not None and now - self._looked < self._check_every:
            return ring
        self._looked = now
        try:
            return self._look()
        except ConfigurationError as exc:
            if ring is None:
                raise
            import logging

            log = logging.getLogger("shared.auth")
            # Without a traceback: it would say nothing more, every few seconds.
            log.error("the key file cannot be read, the keys before stay in force: %s", exc)  # noqa: TRY400
            return ring

    def _look(self) -> KeyRing:
        mark = self._marked()
        ring = self._ring
        if ring is None or mark != self._mark:
            ring = self._ring = self._ring_of(self._read())
            self._mark = mark
        return ring

    def _marked(self) -> Mark:
        try:
            found = self._path.stat()
        except OSError as exc:
            msg = (
                f"key file {str(self._path)!r} cannot be read: {exc.strerror}; make it with: shared keys new"
            )
            raise ConfigurationError(msg, cause=exc) from exc
        if found.st_mode & stat.S_IWOTH:
            msg = f"key file {str(self._path)!r} can be written by anybody: chmod 600 it"
            raise ConfigurationError(msg)
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> list[_Entry]:
        try:
            with self._path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as exc:
            msg = f"key file {str(self._path)!r} cannot be read: {exc.strerror}"
            raise ConfigurationError(msg, cause=exc) from exc
        document = parse_object(data) if len(data) <= _MAX_BYTES else None
        listed = None if document is None else document.get("keys")
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            msg = f"key file {str(self._path)!r} is no JWK Set of at most {_MAX_BYTES} bytes"
            raise ConfigurationError(msg)
        return [self._entry(number, each) for number, each in enumerate(listed, start=1)]

    def _entry(self, number: int, jwk: dict[str, Any]) -> _Entry:
        since = jwk.get("since", 0)
        try:
            key = Key.from_jwk(jwk, status=jwk.get("status", KeyStatus.ACTIVE))
        except ConfigurationError as exc:
            msg = f"key file {str(self._path)!r}, key {number}: {exc.message}"
            raise ConfigurationError(msg, cause=exc) from exc
        return _Entry(key, float(since) if type(since) in (int, float) else 0.0)

    def _ring_of(self, entries: list[_Entry]) -> KeyRing:
        return KeyRing([entry.key for entry in entries], backend=self._backend)

    # -- changing ------------------------------------------------------------------------

    def new(self, algorithm: str, *, kid: str | None = None, bits: int = 2048) -> Key:
        """Add a key and return it: ``active`` in a new file, else ``next``.

        Args:
            algorithm: Such as ``"ES256"``, ``"EdDSA"`` or ``"HS256"``.
            kid: Its id; derived from the key when None.
            bits: Size of an RSA key.

        Raises:
            ConfigurationError: The id is there already, the kinds do not mix, or the
                file cannot be written.
        """
        algorithm_named(algorithm)
        with self._changing() as entries:
            status = KeyStatus.NEXT if entries else KeyStatus.ACTIVE
            key = Key.generate(algorithm, kid=kid, status=status, bits=bits)
            entries.append(_Entry(key, self._clock()))
        return key

    def rotate(self, kid: str | None = None, *, retire_after: float | None = None) -> KeyRing:
        """Let the ``next`` key sign, and return the ring.

        Args:
            kid: Which; the first that is ``next`` when None.
            retire_after: Remove keys that have been ``verify-only`` for this long, in
                seconds: no token of theirs may be alive any more.

        Raises:
            ConfigurationError: No such key is ``next``, or the file cannot be written.
        """
        now = self._clock()
        with self._changing() as entries:
            ring = self._ring_of(entries).rotate(kid)
            since = {entry.key.kid: entry for entry in entries}
            kept = []
            for key in ring.keys:
                before = since[key.kid]
                began = before.since if before.key.status is key.status else now
                if not _is_over(key, now - began, retire_after):
                    kept.append(_Entry(key, began))
            entries[:] = kept
        return self._ring_of(kept)

    def retire(self, kid: str) -> KeyRing:
        """Remove a key at once: what it signed is refused from the next look at the file on.

        Raises:
            ConfigurationError: There is no such key, it is the last one, or the file
                cannot be written.
        """
        with self._changing() as entries:
            self._ring_of(entries).key(kid)
            entries[:] = [entry for entry in entries if entry.key.kid != kid]
            return self._ring_of(entries)

    def describe(self) -> list[dict[str, Any]]:
        """Return what is known of each key: ``kid``, ``alg``, ``status``, ``since``; nothing secret.

        Raises:
            ConfigurationError: The file cannot be read.
        """
        self._marked()
        return [
            {
                "kid": entry.key.kid,
                "alg": entry.key.algorithm,
                "status": entry.key.status.value,
                "since": entry.since,
            }
            for entry in self._read()
        ]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[_Entry]]:
        """Give the entries to change, and write them; one command at a time."""
        try:
            with _locked(self._path.with_name(self._path.name + ".lock")):
                entries = self._read() if self._path.exists() else []
                yield entries
                self._ring_of(entries)  # what could not be read back is not written
                self._write(entries)
        except OSError as exc:
            msg = f"key file {str(self._path)!r} cannot be written: {exc.strerror or exc}"
            raise ConfigurationError(msg, cause=exc) from exc
        self._mark = None
        self._looked = 0.0
        self._ring = None

    def _write(self, entries: list[_Entry]) -> None:
        keys = [
            {**_jwk(entry.key), "status": entry.key.status.value, "since": round(entry.since, 3)}
            for entry in entries
        ]
        data = json.dumps({"keys": keys}, indent=2).encode()
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        # Never readable by others, not even for a moment.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def __repr__(self) -> str:
        return f"KeyFile({str(self._path)!r})"


def _jwk(key: Key) -> dict[str, Any]:
    return key.to_jwk(private=key.can_sign)


def _is_over(key: Key, age: float, retire_after: float | None) -> bool:
    if key.status is KeyStatus.RETIRED:
        return True
    return key.status is KeyStatus.VERIFY_ONLY and retire_after is not None and age >= retire_after


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that commands which change the file share; the system opens it when they end."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + _WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    msg = f"another command has been changing the keys for {_WAIT:g} s"
                    raise ConfigurationError(msg) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
