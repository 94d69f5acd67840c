"""Routes of the flags on Starlette, FastAPI and Flask: thin shells around complete answers."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from shared.api._errors import Reply
from shared.api._installed import installation
from shared.errors import ConfigurationError, SharedError

__all__ = ["Call", "FlagRoute", "mount"]

_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+\Z").match
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


class Call(NamedTuple):
    """A request, as far as a route of flags looks at it.

    Attributes:
        parameters: Of the path.
        query: The first value of each name.
        body: Complete, or cut behind the limit of the route.
        headers: Found without regard to case.
    """

    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]


class FlagRoute(NamedTuple):
    """One route.

    Attributes:
        method: Of HTTP.
        path: Behind the prefix; ``{key}`` may hold slashes and stands last or before a word.
        name: Of the route, unique in the application.
        answer: Makes the answer; may raise our errors.
        max_body: Bytes that are read, and one more.
        is_blocking: Whether it waits for a store: then it leaves the event loop.
    """

    method: str
    path: str
    name: str
    answer: Callable[[Call], Reply]
    max_body: int = 65_536
    is_blocking: bool = False


def mount(app: Any, part: str, prefix: str, routes: Iterable[FlagRoute]) -> None:
    """Serve *routes* below *prefix* in front of everything else. Idempotent by *part*.

    Raises:
        ConfigurationError: *prefix* is no path, or *app* is no application of the three kinds.
    """
    if not _PREFIX(prefix):
        msg = f"prefix: expected a path such as /ofrep/v1, got {prefix[:80]!r}"
        raise ConfigurationError(msg)
    face = _face(app)
    record = installation(app)
    if record.find(part, None) is not None:
        return
    made = list(routes)
    undo = face(app, prefix, made)
    record.add(part, made, undo)


Undo = Callable[[], None]


def _face(app: Any) -> Callable[[Any, str, list[FlagRoute]], Undo]:
    # A framework that is not imported is not that of the application.
    starlette = sys.modules.get("starlette.applications")
    flask = sys.modules.get("flask")
    if starlette is not None and isinstance(app, starlette.Starlette):
        return _on_starlette
    if flask is not None and isinstance(app, flask.Flask):
        return _on_flask
    msg = f"expected a FastAPI, Starlette or Flask application, got {type(app).__name__}"
    raise ConfigurationError(msg)


# --- Starlette and FastAPI --------------------------------------------------------------------


def _on_starlette(app: Any, prefix: str, routes: list[FlagRoute]) -> Undo:
    from starlette.routing import Mount, Route

    inner = [
        Route(
            _PARAMETER.sub(r"{\1:path}", route.path) or "/",
            _starlette_view(app, route),
            methods=[route.method],
            name=route.name,
            include_in_schema=False,
        )
        for route in routes
    ]
    mounted = Mount(prefix, routes=inner)
    app.router.routes.insert(0, mounted)

    def undo() -> None:
        app.router.routes[:] = [route for route in app.router.routes if route is not mounted]

    return undo


def _starlette_view(app: Any, route: FlagRoute) -> Any:
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response

    from shared.api._starlette import StarletteHandlers, to_response

    async def view(request: Request) -> Response:
        body = await _starlette_body(request, route.max_body)
        call = Call(request.path_params, dict(request.query_params), body, request.headers)
        try:
            if route.is_blocking:
                return to_response(await run_in_threadpool(route.answer, call))
            return to_response(route.answer(call))
        except SharedError as exc:
            return StarletteHandlers(app, None, None).respond(request, exc)

    return view


async def _starlette_body(request: Any, limit: int) -> bytes:
    found: bytes = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > limit:
            return found[: limit + 1]
    return found


# --- Flask --------------------------------------------------------------------------------------


def _on_flask(app: Any, prefix: str, routes: list[FlagRoute]) -> Undo:
    from flask import abort

    names = []
    for route in routes:
        names.append(route.name)
        view = _flask_view(app, route)
        if route.name in app.view_functions:  # left by an earlier uninstall()
            app.view_functions[route.name] = view
            continue
        rule = prefix + _PARAMETER.sub(r"<path:\1>", route.path)
        app.add_url_rule(rule, route.name, view, methods=[route.method])

    def undo() -> None:
        for name in names:
            app.view_functions[name] = lambda **_: abort(404)

    return undo


def _flask_view(app: Any, route: FlagRoute) -> Any:
    from flask import Response, request

    from shared.api._flask import FlaskHandlers

    def view(**parameters: str) -> Any:
        body: bytes = request.stream.read(route.max_body + 1)
        headers: Any = request.headers
        call = Call(parameters, request.args.to_dict(), body, headers)
        try:
            reply = route.answer(call)
        except SharedError as exc:
            return FlaskHandlers(app, None, None).answer(exc)
        return Response(reply.body, reply.status, list(reply.headers))

    return view
