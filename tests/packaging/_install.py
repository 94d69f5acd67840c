"""Clean environments without a network: the base dependencies are linked, the package is installed by pip."""

import functools
import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house._repo import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = ("hatchling", "editables")


@functools.cache
def closure(*requirements: str) -> frozenset[str]:
    """Names of the installed distributions that *requirements* pull in, extras followed."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [Requirement(text) for text in requirements]
    while queue:
        requirement = queue.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        for text in importlib.metadata.requires(requirement.name) or ():
            needed = Requirement(text)
            contexts = [{"extra": extra} for extra in ("", *requirement.extras)]
            if needed.marker is None or any(needed.marker.evaluate(context) for context in contexts):
                queue.append(needed)
    return frozenset(found)


def link(distributions: frozenset[str], folder: Path) -> None:
    """Make the installed *distributions* importable from *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in distributions:
        distribution = importlib.metadata.distribution(name)
        tops = {
            file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}
        }
        for top in tops:
            target = folder / top
            if not target.exists():
                target.symlink_to(Path(str(distribution.locate_file(top))).resolve())


class Environment:
    """A virtual environment that holds the base dependencies and nothing else."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        self.bin = folder / "bin"
        self.site = Path(
            sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
        )
        self._tools = folder / "build-tools"
        self._away = folder / "away"
        self._away.mkdir()
        link(closure(*PROJECT["dependencies"]), self.site)
        link(closure(*BUILD), self._tools)

    def install(self, *what: str) -> None:
        """Let pip install *what*: no network, no dependencies, building with the linked tools."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        command += ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", *what]
        done = subprocess.run(
            command, cwd=self._away, env=self._env(self._tools), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment from a folder that holds nothing."""
        return subprocess.run(
            arguments,
            cwd=self._away,
            env=self._env(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def python_prints(self, code: str) -> str:
        """What *code* prints there; a failure of the code fails the test."""
        done = self.run(str(self.python), "-W", "error", "-c", code)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def _env(self, *path: Path) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}


def build(kind: str, folder: Path) -> Path:
    """Build the ``wheel`` or the ``sdist`` into *folder*."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.iterdir()
    return made
