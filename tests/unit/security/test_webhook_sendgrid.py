"""SendGrid signs its events with a private key of the curve P-256."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ConfigurationError, WebhookReplayError, WebhookSignatureError
from shared.security import MemoryReplayStore, sign_webhook, verify_webhook

KEY = ec.generate_private_key(ec.SECP256R1())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
DER = base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
OTHER = ec.generate_private_key(ec.SECP256R1())
OTHER_DER = base64.b64encode(
    OTHER.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
BODY = b'[{"event": "bounce"}]'


def signed(body=BODY, at=1_700_000_000):
    return sign_webhook("sendgrid", body, PRIVATE, timestamp=at)


@pytest.mark.parametrize("key", [DER, PEM], ids=["der", "pem"])
def test_a_genuine_delivery_is_accepted(key):
    event = verify_webhook("sendgrid", BODY, signed(), key, now=1_700_000_010)

    assert (event.timestamp, event.secret_index, event.json()) == (1_700_000_000.0, 0, [{"event": "bounce"}])


def test_during_a_rotation_either_key_fits():
    assert verify_webhook("sendgrid", BODY, signed(), [OTHER_DER, DER], now=1_700_000_000).secret_index == 1


@pytest.mark.parametrize(
    ("body", "key", "now"),
    [(BODY + b" ", DER, 1_700_000_000), (BODY, OTHER_DER, 1_700_000_000), (BODY, DER, 1_700_000_900)]
    + [(BODY, DER, 1_699_999_000)],
    ids=["body", "key", "old", "future"],
)
def test_what_is_not_genuine_is_refused(body, key, now):
    with pytest.raises(WebhookSignatureError):
        verify_webhook("sendgrid", body, signed(), key, now=now)


def test_a_digit_moved_from_the_time_to_the_body_is_refused():
    headers = signed()
    headers["X-Twilio-Email-Event-Webhook-Timestamp"] = "170000000"

    with pytest.raises(WebhookSignatureError):
        verify_webhook("sendgrid", b"0" + BODY, headers, DER, now=1_700_000_000)


def test_a_delivery_that_came_before_is_told():
    store = MemoryReplayStore()
    verify_webhook("sendgrid", BODY, signed(), DER, now=1_700_000_000, replay_store=store)

    with pytest.raises(WebhookReplayError):
        verify_webhook("sendgrid", BODY, signed(), DER, now=1_700_000_001, replay_store=store)


WRONG = ed25519.Ed25519PrivateKey.generate().public_key()
WRONG_DER = base64.b64encode(WRONG.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.mark.parametrize(
    "key", ["not base64 at all!", "QUJDREVGR0g=", WRONG_DER, "-----BEGIN PUBLIC KEY-----"], ids=range(4)
)
def test_a_key_of_another_kind_is_a_wrong_configuration(key):
    with pytest.raises(ConfigurationError, match="curve P-256"):
        verify_webhook("sendgrid", BODY, signed(), key)


def test_a_public_key_does_not_sign():
    with pytest.raises(ConfigurationError, match="private key"):
        sign_webhook("sendgrid", BODY, DER)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=100), st.text(max_size=20))
def test_only_our_errors_come_out_of_any_header(signature, timestamp):
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }

    with pytest.raises(WebhookSignatureError):
        verify_webhook("sendgrid", BODY, headers, DER)
