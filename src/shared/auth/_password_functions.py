"""The functions services call: one-liners over the current runtime's manager."""

from shared.auth._passwords import PasswordManager
from shared.runtime import Runtime, current

__all__ = [
    "ahash_password",
    "averify_and_update",
    "averify_password",
    "get_password_manager",
    "hash_password",
    "verify_and_update",
    "verify_password",
]


def _manager(runtime: Runtime) -> PasswordManager:
    from shared.config import get_settings
    from shared.runtime import use

    with use(runtime):
        return PasswordManager.from_settings(get_settings().security)


def get_password_manager() -> PasswordManager:
    """Return the current runtime's manager, built from ``settings.security`` on first use.

    Example:
        >>> get_password_manager() is get_password_manager()
        True
    """
    return current().get(PasswordManager, _manager)


def hash_password(password: str) -> str:
    """Return a hash of *password* for the database; see :meth:`PasswordManager.hash_password`.

    Raises:
        ValidationError: The password is empty, no text or too long.

    Example:
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime()), override_settings(PASSWORD_BCRYPT_ROUNDS=4):
        ...     hashed = hash_password("password123")
        ...     verify_password("password123", hashed)
        True
    """
    return get_password_manager().hash_password(password)


def verify_password(password: str, hashed: str | None) -> bool:
    """Tell whether *password* made *hashed*; see :meth:`PasswordManager.verify_password`.

    Example:
        >>> verify_password("password123", "no hash at all")
        False
    """
    return get_password_manager().verify_password(password, hashed)


def verify_and_update(password: str, hashed: str | None) -> tuple[bool, str | None]:
    """Check a password and hash it anew when the stored hash is out of date.

    See :meth:`PasswordManager.verify_and_update`.

    Example:
        >>> verify_and_update("password123", None)
        (False, None)
    """
    return get_password_manager().verify_and_update(password, hashed)


async def ahash_password(password: str) -> str:
    """Do :func:`hash_password` in a thread, while the event loop goes on.

    Example:
        >>> import asyncio
        >>> from shared.config import override_settings
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime()) as runtime, override_settings(PASSWORD_BCRYPT_ROUNDS=4):
        ...     asyncio.run(ahash_password("password123")).startswith("$bcrypt-sha256$")
        ...     runtime.close()
        True
    """
    return await get_password_manager().ahash_password(password)


async def averify_password(password: str, hashed: str | None) -> bool:
    """Do :func:`verify_password` in a thread, while the event loop goes on.

    Example:
        >>> import asyncio
        >>> asyncio.run(averify_password("password123", None))
        False
    """
    return await get_password_manager().averify_password(password, hashed)


async def averify_and_update(password: str, hashed: str | None) -> tuple[bool, str | None]:
    """Do :func:`verify_and_update` in a thread, while the event loop goes on.

    Example:
        >>> import asyncio
        >>> asyncio.run(averify_and_update("password123", None))
        (False, None)
    """
    return await get_password_manager().averify_and_update(password, hashed)
