"""How our column types are written in a generated revision."""

from typing import Any

from sqlalchemy.types import TypeDecorator

from shared.database._money import Money
from shared.database._types import Json, UTCDateTime

__all__ = ["render_item"]


def render_item(kind: str, item: Any, context: Any) -> "str | bool":
    """Write a type of ours by its public name, and any other decorator by what is stored.

    For ``context.configure(render_item=…)``; :func:`run_environment` sets it. A revision
    must not change when the class it names does, so only the types of
    :mod:`shared.database` are named.

    Args:
        kind: ``type`` for a column's type.
        item: The type.
        context: Alembic's; collects imports.
    """
    if kind != "type":
        return False
    if isinstance(item, Money):
        return _named(context, "Money", f"precision={item.precision}, scale={item.scale}")
    if isinstance(item, (UTCDateTime, Json)):
        return _named(context, type(item).__name__, "")
    if isinstance(item, TypeDecorator):
        from alembic.autogenerate.render import _repr_type

        return str(_repr_type(item.impl_instance, context))
    return False


def _named(context: Any, name: str, arguments: str) -> str:
    context.imports.add(f"from shared.database import {name}")
    return f"{name}({arguments})"
