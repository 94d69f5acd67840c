"""The table of what ran in each minute, and the store of monitoring on it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import BigInteger, Float, Index, Integer, Select, String, delete, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.database._base import Base
from shared.database._health import has_table
from shared.database._types import Json
from shared.monitoring import Rollup, RollupKey

if TYPE_CHECKING:
    from shared.database._database import Database

__all__ = ["DatabaseRollupStore", "PerformanceRollup"]

_HOUR: Final = 3600  # seconds; what one transaction deletes or merges
_LIMIT: Final = 200  # characters of a name
_NUMBERS: Final = ("runs", "errors", "total", "longest", "buckets")

# Buckets are added up by the server, so that writers never read: two that write the same
# row at once lose nothing.
_MERGED: Final = {
    "postgresql": """(SELECT coalesce(jsonb_object_agg(key, runs), '{}') FROM (
        SELECT key, sum(value::bigint) AS runs FROM (
            SELECT * FROM jsonb_each_text(monitoring_rollups.buckets)
            UNION ALL SELECT * FROM jsonb_each_text(excluded.buckets)) AS joined
        GROUP BY key) AS summed)""",
    "sqlite": """(SELECT json_group_object(key, runs) FROM (
        SELECT key, sum(value) AS runs FROM (
            SELECT key, value FROM json_each(monitoring_rollups.buckets)
            UNION ALL SELECT key, value FROM json_each(excluded.buckets))
        GROUP BY key))""",
}
_EACH: Final = {
    "postgresql": "jsonb_each_text(monitoring_rollups.buckets) AS part(key, value)",
    "sqlite": "json_each(monitoring_rollups.buckets) AS part",
}


class PerformanceRollup(Base):
    """What ran in one minute, or one hour, under one name and user; the room is ``"monitoring"``.

    Example:
        >>> PerformanceRollup.__table__.info["room"]
        'monitoring'
    """

    __tablename__ = "monitoring_rollups"
    __room__: ClassVar[str] = "monitoring"
    __table_args__ = (Index("ix_monitoring_rollups_user_name_start", "user_name", "start"),)

    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    width: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(_LIMIT), primary_key=True)
    user_name: Mapped[str] = mapped_column(String(_LIMIT), primary_key=True)
    runs: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[float] = mapped_column(Float(53))
    longest: Mapped[float] = mapped_column(Float(53))
    buckets: Mapped[dict[str, Any]] = mapped_column(Json())


_TABLE: Final = PerformanceRollup.__table__.c
_COLUMNS: Final = tuple(_TABLE)


class DatabaseRollupStore:
    """Keeps the rollups of all processes in a table; a ``shared.monitoring.RollupStore``.

    Writers add to what is there in one statement per row and read nothing, so any number
    of processes may write at once. Needs the table :class:`PerformanceRollup`.

    Args:
        database: Where the table is.

    Example:
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db:
        ...     PerformanceRollup.__table__.create(db.engine)
        ...     store = DatabaseRollupStore(db)
        ...     row = Rollup(RollupKey(0, 60, "task", "send_receipt", ""), 1, 0, 0.1, 0.1, {40: 1})
        ...     store.add([row]); store.add([row])
        ...     [found.count for found in store.read(0, 60)]
        [2]
    """

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._upsert: Any = _upsert(database.system)

    def is_ready(self) -> bool:
        """Tell whether the table is there; asks the database.

        Raises:
            SharedError: The database cannot be asked.
        """
        with self._database.read() as session:
            return has_table(session, PerformanceRollup.__tablename__)

    def add(self, rollups: Sequence[Rollup]) -> None:
        """Add the numbers to those under the same keys, all or none of them."""
        if rollups:
            self._database.transaction(retry=True).run(self._add, rollups)

    def _add(self, session: Session, rollups: Iterable[Rollup]) -> None:
        # In the same order everywhere, so that two writers wait for each other in turn.
        rows = sorted((_row(rollup) for rollup in rollups), key=_key_of)
        session.execute(self._upsert, rows)

    def read(self, since: float, until: float, *, user: str | None = None) -> Iterator[Rollup]:
        """Return the rollups whose start lies in ``[since, until)``, in Unix time."""
        with self._database.read() as session:
            found = session.execute(_within(select(*_COLUMNS), since, until, user)).all()
        return map(_rollup, found)

    def totals(self, since: float, until: float, *, user: str | None = None) -> Iterator[Rollup]:
        """Return the rollups of a range added up by kind and name; the database adds."""
        names = (_TABLE.kind, _TABLE.name)
        sums = select(
            *names,
            func.sum(_TABLE.runs),
            func.sum(_TABLE.errors),
            func.sum(_TABLE.total),
            func.max(_TABLE.longest),
        ).group_by(*names)
        cast = "::bigint" if self._database.system == "postgresql" else ""
        buckets = (
            select(*names, text("part.key"), text(f"sum(part.value{cast})"))
            .select_from(PerformanceRollup.__table__, text(_EACH[self._database.system]))
            .group_by(*names, text("part.key"))
        )
        with self._database.read() as session:
            rows = session.execute(_within(sums, since, until, user)).all()
            parts = session.execute(_within(buckets, since, until, user)).all()
        inside: dict[tuple[str, str], dict[int, int]] = {}
        for kind, name, bucket, runs in parts:
            inside.setdefault((kind, name), {})[int(bucket)] = int(runs)
        for kind, name, runs, errors, total, longest in rows:
            key = RollupKey(0, 0, kind, name, user or "")
            yield Rollup(key, int(runs), int(errors), total, longest, inside.get((kind, name), {}))

    def downsample(self, before: float, width: int) -> int:
        """Merge rollups that start before *before* into stretches of *width* seconds, one at a time."""
        narrow = (_TABLE.start < before, _TABLE.width < width)
        merged = 0
        for start in self._stretches(width, *narrow):
            merged += self._database.transaction(retry=True).run(self._widen, start, width, narrow)
        return merged

    def _widen(self, session: Session, start: int, width: int, narrow: tuple[Any, ...]) -> int:
        # Deleting tells which rows there were: what is written meanwhile is left for the next time.
        inside = (_TABLE.start >= start, _TABLE.start < start + width)
        gone = delete(PerformanceRollup).where(*inside, *narrow).returning(*_COLUMNS)
        wide: dict[RollupKey, Rollup] = {}
        deleted = 0
        for row in session.execute(gone):
            deleted += 1
            rollup = _rollup(row).widened(width)
            present = wide.get(rollup.key)
            wide[rollup.key] = rollup if present is None else present.merged(rollup)
        if not wide:
            return 0
        here = select(func.count()).where(_TABLE.start == start, _TABLE.width == width)
        before = session.scalar(here) or 0
        self._add(session, wide.values())
        return deleted - ((session.scalar(here) or 0) - before)

    def cleanup(self, before: float) -> int:
        """Delete the rollups that start before *before*, an hour at a time; return how many."""
        old = _TABLE.start < before
        return sum(
            self._database.transaction(retry=True).run(self._delete, start, old)
            for start in self._stretches(_HOUR, old)
        )

    @staticmethod
    def _delete(session: Session, start: int, old: Any) -> int:
        gone = delete(PerformanceRollup).where(_TABLE.start >= start, _TABLE.start < start + _HOUR, old)
        return int(session.execute(gone).rowcount)  # type: ignore[attr-defined]

    def _stretches(self, width: int, *conditions: Any) -> Iterator[int]:
        """Yield the beginnings of the stretches of *width* seconds that have rows, in order."""
        after = None
        while True:
            statement = select(func.min(_TABLE.start)).where(*conditions)
            if after is not None:
                statement = statement.where(_TABLE.start >= after)
            with self._database.read() as session:
                first = session.scalar(statement)
            if first is None:
                return
            start = first // width * width
            yield start
            after = start + width


def _upsert(system: str) -> Any:
    statement = (postgresql if system == "postgresql" else sqlite).insert(PerformanceRollup)
    new, old = statement.excluded, _TABLE
    greatest = func.greatest if system == "postgresql" else func.max
    changed = {
        "runs": old.runs + new.runs,
        "errors": old.errors + new.errors,
        "total": old.total + new.total,
        "longest": greatest(old.longest, new.longest),
        "buckets": text(_MERGED[system]),
    }
    key = [column.name for column in PerformanceRollup.__table__.primary_key]
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def _within(statement: Select[Any], since: float, until: float, user: str | None) -> Select[Any]:
    statement = statement.where(_TABLE.start >= since, _TABLE.start < until)
    return statement if user is None else statement.where(_TABLE.user_name == _storable(user))


def _row(rollup: Rollup) -> dict[str, Any]:
    key = rollup.key
    return {
        "start": key.start,
        "width": key.width,
        "kind": key.kind,
        "name": _storable(key.name),
        "user_name": _storable(key.user),
        "runs": rollup.count,
        "errors": rollup.errors,
        "total": rollup.total,
        "longest": rollup.longest,
        "buckets": {str(index): count for index, count in rollup.buckets.items()},
    }


def _key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["start"], row["width"], row["kind"], row["name"], row["user_name"])


def _rollup(row: Any) -> Rollup:
    start, width, kind, name, user, runs, errors, total, longest, found = row
    buckets = json.loads(found) if isinstance(found, str) else found
    counts = {int(index): int(count) for index, count in buckets.items()}
    return Rollup(RollupKey(start, width, kind, name, user), runs, errors, total, longest, counts)


def _storable(text_: str) -> str:
    """Return a text that every engine can keep: without zero characters and lone surrogates."""
    return text_.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[:_LIMIT]
