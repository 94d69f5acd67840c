"""What the tests of the room share."""

from collections.abc import Iterator

import pytest

from shared import runtime
from shared.logging import LoggingHandle, MemorySink, configure_logging


@pytest.fixture(autouse=True)
def own_runtime() -> Iterator[runtime.Runtime]:
    """Give each test a runtime of its own, and an empty context."""
    from shared.context._request import _current

    token = _current.set(None)
    own = runtime.Runtime("test")
    with runtime.use(own):
        yield own
    own.close()
    _current.reset(token)


@pytest.fixture
def memory() -> MemorySink:
    return MemorySink()


@pytest.fixture
def handle(memory: MemorySink) -> Iterator[LoggingHandle]:
    """Configure JSON lines into *memory*, at debug, at a fixed time."""
    with configure_logging(
        {}, service="orders", format="json", level="DEBUG", sink=memory, clock=lambda: 1_700_000_000.25
    ) as handle:
        yield handle
