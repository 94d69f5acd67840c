"""Report exceptions to an error tracker: once each, not too many, without secrets."""

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from shared.errors import BusinessError, InvalidArgumentError
from shared.monitoring._error_report import ErrorReport, error_report
from shared.runtime import after_fork_in_child

_log: Final = logging.getLogger("shared.monitoring")
_MAX_FINGERPRINTS: Final = 1000
_MAX_SEEN: Final = 500
_MARK: Final = "_shared_reported"


class ErrorReporter(Protocol):
    """Where reports go: Sentry, a table, a chat room.

    Example:
        >>> class Printer:
        ...     def report(self, report, exc):
        ...         print(report.type)
        >>> reporter: ErrorReporter = Printer()
        >>> tracker = ErrorTracker([reporter])
        >>> tracker.capture(ValueError("x"))
        ValueError
        True
    """

    def report(self, report: ErrorReport, exc: BaseException) -> object:
        """Take one report; must be quick, what it raises is logged.

        Args:
            report: What may be told.
            exc: The exception itself, for trackers that tell duplicates by it.
        """
        ...


class _Window:
    __slots__ = ("began", "count", "suppressed")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0
        self.suppressed = 0


class ErrorTracker:
    """Reports exceptions to every reporter.

    The same exception object is reported once, however many places catch it. Errors of
    one fingerprint are limited per minute, and so are all together; the next report
    tells how many were held back. Errors of the caller (4xx) and cancellations are none.

    Args:
        reporters: Where reports go.
        per_fingerprint: Reports of one kind per minute, >= 1.
        per_minute: Reports of all kinds per minute, >= 1.
        ignore: Classes of exceptions that are never reported.
        clock: Monotonic seconds.

    Raises:
        InvalidArgumentError: A limit is below 1.

    Thread-safe; no lock is held while a reporter works.

    Example:
        >>> reports = []
        >>> class Collect:
        ...     def report(self, report, exc):
        ...         reports.append(report)
        >>> tracker = ErrorTracker([Collect()])
        >>> try:
        ...     {}["missing"]
        ... except KeyError as exc:
        ...     first, second = tracker.capture(exc), tracker.capture(exc)
        >>> first, second, len(reports)
        (True, False, 1)
    """

    def __init__(
        self,
        reporters: Iterable[ErrorReporter] = (),
        *,
        per_fingerprint: int = 5,
        per_minute: int = 60,
        ignore: tuple[type[BaseException], ...] = (BusinessError,),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if per_fingerprint < 1 or per_minute < 1:
            msg = f"per_fingerprint and per_minute are 1 or more, got {per_fingerprint!r} and {per_minute!r}"
            raise InvalidArgumentError(msg)
        self._reporters = tuple(reporters)
        self._per_fingerprint = per_fingerprint
        self._per_minute = per_minute
        self._ignore = (*ignore, asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
        self._clock = clock
        self._lock = threading.Lock()
        self._all = _Window(clock())
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        # For exceptions that take no attributes: their identity, and they themselves
        # so that the identity is not given to another meanwhile.
        self._seen: deque[BaseException] = deque(maxlen=_MAX_SEEN)
        after_fork_in_child(self)

    def add_reporter(self, reporter: ErrorReporter) -> None:
        """Report to one more."""
        self._reporters = (*self._reporters, reporter)

    def capture(self, exc: BaseException, *, handled: bool = False, **facts: Any) -> bool:
        """Report *exc*; return whether it was.

        Args:
            exc: The exception.
            handled: Whether it was caught on purpose and the work went on.
            facts: Added to the report, redacted.

        Never raises.
        """
        if not self._reporters or isinstance(exc, self._ignore) or not self._is_new(exc):
            return False
        try:
            report = error_report(exc, facts=facts, handled=handled)
        except Exception:  # noqa: BLE001 - reporting must not fail the work
            _log.warning("an exception could not be described", exc_info=True)
            return False
        suppressed = self._admit(report.fingerprint)
        if suppressed is None:
            return False
        report = report._replace(suppressed=suppressed)
        for reporter in self._reporters:
            try:
                reporter.report(report, exc)
            except Exception:  # noqa: BLE001 - reporting must not fail the work
                _log.warning("%s failed", type(reporter).__name__, exc_info=True)
        return True

    @contextmanager
    def guard(self, **facts: Any) -> Iterator[None]:
        """Report what the block raises, and let it go on."""
        try:
            yield
        except BaseException as exc:
            self.capture(exc, **facts)
            raise

    def handler(self, level: int = logging.ERROR) -> logging.Handler:
        """Return a handler for the standard library's logging: every line with a traceback is reported.

        Add it to the root logger; that is how errors of the request layer, of servers
        and of libraries arrive.
        """
        return _Handler(self, level)

    def close(self) -> None:
        """Close the reporters that can be closed; never raises."""
        for reporter in self._reporters:
            close = getattr(reporter, "close", None)
            if close is not None:
                try:
                    close()
                except Exception:  # noqa: BLE001 - the others must be closed too
                    _log.warning("closing %s failed", type(reporter).__name__, exc_info=True)

    def _is_new(self, exc: BaseException) -> bool:
        try:
            if getattr(exc, _MARK, False):
                return False
            setattr(exc, _MARK, True)
        except Exception:  # noqa: BLE001 - slots, or a hostile __setattr__
            if any(seen is exc for seen in self._seen):
                return False
            self._seen.append(exc)
        return True

    def _admit(self, fingerprint: str) -> int | None:
        """Return how many were held back before this one, or None when this one is, too."""
        now = self._clock()
        with self._lock:
            if now - self._all.began >= 60:
                self._all = _Window(now)
            window = self._windows.get(fingerprint)
            if window is None:
                window = self._windows[fingerprint] = _Window(now)
                if len(self._windows) > _MAX_FINGERPRINTS:
                    self._windows.popitem(last=False)
            elif now - window.began >= 60:
                window.began, window.count = now, 0
            if window.count >= self._per_fingerprint or self._all.count >= self._per_minute:
                window.suppressed += 1
                return None
            window.count += 1
            self._all.count += 1
            suppressed, window.suppressed = window.suppressed, 0
            return suppressed

    def after_fork(self) -> None:
        """Replace the lock; called in the child."""
        self._lock = threading.Lock()


class _Handler(logging.Handler):
    def __init__(self, tracker: ErrorTracker, level: int) -> None:
        super().__init__(level)
        self._tracker = tracker

    def emit(self, record: logging.LogRecord) -> None:
        # Our own complaints about reporters would come back here for ever.
        if record.exc_info and record.name != _log.name:
            exc = record.exc_info[1]
            if exc is not None:
                self._tracker.capture(exc, logger=record.name, log_message=record.getMessage())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Stay quiet: the line itself is written by other handlers."""
