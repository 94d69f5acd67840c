"""The tokens of the current runtime, as the settings ask for them."""

from typing import TYPE_CHECKING, Any

from shared.auth._key import Key, KeyStatus
from shared.auth._key_file import KeyFile
from shared.auth._key_ring import KeyRing, KeySource
from shared.auth._remote_keys import RemoteKeys
from shared.auth._token_profile import TokenOptions
from shared.auth._token_service import TokenService
from shared.auth._token_service_async import AsyncMemoryTokenStore, AsyncTokenService
from shared.auth._token_store import AsyncTokenStore, MemoryTokenStore, TokenStore
from shared.auth._token_store_redis import AsyncRedisTokenStore, RedisTokenStore
from shared.auth._token_store_sql import AsyncSqlTokenStore, SqlTokenStore
from shared.errors import ConfigurationError
from shared.runtime import Runtime, current, use

if TYPE_CHECKING:
    from shared.config import SecuritySettings, SettingsReloaded

__all__ = ["get_async_token_service", "get_key_source", "get_token_service", "ring_from_settings"]


def ring_from_settings(section: "SecuritySettings") -> KeyRing:
    """Return the ring of ``JWT_SECRET_KEY`` or ``JWT_PRIVATE_KEY`` and their relatives.

    Args:
        section: ``settings.security``.

    Raises:
        ConfigurationError: There is no key, or one that must not be used.

    Example:
        >>> import secrets
        >>> from shared.config import SecuritySettings
        >>> ring_from_settings(SecuritySettings(JWT_SECRET_KEY=secrets.token_urlsafe(48))).active.algorithm
        'HS256'
    """
    name = section.JWT_ALGORITHM
    keys = _hmac_keys(section) if name.startswith("HS") else _pem_keys(section)
    if not keys:
        needed = "JWT_SECRET_KEY" if name.startswith("HS") else "JWT_PRIVATE_KEY or JWT_PUBLIC_KEY"
        msg = f"{needed} is not set: tokens signed with {name} can be neither made nor verified"
        raise ConfigurationError(msg)
    return KeyRing(keys, backend=section.JWT_BACKEND)


def _hmac_keys(section: "SecuritySettings") -> list[Key]:
    keys = []
    if section.JWT_SECRET_KEY is not None:
        keys.append(_named("JWT_SECRET_KEY", Key.from_secret, section.JWT_SECRET_KEY, section.JWT_ALGORITHM))
    for secret in section.JWT_PREVIOUS_SECRET_KEYS:
        key = _named("JWT_PREVIOUS_SECRET_KEYS", Key.from_secret, secret, section.JWT_ALGORITHM)
        if key.kid not in {each.kid for each in keys}:  # the present key, left there as well
            keys.append(key.with_status(KeyStatus.VERIFY_ONLY))
    return keys


def _pem_keys(section: "SecuritySettings") -> list[Key]:
    keys = []
    if section.JWT_PRIVATE_KEY is not None:
        keys.append(_named("JWT_PRIVATE_KEY", Key.from_pem, section.JWT_PRIVATE_KEY, section.JWT_ALGORITHM))
    if section.JWT_PUBLIC_KEY is not None:
        public = _named("JWT_PUBLIC_KEY", Key.from_pem, section.JWT_PUBLIC_KEY, section.JWT_ALGORITHM)
        if not keys:
            keys.append(public.with_status(KeyStatus.VERIFY_ONLY))
        elif public.kid != keys[0].kid:
            raise ConfigurationError("JWT_PUBLIC_KEY is not the public half of JWT_PRIVATE_KEY")
    return keys


def _named(name: str, load: Any, value: Any, algorithm: str) -> Key:
    try:
        key: Key = load(value, algorithm)
    except ConfigurationError as exc:
        msg = f"{name}: {exc.message}"
        raise ConfigurationError(msg) from exc
    return key


def get_token_service() -> TokenService:
    """Return the current runtime's tokens, built from ``settings.security`` on first use.

    Raises:
        ConfigurationError: The keys are missing or must not be used.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")):
        ...     tokens = get_token_service()
        ...     tokens is get_token_service(), tokens.options.access_life
        (True, 1800.0)
    """
    return current().get(TokenService, _service)


def get_async_token_service() -> AsyncTokenService:
    """Return the twin of :func:`get_token_service` for asynchronous code; both know the same.

    Raises:
        ConfigurationError: As :func:`get_token_service`.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")):
        ...     get_async_token_service() is get_async_token_service()
        True
    """
    return current().get(AsyncTokenService, _async_service)


def get_key_source() -> KeySource:
    """Return the current runtime's keys.

    Raises:
        ConfigurationError: They are missing or must not be used.

    Example:
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("orders")):
        ...     get_key_source().current().active.algorithm
        'HS256'
    """
    return current().get(KeySource, _source)


class SettingsKeys(KeySource):
    """The keys of the settings in force; follows ``reload_settings()`` without a restart."""

    __slots__ = ("_source",)

    def __init__(self, runtime: Runtime) -> None:
        from shared.config import SettingsReloaded, get_settings

        self._source = source_from_settings(get_settings().security)
        runtime.events.subscribe(SettingsReloaded, self._reloaded)

    @property
    def is_local(self) -> bool:  # type: ignore[override]
        """Whether the keys are here."""
        return self._source.is_local

    def current(self) -> KeyRing:
        """Return the ring in force."""
        return self._source.current()

    def ring_for(self, kid: str | None) -> KeyRing:
        """Return the ring in force, after looking for a *kid* that it lacks."""
        return self._source.ring_for(kid)

    async def aprepare(self, kid: str | None) -> None:
        """Do without blocking what :meth:`ring_for` would wait for."""
        await self._source.aprepare(kid)

    def _reloaded(self, event: "SettingsReloaded") -> None:
        if any(name.startswith("JWT_") for name in event.changes):
            # A wrong key raises here: it is logged, and the keys before stay in force.
            self._source = source_from_settings(event.settings.security)


def source_from_settings(section: "SecuritySettings") -> KeySource:
    """Return the source of keys that *section* names: a file, an address, or the values themselves.

    Raises:
        ConfigurationError: There is no key, or one that must not be used.
    """
    if section.JWT_KEYS_FILE is not None:
        keys = KeyFile(section.JWT_KEYS_FILE, backend=section.JWT_BACKEND)
        keys.current()  # a file that is not there is told now
        return keys
    if section.JWT_JWKS_URL is not None:
        return RemoteKeys(section.JWT_JWKS_URL, backend=section.JWT_BACKEND)
    return ring_from_settings(section)


def _source(runtime: Runtime) -> KeySource:
    return SettingsKeys(runtime)


def _service(runtime: Runtime) -> TokenService:
    with use(runtime):
        section = _section()
        return TokenService(
            runtime.get(KeySource, _source),
            _store(runtime, section),
            options=TokenOptions.from_settings(section),
            events=runtime.events,
        )


def _async_service(runtime: Runtime) -> AsyncTokenService:
    with use(runtime):
        section = _section()
        return AsyncTokenService(
            runtime.get(KeySource, _source),
            _async_store(runtime, section),
            options=TokenOptions.from_settings(section),
            events=runtime.events,
        )


def _section() -> "SecuritySettings":
    from shared.config import get_settings

    return get_settings().security


class _AsyncRedis:
    """A store that is closed by awaiting, where the runtime awaits; elsewhere left as it is."""

    def __init__(self, store: AsyncRedisTokenStore) -> None:
        self.store = store

    def close(self) -> None:
        """Do nothing: without an event loop there is nothing to close it in."""

    async def aclose(self) -> None:
        """Close it."""
        await self.store.close()


def _memory(runtime: Runtime) -> MemoryTokenStore:
    del runtime
    return MemoryTokenStore()


def _store(runtime: Runtime, section: "SecuritySettings") -> TokenStore:
    if section.AUTH_STORE == "database":
        from shared.database import get_database

        return SqlTokenStore(get_database())
    if section.AUTH_STORE == "redis":
        from shared.config import get_redis_url

        return runtime.get(RedisTokenStore, lambda _: RedisTokenStore(get_redis_url()))
    return runtime.get(MemoryTokenStore, _memory)


def _async_store(runtime: Runtime, section: "SecuritySettings") -> AsyncTokenStore:
    if section.AUTH_STORE == "database":
        from shared.database import get_database

        return AsyncSqlTokenStore(get_database())
    if section.AUTH_STORE == "redis":
        from shared.config import get_redis_url

        return runtime.get(_AsyncRedis, lambda _: _AsyncRedis(AsyncRedisTokenStore(get_redis_url()))).store
    return AsyncMemoryTokenStore(runtime.get(MemoryTokenStore, _memory))
