"""One rule as a function from the context to an outcome, or None where it does not decide."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, TypeAlias

from shared.feature_flags._assignments import FlagAssignments
from shared.feature_flags._bucket import bounds_of, layer_bounds, place, split_units, unit_id
from shared.feature_flags._conditions import build_condition, two_texts
from shared.feature_flags._hashing import sha256
from shared.feature_flags._model import Flag
from shared.feature_flags._operators import Context, Test, getter
from shared.feature_flags._outcome import Outcome, Outcomes
from shared.feature_flags._rules import COVERAGE_PARTS, Rule, Schedule, Split

__all__ = ["ROLLOUT", "RuleBuilder", "all_rules", "salt_of", "unit_finder"]

_log: Final = logging.getLogger("shared.feature_flags")

ROLLOUT: Final = "rollout"  # id of the rule that the field of this name stands for

Decider: TypeAlias = Callable[[Context], "Outcome | None"]


def all_rules(flag: Flag) -> list[Rule]:
    """Return the rules of *flag*, each with an id, and after them the one its ``rollout`` stands for."""
    rules = [
        rule if rule.id is not None else rule.model_copy(update={"id": f"rule-{n}"})
        for n, rule in enumerate(flag.rules, 1)
    ]
    if flag.rollout is not None:
        # To the nearest of 100 000 parts, and never nobody for somebody.
        parts = round(flag.rollout * COVERAGE_PARTS / 100) or (1 if flag.rollout else 0)
        split = Split({"on": 1}, coverage=parts, salt=f"{_salt(flag)}:{ROLLOUT}")
        rules.append(Rule(id=ROLLOUT, split=split))
    return rules


def _salt(flag: Flag) -> str:
    return flag.salt if flag.salt is not None else f"flag:{flag.key}"


def salt_of(flag: Flag, split: Split) -> str:
    """Return what is hashed with the units of *split*."""
    return split.salt if split.salt is not None else _salt(flag)


def unit_finder(split: Split) -> Callable[[Context], str | None]:
    """Return what finds the id of the unit in a context."""
    gets = [getter(attr) for attr in split_units(split)]

    def find(ctx: Context) -> str | None:
        for get in gets:
            unit = unit_id(get(ctx))
            if unit is not None:
                return unit
        return None

    return find


class RuleBuilder:
    """Builds the rules of flags; holds what they all need."""

    def __init__(self, clock: Callable[[], float], assignments: FlagAssignments | None) -> None:
        self._clock = clock
        self._assignments = assignments

    def build(
        self, flag: Flag, made: Outcomes, default: Outcome, segments: Mapping[str, Test], faults: list[str]
    ) -> list[Decider]:
        """Return the rules of *flag* in order; what is wrong with them goes to *faults*.

        The last one answers *default* where it does not decide, the others None.
        """
        rules = all_rules(flag)
        ids = [rule.id for rule in rules]
        twice = sorted({str(rule_id) for rule_id in ids if ids.count(rule_id) > 1})
        faults += [f"flags.{flag.key}.rules: two rules have the id {rule_id!r}" for rule_id in twice]
        faults += [f"flags.{flag.key}.rules.{fault}" for fault in _shared_salts(flag)]
        found = []
        for n, rule in enumerate(rules):
            where = f"flags.{flag.key}.rules.{n}.when"
            when = None if rule.when is None else build_condition(rule.when, segments, where, faults)
            found.append(self._rule(flag, rule, made, when, default if n == len(rules) - 1 else None))
        return found

    def _rule(
        self, flag: Flag, rule: Rule, made: Outcomes, when: Test | None, miss: Outcome | None
    ) -> Decider:
        if rule.split is not None:
            decide = self._split(flag, rule, rule.split, made, miss)
        else:
            served = made.make(str(rule.serve), "TARGETING_MATCH", rule.id)
            if rule.when is not None and when is not None and rule.schedule is None:
                at_once = two_texts(rule.when, yes=served, no=miss)
                return at_once or (lambda ctx: served if when(ctx) else miss)
            decide = lambda _: served  # noqa: E731
        if when is not None:
            decide = _when(when, decide, miss)
        return decide if rule.schedule is None else _scheduled(rule.schedule, self._clock, decide, miss)

    def _split(self, flag: Flag, rule: Rule, split: Split, made: Outcomes, miss: Outcome | None) -> Decider:
        outcomes = {name: made.make(name, "SPLIT", rule.id, split) for name in split.weights}
        salt, unit_of = salt_of(flag, split), unit_finder(split)
        weights = {name: weight for name, weight in split.weights.items() if weight}
        is_simple = split.layer is None and not split.sticky and split.fallback_unit is None
        if is_simple and "." not in split.unit and len(weights) == 1:
            ((name, _),) = weights.items()
            return _rollout(split.unit, salt, split.coverage, outcomes[name], miss)
        choose = place(bounds_of(split.weights, split.coverage), salt)
        if split.layer is not None:
            choose = _in_layer(place(layer_bounds(split.layer), f"layer:{split.layer.id}"), choose)
        if split.sticky and self._assignments is not None:
            choose = _sticky(self._assignments, flag.key, rule, split, choose)

        def decide(ctx: Context) -> Outcome | None:
            unit = unit_of(ctx)
            if unit is None:
                return miss
            variant = choose(unit)
            return miss if variant is None else outcomes[variant]

        return decide


def _shared_salts(flag: Flag) -> list[str]:
    """Find splits that see only what an earlier one left of the same draw."""
    open_salts: dict[tuple[str, str], int] = {}
    found = []
    for n, rule in enumerate(flag.rules):
        if rule.split is None:
            continue
        name = (rule.split.unit, salt_of(flag, rule.split))
        before = open_salts.get(name)
        if before is not None and rule.split.salt is None:
            found.append(
                f"{n}.split: it would draw only from what rules.{before} lets through, "
                "with the same salt: give it a salt of its own"
            )
        if rule.split.coverage < COVERAGE_PARTS:
            open_salts.setdefault(name, n)
    return found


def _rollout(attr: str, salt: str, coverage: int, hit: Outcome, miss: Outcome | None) -> Decider:
    """Return the split of one variant, the commonest, without the detours of the others."""
    # A copy of what the salt comes to costs less than hashing it again.
    salted = sha256(salt.encode("utf-8", "surrogatepass") + b"\0")
    everybody, nobody = coverage == COVERAGE_PARTS, coverage == 0
    limit = b"" if everybody or nobody else ((coverage << 64) // COVERAGE_PARTS).to_bytes(8)

    def decide(ctx: Context) -> Outcome | None:
        unit = ctx.get(attr)
        if type(unit) is not str or not 0 < len(unit) <= 4096:
            unit = unit_id(unit)
            if unit is None:
                return miss
        hashed = salted.copy()
        try:
            hashed.update(unit.encode())
        except UnicodeEncodeError:
            hashed.update(unit.encode("utf-8", "surrogatepass"))
        return hit if hashed.digest() < limit else miss

    def all_or_none(ctx: Context) -> Outcome | None:
        return hit if everybody and unit_id(ctx.get(attr)) is not None else miss

    return all_or_none if everybody or nobody else decide


def _when(test: Test, decide: Decider, miss: Outcome | None) -> Decider:
    return lambda ctx: decide(ctx) if test(ctx) else miss


def _scheduled(
    schedule: Schedule, clock: Callable[[], float], decide: Decider, miss: Outcome | None
) -> Decider:
    begin = float("-inf") if schedule.start is None else schedule.start.timestamp()
    end = float("inf") if schedule.end is None else schedule.end.timestamp()
    return lambda ctx: decide(ctx) if begin <= clock() < end else miss


def _in_layer(
    is_ours: Callable[[str], str | None], choose: Callable[[str], str | None]
) -> Callable[[str], str | None]:
    return lambda unit: None if is_ours(unit) is None else choose(unit)


def _sticky(
    assignments: FlagAssignments,
    key: str,
    rule: Rule,
    split: Split,
    choose: Callable[[str], str | None],
) -> Callable[[str], str | None]:
    """Return *choose* with a memory; a memory that fails is none."""
    rule_id = str(rule.id)

    def remember(unit: str) -> str | None:
        try:
            kept = assignments.get(key, rule_id, split.phase, unit)
        except Exception:  # noqa: BLE001 - the store is the service's own
            _log.debug("flag %r: what a unit got first could not be read", key, exc_info=True)
            return choose(unit)
        if kept in split.weights:
            return kept
        variant = choose(unit)
        if variant is not None:
            with suppress(Exception):  # hashing answers the same next time
                assignments.put(key, rule_id, split.phase, unit, variant)
        return variant

    return remember
