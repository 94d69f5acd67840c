"""The tables of flags."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, utc_now

__all__ = ["FlagHistoryRecord", "FlagRecord", "FlagRevision"]


class FlagRevision(Base):
    """The newest revision of one set of flags.

    Example:
        >>> [column.name for column in FlagRevision.__table__.primary_key]
        ['namespace']
    """

    __tablename__ = "feature_flags_revision"
    __room__: ClassVar[str] = "feature_flags"

    namespace: Mapped[str] = mapped_column(String(100), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)


class FlagRecord(Base):
    """A flag or segment as it is now. The body is JSON as text: the order of variants counts.

    Example:
        >>> FlagRecord.__table__.info["room"]
        'feature_flags'
    """

    __tablename__ = "feature_flags_flag"
    __room__: ClassVar[str] = "feature_flags"

    namespace: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(BigInteger)


class FlagHistoryRecord(Base):
    """What one revision did to one flag or segment; rows are only ever added.

    Example:
        >>> [column.name for column in FlagHistoryRecord.__table__.primary_key]
        ['namespace', 'revision', 'kind', 'key']
    """

    __tablename__ = "feature_flags_history"
    __room__: ClassVar[str] = "feature_flags"
    __table_args__ = (
        Index("ix_feature_flags_history_namespace_key_revision", "namespace", "key", "revision"),
    )

    namespace: Mapped[str] = mapped_column(String(100), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    actor: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(default=utc_now)
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
