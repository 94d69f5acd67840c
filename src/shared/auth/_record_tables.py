"""The tables of API keys and sessions."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Double, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, Json

__all__ = ["ApiKeyRecord", "SessionRecord"]


class _Columns:
    """What both tables have."""

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    owner: Mapped[str] = mapped_column(String(255), index=True)
    data: Mapped[Any] = mapped_column(Json())
    version: Mapped[int] = mapped_column(BigInteger(), default=1)
    created_at: Mapped[float] = mapped_column(Double())
    expires_at: Mapped[float | None] = mapped_column(Double(), index=True)
    touched_at: Mapped[float | None] = mapped_column(Double())


class ApiKeyRecord(_Columns, Base):
    """An API key: a keyed hash of its secret, never the secret. Moments are seconds since 1970.

    Example:
        >>> ApiKeyRecord.__table__.info["room"]
        'auth'
    """

    __tablename__ = "auth_api_keys"
    __room__: ClassVar[str] = "auth"


class SessionRecord(_Columns, Base):
    """A session under the hash of its cookie. Moments are seconds since 1970.

    Example:
        >>> [column.name for column in SessionRecord.__table__.primary_key]
        ['id']
    """

    __tablename__ = "auth_sessions"
    __room__: ClassVar[str] = "auth"
