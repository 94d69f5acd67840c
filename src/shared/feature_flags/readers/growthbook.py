"""Features of GrowthBook: the payload of its SDKs, evaluated as they do.

Rules, rollouts, experiments with namespaces, filters and holdouts, prerequisites, saved
groups and sticky buckets; what an experiment gives is told as :class:`FlagExposed`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from shared.feature_flags._detail import Detail
from shared.feature_flags._events import FlagExposed
from shared.feature_flags.readers._base import Decide, Reader, served
from shared.feature_flags.readers._growthbook_conditions import Conditions
from shared.feature_flags.readers._growthbook_document import checked, checked_experiment
from shared.feature_flags.readers._growthbook_experiments import Experiment, Settings
from shared.feature_flags.readers._growthbook_features import Features
from shared.feature_flags.readers._growthbook_results import ExperimentResult, FeatureResult
from shared.feature_flags.readers._growthbook_sticky import MemoryStickyBuckets, StickyBuckets
from shared.feature_flags.readers._growthbook_values import is_on
from shared.feature_flags.readers._told import Told
from shared.runtime import Events, current

if TYPE_CHECKING:
    from shared.feature_flags._detail import FlagReason

__all__ = [
    "ALIASES",
    "ExperimentResult",
    "FeatureResult",
    "GrowthBookReader",
    "MemoryStickyBuckets",
    "StickyBuckets",
    "load",
]

#: Attributes of GrowthBook and what this library's contexts call them; the name on the left wins.
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"id": "user_id"})

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_REASONS: Final["Mapping[str, FlagReason]"] = MappingProxyType(
    {
        "defaultValue": "DEFAULT",
        "force": "TARGETING_MATCH",
        "experiment": "SPLIT",
        "prerequisite": "PREREQUISITE_FAILED",
        "cyclicPrerequisite": "ERROR",
    }
)


class GrowthBookReader(Reader):
    """The features of a GrowthBook payload; made by :func:`load`.

    Example:
        >>> load({"features": {}})
        <GrowthBookReader of 0 flags>
    """

    __slots__ = ("_exposed", "_features")

    format: str = "growthbook"

    def __init__(self, keys: tuple[str, ...], features: Features, exposed: Callable[..., None]) -> None:
        self._features = features
        self._exposed = exposed
        constant = {key: found for key in keys if (found := features.constant(key)) is not None}
        super().__init__(
            {key: _decision(key, features) for key in keys},
            {key: _detail(key, found, constant=True) for key, found in constant.items()},
        )

    def is_enabled(self, key: str, context: Mapping[str, Any] | None = None) -> bool:
        """Return whether the feature is on: its value is what JavaScript takes for true.

        Example:
            >>> load({"features": {"size": {"defaultValue": "large"}}}).is_enabled("size")
            True
        """
        try:
            return is_on(self._features.evaluate(key, _NOTHING if context is None else context).value)
        except Exception:  # noqa: BLE001 (whatever a context holds, a feature answers)
            return False

    def feature(self, key: str, context: Mapping[str, Any] | None = None) -> FeatureResult:
        """Return what a feature is in the words of GrowthBook, with the experiment behind it.

        Example:
            >>> reader = load({"features": {"size": {"defaultValue": "s", "rules": [{"force": "l",
            ...     "condition": {"country": {"$in": ["no", "se"]}}}]}}})
            >>> result = reader.feature("size", {"country": "se"})
            >>> result.value, result.source, result.on
            ('l', 'force', True)
        """
        try:
            return self._features.evaluate(key, _NOTHING if context is None else context)
        except Exception:  # noqa: BLE001 (whatever a context holds, a feature answers)
            return FeatureResult(None, "unknownFeature")

    def run(self, experiment: Any, context: Mapping[str, Any] | None = None) -> ExperimentResult:
        """Run an experiment that is written in the code rather than in the document.

        Args:
            experiment: ``key`` and ``variations``, and what else an experiment may have.
            context: The attributes of the unit.

        Raises:
            FlagDocumentError: The experiment is not of that shape.

        Example:
            >>> reader = load({"features": {}})
            >>> reader.run({"key": "button", "variations": ["red", "blue"]}, {"id": "ada"}).value
            'red'
        """
        given = checked_experiment(experiment)
        made = self._features.experiment(given, str(given["key"]), None)
        try:
            result = self._features.run(made, _NOTHING if context is None else context)
        except Exception:  # noqa: BLE001 (as above)
            return self._features.run(made, _NOTHING)
        if result.in_experiment and result.hash_used:
            self._exposed(made, result)
        return result

    def _fallback(self, key: str) -> Any:
        del key
        return None


def load(
    document: Any,
    *,
    sticky: StickyBuckets | None = None,
    forced_variations: Mapping[str, int] | None = None,
    qa_mode: bool = False,
    coerce: bool = False,
    aliases: Mapping[str, str] = ALIASES,
    events: Events | None = None,
) -> GrowthBookReader:
    """Compile a GrowthBook payload.

    Args:
        document: ``features`` and where used ``savedGroups``, as the API of GrowthBook
            answers SDKs: a mapping, or JSON as ``str`` or ``bytes``; decrypted.
        sticky: Remembers the variation of each unit; without it sticky settings are ignored.
        forced_variations: Experiment → number of the variation that everybody gets.
        qa_mode: Whether nobody takes part in an experiment unless a variation is forced.
        coerce: Whether conditions compare values of different types as the SDK for
            JavaScript does (``"5"`` is 5, nothing is 0). By default values of different
            types are neither equal nor ordered, as in the SDK for Python since 4.0.
        aliases: Name in the document → name in your contexts, for where they differ.
        events: Hears :class:`FlagExposed` once per unit, experiment, variation and phase;
            those of the current runtime when None.

    Returns:
        The reader. Rules that need more than the SDKs of 2026 agree on (contextual
        bandits) are passed over, as older SDKs do.

    Raises:
        FlagDocumentError: The document is no JSON or not of this shape; lists every fault.

    Example:
        >>> reader = load('{"features": {"menu": {"defaultValue": false, "rules": '
        ...               '[{"force": true, "coverage": 0.5, "hashAttribute": "id"}]}}}')
        >>> reader.is_enabled("menu", {"id": "ada"}), reader.is_enabled("menu", {"id": "eve"})
        (False, True)
    """
    features, groups = checked(document)
    conditions = Conditions(groups, aliases, coerce=coerce)
    forced = dict(forced_variations or {})
    settings = Settings(aliases, conditions, sticky, forced, qa_mode)
    exposed = _Exposed(current().events if events is None else events)
    return GrowthBookReader(tuple(features), Features(features, settings, exposed), exposed)


class _Exposed:
    """Tells of a unit that an experiment gave a variation to."""

    def __init__(self, events: Events) -> None:
        self._told = Told(events)

    def __call__(self, experiment: Experiment, result: ExperimentResult) -> None:
        number = int(experiment.phase) if experiment.phase.isdecimal() and len(experiment.phase) < 10 else 0
        self._told.tell(
            FlagExposed(
                key=result.feature_id or experiment.key,
                variant=result.key,
                unit=result.hash_value,
                rule_id=experiment.key,
                phase=number,
            )
        )


def _decision(key: str, features: Features) -> Decide:
    evaluate = features.evaluate
    ready: dict[int, tuple[FeatureResult, Callable[[], Detail]]] = {}

    def decide(context: Mapping[str, Any]) -> Detail:
        found = evaluate(key, context)
        if found.result is not None:
            return served(_detail(key, found))()
        # Every result without an experiment is made once, at load.
        known = ready.get(id(found))
        if known is None:
            known = ready[id(found)] = (found, served(_detail(key, found)))
        return known[1]()

    return decide


def _detail(key: str, found: FeatureResult, *, constant: bool = False) -> Detail:
    reason = "STATIC" if constant else _REASONS[found.source]
    if found.source == "cyclicPrerequisite":
        return Detail(key, None, None, reason, error="prerequisites in a circle", error_code="GENERAL")
    if found.result is None:
        return Detail(key, found.value, None, reason, found.rule_id)
    if not found.result.hash_used:
        reason = "OVERRIDE"
    return Detail(key, found.value, found.result.key, reason, found.rule_id or found.experiment)
