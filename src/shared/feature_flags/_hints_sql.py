"""Signs of a database: NOTIFY of PostgreSQL, the change counter of SQLite."""

import time
from typing import TYPE_CHECKING, Any, Final

from shared.feature_flags._fork_gate import ForkGate
from shared.feature_flags._hints import SLICE, Hints, quietly_close

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["PostgresHints", "SQLiteHints"]

_LOOK_EVERY: Final = 0.1


class _DatabaseHints(Hints):
    """Listens on a connection taken out of the pool."""

    def __init__(self, database: "Database", channel: str, payload: str) -> None:
        super().__init__()
        self._database = database
        self._channel = channel
        self._payload = payload
        self._gate = ForkGate()

    def _begin(self) -> Any:
        with self._gate:
            pooled = self._database.engine.raw_connection()
            pooled.detach()
            try:
                self._prepare(pooled.dbapi_connection)
            except BaseException:
                quietly_close(pooled)
                raise
            return pooled  # closes the connection when it is forgotten

    def _prepare(self, connection: Any) -> None:
        raise NotImplementedError


class PostgresHints(_DatabaseHints):
    """Listens for notices whose payload names our flags."""

    def _prepare(self, connection: Any) -> None:
        connection.rollback()
        connection.autocommit = True
        connection.execute(f"listen {self._channel}")

    def _listen(self, connection: Any, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while not self._closed and (left := until - time.monotonic()) > 0:
            for notice in connection.dbapi_connection.notifies(timeout=min(left, SLICE), stop_after=1):
                if notice.payload == self._payload:
                    return True
        return False


class SQLiteHints(_DatabaseHints):
    """Looks at the counter that moves when any other connection writes."""

    _version = -1

    def _prepare(self, connection: Any) -> None:
        self._version = _version(connection)

    def _listen(self, connection: Any, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while not self._closed:
            with self._gate:
                found = _version(connection.dbapi_connection)
            if found != self._version:
                self._version = found
                return True
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, _LOOK_EVERY))
        return False


def _version(connection: Any) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])
