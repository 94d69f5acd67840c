"""Conditions of GrowthBook: a query in the manner of MongoDB, compiled.

An operator nobody knows makes a condition neither true nor false; such a condition does
not hold, and neither does its negation. A condition that is malformed does not hold at
all, wherever the fault is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._growthbook_coerced import coerced_equality, coerced_operator
from shared.feature_flags.readers._growthbook_values import (
    Members,
    deep_same,
    folded,
    is_list,
    is_on,
    js_type,
    order,
    orderable,
    padded_version,
    path_getter,
    same,
)
from shared.feature_flags.readers._patterns import compile_pattern

Verdict: TypeAlias = bool | None
Node: TypeAlias = Callable[[Any, "Visit"], Verdict]
Test: TypeAlias = Callable[[Mapping[str, Any]], bool]

_ON_CONDITION: Final = frozenset({"$or", "$nor", "$and", "$savedGroup"})
_MOST_VISITS: Final = 10_000
_FOUND: Final[Mapping[str, Callable[[int], bool]]] = {
    "lt": lambda found: found < 0,
    "lte": lambda found: found <= 0,
    "gt": lambda found: found > 0,
    "gte": lambda found: found >= 0,
    "eq": lambda found: found == 0,
    "ne": lambda found: found != 0,
}


class _MalformedError(ValueError):
    """A part of a condition is not of the shape it must be."""


class Visit:
    """The saved groups one evaluation is inside of, and how many more it may enter."""

    __slots__ = ("inside", "left")

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.left = _MOST_VISITS


_NO_VISIT: Final = Visit()


class Conditions:
    """Compiles conditions against the saved groups of one document.

    Args:
        groups: Id → list of values, or a typed group.
        aliases: Name in the document → name in the contexts.
        coerce: Whether values of different types are compared as JavaScript does.
    """

    def __init__(
        self, groups: Mapping[str, Any], aliases: Mapping[str, str], *, coerce: bool = False
    ) -> None:
        self._groups = groups
        self._coerce = coerce
        self._aliases = aliases
        self._compiled: dict[str, Node] = {}

    def test(self, condition: Any) -> Test:
        """Return the test of a condition; it never raises."""
        node = self._condition(condition)
        refers = '"$savedGroup"' in json.dumps(condition, default=str)

        def test(attributes: Mapping[str, Any]) -> bool:
            try:
                return node(attributes, Visit() if refers else _NO_VISIT) is True
            except (ValueError, TypeError, RecursionError):
                return False

        return test

    def _condition(self, condition: Any) -> Node:
        if not isinstance(condition, dict):
            return _malformed
        return _every([self._entry(key, value) for key, value in condition.items()])

    def _entry(self, key: str, value: Any) -> Node:
        if key in {"$or", "$nor"}:
            node = self._any(value)
            return _negated(node) if key == "$nor" else node
        if key == "$and":
            return (
                _every([self._condition(item) for item in value]) if isinstance(value, list) else _malformed
            )
        if key == "$not":
            return _negated(self._condition(value))
        if key == "$savedGroup":
            return self._saved_group(value)
        if key == "$savedGroups":
            return _no
        get = path_getter(key, self._aliases)
        if isinstance(value, str) and not self._coerce:
            return lambda attributes, _visit: get(attributes) == value
        test = self._value(value)
        return lambda attributes, visit: test(get(attributes), visit)

    def _any(self, value: Any) -> Node:
        if not isinstance(value, list):
            return _malformed
        if not value:
            return _yes
        return _some([self._condition(item) for item in value])

    def _saved_group(self, reference: Any) -> Node:
        """Return the test of a typed group; a group that refers to itself does not hold."""
        if not isinstance(reference, dict) or not isinstance(reference.get("id"), str):
            return _no
        if "attributeKey" in reference and not isinstance(reference["attributeKey"], str):
            return _no
        name = reference["id"]
        group = self._groups.get(name)
        if not isinstance(group, dict):
            return _no
        if group.get("type") == "list":
            key, values = reference.get("attributeKey", group.get("attributeKey")), group.get("values")
            if not isinstance(key, str) or not isinstance(values, list):
                return _no
            get, members = path_getter(key, self._aliases), Members(values)
            return lambda attributes, _visit: members.has(get(attributes))
        if group.get("type") != "condition":
            return _unknown
        if not isinstance(group.get("condition"), dict):
            return _no
        return partial(self._within, name)

    def _within(self, name: str, attributes: Any, visit: Visit) -> Verdict:
        if name in visit.inside:
            return False
        visit.left -= 1
        if visit.left < 0:
            raise _MalformedError
        node = self._compiled.get(name)
        if node is None:
            node = self._compiled[name] = self._condition(self._groups[name]["condition"])
        visit.inside.add(name)
        try:
            return node(attributes, visit)
        finally:
            visit.inside.discard(name)

    def _value(self, value: Any, *, fold: bool = False) -> Node:
        """Return the test of a value: operators, or what it must be equal to."""
        changed = coerced_equality(value, fold=fold) if self._coerce else None
        if changed is not None:
            return lambda found, _visit: changed(found)
        if (
            isinstance(value, dict)
            and (value or not self._coerce)
            and all(key.startswith("$") for key in value)
        ):
            return _every([self._operator(name, wanted) for name, wanted in value.items()])
        if fold and isinstance(value, str):
            lower = value.lower()
            return lambda found, _visit: isinstance(found, str) and found.lower() == lower
        if isinstance(value, str):
            return lambda found, _visit: found == value and isinstance(found, str)
        return lambda found, _visit: deep_same(value, found)

    def _operator(self, name: str, wanted: Any) -> Node:
        if name in {"$elemMatch", "$size", "$all", "$alli", "$not"}:
            return self._nested(name, wanted)
        if name in {"$inGroup", "$notInGroup"}:
            return self._in_group(wanted, inside=name == "$inGroup")
        if name in _ON_CONDITION:
            return _no
        test = (coerced_operator(name, wanted) if self._coerce else None) or _plain(name, wanted)
        if test is None and self._coerce:
            return _no
        return _unknown if test is None else lambda found, _visit: test(found)

    def _nested(self, name: str, wanted: Any) -> Node:
        if name == "$not":
            return _negated(self._value(wanted))
        if name == "$elemMatch":
            return self._element(wanted)
        if name == "$size":
            size = self._value(wanted)
            return lambda found, visit: size(len(found), visit) if is_list(found) else False
        if not isinstance(wanted, list):
            return _no
        tests = [self._value(item, fold=name == "$alli") for item in wanted]
        present = _every([partial(_item, test) for test in tests])
        return lambda found, visit: present(found, visit) if is_list(found) else False

    def _element(self, wanted: Any) -> Node:
        if not isinstance(wanted, dict):
            return _malformed
        on_value = all(key.startswith("$") for key in wanted) and not _ON_CONDITION.intersection(wanted)
        test = self._value(wanted) if on_value else self._condition(wanted)
        return lambda found, visit: (
            _item(test, [item for item in found if item is not None], visit) if is_list(found) else False
        )

    def _in_group(self, name: Any, *, inside: bool) -> Node:
        if not isinstance(name, str):
            return _no
        group = self._groups.get(name, [])
        if isinstance(group, dict):
            if group.get("type") not in {"list", "condition"}:
                return _unknown
            group = group.get("values") if group.get("type") == "list" else None
        if not isinstance(group, list):
            return _no
        members = Members(group)
        return lambda found, _visit: members.has(found) is inside


def _yes(_found: Any, _visit: Visit) -> Verdict:
    return True


def _no(_found: Any, _visit: Visit) -> Verdict:
    return False


def _unknown(_found: Any, _visit: Visit) -> Verdict:
    return None


def _malformed(_found: Any, _visit: Visit) -> Verdict:
    raise _MalformedError


def _negated(node: Node) -> Node:
    def negated(found: Any, visit: Visit) -> Verdict:
        verdict = node(found, visit)
        return None if verdict is None else not verdict

    return negated


def _every(nodes: Sequence[Node]) -> Node:
    if len(nodes) == 1:
        return nodes[0]
    if len(nodes) == 2:
        return _both(*nodes)
    frozen = tuple(nodes)

    def every(found: Any, visit: Visit) -> Verdict:
        result: Verdict = True
        for node in frozen:
            verdict = node(found, visit)
            if verdict is False:
                return False
            result = result and verdict
        return result

    return every


def _both(first: Node, second: Node) -> Node:
    def both(found: Any, visit: Visit) -> Verdict:
        verdict = first(found, visit)
        if verdict is True:
            return second(found, visit)
        return False if verdict is False or second(found, visit) is False else None

    return both


def _some(nodes: Sequence[Node]) -> Node:
    frozen = tuple(nodes)

    def some(found: Any, visit: Visit) -> Verdict:
        result: Verdict = False
        for node in frozen:
            verdict = node(found, visit)
            if verdict is True:
                return True
            if verdict is None:
                result = None
        return result

    return some


def _item(test: Node, items: Any, visit: Visit) -> Verdict:
    """Return whether one of *items* passes."""
    result: Verdict = False
    for item in items:
        verdict = test(item, visit)
        if verdict is True:
            return True
        if verdict is None:
            result = None
    return result


def _plain(name: str, wanted: Any) -> Callable[[Any], bool] | None:
    """Return an operator that looks at a value and nothing else; ``None`` for an unknown one."""
    if name == "$eq":
        return lambda found: same(found, wanted)
    if name == "$ne":
        return lambda found: not same(found, wanted)
    if name in {"$in", "$nin", "$ini", "$nini"}:
        return _listed(wanted, fold=name.endswith("i"), inside=not name.startswith("$n"))
    if name in {"$regex", "$regexi", "$notRegex", "$notRegexi"}:
        return _regex(wanted, fold=name.endswith("i"), found_is=not name.startswith("$not"))
    if name == "$exists":
        present = is_on(wanted)
        return lambda found: (found is not None) is present
    if name == "$type":
        return lambda found: js_type(found) == wanted
    if name.startswith("$v") and name[2:] in _FOUND:
        return _version(name[2:], wanted)
    if name[1:] in {"lt", "lte", "gt", "gte"}:
        return _ordered(_FOUND[name[1:]], wanted)
    return None


def _ordered(verdict: Callable[[int], bool], wanted: Any) -> Callable[[Any], bool]:
    def ordered(found: Any) -> bool:
        comparison = order(found, wanted)
        return comparison is not None and verdict(comparison)

    return ordered


def _version(name: str, wanted: Any) -> Callable[[Any], bool]:
    verdict, padded = _FOUND[name], padded_version(wanted)

    def version(found: Any) -> bool:
        if not orderable(found, wanted):
            return name == "ne"
        actual = padded_version(found)
        return verdict((actual > padded) - (actual < padded))

    return version


def _listed(wanted: Any, *, fold: bool, inside: bool) -> Callable[[Any], bool]:
    if not isinstance(wanted, list):
        return lambda _found: False
    members = Members(wanted, fold=fold)
    if fold:
        return lambda found: members.has(folded(found)) is inside
    return lambda found: members.has(found) is inside


def _regex(wanted: Any, *, fold: bool, found_is: bool) -> Callable[[Any], bool]:
    matches = compile_pattern(wanted, "js", ignore_case=fold) if isinstance(wanted, str) else None
    if matches is None:
        return lambda _found: not found_is
    pattern = matches
    return lambda found: (isinstance(found, str) and pattern(found)) is found_is
