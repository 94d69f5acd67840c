"""Look at what was logged, in a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.logging._levels import parse_level
from shared.logging._state import STATE, Capture

__all__ = ["capture_logs"]


@contextmanager
def capture_logs(level: int | str | None = None) -> Iterator[list[dict[str, Any]]]:
    """Collect the lines written inside the block instead of writing them.

    Sees every logger, also those made or bound before, structlog's own, the
    access log, and, while logging is configured, stdlib loggers. Of nested blocks
    the innermost collects. Meant for tests: it holds for the whole process.

    Args:
        level: Collect from this level on, whatever is configured; None leaves the
            configured levels in force.

    Yields:
        The lines as they would have been written, masked, under the names of the
        json format: ``{"timestamp", "level", "event", "logger", …}``.

    Raises:
        ConfigurationError: *level* is unknown.

    Example:
        >>> from shared.logging import capture_logs, get_logger
        >>> log = get_logger("billing").bind(invoice="i-1")
        >>> with capture_logs("debug") as events:
        ...     log.debug("looked up")
        >>> events[0]["level"], events[0]["invoice"]
        ('debug', 'i-1')
    """
    capture = Capture(None if level is None else parse_level(level))
    before = STATE.capture
    STATE.capture = capture
    STATE.refresh()
    try:
        yield capture.events
    finally:
        STATE.capture = before
        STATE.refresh()
