"""The standard operators of JsonLogic."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from shared.feature_flags.readers._javascript import (
    less,
    loose_equal,
    strict_equal,
    to_number,
    to_text,
    truthy,
)
from shared.feature_flags.readers._jsonlogic import (
    MOST_TEXT,
    LogicError,
    Make,
    Node,
    Run,
    constant,
    is_constant,
)


def at(nodes: Sequence[Node], index: int) -> Node:
    """Return an argument; one that was not given is ``null``."""
    return nodes[index] if index < len(nodes) else constant(None)


def plain(function: Callable[..., Any]) -> Make:
    """Return an operator whose arguments are all evaluated and passed."""

    def make(nodes: Sequence[Node]) -> Node:
        arguments = tuple(nodes)
        return lambda data, run: function(*[node(data, run) for node in arguments])

    return make


def _pair(compare: Callable[[Any, Any], bool], *, wanted: bool = True) -> Make:
    def make(nodes: Sequence[Node]) -> Node:
        left, right = at(nodes, 0), at(nodes, 1)
        return lambda data, run: compare(left(data, run), right(data, run)) is wanted

    return make


def _order(compare: Callable[[Any, Any], bool]) -> Make:
    def make(nodes: Sequence[Node]) -> Node:
        first, second = at(nodes, 0), at(nodes, 1)
        if len(nodes) < 3:
            return lambda data, run: compare(first(data, run), second(data, run))
        third = nodes[2]

        def between(data: Any, run: Run) -> bool:
            middle = second(data, run)
            return compare(first(data, run), middle) and compare(middle, third(data, run))

        return between

    return make


def _if(nodes: Sequence[Node]) -> Node:
    cases = tuple((nodes[n], nodes[n + 1]) for n in range(0, len(nodes) - 1, 2))
    otherwise = nodes[-1] if len(nodes) % 2 else constant(None)

    def choose(data: Any, run: Run) -> Any:
        for condition, result in cases:
            value = condition(data, run)
            if value is True or (value is not False and truthy(value)):
                return result(data, run)
        return otherwise(data, run)

    return choose


def _chain(nodes: Sequence[Node], *, ends: bool) -> Node:
    """Return the first value that is *ends*, else the last one: ``or`` and ``and``."""
    arguments = tuple(nodes)

    def chain(data: Any, run: Run) -> Any:
        value = None
        for node in arguments:
            value = node(data, run)
            if (value if type(value) is bool else truthy(value)) is ends:
                return value
        return value

    return chain


def _in(nodes: Sequence[Node]) -> Node:
    needle, stack = at(nodes, 0), at(nodes, 1)
    if is_constant(stack):
        values = stack(None, Run({}))
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            known = frozenset(values)
            return lambda data, run: _hashed(needle(data, run), known)
    return lambda data, run: _contains(needle(data, run), stack(data, run))


def _hashed(value: Any, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known


def _contains(value: Any, stack: Any) -> bool:
    if isinstance(stack, str):
        return to_text(value) in stack
    return isinstance(stack, list | tuple) and any(strict_equal(value, item) for item in stack)


def _cat(*values: Any) -> str:
    text = "".join("" if value is None else to_text(value) for value in values)
    if len(text) > MOST_TEXT:
        msg = f"a text of more than {MOST_TEXT} characters"
        raise LogicError(msg)
    return text


def _substr(source: Any = None, start: Any = None, length: Any = None, *_more: Any) -> str:
    text = to_text(source)
    begin = _whole(start)
    begin = max(0, len(text) + begin) if begin < 0 else begin
    if length is None:
        return text[begin:]
    size = _whole(length)
    return text[begin : len(text) + size] if size < 0 else text[begin : begin + size]


def _whole(value: Any) -> int:
    number = to_number(value)
    return 0 if math.isnan(number) else int(max(-1e9, min(1e9, number)))


def _merge(nodes: Sequence[Node]) -> Node:
    arguments = tuple(nodes)

    def merge(data: Any, run: Run) -> list[Any]:
        merged: list[Any] = []
        for node in arguments:
            value = node(data, run)
            items = value if isinstance(value, list | tuple) else (value,)
            run.spend(len(items))
            merged.extend(items)
        return merged

    return merge


def _minus(left: Any = None, *right: Any) -> float:
    return to_number(left) - to_number(right[0]) if right else -to_number(left)


def _divide(left: Any = None, right: Any = None, *_more: Any) -> float:
    above, below = to_number(left), to_number(right)
    if below != 0:
        return above / below
    if above == 0 or math.isnan(above):
        return math.nan
    return math.copysign(math.inf, above) * math.copysign(1.0, below)


def _remainder(left: Any = None, right: Any = None, *_more: Any) -> float:
    above, below = to_number(left), to_number(right)
    return math.nan if below == 0 or math.isinf(above) else math.fmod(above, below)


def _extreme(pick: Callable[[Sequence[float]], float], empty: float, *values: Any) -> float:
    numbers = [to_number(value) for value in values]
    if any(map(math.isnan, numbers)):
        return math.nan
    return pick(numbers) if numbers else empty


def _items(node: Node, data: Any, run: Run) -> Sequence[Any]:
    items = node(data, run)
    if not isinstance(items, list | tuple):
        return ()
    run.spend(len(items))
    return items


def _each(work: Callable[[Sequence[Any], Node, Run], Any]) -> Make:
    """Return an operator that applies its second argument to each item of the first."""

    def make(nodes: Sequence[Node]) -> Node:
        source, rule = at(nodes, 0), at(nodes, 1)
        return lambda data, run: work(_items(source, data, run), rule, run)

    return make


def _reduce(nodes: Sequence[Node]) -> Node:
    source, rule, start = at(nodes, 0), at(nodes, 1), at(nodes, 2)

    def reduce(data: Any, run: Run) -> Any:
        result = start(data, run)
        for item in _items(source, data, run):
            result = rule({"current": item, "accumulator": result}, run)
        return result

    return reduce


def _all(items: Sequence[Any], rule: Node, run: Run) -> bool:
    return bool(items) and all(truthy(rule(item, run)) for item in items)


STANDARD: Final[Mapping[str, Make]] = {
    "if": _if,
    "?:": _if,
    "and": partial(_chain, ends=False),
    "or": partial(_chain, ends=True),
    "!": plain(lambda value=None, *_more: not truthy(value)),
    "!!": plain(lambda value=None, *_more: truthy(value)),
    "==": _pair(loose_equal),
    "!=": _pair(loose_equal, wanted=False),
    "===": _pair(strict_equal),
    "!==": _pair(strict_equal, wanted=False),
    "<": _order(less),
    "<=": _order(partial(less, or_equal=True)),
    ">": _order(lambda left, right: less(right, left)),
    ">=": _order(lambda left, right: less(right, left, or_equal=True)),
    "+": plain(lambda *values: sum(map(to_number, values))),
    "*": plain(lambda *values: math.prod(map(to_number, values))),
    "-": plain(_minus),
    "/": plain(_divide),
    "%": plain(_remainder),
    "min": plain(partial(_extreme, min, math.inf)),
    "max": plain(partial(_extreme, max, -math.inf)),
    "cat": plain(_cat),
    "substr": plain(_substr),
    "in": _in,
    "merge": _merge,
    "log": plain(lambda value=None, *_more: value),
    "map": _each(lambda items, rule, run: [rule(item, run) for item in items]),
    "filter": _each(lambda items, rule, run: [item for item in items if truthy(rule(item, run))]),
    "all": _each(_all),
    "some": _each(lambda items, rule, run: any(truthy(rule(item, run)) for item in items)),
    "none": _each(lambda items, rule, run: not any(truthy(rule(item, run)) for item in items)),
    "reduce": _reduce,
}
