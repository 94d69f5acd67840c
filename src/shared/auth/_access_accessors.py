"""API keys and sessions of the current runtime, as the settings ask for them."""

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from shared.auth._api_keys import ApiKeys, AsyncApiKeys
from shared.auth._record_store import (
    AsyncMemoryRecordStore,
    AsyncRecordStore,
    MemoryRecordStore,
    RecordKind,
    RecordStore,
)
from shared.auth._session import SessionCookie
from shared.auth._sessions import AsyncSessions, Sessions
from shared.errors import ConfigurationError
from shared.runtime import Runtime, current, use

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.database import Database

__all__ = ["get_api_keys", "get_async_api_keys", "get_async_sessions", "get_session_cookie", "get_sessions"]

T = TypeVar("T")


def get_api_keys() -> ApiKeys:
    """Return the current runtime's API keys, built from ``settings.security`` on first use.

    They are kept where ``AUTH_STORE`` says and hashed with ``API_KEY_PEPPER``; keys of
    production begin with ``sk_live_``, others with ``sk_test_``.

    Raises:
        ConfigurationError: The pepper is missing or too short.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("docs")) as runtime:
        ...     new = get_api_keys().create("billing")
        ...     print(new.secret.get_secret_value()[:8])
        ...     runtime.close()
        sk_test_
    """
    return current().get(ApiKeys, _api_keys)


def get_async_api_keys() -> AsyncApiKeys:
    """Return the twin of :func:`get_api_keys` for asynchronous code; both know the same.

    Raises:
        ConfigurationError: As :func:`get_api_keys`.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("docs")) as runtime:
        ...     get_async_api_keys() is get_async_api_keys()
        ...     runtime.close()
        True
    """
    return current().get(_AsyncApiKeys, _async_api_keys).value


def get_sessions() -> Sessions:
    """Return the current runtime's sessions, built from ``settings.security`` on first use.

    They are kept where ``AUTH_STORE`` says, for ``SESSION_IDLE_MINUTES`` without use and
    ``SESSION_ABSOLUTE_HOURS`` at most.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("docs")) as runtime:
        ...     get_sessions().of_user("u-1")
        ...     runtime.close()
        []
    """
    return current().get(Sessions, _sessions)


def get_async_sessions() -> AsyncSessions:
    """Return the twin of :func:`get_sessions` for asynchronous code; both know the same.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("docs")) as runtime:
        ...     get_async_sessions() is get_async_sessions()
        ...     runtime.close()
        True
    """
    return current().get(_AsyncSessions, _async_sessions).value


def get_session_cookie() -> SessionCookie:
    """Return how the session cookie is called and set: ``SESSION_COOKIE_NAME``.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("docs")):
        ...     get_session_cookie().name
        '__Host-session'
    """
    return current().get(SessionCookie, _cookie)


# --- what the runtime keeps ----------------------------------------------------------------


class _Held(Generic[T]):
    """Something that is closed by awaiting, where the runtime awaits; elsewhere left as it is."""

    def __init__(self, value: T) -> None:
        self.value = value

    def close(self) -> None:
        """Do nothing: without an event loop there is nothing to close it in."""

    async def aclose(self) -> None:
        """Close it."""
        await self.value.close()  # type: ignore[attr-defined]


class _AsyncApiKeys(_Held[AsyncApiKeys]):
    pass


class _AsyncSessions(_Held[AsyncSessions]):
    pass


class _MemoryStores(dict[str, MemoryRecordStore]):
    """The process's own stores by kind, for both twins."""


def _settings(runtime: Runtime) -> "Settings":
    from shared.config import get_settings

    with use(runtime):
        return get_settings()


def _memory(runtime: Runtime, kind: RecordKind) -> MemoryRecordStore:
    stores = runtime.get(_MemoryStores, lambda _: _MemoryStores())
    return stores.setdefault(kind, MemoryRecordStore())


def _store(runtime: Runtime, settings: "Settings", kind: RecordKind) -> RecordStore:
    where = settings.security.AUTH_STORE
    if where == "redis":
        from shared.auth._record_store_redis import RedisRecordStore

        return RedisRecordStore(_redis_url(settings), kind)
    if where == "database":
        from shared.auth._record_store_sql import SqlRecordStore

        return SqlRecordStore(_database(runtime), kind)
    return _memory(runtime, kind)


def _async_store(runtime: Runtime, settings: "Settings", kind: RecordKind) -> AsyncRecordStore:
    where = settings.security.AUTH_STORE
    if where == "redis":
        from shared.auth._record_store_redis import AsyncRedisRecordStore

        return AsyncRedisRecordStore(_redis_url(settings), kind)
    if where == "database":
        from shared.auth._record_store_sql import AsyncSqlRecordStore

        return AsyncSqlRecordStore(_database(runtime), kind)
    return AsyncMemoryRecordStore(_memory(runtime, kind))


def _database(runtime: Runtime) -> "Database":
    from shared.database import get_database

    with use(runtime):
        return get_database()


def _redis_url(settings: "Settings") -> str:
    url = settings.redis.REDIS_URL
    if url is None:
        raise ConfigurationError("AUTH_STORE is redis and REDIS_URL is not set")
    return url


def _key_options(settings: "Settings") -> dict[str, Any]:
    from shared.constants import Environment

    security = settings.security
    is_live = settings.app.ENVIRONMENT == Environment.PRODUCTION
    peppers = [security.API_KEY_PEPPER, *security.API_KEY_PREVIOUS_PEPPERS]
    return {"pepper": peppers, "mode": "live" if is_live else "test"}


def _api_keys(runtime: Runtime) -> ApiKeys:
    settings = _settings(runtime)
    return ApiKeys(_store(runtime, settings, "api_key"), **_key_options(settings))


def _async_api_keys(runtime: Runtime) -> _AsyncApiKeys:
    settings = _settings(runtime)
    return _AsyncApiKeys(AsyncApiKeys(_async_store(runtime, settings, "api_key"), **_key_options(settings)))


def _times(settings: "Settings") -> dict[str, Any]:
    security = settings.security
    idle = security.SESSION_IDLE_MINUTES * 60.0
    absolute = security.SESSION_ABSOLUTE_HOURS * 3600.0
    return {
        "idle_timeout": min(idle, absolute),
        "absolute_timeout": absolute,
        "touch_every": min(60.0, idle / 4),
    }


def _sessions(runtime: Runtime) -> Sessions:
    settings = _settings(runtime)
    return Sessions(_store(runtime, settings, "session"), **_times(settings))


def _async_sessions(runtime: Runtime) -> _AsyncSessions:
    settings = _settings(runtime)
    return _AsyncSessions(AsyncSessions(_async_store(runtime, settings, "session"), **_times(settings)))


def _cookie(runtime: Runtime) -> SessionCookie:
    from shared.constants import Environment

    settings = _settings(runtime)
    security = settings.security
    if security.SESSION_COOKIE_INSECURE and settings.app.ENVIRONMENT == Environment.PRODUCTION:
        raise ConfigurationError("SESSION_COOKIE_INSECURE is for development: production sends it over https")
    return SessionCookie(name=security.SESSION_COOKIE_NAME, insecure=security.SESSION_COOKIE_INSECURE)
