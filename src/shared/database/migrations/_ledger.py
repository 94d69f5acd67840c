"""Which revisions were applied, when, and what their files said then."""

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import Column, DateTime, Float, MetaData, String, Table, delete, func, insert, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateTable

from shared.database.migrations._alembic import emit
from shared.database.migrations._locate import LEDGER_TABLE

__all__ = ["applied_checksums", "checksum", "note_applied", "note_taken_back"]

#: One table for all chains; a chain is known by its version table.
_LEDGER = Table(
    LEDGER_TABLE,
    MetaData(),
    Column("version_table", String(128), primary_key=True),
    Column("revision", String(64), primary_key=True),
    Column("checksum", String(64), nullable=False),
    Column("phase", String(10), nullable=False),
    Column("applied_at", DateTime(timezone=True), nullable=False),
    Column("seconds", Float, nullable=False),
)


def checksum(path: str | Path) -> str:
    """Return a digest of what a revision does: comments, blank lines and line ends do not count."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    kept = [line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def note_applied(context: Any, script: Any, phase: str, seconds: float) -> None:
    """Write down that a revision was applied, in its own transaction.

    Args:
        context: Alembic's migration context, also one that only writes SQL.
        script: Of the revision.
        phase: Of the revision.
        seconds: How long it took.
    """
    _ensure(context)
    _forget(context, script)
    values = {
        "version_table": context.version_table,
        "revision": script.revision,
        "checksum": checksum(script.path),
        "phase": str(phase),
        "applied_at": func.current_timestamp(),
        "seconds": round(seconds, 3),
    }
    emit(context, insert(_LEDGER).values(values))


def note_taken_back(context: Any, script: Any) -> None:
    """Write down that a revision is no longer applied."""
    _ensure(context)
    _forget(context, script)


def _forget(context: Any, script: Any) -> None:
    where = (_LEDGER.c.version_table == context.version_table) & (_LEDGER.c.revision == script.revision)
    emit(context, delete(_LEDGER).where(where))


def _ensure(context: Any) -> None:
    if context.as_sql:
        emit(context, CreateTable(_LEDGER, if_not_exists=True))
    else:
        _LEDGER.create(context.connection, checkfirst=True)


def applied_checksums(connection: Connection, version_table: str) -> dict[str, str]:
    """Return the digests of the applied revisions of a chain, by revision."""
    if not inspect(connection).has_table(LEDGER_TABLE):
        return {}
    rows = connection.execute(
        select(_LEDGER.c.revision, _LEDGER.c.checksum).where(_LEDGER.c.version_table == version_table)
    )
    return {row.revision: row.checksum for row in rows}
