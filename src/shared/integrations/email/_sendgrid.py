"""Hand messages to SendGrid over plain HTTP: no SDK."""

import asyncio
import base64
import json
import re
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.errors import (
    ConfigurationError,
    EmailError,
    EmailRefusedError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
)
from shared.integrations.email._address import Address
from shared.integrations.email._attachment import Attachment
from shared.integrations.email._backend import Delivery, Letter
from shared.resilience import AsyncServiceClient, Policy, ServiceClient, parse_retry_after

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["SENDGRID_URL", "SendGridBackend"]

SENDGRID_URL: Final = "https://api.sendgrid.com"
_ROUTE: Final = "/v3/mail/send"
_FIELD: Final = re.compile(r"[a-z_]+(?:\.[a-z_0-9]+){0,4}\Z")
_MAX_ANSWER: Final = 1_048_576


class SendGridBackend:
    """Hands messages to SendGrid's ``/v3/mail/send``. Needs the extra ``http``.

    Retries belong to the :class:`Mailer`; this makes one request. A request that was
    sent and not answered is reported as unknown and never repeated.

    Args:
        api_key: Text or ``SecretStr``.
        base_url: ``https://api.eu.sendgrid.com`` keeps the data in the EU.
        timeout: Seconds for the request as a whole; less when a deadline is nearer.
        transport: An httpx2 transport in place of the network, for threads.

    Raises:
        ConfigurationError: There is no key.
        MissingDependencyError: httpx2 is not installed.

    Example:
        >>> SendGridBackend("SG.secret")
        <SendGridBackend https://api.sendgrid.com>
    """

    name: str = "sendgrid"

    def __init__(
        self,
        api_key: "str | SecretStr",
        *,
        base_url: str = SENDGRID_URL,
        timeout: float = 10.0,
        transport: Any = None,
    ) -> None:
        opened = getattr(api_key, "get_secret_value", None)
        key = str(opened() if opened is not None else api_key)
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigurationError(
                "SENDGRID_API_KEY: the key of the SendGrid API expected, in printable ASCII"
            )
        self._base_url = base_url
        self._options: dict[str, Any] = {
            "name": "email",
            "policy": Policy("email"),  # one owner of retries and breaker: the mailer
            "timeout": timeout,
            "headers": {"Authorization": f"Bearer {key}"},
            "propagate": False,
            "max_response_bytes": _MAX_ANSWER,
        }
        self._client = ServiceClient(base_url, transport=transport, **self._options)
        self._async: weakref.WeakKeyDictionary[Any, AsyncServiceClient] = weakref.WeakKeyDictionary()

    def deliver(self, letter: Letter) -> Delivery:
        """Send *letter* in one request."""
        body = payload(letter)
        try:
            answer = self._client.post(_ROUTE, json=body, check=False)
        except SharedError as exc:
            raise _unanswered(exc) from exc
        return _judged(letter, answer.status_code, answer.headers, answer.content)

    async def adeliver(self, letter: Letter) -> Delivery:
        """See :meth:`deliver`."""
        body = payload(letter)
        try:
            answer = await self._of_this_loop().post(_ROUTE, json=body, check=False)
        except SharedError as exc:
            raise _unanswered(exc) from exc
        return _judged(letter, answer.status_code, answer.headers, answer.content)

    def _of_this_loop(self) -> AsyncServiceClient:
        loop = asyncio.get_running_loop()
        client = self._async.get(loop)
        if client is None:
            client = self._async[loop] = AsyncServiceClient(self._base_url, **self._options)
        return client

    @contextmanager
    def session(self) -> Iterator[Callable[[Letter], Delivery]]:
        """Give :meth:`deliver`: the client keeps its connections anyway."""
        yield self.deliver

    @asynccontextmanager
    async def asession(self) -> AsyncIterator[Callable[[Letter], Awaitable[Delivery]]]:
        """Give :meth:`adeliver`: the client keeps its connections anyway."""
        yield self.adeliver

    def close(self) -> None:
        """Close the connections of threads."""
        self._client.close()

    async def aclose(self) -> None:
        """Close the connections of threads and of this event loop."""
        self._client.close()
        client = self._async.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def __repr__(self) -> str:
        return f"<SendGridBackend {self._base_url}>"


# --- what is sent: pure -----------------------------------------------------------------


def payload(letter: Letter) -> dict[str, Any]:
    """Return the JSON that SendGrid takes."""
    message = letter.message
    body: dict[str, Any] = {
        "personalizations": [_personalization(letter)],
        "from": _person(letter.sender),
        "subject": message.subject,
        # Source: SendGrid's reference of Mail Send: text comes before HTML.
        "content": [
            {"type": kind, "value": text}
            for kind, text in (("text/plain", message.text), ("text/html", message.html))
            if text
        ]
        or [{"type": "text/plain", "value": " "}],  # an empty value is refused
        "headers": {**message.headers, "Message-ID": letter.message_id},
        # Comes back with every event about this message.
        "custom_args": {"message_id": letter.message_id},
    }
    if message.reply_to:
        body["reply_to_list"] = [_person(each) for each in message.reply_to]
    if message.attachments:
        body["attachments"] = [_file(each) for each in message.attachments]
    if message.category:
        body["categories"] = [message.category]
    return body


def _personalization(letter: Letter) -> dict[str, Any]:
    """Return the recipients, each once: one that is in two lists is refused."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    message = letter.message
    for name, people in (("to", message.to), ("cc", message.cc), ("bcc", message.bcc)):
        fresh = [each for each in people if each.email.lower() not in seen]
        seen |= {each.email.lower() for each in fresh}
        if fresh:
            found[name] = [_person(each) for each in fresh]
    return found


def _person(address: Address) -> dict[str, str]:
    return {"email": address.email, **({"name": address.name} if address.name else {})}


def _file(each: Attachment) -> dict[str, str]:
    found = {
        "content": base64.b64encode(each.content).decode(),
        "type": each.content_type,
        "filename": each.name,
        "disposition": "inline" if each.content_id else "attachment",
    }
    return {**found, "content_id": each.content_id} if each.content_id else found


# --- what came back: pure ----------------------------------------------------------------


def _judged(letter: Letter, status: int, headers: Mapping[str, str], body: bytes) -> Delivery:
    if 200 <= status < 300:
        supplier_id = headers.get("x-message-id", "")[:200]
        return Delivery(letter.message.recipients, supplier_id=supplier_id or None)
    raise _refused(status, headers, body)


def _refused(status: int, headers: Mapping[str, str], body: bytes) -> SharedError:
    details: dict[str, Any] = {"service": "sendgrid", "status": status, "accepted": False}
    wait = parse_retry_after(headers.get("retry-after", ""))
    if status == 429:
        return RateLimitError("SendGrid takes no more messages for now", retry_after=wait, details=details)
    if status == 503:
        return ServiceUnavailableError("SendGrid is not available", retry_after=wait, details=details)
    if status in (401, 403):
        what = (
            "the key: check SENDGRID_API_KEY"
            if status == 401
            else "the key or the sender: is EMAIL_FROM verified?"
        )
        return EmailError(f"SendGrid answered {status} and refused {what}", details=details, retryable=False)
    if status < 500:
        fields = _fields(body)
        where = f" because of {', '.join(fields)}" if fields else ""
        return EmailRefusedError(
            f"SendGrid answered {status} and refused the message{where}",
            details={**details, "fields": fields},
        )
    return _unknown(f"SendGrid answered {status}", details)


def _fields(body: bytes) -> list[str]:
    """Return which fields were wrong, without the sentences about them, which quote what is in them."""
    if len(body) > 65_536:
        return []
    try:
        errors = json.loads(body)["errors"]
        found = [each.get("field") for each in errors]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return []
    return [each for each in found[:10] if isinstance(each, str) and _FIELD.match(each)]


def _unanswered(error: SharedError) -> SharedError:
    """Return the error of a request without an answer: it may have been carried out, unless it never left."""
    if error.details.get("sent") is False:
        return ServiceUnavailableError(
            "SendGrid cannot be reached", details={"service": "sendgrid", "accepted": False}
        )
    if isinstance(error, TimeoutError) or error.status == 502:
        return _unknown("SendGrid did not answer", {"service": "sendgrid"})
    return error


def _unknown(text: str, details: dict[str, Any]) -> EmailError:
    found = {**details, "accepted": "unknown"}
    return EmailError(f"{text}: the message may have been taken over", details=found, retryable=False)
