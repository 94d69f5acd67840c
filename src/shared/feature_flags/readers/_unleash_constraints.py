"""Constraints of Unleash: one operator of one field against fixed values."""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from operator import eq, ge, gt, le, lt
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._document import all_of, always, never
from shared.feature_flags.readers._patterns import compile_pattern
from shared.feature_flags.readers._semver import parse_version
from shared.feature_flags.readers._values import Get, attribute, moment_of, number_of, text_of

Test: TypeAlias = Callable[[Mapping[str, Any]], bool]
_Networks: TypeAlias = list[IPv4Network | IPv6Network]

_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "EQ": eq,
    "GT": gt,
    "GTE": ge,
    "LT": lt,
    "LTE": le,
}
_TEXTS: Final[Mapping[str, Callable[[str, tuple[str, ...]], bool]]] = {
    "STR_STARTS_WITH": lambda text, values: text.startswith(values),
    "STR_ENDS_WITH": lambda text, values: text.endswith(values),
    "STR_CONTAINS": lambda text, values: any(value in text for value in values),
}


def compile_constraints(
    constraints: list[Mapping[str, Any]], aliases: Mapping[str, str], clock: Callable[[], datetime]
) -> Test:
    """Return one test that holds when all of *constraints* do."""
    return all_of([compile_constraint(constraint, aliases, clock) for constraint in constraints])


def compile_constraint(
    constraint: Mapping[str, Any], aliases: Mapping[str, str], clock: Callable[[], datetime]
) -> Test:
    """Return the test of one constraint.

    One with a value that fits its operator nowhere never holds, and inverted always:
    so do the clients of Unleash. An operator nobody knows never holds, inverted or not.
    """
    test = _test(constraint, attribute(str(constraint.get("contextName", "")), aliases), clock)
    if test is None:
        return never
    if constraint.get("inverted") is not True:
        return test
    if test is never:
        return always
    return lambda context: not test(context)


def _test(constraint: Mapping[str, Any], get: Get, clock: Callable[[], datetime]) -> Test | None:
    operator = text_of(constraint.get("operator")) or ""
    values = tuple(text for text in map(text_of, constraint.get("values") or ()) if text is not None)
    value = text_of(constraint.get("value"))
    fold = constraint.get("caseInsensitive") is True
    family, _, order = operator.partition("_")
    if operator in {"IN", "NOT_IN"}:
        return _member(get, values, wanted=operator == "IN", fold=fold)
    if operator in _TEXTS:
        return _text(get, values, _TEXTS[operator], fold=fold)
    if operator == "REGEX":
        return _regex(get, value, fold=fold)
    if operator == "IN_CIDR":
        return cidr(get, values)
    if family == "NUM" and order in _ORDERS:
        return _ordered(get, number_of(value), number_of, _ORDERS[order])
    if family == "SEMVER" and order in _ORDERS:
        return _ordered(
            get, parse_version(value), lambda found: parse_version(text_of(found)), _ORDERS[order]
        )
    if operator in {"DATE_AFTER", "DATE_BEFORE"}:
        return _date(constraint, get, moment_of(value), clock, gt if operator == "DATE_AFTER" else lt)
    return None


def _member(get: Get, values: tuple[str, ...], *, wanted: bool, fold: bool) -> Test:
    known = frozenset(value.lower() for value in values) if fold else frozenset(values)

    def member(context: Mapping[str, Any]) -> bool:
        text = text_of(get(context))
        if text is None:
            return not wanted
        return ((text.lower() if fold else text) in known) is wanted

    return member


def _text(
    get: Get, values: tuple[str, ...], compare: Callable[[str, tuple[str, ...]], bool], *, fold: bool
) -> Test:
    wanted = tuple(value.lower() for value in values) if fold else values

    def text(context: Mapping[str, Any]) -> bool:
        found = text_of(get(context))
        return found is not None and compare(found.lower() if fold else found, wanted)

    return text


def _ordered(get: Get, wanted: Any, read: Callable[[Any], Any], compare: Callable[[Any, Any], bool]) -> Test:
    if wanted is None:
        return never

    def ordered(context: Mapping[str, Any]) -> bool:
        found = read(get(context))
        return found is not None and compare(found, wanted)

    return ordered


def _date(
    constraint: Mapping[str, Any],
    get: Get,
    wanted: datetime | None,
    clock: Callable[[], datetime],
    compare: Callable[[Any, Any], bool],
) -> Test:
    if wanted is None:
        return never
    now = clock if constraint.get("contextName") == "currentTime" else None

    def date(context: Mapping[str, Any]) -> bool:
        value = get(context)
        if value is None:
            return now is not None and compare(now(), wanted)
        found = moment_of(value)
        return found is not None and compare(found, wanted)

    return date


def _regex(get: Get, pattern: str | None, *, fold: bool) -> Test:
    found = None if pattern is None else compile_pattern(pattern, "re2", ignore_case=fold)
    if found is None:
        return never

    def regex(context: Mapping[str, Any]) -> bool:
        text = text_of(get(context))
        return text is not None and found(text)

    return regex


def cidr(get: Get, values: tuple[str, ...]) -> Test:
    """Return a test whether the address is one of, or within, *values*; what is no address is left out."""
    networks: _Networks = []
    for value in values:
        try:
            networks.append(ip_network(value.strip(), strict=False))
        except ValueError:
            continue
    if not networks:
        return never

    def within(context: Mapping[str, Any]) -> bool:
        text = text_of(get(context))
        if text is None:
            return False
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return within
