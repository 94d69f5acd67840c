"""What GrowthBook answers: of a feature, and of an experiment."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from shared.feature_flags.readers._growthbook_values import is_on

FeatureSource: TypeAlias = Literal[
    "defaultValue", "force", "experiment", "prerequisite", "cyclicPrerequisite", "unknownFeature"
]


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What an experiment gave to one unit.

    Attributes:
        value: Of the variation; of the first one for a unit that is not in the experiment.
        key: Of the variation: from its meta, else its number as text.
        variation_id: Its number, from 0.
        in_experiment: Whether the unit takes part.
        hash_used: Whether the hash decided, rather than something that forces a variation.
        hash_attribute: The attribute that identifies the unit.
        hash_value: The unit; empty when the context has none.
        bucket: Where the unit fell in ``[0, 1)``; ``None`` when it was not hashed.
        sticky_bucket_used: Whether it has what it was given before.
        passthrough: Whether the rules after this one still apply, as in a holdout.
        name: Of the variation, where it has one.
        feature_id: The feature the experiment runs in.

    Example:
        >>> ExperimentResult("red", "0", 0, in_experiment=True, hash_used=True).value
        'red'
    """

    value: Any
    key: str
    variation_id: int
    in_experiment: bool
    hash_used: bool = False
    hash_attribute: str = "id"
    hash_value: str = ""
    bucket: float | None = None
    sticky_bucket_used: bool = False
    passthrough: bool = False
    name: str | None = None
    feature_id: str | None = None


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """What a feature is for one context.

    Attributes:
        value: What it is; ``None`` where a prerequisite is not met.
        source: What decided.
        rule_id: The rule that did, where it has an id.
        experiment: Key of the experiment that did.
        result: What it gave.

    Example:
        >>> FeatureResult([], "defaultValue").on, FeatureResult(0, "defaultValue").on
        (True, False)
    """

    value: Any
    source: FeatureSource
    rule_id: str | None = None
    experiment: str | None = None
    result: ExperimentResult | None = None

    @property
    def on(self) -> bool:
        """Whether JavaScript takes the value for true: an empty list is, ``0`` and ``""`` are not.

        Example:
            >>> FeatureResult("", "defaultValue").on
            False
        """
        return is_on(self.value)
