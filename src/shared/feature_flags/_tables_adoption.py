"""The tables of what became of flags: who saw which variant, how often, and what they said."""

import uuid
from datetime import date, datetime
from typing import ClassVar, Final

from sqlalchemy import BigInteger, Date, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, utc_now, uuid7

__all__ = ["MAX_KEY", "MAX_TEXT", "MAX_UNIT", "MAX_VARIANT", "FlagExposure", "FlagFeedback", "FlagUsage"]

MAX_KEY: Final = 200
MAX_VARIANT: Final = 200
MAX_UNIT: Final = 200
MAX_TEXT: Final = 2000


class FlagExposure(Base):
    """A unit that was shown a variant, once per phase of the flag.

    The unit is a keyed hash, or the id itself where the service chose so.

    Example:
        >>> [column.name for column in FlagExposure.__table__.primary_key]
        ['flag', 'unit', 'variant', 'phase']
    """

    __tablename__ = "feature_flags_exposures"
    __room__: ClassVar[str] = "feature_flags"
    __table_args__ = (Index("ix_feature_flags_exposures_flag_last_at", "flag", "last_at"),)

    flag: Mapped[str] = mapped_column(String(MAX_KEY), primary_key=True)
    unit: Mapped[str] = mapped_column(String(MAX_UNIT), primary_key=True, index=True)
    variant: Mapped[str] = mapped_column(String(MAX_VARIANT), primary_key=True)
    phase: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_at: Mapped[datetime] = mapped_column(default=utc_now)


class FlagUsage(Base):
    """How often a flag was evaluated to a variant on one day, in UTC.

    Example:
        >>> FlagUsage.__table__.info["room"]
        'feature_flags'
    """

    __tablename__ = "feature_flags_usage"
    __room__: ClassVar[str] = "feature_flags"

    flag: Mapped[str] = mapped_column(String(MAX_KEY), primary_key=True)
    variant: Mapped[str] = mapped_column(String(MAX_VARIANT), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True, index=True)
    evaluations: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime] = mapped_column(default=utc_now)


class FlagFeedback(Base):
    """What a unit said about a variant; what it says later takes the place of that.

    Example:
        >>> FlagFeedback.__table__.c["text"].type.length
        2000
    """

    __tablename__ = "feature_flags_feedback"
    __room__: ClassVar[str] = "feature_flags"
    __table_args__ = (
        UniqueConstraint("flag", "unit", "variant"),
        Index("ix_feature_flags_feedback_flag_updated_at", "flag", "updated_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid7)
    flag: Mapped[str] = mapped_column(String(MAX_KEY))
    variant: Mapped[str] = mapped_column(String(MAX_VARIANT))
    unit: Mapped[str] = mapped_column(String(MAX_UNIT), index=True)
    score: Mapped[int | None] = mapped_column(SmallInteger)
    text: Mapped[str | None] = mapped_column(String(MAX_TEXT))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)
