"""What every factory of a table does: make rows in the bound session, for threads and for coroutines."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from shared.errors import ConfigurationError, MissingDependencyError

try:
    # As Any: its own annotations refuse the declarations it is made for.
    factory: Any = import_module("factory")
except ImportError as exc:
    raise MissingDependencyError("factory-boy", extra="testing") from exc

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["ModelFactory", "factory_session"]

_bound: Final[ContextVar[Any]] = ContextVar("shared_testing_session", default=None)
#: The library's factories by their models.
declared_factories: Final[dict[type[Any], type[Any]]] = {}


@contextmanager
def factory_session(session: "Session | AsyncSession") -> Iterator[None]:
    """Let factories make their rows in *session*; who opened it commits.

    Args:
        session: Of a ``Database``; an asynchronous one for ``acreate``.

    Example:
        >>> from shared.commerce import InventoryItem
        >>> from shared.database import Base, Database, tables_of
        >>> from shared.testing import InventoryItemFactory, factory_session
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     with db.transaction() as session, factory_session(session):
        ...         InventoryItemFactory(on_hand=5).available
        5
    """
    token = _bound.set(session)
    try:
        yield
    finally:
        _bound.reset(token)


class ModelFactory(factory.Factory):  # type: ignore[misc]
    """The base of factories of tables; also for a service's own.

    ``Factory()`` and ``Factory.create_batch(3)`` insert rows, in the session of
    :func:`factory_session` or else in a transaction of ``get_database()``, which the
    fixture ``shared_db`` provides. ``await Factory.acreate()`` does so for coroutines.
    ``Factory.build()`` makes an object and touches no database.

    Raises:
        ConfigurationError: ``create`` in an asynchronous session, or the other way round.

    Example:
        >>> from sqlalchemy.orm import Mapped
        >>> from shared.database import Base, UUIDKey
        >>> class Shelf(UUIDKey, Base):
        ...     __tablename__ = "docs_shelves"
        ...     label: Mapped[str]
        >>> class ShelfFactory(ModelFactory):
        ...     class Meta:
        ...         model = Shelf
        ...     label = "A-1"
        >>> ShelfFactory.build(label="B-2").label
        'B-2'
    """

    class Meta:
        """Not for use by itself."""

        abstract = True

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **kwargs: Any) -> Any:
        session = _bound.get()
        row = model_class(*args, **kwargs)
        session.add(row)
        session.flush()
        return row

    @classmethod
    def create(cls, **kwargs: Any) -> Any:
        """Insert a row and return it."""
        with _sync_session():
            return super().create(**kwargs)

    @classmethod
    def create_batch(cls, size: int, **kwargs: Any) -> list[Any]:
        """Insert *size* rows in one transaction and return them."""
        with _sync_session():
            return [super(ModelFactory, cls).create(**kwargs) for _ in range(size)]

    @classmethod
    async def acreate(cls, **kwargs: Any) -> Any:
        """Insert a row and return it: :meth:`create` for coroutines."""
        return (await cls.acreate_batch(1, **kwargs))[0]

    @classmethod
    async def acreate_batch(cls, size: int, **kwargs: Any) -> list[Any]:
        """Insert *size* rows in one transaction and return them: :meth:`create_batch` for coroutines."""
        from sqlalchemy.ext.asyncio import AsyncSession

        session = _bound.get()
        if session is None:
            from shared.database import get_database

            async with get_database().aio.transaction() as own:
                found: list[Any] = await own.run_sync(_make, cls, size, kwargs)
                return found
        if not isinstance(session, AsyncSession):
            msg = "acreate needs an asynchronous session: factory_session(session) has a synchronous one"
            raise ConfigurationError(msg)
        return await session.run_sync(_make, cls, size, kwargs)


def _make(session: "Session", cls: type[ModelFactory], size: int, kwargs: dict[str, Any]) -> list[Any]:
    with factory_session(session):
        return cls.create_batch(size, **kwargs)


@contextmanager
def _sync_session() -> Iterator[None]:
    from sqlalchemy.orm import Session

    session = _bound.get()
    if session is None:
        from shared.database import get_database

        with get_database().transaction() as own, factory_session(own):
            yield
        return
    if not isinstance(session, Session):
        msg = "an asynchronous session is bound: await Factory.acreate()"
        raise ConfigurationError(msg)
    yield


def declared(cls: type[Any]) -> type[Any]:
    """Remember *cls* as the factory of its model; for the factories of the library."""
    declared_factories[cls._meta.model] = cls
    return cls
