"""Redaction that has already seen most of what it is shown.

Names of fields and many of their texts repeat from line to line. What the
redactor once left alone is remembered, within bounds, so that the usual line
costs a few look-ups and only what is new is looked at.
"""

from typing import Any, Final

from shared.security import Redactor

__all__ = ["ATOMS", "RESERVED", "Scrubber"]

# Names that belong to the line itself, or that mean something to the pipeline.
# They are never remembered as harmless, so each is looked at when it comes.
RESERVED: Final = frozenset(
    {
        "correlation_id",
        "environment",
        "event",
        "exc_info",
        "exception",
        "level",
        "logger",
        "request_id",
        "service",
        "service_version",
        "span_id",
        "stack",
        "stack_info",
        "timestamp",
        "trace_id",
    }
)
ATOMS: Final = frozenset({int, float, bool, type(None)})
_MAX_NAMES: Final = 2048
_MAX_TEXTS: Final = 8192
_MAX_LENGTH: Final = 128  # characters of a text worth remembering
_MARGIN: Final = 1024  # characters that a secret may be long
_PROBE: Final = "probe"


class Scrubber:
    """Remembers which names and texts the redactor left alone. Thread-safe.

    Attributes:
        names: Names of fields that are neither secret nor :data:`RESERVED`.
        texts: Texts without a secret, of ASCII. Both sets are read by the pipeline on every
            line; they are emptied when full, never replaced.
    """

    __slots__ = ("names", "redactor", "texts")

    def __init__(self, redactor: Redactor) -> None:
        self.redactor: Redactor = redactor
        self.names: set[str] = set()
        self.texts: set[str] = set()

    def scrub(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return *fields* without secrets, *fields* itself when there are none; learn from it."""
        names, texts = self.names, self.texts
        fresh = {
            name: value
            for name, value in fields.items()
            if name not in names
            or (type(value) not in ATOMS and (type(value) is not str or value not in texts))
        }
        clean = self.redactor.redact_event(fresh)
        for name, value in fresh.items():
            if name not in names:
                self._learn_name(name)
            if type(value) is str and clean[name] is value:
                self._remember(value)
        return fields if clean is fresh else {**fields, **clean}

    def is_harmless(self, value: Any) -> bool:
        """Tell whether *value* is short ASCII text without a secret; remember it if so."""
        if type(value) is not str or len(value) > _MAX_LENGTH or not value.isascii():
            return False
        if self.redactor.redact(value) is not value:
            return False
        self._remember(value)
        return True

    def cut(self, value: str, limit: int) -> str:
        """Return the first *limit* characters of *value* without secrets, and how many are missing.

        Masked is more than is kept: a secret that the cut goes through must still
        be recognisable.
        """
        clean = self.text(value[: limit + _MARGIN])
        return clean[:limit] + f"…[+{len(value) - limit} characters]"

    def text(self, value: str) -> str:
        """Return *value* without the secrets inside it."""
        if value in self.texts:
            return value
        clean = self.redactor.redact(value)
        if clean is value:
            self._remember(value)
        return clean if isinstance(clean, str) else value

    def _learn_name(self, name: str) -> None:
        if name not in RESERVED and name.isascii() and self.redactor.redact({name: _PROBE})[name] == _PROBE:
            if len(self.names) >= _MAX_NAMES:
                self.names.clear()
            self.names.add(name)

    def _remember(self, text: str) -> None:
        if len(text) <= _MAX_LENGTH and text.isascii():
            if len(self.texts) >= _MAX_TEXTS:
                self.texts.clear()
            self.texts.add(text)
