"""Factories of the users of the room ``auth``."""

from functools import cache

from shared.auth import PasswordManager, StoredRole, User, UserRole
from shared.database import uuid7
from shared.testing._factory_base import ModelFactory, declared, factory

__all__ = ["StoredRoleFactory", "UserFactory", "UserRoleFactory"]


@cache
def _quick_hash(password: str) -> str:
    """Return a hash that costs a test as little as the scheme allows."""
    return PasswordManager(rounds=4).hash_password(password)


@declared
class UserFactory(ModelFactory):
    """An active user with a verified address; ``password=`` gives a password, ``role_names=`` roles.

    Example:
        >>> user = UserFactory.build(password="correct horse", role_names=["admin"])
        >>> user.role_names, user.password_hash.startswith("$bcrypt-sha256$")
        (('admin',), True)
    """

    class Meta:
        model = User

    class Params:
        password = None
        role_names = ()

    id = factory.LazyFunction(uuid7)
    email = factory.Sequence(lambda n: f"user{n}@example.com")
    username = factory.Sequence(lambda n: f"user{n}")
    name = factory.LazyAttribute(lambda user: user.username.capitalize() if user.username else None)
    password_hash = factory.LazyAttribute(lambda user: user.password and _quick_hash(user.password))
    is_verified = True
    roles = factory.LazyAttribute(lambda user: [UserRole(role=name) for name in user.role_names])


@declared
class UserRoleFactory(ModelFactory):
    """A role of a user, with the user.

    Example:
        >>> UserRoleFactory.build().role
        'viewer'
    """

    class Meta:
        model = UserRole

    class Params:
        user = factory.SubFactory(UserFactory)

    user_id = factory.SelfAttribute("user.id")
    role = "viewer"


@declared
class StoredRoleFactory(ModelFactory):
    """A stored role that grants reading.

    Example:
        >>> StoredRoleFactory.build(name="viewer").permissions
        ['*:read']
    """

    class Meta:
        model = StoredRole

    name = factory.Sequence(lambda n: f"role-{n}")
    permissions = factory.LazyFunction(lambda: ["*:read"])
    includes = factory.LazyFunction(list)
