"""Users and roles for coroutines: the same work."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth import _user_work as work
from shared.auth._password_functions import get_password_manager
from shared.auth._passwords import PasswordManager
from shared.auth._roles import Role
from shared.auth._user_entities import NewRole, NewUser, UserEntity
from shared.constants import FieldLimit
from shared.database import AsyncDAO, KeysetPage

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncRoleDAO", "AsyncUserDAO"]


class AsyncUserDAO(AsyncDAO):
    """A :class:`UserDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.
        passwords: As :class:`UserDAO`.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...         user_dao = AsyncUserDAO(db)
        ...         user = await user_dao.create_user({"email": "Ada@example.com"})
        ...         print((await user_dao.grant_role(user.id, "admin")).roles)
        >>> asyncio.run(main())
        ('admin',)
    """

    def __init__(
        self, database: "Database | None" = None, *, passwords: PasswordManager | None = None
    ) -> None:
        super().__init__(database)
        self._passwords = passwords

    async def create_user(
        self, user_data: NewUser | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> UserEntity:
        """See :meth:`UserDAO.create_user`."""
        new = NewUser.parse(user_data)
        hashed = None
        if new.password is not None:
            manager, text = await asyncio.to_thread(
                work.checked_password,
                self._passwords,
                new.password,
                personal=new.model_dump(exclude={"password"}),
            )
            hashed = await manager.ahash_password(text)
        return await self.write(work.create_user, new, hashed, session=session)

    async def get_user(self, user_id: Any, *, session: AsyncSession | None = None) -> UserEntity:
        """See :meth:`UserDAO.get_user`."""
        return await self.read(work.get_user, user_id, session=session)

    async def get_user_by_email(
        self, email: str, *, session: AsyncSession | None = None
    ) -> UserEntity | None:
        """See :meth:`UserDAO.get_user_by_email`."""
        return await self.read(work.find_user, "email", email, session=session)

    async def get_user_by_username(
        self, username: str, *, session: AsyncSession | None = None
    ) -> UserEntity | None:
        """See :meth:`UserDAO.get_user_by_username`."""
        return await self.read(work.find_user, "username", username, session=session)

    async def list_users(
        self,
        *,
        is_active: bool | None = None,
        is_verified: bool | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: AsyncSession | None = None,
    ) -> KeysetPage[UserEntity]:
        """See :meth:`UserDAO.list_users`."""
        return await self.read(work.list_users, is_active, is_verified, after, size, session=session)

    async def update_user(
        self,
        user_id: Any,
        changes: Mapping[str, Any],
        *,
        version: int | None = None,
        session: AsyncSession | None = None,
    ) -> UserEntity:
        """See :meth:`UserDAO.update_user`."""
        return await self.write(
            work.update_user, user_id, work.checked_changes(changes), version, session=session
        )

    async def set_password(self, user_id: Any, password: str, *, session: AsyncSession | None = None) -> None:
        """See :meth:`UserDAO.set_password`."""
        personal = await self.read(work.personal_words, user_id, session=session)
        manager, text = await asyncio.to_thread(
            work.checked_password, self._passwords, password, personal=personal
        )
        await self.write(work.set_password, user_id, await manager.ahash_password(text), session=session)

    async def authenticate(
        self, login: str, password: str, *, session: AsyncSession | None = None
    ) -> UserEntity | None:
        """See :meth:`UserDAO.authenticate`."""
        user_id, hashed = await self.read(work.credentials, login, session=session)
        fits, better = await (self._passwords or get_password_manager()).averify_and_update(password, hashed)
        if not fits or user_id is None:
            return None
        return await self.write(work.logged_in, user_id, better, session=session)

    async def delete_user(self, user_id: Any, *, session: AsyncSession | None = None) -> bool:
        """See :meth:`UserDAO.delete_user`."""
        return await self.write(work.delete_user, user_id, session=session)

    async def restore_user(self, user_id: Any, *, session: AsyncSession | None = None) -> UserEntity:
        """See :meth:`UserDAO.restore_user`."""
        return await self.write(work.restore_user, user_id, session=session)

    async def grant_role(self, user_id: Any, role: str, *, session: AsyncSession | None = None) -> UserEntity:
        """See :meth:`UserDAO.grant_role`."""
        return await self.write(work.grant_role, user_id, role, session=session)

    async def revoke_role(
        self, user_id: Any, role: str, *, session: AsyncSession | None = None
    ) -> UserEntity:
        """See :meth:`UserDAO.revoke_role`."""
        return await self.write(work.revoke_role, user_id, role, session=session)


class AsyncRoleDAO(AsyncDAO):
    """A :class:`RoleDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...         print(await AsyncRoleDAO(db).list_roles())
        >>> asyncio.run(main())
        []
    """

    async def save_role(self, role_data: Mapping[str, Any], *, session: AsyncSession | None = None) -> Role:
        """See :meth:`RoleDAO.save_role`."""
        return await self.write(work.save_role, NewRole.parse(role_data), session=session)

    async def get_role(self, name: str, *, session: AsyncSession | None = None) -> Role:
        """See :meth:`RoleDAO.get_role`."""
        return await self.read(work.get_role, name, session=session)

    async def list_roles(self, *, session: AsyncSession | None = None) -> list[Role]:
        """See :meth:`RoleDAO.list_roles`."""
        return await self.read(work.list_roles, session=session)

    async def delete_role(self, name: str, *, session: AsyncSession | None = None) -> bool:
        """See :meth:`RoleDAO.delete_role`."""
        return await self.write(work.delete_role, name, session=session)
