"""What the synchronous and the asynchronous side of a database share."""

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy.engine import Engine

from shared.database._engines import Engines, Plan, make_engine
from shared.database._events import ReplicaEjected
from shared.database._faults import is_lost, translate
from shared.database._limits import StatementLimits
from shared.database._options import DatabaseOptions
from shared.database._pool import PoolSnapshot, PoolWatch
from shared.database._replicas import Replicas
from shared.database._session import Stickiness
from shared.database._sqlite import MemoryFile
from shared.database._url import Target, parse_url
from shared.database._watch import QueryWatch
from shared.errors import ConfigurationError
from shared.runtime import Events, current

__all__ = ["Core"]


class Core:
    """Targets, watches, and which replica comes next. Knows no connection."""

    def __init__(
        self,
        url: str,
        replicas: Iterable[str],
        options: DatabaseOptions,
        *,
        name: str,
        events: Events | None,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.clock = clock
        self.target: Target = parse_url(url, options)
        self.replicas: tuple[Target, ...] = tuple(parse_url(each, options) for each in replicas)
        self.events: Events = current().events if events is None else events
        self.memory: MemoryFile | None = MemoryFile() if self.target.in_memory else None
        self.stickiness: Stickiness = Stickiness(self.target.options.sticky_seconds, clock)
        self.pools: PoolWatch = PoolWatch(name, self.events)
        self.closed: bool = False
        self._primaries: weakref.WeakSet[Engines] = weakref.WeakSet()
        self.chooser: Replicas = Replicas(
            len(self.replicas),
            self.stickiness,
            max_lag=self.target.options.max_replica_lag,
            clock=clock,
            eject=self.eject,
            positions=self.target.system == "postgresql",
        )

    def make_engines(self, *, asynchronous: bool, replica: int | None = None) -> Engines:
        """Return new engines, of the primary or of a replica.

        Raises:
            ConfigurationError: The database was closed.
        """
        if self.closed:
            msg = f"database {self.name!r} is closed: make a new Database, or keep this one open for longer"
            raise ConfigurationError(msg)
        engines = Engines(self._plan(replica), pools=self.pools, asynchronous=asynchronous)
        if replica is None:
            self._primaries.add(engines)
        return engines

    def make_probe(self, replica: int | None) -> Engine:
        """Return an engine with one connection of its own, outside of the pool's budget."""
        return make_engine(self._plan(replica), read_only=True, asynchronous=False, alone=True)

    def _plan(self, replica: int | None) -> Plan:
        target = self.target if replica is None else self.replicas[replica]
        options = target.options
        limits = StatementLimits(
            target.system,
            statement_timeout=options.statement_timeout,
            busy_timeout=options.busy_timeout,
            pooler=options.pooler,
        )
        watch = QueryWatch(
            self.name,
            target.system,
            self.events,
            threshold=options.slow_query_seconds,
            echo=options.echo,
            limits=limits,
        )
        memory = self.memory if replica is None else None
        return Plan(target, watch, memory, replica=replica is not None)

    def snapshot(self) -> PoolSnapshot:
        """Return the numbers of the process' pools of the primary, added up."""
        pools = [engine.pool for engines in list(self._primaries) for engine in engines.all]
        limit = self.target.options.max_connections
        return PoolSnapshot(
            self.name,
            used=sum(pool.checkedout() for pool in pools),  # type: ignore[attr-defined]
            idle=sum(pool.checkedin() for pool in pools),  # type: ignore[attr-defined]
            maximum=limit * max(1, len(pools)),
            waiting=self.pools.waiting,
            timeouts=self.pools.timeouts,
        )

    def choose_replica(self, bind: Callable[[int | None], Any]) -> int | None:
        """Return the number of the replica to read from, or None for the primary.

        Args:
            bind: Gives the engine of a replica by its number, of the primary for None.
        """
        if not self.replicas:
            return None

        def ask(number: int | None, statement: Any, values: dict[str, Any]) -> Any:
            engine = bind(number)
            try:
                with getattr(engine, "sync_engine", engine).connect() as connection:
                    return connection.execute(statement, values).scalar()
            except Exception as exc:  # noqa: BLE001 - who does not answer is not read from
                self.translated(exc, number)
                return None

        return self.chooser.choose(ask)

    def eject(self, replica: int) -> None:
        """Leave *replica* alone for a while."""
        seconds = self.target.options.replica_retry_seconds
        self.chooser.ejected[replica] = self.clock() + seconds
        self.events.emit(ReplicaEjected(self.name, replica + 1, seconds))

    def translated(self, error: Exception, replica: int | None = None) -> Exception:
        """Return the error of ours for *error*, or itself when it is none of the database's."""
        if replica is not None and is_lost(error):
            self.eject(replica)
        return translate(error, where=self.where(replica)) or error

    def where(self, replica: int | None = None) -> str:
        """Return the address without its password, for messages."""
        return (self.target if replica is None else self.replicas[replica]).masked

    def close(self) -> None:
        """Refuse new engines and delete what stood in for memory."""
        self.closed = True
        if self.memory is not None:
            self.memory.close()

    def after_fork(self) -> None:
        """Replace what a fork may have left locked."""
        self.pools.lock = threading.Lock()
        self.pools.waiting = 0
