"""What goes on during a long step: seconds passed, blocks of an index built, who is in the way."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.database._database import Database
from shared.database.migrations._options import MigrationProgress
from shared.database.migrations._target import MigrationTarget, migration_engine, separate_engine
from shared.errors import SharedError

__all__ = ["watched"]

INTERVAL: Final = 5.0  # seconds
_BUILDING: Final = """
SELECT coalesce(c.relname, '?'), p.phase, p.blocks_done, p.blocks_total
FROM pg_stat_progress_create_index p
LEFT JOIN pg_class c ON c.oid = p.relid
JOIN pg_stat_activity a ON a.pid = p.pid
WHERE a.application_name = 'shared-migrations' AND p.datname = current_database()
"""
_BLOCKED: Final = """
SELECT string_agg(blocker::text, ', ') FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) blocker
WHERE a.application_name = 'shared-migrations' AND a.datname = current_database()
"""


@contextmanager
def watched(
    target: MigrationTarget,
    progress: Callable[[MigrationProgress], object],
    *,
    schema: str | None = None,
    interval: float = INTERVAL,
) -> Iterator[Callable[[Any], Any]]:
    """Give a function that returns a context manager around a step; a thread tells how it goes on.

    Args:
        target: Which database; looked at over a connection of the thread's own.
        progress: Told every *interval* seconds while a step runs.
        schema: As for the run.
        interval: Seconds.
    """
    watch = _Watch(target, progress, schema, interval)
    try:
        yield watch.step
    finally:
        watch.close()


class _Watch:
    """Starts its thread with the first step that lasts; ends it at the end."""

    def __init__(
        self,
        target: MigrationTarget,
        progress: Callable[[MigrationProgress], object],
        schema: str | None,
        interval: float,
    ) -> None:
        self._target, self._progress, self._schema, self._interval = target, progress, schema, interval

    @contextmanager
    def step(self, place: Any) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(
            target=self._tell, args=(place, over), name="shared-migrations-watch", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """Nothing outlives a step."""

    def _tell(self, place: Any, over: threading.Event) -> None:
        script, number, total = place
        begin = time.monotonic()
        while not over.wait(self._interval):
            seconds = time.monotonic() - begin
            self._progress(
                MigrationProgress("working", script.revision, number, total, seconds, self._note())
            )

    def _note(self) -> str:
        """Return what the server says of the work, or nothing when it cannot be asked."""
        engine = self._engine()
        if engine is None:
            return ""
        try:
            with engine.connect() as connection:
                return _looked_up(connection)
        except (SQLAlchemyError, SharedError, OSError):
            return ""  # the look must never hurt the work
        finally:
            engine.dispose()

    def _engine(self) -> Engine | None:
        target = self._target
        if isinstance(target, (str, URL)) and str(target).startswith("postgres"):
            return migration_engine(target, schema=self._schema)
        if isinstance(target, Database):
            target = target.engine
        if isinstance(target, Connection):
            target = target.engine
        if isinstance(target, Engine) and target.dialect.name == "postgresql" and not target.dialect.is_async:
            return separate_engine(target)
        return None


def _looked_up(connection: Connection) -> str:
    blockers = connection.exec_driver_sql(_BLOCKED).scalar()
    if blockers:
        return f"waits for the process {blockers}"
    row = connection.exec_driver_sql(_BUILDING).first()
    if row is None:
        return ""
    return f"index on {row[0]}: {row[1]}, {row[2]} of {row[3]} blocks"
