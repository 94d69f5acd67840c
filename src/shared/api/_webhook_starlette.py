"""A webhook as a route of Starlette and FastAPI."""

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.api._errors import ErrorRenderer
from shared.api._exchange import EXCHANGE_KEY
from shared.api._webhook_answer import accepted
from shared.errors import PayloadTooLargeError, SharedError

if TYPE_CHECKING:
    from shared.integrations.webhooks import WebhookReceiver

__all__ = ["mount"]


def mount(app: Starlette, path: str, receiver: "WebhookReceiver") -> None:
    """Add the route."""

    async def webhook(request: Request) -> Response:
        try:
            outcome = await receiver.areceive(
                await _body(request, receiver.max_bytes), request.scope["headers"]
            )
        except SharedError as exc:
            if SharedError in app.exception_handlers or EXCHANGE_KEY in request.scope:
                raise
            accept = request.headers.get("accept")
            reply = ErrorRenderer().render(exc, accept=accept, path=request.url.path)
            return Response(reply.body, reply.status, dict(reply.headers))
        return Response(accepted(outcome), 200, media_type="application/json")

    app.router.routes.append(
        Route(path, webhook, methods=["POST"], name=f"webhook:{path}", include_in_schema=False)
    )


async def _body(request: Any, limit: int) -> bytes:
    """Return the body, refusing what is too large while it comes in."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            msg = f"a webhook of at most {limit} bytes is read"
            raise PayloadTooLargeError(msg, details={"limit": limit})
        chunks.append(chunk)
    return b"".join(chunks)
