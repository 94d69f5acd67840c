"""What a payment causes: a receipt in the storage, and a mail to the customer with it.

The supplier's notice is recorded in one transaction with a message in the outbox; the relay
of `open_shop` does the rest, again and again until it is done.
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy.orm import Session

from examples.orders.settings import OrdersSettings
from shared.api import plan_download
from shared.api.fastapi import EnvelopeRoute
from shared.api.webhooks import add_webhook
from shared.commerce import AsyncOrderDAO, OrderEntity, OrderStatus
from shared.config import get_settings
from shared.constants import Header, PaymentStatus
from shared.context import request_context
from shared.database import Outbox, PublishedMessage
from shared.errors import ConflictError
from shared.integrations.email import Attachment, MemoryBackend, asend_email, get_async_mailer
from shared.integrations.payments import PaymentNotice, payment_webhooks
from shared.integrations.storage import get_storage
from shared.logging import get_logger

log = get_logger(__name__)
routes = APIRouter(route_class=EnvelopeRoute)
orders, outbox = AsyncOrderDAO(), Outbox()


def add_receipts(app: FastAPI) -> None:
    """Take the notices of the payment supplier, and give the receipts out."""
    secret = get_settings(OrdersSettings).orders.PAYMENTS_WEBHOOK_SECRET
    add_webhook(app, "/webhooks/payments", payment_webhooks("stripe", note_payment, secrets=secret))
    app.include_router(routes)


def note_payment(session: Session, notice: PaymentNotice) -> None:
    """Note that a receipt is due, in the transaction that records the notice."""
    log.info("payment notice", order_id=notice.reference, status=notice.status.value)
    if notice.status is PaymentStatus.SUCCEEDED:
        outbox.add(session, "receipts.due", {"order_id": notice.reference, "payment": notice.provider_id})


async def publish(message: PublishedMessage) -> None:
    """Do what a message of the outbox asks for, under the correlation id of the request that wrote it."""
    if message.topic == "receipts.due":
        with request_context(correlation_id=message.headers.get(Header.CORRELATION_ID)):
            await send_receipt(UUID(message.payload["order_id"]), message.payload["payment"])


async def send_receipt(order_id: UUID, payment: str) -> None:
    """Keep the receipt of a paid order, then send it."""
    order = await orders.get_order(order_id)
    if order.status is OrderStatus.PENDING:
        raise ConflictError("the order is not paid yet: ask again")
    if order.status is not OrderStatus.PAID:
        log.warning("payment of an order that is not kept", status=order.status.value)
        return
    receipt = receipt_of(order)
    stored = await get_storage().aio.put(key_of(order.id), receipt, metadata={"payment": payment})
    log.info("receipt stored", key=stored.key, bytes=stored.size)
    if address := (order.details or {}).get("email"):
        attachments = [Attachment("receipt.txt", receipt)]
        await asend_email(address, "Your receipt", "Thank you.", attachments=attachments, category="receipt")


def receipt_of(order: OrderEntity) -> bytes:
    """Return the receipt as text."""
    lines = [
        f"{item.quantity} x {item.variant_id}  {item.unit_price} {order.currency}" for item in order.items
    ]
    return "\n".join(
        [f"Receipt for order {order.id}", *lines, f"Total {order.total} {order.currency}", ""]
    ).encode()


def key_of(order_id: UUID) -> str:
    """Return where the receipt of an order is kept."""
    return f"receipts/{order_id}.txt"


@routes.get("/orders/{order_id}/receipt", response_class=Response)
async def get_receipt(order_id: UUID, request: Request) -> Response:
    """Give the receipt out: 304 to who has it, a part to who wants a part."""
    storage = get_storage().aio
    plan = plan_download(await storage.stat(key_of(order_id)), request.headers)
    data = await storage.get(key_of(order_id), start=plan.start, stop=plan.stop) if plan.has_body else b""
    return Response(data, plan.status, plan.headers)


@routes.get("/outbox", include_in_schema=False)
async def show_outbox() -> list[dict[str, Any]]:
    """Show what a mailer in memory has taken: for the tour, where nobody reads mail."""
    backend = get_async_mailer().backend
    sent = backend.messages if isinstance(backend, MemoryBackend) else []
    return [{"to": [str(one) for one in mail.to], "subject": mail.subject} for mail in sent]
