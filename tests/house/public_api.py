"""The public API as text: every exported name with its signature, sorted.

``make api`` writes ``tests/public_api.txt``; a test compares. Read from the source by griffe,
so that the text is the same on every Python and with any extras installed.
"""

import functools
import re
import sys
from collections.abc import Iterator

import griffe

from tests.house._repo import ROOT, SRC, public_modules

SNAPSHOT = ROOT / "tests" / "public_api.txt"
LITERAL = re.compile(r"['\"\d(\[{-]|True|False|None$")
MAX_VALUE = 80  # characters; a constant's value is part of the contract, a table's is not shown


@functools.cache
def package() -> griffe.Module:
    """The whole package, read without importing it."""
    loaded = griffe.load("shared", search_paths=[SRC], resolve_aliases=True, resolve_external=False)
    assert isinstance(loaded, griffe.Module)
    return loaded


def module_of(name: str) -> griffe.Module:
    """The public module *name*."""
    return package()[name.partition(".")[2]] if "." in name else package()


def exports_of(module: griffe.Module) -> list[str]:
    """The names of ``__all__``; none when the module has no ``__all__``."""
    return [str(name) for name in module.exports or ()]


def target_of(module: griffe.Module, name: str) -> griffe.Object | str | None:
    """What *name* stands for: an object of ours, the path of a foreign one, or None when it is missing."""
    member = module.members.get(name)
    if not isinstance(member, griffe.Alias):
        return member
    try:
        return member.final_target
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return member.target_path


def signature(function: griffe.Function) -> str:
    """``(a: int, *, b: str = 'x') -> bool`` with the spelling of the source."""
    parts: list[str] = []
    kinds = griffe.ParameterKind
    seen_star = False
    parameters = list(function.parameters)
    for index, parameter in enumerate(parameters):
        if parameter.kind is kinds.keyword_only and not seen_star:
            parts.append("*")
            seen_star = True
        seen_star = seen_star or parameter.kind is kinds.var_positional
        parts.append(_parameter(parameter))
        following = parameters[index + 1].kind if index + 1 < len(parameters) else None
        if parameter.kind is kinds.positional_only and following is not kinds.positional_only:
            parts.append("/")
    returns = f" -> {function.returns}" if function.returns is not None else ""
    return f"({', '.join(parts)}){returns}"


def _parameter(parameter: griffe.Parameter) -> str:
    star = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(
        parameter.kind, ""
    )
    text = f"{star}{parameter.name}"
    if parameter.annotation is not None:
        text += f": {parameter.annotation}"
    if parameter.default is not None and not star:
        text += f" = {parameter.default}" if parameter.annotation is not None else f"={parameter.default}"
    return text


def _function(path: str, function: griffe.Function) -> Iterator[str]:
    """One line; a function with overloads has a line for each of them, in order."""
    word = "async def" if "async" in function.labels else "def"
    kind = next((f"@{label} " for label in ("classmethod", "staticmethod") if label in function.labels), "")
    for number, version in enumerate(function.overloads or (), start=1):
        yield f"{path}#{number}: {kind}{word} {signature(version)}"
    if not function.overloads:
        yield f"{path}: {kind}{word} {signature(function)}"


def _attribute(path: str, attribute: griffe.Attribute) -> str:
    if "property" in attribute.labels:
        return f"{path}: property {attribute.annotation or ''}".rstrip()
    value = str(attribute.value) if attribute.value is not None else ""
    shown = f" = {value}" if LITERAL.match(value) and len(value) <= MAX_VALUE else ""
    return f"{path}: {attribute.annotation or 'value'}{shown}"


def _class(path: str, cls: griffe.Class) -> Iterator[str]:
    bases = ", ".join(str(base) for base in cls.bases)
    yield f"{path}: class({bases})" if bases else f"{path}: class"
    constructor = cls.members.get("__init__")
    if isinstance(constructor, griffe.Function):
        yield from _function(f"{path}()", constructor)
    for name, member in cls.members.items():
        if not name.startswith("_"):
            yield from describe(f"{path}.{name}", member)


def describe(path: str, found: griffe.Object | griffe.Alias | str | None) -> Iterator[str]:
    """The lines of one name."""
    if isinstance(found, griffe.Class):
        yield from _class(path, found)
    elif isinstance(found, griffe.Function):
        yield from _function(path, found)
    elif isinstance(found, griffe.Attribute):
        yield _attribute(path, found)
    elif isinstance(found, griffe.Module):
        yield f"{path}: module"
    elif found is not None:
        yield f"{path}: {found if isinstance(found, str) else found.target_path}"


def lines() -> list[str]:
    """Every line of the snapshot, sorted."""
    found: set[str] = set()
    for name in public_modules():
        module = module_of(name)
        for export in exports_of(module):
            found.update(describe(f"{name}.{export}", target_of(module, export)))
    return sorted(" ".join(line.split()) for line in found)


def main() -> int:
    """Write the snapshot."""
    SNAPSHOT.write_text("\n".join(lines()) + "\n", encoding="utf-8")
    print(f"{SNAPSHOT.relative_to(ROOT)}: {len(lines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
