"""What a body may be: its media type, character set and encoding, looked at before it is read."""

import re
from collections.abc import Iterable
from typing import Final

from shared.api._exchange import Exchange
from shared.api._jobs import Job
from shared.api._policies import checked_types
from shared.errors import SharedError, UnsupportedMediaTypeError

__all__ = ["ContentJob"]

_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE).search
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_MAX_LENGTH: Final = 256


class ContentJob(Job):
    """Refuses with 415 a body whose type the service does not read.

    JSON travels as UTF-8 (RFC 8259, section 8.1), so another character set is refused as
    well, and so is a ``Content-Encoding``: nobody below decompresses. A request that
    announces no body passes. Source: RFC 9110, section 15.5.16.
    """

    def __init__(self, types: Iterable[str]) -> None:
        self._types = checked_types(types)
        self._exact = frozenset(self._types)
        self._kinds = frozenset(kind[:-1] for kind in self._types if kind.endswith("/*"))
        self._readable = ", ".join(self._types)

    def on_request(self, exchange: Exchange) -> SharedError | None:
        """Refuse a body of another type."""
        if exchange.protocol != "http" or not _announces_body(exchange):
            return None
        encoding = (exchange.header("content-encoding") or "identity").strip().lower()
        if encoding != "identity":
            return self._refusal(
                "an encoded body is not read, send it as it is", headers={"Accept-Encoding": "identity"}
            )
        given = (exchange.header("content-type") or "")[:_MAX_LENGTH]
        kind = given.partition(";")[0].strip().lower()
        if kind not in self._exact and kind.partition("/")[0] + "/" not in self._kinds:
            shown = "a body of this type" if kind else "a body without a type"
            return self._refusal(f"{shown} is not read, send {self._readable}")
        if kind.endswith("json"):
            charset = _CHARSET(given)
            if charset is not None and charset[1].lower() not in _UTF8:
                return self._refusal("JSON is read as UTF-8 only")
        return None

    def _refusal(self, message: str, headers: dict[str, str] | None = None) -> UnsupportedMediaTypeError:
        accept = {"Accept": self._readable} if headers is None else headers
        return UnsupportedMediaTypeError(message, details={"accepts": list(self._types)}, headers=accept)


def _announces_body(exchange: Exchange) -> bool:
    length = exchange.header("content-length")
    if length is not None:
        return length.strip().strip("0") != ""
    return exchange.header("transfer-encoding") is not None
