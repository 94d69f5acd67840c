"""Users, the roles they have, and the roles there are."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.database import Base, SoftDelete, Timestamps, UUIDKey, Versioned, utc_now

__all__ = ["StoredRole", "User", "UserRole"]

_ALIVE = text("deleted_at IS NULL")


def _unique(name: str) -> Index:
    """Return uniqueness among the users that were not deleted."""
    return Index(f"uq_auth_users_{name}", name, unique=True, postgresql_where=_ALIVE, sqlite_where=_ALIVE)


class User(UUIDKey, Timestamps, SoftDelete, Versioned, Base):
    """Somebody who can log in; deleted softly, so that what refers to the id keeps its meaning.

    Address and name are stored in lower case and unique among those who are not deleted.

    Example:
        >>> User(email="ada@example.com").role_names
        ()
    """

    __tablename__ = "auth_users"
    __room__: ClassVar[str] = "auth"
    __table_args__ = (_unique("email"), _unique("username"))

    email: Mapped[str] = mapped_column(String(254))
    username: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str | None] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_verified: Mapped[bool] = mapped_column(default=False)
    last_login_at: Mapped[datetime | None]
    details: Mapped[dict[str, Any] | None]
    roles: Mapped[list["UserRole"]] = relationship(
        lambda: UserRole, lazy="selectin", cascade="all, delete-orphan", order_by=lambda: UserRole.role
    )

    @property
    def role_names(self) -> tuple[str, ...]:
        """The names of the roles, sorted."""
        return tuple(sorted(each.role for each in self.roles))


class UserRole(Base):
    """A role that a user has, by its name: it may be declared in code or stored.

    Example:
        >>> [column.name for column in UserRole.__table__.primary_key]
        ['user_id', 'role']
    """

    __tablename__ = "auth_user_roles"
    __room__: ClassVar[str] = "auth"

    user_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), ForeignKey("auth_users.id", ondelete="CASCADE"), primary_key=True
    )
    role: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    granted_at: Mapped[datetime] = mapped_column(default=utc_now)


class StoredRole(Timestamps, Base):
    """A role that operators change without a deployment: ``use_roles(RoleDAO().list_roles())``.

    Example:
        >>> StoredRole(name="viewer", permissions=["orders:read"]).name
        'viewer'
    """

    __tablename__ = "auth_roles"
    __room__: ClassVar[str] = "auth"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str | None] = mapped_column(Text)
    permissions: Mapped[list[str]] = mapped_column(default=list)
    includes: Mapped[list[str]] = mapped_column(default=list)
