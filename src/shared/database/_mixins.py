"""Columns that many tables have, each with its rule."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from shared.context import get_tenant
from shared.database._types import UTCDateTime, utc_now
from shared.database._uuid7 import uuid7

__all__ = ["SoftDelete", "TenantScoped", "Timestamps", "UUIDKey", "Versioned"]


class UUIDKey:
    """Adds ``id``: a UUID of version 7, known before the row is written.

    Example:
        >>> from shared.database import Base
        >>> class Parcel(UUIDKey, Base):
        ...     __tablename__ = "docs_parcels"
        >>> [column.name for column in Parcel.__table__.primary_key]
        ['id']
    """

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-100)


class Timestamps:
    """Adds ``created_at`` and ``updated_at``, in UTC, set by the application's clock.

    Example:
        >>> from shared.database import Base
        >>> class Visit(UUIDKey, Timestamps, Base):
        ...     __tablename__ = "docs_visits"
        >>> sorted(Visit.__table__.columns.keys())
        ['created_at', 'id', 'updated_at']
    """

    created_at: Mapped[datetime] = mapped_column(UTCDateTime(), default=utc_now, sort_order=900)
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime(), default=utc_now, onupdate=utc_now, sort_order=901
    )


class SoftDelete:
    """Adds ``deleted_at``; repositories and sessions leave out the rows that have it.

    :meth:`Repository.delete` sets it, :meth:`Repository.restore` clears it. Uniqueness
    among the rows that are left needs a partial index:
    ``Index("uq_…", "email", unique=True, postgresql_where=…, sqlite_where=…)`` with
    ``deleted_at IS NULL``.

    Example:
        >>> from shared.database import Base
        >>> class Draft(UUIDKey, SoftDelete, Base):
        ...     __tablename__ = "docs_drafts"
        >>> Draft().is_deleted
        False
    """

    deleted_at: Mapped[datetime | None] = mapped_column(
        UTCDateTime(), default=None, index=True, sort_order=902
    )

    @property
    def is_deleted(self) -> bool:
        """Whether the row was deleted."""
        return self.deleted_at is not None


class TenantScoped:
    """Adds ``tenant_id``, taken from the context; rows of other tenants are out of reach.

    Example:
        >>> from shared.context import request_context
        >>> from shared.database import Base
        >>> class Invoice(UUIDKey, TenantScoped, Base):
        ...     __tablename__ = "docs_invoices"
        >>> Invoice.__table__.c.tenant_id.nullable
        False
    """

    tenant_id: Mapped[str] = mapped_column(String(64), default=get_tenant, index=True, sort_order=-90)


class Versioned:
    """Adds ``version``: a change of a row that somebody else changed meanwhile is a conflict.

    The loser gets :class:`~shared.errors.TransactionConflictError`.

    Example:
        >>> from shared.database import Base
        >>> class Seat(UUIDKey, Versioned, Base):
        ...     __tablename__ = "docs_seats"
        >>> Seat.__mapper__.version_id_col.name
        'version'
    """

    version: Mapped[int] = mapped_column(default=1, sort_order=903)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__table__.c.version}  # type: ignore[attr-defined]
