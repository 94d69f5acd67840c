"""Users as values: what goes in, checked, and what comes out. Personal data is not in the repr."""

import json
import uuid
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AliasChoices, EmailStr, Field, JsonValue, SecretStr, StringConstraints

from shared.auth._permissions import check_role
from shared.constants import FieldLimit
from shared.database import Entity
from shared.errors import InvalidArgumentError

__all__ = ["NewUser", "UserEntity"]

_MAX_DETAILS: Final = 65_536  # bytes


def _address(text: str) -> str:
    if len(text) > FieldLimit.EMAIL_MAX:
        msg = f"an address has at most {FieldLimit.EMAIL_MAX} characters"
        raise ValueError(msg)
    return text.lower()


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("printable characters expected")
    return text


def _role(name: str) -> str:
    try:
        return check_role(name)
    except InvalidArgumentError:
        raise ValueError("a role is a letter and up to 63 of A-Z a-z 0-9 _ . : -") from None


def _small(details: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(details, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except ValueError:  # NaN, or half of a character
        raise ValueError("JSON without NaN expected") from None
    if "\\u0000" in text or size > _MAX_DETAILS:
        msg = f"JSON of at most {_MAX_DETAILS} bytes without NUL expected"
        raise ValueError(msg)
    return details


Email = Annotated[EmailStr, AfterValidator(_address)]
Username = Annotated[
    str,
    StringConstraints(
        min_length=FieldLimit.USERNAME_MIN,
        max_length=FieldLimit.USERNAME_MAX,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        to_lower=True,
    ),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=FieldLimit.NAME_MAX), AfterValidator(_printable)
]
RoleName = Annotated[str, AfterValidator(_role)]
Details = Annotated[dict[str, JsonValue], AfterValidator(_small)]


class NewUser(Entity, extra="forbid"):
    """A user to be made; see :meth:`UserDAO.create_user`.

    Attributes:
        email: Stored in lower case.
        username: 3 to 64 of ``A-Z a-z 0-9 . _ -``, stored in lower case.
        name: For people.
        password: Checked against the password policy and stored as a hash only.
        is_active: Whether the user may log in.
        is_verified: Whether the address is known to be the user's.
        roles: Names.
        details: Anything as JSON.

    Example:
        >>> NewUser.parse({"email": "Ada@Example.com", "password": "correct horse battery"})
        NewUser(is_active=True, is_verified=False, roles=())
    """

    email: Email = Field(repr=False)
    username: Username | None = Field(default=None, repr=False)
    name: Name | None = Field(default=None, repr=False)
    password: SecretStr | None = Field(default=None, repr=False)
    is_active: bool = True
    is_verified: bool = False
    roles: tuple[RoleName, ...] = Field(default=(), max_length=100)
    details: Details | None = Field(default=None, repr=False)


class UserChanges(Entity, extra="forbid"):
    """What may be changed of a user; what is not given stays."""

    email: Email = Field(default="", repr=False)
    username: Username | None = Field(default=None, repr=False)
    name: Name | None = Field(default=None, repr=False)
    is_active: bool = True
    is_verified: bool = False
    details: Details | None = Field(default=None, repr=False)


class UserEntity(Entity):
    """A user as he is now; never with a password or its hash.

    Example:
        >>> "password_hash" in UserEntity.model_fields
        False
    """

    id: uuid.UUID
    email: str = Field(repr=False)
    username: str | None = Field(repr=False)
    name: str | None = Field(repr=False)
    is_active: bool
    is_verified: bool
    roles: tuple[str, ...] = Field(validation_alias=AliasChoices("role_names", "roles"))
    last_login_at: datetime | None
    details: dict[str, Any] | None = Field(repr=False)
    version: int
    created_at: datetime
    updated_at: datetime


class NewRole(Entity, extra="forbid"):
    """A role to be stored."""

    name: RoleName
    description: str | None = Field(default=None, max_length=FieldLimit.DESCRIPTION_MAX)
    permissions: tuple[str, ...] = Field(default=(), max_length=1000)
    includes: tuple[RoleName, ...] = Field(default=(), max_length=100)
