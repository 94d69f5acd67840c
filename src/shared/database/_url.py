"""From the URL of a database to what the driver takes."""

import difflib
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from shared.database._options import DatabaseOptions
from shared.errors import ConfigurationError, InvalidArgumentError, MissingDependencyError
from shared.security import mask_url

__all__ = ["Target", "parse_url"]

_POSTGRES: Final = frozenset({"postgres", "postgresql"})
_DRIVERS: Final = frozenset({"", "psycopg", "pysqlite", "aiosqlite"})
_SQLITE_QUERY: Final = frozenset({"mode", "cache", "immutable", "vfs", "uri"})
# Spellings other tools use in the URL, and the option each is here.
_NUMBERS: Final = {
    "connection_limit": "connection_limit",
    "pool_size": "pool_size",
    "max_overflow": "max_overflow",
    "pool_timeout": "pool_timeout",
    "connect_timeout": "connect_timeout",
    "statement_timeout": "statement_timeout",
    "busy_timeout": "busy_timeout",
}
_WHOLE: Final = frozenset({"connection_limit", "pool_size", "max_overflow"})
_FLAGS: Final = {"pooler": "pooler", "pgbouncer": "pooler"}
_TRUE: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Target:
    """A database that was understood: what to connect to, and how.

    Attributes:
        system: ``postgresql`` or ``sqlite``.
        url: Without our own parameters and without a driver.
        options: The given options, with those of the URL on top.
        schema: PostgreSQL schema to work in, or None.
        in_memory: Whether it is SQLite without a file.
    """

    system: str
    url: URL
    options: DatabaseOptions
    schema: str | None = None
    in_memory: bool = False

    @property
    def masked(self) -> str:
        """The address without its password, for messages."""
        return mask_url(self.url.render_as_string(hide_password=True))


def parse_url(url: str, options: DatabaseOptions) -> Target:
    """Return what *url* means.

    ``connection_limit`` sets the size of the pool without overflow; ``pool_timeout``,
    ``connect_timeout``, ``statement_timeout`` and ``busy_timeout`` are seconds;
    ``schema`` is a PostgreSQL schema, ``pooler=true`` tells of a pooler in between.

    Raises:
        ConfigurationError: The URL is malformed, its scheme or a parameter is unknown.
            The message never holds the password.
    """
    if str(url).partition(":")[0].lower() == "memory":
        url = "sqlite://"
    # The cause is left out on purpose: some releases quote the whole text.
    try:
        parsed = make_url(str(url))
    except (ArgumentError, ValueError):
        raise _malformed() from None
    scheme, _, driver = parsed.drivername.lower().partition("+")
    if scheme not in _POSTGRES and scheme != "sqlite":
        msg = f"DATABASE_URL: unknown scheme {scheme!r} (known: memory, postgresql, sqlite)"
        raise ConfigurationError(msg)
    if driver not in _DRIVERS:
        msg = (
            f"DATABASE_URL: driver {driver!r} is not used here: write {scheme}://, "
            "one URL serves synchronous and asynchronous code"
        )
        raise ConfigurationError(msg)
    if scheme == "sqlite":
        return _sqlite(parsed, options)
    return _postgres(parsed, options)


def _malformed() -> ConfigurationError:
    return ConfigurationError(
        "DATABASE_URL: not a URL of the form postgresql://user:password@host:port/name or "
        "sqlite:///file.db (special characters of the password are written as %40 and so on)"
    )


def _sqlite(parsed: URL, options: DatabaseOptions) -> Target:
    ours, rest = _split(parsed, options)
    _known(rest, _SQLITE_QUERY)
    name = parsed.database or ""
    in_memory = name in {"", ":memory:"} or rest.get("mode") == "memory"
    if parsed.host:
        msg = "DATABASE_URL: sqlite has no host: write sqlite:///relative.db or sqlite:////absolute.db"
        raise ConfigurationError(msg)
    url = URL.create("sqlite", database=name or None, query=rest)
    return Target("sqlite", url, ours, in_memory=in_memory)


def _postgres(parsed: URL, options: DatabaseOptions) -> Target:
    try:
        from psycopg import conninfo, pq
    except ImportError as exc:
        raise MissingDependencyError("psycopg", extra="postgres") from exc
    del conninfo
    ours, rest = _split(parsed, options)
    schema = rest.pop("schema", None)
    if schema is not None and not str(schema).replace("_", "").isalnum():
        msg = f"DATABASE_URL: schema {schema!r} may hold letters, digits and underscores only"
        raise ConfigurationError(msg)
    _known(rest, {option.keyword.decode() for option in pq.Conninfo.get_defaults()})
    url = parsed.set(drivername="postgresql", query=rest)
    return Target("postgresql", url, ours, schema=schema)


def _split(parsed: URL, options: DatabaseOptions) -> tuple[DatabaseOptions, dict[str, Any]]:
    """Return the options with those of the URL on top, and the parameters of the driver."""
    rest: dict[str, Any] = dict(parsed.query)
    changes: dict[str, Any] = {}
    for name, option in _NUMBERS.items():
        if name in rest:
            changes[option] = _number(name, rest.pop(name))
    for name, option in _FLAGS.items():
        if name in rest:
            word = rest.pop(name)
            if not isinstance(word, str) or word.lower() not in _TRUE:
                msg = f"DATABASE_URL: {name} is true or false, got {word!r}"
                raise ConfigurationError(msg)
            changes[option] = _TRUE[word.lower()]
    if "application_name" in rest:
        changes["application_name"] = rest.pop("application_name")
    limit = changes.pop("connection_limit", None)
    if limit is not None:
        changes = {"pool_size": limit, "max_overflow": 0, **changes}
    try:
        return replace(options, **changes), rest
    except InvalidArgumentError as exc:
        msg = f"DATABASE_URL: {exc}"
        raise ConfigurationError(msg) from exc


def _number(name: str, text: Any) -> float | int:
    try:
        number = int(text) if name in _WHOLE else float(text)
    except (TypeError, ValueError):
        number = -2
    if not -1 <= number <= 31_536_000:
        kind = "a whole number" if name in _WHOLE else "seconds"
        msg = f"DATABASE_URL: {name} is {kind}, got {text!r}"
        raise ConfigurationError(msg)
    return number


def _known(rest: dict[str, Any], known: "frozenset[str] | set[str]") -> None:
    for name in rest:
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *_NUMBERS, *_FLAGS, "schema"], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            msg = f"DATABASE_URL: unknown parameter {name[:60]!r}{hint}"
            raise ConfigurationError(msg)
