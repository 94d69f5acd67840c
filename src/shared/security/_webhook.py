"""Webhooks: who sent it, when, and whether it came before."""

import base64
import json
import math
import sys
import time
from dataclasses import replace
from hashlib import sha256
from secrets import token_hex
from typing import Final, Literal, NamedTuple

from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    PayloadTooLargeError,
    WebhookReplayError,
    WebhookSignatureError,
)
from shared.security._replay import AsyncReplayStore, ReplayStore
from shared.security._secret_input import Secret, Secrets
from shared.security._webhook_check import check_time, keys_of, matching_key, read_signed, sign
from shared.security._webhook_event import VerifiedEvent
from shared.security._webhook_headers import Headers, pick_headers
from shared.security._webhook_schemes import WebhookScheme, scheme_of

__all__ = ["averify_webhook", "sign_webhook", "verify_hmac_signature", "verify_webhook"]

Encoding = Literal["hex", "base64"]

_REMEMBERED: Final = 259_200.0  # seconds; suppliers retry for up to three days
_MAX_BYTES: Final = 5_242_880


def verify_webhook(
    provider: str | WebhookScheme,
    body: bytes,
    headers: Headers,
    secrets: Secrets,
    *,
    tolerance: float = 300.0,
    now: float | None = None,
    replay_store: ReplayStore | None = None,
    replay_ttl: float = _REMEMBERED,
    max_bytes: int = _MAX_BYTES,
) -> VerifiedEvent:
    """Check signature, time and novelty of a webhook and return what is known about it.

    Args:
        provider: ``stripe``, ``shopify``, ``github``, ``slack``, ``sendgrid`` (with the public
            key as secret), ``standard`` (Standard Webhooks, also with public keys), ``svix``,
            ``hmac`` (hexadecimal HMAC-SHA256 of the body in ``X-Signature``), or a
            :class:`WebhookScheme`.
        body: The bytes as they came. JSON that was parsed and written again does not fit.
        headers: A mapping or pairs, text or bytes, in any case.
        secrets: One secret or several during a rotation, the newest first; text, bytes
            or ``SecretStr``.
        tolerance: Seconds that the signed time may be away from *now*, before or after.
        now: Unix seconds; the present when absent.
        replay_store: Remembers accepted deliveries; without it a delivery can be
            replayed, within *tolerance* where the supplier signs the time and for
            ever where it does not (shopify, github, hmac).
        replay_ttl: Seconds a delivery is remembered.
        max_bytes: Largest body that is looked at.

    Raises:
        WebhookSignatureError: It was not signed with one of *secrets*, not lately, or
            its headers are malformed.
        WebhookReplayError: It was accepted before. Answer 200, so that the supplier stops.
        PayloadTooLargeError: The body is larger than *max_bytes*.
        ConfigurationError: The provider is unknown, a secret is missing or too short,
            or *body* is text.

    Example:
        >>> headers = sign_webhook("stripe", b'{"id": "evt_1"}', "whsec_0123456789", timestamp=1700000000)
        >>> event = verify_webhook("stripe", b'{"id": "evt_1"}', headers, "whsec_0123456789", now=1700000042)
        >>> event.id, event.timestamp
        ('evt_1', 1700000000.0)
    """
    scheme = scheme_of(provider)
    event = _verified(scheme, body, headers, secrets, _Limits(tolerance, now, max_bytes))
    if replay_store is None:
        return event
    keys = _replay_keys(scheme, event)
    if not replay_store.claim(keys, ttl=_seconds("replay_ttl", replay_ttl, above=0)):
        raise _replayed(event)
    return replace(event, _keys=keys, _store=replay_store)


async def averify_webhook(
    provider: str | WebhookScheme,
    body: bytes,
    headers: Headers,
    secrets: Secrets,
    *,
    tolerance: float = 300.0,
    now: float | None = None,
    replay_store: AsyncReplayStore,
    replay_ttl: float = _REMEMBERED,
    max_bytes: int = _MAX_BYTES,
) -> VerifiedEvent:
    """Do the same as :func:`verify_webhook` with a replay store behind an await.

    Without such a store use :func:`verify_webhook`, which does not block.

    Example:
        >>> import asyncio
        >>> class Store:
        ...     async def claim(self, keys, *, ttl):
        ...         return True
        ...     async def release(self, keys):
        ...         pass
        >>> headers = sign_webhook("github", b"{}", "0123456789", delivery_id="d-1")
        >>> asyncio.run(averify_webhook("github", b"{}", headers, "0123456789", replay_store=Store())).id
        'd-1'
    """
    scheme = scheme_of(provider)
    event = _verified(scheme, body, headers, secrets, _Limits(tolerance, now, max_bytes))
    keys = _replay_keys(scheme, event)
    if not await replay_store.claim(keys, ttl=_seconds("replay_ttl", replay_ttl, above=0)):
        raise _replayed(event)
    return replace(event, _keys=keys, _async_store=replay_store)


class _Limits(NamedTuple):
    tolerance: float
    now: float | None
    max_bytes: int


def _verified(
    scheme: WebhookScheme, body: bytes, headers: Headers, secrets: Secrets, limits: _Limits
) -> VerifiedEvent:
    tolerance = _seconds("tolerance", limits.tolerance, above=0)
    body = _raw(body, limits.max_bytes)
    keys = keys_of(scheme, secrets)
    wanted = (scheme.signature_header, scheme.timestamp_header, scheme.id_header, scheme.type_header)
    found = pick_headers(headers, wanted)
    signed = read_signed(scheme, found)
    timestamp, delivery_id = signed[:2]
    content = scheme.signed_content(body, timestamp=timestamp, delivery_id=delivery_id)
    index = matching_key(scheme, keys, content, signed)
    sent = None
    if scheme.signs_time:
        # After the signature: what is said about the time comes from the supplier then.
        now = time.time() if limits.now is None else _seconds("now", limits.now, above=-math.inf)
        sent = check_time(timestamp, now=now, tolerance=tolerance)
    inside = _inside(scheme, body)
    return VerifiedEvent(
        provider=scheme.name,
        body=body,
        id=delivery_id or inside.get("id"),
        type=found.get((scheme.type_header or "").lower()) or inside.get("type"),
        timestamp=sent,
        digest=sha256(body).hexdigest(),
        secret_index=index,
    )


def _raw(body: object, max_bytes: int) -> bytes:
    if not isinstance(body, bytes | bytearray | memoryview):
        msg = f"body must be the raw bytes of the request, got {type(body).__name__}"
        raise ConfigurationError(msg)
    raw = bytes(body)
    if len(raw) > max_bytes:
        msg = f"webhook of {len(raw)} bytes, at most {max_bytes} are read"
        raise PayloadTooLargeError(msg)
    return raw


def _seconds(name: str, value: object, *, above: float) -> float:
    """Return *value*; None would switch a check off, and NaN compares false with everything."""
    if isinstance(value, int | float) and math.isfinite(value) and value > above:
        return float(value)
    msg = f"{name} must be a finite number of seconds above {above:g}, got {value!r}"
    raise InvalidArgumentError(msg)


_INSIDE: Final = {"stripe": "id", "slack": "event_id"}  # where the signed body tells its id


def _inside(scheme: WebhookScheme, body: bytes) -> dict[str, str]:
    """Return id and type of the event as the signed body tells them."""
    if scheme.name not in _INSIDE:
        return {}
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(event, dict):
        return {}
    told = {"id": event.get(_INSIDE[scheme.name]), "type": event.get("type")}
    return {name: value for name, value in told.items() if isinstance(value, str) and 0 < len(value) <= 256}


def _replay_keys(scheme: WebhookScheme, event: VerifiedEvent) -> tuple[str, ...]:
    """Return what makes this delivery the same as another.

    An id that is not signed may be changed by who replays, so the body counts
    too. The type belongs to it, because a supplier may send one body for two
    types. With a signed id the body does not count: two events may be equal.
    """
    identity = {"id": event.id or "", "body": f"{event.digest}:{event.type or ''}"}
    if event.id and (scheme.signs_id or scheme.name in _INSIDE):
        del identity["body"]
    elif scheme.signs_time:
        identity = {"body": f"{event.digest}:{event.timestamp}"}
    return tuple(
        f"webhook:{scheme.name}:{kind}:{sha256(value.encode()).hexdigest()}"
        for kind, value in identity.items()
        if value
    )


def _replayed(event: VerifiedEvent) -> WebhookReplayError:
    details = {"provider": event.provider, "digest": event.digest}
    return WebhookReplayError("this delivery was accepted before; answer it with 200", details=details)


def sign_webhook(
    provider: str | WebhookScheme,
    body: bytes,
    secret: Secret,
    *,
    timestamp: float | None = None,
    delivery_id: str | None = None,
) -> dict[str, str]:
    """Return the headers that the supplier would send with *body*; for senders and tests.

    To send webhooks of your own, use ``standard``: receivers have libraries for it.

    Args:
        provider: As in :func:`verify_webhook`.
        body: The bytes that will be sent.
        secret: The secret shared with the receiver.
        timestamp: Unix seconds; the present when absent.
        delivery_id: Id of the delivery; made when absent and needed.

    Raises:
        ConfigurationError: The provider is unknown, or the secret does not fit.

    Example:
        >>> sign_webhook("github", b"{}", "0123456789abcdef", delivery_id="d-1")["X-GitHub-Delivery"]
        'd-1'
    """
    scheme = scheme_of(provider)
    key = keys_of(scheme, secret)[0]
    sent = str(int(time.time() if timestamp is None else timestamp)) if scheme.signs_time else ""
    if delivery_id is None and scheme.signs_id:
        delivery_id = f"msg_{token_hex(12)}"
    content = scheme.signed_content(_raw(body, sys.maxsize), timestamp=sent, delivery_id=delivery_id or "")
    digest = sign(scheme, key, content)
    text = digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode()
    spelling = {"stripe": f"t={sent},v1={text}", "standard": f"v1,{text}", "svix": f"v1,{text}"}
    headers = {scheme.signature_header: spelling.get(scheme.name, scheme.prefix + text)}
    if scheme.timestamp_header and sent:
        headers[scheme.timestamp_header] = sent
    if scheme.id_header and delivery_id:
        headers[scheme.id_header] = delivery_id
    return headers


def verify_hmac_signature(
    body: bytes, signature: str | bytes, secrets: Secrets, *, prefix: str = "", encoding: Encoding = "hex"
) -> bool:
    """Tell whether *signature* is the HMAC-SHA256 of *body* under one of *secrets*.

    The plain check without time and replay; prefer :func:`verify_webhook`. Any
    signature gives an answer, in constant time.

    Raises:
        ConfigurationError: A secret is missing or shorter than 8 bytes.

    Example:
        >>> signature = sign_webhook("hmac", b"{}", "0123456789abcdef")["X-Signature"]
        >>> verify_hmac_signature(b"{}", signature, ["0123456789abcdef"])
        True
        >>> verify_hmac_signature(b"{}", "é", ["0123456789abcdef"])
        False
    """
    scheme = WebhookScheme(name="hmac", signature_header="X-Signature", prefix=prefix, encoding=encoding)
    text = signature.decode("latin-1") if isinstance(signature, bytes) else signature
    try:
        verify_webhook(scheme, body, {"X-Signature": text}, secrets, max_bytes=sys.maxsize)
    except WebhookSignatureError:
        return False
    return True
