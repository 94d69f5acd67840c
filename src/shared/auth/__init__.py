"""Let the right people in, and nobody else.

Passwords.

Example:
    >>> from shared.auth import PasswordManager
    >>> manager = PasswordManager(rounds=4)
    >>> manager.verify_password("correct horse", manager.hash_password("correct horse"))
    True
"""

from shared.auth._password_functions import (
    ahash_password,
    averify_and_update,
    averify_password,
    get_password_manager,
    hash_password,
    verify_and_update,
    verify_password,
)
from shared.auth._password_policy import PasswordPolicy
from shared.auth._password_pool import HashingPool
from shared.auth._password_schemes import Argon2Cost
from shared.auth._passwords import PasswordManager

__all__ = [
    "Argon2Cost",
    "HashingPool",
    "PasswordManager",
    "PasswordPolicy",
    "ahash_password",
    "averify_and_update",
    "averify_password",
    "get_password_manager",
    "hash_password",
    "verify_and_update",
    "verify_password",
]
