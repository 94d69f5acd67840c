"""The tables of tokens."""

from typing import ClassVar

from sqlalchemy import BigInteger, Double, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base

__all__ = ["TokenFamily", "TokenMark"]


class TokenMark(Base):
    """Something that a token is held against: it, its user or its family was taken back, or it was used.

    Example:
        >>> [column.name for column in TokenMark.__table__.primary_key]
        ['name']
    """

    __tablename__ = "auth_token_marks"
    __room__: ClassVar[str] = "auth"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    value: Mapped[float] = mapped_column(Double())
    until: Mapped[float] = mapped_column(Double(), index=True)


class TokenFamily(Base):
    """A refresh family and the generation that may be used next; no token is in it in the clear.

    Example:
        >>> TokenFamily.__table__.info["room"]
        'auth'
    """

    __tablename__ = "auth_token_families"
    __room__: ClassVar[str] = "auth"

    id: Mapped[str] = mapped_column(String(300), primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger(), default=0)
    rotated_at: Mapped[float] = mapped_column(Double(), default=0.0)
    sealed: Mapped[str] = mapped_column(Text(), default="")
    client: Mapped[str] = mapped_column(String(64), default="")
    is_revoked: Mapped[bool] = mapped_column(default=False)
    until: Mapped[float] = mapped_column(Double(), index=True)
