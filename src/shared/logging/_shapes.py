"""How a line looks: json as it is, ecs under Elastic's names, console for people."""

from collections.abc import Callable
from typing import Any, Final

from shared.logging._console import ConsoleRenderer
from shared.logging._encode import Encoder
from shared.logging._exceptions import render_lines

__all__ = ["renderer_for", "to_ecs"]

_ECS_VERSION: Final = "8.17.0"
# Source: Elastic Common Schema 8.17, field reference.
_ECS_NAMES: Final[dict[str, str]] = {
    "timestamp": "@timestamp",
    "level": "log.level",
    "event": "message",
    "logger": "log.logger",
    "service": "service.name",
    "service_version": "service.version",
    "environment": "service.environment",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "request_id": "http.request.id",
    "correlation_id": "labels.correlation_id",
    "tenant": "organization.id",
    "user_id": "user.id",
    "method": "http.request.method",
    "path": "url.path",
    "route": "http.route",
    "status": "http.response.status_code",
    "client_ip": "client.ip",
    "user_agent": "user_agent.original",
    "process_id": "process.pid",
}
# Names that ECS defines as objects: a plain value there makes the index refuse the line.
_ECS_OBJECTS: Final = frozenset(
    {"agent", "as", "client", "cloud", "code_signature", "container", "data_stream", "destination",
     "device", "dll", "dns", "ecs", "elf", "email", "error", "event", "faas", "file", "geo", "group",
     "hash", "host", "http", "interface", "labels", "log", "macho", "message", "network", "observer",
     "orchestrator", "organization", "os", "package", "pe", "process", "registry", "related", "risk",
     "rule", "server", "service", "source", "span", "threat", "tls", "trace", "transaction", "url",
     "user", "user_agent", "vlan", "volume", "vulnerability", "x509"}
)  # fmt: skip
_MS: Final = 1_000_000  # nanoseconds


def renderer_for(format: str, encoder: Encoder, *, colors: bool) -> Callable[[dict[str, Any]], bytes]:
    """Return the function from line to bytes for *format*."""
    if format == "ecs":
        return lambda line: encoder.encode(to_ecs(line))
    if format == "console":
        return ConsoleRenderer(encoder, colors=colors).render
    return encoder.encode


def to_ecs(line: dict[str, Any]) -> dict[str, Any]:
    """Return *line* under the names of the Elastic Common Schema.

    Example:
        >>> to_ecs({"timestamp": "t", "level": "info", "event": "hi", "status": 200, "user": "ada"})
        {'@timestamp': 't', 'log.level': 'info', 'message': 'hi', 'http.response.status_code': 200, \
'extra.user': 'ada', 'ecs.version': '8.17.0'}
    """
    shaped: dict[str, Any] = {}
    for key, value in line.items():
        name = _ECS_NAMES.get(key)
        if name is not None:
            shaped[name if name not in shaped else f"extra.{key}"] = value
        elif key == "exception" and isinstance(value, dict):
            shaped["error.type"] = value.get("type")
            shaped["error.message"] = value.get("message")
            shaped["error.stack_trace"] = "\n".join(render_lines(value))
        elif key == "duration_ms" and isinstance(value, int | float):
            shaped["event.duration"] = int(value * _MS)
        else:
            shaped[f"extra.{key}" if key in _ECS_OBJECTS or key in shaped else key] = value
    shaped["ecs.version"] = _ECS_VERSION
    return shaped
