"""The pytest plugin: fixtures for services built on the library.

Every test run of every service imports this module, so at the top it imports
pytest and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.runtime import Runtime
    from shared.testing._client import ApiClient
    from shared.testing._clock import FrozenClock

__all__ = ["frozen_clock", "log_capture", "shared_client", "shared_runtime", "shared_settings"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "shared_settings(cls=Settings, **values): what `shared_settings` is built from.",
    )


@pytest.fixture
def shared_settings(request: pytest.FixtureRequest) -> "Settings":
    """Settings of the profile ``testing``; the machine's environment and ``.env`` are not read.

    ``@pytest.mark.shared_settings(DB_POOL_SIZE=3)`` sets values, ``cls=`` another class.
    """
    from shared.config import Settings

    values: dict[str, Any] = {"ENVIRONMENT": "testing"}
    cls: type[Settings] = Settings
    for marker in reversed(list(request.node.iter_markers("shared_settings"))):  # the nearest wins
        given = dict(marker.kwargs)
        cls = given.pop("cls", cls)
        values.update(given)
    return cls(environ={}, env_file=None, **values)


@pytest.fixture
def shared_runtime(shared_settings: "Settings") -> "Iterator[Runtime]":
    """A runtime of its own for the test, with ``shared_settings``; closed afterwards.

    Accessors such as ``get_settings()`` find it, and so does an application that the
    test installs.
    """
    from shared.config import use_settings
    from shared.runtime import Runtime, use

    runtime = Runtime("test")
    use_settings(shared_settings, runtime=runtime)
    with use(runtime):
        yield runtime
    runtime.close()


@pytest.fixture
def shared_client(shared_runtime: "Runtime") -> "Iterator[Callable[..., ApiClient]]":  # noqa: ARG001
    """A function that makes a client: ``shared_client(app, headers=...)``.

    Start-up and shutdown of each application run around the test.
    """
    from shared.testing._client import ApiClient

    with ExitStack() as stack:

        def make(app: Any, **options: Any) -> ApiClient:
            return stack.enter_context(ApiClient(app, **options))

        yield make


@pytest.fixture
def log_capture() -> "Iterator[list[dict[str, Any]]]":
    """The log events of the test, as dictionaries, also of loggers made before it."""
    from shared.logging import capture_logs

    with capture_logs() as events:
        yield events


@pytest.fixture
def frozen_clock() -> "FrozenClock":
    """A clock that moves only by ``advance`` and ``sleep``."""
    from shared.testing._clock import FrozenClock

    return FrozenClock()
