"""Markers of the plugin; pytest finds the hook through the plugin module."""

import pytest

from shared.testing._engine_hooks import chosen_engines

__all__ = ["pytest_configure"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, so that ``--strict-markers`` knows them, and refuse wrong options at once."""
    chosen_engines(config)
    config.addinivalue_line(
        "markers",
        "shared_settings(cls=Settings, **values): what `shared_settings` is built from.",
    )
    config.addinivalue_line(
        "markers",
        "shared_engines(*names): the databases this test runs on, of `sqlite` and `postgres`.",
    )
