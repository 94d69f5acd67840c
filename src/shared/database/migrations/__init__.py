"""Change a live schema: the library's revisions, and the tools for those of a service.

Loads Alembic, so ``import shared.database`` does not load this.
"""

from shared.database.migrations._assess import assess
from shared.database.migrations._assessment import (
    Assessment,
    AssessmentLimits,
    StepAssessment,
    TableImpact,
    Verdict,
)
from shared.database.migrations._author import write_revision
from shared.database.migrations._backfill import backfill
from shared.database.migrations._chain import MigrationChain
from shared.database.migrations._constraints import add_check, add_foreign_key, add_not_null, add_unique
from shared.database.migrations._dual_write import (
    contract_column_rename,
    contract_column_type,
    expand_column_rename,
    expand_column_type,
    undo_expand,
)
from shared.database.migrations._environment import run_environment
from shared.database.migrations._filters import include_name, include_object
from shared.database.migrations._findings import LintFinding, LintReport
from shared.database.migrations._indexes import create_index_concurrently, drop_index_concurrently
from shared.database.migrations._lint import lint, read_baseline, write_baseline
from shared.database.migrations._live import LiveDatabase, LiveTable
from shared.database.migrations._locate import VERSION_TABLE
from shared.database.migrations._models import library_metadata
from shared.database.migrations._options import MigrationOptions, MigrationProgress, Phase
from shared.database.migrations._record import safe
from shared.database.migrations._rehearse import Rehearsal, rehearse
from shared.database.migrations._requires import requires
from shared.database.migrations._runner import Migrations
from shared.database.migrations._squawk import second_opinion
from shared.database.migrations._status import MigrationCheck, RevisionState
from shared.database.migrations._steps import AppliedRevision

__all__ = [
    "VERSION_TABLE",
    "AppliedRevision",
    "Assessment",
    "AssessmentLimits",
    "LintFinding",
    "LintReport",
    "LiveDatabase",
    "LiveTable",
    "MigrationChain",
    "MigrationCheck",
    "MigrationOptions",
    "MigrationProgress",
    "Migrations",
    "Phase",
    "Rehearsal",
    "RevisionState",
    "StepAssessment",
    "TableImpact",
    "Verdict",
    "add_check",
    "add_foreign_key",
    "add_not_null",
    "add_unique",
    "assess",
    "backfill",
    "contract_column_rename",
    "contract_column_type",
    "create_index_concurrently",
    "drop_index_concurrently",
    "expand_column_rename",
    "expand_column_type",
    "include_name",
    "include_object",
    "library_metadata",
    "lint",
    "read_baseline",
    "rehearse",
    "requires",
    "run_environment",
    "safe",
    "second_opinion",
    "undo_expand",
    "write_baseline",
    "write_revision",
]
