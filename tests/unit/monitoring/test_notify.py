import http.server
import json
import logging
import threading
from contextlib import contextmanager

import pytest

from shared.errors import ExternalServiceError, InvalidArgumentError
from shared.monitoring import EmailNotifier, Notification, Severity, WebhookNotifier, log_notifier

SECRET = b"0123456789abcdef0123456789abcdef"
NOTE = Notification(
    "queue", "firing", Severity.PAGE, "queue is 120", {"service": "orders", "value": 120}, 1_700_000_000.0
)


@contextmanager
def receiver(status=200):
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, dict(self.headers), body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook?team=a", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_gets_the_notice_signed():
    from shared.security import constant_time_equals

    with receiver() as (url, received):
        notifier = WebhookNotifier(url, secret=SECRET, wall_clock=lambda: 1_700_000_100.0)
        notifier(NOTE)

    path, headers, body = received[0]
    assert path == "/hook?team=a"
    assert json.loads(body) == {
        "alert": "queue",
        "status": "firing",
        "severity": "page",
        "summary": "queue is 120",
        "details": {"service": "orders", "value": 120},
        "at": 1_700_000_000.0,
    }
    expected = notifier.headers(body, 1_700_000_100, headers["webhook-id"])["webhook-signature"]
    assert constant_time_equals(headers["webhook-signature"], expected)
    assert headers["webhook-timestamp"] == "1700000100"


def test_the_signature_is_that_of_standard_webhooks():
    # The example of the specification's reference libraries.
    notifier = WebhookNotifier("https://x.example/", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = notifier.headers(b'{"test": 2432232314}', 1614265330, "msg_p5jXN8AQM9LWM0D4loKWxJek")

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_notice_that_is_tried_again_keeps_its_id():
    with receiver() as (url, received):
        notifier = WebhookNotifier(url, secret=SECRET)
        notifier(NOTE)
        notifier(NOTE)

    assert received[0][1]["webhook-id"] == received[1][1]["webhook-id"]


def test_a_changed_body_or_moment_changes_the_signature():
    notifier = WebhookNotifier("https://x.example/", secret=SECRET)
    signatures = {
        notifier.headers(body, at, message)["webhook-signature"]
        for body, at, message in ((b"a", 1, "m"), (b"b", 1, "m"), (b"a", 2, "m"), (b"a", 1, "n"))
    }

    assert len(signatures) == 4


def test_a_receiver_that_refuses_is_an_error():
    with receiver(status=500) as (url, _), pytest.raises(ExternalServiceError, match="answered 500"):
        WebhookNotifier(url, secret=SECRET)(NOTE)


def test_a_receiver_that_is_not_there_is_an_error_without_the_path():
    notifier = WebhookNotifier("http://127.0.0.1:1/hook?token=topsecret", secret=SECRET, timeout=1)

    with pytest.raises(ExternalServiceError, match="cannot be reached") as caught:
        notifier(NOTE)

    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "ftp://h/", "http:///", "https://user:pw@h/"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(InvalidArgumentError, match="address"):
        WebhookNotifier(url, secret=SECRET)


@pytest.mark.parametrize("secret", [b"short", "", "whsec_", "whsec_!!!"])
def test_a_weak_or_broken_secret_is_refused_and_not_shown(secret):
    with pytest.raises(InvalidArgumentError, match="secret") as caught:
        WebhookNotifier("https://x.example/", secret=secret)

    assert "short" not in str(caught.value)


def test_the_details_may_hold_anything():
    with receiver() as (url, received):
        WebhookNotifier(url, secret=SECRET)(NOTE._replace(details={"when": object()}))

    assert "object" in json.loads(received[0][2])["details"]["when"]


@pytest.mark.parametrize(
    ("severity", "status", "level"),
    [
        (Severity.PAGE, "firing", logging.ERROR),
        (Severity.TICKET, "firing", logging.WARNING),
        (Severity.INFO, "firing", logging.INFO),
        (Severity.PAGE, "resolved", logging.INFO),
    ],
)
def test_the_log_is_as_loud_as_the_severity(caplog, severity, status, level):
    caplog.set_level(logging.DEBUG, "shared.alerts")
    log_notifier(NOTE._replace(severity=severity, status=status))

    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (level, f"alert {status}: queue is 120")


def test_a_mail_has_a_subject_of_one_line():
    sent = []
    EmailNotifier(lambda subject, text: sent.append((subject, text)))(
        NOTE._replace(summary="bad\r\nBcc: all@x.org")
    )

    subject, text = sent[0]
    assert subject == "[PAGE] firing: bad Bcc: all@x.org"
    assert "value: 120" in text
