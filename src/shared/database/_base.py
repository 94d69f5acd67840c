"""The one metadata, and the base of every table."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from sqlalchemy import MetaData, Table, Uuid
from sqlalchemy.orm import DeclarativeBase

from shared.database._money import Money
from shared.database._types import Json, UTCDateTime
from shared.errors import InvalidArgumentError

__all__ = ["Base", "tables_of"]

# Names that are the same on every engine and in every run: a migration refers to them.
_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every table, of the library's rooms and of the service.

    A room declares its tables on it and says whose they are with ``__room__``; a
    service leaves that out and its tables belong to ``"service"``. A service creates
    or migrates the rooms it enables: :func:`tables_of`. Foreign keys between rooms are
    by name (``ForeignKey("auth_users.id")``), never by import.

    Annotations become columns that lose nothing: ``datetime`` is :class:`UTCDateTime`,
    ``Decimal`` is :class:`Money`, ``dict`` and ``list`` are :class:`Json`.

    Attributes:
        __room__: The room the table belongs to; also in ``Table.info["room"]``.

    Example:
        >>> from sqlalchemy.orm import Mapped, mapped_column
        >>> class Note(Base):
        ...     __tablename__ = "docs_notes"
        ...     id: Mapped[int] = mapped_column(primary_key=True)
        ...     body: Mapped[str]
        >>> Note.__table__.info["room"]
        'service'
    """

    __room__: ClassVar[str] = "service"

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UTCDateTime(),
        Decimal: Money(),
        uuid.UUID: Uuid(),
        dict: Json(),
        dict[str, Any]: Json(),
        list: Json(),
        list[Any]: Json(),
        list[str]: Json(),
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        table = cls.__dict__.get("__table__")
        if isinstance(table, Table):
            table.info.setdefault("room", cls.__room__)

    def __repr__(self) -> str:
        """Show the class and the key, never the values: they may be personal data."""
        from sqlalchemy import inspect

        state = inspect(self)
        key = ", ".join(map(str, state.identity)) if state.identity else "new"
        return f"<{type(self).__name__} {key}>"


def tables_of(*rooms: str, metadata: MetaData | None = None) -> list[Table]:
    """Return the tables of *rooms*, in the order in which they can be created.

    Args:
        rooms: Such as ``"commerce"``; ``"service"`` are the service's own.
        metadata: Where to look; that of :class:`Base` when None.

    Raises:
        InvalidArgumentError: A room has no table: it does not exist, or its module was
            not imported.

    Example:
        >>> from sqlalchemy.orm import Mapped, mapped_column
        >>> class Stamp(Base):
        ...     __tablename__ = "docs_stamps"
        ...     __room__ = "post"
        ...     id: Mapped[int] = mapped_column(primary_key=True)
        >>> [table.name for table in tables_of("post")]
        ['docs_stamps']
    """
    found = [
        table
        for table in (metadata or Base.metadata).sorted_tables
        if table.info.get("room", "service") in rooms
    ]
    missing = _without(rooms, found)
    if missing:
        msg = f"no table belongs to {', '.join(map(repr, missing))}: import the room before"
        raise InvalidArgumentError(msg)
    return found


def _without(rooms: Iterable[str], tables: list[Table]) -> list[str]:
    present = {table.info.get("room", "service") for table in tables}
    return sorted(set(rooms) - present - {"service"})
