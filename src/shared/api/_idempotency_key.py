"""The ``Idempotency-Key`` of a request, whose it is, and what the request asks for."""

import hashlib
import re
from typing import Any, Final

from shared.api._exchange import Exchange
from shared.api._limit_keys import LimitKeys
from shared.constants import Header
from shared.errors import BadRequestError

__all__ = ["fingerprint_of", "idempotency_key", "scope_of"]

_QUOTED: Final = re.compile(r'"((?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\["\\])*)"\Z').match  # RFC 9651, 3.3.3
_BARE: Final = re.compile(r"[!#-+\--:<-\[\]-~]+\Z").match  # printable ASCII without " , ; \ and space
_ESCAPED: Final = re.compile(r'\\(["\\])')
_LONGEST: Final = 255


def idempotency_key(value: str) -> str:
    """Return the key in a header's value: a string of structured fields, or the bare key.

    Source: draft-ietf-httpapi-idempotency-key-header-07, section 2.1.

    Raises:
        BadRequestError: It is neither, is empty, or is longer than 255 characters.

    Example:
        >>> idempotency_key('"8e03978e-40d5-43dd-bc93-6894a57f9324"')
        '8e03978e-40d5-43dd-bc93-6894a57f9324'
        >>> idempotency_key("order-7")
        'order-7'
    """
    value = value.strip(" \t")
    quoted = _QUOTED(value) if len(value) <= 2 * _LONGEST + 2 else None
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else value if _BARE(value) else ""
    if not 1 <= len(key) <= _LONGEST:
        msg = f"{Header.IDEMPOTENCY_KEY} is one quoted key of 1 to {_LONGEST} printable ASCII characters"
        raise BadRequestError(msg, details={"reason": "malformed_key"})
    return key


def fingerprint_of(method: str, path: str, query: str, content_type: str, body: bytes) -> str:
    """Return the same for requests that ask for the same, and for no others."""
    digest = hashlib.sha256()
    for part in (method, path, query, content_type):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))  # or "a" + "bc" would be "ab" + "c"
        digest.update(raw)
    digest.update(body)
    return digest.hexdigest()


def scope_of(exchange: Exchange, keys: LimitKeys) -> str:
    """Return whose key it is, and of which operation: at most 200 characters.

    The caller is the principal; when an authenticator has not found one, whoever holds
    the credential that was sent; without one, the client's address.
    """
    caller: Any
    if exchange.context.principal is not None:
        caller = keys.of(exchange, ("principal",))
    elif credential := exchange.header(Header.AUTHORIZATION):
        caller = f"credential:{credential}"
    else:
        caller = keys.of(exchange, ("api_key",))
    who = hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{who} {exchange.method} {exchange.find_route()}"[:200]
