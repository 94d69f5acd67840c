"""Try revisions there and back on a copy with data, and compare what comes out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine

from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._options import MigrationProgress
from shared.database.migrations._runner import Migrations
from shared.database.migrations._shadow import shadow_of
from shared.database.migrations._snapshot import Rows, differences, row_differences, rows_of, shape_of
from shared.database.migrations._target import migration_engine, reason_of

__all__ = ["Rehearsal", "rehearse"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of upgrade, downgrade, upgrade.

    Attributes:
        revisions: Those tried, in order.
        failed: Which way failed and why, or None.
        shape: How the schema after the downgrade differs from the one before, and after
            the second upgrade from the one after the first.
        rows: The same for the rows, by the columns that were there before.
        rows_tried: Rows there were to lose.
        notes: What the copy does not show.

    Example:
        >>> Rehearsal((), None, (), (), 0, ()).ok
        True
    """

    revisions: tuple[str, ...]
    failed: str | None
    shape: tuple[str, ...]
    rows: tuple[str, ...]
    rows_tried: int
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything came out as it went in."""
        return not (self.failed or self.shape or self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data.

        Example:
            >>> Rehearsal(("a",), None, (), (), 0, ()).to_dict()["revisions"]
            ['a']
        """
        return {
            "ok": self.ok,
            "revisions": list(self.revisions),
            "failed": self.failed,
            "shape": list(self.shape),
            "rows": list(self.rows),
            "rows_tried": self.rows_tried,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [f"failed: {self.failed}"] if self.failed else []
        lines += [f"shape: {each}" for each in self.shape]
        lines += [f"rows: {each}" for each in self.rows]
        lines += [f"note: {each}" for each in self.notes]
        what = f"{len(self.revisions)} revisions went up, down and up over {self.rows_tried} rows"
        if not self.revisions:
            what = "nothing is pending: name with --since where to begin"
        return "\n".join([*lines, f"{what}: {'all as before' if self.ok else 'not as before'}"])


def rehearse(
    url: str,
    chain: MigrationChain | None = None,
    *,
    shadow: str | None = None,
    rows: int = 100_000,
    schema: str | None = None,
    since: str | None = None,
    progress: Callable[[MigrationProgress], object] = lambda _progress: None,
) -> Rehearsal:
    """Run upgrade, downgrade and upgrade on a copy with data and compare schema and rows.

    Args:
        url: The live database; only read.
        chain: Whose revisions; the library's when None.
        shadow: URL of a copy that may be changed; made when None (SQLite whole, PostgreSQL
            with *rows* of each table).
        rows: Most rows of each table in a copy made here.
        schema: PostgreSQL schema.
        since: Begin at this revision: newer ones are taken back on the copy first. The
            revisions that are pending when None.
        progress: Told how it goes on.

    Raises:
        MigrationError: The copy cannot be made, or *since* is not known.

    Example:
        >>> tried = rehearse("sqlite:///rehearsed.db")
        >>> tried.ok, "database_0001" in tried.revisions
        (True, True)
    """
    whose = chain or MigrationChain.library()
    with shadow_of(url, whose, rows=rows, schema=schema, given=shadow) as copy:
        engine = migration_engine(copy.url)
        try:
            return _there_and_back(engine, whose, since, progress, copy.notes)
        finally:
            engine.dispose()


def _there_and_back(
    engine: Engine,
    chain: MigrationChain,
    since: str | None,
    progress: Callable[[MigrationProgress], object],
    notes: tuple[str, ...],
) -> Rehearsal:
    migrations = Migrations(engine, chain, progress=progress)
    if since is not None:
        migrations.downgrade(since)
    applied: tuple[str, ...] = ()
    way = "upgrade"
    shape: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    tried = 0
    failed: str | None = None
    try:
        before, rows = _ask(engine, shape_of), _ask(engine, rows_of)
        tried = sum(each.count for each in rows.values())
        applied = tuple(step.revision for step in migrations.upgrade())
        after, moved = _ask(engine, shape_of), _rows_like(engine, rows)
        way = "downgrade"
        migrations.take_back(reversed(applied))
        shape, lost = (
            differences(before, _ask(engine, shape_of)),
            row_differences(rows, _rows_like(engine, rows)),
        )
        way = "second upgrade"
        migrations.upgrade()
        shape += tuple(f"second time: {each}" for each in differences(after, _ask(engine, shape_of)))
        lost += tuple(f"second time: {each}" for each in row_differences(moved, _rows_like(engine, rows)))
    except Exception as exc:  # noqa: BLE001 - a revision is any code
        failed = f"{way}: {reason_of(exc)}"
    return Rehearsal(applied, failed, shape, lost, tried, notes)


def _ask(engine: Engine, question: Callable[[Connection], _T]) -> _T:
    with engine.connect() as connection:
        return question(connection)


def _rows_like(engine: Engine, rows: dict[str, Rows]) -> dict[str, Rows]:
    return _ask(engine, lambda connection: rows_of(connection, rows))
