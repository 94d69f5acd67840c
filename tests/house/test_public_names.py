"""Every exported name is listed, documented by an example that runs, and recorded in the snapshot."""

import ast
import difflib
import importlib
import inspect
import re

import griffe
import pytest

from tests.house import public_api
from tests.house._repo import ROOT, file_of, public_modules, rooms, shown, tree_of

MODULES = [pytest.param(name, id=name) for name in public_modules()]
ROOMS = [pytest.param(name, id=name) for name in rooms() if not name.startswith("_")]


def assigned(tree: ast.Module, name: str) -> list[str] | None:
    """The list of strings assigned to *name* at the top of the module; None when there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return ast.literal_eval(node.value)
    return None


def sort_key(name: str) -> tuple:
    """The order of ruff's RUF022: CONSTANTS, Classes, functions; numbers by value."""
    bare = name.strip("_")
    kind = 0 if bare.isupper() and len(bare) > 1 else 1 if bare[:1].isupper() else 2
    return kind, [
        (part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)
    ]


def bound_names(tree: ast.Module) -> set[str]:
    """Public names the module binds at its top level."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shared."):
            found |= {alias.asname or alias.name for alias in node.names}
    return {name for name in found if not name.startswith("_") and name != "TYPE_CHECKING"}


def documented_objects() -> list:
    """Every exported class and function once, under the name a user imports."""
    cases = {}
    for name in public_modules():
        module = public_api.module_of(name)
        for export in public_api.exports_of(module):
            found = public_api.target_of(module, export)
            if isinstance(found, (griffe.Class, griffe.Function)):
                cases.setdefault(found.path, pytest.param(found, id=f"{name}.{export}"))
    return list(cases.values())


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_lists_its_names_sorted_and_once(name):
    listed = assigned(tree_of(file_of(name)), "__all__")

    assert listed is not None, f"{shown(file_of(name))} has no __all__"
    assert listed == sorted(set(listed), key=sort_key), (
        f"{shown(file_of(name))}: sort __all__ as ruff does, drop doubles"
    )


@pytest.mark.parametrize("name", MODULES)
def test_a_public_module_lists_every_name_it_offers(name):
    tree = tree_of(file_of(name))

    unlisted = sorted(bound_names(tree) - set(assigned(tree, "__all__") or ()))

    is_room = file_of(name).name == "__init__.py"
    own = unlisted if is_room else [u for u in unlisted if u in _defined_here(tree)]
    assert own == [], f"{shown(file_of(name))}: add {own} to __all__ or start the names with an underscore"


def _defined_here(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("name", MODULES)
def test_every_listed_name_exists(name):
    module = importlib.import_module(name)

    missing = [export for export in module.__all__ if not hasattr(module, export)]

    assert missing == [], f"{name}.__all__ lists {missing}"


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_only_re_exports(name):
    path = file_of(f"shared.{name}")
    if path.name != "__init__.py":
        return  # a room that is still one module holds its own work
    work = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

    own = [node.name for node in tree_of(path).body if isinstance(node, work)]

    assert own == [], f"{shown(path)}: move {own} to a private module"


@pytest.mark.parametrize("found", documented_objects())
def test_a_public_name_has_a_docstring_with_an_example_that_runs(found):
    text = found.docstring.value if found.docstring else ""

    where = f"{found.relative_filepath}:{found.lineno} {found.name}"
    assert text, f"{where} has no docstring"
    assert "Example:" in text or "Examples:" in text, f"{where} has no 'Example:' section"
    assert ">>> " in text, f"{where}: the example has no line that runs ('>>> ')"


def twins() -> list:
    """Every pair ``X``/``AsyncX`` exported by one module."""
    pairs = []
    for name in public_modules():
        listed = assigned(tree_of(file_of(name)), "__all__") or []
        names = set(listed)
        pairs += [
            pytest.param(name, twin.removeprefix("Async"), twin, id=f"{name}.{twin}")
            for twin in listed
            if twin.startswith("Async") and twin.removeprefix("Async") in names
        ]
    return pairs or [pytest.param(None, None, None, id="none yet")]


def methods(cls: type) -> dict[str, str]:
    """Public methods with their parameters; annotations differ between twins and are left out."""
    found = {}
    for name, member in inspect.getmembers(cls, callable):
        if name.startswith("_"):
            continue
        parameters = inspect.signature(member).parameters.values()
        found[name] = ", ".join(str(p.replace(annotation=inspect.Parameter.empty)) for p in parameters)
    return found


@pytest.mark.parametrize(("module", "sync", "twin"), twins())
def test_twins_have_the_same_methods_and_parameters(module, sync, twin):
    if module is None:
        return
    room = importlib.import_module(module)
    ours, theirs = methods(getattr(room, sync)), methods(getattr(room, twin))

    differences = {
        name: (ours.get(name), theirs.get(name))
        for name in ours | theirs
        if ours.get(name) != theirs.get(name)
    }

    assert differences == {}, f"{sync} (left) and {twin} (right) drifted apart"


def test_the_public_api_is_the_recorded_one():
    recorded = public_api.SNAPSHOT.read_text(encoding="utf-8").splitlines()

    changes = list(difflib.unified_diff(recorded, public_api.lines(), "recorded", "now", lineterm="", n=0))

    shown_changes = "\n".join(line for line in changes if not line.startswith("@@"))
    assert changes == [], f"run 'make api', read the diff of {shown(public_api.SNAPSHOT)}:\n{shown_changes}"


def test_the_snapshot_is_written_from_the_package_alone():
    assert public_api.lines() == public_api.lines()
    assert all(line.startswith("shared.") for line in public_api.lines())
    assert str(ROOT) not in "\n".join(public_api.lines())
