"""A webhook as a route of Flask."""

from typing import TYPE_CHECKING

from flask import Flask, request
from flask import Response as FlaskResponse

from shared.api._errors import ErrorRenderer
from shared.api._exchange import EXCHANGE_KEY
from shared.api._webhook_answer import accepted
from shared.errors import ConfigurationError, PayloadTooLargeError, SharedError

if TYPE_CHECKING:
    from shared.integrations.webhooks import WebhookReceiver

__all__ = ["mount"]


def mount(app: Flask, path: str, receiver: "WebhookReceiver") -> None:
    """Add the rule."""

    def webhook() -> FlaskResponse:
        try:
            outcome = receiver.receive(_body(receiver.max_bytes), list(request.headers.items()))
        except SharedError as exc:
            if EXCHANGE_KEY in request.environ or _is_handled(app):
                raise
            reply = ErrorRenderer().render(exc, accept=request.headers.get("Accept"), path=request.path)
            return FlaskResponse(reply.body, reply.status, list(reply.headers))
        return FlaskResponse(accepted(outcome), 200, mimetype="application/json")

    try:
        app.add_url_rule(path, f"webhook:{path}", webhook, methods=["POST"])
    except AssertionError as exc:  # Flask's word for it
        msg = f"the webhook {path!r} is added before the application's first request, and once"
        raise ConfigurationError(msg, cause=exc) from exc


def _is_handled(app: Flask) -> bool:
    """Tell whether the application answers our errors itself."""
    handlers = app.error_handler_spec[None][None]
    return any(issubclass(SharedError, each) for each in handlers)


def _body(limit: int) -> bytes:
    """Return the body, refusing what is too large without reading all of it."""
    body = request.stream.read(limit + 1)
    if len(body) > limit:
        msg = f"a webhook of at most {limit} bytes is read"
        raise PayloadTooLargeError(msg, details={"limit": limit})
    return bytes(body)
