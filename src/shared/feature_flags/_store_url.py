"""The store of flags that a URL names."""

from typing import Final
from urllib.parse import unquote, urlsplit

from shared.cache import is_redis_url
from shared.config import ConnectionUrl
from shared.errors import ConfigurationError
from shared.feature_flags._store import FlagStore
from shared.feature_flags._store_file import FileFlagStore
from shared.feature_flags._store_memory import MemoryFlagStore
from shared.feature_flags._store_redis import RedisFlagStore

__all__ = ["flag_store"]

_SQL: Final = frozenset({"postgres", "postgresql", "sqlite"})


def flag_store(url: str, *, namespace: str = "default") -> FlagStore:
    """Return the store of flags at *url*. Close it when done.

    Args:
        url: ``memory://``; ``file:///etc/orders/flags.yaml`` (also ``.json``, ``.toml``);
            ``sqlite:///flags.db`` or ``postgresql://…`` with the tables of the room
            ``feature_flags``; or one of :func:`shared.cache.redis_client`.
        namespace: Which set of flags, in a database or Redis.

    Raises:
        ConfigurationError: The URL is none of these.
        MissingDependencyError: The driver is not installed.

    Example:
        >>> flag_store("memory://").shown
        'memory'
    """
    scheme = url.partition(":")[0].lower().partition("+")[0]
    if is_redis_url(url):
        return RedisFlagStore(url, namespace=namespace)
    if url == "memory://":
        return MemoryFlagStore()
    if scheme == "file":
        return FileFlagStore(_path(url))
    if scheme in _SQL:
        from shared.database import Database
        from shared.feature_flags._store_sql import SqlFlagStore

        return SqlFlagStore(Database(url, name="flags"), namespace=namespace, owns_database=True)
    msg = (
        f"not a store of flags: {ConnectionUrl(url).masked} (known: memory://, file:///flags.yaml, "
        "sqlite:///file.db, postgresql://, redis://, rediss://, unix://, redis+cluster://)"
    )
    raise ConfigurationError(msg)


def _path(url: str) -> str:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or len(path) < 2:
        raise ConfigurationError("a file of flags is named by its whole path: file:///etc/orders/flags.yaml")
    return path
