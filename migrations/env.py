"""The environment of the library's own revisions; ``shared db`` runs it, or Alembic itself."""

from shared.database.migrations import VERSION_TABLE, library_metadata, run_environment

run_environment(library_metadata(), version_table=VERSION_TABLE)
