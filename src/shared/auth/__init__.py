"""Let the right people in, and nobody else.

Passwords.

Example:
    >>> from shared.auth import PasswordManager
    >>> manager = PasswordManager(rounds=4)
    >>> manager.verify_password("correct horse", manager.hash_password("correct horse"))
    True
"""

from shared.auth._authorize import authorize, explain_access, is_allowed
from shared.auth._decision import AccessDenied, AuthenticationFailed, Decision, establish
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
from shared.auth._principal import Principal, current_principal
from shared.auth._requirements import (
    Requirement,
    require_owner,
    require_permissions,
    require_roles,
    require_scope,
    require_tenant,
    require_user,
)
from shared.auth._roles import Role, Roles, get_roles, use_roles

__all__ = [
    "AccessDenied",
    "Argon2Cost",
    "AuthenticationFailed",
    "Decision",
    "HashingPool",
    "PasswordManager",
    "PasswordPolicy",
    "Principal",
    "Requirement",
    "Role",
    "Roles",
    "ahash_password",
    "authorize",
    "averify_and_update",
    "averify_password",
    "current_principal",
    "establish",
    "explain_access",
    "get_password_manager",
    "get_roles",
    "hash_password",
    "is_allowed",
    "require_owner",
    "require_permissions",
    "require_roles",
    "require_scope",
    "require_tenant",
    "require_user",
    "use_roles",
    "verify_and_update",
    "verify_password",
]
