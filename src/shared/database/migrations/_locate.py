"""Where the library's revisions are, however it was installed, and where nobody may write."""

import sysconfig
from pathlib import Path
from typing import Final

import shared
from shared.errors import MigrationError

__all__ = [
    "BACKFILL_TABLE",
    "BOOKKEEPING",
    "LEDGER_TABLE",
    "VERSION_TABLE",
    "is_installed",
    "library_folder",
    "room_folders",
]

#: The library's own version table; that of a service is Alembic's ``alembic_version``.
VERSION_TABLE: Final = "shared_alembic_version"
#: Which revisions were applied, of either chain, and what their files said then.
LEDGER_TABLE: Final = "shared_migration_ledger"
#: How far each backfill has come.
BACKFILL_TABLE: Final = "shared_migration_backfill"
#: The tables of the migration tools, which belong to no model.
BOOKKEEPING: Final = frozenset({VERSION_TABLE, LEDGER_TABLE, BACKFILL_TABLE})


def library_folder() -> Path:
    """Return the folder with the library's ``env.py`` and ``versions``.

    A wheel holds it inside the package; an editable install and a checkout have it at
    the top of the repository.

    Raises:
        MigrationError: It is in neither place.
    """
    package = Path(shared.__file__).resolve().parent
    # A folder at the top of a repository counts only beside the project file: a stranger's
    # ``migrations`` two folders above site-packages is not ours.
    repository = package.parent.parent
    places = [package / "database" / "migrations"]
    if (repository / "pyproject.toml").is_file():
        places.append(repository / "migrations")
    for place in places:
        if (place / "env.py").is_file():
            return place
    msg = f"the library's migrations are missing (looked in {', '.join(map(str, places))}): install it again"
    raise MigrationError(msg)


def room_folders(folder: Path) -> dict[str, Path]:
    """Return the rooms that have revisions in *folder*, and where."""
    versions = folder / "versions"
    found = (
        sorted(path for path in versions.iterdir() if any(path.glob("[!_]*.py"))) if versions.is_dir() else []
    )
    return {path.name: path for path in found}


def is_installed(path: Path) -> bool:
    """Tell whether *path* is where packages are installed, and the next installation deletes it."""
    resolved = path.resolve()
    homes = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    homes.append(Path(shared.__file__).resolve().parent)
    return any(resolved.is_relative_to(home) for home in homes) or "site-packages" in resolved.parts
