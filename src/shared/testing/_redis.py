"""Redis for tests: a server of one's own, and logical databases on any server."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from shared.config import ConnectionUrl
from shared.errors import MissingDependencyError, ServiceUnavailableError
from shared.testing._binaries import Search, find_redis
from shared.testing._given import reason_of
from shared.testing._own import OwnServer

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisServer", "claim", "connect", "flush", "redis_version", "with_number"]

_CLAIM_SECONDS: Final = 24 * 3600


class RedisServer(OwnServer):
    """A real Redis or Valkey that belongs to one test: stop it, kill it, start it again.

    As :class:`PostgresServer`: for tests of what happens when the server goes away.
    It listens on a free port of the loopback address behind a random password, keeps
    nothing on disk, dies with the process that started it and leaves nothing behind.

    Example:
        >>> with RedisServer() as server:
        ...     server.product in {"Redis", "Valkey"}, server.url.scheme
        (True, 'redis')
    """

    kind = "redis"

    @staticmethod
    def _find() -> Search:
        return find_redis()


@contextlib.contextmanager
def connect(url: str) -> "Iterator[Redis]":
    """Open a client for *url*.

    Raises:
        MissingDependencyError: redis is not installed.
        ServiceUnavailableError: The server does not let us in; the message has no password.
    """
    try:
        import redis
    except ImportError as exc:
        raise MissingDependencyError("redis", extra="redis") from exc
    try:
        client = redis.Redis.from_url(str(url), socket_connect_timeout=5.0, socket_timeout=10.0)
    except ValueError as exc:
        msg = f"{ConnectionUrl(url).masked} is not understood: {reason_of(exc, url)}"
        raise ServiceUnavailableError(msg) from None
    try:
        yield client
    except redis.RedisError as exc:
        msg = f"{ConnectionUrl(url).masked} cannot be used: {reason_of(exc, url)}"
        raise ServiceUnavailableError(msg) from None
    finally:
        client.close()


def redis_version(url: str) -> tuple[str, str]:
    """Return product and version of the server at *url*.

    Raises:
        ServiceUnavailableError: It cannot be reached.
    """
    with connect(url) as client:
        info: dict[str, Any] = client.info("server")
    if "valkey_version" in info:
        return "Valkey", str(info["valkey_version"])
    return "Redis", str(info.get("redis_version", "unknown"))


def with_number(url: str, number: int) -> ConnectionUrl:
    """Return *url* with the logical database *number*."""
    address, _, query = str(url).partition("?")
    parameters = [each for each in query.split("&") if each and not each.startswith("db=")]
    if address.startswith("unix:"):
        parameters.append(f"db={number}")
    else:
        address = re.sub(r"^([^:]+://[^/]*).*$", rf"\1/{number}", address)
    return ConnectionUrl("?".join([address, "&".join(parameters)]) if parameters else address)


def flush(url: str) -> None:
    """Empty the logical database of *url*.

    Raises:
        ServiceUnavailableError: The server cannot be reached or refuses.
    """
    with connect(url) as client:
        client.flushdb()


@contextlib.contextmanager
def claim(url: str, token: str) -> Iterator[ConnectionUrl]:
    """Reserve an empty logical database on somebody's server and return its URL.

    A database with a key in it is never taken, so nothing of others is ever deleted.
    Reservations are keys of the last database; they expire after a day if the run is
    killed.

    Args:
        url: The server.
        token: Who reserves.

    Raises:
        ServiceUnavailableError: The server cannot be reached, or no database is free.
    """
    with connect(url) as client:
        count = _databases(client)
    ledger = with_number(url, count - 1)
    number = _reserve(url, ledger, range(count - 1), token)
    try:
        yield with_number(url, number)
    finally:
        with connect(ledger) as client:
            client.delete(_key(number))


def _databases(client: "Redis") -> int:
    import redis

    try:
        found: dict[str, str] = client.config_get("databases")  # type: ignore[assignment]
    except redis.ResponseError:  # managed servers hide their configuration; 16 is what all have
        found = {}
    return int(found.get("databases", 16))


def _reserve(url: str, ledger: str, numbers: range, token: str) -> int:
    refused: list[str] = []
    with connect(ledger) as book:
        for number in numbers:
            if not book.set(_key(number), token, nx=True, ex=_CLAIM_SECONDS):
                refused.append(f"{number} is reserved by another run")
                continue
            with connect(with_number(url, number)) as client:
                size = client.dbsize()
            if size == 0:
                return number
            book.delete(_key(number))
            refused.append(f"{number} holds {size} keys")
    msg = (
        f"no logical database of {ConnectionUrl(url).masked} is empty and free "
        f"({'; '.join(refused[:20]) or 'it has one only'}): empty one, or give a server for tests alone"
    )
    raise ServiceUnavailableError(msg)


def _key(number: int) -> str:
    return f"shared-test:reserved:{number}"
