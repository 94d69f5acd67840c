"""Against a real HTTP server that speaks SendGrid's API."""

import base64

import pytest

from shared.errors import (
    ConfigurationError,
    EmailError,
    EmailRefusedError,
    RateLimitError,
    ServiceUnavailableError,
)
from shared.integrations.email import Attachment, EmailMessage, SendGridBackend
from shared.testing import FakeAnswer, FakeSendGrid
from tests.unit.integrations.email._both import BOTH

MESSAGE = EmailMessage(
    "Ada <ada@example.com>",
    "Grüße",
    text="Hello",
    html="<p>Hello</p>",
    cc=["bob@example.com", "ada@example.com"],
    bcc="eve@example.com",
    reply_to="help@example.com",
    headers={"List-Unsubscribe": "<https://example.com/u>"},
    attachments=[Attachment("a.txt", b"abc"), Attachment("l.png", b"png", content_id="logo")],
    category="receipt",
)


@pytest.fixture(params=list(BOTH))
def send(request, thrice):
    kind = BOTH[request.param]

    def run(supplier, message=MESSAGE, *, policy=thrice, timeout=20.0, api_key=None):
        backend = SendGridBackend(api_key or supplier.api_key, base_url=supplier.url, timeout=timeout)
        return kind(backend, sender=("Shop", "shop@example.com"), policy=policy).send(message)

    return run


@pytest.fixture
def supplier():
    with FakeSendGrid() as server:
        yield server


def test_the_message_is_taken_over_with_everything_in_it(supplier, send):
    receipt = send(supplier)

    mail = supplier.mails[0]
    assert receipt.supplier_id == "fake-1"
    assert mail["from"] == {"email": "shop@example.com", "name": "Shop"}
    assert mail["personalizations"] == [
        {
            "to": [{"email": "ada@example.com", "name": "Ada"}],
            "cc": [{"email": "bob@example.com"}],
            "bcc": [{"email": "eve@example.com"}],
        }
    ]
    assert [each["type"] for each in mail["content"]] == ["text/plain", "text/html"]
    assert mail["custom_args"] == {"message_id": receipt.message_id}
    assert mail["categories"] == ["receipt"]
    assert mail["reply_to_list"] == [{"email": "help@example.com"}]
    assert base64.b64decode(mail["attachments"][0]["content"]) == b"abc"
    assert mail["attachments"][1]["content_id"] == "logo"


def test_a_full_supplier_is_asked_again_when_it_says(supplier, send):
    supplier.will(FakeAnswer(429, {"errors": []}, {"Retry-After": "0"}))

    send(supplier)

    assert len(supplier.requests) == 2
    assert len(supplier.mails) == 1


def test_a_supplier_that_stays_full_is_told(supplier, send, once):
    supplier.will(FakeAnswer(429, {"errors": []}, {"Retry-After": "7"}))

    with pytest.raises(RateLimitError) as caught:
        send(supplier, policy=once)

    assert caught.value.retry_after == 7


def test_a_supplier_that_is_not_available_is_asked_again(supplier, send):
    supplier.will(FakeAnswer(503, {}), FakeAnswer(503, {}))

    send(supplier)

    assert len(supplier.mails) == 1


def test_an_expired_key_is_told_without_it_and_not_repeated(supplier, send):
    with pytest.raises(EmailError, match="refused the key: check SENDGRID_API_KEY") as caught:
        send(supplier, api_key="SG.expired-secret")

    assert len(supplier.requests) == 1
    assert "expired-secret" not in str(caught.value) + repr(caught.value.details)
    assert caught.value.details["accepted"] is False


def test_an_unverified_sender_is_told(supplier, send):
    supplier.will(FakeAnswer(403, {"errors": [{"message": "shop@example.com?", "field": "from"}]}))

    with pytest.raises(EmailError, match="is EMAIL_FROM verified"):
        send(supplier)


def test_a_refused_message_names_the_fields_and_quotes_nothing(supplier, send):
    answer = {
        "errors": [{"message": "ada@example.com is bad", "field": "personalizations.0.to"}, {"field": 7}]
    }
    supplier.will(FakeAnswer(400, answer))

    with pytest.raises(
        EmailRefusedError, match=r"refused the message because of personalizations\.0\.to"
    ) as caught:
        send(supplier)

    assert "ada@" not in str(caught.value) + str(caught.value.details)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"errors": 3}', b'{"errors": [3]}', b"[" * 9000])
def test_a_refusal_that_is_nonsense_is_an_error_of_ours(supplier, send, body):
    supplier.will(FakeAnswer(400, body))

    with pytest.raises(EmailRefusedError, match="answered 400"):
        send(supplier)


def test_a_failed_supplier_may_have_sent_it_and_is_not_asked_again(supplier, send):
    supplier.will(FakeAnswer(500, {}))

    with pytest.raises(EmailError, match="may have been taken over") as caught:
        send(supplier)

    assert len(supplier.requests) == 1
    assert caught.value.details["accepted"] == "unknown"


def test_a_lost_answer_is_unknown_and_the_message_is_not_sent_twice(supplier, send):
    supplier.will(FakeAnswer(cut="after"))

    with pytest.raises(EmailError, match="may have been taken over"):
        send(supplier)

    assert len(supplier.mails) == 1


def test_a_slow_supplier_is_unknown(supplier, send):
    supplier.will(FakeAnswer(202, b"", delay=30))

    with pytest.raises(EmailError, match="may have been taken over"):
        send(supplier, timeout=1.5)


def test_a_supplier_that_cannot_be_reached_was_sent_nothing(supplier, send, once):
    with FakeSendGrid() as gone:
        backend_url = gone.url

    class Gone:
        api_key, url = "SG.fake-key", backend_url

    with pytest.raises(ServiceUnavailableError, match="cannot be reached") as caught:
        send(Gone, policy=once)

    assert caught.value.details["accepted"] is False
    assert caught.value.retryable is True


def test_many_messages_are_told_one_by_one(supplier, thrice):
    supplier.will(FakeAnswer(202, b""), FakeAnswer(400, {"errors": []}), FakeAnswer(500, {}))
    messages = [EmailMessage(f"u{number}@example.com", "Hi", text="Hi") for number in range(4)]
    backend = SendGridBackend(supplier.api_key, base_url=supplier.url)

    report = BOTH["threads"](backend, sender="shop@example.com", policy=thrice).send_many(messages)

    assert [each.status for each in report.results] == ["sent", "failed", "unknown", "sent"]


@pytest.mark.parametrize("key", ["", "SG.\n", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused_at_once(key):
    with pytest.raises(ConfigurationError, match="SENDGRID_API_KEY"):
        SendGridBackend(key)


def test_the_key_is_in_no_repr():
    assert "secret" not in repr(SendGridBackend("SG.secret"))
