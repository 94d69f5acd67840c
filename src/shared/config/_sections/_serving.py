"""How the service answers, logs, reports and survives."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr

from shared.config._field import Section, setting
from shared.config._sections._common import (
    LOWER,
    UPPER,
    HttpUrl,
    Network,
    Origin,
    Path,
    Port,
    Seconds,
)
from shared.config._types import ConnectionUrl, UrlScheme

#: Failures that open the breaker of a dependency, unless set otherwise.
BREAKER_PRESETS: Final[Mapping[str, int]] = {"payments": 5, "email": 3, "storage": 5, "shipping": 3}

Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], UPPER]
Rate = Annotated[float, Field(ge=0, le=1)]


class APISettings(Section):
    """The HTTP face: ``settings.api``.

    Example:
        >>> APISettings(CORS_ORIGINS=["https://app.example.com"]).MAX_BODY_BYTES
        1048576
    """

    API_HOST: str = setting(
        "127.0.0.1",
        "Address the server listens on.",
        pattern=r"^[A-Za-z0-9._:\-]+$",
        expects="a host name or an IP address",
        profiles={"staging": "0.0.0.0", "production": "0.0.0.0"},  # noqa: S104  # nosec B104
    )
    API_PORT: Port = setting(8000, "Port the server listens on.")
    API_VERSION: str = setting(
        "v1", "Version named in answers.", pattern=r"^v[0-9]{1,4}$", expects="a version such as v1"
    )
    API_PREFIX: str = setting(
        "",
        "Path before all routes, such as /api; empty for none.",
        pattern=r"^(/[!-~]*[^/\s])?$",
        expects="a path that begins with / and does not end with one, or nothing",
    )
    CORS_ORIGINS: list[Origin] = setting(
        [],
        "Origins whose pages may call the API from a browser; * is every origin, without credentials.",
        expects="a list of origins such as https://app.example.com, separated by commas or as JSON",
    )
    CORS_ALLOW_CREDENTIALS: bool = setting(
        False, "Whether browsers may send cookies to the API from CORS_ORIGINS."
    )
    CORS_ALLOW_METHODS: list[str] = setting(
        ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        "Methods that browsers may use from CORS_ORIGINS.",
    )
    CORS_ALLOW_HEADERS: list[str] = setting(
        ["*"], "Request headers that browsers may send from CORS_ORIGINS."
    )
    CORS_MAX_AGE: int = setting(
        600, "How long a browser may remember the answer, in seconds.", ge=0, le=86_400
    )
    MAX_BODY_BYTES: int = setting(1_048_576, "Largest request body, in bytes.", ge=1)
    REQUEST_CONTENT_TYPES: list[str] = setting(
        [],
        "Media types a request body may have, such as application/json or multipart/*; none is any.",
    )
    REQUEST_TIMEOUT_SECONDS: Seconds | None = setting(
        None, "Longest time until an answer begins, in seconds; none is no limit."
    )
    ERROR_FORMAT: Annotated[Literal["envelope", "problem"], LOWER] = setting(
        "envelope", "Shape of error answers: the envelope, or problem details (RFC 9457)."
    )
    PROBLEM_BASE_URL: str = setting(
        "about:blank",
        "Start of the type of problem details; about:blank for none.",
        pattern=r"^(about:blank|https?://[!-~]+)$",
        expects="about:blank or an http(s) URL",
    )
    SECURITY_HEADERS: Annotated[Literal["api", "web", "seed", "off"], LOWER] = setting(
        "api", "Set of security headers on every answer."
    )
    DOCS_PATHS: list[Path] = setting(
        ["/docs", "/redoc", "/openapi.json"],
        "Paths of the API's documentation, which get headers that let it work.",
        expects="a list of paths that begin with /, separated by commas or as JSON",
    )
    TRUSTED_PROXIES: list[Network] = setting(
        [],
        "Networks of the proxies whose X-Forwarded-For is believed.",
        expects="a list of IP addresses or networks such as 10.0.0.0/8, separated by commas or as JSON",
    )
    EXPOSE_ERROR_DETAILS: bool | None = setting(
        None, "Whether a 500 answer says what happened; none is yes, except in production."
    )
    RATE_LIMITS: list[str] = setting(
        [],
        "Limits of the whole service; empty for none. By principal, client, api_key, route or everybody.",
        expects="a list such as 10/second by client, 1000/hour by principal and route",
    )
    RATE_LIMIT_STORE: (
        Annotated[ConnectionUrl, UrlScheme("memory", "redis", "rediss", "sqlite", "unix")] | None
    ) = setting(
        None,
        "Where requests are counted: memory:// (this process), sqlite:///file.db (this machine) or Redis; "
        "none is the Redis of this service, or memory without one.",
    )
    RATE_LIMIT_ON_FAILURE: Annotated[Literal["local", "open", "closed"], LOWER] = setting(
        "local", "While the store is down: count in this process, let everybody pass, or nobody."
    )
    RATE_LIMIT_INSTANCES: int = setting(
        1, "Processes that share the limits while each counts by itself.", ge=1, le=100_000
    )
    RATE_LIMIT_HEADERS: Annotated[Literal["ietf", "both", "off"], LOWER] = setting(
        "ietf", "RateLimit fields of the IETF draft, X-RateLimit-* beside them (both), or none (off)."
    )
    RATE_LIMIT_EXEMPT_PATHS: list[Path] = setting(
        ["/health", "/ready", "/live", "/metrics"],
        "Paths that RATE_LIMITS leaves alone.",
        expects="a list of paths that begin with /, separated by commas or as JSON",
    )
    IDEMPOTENCY_STORE: (
        Annotated[ConnectionUrl, UrlScheme("database", "memory", "redis", "rediss", "sqlite", "unix")] | None
    ) = setting(
        None,
        "Where answers to requests with an Idempotency-Key are kept: database:// (that of this service), "
        "sqlite:///file.db, Redis or memory://; none is off.",
    )
    IDEMPOTENCY_TTL: Seconds = setting(86_400.0, "How long such an answer is repeated, in seconds.")
    IDEMPOTENCY_LEASE: Seconds = setting(
        60.0, "After how long a worker that has not answered counts as dead, in seconds."
    )
    IDEMPOTENCY_REQUIRED: list[Path] = setting(
        [],
        "Routes whose POST and PATCH need an Idempotency-Key, such as /orders/{order_id}/pay.",
        expects="a list of routes that begin with /, separated by commas or as JSON",
    )


class LoggingSettings(Section):
    """Logs: ``settings.logging``.

    Example:
        >>> LoggingSettings(LOG_LEVEL="warning", LOG_LEVELS={"sqlalchemy": "error"}).LOG_LEVELS
        {'sqlalchemy': 'ERROR'}
    """

    LOG_LEVEL: Level = setting("INFO", "Lowest level that is written.")
    LOG_LEVELS: dict[str, Level] = setting({}, "Levels of single loggers, such as sqlalchemy.engine=WARNING.")
    LOG_FORMAT: Annotated[Literal["json", "ecs", "console"], LOWER] = setting(
        "json", "Form of a line.", profiles={"development": "console", "testing": "console"}
    )
    LOG_SINK: str = setting(
        "stdout",
        "Where lines go: stdout, stderr, thread (stdout from a thread of its own) or the path of a file.",
        min_length=1,
    )
    LOG_ACCESS: bool = setting(True, "Whether each request is logged.")
    LOG_ACCESS_SAMPLE: Rate = setting(1.0, "Share of successful requests that are logged, 0 to 1.")
    LOG_SLOW_REQUEST_SECONDS: Seconds = setting(
        1.0, "Requests that take longer are logged as warnings, in seconds."
    )
    LOG_QUIET_PATHS: list[Path] = setting(
        ["/health", "/ready", "/live", "/metrics"],
        "Paths whose successful requests are not logged.",
        expects="a list of paths that begin with /, separated by commas or as JSON",
    )
    LOG_REDACT_NAMES: list[str] = setting([], "Further names of fields whose values are hidden.")
    LOG_MAX_LINE_BYTES: int = setting(
        16_384, "Longest line, in bytes; the rest is cut.", ge=512, le=1_048_576
    )
    # Not ours by name: the convention of no-color.org, which any value but the empty one invokes.
    NO_COLOR: str = setting("", "Set to anything, console lines have no colours; many programs heed it.")


class MonitoringSettings(Section):
    """Metrics, health, draining, error tracking: ``settings.monitoring``.

    Example:
        >>> MonitoringSettings().HEALTH_PATH, MonitoringSettings().HEALTH_CACHE_SECONDS
        ('/health', 2.0)
    """

    METRICS_ENABLED: bool = setting(True, "Whether metrics are collected and served.")
    METRICS_PATH: Path = setting("/metrics", "Path of the metrics.", expects="a path that begins with /")
    METRICS_RETENTION_DAYS: int = setting(30, "How long stored metrics are kept, in days.", ge=1, le=3650)
    HEALTH_PATH: Path = setting(
        "/health", "Path of the full health report.", expects="a path that begins with /"
    )
    READY_PATH: Path = setting("/ready", "Path of the readiness probe.", expects="a path that begins with /")
    LIVE_PATH: Path = setting("/live", "Path of the liveness probe.", expects="a path that begins with /")
    HEALTH_CHECK_TIMEOUT: Seconds = setting(0.8, "Longest run of one health check, in seconds.")
    HEALTH_CACHE_SECONDS: float = setting(
        2.0,
        "How long a health check's result is reused: the shortest interval of two runs, in seconds.",
        aliases=("HEALTH_CHECK_INTERVAL",),
        ge=0,
        le=3600,
    )
    HEALTH_FAILURE_THRESHOLD: int = setting(
        3, "Failures in a row before a check counts as failed.", ge=1, le=100
    )
    HEALTH_DETAILS: Annotated[Literal["always", "never", "internal"], LOWER] = setting(
        "internal", "Who sees the single checks: everybody, nobody, or callers from private networks."
    )
    HEALTH_DISK_PATHS: list[str] = setting(
        [], "Paths whose file systems are checked: degraded below a tenth free."
    )
    DRAIN_DELAY_SECONDS: float = setting(
        5.0,
        "Time between failing readiness and refusing work on shutdown, in seconds.",
        ge=0,
        le=3600,
        profiles={"development": 0.0, "testing": 0.0},
    )
    DRAIN_TIMEOUT_SECONDS: Seconds = setting(
        20.0, "Longest wait for running requests on shutdown, in seconds."
    )
    TRACE_SAMPLE_RATE: Rate = setting(1.0, "Share of requests that are traced, 0 to 1.")
    OTLP_TRACES_ENDPOINT: HttpUrl | None = setting(
        None,
        "Address of the trace collector, such as http://collector:4318/v1/traces; none is off.",
        aliases=("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",),
    )
    OTLP_HEADERS: SecretStr | None = setting(
        None,
        "Headers for the trace collector, such as api-key=abc,tenant=7.",
        aliases=("OTEL_EXPORTER_OTLP_HEADERS",),
    )
    ALERT_WEBHOOK_URL: HttpUrl | None = setting(
        None, "Where alerts are posted, signed; none leaves them to the log."
    )
    ALERT_WEBHOOK_SECRET: SecretStr | None = setting(
        None, "Secret that signs the alerts, 24 to 64 bytes; whsec_ and base64 is understood."
    )
    ALERT_INTERVAL_SECONDS: Seconds = setting(30.0, "Time between two looks at the alerts, in seconds.")
    SENTRY_DSN: HttpUrl | None = setting(None, "Address of the error tracker; none is off.", secret=True)


def _over_presets(value: dict[str, int]) -> dict[str, int]:
    return {**BREAKER_PRESETS, **value}


class ResilienceSettings(Section):
    """Circuit breakers and retries: ``settings.resilience``.

    Example:
        >>> ResilienceSettings(BREAKER_THRESHOLDS={"email": 9}).BREAKER_THRESHOLDS["email"]
        9
        >>> ResilienceSettings().threshold("shipping"), ResilienceSettings().threshold("maps")
        (3, 5)
    """

    BREAKER_FAILURE_THRESHOLD: int = setting(5, "Failures in a row that open a breaker.", ge=1, le=10_000)
    BREAKER_THRESHOLDS: Annotated[
        dict[str, Annotated[int, Field(ge=1, le=10_000)]], AfterValidator(_over_presets)
    ] = setting(
        dict(BREAKER_PRESETS),
        "Failures that open the breaker of one dependency; what is not named keeps its preset.",
    )
    BREAKER_CRITICAL: list[str] = setting(
        [], "Dependencies without which the service is not ready while their breaker is open."
    )
    BREAKER_RECOVERY_TIMEOUT: Seconds = setting(30.0, "How long an open breaker refuses calls, in seconds.")
    BREAKER_SUCCESS_THRESHOLD: int = setting(
        1, "Successful probes that close a breaker again.", ge=1, le=1000
    )
    BREAKER_HALF_OPEN_MAX_CALLS: int = setting(1, "Probes that run at the same time.", ge=1, le=1000)
    RETRY_MAX_ATTEMPTS: int = setting(3, "Calls in total, the first included.", ge=1, le=100)
    RETRY_DELAY: Seconds = setting(1.0, "Wait before the second call, in seconds.")
    RETRY_MAX_DELAY: Seconds = setting(30.0, "Longest wait between two calls, in seconds.")
    RETRY_BACKOFF: Annotated[Literal["exponential", "linear", "constant", "decorrelated"], LOWER] = setting(
        "exponential", "How the wait grows."
    )
    RETRY_JITTER: Annotated[Literal["full", "equal", "none"], LOWER] = setting(
        "full",
        "How much of the wait is drawn at random, so that callers do not come back together: all, half "
        "or nothing.",
    )

    def threshold(self, dependency: str) -> int:
        """Return the failures that open the breaker of *dependency*."""
        return self.BREAKER_THRESHOLDS.get(dependency, self.BREAKER_FAILURE_THRESHOLD)


class FlagsSettings(Section):
    """Feature flags: ``settings.flags``. The flags themselves are not settings.

    Example:
        >>> FlagsSettings().FLAGS_STORE_URL
        'memory://'
    """

    FLAGS_STORE_URL: Annotated[
        ConnectionUrl, UrlScheme("file", "memory", "postgresql", "redis", "rediss", "sqlite")
    ] = setting(
        "memory://", "Where flags are kept; memory:// takes those declared in code and the environment."
    )
    FLAGS_FILE: str | None = setting(None, "Path of a file that declares flags.")
    FLAGS_REFRESH_SECONDS: Seconds = setting(15.0, "How often the store is read again, in seconds.")
    FLAGS_LAST_KNOWN_GOOD: str | None = setting(
        None, "Path of a file that keeps the newest flags, for a start while the store is down; none is off."
    )
    FLAGS_STRICT: bool = setting(
        False, "Whether asking for a flag that nobody declared is an error; else it is logged once."
    )
    FLAGS_ENV_OVERRIDES: bool = setting(
        True,
        "Whether a variable named like a flag in capitals (ANALYTICS_ENABLED=true) wins over the store.",
    )
    FLAGS_ADOPTION: bool = setting(
        False, "Whether exposures and evaluations are kept in the database, for reports of adoption and use."
    )
    FLAGS_UNIT_IDS: Annotated[Literal["hashed", "plain"], LOWER] = setting(
        "hashed", "How the ids of users are written down with exposures and feedback."
    )
    FLAGS_UNIT_KEY: SecretStr | None = setting(
        None, "Secret that hashes those ids, 16 bytes or more, the same in all processes; for production."
    )
