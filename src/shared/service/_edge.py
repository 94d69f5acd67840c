"""What the request layer does only when the settings ask for it: browsers, bodies, time."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.api import LayerOptions
    from shared.service._service import Service

__all__ = ["EDGE_PARTS", "left_out", "note_edge"]


class _Edge(NamedTuple):
    does: str
    option: str  # the attribute of LayerOptions that is None when the part is off
    off: str
    settings: tuple[str, ...]


EDGE_PARTS: Final = {
    "cors": _Edge(
        "pages of other origins may call, preflights answered before all else",
        "cors",
        "CORS_ORIGINS is empty",
        ("CORS_ORIGINS", "CORS_ALLOW_CREDENTIALS"),
    ),
    "csrf": _Edge(
        "requests with cookies prove that a page of ours sent them",
        "csrf",
        "CSRF_PROTECTION=off",
        ("CSRF_PROTECTION", "CSRF_SESSION_COOKIE", "CSRF_TRUSTED_ORIGINS"),
    ),
    "content_types": _Edge(
        "415 for bodies of another type, encoding or character set",
        "content_types",
        "REQUEST_CONTENT_TYPES is empty",
        ("REQUEST_CONTENT_TYPES",),
    ),
    "time_limit": _Edge(
        "504 when the answer does not begin in time",
        "request_timeout",
        "REQUEST_TIMEOUT_SECONDS is not set",
        ("REQUEST_TIMEOUT_SECONDS",),
    ),
}


def left_out(service: "Service") -> dict[str, Any]:
    """Return the options that ``without=`` turns off."""
    return {edge.option: None for name, edge in EDGE_PARTS.items() if name in service.without}


def note_edge(service: "Service", options: "LayerOptions") -> None:
    """Say of each part whether it is there, and why not."""
    for name, edge in EDGE_PARTS.items():
        if not service.wants(name, edge.does):
            continue
        settings = service.show(*edge.settings)
        if getattr(options, edge.option) is None:
            service.note(Part(name, edge.does, enabled=False, reason=edge.off, settings=settings))
        else:
            service.note(Part(name, edge.does, settings=settings))
