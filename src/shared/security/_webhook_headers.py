"""The few headers a webhook needs, out of whatever a framework hands over."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.errors import WebhookSignatureError

__all__ = ["Headers", "pick_headers", "required"]

Headers = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]

_MAX_VALUE: Final = 4096  # characters of one header


def pick_headers(headers: Headers, wanted: Iterable[str | None]) -> dict[str, str]:
    """Return the *wanted* headers by their lower-case names; those that are absent are left out.

    Raises:
        WebhookSignatureError: One of them is there twice, is too long, or holds
            something else than visible ASCII.
    """
    names = {name.lower() for name in wanted if name}
    found: dict[str, str] = {}
    for name, value in _pairs(headers):
        lower = _text(name).lower()
        if lower not in names:
            continue
        if lower in found:
            msg = f"header {lower!r} is there twice"
            raise WebhookSignatureError(msg)
        text = _text(value)
        if len(text) > _MAX_VALUE:
            msg = f"header {lower!r} has {len(text)} characters, at most {_MAX_VALUE} are read"
            raise WebhookSignatureError(msg)
        if not (text.isascii() and text.isprintable()):
            msg = f"header {lower!r} holds characters beyond visible ASCII"
            raise WebhookSignatureError(msg)
        found[lower] = text.strip()
    return found


def required(found: Mapping[str, str], name: str) -> str:
    """Return the header *name*.

    Raises:
        WebhookSignatureError: It is absent or empty.
    """
    value = found.get(name.lower())
    if not value:
        msg = f"header {name!r} is missing"
        raise WebhookSignatureError(msg)
    return value


def _pairs(headers: Headers) -> Iterable[tuple[Any, Any]]:
    try:
        # items() of a multi-dictionary tells a header as often as it came.
        pairs: Any = headers.items() if isinstance(headers, Mapping) or hasattr(headers, "items") else headers
        return [(name, value) for name, value in pairs]
    except (TypeError, ValueError) as exc:
        msg = f"headers must be a mapping or pairs, got {type(headers).__name__}"
        raise WebhookSignatureError(msg, cause=exc) from exc


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    return "\0"  # no name and no value of ours looks like this
