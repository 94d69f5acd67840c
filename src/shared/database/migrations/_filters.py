"""Which tables belong to which chain."""

import functools
from collections.abc import Callable, MutableMapping
from typing import Any

from shared.database.migrations._locate import BOOKKEEPING

__all__ = ["include_name", "include_object", "library_filters", "library_tables"]


def include_name(name: str | None, kind: str, parents: "MutableMapping[str, str | None]") -> bool:
    """Tell Alembic which names of the database are the service's business: not the library's.

    For ``context.configure(include_name=…)`` of a service. Without it
    ``--autogenerate`` writes ``op.drop_table`` for every table of the library.

    Args:
        name: Of the table, or of what is in it.
        kind: ``table``, ``schema``, ``column`` and so on.
        parents: Names of what it is in.

    Example:
        >>> include_name("database_outbox", "table", {}), include_name("orders", "table", {})
        (False, True)
    """
    table = name if kind == "table" else parents.get("table_name")
    return table is None or (table not in BOOKKEEPING and table not in library_tables())


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
    """Tell Alembic which tables of the metadata are the service's business.

    For ``context.configure(include_object=…)`` of a service whose models share
    :class:`Base` with the library's.

    Example:
        >>> from shared.database import OutboxMessage
        >>> include_object(OutboxMessage.__table__, "database_outbox", "table", False, None)
        False
    """
    del name, reflected, compared
    return kind != "table" or item.info.get("room", "service") == "service"


def library_filters(rooms: tuple[str, ...]) -> "dict[str, Callable[..., bool]]":
    """Return the two filters of the library's own chain: the tables of *rooms* and nothing else."""

    def name_filter(name: str | None, kind: str, parents: "MutableMapping[str, str | None]") -> bool:
        table = name if kind == "table" else parents.get("table_name")
        return table is None or table in library_tables(rooms)

    def object_filter(item: Any, _name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
        return kind != "table" or reflected or item.info.get("room", "service") in rooms

    return {"include_name": name_filter, "include_object": object_filter}


@functools.lru_cache(maxsize=32)
def library_tables(rooms: tuple[str, ...] | None = None) -> frozenset[str]:
    """Return every table that a revision of the library's *rooms*, or of all, has ever made."""
    from shared.database.migrations._chain import MigrationChain
    from shared.database.migrations._record import tables_made

    known = MigrationChain.library().rooms
    chosen = known if rooms is None else [room for room in rooms if room in known]
    return tables_made(MigrationChain.library(chosen)) if chosen else frozenset()
