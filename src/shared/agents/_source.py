"""Configurations of agents from settings and database, kept for a while."""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.agents._config import AgentSystemConfig, Rows, combine, explicit
from shared.agents._new import uuid_of
from shared.agents._rules import KEYS, fitting, system_of
from shared.agents._tables import Agent, AgentConfig
from shared.database import DAO, AsyncDAO, Database
from shared.errors import AgentNotFoundError, InvalidArgumentError, SharedError
from shared.logging import get_agent_logger
from shared.runtime import after_fork_in_child, current

if TYPE_CHECKING:
    from shared.config import Settings

__all__ = ["AgentConfigs"]

_PAUSE: Final = 5.0  # seconds without asking a database that failed
_MOST_KEPT: Final = 10_000
_SOURCES: Final = ("environment", "database")
_Key = tuple[str | None, uuid.UUID | None, str]


class AgentConfigs:
    """Puts configurations together and remembers what the database said.

    Per value the first source in *order* that has one is taken: ``environment`` has what
    was set in the environment or a ``.env`` file, ``database`` the row of the agent, then
    that of its system; what neither has is the default of the settings. What the
    database said is reused for *ttl* seconds. When it fails, what it said last stays in
    force, one warning is logged, and it is left alone for five seconds.

    Args:
        settings: The settings, or a function that gives them; those in force when None.
        database: Where the tables are. When None that of the current runtime, if it was
            opened or ``DATABASE_URL`` was set; else nothing is asked.
        order: Sources, first match wins; ``AGENT_CONFIG_ORDER`` when None.
        ttl: Seconds; ``AGENT_CONFIG_TTL`` when None.
        clock: Gives monotonic seconds.

    Raises:
        InvalidArgumentError: *order* names another source, or is empty.

    Thread-safe and fork-safe.

    Example:
        >>> configs = AgentConfigs()
        >>> configs.get("enhanced")["system"], configs.get("enhanced").source("model")
        ('enhanced', 'default')
    """

    def __init__(
        self,
        settings: "Settings | Callable[[], Settings] | None" = None,
        *,
        database: Database | None = None,
        order: Sequence[str] | None = None,
        ttl: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if order is not None and (not order or not set(order) <= set(_SOURCES)):
            msg = f"order names one or both of {', '.join(_SOURCES)}, got {list(order)!r}"
            raise InvalidArgumentError(msg)
        self._settings = settings
        self._database = database
        self._order = order
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[_Key, tuple[float, Rows]] = {}
        self._failed_until = 0.0
        self._failing = False
        self._lock = threading.Lock()
        after_fork_in_child(self)

    # -- asking -----------------------------------------------------------------------------

    def get(self, system: str | None = None, agent_id: Any = None) -> AgentSystemConfig:
        """Return the configuration of *system*, or of an agent.

        Args:
            system: ``"simple"`` or ``"enhanced"``; :meth:`system` decides when None.
            agent_id: UUID of an agent, whose own row comes before that of the system.

        Raises:
            ValidationError: There is no such system, or *agent_id* is no UUID.
            AgentNotFoundError: The database knows no such agent.
        """
        key, source = self._key(system, agent_id)
        rows, stale = self._rows(key) if self._asks() else (Rows(), False)
        return self._combined(key, source, rows, stale=stale)

    async def aget(self, system: str | None = None, agent_id: Any = None) -> AgentSystemConfig:
        """As :meth:`get`, without blocking the event loop."""
        key, source = self._key(system, agent_id)
        rows, stale = await self._arows(key) if self._asks() else (Rows(), False)
        return self._combined(key, source, rows, stale=stale)

    def system(self, agent_id: Any = None) -> str:
        """Return which system runs tasks, or those of an agent: ``"simple"`` or ``"enhanced"``."""
        return self.get(None, agent_id).system

    async def asystem(self, agent_id: Any = None) -> str:
        """As :meth:`system`, without blocking the event loop."""
        return (await self.aget(None, agent_id)).system

    def reload(self) -> None:
        """Ask the database again at the next call; what it said stays in force if it fails."""
        with self._lock:
            self._kept = {key: (0.0, rows) for key, (_, rows) in self._kept.items()}
            self._failed_until = 0.0

    # -- deciding ---------------------------------------------------------------------------

    def _found(self) -> "Settings":
        from shared.config import get_settings

        settings = self._settings
        if settings is None:
            return get_settings()
        return settings() if callable(settings) else settings

    def _sources(self) -> Sequence[str]:
        return self._found().agent.AGENT_CONFIG_ORDER if self._order is None else self._order

    def _asks(self) -> bool:
        """Tell whether there is a database to ask."""
        if "database" not in self._sources():
            return False
        if self._database is not None or current().find(Database) is not None:
            return True
        # The default of development is a file that nobody asked for.
        return explicit(self._found(), "DATABASE_URL")

    def _key(self, system: str | None, agent_id: Any) -> tuple[_Key, str]:
        """Return what the database is asked for, and where the system comes from as far as is known.

        The system is None when the row of the agent decides.
        """
        owner, settings, order = _owner(agent_id), self._found(), self._sources()
        default: str = settings.agent.AGENT_SYSTEM
        if system is not None:
            return (system_of(system), owner, default), "default"
        is_set = "environment" in order and explicit(settings, "AGENT_SYSTEM")
        source = "environment" if is_set else "default"
        if owner is None or (is_set and order[0] == "environment"):
            return (default, owner, default), source
        return (None, owner, default), source

    def _combined(self, key: _Key, source: str, rows: Rows, *, stale: bool) -> AgentSystemConfig:
        system = key[0]
        if system is None:
            system = rows.agent_system or key[2]
            source = source if rows.agent_system is None else "database"
        config = combine(system, self._found(), self._sources(), rows, is_stale=stale)
        return AgentSystemConfig(config, {**config.sources, "system": source}, is_stale=stale)

    # -- remembering ------------------------------------------------------------------------

    def _kept_rows(self, key: _Key) -> tuple[Rows, bool] | None:
        """Return what is known and whether it is stale, or None when the database is to be asked."""
        now = self._clock()
        kept = self._kept.get(key)
        if kept is not None and now < kept[0]:
            return kept[1], False
        if now < self._failed_until:
            return (Rows() if kept is None else kept[1]), True
        return None

    def _keep(self, key: _Key, rows: Rows) -> tuple[Rows, bool]:
        ttl = self._found().agent.AGENT_CONFIG_TTL if self._ttl is None else self._ttl
        with self._lock:
            while len(self._kept) >= _MOST_KEPT and key not in self._kept:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (self._clock() + ttl, rows)
            recovered, self._failing = self._failing, False
        if recovered:
            get_agent_logger().info("agent_config_recovered")
        return rows, False

    def _after(self, key: _Key, error: SharedError) -> tuple[Rows, bool]:
        """Return the last good rows after a failure, and warn once per outage."""
        with self._lock:
            self._failed_until = self._clock() + _PAUSE
            first, self._failing = not self._failing, True
            kept = self._kept.get(key)
        if first:
            get_agent_logger().warning(
                "agent_config_stale", reason=type(error).__name__, has_last_good=kept is not None
            )
        return (Rows() if kept is None else kept[1]), True

    def _rows(self, key: _Key) -> tuple[Rows, bool]:
        known = self._kept_rows(key)
        if known is not None:
            return known
        try:
            return self._keep(key, DAO(self._database).read(_fetch, *key))
        except AgentNotFoundError:
            raise
        except SharedError as exc:
            return self._after(key, exc)

    async def _arows(self, key: _Key) -> tuple[Rows, bool]:
        known = self._kept_rows(key)
        if known is not None:
            return known
        try:
            found = await AsyncDAO(self._database).read(_fetch, *key)
        except AgentNotFoundError:
            raise
        except SharedError as exc:
            return self._after(key, exc)
        return self._keep(key, found)

    def after_fork(self) -> None:
        """Take a new lock; the parent may have held the old one."""
        self._lock = threading.Lock()


def _owner(agent_id: Any) -> uuid.UUID | None:
    return None if agent_id is None else uuid_of(agent_id, "agent_id")


def _fetch(session: Session, system: str | None, agent_id: uuid.UUID | None, default: str) -> Rows:
    """Return what the tables say; rows that are switched off say nothing."""
    agent_system: str | None = None
    if agent_id is not None:
        agent_system = session.scalar(
            select(Agent.system).where(Agent.id == agent_id, Agent.deleted_at.is_(None))
        )
        if agent_system is None:
            raise AgentNotFoundError(resource_id=agent_id)
    wanted = system or agent_system or default
    of = (
        AgentConfig.agent_id.is_(None)
        if agent_id is None
        else (AgentConfig.agent_id.is_(None) | (AgentConfig.agent_id == agent_id))
    )
    query = select(AgentConfig).where(AgentConfig.system == wanted, AgentConfig.is_active.is_(True), of)
    own: dict[str, Any] = {}
    common: dict[str, Any] = {}
    for row in session.scalars(query):
        (common if row.agent_id is None else own).update(_values(row))
    return Rows(own, common, agent_system)


def _values(row: AgentConfig) -> dict[str, Any]:
    """Return the values of a row; one that does not fit is told and left out."""
    found: dict[str, Any] = {}
    for key in KEYS:
        value = getattr(row, key)
        if value is None:
            continue
        try:
            found[key] = fitting(key, value)
        except ValueError as exc:
            get_agent_logger().warning("agent_config_wrong", field=key, expected=str(exc), row=str(row.id))
    return found
