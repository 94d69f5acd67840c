"""The way to an answer, step by step, in words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.feature_flags._compile_rule import all_rules, unit_finder
from shared.feature_flags._conditions import trace_condition
from shared.feature_flags._detail import Detail, Explanation, TraceStep
from shared.feature_flags._rules import Rule
from shared.feature_flags._snapshot import evaluate, missing

if TYPE_CHECKING:
    from shared.feature_flags._model import Flag
    from shared.feature_flags._snapshot import Snapshot

__all__ = ["explain"]


def explain(
    snapshot: "Snapshot", key: str, ctx: Mapping[str, Any], forced: Detail | None = None
) -> Explanation:
    """Return the answer for *key* and what was looked at; not counted as an evaluation.

    Args:
        snapshot: The flags.
        key: Of the flag.
        ctx: The attributes.
        forced: The answer, where a block forces one.
    """
    entry = snapshot.entries.get(key)
    if entry is None:
        return Explanation(missing(key, None, snapshot.revision), (), snapshot.environment)
    steps: list[TraceStep] = []
    detail = forced or evaluate(entry, ctx).copy_of_detail()
    if snapshot.state != "live":
        steps.append(TraceStep("state", f"the store cannot be reached: {snapshot.state}"))
    if forced is not None:
        steps.append(TraceStep("override", "forced by override() in this block", True))
    elif key in snapshot.overrides:
        steps.append(TraceStep("override", "forced by a variable of the environment, or by the code", True))
    else:
        _walk(snapshot, entry.flag, ctx, detail, steps)
    return Explanation(detail, tuple(steps), snapshot.environment)


def _walk(
    snapshot: "Snapshot", flag: "Flag", ctx: Mapping[str, Any], detail: Detail, steps: list[TraceStep]
) -> None:
    if not flag.enabled:
        steps.append(TraceStep("enabled", f"not enabled: variant {flag.off_variant!r}", False))
        return
    steps.append(TraceStep("enabled", "enabled", True))
    for need in flag.prerequisites:
        found = evaluate(snapshot.entries[need.flag], ctx)
        text = f"flag {need.flag!r} must be {' or '.join(need.variants)}: it is {found.variant!r}"
        steps.append(TraceStep("prerequisite", text, found.variant in need.variants))
        if found.variant not in need.variants:
            steps.append(TraceStep("default", f"variant {flag.off_variant!r}"))
            return
    for rule in all_rules(flag):
        decides = rule.id == detail.rule_id
        at = len(steps)
        _rule(snapshot, rule, ctx, decides, steps)
        steps.insert(at, TraceStep("rule", f"rule {rule.id!r}", decides))
        if decides:
            return
    steps.append(TraceStep("default", f"no rule matched: variant {flag.default_variant!r}"))


def _rule(
    snapshot: "Snapshot", rule: Rule, ctx: Mapping[str, Any], decides: bool, steps: list[TraceStep]
) -> None:
    if rule.schedule is not None:
        ends = [moment.isoformat() if moment else "…" for moment in (rule.schedule.start, rule.schedule.end)]
        steps.append(TraceStep("schedule", f"scheduled {ends[0]} to {ends[1]}", depth=1))
    if rule.when is not None and not trace_condition(rule.when, ctx, snapshot.document.segments, steps, 1):
        return
    if rule.split is not None:
        unit = unit_finder(rule.split)(ctx)
        where = "no id" if unit is None else f"{unit!r} is {'inside' if decides else 'outside'}"
        steps.append(TraceStep("split", f"split by {rule.split.unit}: {where}", decides, 1))
