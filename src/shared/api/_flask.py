"""What the Flask installer keeps to itself."""

import re
from collections.abc import Callable
from typing import Any

from flask import Flask, got_request_exception, request
from flask import Response as FlaskResponse
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RoutingException
from werkzeug.wrappers import Request as WerkzeugRequest

from shared.api._errors import Reply, bad_body, from_http, is_bad_json
from shared.api._exchange import EXCHANGE_KEY, UNMATCHED
from shared.api._handlers import ErrorHandlers, may_see_health
from shared.api._options import LayerOptions
from shared.runtime import Runtime

__all__ = ["FlaskHandlers", "RuleLabels", "caller", "probe_view", "template_of"]

_CONVERTER = re.compile(r"<(?:[^<>:]+:)?([^<>:]+)>")


def template_of(rule: str) -> str:
    """Return a Flask rule in the spelling of the other frameworks."""
    return _CONVERTER.sub(r"{\1}", rule)


class RuleLabels:
    """Finds the template of a Flask request: ``/users/{id}`` for ``/users/<int:id>``.

    Args:
        app: Whose rules are asked before the application itself has asked them.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._labels: dict[str, str] = {}

    def __call__(self, environ: Any, status: int) -> str:
        """Return the template; ``"unmatched"`` when no rule answered."""
        rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:
            return self._label(rule)
        return self._of_another_method(environ) if status == 405 else UNMATCHED

    def _of_another_method(self, environ: Any) -> str:
        """Return the template that fits the path, as the other frameworks do."""
        adapter = self._app.url_map.bind_to_environ(environ)
        for method in adapter.allowed_methods():
            try:
                return self._label(adapter.match(method=method, return_rule=True)[0])
            except (HTTPException, RoutingException):
                continue
        return UNMATCHED

    def expected(self, environ: Any) -> str:
        """Return the template that this request will be told to have."""
        try:
            rule, _ = self._app.url_map.bind_to_environ(environ).match(return_rule=True)
        except (HTTPException, RoutingException):  # not found, another method, a redirect
            return UNMATCHED
        return self._label(rule)

    def for_path(self, environ: Any, path: str) -> str:
        """Return the template of the rule for another path, whatever the method."""
        other = {**environ, "PATH_INFO": path.encode().decode("latin-1")}
        found = self.expected(other)
        return self._of_another_method(other) if found == UNMATCHED else found

    def _label(self, rule: Any) -> str:
        label = self._labels.get(rule.rule)
        if label is None:
            label = self._labels[rule.rule] = template_of(rule.rule)
        return label


class FlaskHandlers(ErrorHandlers):
    """The exception handler in Flask's form."""

    def __init__(self, app: Flask, options: LayerOptions | None, runtime: Runtime | None) -> None:
        super().__init__(app, options, runtime)
        self.app = app

    def answer(self, exc: Exception) -> Any:
        """Return the answer for *exc* as a Flask response."""
        error: BaseException = exc
        original = getattr(exc, "original_exception", None)
        if original is not None and self.options.reraise_errors:
            raise original  # Flask came back with what was raised below
        if isinstance(exc, HTTPException):
            if exc.response is not None or exc.code is None or exc.code < 400:
                return exc  # a redirect, or a response that the author made
            error = _from_werkzeug(exc)
        elif is_bad_json(exc, WerkzeugRequest.get_json):
            error = bad_body(exc)
        elif self.renderer.translate(exc) is None:
            if self.options.reraise_errors:
                raise exc
            got_request_exception.send(self.app, _async_wrapper=self.app.ensure_sync, exception=exc)
        exchange = request.environ.get(EXCHANGE_KEY)
        reply = self.reply(error, exchange=exchange, accept=request.headers.get("Accept"), path=request.path)
        return FlaskResponse(reply.body, reply.status, list(reply.headers))


def _from_werkzeug(exc: HTTPException) -> Any:
    cause: BaseException | None = exc
    for _ in range(4):  # Flask wraps werkzeug's error, which wraps that of the parser
        cause = None if cause is None else cause.__cause__ or cause.__context__
        if exc.code == 400 and cause is not None and is_bad_json(cause, WerkzeugRequest.get_json):
            return bad_body(cause)
    headers = {
        name: value
        for name, value in exc.get_headers(request.environ)
        if name.lower() not in ("content-type", "content-length")
    }
    # Werkzeug's own sentences are written for people at a browser.
    detail = None if exc.description == type(exc).description else exc.description
    return from_http(exc.code or 500, detail, headers)


def probe_view(probe: Callable[[], Any]) -> Callable[[], FlaskResponse]:
    def view() -> FlaskResponse:
        reply = Reply(*probe())
        return FlaskResponse(reply.body, reply.status, list(reply.headers))

    return view


def caller() -> dict[str, Any]:
    # Behind a proxy the peer is the proxy: an internal address that proves nothing.
    proxied = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return {
        "accept": request.headers.get("Accept", ""),
        "client": None if proxied else request.remote_addr,
        "authorised": may_see_health(),
    }
