"""Column types that do not lose what they were given."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from shared.errors import ValidationError

__all__ = ["Json", "UTCDateTime", "utc_now"]


def utc_now() -> datetime:
    """Return the moment, in UTC; the default of the timestamp columns.

    Example:
        >>> utc_now().tzinfo
        datetime.timezone.utc
    """
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: takes any time zone, stores and gives UTC, refuses a naive ``datetime``.

    ``TIMESTAMP WITH TIME ZONE`` on PostgreSQL. SQLite has no time zones and would drop
    the offset, so the moment is turned to UTC before it is stored.

    Example:
        >>> from datetime import datetime
        >>> UTCDateTime().process_bind_param(datetime(2026, 11, 20, 12, 0), None)
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: a moment needs a time zone: ...
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect | None) -> datetime | None:
        """Return what is sent."""
        if value is None:
            return None
        if not isinstance(value, datetime):
            msg = f"a moment is a datetime, got {type(value).__name__}"  # type: ignore[unreachable]
            raise ValidationError(msg)
        if value.utcoffset() is None:
            raise ValidationError("a moment needs a time zone: write datetime.now(UTC), not datetime.now()")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect is not None and dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what came back, in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON document: ``JSONB`` on PostgreSQL, text on SQLite; None is SQL's ``NULL``.

    Changes inside of a document are not seen: assign a new one.

    Example:
        >>> from sqlalchemy.dialects import postgresql
        >>> str(Json().compile(dialect=postgresql.dialect()))
        'JSONB'
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return how *dialect* stores it."""
        if dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import JSONB

            return dialect.type_descriptor(JSONB(none_as_null=True))
        return dialect.type_descriptor(JSON(none_as_null=True))
