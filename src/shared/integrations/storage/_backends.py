"""From a URL to what keeps the bytes."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from shared.errors import ConfigurationError, MissingDependencyError, ValidationError
from shared.integrations.storage._keys import check_key
from shared.integrations.storage._local import LocalBackend
from shared.integrations.storage._memory import MemoryBackend
from shared.integrations.storage._objects import AsyncObjectBackend, ObjectBackend
from shared.integrations.storage._options import StorageOptions, revealed
from shared.integrations.storage._parts import AsyncBackend, Attributes, Backend, Condition, Found, Reader
from shared.integrations.storage._staging import Staged
from shared.security import mask_url

__all__ = ["awaited", "backend_from_url"]

_EXTRAS: Final = {"s3": "s3", "gs": "gcs"}


def backend_from_url(url: str, options: StorageOptions) -> Backend:
    """Return what keeps the bytes.

    Raises:
        ConfigurationError: The URL is none of those known.
        MissingDependencyError: obstore is not installed.
    """
    try:
        split = urlsplit(url)
    except ValueError as exc:
        raise ConfigurationError("the URL of the storage cannot be read") from exc
    if split.scheme == "memory":
        return MemoryBackend()
    if split.scheme == "file":
        return _directory(url, split.netloc, unquote(split.path), split.query)
    if split.scheme in _EXTRAS:
        return _bucket(split.scheme, split.netloc, unquote(split.path), options)
    msg = (
        f"no storage has the URL {mask_url(url)!r:.200} "
        "(known: memory://, file:///directory, s3://bucket/prefix, gs://bucket/prefix)"
    )
    raise ConfigurationError(msg)


def _directory(url: str, host: str, path: str, query: str) -> LocalBackend:
    if host not in ("", "localhost") or path in ("", "/") or "\x00" in path:
        msg = f"a directory has the URL file:///path/of/it, with three slashes, got {mask_url(url)!r:.200}"
        raise ConfigurationError(msg)
    given = parse_qs(query)
    if set(given) - {"fsync"} or given.get("fsync", ["on"])[0] not in ("on", "off"):
        msg = f"the URL of a directory has one option, fsync=on or fsync=off, got {query!r:.80}"
        raise ConfigurationError(msg)
    return LocalBackend(path, fsync=given.get("fsync") != ["off"])


def _bucket(scheme: str, bucket: str, path: str, options: StorageOptions) -> ObjectBackend:
    prefix = path.strip("/")
    try:
        check_key(prefix or "x")
    except ValidationError as exc:
        msg = f"the prefix in the URL of the storage is no key: {exc.message}"
        raise ConfigurationError(msg) from exc
    if not bucket or "@" in bucket:
        msg = f"a bucket has the URL {scheme}://bucket/prefix, with credentials in the settings"
        raise ConfigurationError(msg)
    try:
        from obstore.store import GCSStore, S3Store
    except ImportError as exc:
        raise MissingDependencyError("obstore", extra=_EXTRAS[scheme]) from exc
    config = _s3(options) if scheme == "s3" else _google(options)
    store: Any = S3Store if scheme == "s3" else GCSStore
    try:
        made = store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=_client(options),
            # Tries are ours to make: one owner, who knows the breaker and the deadline.
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=options.timeout)},
        )
    except Exception as exc:  # noqa: BLE001 - classes of its own, OSError and ValueError
        # Its text quotes the configuration, so the class alone is told.
        where, what = f"{scheme}://{bucket}", type(exc).__name__
        msg = f"the settings of {where} cannot be used: {what} (key file, region or endpoint)"
        raise ConfigurationError(msg) from None
    masked = f"{scheme}://{bucket}/{prefix}" if prefix else f"{scheme}://{bucket}"
    return ObjectBackend(made, scheme=scheme, masked_url=masked)


def _s3(options: StorageOptions) -> dict[str, Any]:
    config = {
        "access_key_id": revealed(options.access_key_id),
        "secret_access_key": revealed(options.secret_access_key),
        "session_token": revealed(options.session_token),
        "region": options.region,
        "endpoint": options.endpoint_url and str.__str__(options.endpoint_url),
    }
    return {name: value for name, value in config.items() if value}


def _google(options: StorageOptions) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if options.credentials_path:
        config["service_account"] = os.fspath(options.credentials_path)
    if options.endpoint_url:
        config["base_url"] = str.__str__(options.endpoint_url)
        if (
            not options.credentials_path
        ):  # an emulator wants none, and the client would ask the machine's role
            config["bearer_token"] = "none"  # noqa: S105 - it is none
    return config


def _client(options: StorageOptions) -> dict[str, Any]:
    return {
        "allow_http": bool(options.endpoint_url and options.endpoint_url.startswith("http://")),
        "connect_timeout": timedelta(seconds=min(5.0, options.timeout)),
        "read_timeout": timedelta(seconds=options.timeout),
        "timeout": timedelta(seconds=options.transfer_timeout),
        "user_agent": "libs-shared",
    }


# --- the asynchronous face of what has none ----------------------------------------------------


def awaited(backend: Backend) -> AsyncBackend:
    """Return the asynchronous face of *backend*: its own, at once for memory, else in threads."""
    if isinstance(backend, ObjectBackend):
        return AsyncObjectBackend(backend.store, scheme=backend.scheme, masked_url=backend.masked_url)
    return _Awaited(backend, _at_once if isinstance(backend, MemoryBackend) else asyncio.to_thread)


async def _at_once(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class _Awaited:
    """Calls a synchronous backend from a coroutine."""

    def __init__(self, backend: Backend, call: Callable[..., Awaitable[Any]]) -> None:
        self._backend = backend
        self._call = call

    async def stat(self, key: str) -> Found:
        found: Found = await self._call(self._backend.stat, key)
        return found

    async def open(self, key: str, start: int, stop: int | None) -> "_AwaitedReader":
        return _AwaitedReader(await self._call(self._backend.open, key, start, stop), self._call)

    async def write(self, key: str, staged: Staged, attributes: Attributes, condition: Condition) -> Found:
        found: Found = await self._call(self._backend.write, key, staged, attributes, condition)
        return found

    async def delete(self, key: str) -> bool:
        return bool(await self._call(self._backend.delete, key))

    async def copy(self, source: str, target: str) -> None:
        await self._call(self._backend.copy, source, target)

    async def page(self, prefix: str, after: str, limit: int) -> list[Found]:
        found: list[Found] = await self._call(self._backend.page, prefix, after, limit)
        return found

    async def sign(self, method: str, key: str, seconds: float) -> str | None:
        return self._backend.sign(method, key, seconds)

    async def check(self) -> None:
        await self._call(self._backend.check)


class _AwaitedReader:
    def __init__(self, reader: Reader, call: Callable[..., Awaitable[Any]]) -> None:
        self.found = reader.found
        self._reader = reader
        self._call = call

    async def read(self) -> bytes:
        data: bytes = await self._call(self._reader.read)
        return data

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        pieces = self._reader.chunks(size)
        while (piece := await self._call(next, pieces, None)) is not None:
            yield piece

    async def close(self) -> None:
        self._reader.close()
