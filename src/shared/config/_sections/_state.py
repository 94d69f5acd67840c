"""Where the data is: database, Redis, object storage, jobs."""

from typing import Annotated
from urllib.parse import quote

from pydantic import Field, SecretStr

from shared.config._field import Section, setting
from shared.config._sections._common import HttpUrl, Port, Printable, Seconds
from shared.config._types import ConnectionUrl, UrlScheme

DatabaseUrl = Annotated[
    ConnectionUrl,
    UrlScheme("cockroachdb", "mariadb", "mssql", "mysql", "oracle", "postgres", "postgresql", "sqlite"),
]


class DatabaseSettings(Section):
    """The SQL database: ``settings.database``.

    Example:
        >>> DatabaseSettings(DB_POOL_SIZE="20").DB_POOL_SIZE
        20
    """

    DATABASE_URL: DatabaseUrl | None = setting(
        None,
        "URL of the database, such as postgresql://user:password@host:5432/name.",
        profiles={"development": "sqlite:///app.db", "testing": "sqlite://"},
    )
    DATABASE_REPLICA_URLS: list[DatabaseUrl] = setting([], "URLs of read replicas.")
    DB_POOL_SIZE: int = setting(
        5, "Connections kept open per process.", ge=1, le=1000, profiles={"production": 20}
    )
    DB_MAX_OVERFLOW: int = setting(
        10, "Connections opened above DB_POOL_SIZE under load; -1 is without limit.", ge=-1
    )
    DB_POOL_TIMEOUT: Seconds = setting(5.0, "Longest wait for a free connection, in seconds.")
    DB_POOL_RECYCLE: int = setting(
        1800, "Age at which a connection is replaced, in seconds; -1 is never.", ge=-1
    )
    DB_POOL_PRE_PING: bool = setting(True, "Whether a connection is tested before it is handed out.")
    DB_CONNECT_TIMEOUT: Seconds = setting(5.0, "Longest wait for a new connection, in seconds.")
    DB_STATEMENT_TIMEOUT: Seconds | None = setting(
        None, "Longest run of one statement, in seconds; none is no limit."
    )
    DB_MAX_REPLICA_LAG: Seconds | None = setting(
        None, "A replica that is behind for longer than this is not read from, in seconds; none is no limit."
    )
    DB_SLOW_QUERY_SECONDS: Seconds = setting(
        1.0, "Statements that take longer than this are logged, in seconds."
    )
    DB_ECHO: bool = setting(False, "Whether every statement is logged.")
    DB_ALLOW_SQLITE: bool = setting(False, "Whether SQLite is accepted in production.")
    DB_ALLOW_PLAINTEXT: bool = setting(
        False, "Whether an unencrypted connection to another machine is accepted in production."
    )


class RedisSettings(Section):
    """Redis, by URL or by parts: ``settings.redis``.

    Example:
        >>> RedisSettings(REDIS_HOST="cache", REDIS_PASSWORD="p@ss").url
        'redis://:***@cache:6379/0'
        >>> RedisSettings().url is None
        True
    """

    REDIS_URL: Annotated[ConnectionUrl, UrlScheme("memory", "redis", "rediss", "unix")] | None = setting(
        None, "URL of Redis, such as rediss://user:password@host:6379/0; it wins over the parts below."
    )
    REDIS_HOST: str | None = setting(
        None,
        "Host of Redis, when there is no REDIS_URL.",
        pattern=r"^[A-Za-z0-9._:\-]+$",
        expects="a host name or an IP address",
    )
    REDIS_PORT: Port = setting(6379, "Port of Redis.")
    REDIS_USERNAME: str | None = setting(None, "User of Redis.")
    REDIS_PASSWORD: SecretStr | None = setting(None, "Password of Redis.")
    REDIS_DB: int = setting(0, "Number of the Redis database.", ge=0, le=1023)
    REDIS_TLS: bool = setting(False, "Whether the connection by parts is encrypted (rediss).")
    REDIS_MAX_CONNECTIONS: int = setting(50, "Connections kept per process at most.", ge=1, le=10_000)
    REDIS_CONNECT_TIMEOUT: Seconds = setting(1.0, "Longest wait for a new connection, in seconds.")
    REDIS_SOCKET_TIMEOUT: Seconds = setting(1.0, "Longest wait for an answer, in seconds.")
    REDIS_KEY_PREFIX: str = setting(
        "",
        "Text put before every key, to share one Redis.",
        pattern=r"^[!-~]{0,64}$",
        expects="up to 64 characters without spaces",
    )
    REDIS_ALLOW_PLAINTEXT: bool = setting(
        False, "Whether an unencrypted connection to another machine is accepted in production."
    )

    @property
    def url(self) -> ConnectionUrl | None:
        """The address of Redis from ``REDIS_URL`` or the parts; None when neither is set."""
        if self.REDIS_URL is not None:
            return self.REDIS_URL
        if self.REDIS_HOST is None:
            return None
        return self.url_for(self.REDIS_HOST)

    def url_for(self, host: str) -> ConnectionUrl:
        """Return the address built from the parts with *host* in place of ``REDIS_HOST``."""
        login = quote(self.REDIS_USERNAME or "", safe="")
        if self.REDIS_PASSWORD is not None:
            login += ":" + quote(self.REDIS_PASSWORD.get_secret_value(), safe="")
        name = f"[{host}]" if ":" in host else host
        scheme = "rediss" if self.REDIS_TLS else "redis"
        return ConnectionUrl(
            f"{scheme}://{login}{'@' if login else ''}{name}:{self.REDIS_PORT}/{self.REDIS_DB}"
        )


class CacheSettings(Section):
    """What is kept close: ``settings.cache``.

    Example:
        >>> CacheSettings(CACHE_TTL_SECONDS=30).CACHE_TTL_SECONDS
        30.0
    """

    CACHE_URL: Annotated[ConnectionUrl, UrlScheme("memory", "redis", "rediss", "unix")] | None = setting(
        None, "Where values are kept; Redis when that is configured, memory alone otherwise."
    )
    CACHE_NAMESPACE: str | None = setting(
        None,
        "Keeps the keys of services apart; the name of the service when not set.",
        pattern=r"^[A-Za-z0-9_.:\-]{1,100}$",
        expects="up to 100 letters, digits and any of _.:-",
    )
    CACHE_TTL_SECONDS: Seconds = setting(300.0, "Life of an entry whose writer does not say, in seconds.")
    CACHE_MAX_ENTRIES: int = setting(
        10_000, "Number of entries kept in the memory of a process at most.", ge=0
    )
    CACHE_MAX_BYTES: int = setting(67_108_864, "Memory entries take in a process at most, in bytes.", ge=0)
    CACHE_MAX_STALENESS_SECONDS: Seconds = setting(
        5.0, "Longest time a process serves its own copy without asking Redis, in seconds."
    )
    CACHE_TIMEOUT: Seconds = setting(0.05, "Longest wait for Redis before doing without it, in seconds.")


class StorageSettings(Section):
    """Files and objects: ``settings.storage``.

    Example:
        >>> StorageSettings(STORAGE_URL="s3://invoices/2026").STORAGE_URL.scheme
        's3'
    """

    STORAGE_URL: Annotated[ConnectionUrl, UrlScheme("file", "gs", "memory", "s3")] | None = setting(
        None,
        "Where objects are kept: memory://, file:///directory, s3://bucket/prefix or gs://bucket/prefix.",
        profiles={"development": "memory://", "testing": "memory://"},
    )
    STORAGE_MAX_BYTES: int = setting(104_857_600, "Largest object accepted, in bytes.", ge=1)
    STORAGE_TIMEOUT: Seconds = setting(30.0, "Longest wait for the store, in seconds.")
    STORAGE_TRANSFER_TIMEOUT: Seconds = setting(
        300.0, "Longest single transfer from or to the store, in seconds."
    )
    STORAGE_ENDPOINT_URL: HttpUrl | None = setting(
        None, "Address of a compatible object store in place of Amazon's or Google's."
    )
    STORAGE_ENCRYPT: bool = setting(
        False, "Whether objects are encrypted with ENCRYPTION_KEYS before they are stored."
    )
    STORAGE_PUBLIC_URL: Printable = setting(
        "/storage", "Where signed links to a directory lead: to the route that serves the objects."
    )
    STORAGE_SIGNING_KEY: SecretStr | None = setting(
        None,
        "Key that signs links to a directory, at least 32 bytes. "
        "In development and testing an absent one is generated for the process.",
        generated=True,
    )
    STORAGE_URL_EXPIRE_SECONDS: int = setting(
        3600, "Life of a signed download link, in seconds.", ge=1, le=604_800
    )


class JobsSettings(Section):
    """Background jobs: ``settings.jobs``.

    Example:
        >>> JobsSettings(JOBS_MAX_ATTEMPTS=5).JOBS_MAX_ATTEMPTS
        5
    """

    JOBS_BROKER_URL: Annotated[
        ConnectionUrl, UrlScheme("amqp", "amqps", "memory", "nats", "redis", "rediss", "tls")
    ] = setting("memory://", "Broker of the jobs; memory:// runs them in the process.")
    JOBS_QUEUE: str = setting(
        "default",
        "Queue that workers read.",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        expects="up to 64 letters, digits, dots, hyphens or underscores",
    )
    JOBS_CONCURRENCY: int = setting(10, "Jobs that one worker runs at the same time.", ge=1, le=10_000)
    JOBS_MAX_ATTEMPTS: int = setting(3, "Runs of a failing job in total, the first included.", ge=1, le=100)
    JOBS_RETRY_DELAY: Seconds = setting(1.0, "Wait before the second run, in seconds; it doubles from there.")
    JOBS_TIMEOUT: Annotated[float, Field(gt=0)] = setting(300.0, "Longest run of one job, in seconds.")
