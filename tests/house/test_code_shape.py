"""The shape of the code: short files, short functions, nothing at import, one reader of the environment."""

import ast
import re
from pathlib import Path

import pytest

from tests.house._repo import PACKAGE, module_name, shown, source_files, text_of, tree_of

ADDRESS = re.compile(r"0x[0-9a-f]{6,}|datetime\(\d{4}, ")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FILES = [pytest.param(path, id=path.relative_to(PACKAGE).as_posix()) for path in source_files()]


def lines_of(function: ast.AST) -> int:
    """Lines of code of *function*: its docstring is not counted."""
    body = function.body
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = body[0].end_lineno - body[0].lineno + 1 if has_docstring else 0
    return function.end_lineno - function.lineno + 1 - docstring


def imported_names(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and full dotted name of everything the module imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def environment_reads(tree: ast.Module) -> list[int]:
    """Lines that touch the process environment."""
    banned = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    reads = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in banned and ast.unparse(node.value) == "os"
    ]
    return reads + [line for line, name in imported_names(tree) if name in {f"os.{word}" for word in banned}]


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_at_most_400_lines(path: Path):
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert lines <= MAX_FILE_LINES, (
        f"{shown(path)} has {lines} lines, the limit is {MAX_FILE_LINES}: split the idea"
    )


@pytest.mark.parametrize("path", FILES)
def test_a_function_is_at_most_60_lines(path: Path):
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, FUNCTIONS)]

    too_long = [
        f"{shown(path)}:{f.lineno} {f.name}: {lines_of(f)}"
        for f in functions
        if lines_of(f) > MAX_FUNCTION_LINES
    ]

    assert too_long == [], f"the limit is {MAX_FUNCTION_LINES} lines without the docstring"


@pytest.mark.parametrize("path", FILES)
def test_the_buffering_middleware_base_is_never_used(path: Path):
    banned = [
        line for line, name in imported_names(tree_of(path)) if name.startswith("starlette.middleware.base")
    ]
    used = [node.lineno for node in ast.walk(tree_of(path)) if "BaseHTTPMiddleware" in _names(node)]

    assert banned + used == [], f"{shown(path)}: write the middleware as pure ASGI"


def _names(node: ast.AST) -> set[str]:
    return {getattr(node, "id", ""), getattr(node, "attr", "")}


@pytest.mark.parametrize("path", FILES)
def test_only_the_config_room_reads_the_environment(path: Path):
    if module_name(path).startswith("shared.config"):
        return

    reads = environment_reads(tree_of(path))

    assert reads == [], (
        f"{shown(path)} lines {reads}: take the value as an argument, or read it from shared.config"
    )


@pytest.mark.parametrize("path", FILES)
def test_a_library_call_never_starts_an_event_loop(path: Path):
    if module_name(path).startswith("shared._cli") or module_name(path).startswith("shared.testing"):
        return  # commands and test helpers own their process
    calls = [ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]

    started = [call for call in calls if call in {"asyncio.run", "anyio.run", "asyncio.new_event_loop"}]

    assert started == [], f"{shown(path)}: give it an async twin instead"


@pytest.mark.parametrize("path", FILES)
def test_a_lazy_export_is_hidden_from_type_checkers(path: Path):
    bare = [
        node.lineno
        for node in tree_of(path).body
        if isinstance(node, FUNCTIONS) and node.name == "__getattr__"
    ]

    assert bare == [], (
        f"{shown(path)}:{bare}: put it under 'if not TYPE_CHECKING:' or every misspelt name passes"
    )


@pytest.mark.parametrize("path", [p for p in FILES if p.values[0].name == "__init__.py"])
def test_a_private_module_never_has_the_name_of_an_export(path: Path):
    exported = {name.rsplit(".", 1)[-1] for _, name in imported_names(tree_of(path))}
    modules = {other.stem for other in path.parent.glob("*.py")} - {"__init__"}

    clash = sorted(exported & modules)

    assert clash == [], f"{shown(path)}: {clash} would mean two things; name the module with an underscore"


@pytest.mark.parametrize("path", FILES)
def test_the_source_holds_no_skipped_work(path: Path):
    text = text_of(path)

    marks = [word for word in ("TODO", "FIXME", "XXX", "HACK") if f"# {word}" in text]

    assert marks == [], f"{shown(path)}: finish it, or open an issue and say its number in words"


def test_the_name_of_a_test_is_the_same_in_every_process(request):
    loose = [item.nodeid for item in request.session.items if ADDRESS.search(item.nodeid)]

    assert loose == [], "give the parameters ids: parallel runs collect different names otherwise"
