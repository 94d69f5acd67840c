"""Flags in the service's database."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from shared.errors import InvalidArgumentError
from shared.feature_flags._forms import Form, Step, Steps, empty_form, from_text, patched, to_text
from shared.feature_flags._hints_sql import PostgresHints, SQLiteHints
from shared.feature_flags._store import FlagChange
from shared.feature_flags._store_base import StoreBase
from shared.feature_flags._tables import FlagHistoryRecord, FlagRecord, FlagRevision

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["SqlFlagStore"]

CHANNEL: Final = "shared_feature_flags"
_NAMESPACE_MAX: Final = 100


class SqlFlagStore(StoreBase):
    """A store in SQLite or PostgreSQL, shared by all processes that use the database.

    A write is one transaction: it takes the next revision only from the one it was decided
    on. Needs the tables of the room: ``tables_of("feature_flags")``. On PostgreSQL changes
    are told by ``NOTIFY``, as a hint; a pooler in transaction mode swallows it, and then
    they are seen at the next poll.

    Args:
        database: Where the tables are.
        namespace: Which set of flags; several services may share one database.
        owns_database: Whether :meth:`close` closes the database too.

    Raises:
        InvalidArgumentError: *namespace* is no text of 1 to 100 printable characters.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> from shared.feature_flags import Flag, FlagChanges
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     store = SqlFlagStore(db)
        ...     store.apply(FlagChanges({"beta": Flag("beta", default=True)}), actor="ada")
        ...     store.close()
        1
    """

    def __init__(
        self, database: "Database", *, namespace: str = "default", owns_database: bool = False
    ) -> None:
        if not (1 <= len(namespace) <= _NAMESPACE_MAX and namespace.isprintable()):
            msg = f"namespace is a text of 1 to {_NAMESPACE_MAX} printable characters"
            raise InvalidArgumentError(msg)
        self._database = database
        self._namespace = namespace
        self._owns = owns_database
        self._is_postgres = database.system == "postgresql"
        self.shown: str = f"{database.system} {database.name}"
        make = PostgresHints if self._is_postgres else SQLiteHints
        self._hints = make(database, CHANNEL, namespace)

    def revision(self) -> int:
        """See :meth:`FlagStore.revision`."""
        with self._database.read() as session:
            return self._newest(session)

    def now(self) -> float:
        """See :meth:`FlagStore.now`: the server's time, on SQLite the machine's."""
        if not self._is_postgres:
            return time.time()
        with self._database.read() as session:
            return float(session.scalar(text("select extract(epoch from clock_timestamp())")) or 0.0)

    def wait_hint(self, timeout: float) -> bool:
        """See :meth:`FlagStore.wait_hint`."""
        return self._hints.wait(timeout)

    def close(self) -> None:
        """See :meth:`FlagStore.close`."""
        self._hints.close()
        if self._owns:
            self._database.close()

    # -- the steps of an engine ------------------------------------------------------------

    def _newest(self, session: Session) -> int:
        found = session.scalar(select(FlagRevision.revision).where(FlagRevision.namespace == self._namespace))
        return int(found or 0)

    def _read(self) -> tuple[int, Form]:
        level = "REPEATABLE READ" if self._is_postgres else None
        with self._database.transaction(isolation=level, read_only=True) as session:
            revision = self._newest(session)
            rows = session.execute(
                select(FlagRecord.kind, FlagRecord.key, FlagRecord.body)
                .where(FlagRecord.namespace == self._namespace)
                .order_by(FlagRecord.key)
            ).all()
        form = empty_form()
        for kind, key, body in rows:
            form.setdefault(f"{kind}s", {})[key] = from_text(body, where=f"{kind} {key!r} of {self.shown}")
        return revision, form

    def _commit(self, revision: int, steps: Steps, actor: str, reason: str) -> int | None:
        with self._database.transaction() as session:
            if not self._take(session, revision):
                return None
            new = revision + 1
            at = self._moment(session)
            for step in steps:
                self._put(session, step.kind, step.key, step.after, new)
                session.execute(
                    insert(FlagHistoryRecord).values(
                        namespace=self._namespace,
                        revision=new,
                        kind=step.kind,
                        key=step.key,
                        actor=actor,
                        reason=reason,
                        at=at,
                        before=None if step.before is None else to_text(step.before),
                        after=None if step.after is None else to_text(step.after),
                    )
                )
            if self._is_postgres:
                session.execute(select(func.pg_notify(CHANNEL, self._namespace)))
            return new

    def _take(self, session: Session, revision: int) -> bool:
        """Go from *revision* to the next; of two at once, one finds it gone."""
        if revision == 0:
            session.execute(
                _insert(session, FlagRevision)
                .values(namespace=self._namespace, revision=0, changed_at=self._moment(session))
                .on_conflict_do_nothing()
            )
        statement = (
            update(FlagRevision)
            .where(FlagRevision.namespace == self._namespace, FlagRevision.revision == revision)
            .values(revision=revision + 1, changed_at=self._moment(session))
        )
        return bool(session.execute(statement).rowcount == 1)  # type: ignore[attr-defined]

    def _put(self, session: Session, kind: str, key: str, body: Any, revision: int) -> None:
        here = (FlagRecord.namespace == self._namespace, FlagRecord.kind == kind, FlagRecord.key == key)
        session.execute(delete(FlagRecord).where(*here))
        if body is not None:
            values = {"namespace": self._namespace, "kind": kind, "key": key}
            session.execute(insert(FlagRecord).values(**values, body=to_text(body), revision=revision))

    def _moment(self, session: Session) -> datetime:
        """Return the server's time, so that the history of a fleet has one clock."""
        if not self._is_postgres:
            return datetime.now(UTC)
        moment = session.scalar(text("select clock_timestamp()"))
        assert isinstance(moment, datetime)  # noqa: S101 - what the function is  # nosec B101
        return moment

    def _changes(self, key: str | None, limit: int) -> list[FlagChange]:
        table = FlagHistoryRecord
        statement = select(table).where(table.namespace == self._namespace)
        if key is not None:
            statement = statement.where(table.key == key)
        statement = statement.order_by(table.revision.desc(), table.kind, table.key).limit(limit)
        with self._database.read() as session:
            return [self._change(row) for row in session.scalars(statement)]

    def _form_at(self, revision: int) -> Form | None:
        newest, form = self._read()
        if revision > newest:
            return None
        for change in self._after(revision):  # the newest first
            form = patched(form, [Step(change.kind, change.key, change.before, change.after)], back=True)
        return form

    def _after(self, revision: int) -> list[FlagChange]:
        table = FlagHistoryRecord
        statement = (
            select(table)
            .where(table.namespace == self._namespace, table.revision > revision)
            .order_by(table.revision.desc())
        )
        with self._database.read() as session:
            return [self._change(row) for row in session.scalars(statement)]

    def _change(self, row: FlagHistoryRecord) -> FlagChange:
        where = f"the history of {self.shown}"
        before = None if row.before is None else from_text(row.before, where=where)
        after = None if row.after is None else from_text(row.after, where=where)
        kind: Literal["flag", "segment"] = "flag" if row.kind == "flag" else "segment"
        at = row.at.timestamp()
        return FlagChange(row.revision, row.key, row.actor, row.reason, at, before, after, kind)


def _insert(session: Session, table: Any) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return make(table)
