"""Where notices go: the log, a webhook, a function, a mailbox."""

import base64
import hashlib
import hmac
import http.client
import json
import logging
import ssl
import time
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from shared.errors import ExternalServiceError, InvalidArgumentError
from shared.monitoring._alert import Notification, Severity

Notifier: TypeAlias = "Callable[[Notification], object]"
"""Takes a notice; what it raises is logged, and the notice is tried again."""

_log: Final = logging.getLogger("shared.alerts")
_LEVELS: Final = {Severity.PAGE: logging.ERROR, Severity.TICKET: logging.WARNING, Severity.INFO: logging.INFO}


def log_notifier(notification: Notification) -> None:
    """Write the notice to the log, as loud as its severity.

    Example:
        >>> log_notifier(Notification("queue", "resolved", Severity.INFO, "queue is 3", {}, 0.0))
    """
    level = _LEVELS[notification.severity] if notification.status == "firing" else logging.INFO
    extra = {
        "alert": notification.alert,
        "alert_status": notification.status,
        "alert_details": dict(notification.details),
    }
    _log.log(level, "alert %s: %s", notification.status, notification.summary, extra=extra)


class WebhookNotifier:
    """Posts notices as JSON, signed so that the receiver can tell who sent them.

    Headers and signature are those of Standard Webhooks: ``webhook-id``,
    ``webhook-timestamp`` and ``webhook-signature`` (``v1,`` and the base64 of an
    HMAC-SHA256 over id, timestamp and body). ``shared.security.verify_webhook``
    checks them on the other side.

    Args:
        url: Where to post; http or https, without credentials.
        secret: Key of the signature, 24 to 64 bytes; ``whsec_`` and base64 is
            understood.
        timeout: Seconds per attempt to connect, send and read, > 0.
        wall_clock: Unix time in seconds.

    Raises:
        InvalidArgumentError: *url* or *secret* is not usable.

    Example:
        >>> secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        >>> notifier = WebhookNotifier("https://alerts.example/hook", secret=secret)
    """

    def __init__(
        self,
        url: str,
        *,
        secret: bytes | str,
        timeout: float = 5.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            msg = "the webhook's address is no http or https URL without credentials in it"
            raise InvalidArgumentError(msg)
        self._url = parts
        self._key = _key(secret)
        self._timeout = timeout
        self._clock = wall_clock

    def __call__(self, notification: Notification) -> None:
        """Post one notice.

        Raises:
            ExternalServiceError: The receiver cannot be reached or does not answer 2xx.
        """
        body = json.dumps(notification.to_dict(), default=str, separators=(",", ":")).encode()
        try:
            # The id stays the same when the notice is tried again, so that the
            # receiver can tell; the moment does not, or the signature would be stale.
            message_id = f"msg_{hashlib.sha256(body).hexdigest()[:32]}"
            status = self._post(body, self.headers(body, int(self._clock()), message_id))
        except (OSError, http.client.HTTPException) as exc:
            msg = f"the webhook at {self._url.netloc} cannot be reached: {type(exc).__name__}"
            raise ExternalServiceError(msg, cause=exc) from exc
        if not 200 <= status < 300:
            msg = f"the webhook at {self._url.netloc} answered {status}"
            raise ExternalServiceError(msg)

    def headers(self, body: bytes, timestamp: int, message_id: str) -> dict[str, str]:
        """Return the headers that go with *body*; the signature covers all three."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        digest = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        return {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": f"v1,{digest}",
        }

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        connection: http.client.HTTPConnection
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._url.netloc, timeout=self._timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._url.netloc, timeout=self._timeout)
        try:
            target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
            connection.request("POST", target, body=body, headers=headers)
            response = connection.getresponse()
            response.read(65_536)
            return response.status
        finally:
            connection.close()


class EmailNotifier:
    """Writes notices as mails and hands them to whoever sends mail.

    Args:
        send: Gets subject and text, such as ``lambda s, t: mailer.send("ops@x.org", s, t)``.

    Example:
        >>> sent = []
        >>> notifier = EmailNotifier(lambda subject, text: sent.append(subject))
        >>> notifier(Notification("queue", "firing", Severity.PAGE, "queue is 120", {"value": 120}, 0.0))
        >>> sent
        ['[PAGE] firing: queue is 120']
    """

    def __init__(self, send: Callable[[str, str], object]) -> None:
        self._send = send

    def __call__(self, notification: Notification) -> None:
        """Send one notice."""
        # A line end in a subject would begin another header.
        summary = " ".join(notification.summary.split())
        subject = f"[{str(notification.severity).upper()}] {notification.status}: {summary}"
        lines = [notification.summary, "", f"alert: {notification.alert}", f"status: {notification.status}"]
        lines += [f"{key}: {value}" for key, value in notification.details.items()]
        self._send(subject[:200], "\n".join(lines) + "\n")


def _key(secret: bytes | str) -> bytes:
    key = secret if isinstance(secret, bytes) else secret.encode()
    if key.startswith(b"whsec_"):
        try:
            key = base64.b64decode(key[6:], validate=True)
        except ValueError as exc:
            msg = "the webhook's secret begins with whsec_ and is no base64"
            raise InvalidArgumentError(msg) from exc
    if not 24 <= len(key) <= 64:
        msg = f"the webhook's secret has {len(key)} bytes, 24 to 64 are needed"
        raise InvalidArgumentError(msg)
    return key
