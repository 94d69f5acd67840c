"""Bounces and the like: genuine, each once, whatever else SendGrid sends."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config import override_settings
from shared.database import Base, Database, tables_of
from shared.errors import BadRequestError, ConfigurationError, WebhookSignatureError
from shared.integrations.email import delivery_events, email_webhooks
from shared.security import VerifiedEvent, sign_webhook

pytestmark = pytest.mark.usefixtures("shared_runtime")
KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
BOUNCE = {
    "event": "bounce",
    "sg_event_id": "e-1",
    "email": "ada@example.com",
    "timestamp": 1_700_000_000,
    "status": "5.1.1",
    "message_id": "<1@example.com>",
    "sg_message_id": "sg-1",
}


def told(*events):
    body = json.dumps(events).encode()
    return VerifiedEvent("sendgrid", body, None, None, None, "", 0)


@pytest.fixture
def db(tmp_path):
    with Database(f"sqlite:///{tmp_path / 'mail.db'}") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("database"))
        yield database


def deliver(receiver, *events):
    body = json.dumps(events).encode()
    return receiver.receive(body, sign_webhook("sendgrid", body, PRIVATE))


def test_a_bounce_tells_whose_and_which():
    event = delivery_events(told(BOUNCE))[0]

    assert (event.kind, event.address, event.message_id, event.status) == (
        "bounce", "ada@example.com", "<1@example.com>", "5.1.1",
    )  # fmt: skip
    assert event.kind.is_final_failure
    assert "ada" not in repr(event)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"event": "delivered"}, "delivered"),
        ({"event": "deferred"}, "deferred"),
        ({"event": "dropped"}, "dropped"),
        ({"type": "blocked"}, "blocked"),
        ({"event": "spamreport"}, "spam_report"),
        ({"event": "group_unsubscribe"}, "unsubscribed"),
        ({"event": "open"}, "opened"),
    ],
)
def test_kinds_are_ours(change, kind):
    assert delivery_events(told({**BOUNCE, **change}))[0].kind == kind


def test_what_is_not_known_is_left_out():
    assert delivery_events(told({"event": "group_resubscribe"}, {"event": 7})) == ()


@pytest.mark.parametrize(
    "event",
    [
        7,
        [],
        {},
        {"event": "bounce"},
        {**BOUNCE, "timestamp": "now"},
        {**BOUNCE, "timestamp": 10**20},
        {**BOUNCE, "email": None},
    ]
    + [{**BOUNCE, "sg_event_id": "a\nb"}, {**BOUNCE, "email": "x" * 400}],
    ids=range(9),
)
def test_what_is_not_of_the_documented_form_is_told(event):
    with pytest.raises(BadRequestError):
        delivery_events(told(event))


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=80)
    | st.lists(st.dictionaries(st.sampled_from(list(BOUNCE)), st.text() | st.integers() | st.none())).map(
        lambda x: json.dumps(x).encode()
    )
)
def test_only_our_errors_come_out(body):
    try:
        delivery_events(VerifiedEvent("sendgrid", body, None, None, None, "", 0))
    except BadRequestError:
        return


def test_each_event_is_handled_once_also_when_it_comes_in_another_delivery(db):
    seen = []
    receiver = email_webhooks(lambda session, event: seen.append(event.event_id), secrets=PUBLIC, database=db)

    deliver(receiver, BOUNCE)
    deliver(receiver, BOUNCE, {**BOUNCE, "sg_event_id": "e-2"})

    assert seen == ["e-1", "e-2"]


def test_the_key_comes_from_the_settings(db):
    receiver = email_webhooks(lambda session, event: None, database=db)

    with override_settings(SENDGRID_WEBHOOK_KEY=PUBLIC):
        assert deliver(receiver, BOUNCE).is_duplicate is False
    with pytest.raises(ConfigurationError, match="secret is not set"):
        deliver(receiver, BOUNCE)


def test_a_forged_event_is_refused(db):
    receiver = email_webhooks(lambda session, event: None, secrets=PUBLIC, database=db)
    headers = sign_webhook("sendgrid", b"[]", PRIVATE)

    with pytest.raises(WebhookSignatureError):
        receiver.receive(json.dumps([BOUNCE]).encode(), headers)
