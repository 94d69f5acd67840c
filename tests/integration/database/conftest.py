"""What the tests of failures share: an empty database on each engine, and servers they may stop."""

import pytest

from shared.testing import PostgresServer
from tests.conformance.database.conftest import events, system, url

__all__ = ["events", "server", "system", "url"]


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL of the module's own, which its tests may stop; they start it again."""
    with PostgresServer() as own:
        yield own
