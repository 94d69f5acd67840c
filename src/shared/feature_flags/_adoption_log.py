"""Exposures and evaluations on their way into the database: gathered, deduplicated, never waited for."""

import threading
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from shared.database import utc_now
from shared.errors import InvalidArgumentError, SharedError
from shared.feature_flags._events import FlagExposed
from shared.feature_flags._tables_adoption import MAX_KEY, MAX_VARIANT, FlagExposure, FlagUsage
from shared.feature_flags._unit_ids import UnitIds
from shared.logging import get_logger
from shared.runtime import after_fork_in_child

if TYPE_CHECKING:
    from shared.database import Database
    from shared.feature_flags._usage import FlagUse
    from shared.runtime import Events

__all__ = ["AdoptionLog"]

_MOST_ROWS: Final = 50_000
_CHUNK: Final = 500

ExposureKey = tuple[str, str, str, int]
UsageKey = tuple[str, str, date]


class _Counted(Protocol):
    """Flags, as far as they are followed; ``Flags`` is them."""

    events: "Events"

    def usage(self) -> "list[FlagUse]": ...


class AdoptionLog:
    """Keeps who was shown which variant, and how often flags are evaluated.

    :meth:`exposed` and :meth:`evaluated` add to a bounded buffer and return at once; the
    buffer is written every *interval* seconds by a short-lived thread, and by
    :meth:`flush` and :meth:`close`. What does not fit while the database is away is
    dropped and counted in :attr:`dropped`. A unit that is exposed again is one row. Needs
    the tables of the room ``feature_flags``. Thread-safe and fork-safe.

    Args:
        database: Where the tables are.
        units: How ids are written; see :class:`UnitIds`.
        interval: Seconds between writes, > 0; None writes on :meth:`flush` only.
        max_rows: Rows that may wait, >= 1.
        clock: The moment, with a time zone.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
        ...     log = AdoptionLog(db, UnitIds(b"a secret of this service"), interval=None)
        ...     log.exposed("new_menu", "on", "u-1")
        ...     log.exposed("new_menu", "on", "u-1")
        ...     log.flush()
        1
    """

    def __init__(
        self,
        database: "Database",
        units: UnitIds,
        *,
        interval: float | None = 15.0,
        max_rows: int = _MOST_ROWS,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if (interval is not None and not interval > 0) or max_rows < 1:
            msg = f"expected interval > 0 and max_rows >= 1, got {interval} and {max_rows}"
            raise InvalidArgumentError(msg)
        self._database = database
        self._units = units
        self._interval = interval
        self._max_rows = max_rows
        self._clock = clock
        self._statements = _Statements(database.system)
        self.dropped: int = 0
        self.failures: int = 0
        self._followed: list[_Evaluations] = []
        self._writer: _Writer | None = None
        self._reset()
        after_fork_in_child(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # one writer at a time; held across the database, never by callers
        self._exposures: dict[ExposureKey, tuple[datetime, datetime]] = {}
        self._usage: dict[UsageKey, tuple[int, datetime]] = {}
        self._due: datetime | None = None
        self._is_starting = False

    def exposed(self, flag: str, variant: str, unit: object, *, phase: int = 1) -> None:
        """Note that *unit* was shown *variant*; never raises for a unit that is no id, never waits."""
        try:
            key = (flag[:MAX_KEY], self._units(unit), variant[:MAX_VARIANT], phase)
        except InvalidArgumentError:
            self.dropped += 1
            return
        now = self._clock()
        with self._lock:
            known = self._exposures.get(key)
            if known is None and self._is_full():
                return
            self._exposures[key] = (now if known is None else known[0], now)
        self._soon(now)

    def evaluated(self, flag: str, variant: str, count: int = 1) -> None:
        """Note *count* evaluations, such as the sums an engine has counted."""
        if count < 1:
            return
        now = self._clock()
        key = (flag[:MAX_KEY], variant[:MAX_VARIANT], now.date())
        with self._lock:
            known = self._usage.get(key)
            if known is None and self._is_full():
                return
            self._usage[key] = ((known[0] if known else 0) + count, now)
        self._soon(now)

    def follow(self, flags: "_Counted") -> Callable[[], None]:
        """Keep the exposures of *flags*, and its evaluations from now on; return what ends it.

        With an *interval* a daemon thread writes until nothing is followed any more.

        Example:
            >>> from shared.database import Base, Database, tables_of
            >>> from shared.feature_flags import Flags, last_used
            >>> with Database("sqlite://") as db, Flags({"beta": True}) as flags:
            ...     Base.metadata.create_all(db.engine, tables=tables_of("feature_flags"))
            ...     log = AdoptionLog(db, UnitIds(plain=True), interval=None)
            ...     end = log.follow(flags)
            ...     _ = flags.is_enabled("beta")
            ...     end()
            ...     last_used(db).keys()
            dict_keys(['beta'])
        """
        source = _Evaluations(flags)
        self._followed.append(source)
        stop = flags.events.subscribe(FlagExposed, self._on_exposure)
        self._start()

        def end() -> None:
            stop()
            self._flush_quietly()
            if source in self._followed:
                self._followed.remove(source)
            if not self._followed:
                self._stop()

        return end

    def _on_exposure(self, event: FlagExposed) -> None:
        self.exposed(event.key, event.variant, event.unit, phase=event.phase)

    def _start(self) -> None:
        if self._interval is not None and self._writer is None:
            self._writer = _Writer(self._flush_quietly, self._interval)

    def _stop(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.stop()

    def _is_full(self) -> bool:
        if len(self._exposures) + len(self._usage) < self._max_rows:
            return False
        self.dropped += 1
        return True

    def _soon(self, now: datetime) -> None:
        if self._interval is None or self._writer is not None:
            return
        with self._lock:
            if self._due is None:
                self._due = now + timedelta(seconds=self._interval)
            if now < self._due or self._is_starting:
                return
            self._is_starting = True
        threading.Thread(target=self._flush_quietly, name="shared-flags-adoption", daemon=True).start()

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except SharedError as exc:
            get_logger("shared.feature_flags").warning(
                "adoption of flags was not written", error=type(exc).__name__, waiting=self.waiting
            )
        finally:
            with self._lock:
                self._due, self._is_starting = None, False

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""
        with self._lock:
            return len(self._exposures) + len(self._usage)

    def flush(self) -> int:
        """Write what waits; return the number of rows.

        Raises:
            SharedError: The database could not take it; it waits for the next time.
        """
        with self._writing:
            self._count()
            with self._lock:
                exposures, self._exposures = self._exposures, {}
                usage, self._usage = self._usage, {}
            if not exposures and not usage:
                return 0
            try:
                self._database.transaction(retry=True).run(self._write, exposures, usage)
            except BaseException:
                self._put_back(exposures, usage)
                raise
            return len(exposures) + len(usage)

    def _count(self) -> None:
        """Take what was evaluated since the last time."""
        now = self._clock()
        for source in tuple(self._followed):
            for flag, variant, count in source.take():
                key = (flag[:MAX_KEY], variant[:MAX_VARIANT], now.date())
                with self._lock:
                    known = self._usage.get(key)
                    if known is not None or not self._is_full():
                        self._usage[key] = ((known[0] if known else 0) + count, now)

    def _write(
        self,
        session: Session,
        exposures: dict[ExposureKey, tuple[datetime, datetime]],
        usage: dict[UsageKey, tuple[int, datetime]],
    ) -> None:
        # In the same order everywhere: two writers wait for each other in turn.
        shown = [
            {
                "flag": flag,
                "unit": unit,
                "variant": variant,
                "phase": phase,
                "first_at": first,
                "last_at": last,
            }
            for (flag, unit, variant, phase), (first, last) in sorted(exposures.items())
        ]
        counted = [
            {"flag": flag, "variant": variant, "day": day, "evaluations": count, "last_at": last}
            for (flag, variant, day), (count, last) in sorted(usage.items())
        ]
        for statement, rows in ((self._statements.exposure, shown), (self._statements.usage, counted)):
            for begin in range(0, len(rows), _CHUNK):
                session.execute(statement, rows[begin : begin + _CHUNK])

    def _put_back(self, exposures: dict[ExposureKey, Any], usage: dict[UsageKey, Any]) -> None:
        with self._lock:
            self.failures += 1
            for key, (first, last) in exposures.items():
                if key in self._exposures or not self._is_full():
                    later = self._exposures.get(key, (first, last))[1]
                    self._exposures[key] = (first, later)
            for counted, (count, at) in usage.items():
                if counted in self._usage or not self._is_full():
                    more, later = self._usage.get(counted, (0, at))
                    self._usage[counted] = (count + more, max(at, later))

    def prune(self, days: float) -> int:
        """Remove what was last seen more than *days* ago; return the number of rows."""
        before = self._clock() - timedelta(days=days)
        with self._database.transaction() as session:
            gone: Iterable[Any] = (
                session.execute(delete(FlagExposure).where(FlagExposure.last_at < before)),
                session.execute(delete(FlagUsage).where(FlagUsage.day < before.date())),
            )
            return sum(int(result.rowcount) for result in gone)

    def close(self) -> None:
        """Follow nothing any more and write what waits; what cannot be written counts as dropped."""
        self._stop()
        try:
            self.flush()
        except SharedError:
            with self._lock:
                self.dropped += len(self._exposures) + len(self._usage)
                self._exposures, self._usage = {}, {}

    def after_fork(self) -> None:
        """Start empty in a child: what waits is the parent's to write."""
        self._reset()
        for source in self._followed:
            source.take()
        if self._writer is not None:  # its thread did not come along
            self._writer = None
            self._start()


class _Evaluations:
    """How often flags were evaluated since the last look."""

    def __init__(self, flags: "_Counted") -> None:
        self._flags = flags
        self._told: dict[tuple[str, str], int] = {}
        self.take()

    def take(self) -> list[tuple[str, str, int]]:
        """Return flag, variant and how often, without what does not exist."""
        totals: dict[tuple[str, str], int] = {}
        for use in self._flags.usage():
            if use.reason != "ERROR" and use.variant:
                name = (use.key, use.variant)
                totals[name] = totals.get(name, 0) + use.count
        found = [(*each, count - self._told.get(each, 0)) for each, count in totals.items()]
        self._told = totals
        return [each for each in found if each[2] > 0]


class _Writer:
    """A daemon thread that writes every *interval* seconds."""

    def __init__(self, write: Callable[[], None], interval: float) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(write, interval), name="shared-flags-adoption", daemon=True
        )
        self._thread.start()

    def _run(self, write: Callable[[], None], interval: float) -> None:
        while not self._ended.wait(interval):
            write()

    def stop(self) -> None:
        """End it, after the write under way."""
        self._ended.set()
        if self._thread is not threading.current_thread():
            self._thread.join(10.0)


class _Statements:
    """The two writes, which add to what is there and read nothing."""

    def __init__(self, system: str) -> None:
        insert: Any = postgresql.insert if system == "postgresql" else sqlite.insert
        shown = insert(FlagExposure)
        self.exposure: Any = shown.on_conflict_do_update(
            index_elements=["flag", "unit", "variant", "phase"], set_={"last_at": shown.excluded.last_at}
        )
        counted = insert(FlagUsage)
        total = FlagUsage.__table__.c.evaluations + counted.excluded.evaluations
        self.usage: Any = counted.on_conflict_do_update(
            index_elements=["flag", "variant", "day"],
            set_={"evaluations": total, "last_at": counted.excluded.last_at},
        )
