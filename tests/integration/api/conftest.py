import pytest

from shared.context import enter_context, leave_context
from shared.runtime import Runtime
from tests.integration.api._apps import FRAMEWORKS, Service
from tests.unit.api._drive import Lines


@pytest.fixture(autouse=True)
def _outside_of_any_request():
    """Whatever other tests have bound outside of a request stays theirs."""
    token = enter_context(None)
    yield
    leave_context(token)


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def runtime():
    made = Runtime("test")
    yield made
    made.close()


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


@pytest.fixture
def make_service(framework, runtime, lines):
    def make(options=None, **more):
        return Service(framework, options, runtime, lines, **more)

    return make


@pytest.fixture
def service(make_service):
    return make_service()
