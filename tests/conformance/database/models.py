"""Tables for the tests of the room."""

import uuid
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Index, MetaData, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.database import Base, EncryptedString, SoftDelete, TenantScoped, Timestamps, UUIDKey, Versioned


class TestBase(Base):
    __test__ = False
    __abstract__ = True
    __room__ = "tests"
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Author(UUIDKey, Timestamps, TestBase):
    __tablename__ = "authors"

    email: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str]
    born: Mapped[datetime | None]
    works: Mapped[list["Work"]] = relationship(back_populates="author")


class Work(UUIDKey, SoftDelete, Versioned, TestBase):
    __tablename__ = "works"
    __table_args__ = (
        Index(
            "uq_works_title",
            "title",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
            sqlite_where=text("deleted_at IS NULL"),
        ),
    )

    title: Mapped[str]
    price: Mapped[Decimal]
    tags: Mapped[list[str] | None]
    sold: Mapped[int] = mapped_column(default=0)
    author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author | None] = relationship(back_populates="works")


class Ticket(UUIDKey, TenantScoped, SoftDelete, TestBase):
    __tablename__ = "tickets"

    subject: Mapped[str]
    number: Mapped[int] = mapped_column(unique=True)


class Pair(TestBase):
    __tablename__ = "pairs"

    left: Mapped[int] = mapped_column(primary_key=True)
    right: Mapped[str] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(default="")


class Secret(UUIDKey, TestBase):
    __tablename__ = "secrets"

    phone: Mapped[str | None] = mapped_column(EncryptedString("tests.phone"))
