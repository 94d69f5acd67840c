"""Features of Unleash: strategies, segments, dependencies and variants as one decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shared.feature_flags._detail import Detail, FlagReason
from shared.feature_flags.readers._document import all_of, always, never
from shared.feature_flags.readers._unleash_constraints import Test, compile_constraints
from shared.feature_flags.readers._unleash_strategies import Surroundings, compile_strategy
from shared.feature_flags.readers._unleash_variants import (
    DISABLED,
    NO_VARIANT,
    Choose,
    UnleashVariant,
    compile_variants,
)
from shared.feature_flags.readers._values import text_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, ready before anybody asks: the detail, and the same as Unleash says it."""

    detail: Detail
    variant: UnleashVariant


Answer: TypeAlias = Callable[[Mapping[str, Any]], Outcome]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One strategy: whom it is for, and what they are served."""

    test: Test
    constant: Outcome | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, compiled.

    Attributes:
        key: Its name.
        on: Whether it is switched on at all.
        has_parents: Whether it depends on others; such a one cannot be depended on.
        parents: The test of its dependencies.
        strategies: In the order of the document; the first that holds decides.
        off: The answer when none of them does.
    """

    key: str
    on: bool
    has_parents: bool
    parents: Test
    strategies: tuple[Strategy, ...]
    off: Outcome
    unmet: Outcome

    def matched(self, context: Mapping[str, Any]) -> Strategy | None:
        """Return the strategy that switches the flag on, without a look at the dependencies."""
        for strategy in self.strategies:
            if strategy.test(context):
                return strategy
        return None

    def is_on(self, context: Mapping[str, Any]) -> bool:
        """Return whether the flag is on; cheaper than the whole answer."""
        return self.parents(context) and self.matched(context) is not None

    def answer(self, context: Mapping[str, Any]) -> Outcome:
        """Return the whole answer."""
        if not self.parents(context):
            return self.unmet
        return self.own(context)

    def own(self, context: Mapping[str, Any]) -> Outcome:
        """Return the answer as if there were no dependencies."""
        strategy = self.matched(context)
        return self.off if strategy is None else strategy.constant or strategy.answer(context)

    def constant(self) -> Outcome | None:
        """Return the answer that no context changes, where it is one."""
        if not self.strategies:
            return self.off
        first = self.strategies[0]
        if self.parents is always and first.test is always:
            return first.constant
        return None


_ROLLOUTS: Final = frozenset(
    {"flexibleRollout", "gradualRolloutUserId", "gradualRolloutSessionId", "gradualRolloutRandom"}
)


def compile_features(
    features: Mapping[str, Mapping[str, Any]],
    segments: Mapping[str, list[Mapping[str, Any]]],
    around: Surroundings,
) -> dict[str, Feature]:
    """Compile every feature of a document that has been checked."""
    made: dict[str, Feature] = {}
    for key, feature in features.items():
        made[key] = _feature(key, feature, segments, around, made)
    return made


def _feature(
    key: str,
    feature: Mapping[str, Any],
    segments: Mapping[str, list[Mapping[str, Any]]],
    around: Surroundings,
    made: Mapping[str, Feature],
) -> Feature:
    on = feature.get("enabled") is True
    dependencies = feature.get("dependencies") or []
    strategies = [] if not on else _strategies(key, feature, segments, around)
    return Feature(
        key=key,
        on=on,
        has_parents=bool(dependencies),
        parents=all_of([_parent(dependency, made) for dependency in dependencies]) if on else always,
        strategies=tuple(strategy for strategy in strategies if strategy.test is not never),
        off=_off(key, "DEFAULT" if on else "DISABLED"),
        unmet=_off(key, "PREREQUISITE_FAILED"),
    )


def _off(key: str, reason: FlagReason) -> Outcome:
    return Outcome(Detail(key=key, value=False, variant="off", reason=reason), DISABLED)


def _parent(dependency: Mapping[str, Any], made: Mapping[str, Feature]) -> Test:
    """Return the test of one dependency; *made* is read when it is asked, with every feature in it."""
    key = str(dependency["feature"])
    wanted_on = dependency.get("enabled") is not False
    names = frozenset(text for text in map(text_of, dependency.get("variants") or ()) if text is not None)

    def parent(context: Mapping[str, Any]) -> bool:
        feature = made.get(key)
        if feature is None or feature.has_parents:  # one level only, so no cycle either
            return False
        if not wanted_on:
            return feature.matched(context) is None
        if not names:
            return feature.matched(context) is not None
        variant = feature.own(context).variant
        return variant.feature_enabled and variant.name in names

    return parent


def _strategies(
    key: str,
    feature: Mapping[str, Any],
    segments: Mapping[str, list[Mapping[str, Any]]],
    around: Surroundings,
) -> list[Strategy]:
    variants = feature.get("variants") or []
    usual = compile_variants(variants, key, around) if variants else NO_VARIANT
    listed = feature.get("strategies") or []
    if not listed:
        return [_strategy(key, always, usual, rule_id=None, reason="STATIC")]
    return [_one(key, numbered, segments, around, usual) for numbered in enumerate(listed)]


def _one(
    key: str,
    numbered: tuple[int, Mapping[str, Any]],
    segments: Mapping[str, list[Mapping[str, Any]]],
    around: Surroundings,
    usual: UnleashVariant | Choose,
) -> Strategy:
    number, strategy = numbered
    name = str(strategy["name"])
    parameters = strategy.get("parameters") or {}
    if strategy.get("disabled") is True:
        return _strategy(key, never, usual, rule_id=None, reason="DEFAULT")
    tests = [compile_constraints(strategy.get("constraints") or [], around.aliases, around.clock)]
    tests += [_segment(segments, text_of(named), around) for named in strategy.get("segments") or ()]
    tests.append(compile_strategy(name, parameters, key, around))
    test = all_of(tests) if never not in tests else never
    own = strategy.get("variants") or []
    sticks_to = text_of(parameters.get("stickiness")) or "default"
    group = text_of(parameters.get("groupId")) or key
    variants = compile_variants(own, group, around, sticks_to) if own else usual
    rule_id = text_of(strategy.get("id")) or f"{number}:{name}"
    reason: FlagReason = "SPLIT" if name in _ROLLOUTS and test is not always else "TARGETING_MATCH"
    return _strategy(
        key, test, variants, rule_id=rule_id, reason="STATIC" if test is always and number == 0 else reason
    )


def _segment(
    segments: Mapping[str, list[Mapping[str, Any]]], number: str | None, around: Surroundings
) -> Test:
    constraints = segments.get(number or "")
    return never if constraints is None else compile_constraints(constraints, around.aliases, around.clock)


def _strategy(
    key: str, test: Test, variants: UnleashVariant | Choose, *, rule_id: str | None, reason: FlagReason
) -> Strategy:
    if isinstance(variants, UnleashVariant):
        constant = _on(key, variants, rule_id, reason)
        return Strategy(test, constant, lambda _context: constant)
    choose = variants
    ready: dict[str, Outcome] = {}

    def answer(context: Mapping[str, Any]) -> Outcome:
        variant = choose(context)
        outcome = ready.get(variant.name)
        if outcome is None:
            outcome = ready[variant.name] = _on(key, variant, rule_id, "SPLIT")
        return outcome

    return Strategy(test, None, answer)


def _on(key: str, variant: UnleashVariant, rule_id: str | None, reason: FlagReason) -> Outcome:
    name = variant.name if variant.enabled else "on"
    return Outcome(Detail(key=key, value=True, variant=name, reason=reason, rule_id=rule_id), variant)
