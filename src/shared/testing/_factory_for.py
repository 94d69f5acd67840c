"""A factory for any table, from its columns."""

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, ClassVar, Final

from shared.errors import InvalidArgumentError
from shared.testing._factory_base import ModelFactory, declared_factories, factory

__all__ = ["factory_for"]

_DECLARING: Final = (
    "_factories_agents",
    "_factories_auth",
    "_factories_commerce",
    "_factories_database",
    "_factories_flags",
)
_automatic: Final[dict[type[Any], type[Any]]] = {}


def factory_for(model: type[Any]) -> type[Any]:
    """Return the factory of a table: the library's, or one that is made from the columns.

    A made one fills the columns that may not be empty and have no default: texts and
    numbers count up, so that they are unique; rows that a foreign key needs are made,
    too. It cannot know what a ``CHECK`` asks for: give those values yourself.

    Args:
        model: A mapped class.

    Raises:
        InvalidArgumentError: *model* is not mapped, or a column has a type that has no
            natural value.

    Example:
        >>> from sqlalchemy.orm import Mapped
        >>> from shared.database import Base, UUIDKey
        >>> class Lamp(UUIDKey, Base):
        ...     __tablename__ = "docs_lamps"
        ...     name: Mapped[str]
        ...     watts: Mapped[int]
        >>> factory_for(Lamp).build(watts=5).watts
        5
    """
    for name in _DECLARING:
        import_module(f"shared.testing.{name}")
    found = declared_factories.get(model) or _automatic.get(model)
    if found is None:
        found = _automatic[model] = _made_for(model)
    return found


def _made_for(model: type[Any]) -> type[Any]:
    from sqlalchemy import inspect
    from sqlalchemy.orm import Mapper

    mapper = inspect(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        msg = f"factory_for needs a mapped class, got {model!r}"
        raise InvalidArgumentError(msg)
    fields: dict[str, Any] = {}
    parents: dict[str, Any] = {}
    for attribute in mapper.column_attrs:
        column: Any = attribute.columns[0]
        if column.nullable or column.default is not None or column.server_default is not None:
            continue
        if column.primary_key and column.autoincrement is True:
            continue
        parent = _parent_of(column, mapper)
        if parent is not None:
            parents[f"of_{attribute.key}"] = factory.SubFactory(factory_for(parent[0]))
            fields[attribute.key] = factory.SelfAttribute(f"of_{attribute.key}.{parent[1]}")
        elif not _is_counted(column):
            fields[attribute.key] = _value_for(column, model)
    made = {"Meta": type("Meta", (), {"model": model}), "Params": type("Params", (), parents), **fields}
    return type(f"{model.__name__}Factory", (ModelFactory,), made)


def _is_counted(column: Any) -> bool:
    """Tell whether the database counts the key itself."""
    return column.table.autoincrement_column is column


def _parent_of(column: Any, mapper: Any) -> tuple[type[Any], str] | None:
    """Return the class and the attribute that a foreign key refers to."""
    for key in column.foreign_keys:
        for other in mapper.registry.mappers:
            if other.local_table is key.column.table and other is not mapper:
                return other.class_, other.get_property_by_column(key.column).key
    return None


class _Values:
    """Natural values by the Python type of a column."""

    makers: ClassVar[dict[type[Any], Any]] = {
        bool: lambda n: n > 0,
        int: lambda n: n + 1,
        float: lambda n: float(n + 1),
        Decimal: lambda n: Decimal(n % 1000 + 1),
        uuid.UUID: lambda n: uuid.UUID(int=n + 1),
        datetime: lambda _n: datetime.now(UTC),
        date: lambda _n: datetime.now(UTC).date(),
        bytes: lambda n: b"%d" % n,
        dict: lambda _n: {},
        list: lambda _n: [],
    }


def _kind_of(kind: Any) -> type[Any]:
    """Return the Python type of a column's values; ``object`` when it does not say."""
    from sqlalchemy import JSON

    for each in (kind, getattr(kind, "impl_instance", kind)):  # of a type that decorates another
        if isinstance(each, JSON):
            return dict
        try:
            found: type[Any] = each.python_type
        except NotImplementedError:
            continue
        if found is not object:
            return found
    return object


def _value_for(column: Any, model: type[Any]) -> Any:
    kind = _kind_of(column.type)
    if getattr(column.type, "enums", None):
        choices = list(column.type.enum_class or column.type.enums)
        return choices[0]
    if kind is str:
        length = getattr(column.type, "length", None) or 100
        name = column.key
        return factory.Sequence(lambda n: f"{name}-{n}"[-length:])
    if kind not in _Values.makers:
        msg = f"{model.__name__}.{column.key}: no natural value for {column.type!r}; declare a factory"
        raise InvalidArgumentError(msg)
    return factory.Sequence(_Values.makers[kind])
