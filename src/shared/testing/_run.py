"""The servers of one test run: found or started once, shared by its workers, ended with it."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from shared.config import ConnectionUrl
from shared.errors import ConfigurationError, MissingDependencyError, ServiceUnavailableError
from shared.testing._binaries import Search, find_postgres, find_redis
from shared.testing._given import VARIABLES, given_url
from shared.testing._launch import begin
from shared.testing._own import nothing_found
from shared.testing._postgres import postgres_version
from shared.testing._redis import redis_version

__all__ = ["Engine", "Run"]

_END_SECONDS: Final = 25.0
_PRODUCTS: Final = {"postgres": "PostgreSQL", "redis": "Redis"}
#: Where a server of the machine listens, and how to ask for it.
_LOCAL: Final = {
    "postgres": (("127.0.0.1", 5432), "postgresql://127.0.0.1:5432/postgres"),
    "redis": (("127.0.0.1", 6379), "redis://127.0.0.1:6379"),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """A server the tests may use.

    Attributes:
        kind: ``postgres`` or ``redis``.
        url: Where it is; it does not show its password.
        product: ``PostgreSQL``, ``Redis`` or ``Valkey``.
        version: Of the server.
        origin: Where it came from, for people.
        passed_over: What was tried before it and is there, but of no use.
        guard: Process that keeps it; None when it is somebody else's.
        folder: Its files; None when it is somebody else's.
    """

    kind: str
    url: ConnectionUrl
    product: str
    version: str
    origin: str
    passed_over: tuple[str, ...] = ()
    guard: int | None = None
    folder: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it was started for this run."""
        return self.guard is not None


class Run:
    """What the processes of one test run share.

    Args:
        folder: Where they leave notes for each other; made when there is something to say.
        owner: The process that began it, this one when None; the servers end with that.
        use_local: Whether a server that runs on this machine may be used.
    """

    def __init__(self, folder: str, owner: int | None = None, *, use_local: bool = False) -> None:
        self.folder = Path(folder)
        self.owner = os.getpid() if owner is None else owner
        self.use_local = use_local

    @property
    def token(self) -> str:
        """What names the run on a server it shares with others."""
        return self.folder.name.rpartition("-")[2]

    # -- finding -----------------------------------------------------------------

    def acquire(self, kind: str) -> Engine:
        """Return the run's server of *kind*, found or started by whichever process asks first.

        Raises:
            ConfigurationError: There is none, or the given URL is no such URL.
            ServiceUnavailableError: The given server cannot be reached.
            MissingDependencyError: The driver is not installed.
        """
        state = self._state(kind)
        with self._locked(kind):
            known = _read(state)
            if known is None:
                known = self._first(kind, state)
        if "error" in known:
            raise ServiceUnavailableError(known["error"])
        return _engine(known)

    def _first(self, kind: str, state: Path) -> dict[str, Any]:
        try:
            engine = self._choose(kind, state)
        except (ConfigurationError, ServiceUnavailableError, MissingDependencyError) as exc:
            facts: dict[str, Any] = {"error": str(exc)}
        else:
            facts = {**asdict(engine), "url": str(engine.url)}
        _write(state, facts)
        return facts

    def _choose(self, kind: str, state: Path) -> Engine:
        variable = VARIABLES[kind]
        given = given_url(kind)
        if given is not None:
            return _reached(kind, given, variable)
        tried = [f"{variable}: not set"]
        local = self._local(kind, tried)
        if local is not None:
            return local
        search = find_postgres() if kind == "postgres" else find_redis()
        return self._start(kind, search, tried, state)

    def _local(self, kind: str, tried: list[str]) -> Engine | None:
        address, url = _LOCAL[kind]
        place = f"{address[0]}:{address[1]}"
        if not self.use_local:
            tried.append(f"{place}: only with --shared-use-local, for tests delete what they find")
            return None
        try:
            socket.create_connection(address, 2.0).close()
        except OSError as exc:
            tried.append(f"{place}: {exc.strerror or exc}")
            return None
        return _reached(kind, ConnectionUrl(url), f"{place} (--shared-use-local)")

    def _start(self, kind: str, search: Search, tried: list[str], state: Path) -> Engine:
        failed: list[str] = []
        for binary in search.found:
            seen = {
                "kind": kind, "product": binary.product, "version": binary.version, "origin": binary.origin,
                "passed_over": failed,
            }  # fmt: skip
            try:
                return _engine(begin(binary, kind, owner=self.owner, state=state, seen=seen).facts)
            except ServiceUnavailableError as exc:
                failed.append(f"{binary.origin}: {exc}")
        raise nothing_found(kind, [*tried, *search.tried, *failed])

    def note(self, kind: str, product: str, version: str, origin: str) -> None:
        """Remember for the summary what else the run used."""
        state = self._state(kind)
        with self._locked(kind):
            if not state.exists():
                _write(
                    state, {"kind": kind, "product": product, "version": version, "origin": origin, "url": ""}
                )

    # -- looking back and ending -------------------------------------------------

    def used(self) -> list[Engine]:
        """Return what the run has used so far, in all of its processes."""
        states = [_read(path) for path in sorted(self.folder.glob("*.json"))]
        return [_engine(state) for state in states if state is not None and "error" not in state]

    def close(self) -> None:
        """End the servers of the run and delete its folder; only the process that began it does."""
        if os.getpid() != self.owner or not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.json")):
            state = _read(path) or {}
            if state.get("guard") is not None:
                _end(path, state)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _state(self, kind: str) -> Path:
        return self.folder / f"{kind}.json"

    @contextlib.contextmanager
    def _locked(self, kind: str) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.folder / f"{kind}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _reached(kind: str, url: ConnectionUrl, origin: str) -> Engine:
    product = _PRODUCTS[kind]
    try:
        if kind == "postgres":
            return Engine(kind, url, product, postgres_version(url), origin)
        product, version = redis_version(url)
        return Engine(kind, url, product, version, origin)
    except ServiceUnavailableError as exc:
        msg = f"{_PRODUCTS[kind]} was given by {origin} and does not serve: {exc}; start it or unset it"
        raise ServiceUnavailableError(msg) from None


def _engine(facts: dict[str, Any]) -> Engine:
    known = {name: facts[name] for name in Engine.__slots__ if name in facts}
    known |= {"url": ConnectionUrl(known["url"]), "passed_over": tuple(known.get("passed_over", ()))}
    return Engine(**known)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def _write(path: Path, facts: dict[str, Any]) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(facts), encoding="utf-8")
    scratch.replace(path)


def _end(path: Path, state: dict[str, Any]) -> None:
    """End a guard and wait for it: it holds a lock for as long as it lives."""
    descriptor = os.open(f"{path}.alive", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until, told = time.monotonic() + _END_SECONDS, False
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if not told:  # its number is its own while it holds the lock
                with contextlib.suppress(ProcessLookupError):
                    os.kill(state["guard"], signal.SIGTERM)
                told = True
            time.sleep(0.005)
    finally:
        os.close(descriptor)
    shutil.rmtree(state["folder"], ignore_errors=True)  # a guard that was killed could not
