"""For every test: the library's own plugin, loaded where coverage can see it, and no traces left."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

from shared.context import current_context
from shared.monitoring._metric_group import _base

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
def _no_group_left():
    """Metrics of a test that forked share a folder: those of a later test must not count with them."""
    yield
    for folder in _base().glob(f"*-{os.getpid()}-*"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_context_left():
    """A context that a test leaves behind would be the next one's request."""
    before = current_context()
    yield
    assert current_context() is before, "the test left a request context behind"
