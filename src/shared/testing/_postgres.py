"""PostgreSQL for tests: a server of one's own, and databases on any server."""

import itertools
import re
from typing import TYPE_CHECKING, Any, Final

from shared.config import ConnectionUrl
from shared.errors import ConfigurationError, MissingDependencyError, ServiceUnavailableError
from shared.testing._binaries import Search, find_postgres
from shared.testing._given import reason_of
from shared.testing._own import OwnServer

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = [
    "PostgresServer",
    "create_database",
    "drop_database",
    "name_of",
    "postgres_version",
    "with_database",
]

_URL: Final = re.compile(r"^([^:/?#]+://[^/?#]*)(?:/[^?#]*)?(\?.*)?$", re.DOTALL)
_CONNECT_SECONDS: Final = 5


class PostgresServer(OwnServer):
    """A real PostgreSQL that belongs to one test: stop it, kill it, start it again.

    For tests of what happens when the server goes away; others share one server through
    the fixture ``shared_postgres``. Started from the machine's binaries or those of the
    extra ``test-engines``, also as root. It listens on a socket in a private folder,
    does not survive a power cut (no fsync), dies with the process that started it and
    leaves nothing behind.

    Example:
        >>> with PostgresServer() as server:
        ...     server.product, server.url.startswith("postgresql://postgres@/postgres?host=")
        ('PostgreSQL', True)
    """

    kind = "postgres"

    @staticmethod
    def _find() -> Search:
        return find_postgres()

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)

    def create_database(self, *, template: str | None = None) -> ConnectionUrl:
        """Create a database and return its URL.

        Args:
            template: URL of a database of this server to copy; nobody may be
                connected to it.

        Raises:
            ServiceUnavailableError: The server refuses; the message says why.

        Example:
            >>> with PostgresServer() as server:
            ...     server.create_database() == server.create_database()
            False
        """
        return create_database(self.url, f"test_{next(self._numbers)}", template=template)


def connect(url: str) -> "Connection[Any]":
    """Return a connection in autocommit mode.

    Raises:
        MissingDependencyError: psycopg is not installed.
        ServiceUnavailableError: The server does not let us in; the message has no password.
    """
    psycopg = _psycopg()
    plain = re.sub(r"^([a-z]+)\+\w+://", r"\1://", str(url))
    try:
        connection: Connection[Any] = psycopg.connect(
            plain, autocommit=True, connect_timeout=_CONNECT_SECONDS
        )
    except (psycopg.Error, UnicodeError) as exc:
        msg = f"{ConnectionUrl(url).masked} cannot be reached: {reason_of(exc, url)}"
        raise ServiceUnavailableError(msg) from None
    return connection


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as exc:
        raise MissingDependencyError("psycopg", extra="postgres") from exc
    return psycopg


def postgres_version(url: str) -> str:
    """Return the version of the server at *url*, such as ``15.18``.

    Raises:
        ServiceUnavailableError: It cannot be reached.
    """
    with connect(url) as connection:
        row = connection.execute("show server_version").fetchone()
    return str(row[0]).split()[0] if row else "unknown"


def with_database(url: str, name: str) -> ConnectionUrl:
    """Return *url* with another database name."""
    match = _URL.match(str(url))
    if match is None:
        msg = f"{ConnectionUrl(url).masked} is not a URL of the form scheme://host/name"
        raise ConfigurationError(msg)
    return ConnectionUrl(f"{match[1]}/{name}{match[2] or ''}")


def create_database(url: str, name: str, *, template: str | None = None) -> ConnectionUrl:
    """Create the database *name* on the server at *url* and return its URL.

    Raises:
        ServiceUnavailableError: The server cannot be reached or refuses.
    """
    sql = _psycopg().sql
    copied = sql.SQL("")
    if template is not None:
        copied = sql.SQL(" TEMPLATE {}").format(sql.Identifier(name_of(template)))
    statement = sql.SQL("CREATE DATABASE {}{}").format(sql.Identifier(name), copied)
    _execute(url, statement, f"database {name!r} cannot be created")
    return with_database(url, name)


def drop_database(url: str, name: str) -> None:
    """Drop the database *name* on the server at *url*, with whoever is connected to it.

    Raises:
        ServiceUnavailableError: The server cannot be reached or refuses.
    """
    sql = _psycopg().sql
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    _execute(url, statement, f"database {name!r} cannot be dropped")


def _execute(url: str, statement: Any, failed: str) -> None:
    psycopg = _psycopg()
    with connect(url) as connection:
        try:
            connection.execute(statement)
        except psycopg.Error as exc:
            hint = ""
            if isinstance(exc, psycopg.errors.InsufficientPrivilege):
                hint = "; let the role create databases: ALTER ROLE … CREATEDB"
            msg = f"{failed} on {ConnectionUrl(url).masked}: {reason_of(exc, url)}{hint}"
            raise ServiceUnavailableError(msg) from None


def name_of(url: str) -> str:
    """Return the name of the database in *url*."""
    path = re.sub(r"^[^:]+://[^/?#]*/?", "", str(url)).partition("?")[0]
    return path or "postgres"
