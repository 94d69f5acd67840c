"""Let the right people in, and nobody else.

Passwords, keys and tokens, rules.

Example:
    >>> from shared.auth import PasswordManager, create_access_token, verify_token
    >>> manager = PasswordManager(rounds=4)
    >>> manager.verify_password("correct horse", manager.hash_password("correct horse"))
    True
    >>> payload = verify_token(create_access_token(user_id="123", email="user@example.com"))
    >>> payload["user_id"], payload["email"]
    ('123', 'user@example.com')
"""

from shared.auth._auth_request import AuthRequest, PlainRequest
from shared.auth._authenticators import Authenticator, Authenticators, BearerAuthenticator, Identified
from shared.auth._authorize import authorize, explain_access, is_allowed
from shared.auth._backends import JoseBackend, NativeBackend, SignatureBackend
from shared.auth._decision import AccessDenied, AuthenticationFailed, Challenges, Decision, establish
from shared.auth._jws import sign_compact, verify_compact
from shared.auth._key import Key, KeyStatus
from shared.auth._key_ring import KeyRing, KeySource
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
from shared.auth._token_accessors import (
    get_async_token_service,
    get_key_source,
    get_token_service,
    ring_from_settings,
)
from shared.auth._token_events import TokenEvent, TokenRefused, TokenReuseDetected, TokensRevoked
from shared.auth._token_functions import (
    consume_email_verification_token,
    consume_password_reset_token,
    create_access_token,
    create_email_verification_token,
    create_password_reset_token,
    create_refresh_token,
    decode_token,
    get_email_from_token,
    get_user_id_from_token,
    is_token_expired,
    revoke_all_for_user,
    revoke_token,
    rotate_refresh_token,
    verify_token,
)
from shared.auth._token_functions_async import (
    aconsume_email_verification_token,
    aconsume_password_reset_token,
    acreate_refresh_token,
    adecode_token,
    aget_email_from_token,
    aget_user_id_from_token,
    arevoke_all_for_user,
    arevoke_token,
    arotate_refresh_token,
    averify_token,
)
from shared.auth._token_payload import TokenPayload
from shared.auth._token_profile import TokenOptions, TokenProfile
from shared.auth._token_service import TokenService
from shared.auth._token_service_async import AsyncMemoryTokenStore, AsyncTokenService
from shared.auth._token_store import Advance, AsyncTokenStore, Family, MemoryTokenStore, TokenStore
from shared.auth._token_store_redis import AsyncRedisTokenStore, RedisTokenStore
from shared.auth._token_store_sql import AsyncSqlTokenStore, SqlTokenStore
from shared.auth._token_tables import TokenFamily, TokenMark

__all__ = [
    "AccessDenied",
    "Advance",
    "Argon2Cost",
    "AsyncMemoryTokenStore",
    "AsyncRedisTokenStore",
    "AsyncSqlTokenStore",
    "AsyncTokenService",
    "AsyncTokenStore",
    "AuthRequest",
    "AuthenticationFailed",
    "Authenticator",
    "Authenticators",
    "BearerAuthenticator",
    "Challenges",
    "Decision",
    "Family",
    "HashingPool",
    "Identified",
    "JoseBackend",
    "Key",
    "KeyRing",
    "KeySource",
    "KeyStatus",
    "MemoryTokenStore",
    "NativeBackend",
    "PasswordManager",
    "PasswordPolicy",
    "PlainRequest",
    "Principal",
    "RedisTokenStore",
    "Requirement",
    "Role",
    "Roles",
    "SignatureBackend",
    "SqlTokenStore",
    "TokenEvent",
    "TokenFamily",
    "TokenMark",
    "TokenOptions",
    "TokenPayload",
    "TokenProfile",
    "TokenRefused",
    "TokenReuseDetected",
    "TokenService",
    "TokenStore",
    "TokensRevoked",
    "aconsume_email_verification_token",
    "aconsume_password_reset_token",
    "acreate_refresh_token",
    "adecode_token",
    "aget_email_from_token",
    "aget_user_id_from_token",
    "ahash_password",
    "arevoke_all_for_user",
    "arevoke_token",
    "arotate_refresh_token",
    "authorize",
    "averify_and_update",
    "averify_password",
    "averify_token",
    "consume_email_verification_token",
    "consume_password_reset_token",
    "create_access_token",
    "create_email_verification_token",
    "create_password_reset_token",
    "create_refresh_token",
    "current_principal",
    "decode_token",
    "establish",
    "explain_access",
    "get_async_token_service",
    "get_email_from_token",
    "get_key_source",
    "get_password_manager",
    "get_roles",
    "get_token_service",
    "get_user_id_from_token",
    "hash_password",
    "is_allowed",
    "is_token_expired",
    "require_owner",
    "require_permissions",
    "require_roles",
    "require_scope",
    "require_tenant",
    "require_user",
    "revoke_all_for_user",
    "revoke_token",
    "ring_from_settings",
    "rotate_refresh_token",
    "sign_compact",
    "use_roles",
    "verify_and_update",
    "verify_compact",
    "verify_password",
    "verify_token",
]
