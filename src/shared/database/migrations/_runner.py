"""Apply revisions, take them back, and tell how far a database is."""

import io
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.engine import URL, Connection

from shared.database._faults import sqlstate
from shared.database.migrations._alembic import downgrade_steps, stamp_steps, steps_back, upgrade_steps
from shared.database.migrations._chain import MigrationChain, alembic_alone
from shared.database.migrations._lock import migration_lock
from shared.database.migrations._measure import measured
from shared.database.migrations._options import MigrationOptions, MigrationProgress, Phase, as_phase
from shared.database.migrations._session import prepared
from shared.database.migrations._status import (
    MigrationCheck,
    RevisionState,
    compare,
    differences_of,
    states_of,
)
from shared.database.migrations._steps import AppliedRevision, StepRunner, of_phase
from shared.database.migrations._target import MigrationTarget, run_on, translating
from shared.database.migrations._watch import watched
from shared.errors import LockTimeoutError, MigrationError

__all__ = ["Migrations"]


class Migrations:
    """One chain of revisions on one database.

    Every change is made alone: other processes that migrate the same database wait.
    Nothing is written where packages are installed.

    Args:
        target: URL (of a synchronous or an asynchronous driver), Engine, Connection,
            AsyncEngine or :class:`Database`.
        chain: Which revisions; the library's when None.
        options: Times and limits.
        schema: PostgreSQL schema to work in, made when it is missing; only with a URL.
        progress: Told how a run goes on; may be called from another thread.
        sleep: Waits before a retry.
        draw: Draws a number in [0, 1) for the jitter of waits.

    Example:
        >>> migrations = Migrations("sqlite:///orders.db")
        >>> "database_0001" in [step.revision for step in migrations.upgrade()]
        True
        >>> migrations.upgrade()
        []
        >>> migrations.check().ok
        True
    """

    def __init__(
        self,
        target: MigrationTarget,
        chain: MigrationChain | None = None,
        *,
        options: MigrationOptions | None = None,
        schema: str | None = None,
        progress: Callable[[MigrationProgress], object] = lambda _progress: None,
        sleep: Callable[[float], object] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self._chain = chain or MigrationChain.library()
        self._options = options or MigrationOptions()
        self._schema = schema
        self._progress = progress
        self._sleep, self._draw = sleep, draw

    @property
    def chain(self) -> MigrationChain:
        """Which revisions."""
        return self._chain

    # -- changing the database ---------------------------------------------------

    def upgrade(self, revision: str = "heads", *, phase: Phase | str | None = None) -> list[AppliedRevision]:
        """Apply revisions up to *revision*.

        Args:
            revision: An id, ``heads``, or relative such as ``+1``.
            phase: Only revisions of this phase or an earlier one, and of those only the
                ones that wait for no later one; all when None.

        Returns:
            What was applied, in order; each in a transaction of its own.

        Raises:
            LockTimeoutError: A table was locked by others at every attempt, or another
                process migrates. What was applied before stays.
            MigrationError: The revision is not known, or one was refused.

        Example:
            >>> Migrations("sqlite://").upgrade(phase="expand")[0].phase
            <Phase.EXPAND: 'expand'>
        """
        limit = None if phase is None else as_phase(phase)
        return self._run(
            "upgrade",
            lambda script, heads: of_phase(upgrade_steps(script, self._goal(script, revision), heads), limit),
        )

    def downgrade(self, revision: str) -> list[AppliedRevision]:
        """Take revisions back down to *revision*.

        Args:
            revision: An id, ``base`` for all, or relative such as ``-1`` or ``orders@-1``.

        Raises:
            MigrationError: The revision is not known, or one cannot be taken back.

        Example:
            >>> from shared.database import Database
            >>> with Database("sqlite://") as db:
            ...     migrations = Migrations(db)
            ...     up = migrations.upgrade()
            ...     len(migrations.downgrade("base")) == len(up)
            True
        """
        return self._run("downgrade", lambda script, heads: self._way_back(script, revision, heads))

    def take_back(self, revisions: Iterable[str]) -> list[AppliedRevision]:
        """Take exactly *revisions* back, in the order given.

        Raises:
            MigrationError: One is not known.

        Example:
            >>> from shared.database import Database
            >>> with Database("sqlite://") as db:
            ...     migrations = Migrations(db)
            ...     applied = [step.revision for step in migrations.upgrade()]
            ...     [step.direction for step in migrations.take_back(applied[-1:])]
            ['down']
        """
        wanted = list(revisions)
        return self._run("downgrade", lambda script, _heads: steps_back(script, wanted))

    def stamp(self, revision: str, *, purge: bool = False) -> None:
        """Say that the database is at *revision*, without running anything.

        For a database whose tables were made otherwise.

        Args:
            revision: An id, ``heads`` or ``base``.
            purge: Whether to forget first what the database says; needed when it says
                something that is not known.

        Raises:
            MigrationError: The revision is not known.

        Example:
            >>> migrations = Migrations("sqlite:///stamped.db")
            >>> migrations.stamp("heads")
            >>> migrations.check().pending
            ()
        """
        self._run(
            "stamp",
            lambda script, heads: stamp_steps(script, self._goal(script, revision), heads),
            purge=purge,
            bare=True,
        )

    # -- asking ------------------------------------------------------------------

    def current(self) -> tuple[str, ...]:
        """Return the revisions the database is at: one for each room, or none.

        Example:
            >>> Migrations("sqlite://").current()
            ()
        """
        found: list[str] = []
        self._look(lambda heads, _context: found.extend(sorted(heads)))
        return tuple(found)

    def history(self) -> list[RevisionState]:
        """Return all revisions, parents first, with whether each is applied.

        Example:
            >>> [state.is_applied for state in Migrations("sqlite://").history()][:1]
            [False]
        """
        found: list[RevisionState] = []
        script = self._chain.script()
        self._look(lambda heads, _context: found.extend(states_of(script, heads, self._chain)))
        return found

    def check(self) -> MigrationCheck:
        """Compare the database with the revisions and the models.

        Returns:
            Pending revisions, applied ones whose file was changed since, and differences
            between the tables and the models.

        Example:
            >>> check = Migrations("sqlite://").check()
            >>> check.ok, "database_0001" in check.pending
            (False, True)
        """
        found: list[MigrationCheck] = []
        script = self._chain.script()
        self._look(lambda heads, context: found.append(compare(script, heads, context, self._chain)))
        return found[0]

    def differences(self, metadata: MetaData) -> tuple[str, ...]:
        """Return how the service's tables differ from those of *metadata*, in words.

        Args:
            metadata: Instead of that of the environment; tables of the library in it do
                not count.

        Example:
            >>> from sqlalchemy import MetaData
            >>> Migrations("sqlite://").differences(MetaData())
            ()
        """
        found: list[str] = []
        self._look(lambda _heads, context: found.extend(differences_of(context, metadata)))
        return tuple(found)

    def sql(self, revision: str = "heads", *, down: bool = False) -> str:
        """Return the SQL of a run, without a database.

        Args:
            revision: Up to which; with a start as ``start:end`` for a database that has
                revisions already. Down needs the start: ``orders_0003:orders_0002``.
            down: Whether revisions are taken back.

        Raises:
            MigrationError: A revision asks the database something.

        Example:
            >>> "CREATE TABLE database_outbox" in Migrations("sqlite://").sql()
            True
        """
        start, colon, end = revision.partition(":")
        starting, destination = (start, end) if colon else (None, revision)
        if down and starting is None:
            msg = f"SQL of a downgrade needs where it starts: write {revision!r} as 'START:{revision}'"
            raise MigrationError(msg)
        script = self._chain.script()

        def steps(heads: Any, context: Any) -> Iterator[Any]:
            goal = destination if down else self._goal(script, destination)
            found = (downgrade_steps if down else upgrade_steps)(script, goal, heads)
            return StepRunner(self._progress, lambda _place: nullcontext()).prepare(found, context)

        buffer = io.StringIO()
        options = {"as_sql": True, "starting_rev": starting, "destination_rev": destination}
        self._environment(script, steps, connection=self._target, output_buffer=buffer, **options)
        return buffer.getvalue()

    # -- parts -------------------------------------------------------------------

    def _goal(self, script: Any, revision: str) -> Any:
        """Return what *revision* means for the chosen rooms: ``heads`` are theirs alone."""
        return self._chain.heads(script) if revision in {"head", "heads"} and self._chain.rooms else revision

    def _way_back(self, script: Any, revision: str, heads: Any) -> list[Any]:
        """Return the steps down; to ``base`` only those of the chosen rooms."""
        if revision != "base" or not self._chain.rooms:
            return downgrade_steps(script, revision, heads)
        states = states_of(script, heads, None)
        applied = [state for state in states if state.is_applied]
        ours = {state.revision for state in applied if self._chain.owns(script.get_revision(state.revision))}
        for state in applied:
            if state.revision not in ours and ours.intersection(state.parents):
                msg = f"revision {state.revision!r} of another room needs one of these: take it back, too"
                raise MigrationError(msg)
        return steps_back(script, [state.revision for state in reversed(applied) if state.revision in ours])

    def _run(
        self,
        operation: str,
        choose: Callable[[Any, Any], Iterable[Any]],
        *,
        purge: bool = False,
        bare: bool = False,
    ) -> list[AppliedRevision]:
        script = self._chain.script()
        with measured(operation), self._watched() as around:
            runner = StepRunner(self._progress, around)

            def steps(heads: Any, context: Any) -> Iterable[Any]:
                chosen = list(choose(script, heads))
                return chosen if bare else runner.prepare(chosen, context)

            def work(connection: Connection) -> None:
                with (
                    migration_lock(
                        connection,
                        timeout=self._options.queue_timeout,
                        waiting=lambda seconds: self._progress(MigrationProgress("waiting", seconds=seconds)),
                        sleep=self._sleep,
                    ),
                    prepared(connection, self._options),
                ):
                    self._environment(script, steps, connection=connection, purge=purge)

            self._with_retries(work, runner)
        return runner.done

    def _with_retries(self, work: Callable[[Connection], None], runner: StepRunner) -> None:
        for attempt in range(1, self._options.lock_attempts + 1):
            try:
                self._on_target(work)
                return
            except Exception as exc:
                if not _is_lock_timeout(exc):
                    raise
                if runner.is_half_done:
                    msg = (
                        "a lock was not free in work outside of transactions, which is not tried again: "
                        "see what it left, such as an invalid index, or use create_index_concurrently()"
                    )
                    raise LockTimeoutError(msg) from exc
                if attempt == self._options.lock_attempts or isinstance(self._target, Connection):
                    msg = (
                        f"a table was locked by others for {self._options.lock_timeout:g} s at each of "
                        f"{attempt} attempts; {len(runner.done)} revisions were applied and stay: "
                        "end long transactions and run again"
                    )
                    raise LockTimeoutError(msg) from exc
            longest = min(self._options.retry_wait * 2.0 ** (attempt - 1), self._options.retry_wait_cap)
            wait = longest * self._draw()
            self._progress(
                MigrationProgress(
                    "retrying", seconds=wait, note="a table was locked by others", number=attempt
                )
            )
            self._sleep(wait)

    def _look(self, look: Callable[[Any, Any], object]) -> None:
        script = self._chain.script()

        def steps(heads: Any, context: Any) -> list[Any]:
            look(heads, context)
            return []

        self._on_target(
            lambda connection: self._environment(script, steps, connection=connection, dont_mutate=True)
        )

    def _on_target(self, work: Callable[[Connection], None]) -> None:
        def translated(connection: Connection) -> None:
            with translating(connection.engine):
                work(connection)

        run_on(self._target, translated, schema=self._schema)

    def _environment(
        self, script: Any, steps: Callable[[Any, Any], Any], *, connection: Any, **options: Any
    ) -> None:
        from alembic.runtime.environment import EnvironmentContext

        config = self._chain.config(
            connection=connection,
            rooms=self._chain.rooms,
            schema=self._schema,
            options=self._options,
            progress=self._progress,
        )
        if isinstance(self._target, (str, URL)):
            config.set_main_option("sqlalchemy.url", _text(self._target).replace("%", "%%"))
        with alembic_alone(), EnvironmentContext(config, script, fn=steps, **options):
            script.run_env()

    @contextmanager
    def _watched(self) -> Iterator[Callable[[Any], Any]]:
        with watched(self._target, self._progress, schema=self._schema) as around:
            yield around


def _text(target: str | URL) -> str:
    return target if isinstance(target, str) else target.render_as_string(hide_password=False)


def _is_lock_timeout(error: BaseException) -> bool:
    if isinstance(error, LockTimeoutError):
        cause = error.__cause__
        return cause is not None and sqlstate(cause) == "55P03"
    return sqlstate(error) == "55P03"
