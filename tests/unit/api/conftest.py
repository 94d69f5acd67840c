import pytest

from shared.runtime import Runtime
from tests.unit.api._drive import Lines


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def runtime():
    made = Runtime("test")
    yield made
    made.close()
