"""From the text of a variable to a value that can be validated."""

import json
from typing import Any

from pydantic import SecretBytes, SecretStr

from shared.config._field import FieldSpec


class DecodeError(ValueError):
    """The text has neither of the two forms; the message quotes nothing of it."""


def decode(spec: FieldSpec, value: Any) -> Any:
    """Return *value* ready for validation.

    Text for a list is JSON or separated by commas, text for a mapping is JSON or
    ``name=value`` separated by commas. The word ``none`` is None where a setting
    may be None and is not text. Anything that is not text passes as it is.

    Raises:
        DecodeError: The text cannot be read as a list or mapping.
    """
    if not isinstance(value, str):
        return value
    if spec.shape == "list":
        return _list(value)
    if spec.shape == "mapping":
        return _mapping(value)
    if spec.secret:
        return value.strip("\r\n")
    text = value.strip()
    if spec.nullable and text.lower() in ("none", "null"):
        return None
    return text


def _list(value: str) -> Any:
    text = value.strip()
    if text.startswith("["):
        return _json(text, "a JSON list, or values separated by commas")
    return [item for part in text.split(",") if (item := part.strip())]


def _mapping(value: str) -> Any:
    text = value.strip()
    if text.startswith("{"):
        return _json(text, "a JSON object, or name=value separated by commas")
    result: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, item = part.partition("=")
        if not equals or not name.strip() or name.strip() in result:
            raise DecodeError("a JSON object, or name=value separated by commas, each name once")
        result[name.strip()] = item.strip()
    return result


def _json(text: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        # The parser's own message and its chain carry the text.
        raise DecodeError(expected) from None


def opened(value: Any) -> Any:
    """Return the content of a secret, anything else as it is; for comparing values."""
    return value.get_secret_value() if isinstance(value, SecretStr | SecretBytes) else value
