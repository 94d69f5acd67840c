"""A real PostgreSQL of its own, which these tests may stop."""

from tests.conformance.database.conftest import events, fresh_postgres, postgres

__all__ = ["events", "fresh_postgres", "postgres"]
