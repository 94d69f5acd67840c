"""For every test: the library's own plugin, loaded where coverage can see it, and no traces left."""

import pytest

from shared.context import current_context

pytest_plugins = ["pytester", "shared.testing.plugin"]


@pytest.fixture(autouse=True)
def _no_context_left():
    """A context that a test leaves behind would be the next one's request."""
    before = current_context()
    yield
    assert current_context() is before, "the test left a request context behind"
