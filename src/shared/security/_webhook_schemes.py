"""How suppliers sign their webhooks, as data."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from shared.errors import ConfigurationError

__all__ = ["WebhookScheme", "scheme_of"]

_PARTS: Final = re.compile(r"\{(body|timestamp|id)\}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}\Z").match


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookScheme:
    """What is signed, with which header and in which spelling.

    For suppliers that :func:`verify_webhook` does not know by name.

    Attributes:
        name: Names the supplier in messages and replay keys.
        signature_header: Carries the signature.
        content: What is signed, of ``{body}``, ``{timestamp}`` and ``{id}``.
        prefix: Stands before the signature, such as ``"sha256="``.
        encoding: Spelling of the signature.
        algorithm: Hash of the HMAC, or ``"ecdsa-p256"`` for ECDSA over SHA-256: the secret is the
            supplier's public key then, as PEM or as base64 of its DER.
        timestamp_header: Carries the time in Unix seconds; needed when it is signed.
        id_header: Carries the id of the delivery; needed when it is signed.
        type_header: Carries the type of the event. Never signed.

    Example:
        >>> WebhookScheme(name="acme", signature_header="X-Acme-Signature", content="{timestamp}.{body}",
        ...               timestamp_header="X-Acme-Time").signs_time
        True
    """

    name: str
    signature_header: str
    content: str = "{body}"
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    algorithm: Literal["sha256", "sha384", "sha512", "ecdsa-p256"] = "sha256"
    timestamp_header: str | None = None
    id_header: str | None = None
    type_header: str | None = None

    def __post_init__(self) -> None:
        parts = _PARTS.findall(self.content)
        needed = {"timestamp": self.timestamp_header, "id": self.id_header}
        if parts.count("body") != 1 or not self.content.endswith("{body}"):
            # In the middle, an attacker could move the border between the parts.
            msg = f"webhook scheme {self.name!r}: content must end with one '{{body}}', got {self.content!r}"
            raise ConfigurationError(msg)
        missing = [part for part in parts if part in needed and not needed[part]]
        if missing and self.name != "stripe":  # carries the time inside of its signature header
            msg = f"webhook scheme {self.name!r}: content names {missing}, set {missing[0]}_header"
            raise ConfigurationError(msg)
        headers = (self.signature_header, self.timestamp_header, self.id_header, self.type_header)
        if not all(header is None or _HEADER(header) for header in headers):
            msg = f"webhook scheme {self.name!r}: header names have letters, digits and '-' only"
            raise ConfigurationError(msg)

    @property
    def signs_time(self) -> bool:
        """Whether the signature covers a time, so that old deliveries can be refused."""
        return "{timestamp}" in self.content

    @property
    def signs_id(self) -> bool:
        """Whether the signature covers the id of the delivery."""
        return "{id}" in self.content

    def signed_content(self, body: bytes, *, timestamp: str = "", delivery_id: str = "") -> bytes:
        """Return the bytes that are signed.

        Example:
            >>> scheme_of("slack").signed_content(b"{}", timestamp="1700000000")
            b'v0:1700000000:{}'
        """
        head = self.content.removesuffix("{body}")
        return head.replace("{id}", delivery_id).replace("{timestamp}", timestamp).encode() + body


_SCHEMES: Final = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            WebhookScheme(name="stripe", signature_header="Stripe-Signature", content="{timestamp}.{body}"),
            WebhookScheme(
                name="shopify",
                signature_header="X-Shopify-Hmac-Sha256",
                encoding="base64",
                id_header="X-Shopify-Webhook-Id",
                type_header="X-Shopify-Topic",
            ),
            WebhookScheme(
                name="github",
                signature_header="X-Hub-Signature-256",
                prefix="sha256=",
                id_header="X-GitHub-Delivery",
                type_header="X-GitHub-Event",
            ),
            WebhookScheme(
                name="slack",
                signature_header="X-Slack-Signature",
                content="v0:{timestamp}:{body}",
                prefix="v0=",
                timestamp_header="X-Slack-Request-Timestamp",
            ),
            *(
                WebhookScheme(
                    name=name,
                    signature_header=f"{family}-Signature",
                    content="{id}.{timestamp}.{body}",
                    encoding="base64",
                    timestamp_header=f"{family}-Timestamp",
                    id_header=f"{family}-Id",
                )
                for name, family in (("standard", "Webhook"), ("svix", "Svix"))
            ),
            WebhookScheme(
                name="sendgrid",
                signature_header="X-Twilio-Email-Event-Webhook-Signature",
                # A digit moved over the border would leave a body that is no JSON list.
                content="{timestamp}{body}",
                encoding="base64",
                algorithm="ecdsa-p256",
                timestamp_header="X-Twilio-Email-Event-Webhook-Timestamp",
            ),
            WebhookScheme(name="hmac", signature_header="X-Signature"),
        )
    }
)


def scheme_of(provider: object) -> WebhookScheme:
    """Return the scheme of *provider*.

    Raises:
        ConfigurationError: The name is not known.
    """
    if isinstance(provider, WebhookScheme):
        return provider
    found = _SCHEMES.get(provider) if isinstance(provider, str) else None
    if found is None:
        known = ", ".join(sorted(_SCHEMES))
        msg = f"unknown webhook provider {provider!r} (known: {known}); others take a WebhookScheme"
        raise ConfigurationError(msg)
    return found
