"""From Unleash to our own form."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from shared.feature_flags._exchange import CannotSayError, Imported, Importer, every, inverted, leaf, rule
from shared.feature_flags.readers._unleash_document import checked
from shared.feature_flags.readers._unleash_variants import UnleashVariant
from shared.feature_flags.readers._values import moment_of, number_of, text_of
from shared.feature_flags.readers.unleash import ALIASES

__all__ = ["import_unleash"]

_TEXTS: Final = {"STR_STARTS_WITH": "starts", "STR_ENDS_WITH": "ends", "STR_CONTAINS": "contains"}
_PATTERNS: Final = {
    "IN": "^(?:{})$",
    "STR_STARTS_WITH": "^(?:{})",
    "STR_ENDS_WITH": "(?:{})$",
    "STR_CONTAINS": "{}",
}
_ORDERS: Final = {"EQ": "eq", "GT": "gt", "GTE": "ge", "LT": "lt", "LTE": "le"}
_FULL: Final = 100_000


def import_unleash(document: Any, *, aliases: Mapping[str, str] = ALIASES) -> Imported:
    """Return an Unleash document in our own form, with notes on what cannot be said.

    A flag with variants becomes two: ``name`` says whether it is on, ``name.variant`` which
    variant is served (of type ``json``, ``None`` without one). Where Unleash takes every
    attribute for text, ours have types: ids and names are text, and numbers are numbers.

    Args:
        document: As for :func:`shared.feature_flags.readers.unleash.load`.
        aliases: Name in the document → name in your contexts.

    Raises:
        FlagDocumentError: The document is not of the shape of Unleash.

    Example:
        >>> document, notes = import_unleash({"features": [{"name": "menu", "enabled": True, "strategies": [
        ...     {"name": "userWithId", "parameters": {"userIds": "ada,bob"}}]}]})
        >>> document.flags["menu"].rules[0].when.to_dict()
        {'attr': 'user_id', 'op': 'in', 'value': ['ada', 'bob']}
    """
    features, segments = checked(document)
    importer = Importer()
    for number, constraints in segments.items():
        importer.segment(f"segment-{number}", partial(_segment, constraints, aliases))
    for key, feature in features.items():
        importer.flag(key, partial(_flag, key, feature, features, aliases, importer))
        if feature.get("variants"):
            importer.flag(f"{key}.variant", partial(_variants, key, feature, aliases))
    return importer.finish()


def _flag(
    key: str,
    feature: Mapping[str, Any],
    features: Mapping[str, Mapping[str, Any]],
    aliases: Mapping[str, str],
    importer: Importer,
) -> dict[str, Any]:
    strategies = feature.get("strategies") or []
    if any(strategy.get("variants") for strategy in strategies):
        msg = "variants that belong to a strategy"
        raise CannotSayError(msg)
    rules = [made for one in strategies if (made := _strategy(key, one, aliases, importer)) is not None]
    flag: dict[str, Any] = {"rules": rules, "enabled": feature.get("enabled") is True}
    if not strategies:
        flag["default_variant"] = "on"
    parents = [_parent(parent, features) for parent in feature.get("dependencies") or ()]
    if parents:
        flag["prerequisites"] = parents
    if isinstance(feature.get("description"), str):
        flag["description"] = feature["description"]
    return flag


def _parent(parent: Mapping[str, Any], features: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    key, names = parent["feature"], parent.get("variants") or []
    if parent.get("enabled") is False:
        return {"flag": key, "variants": ["off"]}
    if not names:
        return {"flag": key, "variants": ["on"]}
    if not (features.get(key) or {}).get("variants"):
        msg = f"a dependency on variants of {key!r}, which has none"
        raise CannotSayError(msg)
    return {"flag": f"{key}.variant", "variants": names}


def _strategy(
    key: str, strategy: Mapping[str, Any], aliases: Mapping[str, str], importer: Importer
) -> dict[str, Any] | None:
    """Return a strategy as a rule; ``None`` for one that is for nobody."""
    name, parameters = strategy["name"], strategy.get("parameters") or {}
    if strategy.get("disabled") is True:
        return None
    conditions, schedule = _constraints(strategy.get("constraints") or [], aliases)
    conditions += [{"segment": f"segment-{text_of(number)}"} for number in strategy.get("segments") or ()]
    split = None
    if name == "userWithId":
        conditions.append(leaf(_named("userId", aliases), "in", _listed(parameters, "userIds")))
    elif name == "remoteAddress":
        conditions.append(leaf(_named("remoteAddress", aliases), "cidr", _listed(parameters, "IPs")))
    elif name == "flexibleRollout":
        split = _rollout(
            key, parameters, "rollout", text_of(parameters.get("stickiness")) or "default", aliases
        )
    elif name in {"gradualRolloutUserId", "gradualRolloutSessionId"}:
        field = "userId" if name.endswith("UserId") else "sessionId"
        split = _rollout(key, parameters, "percentage", field, aliases)
    elif name in {"gradualRolloutRandom", "applicationHostname"}:
        msg = f"the strategy {name!r}"
        raise CannotSayError(msg)
    elif name != "default":
        importer.note(key, f"the strategy {name!r} is for nobody, as in Unleash")
        return None
    return rule(None if split else "on", when=every(conditions), split=split, schedule=schedule)


def _rollout(
    key: str, parameters: Mapping[str, Any], field: str, sticks_to: str, aliases: Mapping[str, str]
) -> dict[str, Any]:
    if sticks_to == "random":
        msg = "a rollout that sticks to nothing"
        raise CannotSayError(msg)
    percent = min(100.0, max(0.0, number_of(parameters.get(field)) or 0.0))
    split: dict[str, Any] = {"weights": {"on": 1}, "coverage": round(percent * _FULL / 100)}
    split["unit"] = _named("userId" if sticks_to == "default" else sticks_to, aliases)
    if sticks_to == "default":
        split["fallback_unit"] = _named("sessionId", aliases)
    group = text_of(parameters.get("groupId"))
    return split | ({"salt": group} if group and group != key else {})


def _variants(key: str, feature: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    listed = feature["variants"]
    values: dict[str, Any] = {"disabled": None}
    rules: list[dict[str, Any]] = []
    for one in listed:
        values[one["name"]] = UnleashVariant(one["name"], True, True, one.get("payload")).value
        for override in one.get("overrides") or ():
            names = [text for text in map(text_of, override.get("values") or ()) if text is not None]
            rules.append(rule(one["name"], when=leaf(_named(override["contextName"], aliases), "in", names)))
    weights = {one["name"]: int(one.get("weight") or 0) for one in listed}
    sticks_to = text_of(listed[0].get("stickiness")) or "default"
    if sum(weights.values()):
        split = _rollout(key, {"all": 100}, "all", sticks_to, aliases) | {"weights": weights}
        rules.append(rule(split=split))
    return {
        "default": None,
        "type": "json",
        "variants": values,
        "default_variant": "disabled",
        "rules": rules,
        "prerequisites": [{"flag": key, "variants": ["on"]}],
    }


def _segment(constraints: list[Mapping[str, Any]], aliases: Mapping[str, str]) -> dict[str, Any]:
    conditions, schedule = _constraints(constraints, aliases)
    if schedule is not None:
        msg = "a date of now within a segment"
        raise CannotSayError(msg)
    return every(conditions) or {"all": []}


def _constraints(
    constraints: list[Mapping[str, Any]], aliases: Mapping[str, str]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return constraints as conditions, and those on the time of now as a schedule."""
    conditions: list[dict[str, Any]] = []
    schedule: dict[str, Any] = {}
    for one in constraints:
        end = {"DATE_AFTER": "start", "DATE_BEFORE": "end"}.get(str(one.get("operator")))
        if end is not None and one.get("contextName") == "currentTime" and one.get("inverted") is not True:
            moment = moment_of(text_of(one.get("value")))
            if moment is None or end in schedule:
                msg = "a date that cannot be read, or two of one kind"
                raise CannotSayError(msg)
            schedule[end] = moment
            continue
        condition = _constraint(one, aliases)
        conditions.append(inverted(condition) if one.get("inverted") is True else condition)
    return conditions, schedule or None


def _constraint(one: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    operator, attr = str(one.get("operator")), _named(str(one.get("contextName", "")), aliases)
    values = [text for text in map(text_of, one.get("values") or ()) if text is not None]
    value = text_of(one.get("value")) or ""
    family, _, order = operator.partition("_")
    if operator == "NOT_IN":  # a missing attribute is not in a list, either
        return inverted(_constraint({**one, "operator": "IN"}, aliases))
    if operator == "IN" or operator in _TEXTS:
        if not values:
            return {"any": []}
        if one.get("caseInsensitive") is True:
            choices = "|".join(map(re.escape, values))
            return leaf(attr, "regex", "(?i)" + _PATTERNS[operator].format(choices))
        return leaf(attr, _TEXTS.get(operator, "in"), values)
    if operator == "REGEX" and one.get("caseInsensitive") is not True:
        return leaf(attr, "regex", value)
    if operator == "IN_CIDR":
        return leaf(attr, "cidr", values)
    if family == "NUM" and order in _ORDERS and number_of(value) is not None:
        return leaf(attr, _ORDERS[order], number_of(value))
    if family == "SEMVER" and order in _ORDERS:
        return leaf(attr, f"semver_{_ORDERS[order]}", value)
    if operator in {"DATE_AFTER", "DATE_BEFORE"} and attr != _named("currentTime", aliases):
        return leaf(attr, order.lower(), value)
    msg = f"the constraint {operator!r}"
    raise CannotSayError(msg)


def _named(field: str, aliases: Mapping[str, str]) -> str:
    return aliases.get(field, field)


def _listed(parameters: Mapping[str, Any], field: str) -> list[str]:
    listed = [
        item for item in (part.strip() for part in (text_of(parameters.get(field)) or "").split(",")) if item
    ]
    if not listed:
        msg = f"an empty list of {field}"
        raise CannotSayError(msg)
    return listed
