"""Experiments of GrowthBook: who takes part, and with which variation."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._document import always
from shared.feature_flags.readers._fnv import bucket_function
from shared.feature_flags.readers._growthbook_conditions import Conditions
from shared.feature_flags.readers._growthbook_results import ExperimentResult
from shared.feature_flags.readers._growthbook_sticky import StickyBuckets
from shared.feature_flags.readers._growthbook_values import unit_text
from shared.feature_flags.readers._javascript import is_number

Range: TypeAlias = tuple[float, float]
Test: TypeAlias = Callable[[Mapping[str, Any]], bool]
Unit: TypeAlias = Callable[[Mapping[str, Any]], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Path:
    """The features between the one that was asked for and the one that is evaluated.

    Attributes:
        keys: From the first on; one of them again is a circle.
        left: How many prerequisites may still be looked at; shared by the whole evaluation.
    """

    keys: tuple[str, ...]
    left: list[int]

    def below(self, key: str) -> "Path":
        """Return the path that *key* is the end of."""
        return Path((*self.keys, key), self.left)

    def spend(self) -> None:
        """Count a prerequisite; past the bound the evaluation fails."""
        self.left[0] -= 1
        if self.left[0] < 0:
            msg = "too many prerequisites"
            raise ValueError(msg)


Parents: TypeAlias = Callable[[Mapping[str, Any], Path], str]

_LEAST_SUM: Final = 0.99
_MOST_SUM: Final = 1.01


@dataclass(frozen=True, slots=True)
class Settings:
    """What experiments depend on besides the document.

    Attributes:
        aliases: Name in the document → name in the contexts.
        conditions: Compiles conditions.
        sticky: Remembers variations; ``None`` for none.
        forced: Experiment → number of the variation everybody gets.
        qa_mode: Whether only forced variations count.
    """

    aliases: Mapping[str, str]
    conditions: Conditions
    sticky: StickyBuckets | None
    forced: Mapping[str, int]
    qa_mode: bool


def in_range(place: float, span: Range) -> bool:
    """Return whether *place* is in the half-open *span*."""
    return span[0] <= place < span[1]


def unit_of(attribute: str | None, fallback: str | None, aliases: Mapping[str, str]) -> Unit:
    """Return the function that names the attribute and the unit; ``""`` where there is no unit."""
    name = "id" if attribute is None else attribute
    if not fallback and aliases.get(name) is None:
        return lambda context: (name, unit_text(context.get(name)))
    names = ((name, aliases.get(name)), *(((fallback, aliases.get(fallback)),) if fallback else ()))

    def unit(context: Mapping[str, Any]) -> tuple[str, str]:
        for own, alias in names:
            text = unit_text(context.get(own))
            if not text and alias is not None:
                text = unit_text(context.get(alias))
            if text:
                return own, text
        return name, ""

    return unit


def ranges_of(count: int, coverage: Any, weights: Any) -> tuple[Range, ...]:
    """Return the part of ``[0, 1)`` each variation has: anchored, so more coverage moves nobody."""
    share = min(1.0, max(0.0, float(coverage))) if is_number(coverage) else 1.0
    usable = weights if _are_weights(weights, count) else [1 / count for _ in range(count)]
    ranges: list[Range] = []
    begin: float = 0
    for weight in usable:
        ranges.append((begin, begin + share * weight))
        begin += weight
    return tuple(ranges)


def _are_weights(weights: Any, count: int) -> bool:
    if not isinstance(weights, list) or len(weights) != count:
        return False
    if not all(is_number(weight) and 0 <= weight <= _MOST_SUM for weight in weights):
        return False
    return _LEAST_SUM <= sum(weights) <= _MOST_SUM


def filters_test(filters: Sequence[Mapping[str, Any]], aliases: Mapping[str, str]) -> Test:
    """Return the test whether a unit is inside of every filter; without a unit it is outside."""
    compiled = [_filter(one, aliases) for one in filters]
    return lambda context: all(passes(context) for passes in compiled)


def _filter(one: Mapping[str, Any], aliases: Mapping[str, str]) -> Test:
    unit = unit_of(one.get("attribute") or "id", None, aliases)
    bucket = bucket_function(str(one.get("seed", "")), one.get("hashVersion") or 2)
    spans = [(span[0], span[1]) for span in one["ranges"]]

    def passes(context: Mapping[str, Any]) -> bool:
        found = unit(context)[1]
        if not found or bucket is None:
            return False
        place = bucket(found)
        return any(in_range(place, span) for span in spans)

    return passes


class Experiment:
    """One experiment, compiled; :meth:`run` is its decision.

    Args:
        given: The experiment, or the rule it runs in.
        key: Its key.
        feature: The feature it runs in.
        settings: What it depends on.
        parents: Evaluates its prerequisites; ``None`` for none.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        key: str,
        feature: str | None,
        settings: Settings,
        parents: Parents | None = None,
    ) -> None:
        self.key = key
        self.phase: str = str(given.get("phase") or "0")
        self._feature = feature
        self._variations: list[Any] = given["variations"]
        self._meta: list[Mapping[str, Any]] = given.get("meta") or []
        self._settings = settings
        self._sticky = None if given.get("disableStickyBucketing") else settings.sticky
        self._fallback: str | None = given.get("fallbackAttribute") if self._sticky is not None else None
        attribute = given.get("hashAttribute")
        self._unit = unit_of(attribute, self._fallback, settings.aliases)
        self._own_unit = unit_of(attribute, None, settings.aliases)
        self._other_unit = unit_of(self._fallback, None, settings.aliases) if self._fallback else None
        self._bucket = bucket_function(str(given.get("seed") or key), given.get("hashVersion") or 1)
        spans = given.get("ranges")
        self._ranges: tuple[Range, ...] = (
            tuple((span[0], span[1]) for span in spans)
            if spans
            else ranges_of(len(self._variations), given.get("coverage"), given.get("weights"))
            if self._variations
            else ()
        )
        self._admits = self._admission(given)
        self._parents = parents
        self._version = int(given.get("bucketVersion") or 0)
        self._least_version = int(given.get("minBucketVersion") or 0)
        self._force = given.get("force")
        self._active = given.get("active") is not False and given.get("status") != "draft"
        self._stopped = given.get("status") == "stopped"

    def _admission(self, given: Mapping[str, Any]) -> Callable[[Mapping[str, Any], str], bool]:
        """Return the test of filters, namespace and condition; each is left out by a sticky bucket."""
        filters, namespace, condition = given.get("filters"), given.get("namespace"), given.get("condition")
        inside = filters_test(filters, self._settings.aliases) if filters else always
        slot = bucket_function(f"__{namespace[0]}", 1) if namespace and not filters else None
        span = (namespace[1], namespace[2]) if namespace else (0.0, 1.0)
        matches = self._settings.conditions.test(condition) if condition else always

        def admits(context: Mapping[str, Any], unit: str) -> bool:
            return inside(context) and (slot is None or in_range(slot(unit), span)) and matches(context)

        return admits

    def run(self, context: Mapping[str, Any], path: Path) -> ExperimentResult:
        """Return what the experiment gives to the unit of *context*."""
        if len(self._variations) < 2:
            return self._result(context)
        forced = self._settings.forced.get(self.key)
        if forced is not None:
            return self._result(context, forced)
        attribute, unit = self._unit(context)
        if not self._active or not unit:
            return self._result(context)
        number, blocked = self._remembered(context)
        sticky = number >= 0
        if not sticky and not self._may_enter(context, unit, path):
            return self._result(context)
        if self._bucket is None:
            return self._result(context)
        place = self._bucket(unit)
        if not sticky:
            number = next((n for n, span in enumerate(self._ranges) if in_range(place, span)), -1)
        if blocked:
            return self._result(context, sticky=True)
        return self._decided(context, (attribute, unit), number, place, sticky=sticky)

    def _decided(
        self, context: Mapping[str, Any], unit: tuple[str, str], number: int, place: float, *, sticky: bool
    ) -> ExperimentResult:
        if number < 0:
            return self._result(context)
        if self._force is not None:
            return self._result(context, self._force)
        if self._settings.qa_mode or self._stopped:
            return self._result(context)
        result = self._result(context, number, hashed=True, place=place, sticky=sticky)
        if self._sticky is not None:
            self._remember(*unit, result.key)
        return result

    def _may_enter(self, context: Mapping[str, Any], unit: str, path: Path) -> bool:
        if not self._admits(context, unit):
            return False
        return self._parents is None or self._parents(context, path) == "pass"

    def _remembered(self, context: Mapping[str, Any]) -> tuple[int, bool]:
        """Return the variation given before (-1 for none), and whether an old one bars the unit."""
        if self._sticky is None:
            return -1, False
        known: dict[str, str] = {}
        for unit in (self._other_unit, self._own_unit):  # the own attribute wins over the fallback
            if unit is not None:
                known.update(self._sticky.assignments(*unit(context)))
        if any(f"{self.key}__{version}" in known for version in range(min(self._least_version, 10_000))):
            return -1, True
        wanted = known.get(f"{self.key}__{self._version}")
        if not wanted:
            return -1, False
        return next((n for n, meta in enumerate(self._meta) if meta.get("key") == wanted), -1), False

    def _remember(self, attribute: str, unit: str, key: str) -> None:
        store = self._sticky
        if store is None:
            return
        known = store.assignments(attribute, unit)
        name = f"{self.key}__{self._version}"
        if known.get(name) != key:
            store.save(attribute, unit, {**known, name: key})

    def _result(
        self,
        context: Mapping[str, Any],
        number: Any = -1,
        *,
        hashed: bool = False,
        place: float | None = None,
        sticky: bool = False,
    ) -> ExperimentResult:
        count = len(self._variations)
        inside = is_number(number) and math.isfinite(number) and 0 <= number < count and number == int(number)
        chosen = int(number) if inside else 0
        meta: Mapping[str, Any] = self._meta[chosen] if chosen < len(self._meta) else {}
        attribute, unit = self._unit(context)
        return ExperimentResult(
            value=self._variations[chosen] if count else None,
            key=str(meta.get("key") or chosen),
            variation_id=chosen,
            in_experiment=inside,
            hash_used=hashed,
            hash_attribute=attribute,
            hash_value=unit,
            bucket=place,
            sticky_bucket_used=sticky,
            passthrough=bool(meta.get("passthrough")),
            name=meta.get("name"),
            feature_id=self._feature,
        )
