"""Markers of the plugin; pytest finds the hook through the plugin module."""

import pytest

__all__ = ["pytest_configure"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, so that ``--strict-markers`` knows them."""
    config.addinivalue_line(
        "markers",
        "shared_settings(cls=Settings, **values): what `shared_settings` is built from.",
    )
