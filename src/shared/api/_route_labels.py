"""Ask a router for the template of a request; whatever it does, the request is answered."""

import logging
from typing import Any, Final

from shared.api._exchange import UNMATCHED

__all__ = ["expected_route", "route_for", "untold_route"]

_log: Final = logging.getLogger("shared.api")


def untold_route() -> str:
    """Return the label of a request whose router failed to tell; its answer must not be lost for it."""
    _log.exception("the route of a request could not be told")
    return UNMATCHED


def expected_route(route_of: Any, request: Any, asked: Any) -> str:
    """Return the template of the route that answers, or will answer, *request*.

    Args:
        route_of: What finds the template, by ``expected(asked)`` too where it can.
        request: The scope or environ.
        asked: What it is asked by before the application has chosen.
    """
    try:
        found: str = route_of(request, 0)
        if found != UNMATCHED or not hasattr(route_of, "expected"):
            return found
        return route_of.expected(asked)  # type: ignore[no-any-return]
    except Exception:  # noqa: BLE001 - a router of a shape nobody has seen yet
        return untold_route()


def route_for(route_of: Any, *asked: Any) -> str:
    """Return the template of the route that would answer a path, whatever the method.

    Args:
        route_of: What finds it, by ``for_path(*asked)`` where it can.
        *asked: What it is asked by; the path comes last.
    """
    try:
        return route_of.for_path(*asked) if hasattr(route_of, "for_path") else UNMATCHED
    except Exception:  # noqa: BLE001 - a router of a shape nobody has seen yet
        return untold_route()
