"""Exceptions in the log reach the error tracker of their service."""

import logging
import weakref
from typing import TYPE_CHECKING, Final

from shared.monitoring import ErrorTracker, get_error_tracker
from shared.runtime import Runtime, current
from shared.service._explain import Part

if TYPE_CHECKING:
    from shared.service._service import Service

__all__ = ["add_error_tracking"]

_DOES: Final = "exceptions in the log told to the error tracker, once each, redacted"


def add_error_tracking(service: "Service") -> None:
    """Report every line with a traceback; to nobody until there is a reporter."""
    if not service.wants("error_tracking", _DOES):
        return
    tracker = service.keep(ErrorTracker, get_error_tracker())
    handler = tracker.handler()
    handler.addFilter(_Own(service.runtime))
    root = logging.getLogger()
    root.addHandler(handler)

    def remove() -> None:
        root.removeHandler(handler)
        handler.close()

    # An application that is dropped without an end must not leave its handler behind.
    undo = weakref.finalize(service, remove)
    service.note(Part("error_tracking", _DOES, settings=service.show("SENTRY_DSN")), undo)


class _Own(logging.Filter):
    """Lets through what happens in the runtime of one service: two in a process do not mix."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._runtime = weakref.ref(runtime)

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return current() is self._runtime()
