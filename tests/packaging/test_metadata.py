"""Dependencies, extras and entry points of pyproject.toml."""

import ast
import importlib
import importlib.metadata
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shared.errors import MissingDependencyError
from tests.house._repo import ROOT, shown, source_files, tree_of
from tests.packaging._install import PROJECT

EXTRAS = PROJECT["optional-dependencies"]
BASE = [Requirement(text) for text in PROJECT["dependencies"]]
OPTIONAL = [
    Requirement(text) for texts in EXTRAS.values() for text in texts if not text.startswith("libs-shared")
]
# The import name of a library, where it differs from the name of its distribution.
DISTRIBUTION = {
    "argon2": "argon2-cffi",
    "factory": "factory-boy",
    "openfeature": "openfeature-sdk",
    "opentelemetry": "opentelemetry-api",
    "PIL": "pillow",
    "yaml": "pyyaml",
}
BOUNDED = {"bcrypt"}  # the reason stands beside it in pyproject.toml


def missing_dependency_calls() -> list:
    """Every place that says a library is missing: (where, library, extra)."""
    found = []
    for path in source_files():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("MissingDependencyError"):
                extra = next((word.value for word in node.keywords if word.arg == "extra"), None)
                library = node.args[0] if node.args else None
                found.append((f"{shown(path)}:{node.lineno}", library, extra))
    return found


@pytest.mark.parametrize("requirement", BASE + OPTIONAL, ids=lambda r: r.name)
def test_a_dependency_has_a_lower_bound(requirement):
    operators = {specifier.operator for specifier in requirement.specifier}

    assert ">=" in operators, f"{requirement}: the lowest version that is tested must be written down"


@pytest.mark.parametrize("requirement", BASE + OPTIONAL, ids=lambda r: r.name)
def test_a_dependency_has_no_upper_bound_without_a_reason(requirement):
    operators = {specifier.operator for specifier in requirement.specifier}

    assert operators <= {">=", "!="} or requirement.name in BOUNDED


def test_the_extra_all_holds_every_extra():
    (requirement,) = (Requirement(text) for text in EXTRAS["all"])

    assert requirement.extras == set(EXTRAS) - {"all"}


def test_a_missing_library_is_answered_with_the_line_to_type():
    error = MissingDependencyError("redis", extra="redis")

    assert "pip install 'libs-shared[redis]'" in str(error)


@pytest.mark.parametrize(
    ("where", "library", "extra"), missing_dependency_calls() or [("none yet", None, None)]
)
def test_a_missing_library_names_the_extra_that_holds_it(where, library, extra):
    if not (isinstance(extra, ast.Constant) and isinstance(library, ast.Constant)):
        return  # built from a table: the bare install is asked for the text itself
    requirements = [Requirement(text) for text in EXTRAS.get(extra.value, ())]
    needed = canonicalize_name(DISTRIBUTION.get(library.value, library.value))

    names = {canonicalize_name(requirement.name) for requirement in requirements}
    pulled = {
        canonicalize_name(Requirement(t).name) for n in names for t in importlib.metadata.requires(n) or ()
    }

    assert extra.value in EXTRAS, f"{where}: unknown extra {extra.value!r} (known: {sorted(EXTRAS)})"
    assert needed in names | pulled, f"{where}: extra {extra.value!r} does not install {library.value!r}"


ENTRY_POINTS = {
    **PROJECT["scripts"],
    **{
        f"{group}:{name}": value
        for group, table in PROJECT["entry-points"].items()
        for name, value in table.items()
    },
}


@pytest.mark.parametrize("value", ENTRY_POINTS.values(), ids=list(ENTRY_POINTS))
def test_an_entry_point_leads_somewhere(value):
    module, _, attribute = value.partition(":")

    found = importlib.import_module(module)

    assert not attribute or callable(getattr(found, attribute))


def test_the_page_on_installing_lists_every_extra_with_what_it_brings():
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|", page, re.MULTILINE))
    brought = {
        extra: ", ".join(sorted(Requirement(text).name for text in texts))
        for extra, texts in EXTRAS.items()
        if extra != "all"
    }

    assert {
        extra: ", ".join(sorted(row.split(", "))) for extra, row in rows.items() if extra != "all"
    } == brought
    assert "all" in rows
