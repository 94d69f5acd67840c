"""JsonLogic, compiled to closures once; bounded in depth, work and memory.

A rule becomes a function of the data in scope and the :class:`Run` it is part of. The
operators of a rule are looked up when it is compiled, so a rule nobody can evaluate is
found out at load.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from shared.feature_flags.readers._javascript import to_number, to_text

MOST_STEPS: Final = 100_000
MOST_TEXT: Final = 100_000


class LogicError(ValueError):
    """A rule is wrong, or takes more than it may."""


class Run:
    """One evaluation of a rule: the data it began with, and what it may still cost."""

    __slots__ = ("left", "root")

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.left = MOST_STEPS

    def spend(self, steps: int) -> None:
        """Count *steps*; past the bound the rule fails."""
        self.left -= steps
        if self.left < 0:
            msg = f"the rule takes more than {MOST_STEPS} steps"
            raise LogicError(msg)


Node: TypeAlias = Callable[[Any, Run], Any]
Read: TypeAlias = Callable[[Any, Run], Any]
Make: TypeAlias = Callable[[Sequence[Node]], Node]


class Compiler:
    """Compiles rules with the operators and the special variables it is given.

    Args:
        operators: Name → function from the compiled arguments to a node.
        specials: Name of a variable → how it is read from the data a run began with.
    """

    def __init__(self, operators: Mapping[str, Make], specials: Mapping[str, Read]) -> None:
        self._operators = operators
        self._specials = specials

    def compile(self, rule: Any) -> Node:
        """Return the node of *rule*.

        Raises:
            LogicError: It has an operator nobody knows.
        """
        if isinstance(rule, list):
            return self._list([self.compile(item) for item in rule])
        if not isinstance(rule, dict) or len(rule) != 1:
            return constant(rule)
        name, given = next(iter(rule.items()))
        arguments = given if isinstance(given, list) else [given]
        if name == "var":
            return self._var(arguments)
        make = self._operators.get(name)
        if make is not None:
            return make([self.compile(argument) for argument in arguments])
        if name in {"missing", "missing_some"}:
            return self._missing(name, [self.compile(argument) for argument in arguments])
        msg = f"unknown operator {name[:100]!r}"
        raise LogicError(msg)

    def _list(self, nodes: list[Node]) -> Node:
        if all(map(is_constant, nodes)):
            return constant([node(None, _NO_RUN) for node in nodes])
        return lambda data, run: [node(data, run) for node in nodes]

    def _var(self, arguments: list[Any]) -> Node:
        default = self.compile(arguments[1]) if len(arguments) > 1 else constant(None)
        name = arguments[0] if arguments else ""
        if not (name is None or isinstance(name, str | int | float)) or isinstance(name, bool):
            asked = self.compile(name)
            return lambda data, run: _or_default(self.read(asked(data, run), data, run), default, data, run)
        if name is None or name == "":
            return lambda data, _run: data
        special = self._specials.get(name) if isinstance(name, str) else None
        path = tuple(to_text(name).split("."))
        if special is not None:
            return _special(special, path, default)
        if len(path) == 1:
            return _own(path[0], default)
        return lambda data, run: _or_default(_walk(data, path), default, data, run)

    def read(self, name: Any, data: Any, run: Run) -> Any:
        """Return the variable *name*, as computed by a rule."""
        if name is None or name == "":
            return data
        text = to_text(name)
        special = self._specials.get(text)
        if special is not None and data is run.root:
            return special(data, run)
        return _walk(data, tuple(text.split(".")))

    def _missing(self, name: str, nodes: list[Node]) -> Node:
        def missing(data: Any, run: Run) -> list[Any]:
            values = [node(data, run) for node in nodes]
            need = math.inf
            if name == "missing_some":
                need, values = to_number(values[0] if values else 0), values[1:]
            keys = values[0] if values and isinstance(values[0], list) else values
            run.spend(len(keys))
            absent = [key for key in keys if self.read(key, data, run) in (None, "")]
            if len(keys) - len(absent) >= need:
                return []
            return absent

        return missing


_NO_RUN: Final = Run({})


class _Constant:
    """A node that is always the same; known as such, so that lists of them are built once."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, _data: Any, _run: Run) -> Any:
        return self.value


def constant(value: Any) -> Node:
    """Return the node that is *value*."""
    return _Constant(value)


def is_constant(node: Node) -> bool:
    """Return whether *node* is the same for every context."""
    return isinstance(node, _Constant)


def _or_default(value: Any, default: Node, data: Any, run: Run) -> Any:
    return default(data, run) if value is None else value


def _special(special: Read, path: tuple[str, ...], default: Node) -> Node:
    def read(data: Any, run: Run) -> Any:
        value = special(data, run) if data is run.root else _walk(data, path)
        return default(data, run) if value is None else value

    return read


def _own(name: str, default: Node) -> Node:
    path = (name,)

    def read(data: Any, run: Run) -> Any:
        value = data.get(name) if type(data) is dict else _walk(data, path)
        return default(data, run) if value is None else value

    return read


def _walk(data: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if type(data) is dict or isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list | tuple | str):
            if step == "length":
                data = len(data)
            elif step.isascii() and step.isdigit() and len(step) < 10 and str(int(step)) == step:
                data = data[int(step)] if int(step) < len(data) else None
            else:
                return None
        else:
            return None
        if data is None:
            return None
    return data
