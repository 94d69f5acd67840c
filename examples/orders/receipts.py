"""What a payment causes: a receipt in the storage, and a mail to the customer with it."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from examples.orders.settings import OrdersSettings
from shared.api import plan_download
from shared.api.fastapi import EnvelopeRoute
from shared.commerce import AsyncOrderDAO, OrderEntity, OrderStatus
from shared.config import get_settings
from shared.errors import ConflictError, WebhookReplayError
from shared.integrations.email import Attachment, MemoryBackend, asend_email, get_async_mailer
from shared.integrations.storage import get_storage
from shared.logging import bind, get_logger
from shared.security import MemoryReplayStore, verify_webhook

log = get_logger(__name__)
routes = APIRouter(route_class=EnvelopeRoute)
orders, deliveries = AsyncOrderDAO(), MemoryReplayStore()


@routes.post("/webhooks/payments", include_in_schema=False)
async def take_payment_notice(request: Request) -> dict[str, bool]:
    """Take what the payment supplier tells, each delivery once."""
    secret = get_settings(OrdersSettings).orders.PAYMENTS_WEBHOOK_SECRET
    try:
        with verify_webhook(
            "stripe", await request.body(), request.headers, secret, replay_store=deliveries
        ) as event:
            log.info("payment notice", event_id=event.id, event_type=event.type)
            if event.type == "payment_intent.succeeded":
                await send_receipt(event.json()["data"]["object"])
    except WebhookReplayError:
        return {"accepted": False}
    return {"accepted": True}


async def send_receipt(payment: dict[str, Any]) -> None:
    """Keep the receipt of a paid order, then send it; what fails is asked for again by the supplier."""
    order = await orders.get_order(UUID(payment["metadata"]["order_id"]))
    bind(order_id=str(order.id))
    if order.status is not OrderStatus.PAID:
        raise ConflictError("the order is not paid yet: tell us again")
    receipt = receipt_of(order)
    stored = await get_storage().aio.put(key_of(order.id), receipt, metadata={"payment": payment["id"]})
    log.info("receipt stored", key=stored.key, bytes=stored.size)
    if address := payment.get("receipt_email"):
        await asend_email(
            address,
            "Your receipt",
            "Thank you for your order.",
            attachments=[Attachment("receipt.txt", receipt)],
            category="receipt",
        )


def receipt_of(order: OrderEntity) -> bytes:
    """Return the receipt as text."""
    lines = [
        f"{item.quantity} x {item.variant_id}  {item.unit_price} {order.currency}" for item in order.items
    ]
    return "\n".join(
        [f"Receipt for order {order.id}", *lines, f"Total {order.total} {order.currency}", ""]
    ).encode()


def key_of(order_id: object) -> str:
    """Return where the receipt of an order is kept."""
    return f"receipts/{order_id}.txt"


@routes.get("/orders/{order_id}/receipt", response_class=Response)
async def get_receipt(order_id: UUID, request: Request) -> Response:
    """Give the receipt out: 304 to who has it, a part to who wants a part."""
    order, storage = await orders.get_order(order_id), get_storage().aio
    plan = plan_download(await storage.stat(key_of(order.id)), request.headers)
    data = await storage.get(key_of(order.id), start=plan.start, stop=plan.stop) if plan.has_body else b""
    return Response(data, plan.status, plan.headers)


@routes.get("/outbox", include_in_schema=False)
async def show_outbox() -> list[dict[str, Any]]:
    """Show what a mailer in memory has taken: for the tour, where nobody reads mail."""
    backend = get_async_mailer().backend
    sent = backend.messages if isinstance(backend, MemoryBackend) else []
    return [{"to": [str(one) for one in mail.to], "subject": mail.subject} for mail in sent]
