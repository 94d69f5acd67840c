"""Features of GrowthBook: rules, prerequisites and experiments as one decision."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._document import always
from shared.feature_flags.readers._fnv import bucket_function
from shared.feature_flags.readers._growthbook_experiments import (
    Experiment,
    Parents,
    Path,
    Settings,
    filters_test,
    unit_of,
)
from shared.feature_flags.readers._growthbook_results import ExperimentResult, FeatureResult

Rule: TypeAlias = Callable[[Mapping[str, Any], Path], FeatureResult | None]
Exposed: TypeAlias = Callable[[Experiment, ExperimentResult], None]

_CYCLE: Final = FeatureResult(None, "cyclicPrerequisite")
_GATE: Final = FeatureResult(None, "prerequisite")
_UNKNOWN: Final = FeatureResult(None, "unknownFeature")


def _nothing(_context: Mapping[str, Any], _path: Path) -> None:
    return None


_MOST_PARENTS: Final = 1_000


_NOWHERE: Final = Path((), [0])


class Features:
    """The features of one document, compiled.

    Args:
        features: Key → feature, checked.
        settings: What experiments depend on.
        exposed: Told of each unit that an experiment gave a variation to.
    """

    def __init__(
        self, features: Mapping[str, Mapping[str, Any]], settings: Settings, exposed: Exposed
    ) -> None:
        self._settings = settings
        self._exposed = exposed
        self._rules: dict[str, tuple[Rule, ...]] = {}
        self._defaults: dict[str, FeatureResult] = {}
        # Only these need to know what they are a prerequisite of.
        self._gated = {
            key for key, feature in features.items() if "parentConditions" in str(feature.get("rules"))
        }
        for key, feature in features.items():
            self._defaults[key] = FeatureResult(feature.get("defaultValue"), "defaultValue")
            self._rules[key] = tuple(
                made for rule in feature.get("rules") or () if (made := self._rule(key, rule)) is not None
            )

    def constant(self, key: str) -> FeatureResult | None:
        """Return what *key* is where no context changes it."""
        return None if self._rules[key] else self._defaults[key]

    def evaluate(self, key: str, context: Mapping[str, Any], path: Path | None = None) -> FeatureResult:
        """Return what *key* is for *context*; *path* leads from the feature that was asked for.

        Raises:
            ValueError: The prerequisites branch without end.
        """
        default = self._defaults.get(key)
        if default is None:
            return _UNKNOWN
        if path is not None and key in path.keys:
            return _CYCLE
        here = (path or Path((), [_MOST_PARENTS])).below(key) if key in self._gated else _NOWHERE
        for rule in self._rules[key]:
            result = rule(context, here)
            if result is not None:
                return result
        return default

    def experiment(self, given: Mapping[str, Any], key: str, feature: str | None) -> Experiment:
        """Compile an experiment."""
        return Experiment(given, key, feature, self._settings, self._parents(given.get("parentConditions")))

    def run(self, experiment: Experiment, context: Mapping[str, Any]) -> ExperimentResult:
        """Run an experiment that stands on its own."""
        return experiment.run(context, Path((), [_MOST_PARENTS]))

    def _rule(self, key: str, rule: Mapping[str, Any]) -> Rule | None:
        decide = self._force(key, rule) if "force" in rule else self._experiment(key, rule)
        parents = self._parents(rule.get("parentConditions"))
        if decide is None and parents is None:
            return None
        # A rule that serves nobody still has prerequisites, and those may end the whole feature.
        test, chosen = self._applies(rule), decide or _nothing
        if parents is None:
            if test is always:
                return chosen
            return lambda context, path: chosen(context, path) if test(context) else None

        def gated(context: Mapping[str, Any], path: Path) -> FeatureResult | None:
            verdict = parents(context, path)
            if verdict != "pass":
                return {"gate": _GATE, "cycle": _CYCLE}.get(verdict)
            return chosen(context, path) if test(context) else None

        return gated

    def _applies(self, rule: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
        condition, filters = rule.get("condition"), rule.get("filters")
        matches = self._settings.conditions.test(condition) if condition else always
        if not filters:
            return matches
        inside = filters_test(filters, self._settings.aliases)
        return lambda context: matches(context) and inside(context)

    def _force(self, key: str, rule: Mapping[str, Any]) -> Rule | None:
        result = FeatureResult(rule["force"], "force", rule_id=rule.get("id"))
        coverage: Any = rule.get("coverage")
        span: Any = rule.get("range")
        if coverage is None and span is None:
            return lambda _context, _path: result
        bucket = bucket_function(str(rule.get("seed") or key), rule.get("hashVersion") or 1)
        if bucket is None or (span is None and coverage <= 0):
            return None
        sticks = self._settings.sticky is not None and not rule.get("disableStickyBucketing")
        fallback = rule.get("fallbackAttribute") if sticks else None
        unit = unit_of(rule.get("hashAttribute"), fallback, self._settings.aliases)
        low, high = (span[0], span[1]) if span is not None else (0.0, coverage)
        place = bucket

        def included(context: Mapping[str, Any], _path: Path) -> FeatureResult | None:
            found = unit(context)[1]
            return result if found and low <= place(found) < high else None

        return included

    def _experiment(self, key: str, rule: Mapping[str, Any]) -> Rule | None:
        if rule.get("variations") is None:
            return None
        # The prerequisites of a rule are its own; those of an inline experiment are the experiment's.
        own = {
            name: value
            for name, value in rule.items()
            if name not in {"parentConditions", "status", "active"}
        }
        experiment = self.experiment(own, str(rule.get("key") or key), key)
        rule_id, exposed = rule.get("id"), self._exposed

        def run(context: Mapping[str, Any], path: Path) -> FeatureResult | None:
            result = experiment.run(context, path)
            if result.in_experiment and result.hash_used:
                exposed(experiment, result)
            if not result.in_experiment or result.passthrough:
                return None
            return FeatureResult(result.value, "experiment", rule_id, experiment.key, result)

        return run

    def _parents(self, conditions: Any) -> Parents | None:
        """Return what tells ``pass``, ``fail``, ``gate`` or ``cycle``."""
        if not conditions:
            return None
        compiled = [
            (
                parent["id"],
                None
                if parent.get("condition") is None
                else self._settings.conditions.test(parent["condition"]),
                "gate" if parent.get("gate") else "fail",
            )
            for parent in conditions
            if parent.get("id") is not None
        ]

        def parents(context: Mapping[str, Any], path: Path) -> str:
            for key, test, otherwise in compiled:
                path.spend()
                found = self.evaluate(key, context, path)
                if found.source == "cyclicPrerequisite":
                    return "cycle"
                if test is not None and not test({"value": found.value}):
                    return otherwise
            return "pass"

        return parents
