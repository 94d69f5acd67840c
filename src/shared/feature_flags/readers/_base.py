"""What the readers of the three formats have in common."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from shared.feature_flags._detail import Detail

Decide: TypeAlias = Callable[[Mapping[str, Any]], Detail]

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Reader:
    """The flags of one foreign document, compiled; answers as the service it came from does.

    Immutable and without a lock: share one between threads and tasks, and replace the
    whole object when the document changes. No method raises because of what a context
    holds, and none does any I/O.

    Example:
        >>> from shared.feature_flags.readers import flagd
        >>> reader = flagd.load('{"flags": {}}')
        >>> reader.is_enabled("unknown"), reader.keys()
        (False, ())
    """

    __slots__ = ("_constant", "_decide")

    #: The name of the format.
    format: str = ""

    def __init__(self, decide: Mapping[str, Decide], constant: Mapping[str, Detail]) -> None:
        self._constant = {key: detail for key, detail in constant.items() if not _is_mutable(detail)}
        self._decide = {**decide, **{key: _always(served(detail)) for key, detail in constant.items()}}

    def is_enabled(self, key: str, context: Mapping[str, Any] | None = None) -> bool:
        """Return whether the flag *key* is on: its value is ``True``, or in the words of its format.

        Args:
            key: The name of the flag; one the document does not have is off.
            context: The attributes of the unit, as the format names them.

        Example:
            >>> from shared.feature_flags.readers import unleash
            >>> unleash.load({"features": [{"name": "menu", "enabled": True}]}).is_enabled("menu")
            True
        """
        constant = self._constant.get(key)
        if constant is not None:
            return constant.value is True
        decide = self._decide.get(key)
        if decide is None:
            return False
        try:
            return decide(_NOTHING if context is None else context).value is True
        except Exception:  # noqa: BLE001 (whatever a context holds, a flag answers)
            return self._fallback(key) is True

    def variant(self, key: str, context: Mapping[str, Any] | None = None) -> str | None:
        """Return the name of the variant that is served, or ``None`` where there is none.

        Example:
            >>> from shared.feature_flags.readers import unleash
            >>> unleash.load({"features": [{"name": "menu", "enabled": True}]}).variant("menu")
            'on'
        """
        detail = self.detail(key, context)
        return None if detail is None else detail.variant

    def detail(self, key: str, context: Mapping[str, Any] | None = None) -> Detail | None:
        """Return value, variant and reason; ``None`` when the document has no flag *key*.

        An evaluation that goes wrong is a detail too: its reason is ``ERROR`` and its
        value what the format serves without a decision.

        Example:
            >>> from shared.feature_flags.readers import unleash
            >>> unleash.load({"features": [{"name": "menu", "enabled": False}]}).detail("menu").reason
            'DISABLED'
        """
        constant = self._constant.get(key)
        if constant is not None:
            return constant
        decide = self._decide.get(key)
        if decide is None:
            return None
        try:
            return decide(_NOTHING if context is None else context)
        except Exception as error:  # noqa: BLE001 (whatever a context holds, a flag answers)
            return self._failed(key, error)

    def resolve(self, key: str, default: Any, context: Mapping[str, Any] | None = None) -> Detail:
        """Return the detail of *key*, with *default* where there is no value of its type.

        Args:
            key: The name of the flag.
            default: What the caller goes on with otherwise; its type is what is expected.
                ``None`` accepts every type.
            context: The attributes of the unit.

        Returns:
            The detail; ``error_code`` is ``FLAG_NOT_FOUND`` or ``TYPE_MISMATCH`` when
            *default* is served because of that.

        Example:
            >>> from shared.feature_flags.readers import flagd
            >>> reader = flagd.load({"flags": {"size": {
            ...     "state": "ENABLED", "variants": {"s": 10}, "defaultVariant": "s"}}})
            >>> reader.resolve("size", 0).value, reader.resolve("size", "small").error
            (10, "'size' is a number, a text was expected")
        """
        detail = self.detail(key, context)
        if detail is None:
            return missing(key, default)
        if detail.value is None:
            return replace(detail, value=default)
        if default is None or _same_type(detail.value, default):
            return detail
        what = f"{key!r} is {_kind(detail.value)}, {_kind(default)} was expected"
        return Detail(key, default, None, "ERROR", error=what, error_code="TYPE_MISMATCH")

    def value(self, key: str, default: Any = None, context: Mapping[str, Any] | None = None) -> Any:
        """Return the value of *key*, or *default* where there is none of its type.

        Example:
            >>> from shared.feature_flags.readers import flagd
            >>> flagd.load({"flags": {}}).value("size", 10)
            10
        """
        return self.resolve(key, default, context).value

    def keys(self) -> tuple[str, ...]:
        """Return the names of the flags, in the order of the document.

        Example:
            >>> from shared.feature_flags.readers import unleash
            >>> unleash.load({"features": [{"name": "b"}, {"name": "a"}]}).keys()
            ('b', 'a')
        """
        return tuple(self._decide)

    def __contains__(self, key: object) -> bool:
        return key in self._decide

    def __iter__(self) -> Iterator[str]:
        return iter(self._decide)

    def __len__(self) -> int:
        return len(self._decide)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._decide)} flags>"

    def _failed(self, key: str, error: Exception) -> Detail:
        """Return what is served when deciding *key* went wrong; never the text of a foreign error."""
        what = f"{key!r} could not be decided: {type(error).__name__}"
        return Detail(key, self._fallback(key), None, "ERROR", error=what, error_code="GENERAL")

    def _fallback(self, key: str) -> Any:
        """Return the value of *key* without a decision."""
        raise NotImplementedError


def missing(key: str, default: Any) -> Detail:
    """Return the detail of a flag nobody knows."""
    return Detail(
        key, default, None, "ERROR", error=f"{key!r} is not in the document", error_code="FLAG_NOT_FOUND"
    )


def served(detail: Detail) -> Callable[[], Detail]:
    """Return what serves *detail*; lists and objects are copied, so that no caller changes another's."""
    if _is_mutable(detail):
        return lambda: replace(detail, value=copy.deepcopy(detail.value))
    return lambda: detail


def _is_mutable(detail: Detail) -> bool:
    return isinstance(detail.value, dict | list)


def _always(serve: Callable[[], Detail]) -> Decide:
    return lambda _context: serve()


def _same_type(value: Any, default: Any) -> bool:
    # A boolean is an int in Python and nowhere else.
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, dict | list):
        return isinstance(value, dict | list)
    return isinstance(value, type(default))


def _kind(value: Any) -> str:
    for types, name in (
        (bool, "a boolean"),
        (str, "a text"),
        (int, "a number"),
        (float, "a number"),
        (dict, "an object"),
        (list, "a list"),
    ):
        if isinstance(value, types):
            return name
    return type(value).__name__
