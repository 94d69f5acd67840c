"""What imports of foreign documents have in common: say it exactly, or leave it out and tell."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shared.errors import FlagDocumentError
from shared.feature_flags._compile import compile_flags
from shared.feature_flags._model import Flag, FlagDocument
from shared.feature_flags._rules import Condition

__all__ = [
    "CannotSayError",
    "Imported",
    "Importer",
    "every",
    "inverted",
    "leaf",
    "rule",
    "type_of_values",
    "whole_weights",
]


class Imported(NamedTuple):
    """A document of our own form, made from a foreign one.

    Attributes:
        document: The flags that could be said.
        notes: What could not be, and what changes for those that could; a line each.

    Example:
        >>> from shared.feature_flags.exchange import import_flagd
        >>> document, notes = import_flagd({"flags": {}})
        >>> document.flags, notes
        ({}, ())
    """

    document: FlagDocument
    notes: tuple[str, ...]


class CannotSayError(ValueError):
    """A part of a foreign flag has no counterpart in our form."""


class Importer:
    """Gathers flags, segments and notes."""

    def __init__(self) -> None:
        self._flags: dict[str, Flag] = {}
        self._segments: dict[str, Condition] = {}
        self._notes: list[str] = []

    def note(self, key: str, what: str) -> None:
        """Tell *what* about the flag or segment *key*."""
        self._notes.append(f"{key}: {what}")

    def segment(self, name: str, make: Callable[[], dict[str, Any]]) -> None:
        """Add a segment, or leave it out and tell."""
        try:
            condition = Condition.from_dict(make())
            compile_flags(FlagDocument({}, {name: condition}))
        except (CannotSayError, FlagDocumentError) as error:
            self.note(name, f"left out: {_reason(error)}")
        else:
            self._segments[name] = condition

    def flag(self, key: str, make: Callable[[], dict[str, Any]]) -> None:
        """Add a flag, or leave it out and tell: half a flag would be on for the wrong people."""
        try:
            flag = Flag.from_dict({"key": key, **make()})
            alone = flag.evolve(prerequisites=()) if flag.prerequisites else flag
            compile_flags(FlagDocument({key: alone}, self._segments))
        except (CannotSayError, FlagDocumentError) as error:
            self.note(key, f"left out: {_reason(error)}")
            return
        self._flags[key] = flag
        if any(rule.split is not None for rule in flag.rules):
            self.note(key, "units are divided anew: shares stay, who is in them changes")

    def finish(self) -> Imported:
        """Return what came of it; a flag whose prerequisites are not there is left out too."""
        while True:
            lacking = {
                key: parent.flag
                for key, flag in self._flags.items()
                for parent in flag.prerequisites
                if parent.flag not in self._flags
            }
            if not lacking:
                break
            for key, parent in lacking.items():
                del self._flags[key]
                self.note(key, f"left out: its prerequisite {parent!r} is not there")
        document = FlagDocument(self._flags, self._segments)
        try:
            compile_flags(document)
        except FlagDocumentError as error:  # prerequisites in a circle: what no flag shows alone
            self._notes.append(f"nothing is imported: {_reason(error)}")
            document = FlagDocument()
        return Imported(document, tuple(self._notes))


def _reason(error: Exception) -> str:
    return "; ".join(error.faults) if isinstance(error, FlagDocumentError) else str(error)


def every(conditions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the condition that all of *conditions* hold; ``None`` without any."""
    if not conditions:
        return None
    return conditions[0] if len(conditions) == 1 else {"all": conditions}


def inverted(condition: dict[str, Any]) -> dict[str, Any]:
    """Return the condition that *condition* does not hold."""
    return {"not": condition}


def leaf(attr: str, op: str, value: Any) -> dict[str, Any]:
    """Return a comparison."""
    return {"attr": attr, "op": op, "value": value}


def rule(serve: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a rule without what is not said."""
    given: dict[str, Any] = {"serve": serve, **fields}
    return {name: value for name, value in given.items() if value is not None}


def whole_weights(weights: Mapping[str, float]) -> dict[str, int]:
    """Return weights as whole numbers, in parts of 100,000 where they are shares."""
    if all(float(weight).is_integer() for weight in weights.values()):
        return {name: int(weight) for name, weight in weights.items()}
    return {name: round(weight * 100_000) for name, weight in weights.items()}


def type_of_values(values: list[Any]) -> str:
    """Return the type of a flag that has all of *values*."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float} and float in kinds:
        return "float"
    if len(kinds) == 1:
        return {bool: "bool", str: "str", int: "int"}.get(kinds.pop(), "json")
    return "json"
