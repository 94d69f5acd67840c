"""The compact form of JSON Web Signatures, read strictly: one token, one spelling.

Source: RFC 7515, section 7.1; RFC 8725, sections 3.1 to 3.3 and 3.10.
"""

import re
from typing import Any, Final

from shared.auth import _base64
from shared.auth._json import dumps, parse_object
from shared.auth._key_ring import KeyRing, KeySource
from shared.errors import InvalidArgumentError, InvalidTokenError

__all__ = ["MAX_TOKEN", "open_compact", "peek_header", "sign_compact", "verify_compact"]

MAX_TOKEN: Final = 8192  # characters; a header line of HTTP servers is no longer
_MAX_HEAD: Final = 1366  # characters: 1 KiB of JSON
_MAX_TEXT: Final = 255
_TEXT: Final = re.compile(r"[\x20-\x7e]{1,255}\Z").match
# Parameters by which a header could choose its own key, change what is signed, or ask
# for something that is not done here.
_REFUSED: Final = ("crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "enc")


def sign_compact(payload: bytes, ring: KeySource, *, typ: str = "JWT") -> str:
    """Return *payload* signed with the active key, in the compact form.

    Args:
        payload: Any bytes; the token may have at most 8192 characters.
        ring: A :class:`KeyRing`, or another source of one.
        typ: The header ``typ``: what the token is for.

    Raises:
        InvalidArgumentError: The token would be too long, or *typ* is malformed.
        ConfigurationError: No key is active.

    Example:
        >>> from shared.auth import Key, KeyRing
        >>> ring = KeyRing([Key.generate("HS256")])
        >>> verify_compact(sign_compact(b'{"a":1}', ring), ring, typ="JWT")
        b'{"a":1}'
    """
    found = ring.current()
    if not _TEXT(typ):
        raise InvalidArgumentError("typ is 1 to 255 printable ASCII characters")
    # Without an active key, sign() below refuses.
    key = found.active or found.keys[0]
    header = {"alg": key.algorithm, "kid": key.kid, "typ": typ}
    signed = f"{_base64.encode(dumps(header))}.{_base64.encode(payload)}"
    token = f"{signed}.{_base64.encode(found.sign(signed.encode('ascii')))}"
    if len(token) > MAX_TOKEN:
        msg = f"the token would have {len(token)} characters, at most {MAX_TOKEN} are accepted: put less in"
        raise InvalidArgumentError(msg)
    return token


def verify_compact(token: str, ring: KeySource, *, typ: str | None = None) -> bytes:
    """Return the payload of an authentic *token*; nothing of it is parsed before it is known to be.

    The low level under ``decode_token``: it looks at no claim, so an expired token is
    as authentic as any other.

    Args:
        token: Header, payload and signature in base64url without padding, joined by
            dots; at most 8192 characters.
        ring: A :class:`KeyRing`, or another source of one. The key is found by the
            header ``kid``, which may be absent when there is one key only.
        typ: What the header ``typ`` must be, exactly; None: anything.

    Raises:
        InvalidTokenError: It is malformed, in another spelling than the one, not signed
            by a key of the ring, or of another type.

    Example:
        >>> from shared.auth import Key, KeyRing
        >>> ring = KeyRing([Key.generate("ES256")])
        >>> verify_compact(sign_compact(b"{}", ring), KeyRing([Key.generate("ES256")]))
        Traceback (most recent call last):
            ...
        shared.errors.InvalidTokenError: the token's key is not known here, or retired
    """
    payload, found, _ = open_compact(token, ring)
    if typ is not None and found != typ:
        raise InvalidTokenError("the token is of another type")
    return payload


def open_compact(token: Any, source: KeySource) -> tuple[bytes, str | None, KeyRing]:
    """Return the payload and the type of an authentic *token*, and the ring that knew its key.

    Raises:
        InvalidTokenError: As :func:`verify_compact`.
    """
    head, body, tail = _split(token)
    ring = source.current()
    opener = ring.openers.get(head)
    fresh = opener is None
    if opener is None:
        header = _header(head)
        ring = source.ring_for(header.get("kid"))
        opener = ring.resolve(header)
    signature = _base64.decode(tail)
    if signature is None or not opener.verify(token[: len(head) + 1 + len(body)].encode("ascii"), signature):
        raise InvalidTokenError("the token's signature does not hold")
    payload = _base64.decode(body)
    if payload is None:
        raise InvalidTokenError("the token's payload is not base64url")
    if fresh:
        ring.remember(head, opener)
    return payload, opener.typ, ring


def peek_header(token: Any) -> dict[str, Any]:
    """Return the header of *token*, which is not verified: only to look for its key.

    Raises:
        InvalidTokenError: It is malformed.
    """
    return _header(_split(token)[0])


def _split(token: Any) -> tuple[str, str, str]:
    if not isinstance(token, str):
        msg = f"a token is text, got {type(token).__name__}"
        raise InvalidTokenError(msg)
    # str() of a subclass that changes what its methods say is not the text that was signed.
    if type(token) is not str:
        token = str.__str__(token)
    if not 5 <= len(token) <= MAX_TOKEN:
        msg = f"a token has 5 to {MAX_TOKEN} characters, this one has {len(token)}"
        raise InvalidTokenError(msg)
    if not token.isascii():
        raise InvalidTokenError("a token is ASCII")
    head, _, rest = token.partition(".")
    body, dot, tail = rest.partition(".")
    if not dot or "." in tail or not head or not tail:
        raise InvalidTokenError("a token has three parts, joined by dots")
    return head, body, tail


def _header(head: str) -> dict[str, Any]:
    data = _base64.decode(head) if len(head) <= _MAX_HEAD else None
    if data is None:
        raise InvalidTokenError("the token's header is not base64url, or larger than 1 KiB")
    header = parse_object(data)
    if header is None:
        raise InvalidTokenError("the token's header is not a JSON object, or a name stands there twice")
    for name in _REFUSED:
        if name in header:
            msg = f"the token's header has {name!r}, which is not accepted"
            raise InvalidTokenError(msg)
    for name in ("alg", "kid", "typ"):
        value = header.get(name, "-")
        if not isinstance(value, str) or not _TEXT(value):
            msg = f"the token's header has a {name!r} that is not 1 to {_MAX_TEXT} printable characters"
            raise InvalidTokenError(msg)
    return header
