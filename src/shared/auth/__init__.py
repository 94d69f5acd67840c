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

from typing import TYPE_CHECKING

from shared.auth._access_accessors import (
    get_api_keys,
    get_async_api_keys,
    get_async_sessions,
    get_session_cookie,
    get_sessions,
)
from shared.auth._api_key import ApiKey, NewApiKey
from shared.auth._api_keys import ApiKeys, AsyncApiKeys
from shared.auth._auth_request import AuthRequest, PlainRequest
from shared.auth._authenticators import Authenticator, Authenticators, BearerAuthenticator, Identified
from shared.auth._authorize import authorize, explain_access, is_allowed
from shared.auth._backends import JoseBackend, NativeBackend, SignatureBackend
from shared.auth._decision import AccessDenied, AuthenticationFailed, Challenges, Decision, establish
from shared.auth._gateway import GatewayAuthenticator, GatewaySigner, get_user_context
from shared.auth._inspect import inspect_token
from shared.auth._jws import sign_compact, verify_compact
from shared.auth._key import Key, KeyStatus
from shared.auth._key_and_cookie import ApiKeyAuthenticator, SessionAuthenticator
from shared.auth._key_file import KeyFile
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
from shared.auth._record_store import (
    AsyncMemoryRecordStore,
    AsyncRecordStore,
    MemoryRecordStore,
    Record,
    RecordStore,
)
from shared.auth._record_store_redis import AsyncRedisRecordStore, RedisRecordStore
from shared.auth._record_store_sql import AsyncSqlRecordStore, SqlRecordStore
from shared.auth._record_tables import ApiKeyRecord, SessionRecord
from shared.auth._remote_keys import RemoteKeys
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
from shared.auth._session import NewSession, Session, SessionCookie
from shared.auth._sessions import AsyncSessions, Sessions
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
from shared.auth._webhook_replays import (
    AsyncRedisWebhookReplays,
    AsyncSqlWebhookReplays,
    RedisWebhookReplays,
    SqlWebhookReplays,
)

if TYPE_CHECKING:
    from shared.auth._tables_users import StoredRole, User, UserRole
    from shared.auth._user_dao import RoleDAO, UserDAO
    from shared.auth._user_dao_async import AsyncRoleDAO, AsyncUserDAO
    from shared.auth._user_entities import NewUser, UserEntity

__all__ = [
    "AccessDenied",
    "Advance",
    "ApiKey",
    "ApiKeyAuthenticator",
    "ApiKeyRecord",
    "ApiKeys",
    "Argon2Cost",
    "AsyncApiKeys",
    "AsyncMemoryRecordStore",
    "AsyncMemoryTokenStore",
    "AsyncRecordStore",
    "AsyncRedisRecordStore",
    "AsyncRedisTokenStore",
    "AsyncRedisWebhookReplays",
    "AsyncRoleDAO",
    "AsyncSessions",
    "AsyncSqlRecordStore",
    "AsyncSqlTokenStore",
    "AsyncSqlWebhookReplays",
    "AsyncTokenService",
    "AsyncTokenStore",
    "AsyncUserDAO",
    "AuthRequest",
    "AuthenticationFailed",
    "Authenticator",
    "Authenticators",
    "BearerAuthenticator",
    "Challenges",
    "Decision",
    "Family",
    "GatewayAuthenticator",
    "GatewaySigner",
    "HashingPool",
    "Identified",
    "JoseBackend",
    "Key",
    "KeyFile",
    "KeyRing",
    "KeySource",
    "KeyStatus",
    "MemoryRecordStore",
    "MemoryTokenStore",
    "NativeBackend",
    "NewApiKey",
    "NewSession",
    "NewUser",
    "PasswordManager",
    "PasswordPolicy",
    "PlainRequest",
    "Principal",
    "Record",
    "RecordStore",
    "RedisRecordStore",
    "RedisTokenStore",
    "RedisWebhookReplays",
    "RemoteKeys",
    "Requirement",
    "Role",
    "RoleDAO",
    "Roles",
    "Session",
    "SessionAuthenticator",
    "SessionCookie",
    "SessionRecord",
    "Sessions",
    "SignatureBackend",
    "SqlRecordStore",
    "SqlTokenStore",
    "SqlWebhookReplays",
    "StoredRole",
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
    "User",
    "UserDAO",
    "UserEntity",
    "UserRole",
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
    "get_api_keys",
    "get_async_api_keys",
    "get_async_sessions",
    "get_async_token_service",
    "get_email_from_token",
    "get_key_source",
    "get_password_manager",
    "get_roles",
    "get_session_cookie",
    "get_sessions",
    "get_token_service",
    "get_user_context",
    "get_user_id_from_token",
    "hash_password",
    "inspect_token",
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

# Users are loaded when they are asked for: a service with users of its own may have a
# class of the same name. Guarded: an unguarded module __getattr__ makes type checkers
# accept every misspelt name of this package.
if not TYPE_CHECKING:
    _LAZY = {
        "AsyncRoleDAO": "_user_dao_async",
        "AsyncUserDAO": "_user_dao_async",
        "NewUser": "_user_entities",
        "RoleDAO": "_user_dao",
        "StoredRole": "_tables_users",
        "User": "_tables_users",
        "UserDAO": "_user_dao",
        "UserEntity": "_user_entities",
        "UserRole": "_tables_users",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _LAZY:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
