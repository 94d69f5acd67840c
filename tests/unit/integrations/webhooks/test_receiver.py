"""Webhooks are checked, taken once, and recorded together with what they cause."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from shared.config import override_settings
from shared.database import Base, Database, InboxMessage, OutboxMessage, tables_of
from shared.errors import (
    BadRequestError,
    ConfigurationError,
    InvalidArgumentError,
    PayloadTooLargeError,
    WebhookSignatureError,
)
from shared.integrations.webhooks import WebhookHandled, WebhookReceiver
from shared.runtime import Events, Runtime, use
from shared.security import sign_webhook

pytestmark = pytest.mark.usefixtures("shared_runtime")

SECRET = "0123456789abcdef"
BODY = b'{"id": "evt_1", "type": "ping"}'


@pytest.fixture
def db(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'hooks.db'}") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("database"))
        yield database


@pytest.fixture(params=["threads", "coroutines"])
def receive(request, db):
    def run(receiver, body=BODY, headers=None, provider="stripe"):
        headers = sign_webhook(provider, body, SECRET) if headers is None else headers
        if request.param == "threads":
            return receiver.receive(body, headers)

        async def main():
            try:
                return await receiver.areceive(body, headers)
            finally:
                await db.aio.aclose()

        return asyncio.run(main())

    return run


def counts(db):
    with db.read() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(table)) for table in (InboxMessage, OutboxMessage)
        )


def test_a_delivery_is_handled_once_and_told_through_the_outbox(db, receive):
    seen = []
    receiver = WebhookReceiver("stripe", SECRET, lambda session, event: seen.append(event.id), database=db)

    outcomes = [receive(receiver).is_duplicate for _ in range(3)]

    with db.read() as session:
        message = session.scalars(select(OutboxMessage)).one()
    assert outcomes == [False, True, True]
    assert seen == ["evt_1"]
    assert (message.topic, message.payload["content"]) == ("webhooks.stripe", json.loads(BODY))


def test_nothing_is_recorded_when_handling_fails_and_the_next_try_is_new(db, receive):
    trouble = [RuntimeError("boom")]

    def handle(session, event):
        if trouble:
            raise trouble.pop()

    receiver = WebhookReceiver("stripe", SECRET, handle, database=db)
    with pytest.raises(RuntimeError):
        receive(receiver)
    before = counts(db)

    assert before == (0, 0)
    assert receive(receiver).is_duplicate is False


@pytest.mark.parametrize(
    "headers",
    [{}, {"Stripe-Signature": "t=1,v1=00"}, sign_webhook("stripe", BODY, "another-secret-0")],
    ids=["none", "old", "other"],
)
def test_what_is_not_genuine_touches_no_database(receive, headers):
    class Untouched:
        def transaction(self, **options):
            raise AssertionError("a transaction was opened")

        @property
        def aio(self):
            raise AssertionError("a transaction was opened")

    receiver = WebhookReceiver("stripe", SECRET, database=Untouched())

    with pytest.raises(WebhookSignatureError):
        receive(receiver, headers=headers)


def test_a_body_that_is_too_large_is_refused(db, receive):
    with pytest.raises(PayloadTooLargeError):
        receive(WebhookReceiver("stripe", SECRET, database=db, max_bytes=10))


def test_a_genuine_delivery_that_is_no_json_is_told_and_not_recorded(db, receive):
    with pytest.raises(BadRequestError):
        receive(WebhookReceiver("hmac", SECRET, database=db), b"<xml>", provider="hmac")

    assert counts(db) == (0, 0)


def test_a_body_replayed_under_another_id_is_a_duplicate(db, receive):
    receiver = WebhookReceiver("shopify", SECRET, database=db)
    headers = sign_webhook("shopify", BODY, SECRET, delivery_id="d-1")

    first = receive(receiver, headers=headers)
    second = receive(receiver, headers={**headers, "X-Shopify-Webhook-Id": "d-2"})

    assert (first.is_duplicate, second.is_duplicate) == (False, True)


def test_secrets_are_asked_for_at_each_delivery(db, receive):
    secrets = ["another-secret-0"]
    receiver = WebhookReceiver("stripe", lambda: secrets, database=db)
    with pytest.raises(WebhookSignatureError):
        receive(receiver)
    secrets.append(SECRET)

    assert receive(receiver).event.secret_index == 1


@pytest.mark.parametrize("secret", [None, ""])
def test_a_secret_that_is_not_set_is_told(db, receive, secret):
    with pytest.raises(ConfigurationError, match="their secret is not set"):
        receive(WebhookReceiver("stripe", lambda: secret, database=db))


def test_what_is_not_accepted_is_answered_and_not_recorded(db, receive):
    receiver = WebhookReceiver("stripe", SECRET, database=db, accept=lambda event: event.type != "ping")

    receive(receiver)

    assert counts(db) == (0, 0)


def test_without_an_outbox_only_the_handler_runs(db, receive):
    receive(WebhookReceiver("stripe", SECRET, database=db, outbox=None))

    assert counts(db) == (1, 0)


def test_of_many_at_the_same_time_one_is_handled(db):
    seen = []

    def handle(session, event):
        seen.append(event.id)
        time.sleep(0.02)

    receiver = WebhookReceiver("stripe", SECRET, handle, database=db)
    headers = sign_webhook("stripe", BODY, SECRET)
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda _: receiver.receive(BODY, headers).is_duplicate, range(6)))

    assert sorted(outcomes) == [False] + [True] * 5
    assert counts(db) == (1, 1)


def test_what_happened_is_told(db, receive, log_capture):
    events, seen = Events(), []
    events.subscribe(WebhookHandled, seen.append)
    receiver = WebhookReceiver("stripe", SECRET, database=db, events=events)

    receive(receiver)
    receive(receiver)
    with pytest.raises(WebhookSignatureError):
        receive(receiver, headers={})
    failing = WebhookReceiver(
        "stripe", SECRET, lambda s, e: 1 / 0, database=db, events=events, consumer="other"
    )
    with pytest.raises(ZeroDivisionError):
        receive(failing)

    assert [each.outcome for each in seen] == ["processed", "duplicate", "refused", "failed"]
    assert SECRET not in repr(log_capture)


def test_deliveries_are_counted_when_metrics_are_on(db, receive):
    from shared.monitoring import get_metrics

    with use(Runtime("test")) as runtime, override_settings(METRICS_ENABLED=True):
        get_metrics()
        receive(WebhookReceiver("stripe", SECRET, database=db))

        labels = {"provider": "stripe", "outcome": "processed"}
        assert get_metrics().value("webhook_deliveries_total", labels) == 1.0
        runtime.close()


def test_an_unknown_provider_and_a_handler_that_is_none_are_refused(db):
    with pytest.raises(ConfigurationError):
        WebhookReceiver("nobody", SECRET, database=db).receive(BODY, {})
    with pytest.raises(InvalidArgumentError):
        WebhookReceiver("stripe", SECRET, "handle")
