"""The interpreter, the packages, the import path."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import shared
from shared._cli._finding import Finding

DISTRIBUTION: Final = "libs-shared"
EXPLAIN: Final = "run: shared config explain NAME"
_OLDEST_PYTHON: Final = (3, 11)
_IMPORT_SECONDS: Final = 60.0
_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_CLAUSE: Final = re.compile(r"\s*(>=|<=|==|!=|~=|>|<)\s*([0-9][0-9A-Za-z.]*)")


# --- versions ---------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """Return the versions of Python, of the library and of what it is built on."""
    found = {"python": platform.python_version(), DISTRIBUTION: shared.__version__}
    for name, _, extra in requirements():
        installed = _installed(name)
        if installed is not None and (not extra or name not in found):
            found[name] = installed
    return found


def requirements() -> list[tuple[str, str, str]]:
    """Return (package, version clauses, extra) of everything the library can use.

    Empty when the library runs from a source tree that was never installed.
    """
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = []
    for line in lines:
        match = _REQUIREMENT.fullmatch(line)
        if match is not None and match.group(1) != DISTRIBUTION:
            extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", match.group(3) or "")
            found.append((match.group(1), match.group(2).strip(), extra.group(1) if extra else ""))
    return found


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def satisfies(version: str, clauses: str) -> bool:
    """Tell whether the release *version* meets *clauses* such as ``>=4.1,<6``.

    Example:
        >>> satisfies("5.0.1", ">=4.1,<6"), satisfies("6.0", ">=4.1,<6"), satisfies("4.1", ">=4.1")
        (True, False, True)
    """
    release = _release(version)
    for operator, text in _CLAUSE.findall(clauses):
        bound = _release(text)
        size = max(len(release), len(bound))
        left = release + (0,) * (size - len(release))
        right = bound + (0,) * (size - len(bound))
        verdicts = {
            ">=": left >= right,
            "<=": left <= right,
            "==": left == right,
            "!=": left != right,
            ">": left > right,
            "<": left < right,
            "~=": left >= right and left[: len(bound) - 1] == right[: len(bound) - 1],
        }
        if not verdicts[operator]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.match(r"[0-9.]*", version)[0].strip(".").split(".") if part)  # type: ignore[index]


def python_findings(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[Finding]:
    """Find an interpreter that is too old."""
    if version < _OLDEST_PYTHON:
        oldest = ".".join(map(str, _OLDEST_PYTHON))
        yield Finding(
            "python.version",
            "error",
            f"Python {'.'.join(map(str, version))} is older than {oldest}",
            f"use Python {oldest} or newer",
        )


def package_findings(wanted: Iterable[tuple[str, str, str]] | None = None) -> Iterator[Finding]:
    """Find packages that are missing, or outside the range the library is tested with."""
    for name, clauses, extra in requirements() if wanted is None else wanted:
        installed = _installed(name)
        line = f"pip install '{DISTRIBUTION}{f'[{extra}]' if extra else ''}'"
        if installed is None:
            if not extra:
                yield Finding("package.missing", "error", f"{name} is not installed", line)
        elif not satisfies(installed, clauses):
            yield Finding(
                "package.version",
                "warning" if extra else "error",
                f"{name} {installed} is installed, the library needs {clauses}",
                f"pip install --upgrade '{name}{clauses}'",
            )


# --- what else is called shared -----------------------------------------------------------------------


def shadow_findings(path: Iterable[str] | None = None, folder: Path | None = None) -> Iterator[Finding]:
    """Find other packages called ``shared``: installed ones and folders on the import path.

    Args:
        path: The import path; default ``sys.path``.
        folder: Where services are started; default the working directory.
    """
    others = set(importlib.metadata.packages_distributions().get("shared", ())) - {DISTRIBUTION}
    for name in sorted(others):
        yield Finding(
            "shadow.distribution",
            "error",
            f"the distribution {name!r} also installs a package called shared",
            f"pip uninstall {name}, then: pip install --force-reinstall {DISTRIBUTION}",
        )
    ours = Path(shared.__file__).resolve().parent
    entries = [Path(entry or os.curdir) for entry in (sys.path if path is None else path)]
    home = ours.parent
    ours_at = _position(entries, home)
    for entry in dict.fromkeys([*entries, folder or Path()]):
        other = _other(entry, ours)
        if other is not None:
            yield _shadow(other, _position(entries, entry), ours_at, len(entries))


def _shadow(other: Path, place: int, ours_at: int, end: int) -> Finding:
    """Say who hides whom: the first on the import path wins."""
    if place < ours_at:
        severity, message = "error", f"{other} is imported in place of the library"
    elif place == end:
        message = f"{other} is imported in place of the library by a program that is started there"
        severity = "warning"
    else:
        severity, message = "warning", f"{other} is hidden by the library: nothing can import it"
    return Finding("shadow.local", severity, message, "rename it: the library owns the name shared")


def _position(entries: list[Path], wanted: Path) -> int:
    resolved = wanted.resolve()
    return next((i for i, entry in enumerate(entries) if entry.resolve() == resolved), len(entries))


def _other(entry: Path, ours: Path) -> Path | None:
    """Return the package or module called ``shared`` in *entry* that is not *ours*."""
    for candidate in (entry / "shared", entry / "shared.py"):
        if candidate.exists() and candidate.resolve() != ours:
            return candidate.resolve()
    return None


# --- rooms ------------------------------------------------------------------------------------------------

_PROBE: Final = """
import importlib, json, pkgutil, sys, time
import shared
found = {}
for module in pkgutil.iter_modules(shared.__path__):
    if module.name.startswith("_"):
        continue
    start = time.perf_counter()
    try:
        importlib.import_module(f"shared.{module.name}")
        error = None
    except BaseException as exc:
        error = f"{type(exc).__name__}: {exc}"
    found[module.name] = {"seconds": round(time.perf_counter() - start, 3), "error": error}
json.dump(found, sys.stdout)
"""


def import_findings(timeout: float = _IMPORT_SECONDS) -> Iterator[Finding]:
    """Find rooms that cannot be imported; the import happens in a fresh interpreter.

    Args:
        timeout: Longest time for all rooms together, in seconds.
    """
    # The same path as here, so that the answer is about this installation.
    code = f"import sys; sys.path[:] = {sys.path!r}\n{_PROBE}"
    try:
        done = subprocess.run(  # noqa: S603  # nosec B603 - our own interpreter and code
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, check=True
        )
        rooms = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError) as exc:
        yield Finding(
            "import.probe",
            "error",
            f"the rooms could not be imported: {type(exc).__name__}",
            "run: python -c 'import shared'",
        )
        return
    for room, result in rooms.items():
        if result["error"] is not None:
            yield Finding(
                "import.failed",
                "error",
                f"shared.{room} cannot be imported: {result['error']}",
                f"run: python -c 'import shared.{room}'",
            )
