"""Whether a database has the revisions of the code that runs on it, for ``/health``."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from shared.database._health import has_table
from shared.monitoring import HealthCheck, HealthStatus

if TYPE_CHECKING:
    from shared.database.migrations import MigrationChain

__all__ = ["migrations_check"]

_TIMEOUT: Final = 5.0  # seconds; the first look reads the files
_SERVICES_TABLE: Final = "alembic_version"
_SHOWN: Final = 10  # revisions named in an answer


def migrations_check(
    find: Callable[[], Any],
    *,
    chain: "MigrationChain | None" = None,
    critical: bool = False,
    name: str = "migrations",
) -> HealthCheck:
    """Return a check that is degraded while revisions wait to be applied.

    Of the library's chain only the rooms count of which the database has something;
    where it has nothing, migrations are not in use and all is well. A revision that the
    code does not know (a newer release has migrated) is shown, and is no fault.

    Args:
        find: Returns the database.
        chain: Which revisions; the library's when None.
        critical: Whether waiting revisions make the service unready.
        name: Name of the check.

    Example:
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db:
        ...     migrations_check(lambda: db).check()
        {'status': 'healthy', 'migrations': 'not in use'}
    """
    revisions = _Revisions(chain)

    def check() -> dict[str, Any]:
        table = revisions.table
        with find().read() as session:
            if not has_table(session, table):
                return {"status": str(HealthStatus.HEALTHY), "migrations": "not in use"}
            # The name is one of two constants.
            heads = list(session.execute(text(f"SELECT version_num FROM {table}")).scalars())  # noqa: S608
        pending, unknown = revisions.compare(heads)
        status = HealthStatus.HEALTHY
        if pending:
            status = HealthStatus.UNHEALTHY if critical else HealthStatus.DEGRADED
        facts: dict[str, Any] = {"status": str(status), "pending": len(pending)}
        if pending:
            facts["revisions"] = pending[:_SHOWN]
        return {**facts, "unknown": unknown[:_SHOWN]} if unknown else facts

    return HealthCheck(name, check, critical=critical, timeout=_TIMEOUT)


class _Revisions:
    """The files of a chain, read at the first look: they do not change while the code runs."""

    def __init__(self, chain: "MigrationChain | None") -> None:
        self._chain = chain
        self._script: Any = None
        self._rooms: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def table(self) -> str:
        """Where the database says how far it is."""
        from shared.database.migrations import VERSION_TABLE

        return VERSION_TABLE if self._is_library else _SERVICES_TABLE

    @property
    def _is_library(self) -> bool:
        return self._chain is None or self._chain.name == "library"

    def compare(self, heads: list[str]) -> tuple[list[str], list[str]]:
        """Return the revisions that wait, parents first, and the heads no file knows."""
        from shared.database.migrations._alembic import applied_of, knows

        script = self._read()
        applied = applied_of(script, heads)
        rooms = {self._rooms[each] for each in applied} if self._is_library else set(self._rooms.values())
        pending = [each for each, room in self._rooms.items() if room in rooms and each not in applied]
        return pending, sorted(head for head in heads if not knows(script, head))

    def _read(self) -> Any:
        with self._lock:
            if self._script is None:
                from shared.database.migrations import MigrationChain

                script = (self._chain or MigrationChain.library()).script()
                found = reversed(list(script.walk_revisions()))
                self._rooms = {str(each.revision): Path(each.path).parent.name for each in found}
                self._script = script
            return self._script
