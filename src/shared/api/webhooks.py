"""Put the webhooks of suppliers into an application: FastAPI, Starlette or Flask.

Example:
    >>> from shared.integrations.webhooks import WebhookReceiver
    >>> from starlette.applications import Starlette
    >>> app = Starlette()
    >>> add_webhook(app, "/webhooks/stripe", WebhookReceiver("stripe", "whsec_0123456789"))
    >>> [route.path for route in app.routes]
    ['/webhooks/stripe']
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.errors import InvalidArgumentError

if TYPE_CHECKING:
    from shared.commerce import PaymentEntity
    from shared.database import Database
    from shared.integrations.webhooks import WebhookReceiver

__all__ = ["add_payment_webhook", "add_webhook"]


def add_webhook(app: Any, path: str, receiver: "WebhookReceiver") -> None:
    """Answer ``POST path`` with *receiver*.

    200 says that the delivery was recorded now or before, in the envelope with
    ``{"received": true, "duplicate": bool}``. 401 says that it is not genuine, 413 that it is
    too large; whatever else went wrong is 4xx or 5xx, nothing of it was recorded, and the
    supplier tries again. Errors leave as everywhere else in the application: with
    ``install(app)``, or without it in the envelope all the same. The route is not part of
    the OpenAPI document and asks for no login: the signature is the login.

    Args:
        app: A FastAPI, Starlette or Flask application.
        path: Such as ``"/webhooks/stripe"``.
        receiver: Who takes them.

    Raises:
        InvalidArgumentError: *app* is none of these, or *path* does not begin with ``/``.

    Example:
        >>> from flask import Flask
        >>> from shared.integrations.webhooks import WebhookReceiver
        >>> app = Flask("shop")
        >>> add_webhook(app, "/webhooks/stripe", WebhookReceiver("stripe", "whsec_0123456789"))
        >>> app.test_client().post("/webhooks/stripe", data=b"{}").status_code
        401
    """
    if not path.startswith("/"):
        msg = f"the path of a webhook begins with '/', got {path!r}"
        raise InvalidArgumentError(msg)
    kinds = {each.__module__.partition(".")[0] for each in type(app).__mro__}
    if "starlette" in kinds:
        from shared.api._webhook_starlette import mount

        mount(app, path, receiver)
    elif "flask" in kinds:
        from shared.api._webhook_flask import mount as mount_in_flask

        mount_in_flask(app, path, receiver)
    else:
        msg = f"a FastAPI, Starlette or Flask application expected, got {type(app).__name__}"
        raise InvalidArgumentError(msg)


def add_payment_webhook(
    app: Any,
    path: str,
    provider: str,
    handle: "Callable[[Any, PaymentEntity], object] | None" = None,
    *,
    database: "Database | None" = None,
    secrets: Any = None,
) -> None:
    """Answer ``POST path`` with the payments of ``stripe`` or ``shopify``, and follow them.

    In one transaction: the delivery is noted, the payment of the room ``commerce`` follows
    it (late, doubled and mixed-up deliveries included), its change is written to the outbox
    (``commerce.payment.<status>``), and *handle* runs. Needs the tables of the rooms
    ``commerce`` and ``database``.

    Args:
        app: As of :func:`add_webhook`.
        path: As of :func:`add_webhook`.
        provider: ``stripe`` or ``shopify``.
        handle: ``handle(session, payment)`` with the payment as it is now, a plain function
            in the same transaction, such as one that calls
            ``OrderDAO().pay_order(payment.order_id, session=session)``.
        database: Where; ``get_database()`` when None.
        secrets: In place of those of the settings.

    Raises:
        ConfigurationError: The provider is another one.
        InvalidArgumentError: As :func:`add_webhook`.

    Example:
        >>> from flask import Flask
        >>> app = Flask("shop")
        >>> add_payment_webhook(app, "/webhooks/shopify", "shopify", secrets="0123456789abcdef")
        >>> app.test_client().post("/webhooks/shopify", data=b"{}").status_code
        401
    """
    from shared.commerce import PaymentDAO
    from shared.integrations.payments import PaymentNotice, payment_webhooks

    payments = PaymentDAO(database)

    def follow(session: Any, notice: PaymentNotice) -> None:
        payment = payments.apply_payment_event(notice.to_dict(), session=session)
        if handle is not None:
            handle(session, payment)

    add_webhook(app, path, payment_webhooks(provider, follow, secrets=secrets, database=database))
