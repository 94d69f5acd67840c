"""Comparisons of values of different types, as JavaScript makes them.

The SDK for JavaScript compares across types: text with numbers, nothing with 0. The one
for Python stopped that in 2026. Which of the two a document was written for is not in it.
"""

from collections.abc import Callable
from typing import Any

from shared.feature_flags.readers._growthbook_values import is_on, order, padded_version
from shared.feature_flags.readers._javascript import is_number, less, to_number, to_text
from shared.feature_flags.readers._patterns import compile_pattern


def coerced_equality(wanted: Any, *, fold: bool) -> Callable[[Any], bool] | None:
    """Return the test whether a value is *wanted* after a change of type; ``None`` for no plain value."""
    if isinstance(wanted, str):
        if fold:
            lower = wanted.lower()
            return lambda found: to_text(found).lower() == lower
        return lambda found: to_text(found) == wanted
    if isinstance(wanted, bool):
        return lambda found: found is not None and is_on(found) is wanted
    if is_number(wanted):
        return lambda found: to_number(found) == wanted
    return None


def coerced_operator(name: str, wanted: Any) -> Callable[[Any], bool] | None:
    """Return an operator that changes types before it compares; ``None`` for one that does not."""
    if name in {"$lt", "$lte", "$gt", "$gte"}:
        return _ordered(wanted, swapped=name.startswith("$g"), or_equal=name.endswith("e"))
    if name in _VERSIONS:
        padded, verdict = padded_version(wanted), _VERSIONS[name]
        return lambda found: verdict(padded_version(found), padded)
    if name in {"$regex", "$regexi"} and isinstance(wanted, str):
        matches = compile_pattern(wanted, "js", ignore_case=name == "$regexi")
        if matches is not None:
            pattern = matches
            return lambda found: pattern(to_text(found))
    return None


_VERSIONS: dict[str, Callable[[str, str], bool]] = {
    "$veq": lambda found, wanted: found == wanted,
    "$vne": lambda found, wanted: found != wanted,
    "$vgt": lambda found, wanted: found > wanted,
    "$vgte": lambda found, wanted: found >= wanted,
    "$vlt": lambda found, wanted: found < wanted,
    "$vlte": lambda found, wanted: found <= wanted,
}


def _ordered(wanted: Any, *, swapped: bool, or_equal: bool) -> Callable[[Any], bool]:
    """Return ``found < wanted`` (or ``<=``), or with the sides *swapped*."""

    def ordered(found: Any) -> bool:
        left, right = (wanted, found) if swapped else (found, wanted)
        if isinstance(left, str) and isinstance(right, str):
            comparison = order(left, right)
            return comparison is not None and (comparison <= 0 if or_equal else comparison < 0)
        return less(left, right, or_equal=or_equal)

    return ordered
