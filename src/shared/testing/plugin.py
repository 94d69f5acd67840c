"""The pytest plugin: fixtures for services built on the library.

Every test run of every service imports this module, so at the top it imports
pytest and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from shared.testing._markers import pytest_configure  # noqa: F401 - pytest finds the hook here

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.runtime import Runtime
    from shared.testing._client import ApiClient
    from shared.testing._clock import FrozenClock

__all__ = ["frozen_clock", "log_capture", "shared_client", "shared_runtime", "shared_settings"]


@pytest.fixture
def shared_settings(request: pytest.FixtureRequest) -> "Settings":
    """Settings of the profile ``testing``; the machine's environment and ``.env`` are not read.

    ``@pytest.mark.shared_settings(DB_POOL_SIZE=3)`` sets values, ``cls=`` another class.

    Example:
        >>> @pytest.mark.shared_settings(API_PORT=9000)
        ... def test_port(shared_settings):
        ...     assert shared_settings.api.API_PORT == 9000
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

    Example:
        >>> def test_mail_is_sent(shared_runtime):
        ...     outbox = []
        ...     with shared_runtime.override(list, outbox):
        ...         assert shared_runtime.get(list) is outbox
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

    Example:
        >>> def test_orders_are_listed(shared_client):
        ...     from orders.main import app
        ...     assert shared_client(app).get("/orders").assert_success() == []
    """
    from shared.testing._client import ApiClient

    with ExitStack() as stack:

        def make(app: Any, **options: Any) -> ApiClient:
            return stack.enter_context(ApiClient(app, **options))

        yield make


@pytest.fixture
def log_capture() -> "Iterator[list[dict[str, Any]]]":
    """The log events of the test, as dictionaries, also of loggers made before it.

    Example:
        >>> def test_refusal_is_logged(log_capture):
        ...     from shared.logging import get_logger
        ...     get_logger("orders").warning("refused", reason="empty")
        ...     assert log_capture[0]["reason"] == "empty"
    """
    from shared.logging import capture_logs

    with capture_logs() as events:
        yield events


@pytest.fixture
def frozen_clock() -> "FrozenClock":
    """A clock that moves only by ``advance`` and ``sleep``.

    Example:
        >>> def test_an_hour_takes_no_time(frozen_clock):
        ...     before = frozen_clock()
        ...     frozen_clock.sleep(3600)
        ...     assert frozen_clock() - before == 3600
    """
    from shared.testing._clock import FrozenClock

    return FrozenClock()
