"""Flags of flagd: state, targeting and variants as one decision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from shared.feature_flags._detail import Detail
from shared.feature_flags.readers._base import Decide, served
from shared.feature_flags.readers._document import printable
from shared.feature_flags.readers._flagd_operators import FractionalVersion, flagd_operators
from shared.feature_flags.readers._javascript import to_text
from shared.feature_flags.readers._jsonlogic import Compiler, LogicError, Node, Run
from shared.feature_flags.readers._jsonlogic_operators import STANDARD
from shared.feature_flags.readers._values import attribute

_MOST_PARTS: Final = 20_000
_DEEPEST: Final = 100


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the flags of one definition have in common.

    Attributes:
        evaluators: Name → rule that others refer to.
        fractional: How units fall into buckets.
        aliases: Name in the document → name in the contexts.
        clock: Seconds since 1970.
        faults: Gathers what keeps single flags from being evaluated.
    """

    evaluators: Mapping[str, Any]
    fractional: FractionalVersion
    aliases: Mapping[str, str]
    clock: Callable[[], float]
    faults: list[str] = field(default_factory=list)


def compile_flag(key: str, flag: Mapping[str, Any], around: Surroundings) -> Detail | Decide:
    """Return the detail of a flag that never changes, or the function that decides."""
    if flag["state"] == "DISABLED":
        return Detail(key, None, None, "DISABLED")
    details = {name: Detail(key, value, name, "TARGETING_MATCH") for name, value in flag["variants"].items()}
    targeting = flag.get("targeting")
    default = _default(key, flag, details, "DEFAULT" if targeting else "STATIC")
    if default.error is not None:
        around.faults.append(f"flags.{printable(key)}.defaultVariant: not one of the variants")
    if not targeting:
        return default
    try:
        rule = Resolver(around.evaluators).resolved(targeting)
        node = _compiler(key, around).compile(rule)
    except LogicError as error:
        around.faults.append(f"flags.{printable(key)}.targeting: {error}")
        return _error(key, "PARSE_ERROR", str(error))
    return _decide(key, node, details, default)


class Resolver:
    """Replaces references to evaluators; bounded, since each may refer to others twice."""

    def __init__(self, evaluators: Mapping[str, Any]) -> None:
        self._evaluators = evaluators
        self._left = _MOST_PARTS

    def resolved(self, rule: Any, above: tuple[str, ...] = (), depth: int = 0) -> Any:
        """Return *rule* with every ``{"$ref": name}`` replaced by the evaluator of that name.

        Raises:
            LogicError: There is no such evaluator, it refers to itself, or the whole is too large.
        """
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            msg = f"more than {_MOST_PARTS} parts, or deeper than {_DEEPEST} levels"
            raise LogicError(msg)
        if isinstance(rule, list):
            return [self.resolved(item, above, depth + 1) for item in rule]
        if not isinstance(rule, dict):
            return rule
        name = rule.get("$ref")
        if len(rule) != 1 or not isinstance(name, str):
            return {key: self.resolved(item, above, depth + 1) for key, item in rule.items()}
        if name not in self._evaluators:
            msg = f"$ref to {printable(name)!r}, which is no evaluator"
            raise LogicError(msg)
        if name in above:
            msg = f"$ref to {printable(name)!r} refers to itself"
            raise LogicError(msg)
        return self.resolved(self._evaluators[name], (*above, name), depth + 1)


def _compiler(key: str, around: Surroundings) -> Compiler:
    aliases, clock = around.aliases, around.clock
    unit = attribute("targetingKey", aliases)
    operators = {**STANDARD, **flagd_operators(key, around.fractional, lambda run: unit(run.root))}
    specials: dict[str, Callable[[Any, Run], Any]] = {
        "$flagd.flagKey": lambda _data, _run: key,
        "$flagd.timestamp": lambda _data, _run: int(clock()),
        "$flagd": lambda _data, _run: {"flagKey": key, "timestamp": int(clock())},
        "targetingKey": lambda data, _run: unit(data),
    }
    for name in aliases:
        specials.setdefault(name, _aliased(attribute(name, aliases)))
    return Compiler(operators, specials)


def _aliased(get: Callable[[Mapping[str, Any]], Any]) -> Callable[[Any, Run], Any]:
    return lambda data, _run: get(data)


def _decide(key: str, node: Node, details: Mapping[str, Detail], default: Detail) -> Decide:
    fixed = {name: detail for name, detail in details.items() if not isinstance(detail.value, dict | list)}
    copied = {name: served(detail) for name, detail in details.items() if name not in fixed}
    usual = served(default)

    def decide(context: Mapping[str, Any]) -> Detail:
        variant = node(context, Run(context))
        if variant is None:
            return usual()
        name = variant if type(variant) is str else to_text(variant)
        detail = fixed.get(name)
        if detail is not None:
            return detail
        copy_of = copied.get(name)
        if copy_of is None:
            return _error(key, "GENERAL", "targeting names a variant that is not there")
        return copy_of()

    return decide


def _default(key: str, flag: Mapping[str, Any], details: Mapping[str, Detail], reason: Any) -> Detail:
    name = flag.get("defaultVariant")
    if name is None or name == "":
        return Detail(key, None, None, "DEFAULT")
    found = details.get(to_text(name))
    if found is None:
        return _error(key, "GENERAL", "defaultVariant is not one of the variants")
    return replace(found, reason=reason)


def _error(key: str, code: str, what: str) -> Detail:
    return Detail(key, None, None, "ERROR", error=what, error_code=code)
