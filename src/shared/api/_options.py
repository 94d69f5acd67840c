"""What the request layer is told, once, at start-up."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from shared.api._policies import CorsPolicy, CsrfPolicy, checked_types
from shared.constants import DEFAULT_API_VERSION, Environment
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.security import HeaderPolicy

__all__ = ["LayerOptions"]

ErrorFormat = Literal["envelope", "problem"]


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """Settings of the request layer and the error handlers.

    Attributes:
        api_version: ``version`` of the envelopes.
        error_format: Form of errors unless ``Accept`` asks for the other:
            ``"envelope"`` or ``"problem"``.
        problem_base_url: Where error codes are documented; see :func:`problem_details`.
        expose_error_details: Whether a 500 tells type and message. Never in production.
        reraise_errors: Raise an unforeseen exception again after the 500 has been
            sent, for test clients and debuggers that want to see it.
        max_body_bytes: Largest request body, in bytes, by declared length and as it
            streams; None for no limit.
        content_types: Media types a body may have, such as ``"application/json"`` or
            ``"multipart/*"``; other bodies, encoded ones and JSON that is not UTF-8 get
            a 415. None looks at nothing.
        request_timeout: Seconds until the answer must begin, or None. The earlier of this
            and the caller's ``X-Request-Deadline`` is the deadline of the request's
            context. When it passes, ASGI answers 504 and cancels the handler; WSGI
            cannot interrupt a handler and only lets everybody inside know.
        cors: Which pages of other origins may call, or None.
        csrf: How requests with cookies prove where they came from, or None.
        security_headers: Name of a policy (``"api"``, ``"web"``, ``"seed"``,
            ``"off"``) or a policy of your own.
        docs_paths: Paths that get the policy ``docs``: interactive documentation pages.
        trace: Whether ``traceparent`` is read and continued.
        server_timing: Whether ``Server-Timing`` tells the time to the first byte.
        access_log: Whether each request gives a line.
        access_sample: Share of successful requests that give one, 0.0 to 1.0; all
            services of a chain choose the same requests, by correlation id.
        slow_seconds: Requests from this many seconds on always give one, as a warning.
        quiet_paths: Paths that give none unless they fail (status 500 or more) or are slow.

    Raises:
        ConfigurationError: A value is out of range.

    Example:
        >>> LayerOptions(max_body_bytes=1000).error_format
        'envelope'
    """

    api_version: str = DEFAULT_API_VERSION
    error_format: ErrorFormat = "envelope"
    problem_base_url: str = "about:blank"
    expose_error_details: bool = False
    reraise_errors: bool = False
    max_body_bytes: int | None = 1_048_576
    content_types: tuple[str, ...] | None = None
    request_timeout: float | None = None
    cors: CorsPolicy | None = None
    csrf: CsrfPolicy | None = None
    security_headers: "str | HeaderPolicy" = "api"
    docs_paths: tuple[str, ...] = ("/docs", "/redoc", "/openapi.json")
    trace: bool = True
    server_timing: bool = False
    access_log: bool = True
    access_sample: float = 1.0
    slow_seconds: float = 1.0
    quiet_paths: frozenset[str] = field(default=frozenset({"/health", "/ready", "/live", "/metrics"}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "docs_paths", tuple(self.docs_paths))
        object.__setattr__(self, "quiet_paths", frozenset(self.quiet_paths))
        if self.content_types is not None:
            object.__setattr__(self, "content_types", checked_types(self.content_types))
        _require(
            self.request_timeout is None or 0.0 < self.request_timeout < float("inf"),
            f"request_timeout is more than 0 seconds, or None, got {self.request_timeout!r}",
        )
        _require(
            self.error_format in ("envelope", "problem"),
            f"error_format {self.error_format!r} is unknown: one of envelope, problem",
        )
        _require(0.0 <= self.access_sample <= 1.0, f"access_sample is 0.0 to 1.0, got {self.access_sample!r}")
        _require(self.slow_seconds >= 0.0, f"slow_seconds is 0 or more, got {self.slow_seconds!r}")
        _require(
            self.max_body_bytes is None or self.max_body_bytes >= 0,
            f"max_body_bytes is 0 or more, or None, got {self.max_body_bytes!r}",
        )

    @classmethod
    def from_settings(cls, settings: Any, **overrides: Any) -> Self:
        """Return the options that *settings* ask for.

        Args:
            settings: A :class:`shared.config.Settings`.
            **overrides: Attributes of this class that win over the settings.
        """
        app, api, log = settings.app, settings.api, settings.logging
        expose = api.EXPOSE_ERROR_DETAILS
        values: dict[str, Any] = {
            "api_version": api.API_VERSION,
            "error_format": str(api.ERROR_FORMAT),
            "problem_base_url": str(api.PROBLEM_BASE_URL),
            "expose_error_details": app.ENVIRONMENT != Environment.PRODUCTION if expose is None else expose,
            "max_body_bytes": api.MAX_BODY_BYTES,
            "content_types": tuple(api.REQUEST_CONTENT_TYPES) or None,
            "request_timeout": api.REQUEST_TIMEOUT_SECONDS,
            "cors": CorsPolicy.from_settings(api),
            "csrf": CsrfPolicy.from_settings(settings),
            "security_headers": str(api.SECURITY_HEADERS),
            "docs_paths": tuple(api.DOCS_PATHS),
            "access_log": log.LOG_ACCESS,
            "access_sample": log.LOG_ACCESS_SAMPLE,
            "slow_seconds": log.LOG_SLOW_REQUEST_SECONDS,
            "quiet_paths": frozenset(log.LOG_QUIET_PATHS),
        }
        return cls(**(values | overrides))

    def with_docs(self, paths: Iterable[str | None]) -> Self:
        """Return a copy that treats *paths*, too, as documentation pages; None is skipped."""
        from dataclasses import replace

        more = tuple(path for path in paths if path and path not in self.docs_paths)
        return replace(self, docs_paths=self.docs_paths + more) if more else self


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigurationError(message)
