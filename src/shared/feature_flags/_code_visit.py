"""The places of one module where flags are evaluated, declared or mentioned."""

import ast
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from shared.feature_flags._code_names import Bindings, Lookup, dotted, texts_of

__all__ = ["Found", "visit_module"]

#: Functions of ours that evaluate, and where they are imported from.
_FUNCTIONS: Final = frozenset({"is_feature_enabled", "variant", "value", "detail", "explain"})
_HOMES: Final = (("shared", "feature_flags"), ("shared", "utils"), ("shared", "utils", "feature_flags"))
#: Methods that evaluate, whoever has them: no other library has one with a key as a text.
_OPENFEATURE: Final = frozenset(
    f"get_{kind}_{what}{twin}"
    for kind in ("boolean", "string", "integer", "float", "object")
    for what in ("value", "details")
    for twin in ("", "_async")
)
_METHODS: Final = frozenset({"is_enabled", "is_feature_enabled", "variant", "value", "detail", "explain"})
_SURE: Final = frozenset({"is_enabled", "is_feature_enabled"})
_KEYWORDS: Final = ("key", "flag", "flag_key")


class Found(NamedTuple):
    """One place of a module; see :class:`CodeUse`."""

    key: str | None
    line: int
    how: str
    pattern: str = "*"


def visit_module(name: str, tree: ast.Module, bindings: Bindings, keys: frozenset[str]) -> list[Found]:
    """Return the places of the module, found below its path *name*."""
    visitor = _Visitor(Lookup(bindings, bindings.module(name)), keys)
    visitor.visit(tree)
    return visitor.found


class _Visitor(ast.NodeVisitor):
    def __init__(self, lookup: Lookup, keys: frozenset[str]) -> None:
        self.found: list[Found] = []
        self._lookup = lookup
        self._keys = keys
        self._told: set[int] = set()  # constants that belong to a call or a declaration

    # --- scopes -------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outer in (*node.decorator_list, node.args):
            self.visit(outer)
        self._inside(node.body, node.args)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name is the visitor's

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._inside([node.body], node.args)

    def _inside(self, body: Iterable[ast.AST], args: ast.arguments) -> None:
        outer = self._lookup
        parameters = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        parameters += [each for each in (args.vararg, args.kwarg) if each is not None]
        self._lookup = outer.inside(body, [each.arg for each in parameters])
        for node in body:
            self.visit(node)
        self._lookup = outer

    # --- places -------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        key = _key_of(node)
        name = dotted(node.func)
        if key is not None and name[-1:] == ("Flag",):
            self._tell(key, node.lineno, "declared")
        elif key is not None and self._evaluates(node, name):
            self._tell(key, node.lineno, "call", dynamic=self._is_sure(node, name))
        self.generic_visit(node)

    def _evaluates(self, node: ast.Call, name: tuple[str, ...]) -> bool:
        if isinstance(node.func, ast.Name):
            return self._is_ours(name)
        if isinstance(node.func, ast.Attribute):
            method = node.func.attr
            if method in _OPENFEATURE or method in _SURE or self._is_ours(name):
                return True
            return method in _METHODS and _looks_like_flags(node.func.value)
        return False

    def _is_sure(self, node: ast.Call, name: tuple[str, ...]) -> bool:
        """Tell whether an unknown key matters: ``door.is_enabled(now)`` has nothing to do with flags."""
        if self._is_ours(name):
            return True
        function = node.func
        if not isinstance(function, ast.Attribute):
            return False
        return function.attr in {*_OPENFEATURE, "is_feature_enabled"} or _looks_like_flags(function.value)

    def _is_ours(self, name: tuple[str, ...]) -> bool:
        if not name or name[-1] not in _FUNCTIONS:
            # an alias: ``from shared.feature_flags import is_feature_enabled as on``
            origin = self._lookup.origin(name) if name else ()
            return bool(origin) and origin[-1] in _FUNCTIONS and origin[:-1] in _HOMES
        if name == ("is_feature_enabled",):
            return True  # also through a module of the service that hands it on
        return self._lookup.origin(name)[:-1] in _HOMES

    def _tell(self, key: ast.expr, line: int, how: str, *, dynamic: bool = True) -> None:
        texts = texts_of(key, self._lookup)
        if texts is not None:
            self._told.update(id(node) for node in ast.walk(key))
            self.found += [Found(text, line, how) for text in texts]
        elif dynamic and how == "call" and not _is_other_value(key):
            self.found.append(Found(None, line, "dynamic", _pattern(key)))

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        self._catalogue(names, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if isinstance(node.target, ast.Name) and node.value is not None:
            self._catalogue([node.target.id], node.value)
        self.generic_visit(node)

    def _catalogue(self, names: list[str], value: ast.expr) -> None:
        """Take the keys of ``FEATURE_FLAGS = {…}`` as declared; of a constant key, not as mentioned."""
        if isinstance(value, ast.Dict) and any("FLAGS" in name.upper() for name in names):
            for key in value.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self._told.add(id(key))
                    self.found.append(Found(key.value, key.lineno, "declared"))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value in self._keys and id(node) not in self._told:
            self.found.append(Found(node.value, node.lineno, "mention"))


def _key_of(node: ast.Call) -> ast.expr | None:
    if node.args:
        return None if isinstance(node.args[0], ast.Starred) else node.args[0]
    return next((word.value for word in node.keywords if word.arg in _KEYWORDS), None)


def _looks_like_flags(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
    name = dotted(node)[-1:] or ((node.attr,) if isinstance(node, ast.Attribute) else ("",))
    return name[0].lower().endswith("flags")


def _is_other_value(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)  # a number is no key


def _pattern(node: ast.AST) -> str:
    """Return what a dynamic key looks like, for ``fnmatch``."""
    return "".join(_pieces(node)) or "*"


def _pieces(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield "".join(f"[{letter}]" if letter in "*?[" else letter for letter in node.value)
    elif isinstance(node, ast.JoinedStr):
        for each in node.values:
            yield from _pieces(each)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _pieces(node.left)
        yield from _pieces(node.right)
    else:
        yield "*"
