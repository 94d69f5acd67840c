"""Variants of Unleash: which of several an enabled flag serves."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._unleash_strategies import Stick, Surroundings, stickiness
from shared.feature_flags.readers._values import number_of, text_of

# Its own seed, so that who is in a rollout says nothing about the variant (Unleash, 2023).
VARIANT_SEED: Final = 86_028_157


@dataclass(frozen=True, slots=True)
class UnleashVariant:
    """What Unleash answers to "which variant?".

    Attributes:
        name: The name; ``disabled`` when there is none.
        enabled: Whether there is one.
        feature_enabled: Whether the flag itself is on for this context.
        payload: ``{"type": "string" | "number" | "json" | "csv", "value": text}``, or ``None``.

    Example:
        >>> UnleashVariant("disabled", enabled=False, feature_enabled=True).to_dict()
        {'name': 'disabled', 'enabled': False, 'feature_enabled': True}
    """

    name: str
    enabled: bool
    feature_enabled: bool
    payload: Mapping[str, Any] | None = None

    @property
    def value(self) -> Any:
        """The payload as what its type says: text, a number, or parsed JSON; ``None`` where it is not that.

        Example:
            >>> UnleashVariant("big", True, True, {"type": "number", "value": "1.5"}).value
            1.5
        """
        if self.payload is None:
            return None
        kind, value = self.payload.get("type"), self.payload.get("value")
        if kind == "number":
            return number_of(value)
        if kind != "json":
            return value
        try:
            return json.loads(value) if isinstance(value, str) else None
        except (ValueError, RecursionError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Return the shape clients of Unleash know; without a payload that key is absent.

        Example:
            >>> UnleashVariant("big", True, True, {"type": "csv", "value": "a,b"}).to_dict()["payload"]
            {'type': 'csv', 'value': 'a,b'}
        """
        shape: dict[str, Any] = {"name": self.name}
        if self.payload is not None:
            shape["payload"] = dict(self.payload)
        return shape | {"enabled": self.enabled, "feature_enabled": self.feature_enabled}


DISABLED: Final = UnleashVariant("disabled", enabled=False, feature_enabled=False)
NO_VARIANT: Final = UnleashVariant("disabled", enabled=False, feature_enabled=True)

Choose: TypeAlias = Callable[[Mapping[str, Any]], UnleashVariant]


def compile_variants(
    variants: list[Mapping[str, Any]], group: str, around: Surroundings, sticks_to: str = "default"
) -> UnleashVariant | Choose:
    """Return the one variant that is always served, or the function that chooses.

    Args:
        variants: As in the document; not empty.
        group: What is hashed besides the unit.
        around: The hash and the names of fields.
        sticks_to: The field of the unit, where the variants do not say it.
    """
    made = [_variant(variant) for variant in variants]
    weights = [int(variant.get("weight") or 0) for variant in variants]
    overrides = _overrides(variants, made, around)
    total = sum(weights)
    if not overrides and (total == 0 or len([weight for weight in weights if weight]) == 1):
        return next((one for one, weight in zip(made, weights, strict=True) if weight), NO_VARIANT)
    unit = _sticking(text_of(variants[0].get("stickiness")) or sticks_to, around)
    bucket = around.bucket(group, total or 1, VARIANT_SEED)
    ends = _ends(made, weights)

    def choose(context: Mapping[str, Any]) -> UnleashVariant:
        for get, values, variant in overrides:
            if text_of(get(context)) in values:
                return variant
        place = bucket(unit(context) or "")
        for end, variant in ends:
            if place <= end:
                return variant
        return NO_VARIANT

    return choose


def _variant(variant: Mapping[str, Any]) -> UnleashVariant:
    payload = variant.get("payload")
    shown = dict(payload) if isinstance(payload, Mapping) else None
    return UnleashVariant(str(variant["name"]), enabled=True, feature_enabled=True, payload=shown)


def _ends(made: list[UnleashVariant], weights: list[int]) -> tuple[tuple[int, UnleashVariant], ...]:
    ends: list[tuple[int, UnleashVariant]] = []
    end = 0
    for variant, weight in zip(made, weights, strict=True):
        end += weight
        if weight:
            ends.append((end, variant))
    return tuple(ends)


def _overrides(
    variants: list[Mapping[str, Any]], made: list[UnleashVariant], around: Surroundings
) -> tuple[tuple[Callable[[Mapping[str, Any]], Any], frozenset[str], UnleashVariant], ...]:
    return tuple(
        (
            around.get(str(override.get("contextName", ""))),
            frozenset(text for text in map(text_of, override.get("values") or ()) if text is not None),
            one,
        )
        for one, variant in zip(made, variants, strict=True)
        for override in variant.get("overrides") or ()
    )


def _sticking(name: str, around: Surroundings) -> Stick:
    # A variant is always chosen: without the field it is chosen by chance, as Unleash does.
    unit, chance = stickiness(name, around), stickiness("random", around)
    return lambda context: unit(context) or chance(context)
