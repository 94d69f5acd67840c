"""What the house tests read: the tracked files, the rooms and their public modules."""

import ast
import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = SRC / "shared"
_GENERATED = {"build", "dist", "site", "htmlcov", "node_modules", "__pycache__"}


@functools.cache
def repository_files() -> tuple[Path, ...]:
    """Every file of the repository that is not ignored, also those not yet added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):  # an unpacked sdist has no .git
        return tuple(sorted(_walk()))
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def _walk():
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _GENERATED and not name.startswith(".venv")]
        yield from (Path(folder) / name for name in names)


def text_of(path: Path) -> str | None:
    """The text of *path*; None for what is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def shown(path: Path) -> str:
    """*path* as a reader of the failure types it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def source_files() -> tuple[Path, ...]:
    """Every Python file of the package."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """The dotted name under which *path* is imported."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def rooms() -> tuple[str, ...]:
    """The names directly under ``shared``: ``api``, ``config``, ``_cli`` and so on."""
    found = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    found |= {path.stem for path in PACKAGE.glob("*.py") if path.stem not in {"__init__", "_version"}}
    return tuple(sorted(found))


@functools.cache
def public_modules() -> tuple[str, ...]:
    """Modules a user may import: no part of the dotted name starts with an underscore."""
    names = (module_name(path) for path in source_files())
    return tuple(sorted(name for name in names if not any(part.startswith("_") for part in name.split("."))))


def file_of(module: str) -> Path:
    """The file of the dotted *module*."""
    path = SRC.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
