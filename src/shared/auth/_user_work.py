"""What happens to users and roles, written once as functions of a session."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from shared.auth._password_functions import get_password_manager
from shared.auth._passwords import PasswordManager
from shared.auth._permissions import check_role
from shared.auth._roles import Role, Roles
from shared.auth._tables_users import StoredRole, User, UserRole
from shared.auth._user_entities import NewRole, NewUser, UserChanges, UserEntity
from shared.database import KeysetPage, Repository, utc_now
from shared.errors import (
    ConfigurationError,
    ConflictError,
    InvalidArgumentError,
    ResourceNotFoundError,
    UserAlreadyExistsError,
    UserNotFoundError,
    ValidationError,
)

__all__ = ["checked_password", "users"]

_TAKEN: Final = "a user with this address or name exists"

users: Final = Repository(
    User,
    not_found=UserNotFoundError,
    filterable=["id", "email", "username", "is_active", "is_verified"],
    sortable=["id"],
)
roles: Final = Repository(StoredRole)


def checked_password(
    manager: PasswordManager | None, password: Any, *, personal: Mapping[str, Any]
) -> tuple[PasswordManager, str]:
    """Return who hashes, and a password that the policy allows.

    Raises:
        ValidationError: It does not; ``details["errors"]`` say why.
    """
    manager = manager or get_password_manager()
    text = password.get_secret_value() if hasattr(password, "get_secret_value") else password
    words = [personal.get(name) for name in ("email", "username", "name")]
    problems = manager.problems(text, personal=[word for word in words if word])
    if problems:
        errors = [{"field": "password", "message": problem, "type": "password"} for problem in problems]
        msg = f"password: {'; '.join(problems)}"
        raise ValidationError(msg, details={"errors": errors})
    return manager, text


def personal_words(session: Session, user_id: Any) -> dict[str, Any]:
    """Return what a password must not hold."""
    row = users.get(session, user_id)
    return {"email": row.email, "username": row.username, "name": row.name}


# -- users ---------------------------------------------------------------------------


def create_user(session: Session, new: NewUser, password_hash: str | None) -> UserEntity:
    """Make a user."""
    row = User(
        **new.model_dump(exclude={"password", "roles"}),
        password_hash=password_hash,
        roles=[UserRole(role=name) for name in dict.fromkeys(new.roles)],
    )
    try:
        return UserEntity.of(users.add(session, row))
    except ConflictError as exc:
        raise UserAlreadyExistsError(_TAKEN) from exc


def get_user(session: Session, user_id: Any) -> UserEntity:
    """Return a user."""
    return UserEntity.of(users.get(session, user_id))


def find_user(session: Session, name: str, value: Any) -> UserEntity | None:
    """Return the user with an address or a name."""
    row = _found(session, name, value)
    return None if row is None else UserEntity.of(row)


def _found(session: Session, name: str, value: Any) -> User | None:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not 1 <= len(text) <= 254 or not text.isprintable():
        return None
    return next(iter(users.list(session, where={name: text}, limit=1)), None)


def list_users(
    session: Session, is_active: bool | None, is_verified: bool | None, after: str | None, size: int
) -> KeysetPage[UserEntity]:
    """Return users, the newest first."""
    given = {"is_active": is_active, "is_verified": is_verified}
    where = {name: value for name, value in given.items() if value is not None}
    page = users.keyset(session, after=after, size=size, where=where, order_by="-id")
    return KeysetPage([UserEntity.of(row) for row in page.items], page.next_cursor)


def update_user(
    session: Session, user_id: Any, changes: Mapping[str, Any], version: int | None
) -> UserEntity:
    """Change columns of a user."""
    if not changes:
        raise ValidationError("nothing is to be changed")
    try:
        row = users.update(session, user_id, changes, version=version)
    except ConflictError as exc:
        if exc.retryable:  # another version
            raise
        raise UserAlreadyExistsError(_TAKEN) from exc
    return UserEntity.of(row)


def checked_changes(data: Any) -> dict[str, Any]:
    """Return the changes of a user.

    Raises:
        ValidationError: They do not fit.
    """
    return UserChanges.parse(data).model_dump(exclude_unset=True)


def restore_user(session: Session, user_id: Any) -> UserEntity:
    """Bring a deleted user back."""
    try:
        return UserEntity.of(users.restore(session, user_id))
    except ConflictError as exc:
        raise UserAlreadyExistsError(_TAKEN) from exc


def delete_user(session: Session, user_id: Any) -> bool:
    """Delete a user softly."""
    return users.delete(session, user_id)


def set_password(session: Session, user_id: Any, password_hash: str) -> None:
    """Store a hash."""
    users.update(session, user_id, {"password_hash": password_hash})


def credentials(session: Session, login: Any) -> tuple[uuid.UUID | None, str | None]:
    """Return id and hash of the active user with an address or a name; None for nobody."""
    name = "email" if isinstance(login, str) and "@" in login else "username"
    row = _found(session, name, login)
    if row is None or not row.is_active:
        return None, None
    return row.id, row.password_hash


def logged_in(session: Session, user_id: uuid.UUID, password_hash: str | None) -> UserEntity | None:
    """Note a login, and a better hash; None when the user went meanwhile."""
    changes: dict[str, Any] = {"last_login_at": utc_now()}
    if password_hash is not None:
        changes["password_hash"] = password_hash
    try:
        row = users.update(session, user_id, changes)
    except UserNotFoundError:
        return None
    return UserEntity.of(row) if row.is_active else None


# -- roles ---------------------------------------------------------------------------


def grant_role(session: Session, user_id: Any, name: Any) -> UserEntity:
    """Give a user a role; again changes nothing."""
    role = role_name(name)
    row = users.lock(session, user_id)
    if role not in row.role_names:
        row.roles.append(UserRole(role=role))
        session.flush()
    return UserEntity.of(row)


def revoke_role(session: Session, user_id: Any, name: Any) -> UserEntity:
    """Take a role from a user; again changes nothing."""
    role = role_name(name)
    row = users.lock(session, user_id)
    row.roles = [each for each in row.roles if each.role != role]
    session.flush()
    return UserEntity.of(row)


def role_name(name: Any) -> str:
    """Return the name of a role.

    Raises:
        ValidationError: It is malformed.
    """
    try:
        return check_role(name)
    except InvalidArgumentError as exc:
        raise ValidationError(str(exc), details={"field": "role"}) from exc


def save_role(session: Session, new: NewRole) -> Role:
    """Store a role, or change the one with the name; the roles must still make sense together."""
    values = {**new.model_dump(), "permissions": list(new.permissions), "includes": list(new.includes)}
    row = roles.upsert(session, values, on=["name"])
    _check(session)
    return _role(row)


def delete_role(session: Session, name: Any) -> bool:
    """Delete a role and take it from everybody."""
    role = role_name(name)
    session.execute(delete(UserRole).where(UserRole.role == role))
    done = roles.delete(session, role)
    _check(session)
    return done


def get_role(session: Session, name: Any) -> Role:
    """Return a stored role."""
    row = roles.find(session, role_name(name))
    if row is None:
        raise ResourceNotFoundError(resource="role", resource_id=name)
    return _role(row)


def list_roles(session: Session) -> list[Role]:
    """Return the stored roles by name."""
    return [_role(row) for row in roles.list(session, order_by="name")]


def _role(row: StoredRole) -> Role:
    return Role(row.name, tuple(row.permissions), tuple(row.includes))


def _check(session: Session) -> None:
    try:
        Roles(list_roles(session))
    except ConfigurationError as exc:
        raise ValidationError(str(exc)) from exc
