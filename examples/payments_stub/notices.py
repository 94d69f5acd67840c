"""Tell the shop that a charge was paid, as payment suppliers do: signed, later, and until it is taken."""

import json
import secrets
import threading
import time

from examples.payments_stub.settings import StubSettings
from shared.config import get_settings
from shared.context import current_context, request_context
from shared.errors import SharedError
from shared.logging import get_logger
from shared.resilience import ServiceClient
from shared.security import sign_webhook

log = get_logger(__name__)
_TRIES = 100
_PAUSE = 0.1  # seconds


def send_notice(payment_id: str, cents: int, reference: str) -> None:
    """Begin to tell, in a thread with the correlation id of the charge, and without its deadline."""
    event = {
        "id": f"evt_{secrets.token_hex(8)}",
        "type": "payment_intent.succeeded",
        "created": int(time.time()),
        "data": {
            "object": {
                "id": payment_id,
                "amount": cents,
                "currency": "eur",
                "metadata": {"reference": reference},
            }
        },
    }
    found = current_context()
    ids = {} if found is None else {"correlation_id": found.correlation_id, "trace": found.trace}

    def tell() -> None:
        with request_context(**ids):
            _tell(json.dumps(event).encode())

    threading.Thread(target=tell, daemon=True).start()


def _tell(body: bytes) -> None:
    settings = get_settings(StubSettings).stub
    host, _, path = settings.NOTICE_URL.partition("/webhooks")
    with ServiceClient(host, name="shop", policy=None, timeout=10.0) as shop:
        for number in range(1, _TRIES + 1):
            headers = {
                **sign_webhook("stripe", body, settings.NOTICE_SECRET),
                "Content-Type": "application/json",
            }
            try:
                shop.post(f"/webhooks{path}", content=body, headers=headers)
            except SharedError as error:
                log.info("notice not taken", attempt=number, status=error.status)
                time.sleep(_PAUSE)
            else:
                log.info("notice taken", attempt=number)
                return
