"""From GrowthBook to our own form."""

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.feature_flags._exchange import (
    CannotSayError,
    Imported,
    Importer,
    every,
    inverted,
    leaf,
    rule,
    type_of_values,
    whole_weights,
)
from shared.feature_flags.readers._growthbook_document import checked
from shared.feature_flags.readers._growthbook_experiments import ranges_of
from shared.feature_flags.readers.growthbook import ALIASES

__all__ = ["import_growthbook"]

_FULL: Final = 100_000
_OPERATORS: Final = {
    "$eq": "eq",
    "$gt": "gt",
    "$gte": "ge",
    "$lt": "lt",
    "$lte": "le",
    "$in": "in",
    "$regex": "regex",
}
_NEGATED: Final = {"$ne": "$eq", "$nin": "$in", "$notRegex": "$regex"}
_VERSIONS: Final = {"$veq": "eq", "$vne": "ne", "$vgt": "gt", "$vgte": "ge", "$vlt": "lt", "$vlte": "le"}
# What shapes an experiment beyond weights, coverage and a condition.
_UNSAID: Final = ("filters", "ranges", "range", "contextualVariations", "minBucketVersion")


def import_growthbook(document: Any, *, aliases: Mapping[str, str] = ALIASES) -> Imported:
    """Return a GrowthBook payload in our own form, with notes on what cannot be said.

    Each value becomes a variant: ``on`` and ``off`` for booleans, else ``default`` for the
    default value, the key of the variation where it has one, and ``value-2`` and so on.
    A condition on an attribute that is a list (``$in`` of tags) is true of single values only.

    Args:
        document: As for :func:`shared.feature_flags.readers.growthbook.load`.
        aliases: Name in the document → name in your contexts.

    Raises:
        FlagDocumentError: The document is not of the shape of GrowthBook.

    Example:
        >>> document, notes = import_growthbook({"features": {"menu": {"defaultValue": False, "rules": [
        ...     {"condition": {"plan": {"$in": ["pro"]}}, "force": True}]}}})
        >>> document.flags["menu"].rules[0].to_dict()
        {'serve': 'on', 'when': {'attr': 'plan', 'op': 'in', 'value': ['pro']}}
    """
    features, groups = checked(document)
    importer = Importer()
    for key, feature in features.items():
        importer.flag(key, _Feature(key, feature, groups, aliases).flag)
    return importer.finish()


def _is_true(condition: Any) -> bool:
    """Return whether a condition is that a feature is true; 1 is not, though Python says it is equal."""
    wanted = condition.get("value") if isinstance(condition, dict) and len(condition) == 1 else None
    return wanted is True or (isinstance(wanted, dict) and len(wanted) == 1 and wanted.get("$eq") is True)


class _Feature:
    """Turns one feature into a flag."""

    def __init__(
        self, key: str, feature: Mapping[str, Any], groups: Mapping[str, Any], aliases: Mapping[str, str]
    ) -> None:
        self._key = key
        self._feature = feature
        self._groups = groups
        self._aliases = aliases
        self._variants: dict[str, Any] = {}
        self._parents: list[dict[str, Any]] = []

    def flag(self) -> dict[str, Any]:
        """Return the flag as plain data."""
        default = self._feature.get("defaultValue")
        name = self._variant(default, "default")
        rules = [self._rule(n, one) for n, one in enumerate(self._feature.get("rules") or ())]
        kind = type_of_values(list(self._variants.values()))
        if kind == "bool":
            self._variants = {"on": True, "off": False}
        return {
            "default": default,
            "type": kind,
            "variants": self._variants,
            "default_variant": name,
            "off_variant": name,
            "rules": [made for made in rules if made is not None],
            "prerequisites": self._parents,
        }

    def _variant(self, value: Any, name: str) -> str:
        """Return the name of the variant with *value*; a new one is called *name* where that is free."""
        if isinstance(value, bool):
            name = "on" if value else "off"
        written = json.dumps(value, sort_keys=True)
        for known, other in self._variants.items():
            if json.dumps(other, sort_keys=True) == written:
                return known
        if name in self._variants or not name:
            name = f"value-{len(self._variants) + 1}"
        self._variants[name] = value
        return name

    def _rule(self, number: int, one: Mapping[str, Any]) -> dict[str, Any] | None:
        for name in _UNSAID:
            if one.get(name):
                msg = f"{name!r} in rule {number}"
                raise CannotSayError(msg)
        if one.get("parentConditions"):
            self._gate(number, one)
            if "force" not in one and not one.get("variations"):
                return None
        when = self._condition(one["condition"]) if one.get("condition") else None
        if "force" in one:
            served = self._variant(one["force"], f"value-{number + 2}")
            if one.get("coverage") is None:
                return rule(served, when=when)
            return rule(when=when, split=self._split(one, {served: 1}))
        if not one.get("variations"):
            return None
        return self._experiment(one, when)

    def _gate(self, number: int, one: Mapping[str, Any]) -> None:
        """Take prerequisites of the first rule that gate the whole feature."""
        for parent in one["parentConditions"]:
            if number or not parent.get("gate") or not _is_true(parent.get("condition")):
                msg = f"a prerequisite in rule {number} that is no gate on a feature being true"
                raise CannotSayError(msg)
            self._parents.append({"flag": parent["id"], "variants": ["on"]})

    def _experiment(self, one: Mapping[str, Any], when: dict[str, Any] | None) -> dict[str, Any] | None:
        values, meta = one["variations"], one.get("meta") or []
        if len(values) < 2:
            return None
        if any(variation.get("passthrough") for variation in meta):
            msg = "a holdout"
            raise CannotSayError(msg)
        full = ranges_of(len(values), 1, one.get("weights"))
        shares: dict[str, float] = {}
        for n, value in enumerate(values):
            name = self._variant(value, str(meta[n].get("key") or "") if n < len(meta) else "")
            shares[name] = shares.get(name, 0.0) + full[n][1] - full[n][0]
        split = self._split(one, whole_weights({name: round(share, 5) for name, share in shares.items()}))
        namespace = one.get("namespace")
        if namespace:
            begin, end = (round(min(1.0, max(0.0, part)) * _FULL) for part in namespace[1:])
            split["layer"] = {"id": namespace[0], "ranges": [[begin, end]]}
        if one.get("bucketVersion") is not None and not one.get("disableStickyBucketing"):
            split["sticky"] = True
        return rule(when=when, split=split)

    def _split(self, one: Mapping[str, Any], weights: dict[str, int]) -> dict[str, Any]:
        coverage = one.get("coverage")
        share = 1.0 if coverage is None else min(1.0, max(0.0, coverage))
        split: dict[str, Any] = {"weights": weights, "coverage": round(share * _FULL)}
        split["unit"] = self._named(one.get("hashAttribute") or "id")
        if one.get("fallbackAttribute"):
            split["fallback_unit"] = self._named(one["fallbackAttribute"])
        salt = one.get("seed") or one.get("key")
        return split | ({"salt": salt} if salt and salt != self._key else {})

    def _named(self, attribute: str) -> str:
        return self._aliases.get(attribute, attribute)

    def _condition(self, condition: Any) -> dict[str, Any]:
        if not isinstance(condition, dict):
            msg = "a malformed condition"
            raise CannotSayError(msg)
        return every([self._entry(name, value) for name, value in condition.items()]) or {"all": []}

    def _entry(self, name: str, value: Any) -> dict[str, Any]:
        if name in {"$or", "$nor", "$and"} and isinstance(value, list):
            parts = [self._condition(part) for part in value]
            if name == "$and":
                return {"all": parts}
            some = {"any": parts} if parts else {"all": []}
            return some if name == "$or" else inverted(some)
        if name == "$not":
            return inverted(self._condition(value))
        if name.startswith("$"):
            msg = f"the operator {name!r}"
            raise CannotSayError(msg)
        return self._value(self._named(name), value)

    def _value(self, attr: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(name.startswith("$") for name in value):
            return inverted(leaf(attr, "exists", True)) if value is None else leaf(attr, "eq", value)
        return every([self._operator(attr, name, wanted) for name, wanted in value.items()]) or {"all": []}

    def _operator(self, attr: str, name: str, wanted: Any) -> dict[str, Any]:
        if name in _NEGATED:
            return inverted(self._operator(attr, _NEGATED[name], wanted))
        if name == "$not":
            return inverted(self._value(attr, wanted))
        if name == "$exists":
            present = leaf(attr, "exists", True)
            return present if wanted else inverted(present)
        if name in {"$inGroup", "$notInGroup"}:
            group = self._groups.get(wanted) if isinstance(wanted, str) else None
            if not isinstance(group, list):
                msg = f"the group {wanted!r}, which is no list"
                raise CannotSayError(msg)
            name, wanted = ("$in" if name == "$inGroup" else "$nin"), group
            return self._operator(attr, name, wanted)
        if name == "$eq" and wanted is None:
            return inverted(leaf(attr, "exists", True))
        if name == "$in" and wanted == []:
            return {"any": []}
        if name in _OPERATORS:
            return leaf(attr, _OPERATORS[name], wanted)
        if name in _VERSIONS:
            return leaf(attr, f"semver_{_VERSIONS[name]}", wanted)
        msg = f"the operator {name!r}"
        raise CannotSayError(msg)
