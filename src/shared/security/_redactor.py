"""Secrets inside structures: events, headers, models."""

from collections.abc import Iterable
from typing import Any

from shared.security._masking import SHORTEST, mask_with
from shared.security._names import verdicts_for
from shared.security._walk import ATOMS, Walk, hide, mask_long

__all__ = ["Redactor"]


class Redactor:
    """Masks the secrets of any structure, without changing what it was given.

    A value is masked when its name is secret (see
    :func:`~shared.security.is_secret_name`), when its type is (``SecretStr``), or
    when its text looks like one (see :func:`~shared.security.mask_text`). Walks
    mappings, lists, tuples, sets, lists of header pairs in text or bytes,
    ``{"name": …, "value": …}`` records, dataclasses and pydantic models; models
    come out as dictionaries. Under a secret name everything is masked but None,
    booleans and the empty text. Other objects are left as they are: who turns
    them into text calls :func:`~shared.security.mask_text` on it.

    Copy on write: what holds no secret is returned itself, not a copy. Never
    raises, also on cycles and hostile objects. Thread-safe.

    Args:
        names: More secret names; ``"iban"`` also covers ``customer_iban`` and
            ``customerIban``.
        allow: Names that are not secret although they look it, whole.
        max_depth: Containers nested deeper become ``"<cut>"``.
        max_items: Values visited in one call; the rest becomes ``"<cut>"``.
        max_text: Characters looked at in one text; a longer one is shortened.

    Example:
        >>> redactor = Redactor(names=["iban"])
        >>> redactor.redact({"user": "ada", "headers": [("Authorization", "Bearer abc")], "iban": "DE02"})
        {'user': 'ada', 'headers': [('Authorization', '***')], 'iban': '***'}
    """

    __slots__ = ("_verdicts", "max_depth", "max_items", "max_text")

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        allow: Iterable[str] = (),
        max_depth: int = 16,
        max_items: int = 10_000,
        max_text: int = 65_536,
    ) -> None:
        self._verdicts = verdicts_for(names, allow)
        self.max_depth: int = max_depth
        self.max_items: int = max_items
        self.max_text: int = max_text

    def redact(self, value: Any) -> Any:
        """Return *value* without its secrets; *value* itself when it holds none.

        Example:
            >>> clean = {"status": 200}
            >>> Redactor().redact(clean) is clean
            True
        """
        if type(value) is str:
            return mask_long(value, self.max_text, self._verdicts)
        return self._walk().visit(value, self.max_depth)

    def redact_event(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return *event* without its secrets: :meth:`redact` for the path of every log line.

        Example:
            >>> Redactor().redact_event({"event": "login", "password": "hunter2", "attempt": 2})
            {'event': 'login', 'password': '***', 'attempt': 2}
        """
        verdicts = self._verdicts
        limit = self.max_text
        out: dict[str, Any] | None = None
        walk: Walk | None = None
        for key, value in event.items():
            kind = type(value)
            if verdict := verdicts[key]:
                new = hide(value, verdict)
            elif kind is str:
                size = len(value)
                if size < SHORTEST and "=" not in value and ":" not in value:
                    continue
                new = mask_with(value, verdicts) if size <= limit else mask_long(value, limit, verdicts)
            elif kind in ATOMS:
                continue
            else:
                if walk is None:
                    walk = Walk(verdicts, self.max_depth, self.max_items, limit)
                new = walk.visit(value, self.max_depth - 1)
            if new is not value:
                if out is None:
                    out = dict(event)
                out[key] = new
        return event if out is None else out

    def _walk(self) -> Walk:
        return Walk(self._verdicts, self.max_depth, self.max_items, self.max_text)
