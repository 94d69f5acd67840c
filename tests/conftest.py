"""For every test: the library's own plugin, loaded where coverage can see it, and no traces left."""

import pytest
from hypothesis import HealthCheck, settings

from shared.context import current_context

# No clock decides: the machine may be busy.
settings.register_profile(
    "untimed",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")

pytest_plugins = ["pytester", "shared.testing.plugin"]


@pytest.fixture(autouse=True)
def _no_context_left():
    """A context that a test leaves behind would be the next one's request."""
    before = current_context()
    yield
    assert current_context() is before, "the test left a request context behind"
