"""What the names of a code base stand for, as far as its text tells: constants, flags, imports."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Final

__all__ = ["Bindings", "Lookup", "Module", "Names", "collect_bindings", "dotted", "texts_of"]

_MAX_TEXTS: Final = 64
_MAX_HOPS: Final = 8
#: What gives the text of a constant: ``KEY.value`` of an enumeration, ``FLAG.key`` of a flag.
_TAILS: Final = ("key", "value")

Texts = tuple[str, ...] | None
Functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Names:
    """What is assigned to the names of one scope; None where only running tells."""

    def __init__(self, body: Iterable[ast.AST] = (), lookup: "Lookup | None" = None) -> None:
        self.texts: dict[str, Texts] = {}
        for node in _own(body):
            self._bind(node, lookup)

    def _bind(self, node: ast.AST, lookup: "Lookup | None") -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._add(target, texts_of(node.value, lookup))
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            self._add(node.target, texts_of(node.value, lookup))
        elif isinstance(node, ast.AugAssign):
            self._add(node.target, None)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._add(node.target, _items(node.iter, lookup))
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    self._add(item.optional_vars, None)

    def _add(self, target: ast.AST, texts: Texts) -> None:
        if isinstance(target, ast.Name):
            before = self.texts.get(target.id, ())
            known = before is not None and texts is not None
            self.texts[target.id] = tuple(dict.fromkeys((*before, *texts))) if known else None  # type: ignore[misc]
        elif isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._add(each, None)


class Module:
    """The names of one module: constants, also those of its classes, and what it imports."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.path = tuple(part for part in name.split("/") if part not in ("", "."))
        self.names = Names(tree.body)
        self.imports: dict[str, tuple[str, ...]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                for each, texts in Names(node.body).texts.items():
                    self.names.texts.setdefault(f"{node.name}.{each}", texts)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.partition(".")[0]
                    whole = alias.name if alias.asname else local
                    self.imports[local] = tuple(whole.split("."))
            elif isinstance(node, ast.ImportFrom):
                start = (*self._base(node.level), *((node.module or "").split(".") if node.module else ()))
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (*start, alias.name)

    def _base(self, level: int) -> tuple[str, ...]:
        return self.path[: len(self.path) - level] if level else ()


class Bindings:
    """The modules of a code base, found by the ends of their paths."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._by_last: dict[str, list[Module]] = {}
        for module in modules.values():
            path = module.path[:-1] if module.path[-1:] == ("__init__",) else module.path
            if path:
                self._by_last.setdefault(path[-1], []).append(module)

    def module(self, name: str) -> Module:
        """Return what is known of the module at *name*."""
        return self._modules[name]

    def named(self, path: tuple[str, ...]) -> Iterator[Module]:
        """Yield the modules that ``import`` could mean by *path*."""
        for module in self._by_last.get(path[-1], ()) if path else ():
            own = module.path[:-1] if module.path[-1:] == ("__init__",) else module.path
            if own[-len(path) :] == path:
                yield module

    def texts(self, module: Module, parts: tuple[str, ...], hops: int = 0) -> Texts:
        """Return what ``parts[0].parts[1]…`` stands for in *module*."""
        name = ".".join(parts[:2])
        for candidate in (name, parts[0]):
            if candidate in module.names.texts:
                return module.names.texts[candidate]
        origin = module.imports.get(parts[0])
        if origin is None or hops >= _MAX_HOPS:
            return None
        whole = (*origin, *parts[1:])
        for cut in range(len(whole) - 1, 0, -1):
            for target in self.named(whole[:cut]):
                found = self.texts(target, whole[cut:], hops + 1)
                if found is not None:
                    return found
        return None


class Lookup:
    """Finds what an expression of one place can stand for: scopes inside out, then the module."""

    def __init__(self, bindings: Bindings, module: Module, scopes: tuple[Names, ...] = ()) -> None:
        self.bindings = bindings
        self.module = module
        self.scopes = scopes

    def inside(self, body: Iterable[ast.AST], parameters: Iterable[str] = ()) -> "Lookup":
        """Return the look-up of a function with that body; its parameters are known to callers only."""
        names = Names(body, self)
        names.texts.update(dict.fromkeys(parameters))
        return Lookup(self.bindings, self.module, (names, *self.scopes))

    def texts(self, parts: tuple[str, ...]) -> Texts:
        """Return what a dotted name stands for."""
        for scope in self.scopes:
            if parts[0] in scope.texts:
                return scope.texts[parts[0]]
        return self.bindings.texts(self.module, parts)

    def origin(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the dotted name with its first part as it was imported."""
        if any(parts[0] in scope.texts for scope in self.scopes):
            return parts
        return (*self.module.imports.get(parts[0], parts[:1]), *parts[1:])


def collect_bindings(trees: Mapping[str, ast.Module]) -> Bindings:
    """Return the names of the modules in *trees*, which are under their paths without a suffix."""
    return Bindings({name: Module(name, tree) for name, tree in trees.items()})


def dotted(node: ast.AST) -> tuple[str, ...]:
    """Return the parts of ``a.b.c``; nothing when it is no such name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def texts_of(node: ast.AST, lookup: Lookup | None) -> Texts:
    """Return the texts an expression can stand for; None when only running tells."""
    if isinstance(node, ast.Constant):
        return (node.value,) if isinstance(node.value, str) else None
    if isinstance(node, ast.Call):
        return _flag_key(node, lookup)
    if isinstance(node, ast.IfExp):
        return _union((node.body, node.orelse), lookup)
    if isinstance(node, ast.BoolOp):
        return _union(node.values, lookup)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined((node.left, node.right), lookup)
    if isinstance(node, ast.JoinedStr):
        values = [each.value if isinstance(each, ast.FormattedValue) else each for each in node.values]
        return _joined(values, lookup)
    parts = dotted(node)
    if not parts or lookup is None:
        return None
    found = lookup.texts(parts)
    if found is None and parts[-1] in _TAILS and len(parts) > 1:
        found = lookup.texts(parts[:-1])
    return found


def _flag_key(node: ast.Call, lookup: Lookup | None) -> Texts:
    """Return the key of ``Flag("key", …)``."""
    name = dotted(node.func)
    if not name or name[-1] not in ("Flag", "str"):
        return None
    given = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "key")]
    return texts_of(given[0], lookup) if given else None


def _union(nodes: Iterable[ast.AST], lookup: Lookup | None) -> Texts:
    found: list[str] = []
    for node in nodes:
        texts = texts_of(node, lookup)
        if texts is None:
            return None
        found += texts
    return tuple(dict.fromkeys(found))


def _joined(nodes: Iterable[ast.AST], lookup: Lookup | None) -> Texts:
    made: list[str] = [""]
    for node in nodes:
        texts = texts_of(node, lookup)
        if texts is None or len(made) * len(texts) > _MAX_TEXTS:
            return None
        made = [left + right for left, right in product(made, texts)]
    return tuple(made)


def _items(node: ast.AST, lookup: Lookup | None) -> Texts:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return _union(node.elts, lookup)
    return None


def _own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, without those of functions and classes inside."""
    stack = list(reversed(list(body)))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (*Functions, ast.ClassDef)):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))
