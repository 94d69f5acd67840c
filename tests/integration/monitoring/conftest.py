"""Find promtool: on the path, unpacked before, or out of Debian's package; and say so when there is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "promtool"
REPORT = []


def _unpacked():
    """Fetch Debian's package with the system's own tools and unpack it, without installing."""
    binary = CACHE / "usr" / "bin" / "promtool"
    if binary.is_file():
        return binary
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["apt-get", "-q", "download", "prometheus"],
            cwd=CACHE,
            capture_output=True,
            timeout=60,
            check=True,
        )
        [package] = CACHE.glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, CACHE], capture_output=True, timeout=60, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    finally:
        for leftover in CACHE.glob("*.deb"):
            leftover.unlink()
    return binary if binary.is_file() else None


@pytest.fixture(scope="session")
def promtool():
    """Run promtool; None when there is none, which the summary of the run then says."""
    found = shutil.which("promtool") or _unpacked()
    if found is None:
        REPORT.append("promtool was not found (apt-get install prometheus): the generated rules were not run")
        return None

    def run(*arguments, cwd=None):
        return subprocess.run(
            [str(found), *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def pytest_terminal_summary(terminalreporter):
    for line in REPORT:
        terminalreporter.write_line(line, yellow=True)
