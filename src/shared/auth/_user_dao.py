"""Users and roles for threads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from shared.auth import _user_work as work
from shared.auth._password_functions import get_password_manager
from shared.auth._passwords import PasswordManager
from shared.auth._roles import Role
from shared.auth._user_entities import NewRole, NewUser, UserEntity
from shared.constants import FieldLimit
from shared.database import DAO, KeysetPage

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["RoleDAO", "UserDAO"]


class UserDAO(DAO):
    """Users: made, found, changed, logged in, deleted.

    Passwords are hashed before the transaction begins, so that a row is never locked
    for as long as that takes, and a hash never leaves the object.

    Args:
        database: Where; ``get_database()`` when None.
        passwords: Who hashes; the current runtime's manager when None.

    Example:
        >>> from shared.auth import PasswordManager
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...     user_dao = UserDAO(db, passwords=PasswordManager(rounds=4))
        ...     user_data = {"email": "Ada@example.com", "password": "correct horse battery"}
        ...     user = user_dao.create_user(user_data)
        ...     print(user.email, user_dao.authenticate("ada@example.com", "wrong"))
        ...     user_dao.authenticate("ada@example.com", "correct horse battery").id == user.id
        ada@example.com None
        True
    """

    def __init__(
        self, database: "Database | None" = None, *, passwords: PasswordManager | None = None
    ) -> None:
        super().__init__(database)
        self._passwords = passwords

    def create_user(
        self, user_data: NewUser | Mapping[str, Any], *, session: Session | None = None
    ) -> UserEntity:
        """Make a user.

        Raises:
            UserAlreadyExistsError: Somebody has the address or the name.
            ValidationError: The data does not fit, or the policy refuses the password.
        """
        new = NewUser.parse(user_data)
        hashed = None
        if new.password is not None:
            manager, text = work.checked_password(
                self._passwords, new.password, personal=new.model_dump(exclude={"password"})
            )
            hashed = manager.hash_password(text)
        return self.write(work.create_user, new, hashed, session=session)

    def get_user(self, user_id: Any, *, session: Session | None = None) -> UserEntity:
        """Return a user.

        Raises:
            UserNotFoundError: There is none.
            ValidationError: *user_id* is no UUID.
        """
        return self.read(work.get_user, user_id, session=session)

    def get_user_by_email(self, email: str, *, session: Session | None = None) -> UserEntity | None:
        """Return the user with an address, in any case of letters, or None."""
        return self.read(work.find_user, "email", email, session=session)

    def get_user_by_username(self, username: str, *, session: Session | None = None) -> UserEntity | None:
        """Return the user with a name, in any case of letters, or None."""
        return self.read(work.find_user, "username", username, session=session)

    def list_users(
        self,
        *,
        is_active: bool | None = None,
        is_verified: bool | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: Session | None = None,
    ) -> KeysetPage[UserEntity]:
        """Return users, the newest first.

        Args:
            is_active: Only those who may (not) log in.
            is_verified: Only those whose address is (not) verified.
            after: ``next_cursor`` of the page before.
            size: Users per page, 1 to 100.
            session: Of the caller.
        """
        return self.read(work.list_users, is_active, is_verified, after, size, session=session)

    def update_user(
        self,
        user_id: Any,
        changes: Mapping[str, Any],
        *,
        version: int | None = None,
        session: Session | None = None,
    ) -> UserEntity:
        """Change ``email``, ``username``, ``name``, ``is_active``, ``is_verified`` or ``details``.

        Raises:
            UserNotFoundError: There is none.
            UserAlreadyExistsError: Somebody has the address or the name.
            TransactionConflictError: The user does not have *version* any more.
            ValidationError: The changes do not fit.
        """
        return self.write(work.update_user, user_id, work.checked_changes(changes), version, session=session)

    def set_password(self, user_id: Any, password: str, *, session: Session | None = None) -> None:
        """Store a new password; revoke the user's tokens yourself.

        Raises:
            UserNotFoundError: There is none.
            ValidationError: The policy refuses it.
        """
        personal = self.read(work.personal_words, user_id, session=session)
        manager, text = work.checked_password(self._passwords, password, personal=personal)
        self.write(work.set_password, user_id, manager.hash_password(text), session=session)

    def authenticate(self, login: str, password: str, *, session: Session | None = None) -> UserEntity | None:
        """Return the active user with this address or name and password, or None.

        Takes as long for somebody who does not exist. Notes the login, and hashes the
        password anew when the stored hash is out of date.
        """
        user_id, hashed = self.read(work.credentials, login, session=session)
        fits, better = (self._passwords or get_password_manager()).verify_and_update(password, hashed)
        if not fits or user_id is None:
            return None
        return self.write(work.logged_in, user_id, better, session=session)

    def delete_user(self, user_id: Any, *, session: Session | None = None) -> bool:
        """Delete a user softly and tell whether there was one; address and name become free."""
        return self.write(work.delete_user, user_id, session=session)

    def restore_user(self, user_id: Any, *, session: Session | None = None) -> UserEntity:
        """Bring a deleted user back.

        Raises:
            UserNotFoundError: There is none.
            UserAlreadyExistsError: Somebody else has the address or the name by now.
        """
        return self.write(work.restore_user, user_id, session=session)

    def grant_role(self, user_id: Any, role: str, *, session: Session | None = None) -> UserEntity:
        """Give a user a role; again changes nothing.

        Raises:
            UserNotFoundError: There is no such user.
            ValidationError: The name is malformed.
        """
        return self.write(work.grant_role, user_id, role, session=session)

    def revoke_role(self, user_id: Any, role: str, *, session: Session | None = None) -> UserEntity:
        """Take a role from a user; again changes nothing."""
        return self.write(work.revoke_role, user_id, role, session=session)


class RoleDAO(DAO):
    """Roles in the database, for ``use_roles(role_dao.list_roles())``.

    Args:
        database: Where; ``get_database()`` when None.

    Example:
        >>> from shared.auth import Roles
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("auth"))
        ...     role_dao = RoleDAO(db)
        ...     _ = role_dao.save_role({"name": "viewer", "permissions": ["orders:read"]})
        ...     Roles(role_dao.list_roles())
        Roles(viewer)
    """

    def save_role(self, role_data: Mapping[str, Any], *, session: Session | None = None) -> Role:
        """Store a role, or change the one with its name.

        Args:
            role_data: ``name``, ``description``, ``permissions``, ``includes``.
            session: Of the caller.

        Raises:
            ValidationError: The data does not fit, a permission is malformed, or the roles
                include each other in a circle.
        """
        return self.write(work.save_role, NewRole.parse(role_data), session=session)

    def get_role(self, name: str, *, session: Session | None = None) -> Role:
        """Return a role.

        Raises:
            ResourceNotFoundError: It is not stored.
        """
        return self.read(work.get_role, name, session=session)

    def list_roles(self, *, session: Session | None = None) -> list[Role]:
        """Return the roles by name."""
        return self.read(work.list_roles, session=session)

    def delete_role(self, name: str, *, session: Session | None = None) -> bool:
        """Delete a role, take it from everybody, and tell whether there was one.

        Raises:
            ValidationError: Another role includes it.
        """
        return self.write(work.delete_role, name, session=session)
