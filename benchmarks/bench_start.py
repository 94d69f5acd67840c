"""What it costs to begin: imports, the command line, a test run; each in a fresh process."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks._harness import ROOT, environment
from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check

ROOMS = sorted(
    path.parent.name
    for path in (ROOT / "src" / "shared").glob("[!_]*/__init__.py")
    if path.parent.name != "testing"
)
_FOREIGN = (
    "import sys; before = set(sys.modules); import {module}; "
    "new = {{name.partition('.')[0] for name in set(sys.modules) - before}} - set(sys.stdlib_module_names); "
    "sys.exit(', '.join(sorted(new - {{'shared'}})) or None)"
)


def cpu_of(command: list[str], *, cwd: Path = ROOT, **variables: str) -> float:
    """Run *command*; return its CPU seconds, its own children's included."""
    env = {**environment(), **variables}
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    check(process.returncode == 0, f"{' '.join(command[1:4])} ended with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def fresh(command: list[str], *, cwd: Path = ROOT, **variables: str) -> Run:
    """Return ``run`` that starts *command* anew for each loop."""

    def run(loops: int) -> tuple[float]:
        return (sum(cpu_of(command, cwd=cwd, **variables) for _ in range(loops)) / loops,)

    return run


@contextlib.contextmanager
def python(code: str) -> Iterator[Run]:
    yield fresh([sys.executable, "-c", code])


@contextlib.contextmanager
def without_third_party(module: str) -> Iterator[Run]:
    """``import module``, after checking that it brings no package along."""
    command = [sys.executable, "-c", _FOREIGN.format(module=module)]
    found = subprocess.run(
        command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True, check=False
    )
    check(found.returncode == 0, f"import {module} loads {found.stderr.strip()}")
    yield fresh([sys.executable, "-c", f"import {module}"])


@contextlib.contextmanager
def command_line() -> Iterator[Run]:
    yield fresh(
        [sys.executable, "-c", "import sys; from shared._cli import main; sys.argv[1:] = ['--help']; main()"]
    )


@contextlib.contextmanager
def one_test(*options: str) -> Iterator[Run]:
    """A run of one small test in an empty project, without the other plugins that are installed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        (Path(folder) / "test_one.py").write_text("def test_one():\n    assert True\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        yield fresh(command, cwd=Path(folder), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


def _import(room: str) -> Case:
    return Case(
        f"import shared.{room}",
        partial(python, f"import shared.{room}"),
        kind="ours",
        requires=(f"shared.{room}",),
    )


IMPORTS = Table(
    name="import",
    title="imports in a fresh process",
    base="bare python",
    unit="ms",
    rounds=(15, 3),
    cases=(
        Case("bare python", partial(python, "pass"), kind="floor"),
        Case("import shared", partial(without_third_party, "shared"), kind="ours"),
        *(_import(room) for room in ROOMS),
        Case("import pydantic", partial(python, "import pydantic")),
        Case("import structlog", partial(python, "import structlog")),
        Case("import fastapi", partial(python, "import fastapi"), requires=("fastapi",)),
    ),
)

START = Table(
    name="start",
    title="the command line in a fresh process",
    base="bare python",
    unit="ms",
    rounds=(20, 4),
    cases=(
        Case("bare python", partial(python, "pass"), kind="floor"),
        Case("shared --help", command_line, kind="ours", requires=("shared._cli",)),
    ),
    goals=(Goal("shared --help", "bare python", at_most=3.0),),
)

PYTEST = Table(
    name="pytest",
    title="a pytest run of one test",
    base="without our plugin",
    unit="ms",
    rounds=(20, 4),
    cases=(
        Case(
            "without our plugin",
            one_test,
            kind="floor",
            requires=("shared.testing",),
        ),
        Case(
            "with our plugin",
            partial(one_test, "-p", "shared.testing.plugin"),
            kind="ours",
            requires=("shared.testing",),
        ),
    ),
    goals=(Goal("with our plugin", "without our plugin", at_most=1.05),),
)

TABLES = (IMPORTS, START, PYTEST)
