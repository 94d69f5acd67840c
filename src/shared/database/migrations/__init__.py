"""Change a live schema: the library's revisions, and the tools for those of a service.

Loads Alembic, so ``import shared.database`` does not load this.
"""

from shared.database.migrations._author import write_revision
from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._environment import run_environment
from shared.database.migrations._filters import include_name, include_object
from shared.database.migrations._locate import VERSION_TABLE
from shared.database.migrations._models import library_metadata
from shared.database.migrations._options import MigrationOptions, MigrationProgress, Phase
from shared.database.migrations._record import safe
from shared.database.migrations._requires import requires
from shared.database.migrations._runner import Migrations
from shared.database.migrations._status import MigrationCheck, RevisionState
from shared.database.migrations._steps import AppliedRevision

__all__ = [
    "VERSION_TABLE",
    "AppliedRevision",
    "MigrationChain",
    "MigrationCheck",
    "MigrationOptions",
    "MigrationProgress",
    "Migrations",
    "Phase",
    "RevisionState",
    "include_name",
    "include_object",
    "library_metadata",
    "requires",
    "run_environment",
    "safe",
    "write_revision",
]
