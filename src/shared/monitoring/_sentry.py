"""Reports for Sentry, and a scrubber for what Sentry's own integrations send."""

import importlib
from collections.abc import Mapping
from typing import Any, Final

from shared.errors import MissingDependencyError
from shared.monitoring._error_report import ErrorReport
from shared.monitoring._span import masked_text

_SENSITIVE_PARTS: Final = ("data", "cookies", "query_string", "env")


class SentryReporter:
    """Sends reports to Sentry: our frames without variables, our ids as tags, our fingerprint.

    Where the service has called ``sentry_sdk.init`` itself, its client is used, and its
    integrations and this reporter do not both send one exception. Otherwise a client
    of its own is made that collects nothing by itself.

    Args:
        dsn: Address of the project; not needed when ``sentry_sdk.init`` was called.
        service: Name, sent as a tag.
        version: Sent as the release.
        environment: Sent as such.
        options: Further options of ``sentry_sdk.Client``.

    Raises:
        MissingDependencyError: ``sentry_sdk`` is not installed.

    Example:
        >>> def make_tracker(dsn):
        ...     from shared.monitoring import ErrorTracker
        ...     return ErrorTracker([SentryReporter(dsn, service="orders", version="2.3.1")])
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        service: str = "",
        version: str = "",
        environment: str = "",
        **options: Any,
    ) -> None:
        try:
            # By name: type checkers then need not have it either.
            sentry_sdk: Any = importlib.import_module("sentry_sdk")
        except ImportError as exc:
            raise MissingDependencyError("sentry_sdk", extra="sentry") from exc
        self._sdk: Final = sentry_sdk
        self._service = service
        self._client: Any = None
        if not sentry_sdk.is_initialized():
            self._client = sentry_sdk.Client(
                **{
                    "dsn": dsn,
                    "release": version or None,
                    "environment": environment or None,
                    # Nothing by itself: no hooks into frameworks, no bodies, no variables.
                    "default_integrations": False,
                    "auto_enabling_integrations": False,
                    "include_local_variables": False,
                    "send_default_pii": False,
                    "max_breadcrumbs": 0,
                    **options,
                }
            )

    def report(self, report: ErrorReport, exc: BaseException) -> None:
        """Send one report; see :class:`ErrorReporter`."""
        event = self.event(report)
        # Sentry tells duplicates of its own integrations by the exception in the hint.
        hint = {"exc_info": (type(exc), exc, exc.__traceback__)}
        if self._client is not None:
            self._client.capture_event(event, hint)
        else:
            self._sdk.capture_event(event, hint)

    def event(self, report: ErrorReport) -> dict[str, Any]:
        """Return the report as Sentry's event."""
        values: list[dict[str, Any]] = [
            {"type": name, "value": text} for name, text in reversed(report.causes)
        ]
        frames = [
            {
                "module": frame.module,
                "function": frame.function,
                "filename": frame.file,
                "lineno": frame.line,
                "in_app": frame.in_app,
            }
            for frame in report.frames
        ]
        values.append(
            {
                "type": report.type,
                "value": report.message,
                "mechanism": {"type": "shared", "handled": report.handled},
                "stacktrace": {"frames": frames},
            }
        )
        tags = {**report.context, "service": self._service} if self._service else dict(report.context)
        event: dict[str, Any] = {
            "level": "warning" if report.handled else "error",
            "platform": "python",
            "fingerprint": [report.fingerprint],
            "exception": {"values": values},
            "tags": tags,
            "extra": {**report.facts, "suppressed": report.suppressed},
        }
        if "trace_id" in report.context:
            trace = {key: report.context[key] for key in ("trace_id", "span_id")}
            event["contexts"] = {"trace": trace}
        return event

    def close(self) -> None:
        """Send what is queued and end the client, where it is our own."""
        if self._client is not None:
            self._client.close()


def scrub_sentry_event(event: dict[str, Any], hint: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return Sentry's *event* without variables, bodies, cookies and secrets.

    For services that call ``sentry_sdk.init`` themselves: hand it over as
    ``before_send`` and ``before_send_transaction``.

    Args:
        event: As Sentry's SDK built it; not changed.
        hint: Ignored.

    Example:
        >>> event = {"request": {"headers": {"Authorization": "Bearer abc"}, "data": "pin=1234"}}
        >>> scrub_sentry_event(event)["request"]
        {'headers': {'Authorization': '***'}}
    """
    from shared.security import Redactor

    del hint
    scrubbed: dict[str, Any] = Redactor().redact(event)
    request = scrubbed.get("request")
    if isinstance(request, Mapping):
        scrubbed["request"] = {key: value for key, value in request.items() if key not in _SENSITIVE_PARTS}
    for part in ("exception", "threads"):
        holder = scrubbed.get(part)
        if isinstance(holder, Mapping):
            values = [_without_variables(value) for value in holder.get("values") or ()]
            scrubbed[part] = {**holder, "values": values}
    return scrubbed


def _without_variables(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = dict(value)
    if isinstance(kept.get("value"), str):
        kept["value"] = masked_text(kept["value"])
    stack = kept.get("stacktrace")
    if isinstance(stack, Mapping):
        frames = [
            {key: item for key, item in frame.items() if key != "vars"}
            if isinstance(frame, Mapping)
            else frame
            for frame in stack.get("frames") or ()
        ]
        kept["stacktrace"] = {**stack, "frames": frames}
    return kept
