"""The room's own tables; a service that uses them enables the room ``"database"``."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database._base import Base
from shared.database._types import Json, utc_now
from shared.database._uuid7 import uuid7

__all__ = ["DatabaseLock", "DatabaseLockWaiter", "IdempotencyKey", "InboxMessage", "OutboxMessage"]

_PENDING = text("state = 'pending'")


class OutboxMessage(Base):
    """A message that waits to be published, written with the change it tells of.

    Example:
        >>> OutboxMessage.__table__.info["room"]
        'database'
    """

    __tablename__ = "database_outbox"
    __room__: ClassVar[str] = "database"
    __table_args__ = (
        Index("ix_database_outbox_pending", "seq", postgresql_where=_PENDING, sqlite_where=_PENDING),
        Index(
            "ix_database_outbox_order", "aggregate", "seq", postgresql_where=_PENDING, sqlite_where=_PENDING
        ),
    )

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[uuid.UUID] = mapped_column(default=uuid7, unique=True)
    topic: Mapped[str] = mapped_column(String(200))
    aggregate: Mapped[str | None] = mapped_column(String(200))
    payload: Mapped[Any] = mapped_column(Json(), nullable=True)
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(10), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    available_at: Mapped[datetime] = mapped_column(default=utc_now)
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)


class InboxMessage(Base):
    """A message that a consumer has dealt with.

    Example:
        >>> [column.name for column in InboxMessage.__table__.primary_key]
        ['consumer', 'message_id']
    """

    __tablename__ = "database_inbox"
    __room__: ClassVar[str] = "database"

    consumer: Mapped[str] = mapped_column(String(100), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class IdempotencyKey(Base):
    """A request that was carried out, and what came of it.

    Example:
        >>> [column.name for column in IdempotencyKey.__table__.primary_key]
        ['scope', 'key']
    """

    __tablename__ = "database_idempotency"
    __room__: ClassVar[str] = "database"

    scope: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(256), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    token: Mapped[uuid.UUID]
    is_done: Mapped[bool] = mapped_column(default=False)
    response: Mapped[Any] = mapped_column(Json(), nullable=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class DatabaseLock(Base):
    """A lock that outlives transactions; see :class:`SQLLocks`. Its row stays, for the token.

    Example:
        >>> DatabaseLock.__table__.info["room"]
        'database'
    """

    __tablename__ = "database_lock"
    __room__: ClassVar[str] = "database"

    name: Mapped[str] = mapped_column(String(512), primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(64))
    until: Mapped[int] = mapped_column(BigInteger)  # microseconds since the epoch
    token: Mapped[int] = mapped_column(BigInteger)


class DatabaseLockWaiter(Base):
    """A place in the line for a lock.

    Example:
        >>> [column.name for column in DatabaseLockWaiter.__table__.primary_key]
        ['place']
    """

    __tablename__ = "database_lock_waiter"
    __room__: ClassVar[str] = "database"
    __table_args__ = (UniqueConstraint("name", "owner"),)

    place: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    name: Mapped[str] = mapped_column(String(512))
    owner: Mapped[str] = mapped_column(String(64))
    until: Mapped[int] = mapped_column(BigInteger)  # microseconds since the epoch
