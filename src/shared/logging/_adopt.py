"""Take over what other libraries attached to their loggers, and give it back."""

import logging
import sys
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Adoption"]

Factory = Callable[..., logging.LogRecord]

# Libraries that attach a console handler to their own loggers, before or after us.
_FAMILIES: Final = frozenset(
    {"uvicorn", "gunicorn", "sqlalchemy", "hypercorn", "granian", "werkzeug", "celery", "taskiq"}
)
_MAX_MET: Final = 4096


class Adoption:
    """Detaches console handlers of known libraries, so that each record is written once.

    Libraries attach theirs at any time: a server before the application is
    imported or after, SQLAlchemy when an engine with ``echo`` is made, each under
    names of its own. So besides a first sweep every record is looked at while it
    is being made, which is before any handler sees it. What was taken is
    remembered and given back by :meth:`restore`.
    """

    def __init__(self) -> None:
        self._factory: Factory | None = None
        self._previous: Factory = logging.LogRecord
        self._handlers: list[tuple[logging.Logger, logging.Handler, int]] = []
        self._propagate: list[logging.Logger] = []
        self._chains: dict[str, tuple[logging.Logger, ...]] = {}

    def install(self) -> None:
        """Take over what is there, and watch for what comes."""
        self._take_handlers(logging.getLogger())
        for name in list(logging.root.manager.loggerDict):
            self.meet(name)
        self._previous = logging.getLogRecordFactory()
        self._factory = self._watching(self._previous)
        logging.setLogRecordFactory(self._factory)

    def _watching(self, previous: Factory) -> Factory:
        """Return *previous* with a look at the logger before each record."""
        chains, remember, take = self._chains, self._remember, self._take

        def make_record(name: Any, *args: Any, **kwargs: Any) -> logging.LogRecord:
            chain = chains.get(name)
            if chain is None:
                chain = remember(name)
            for logger in chain:
                if logger.handlers:
                    take(logger)
            return previous(name, *args, **kwargs)

        return make_record

    def meet(self, name: str) -> None:
        """Look at the logger *name* and its parents before a record of it is handled."""
        chain = self._chains.get(name)
        if chain is None:
            chain = self._remember(name)
        for logger in chain:
            if logger.handlers:
                self._take(logger)

    def _remember(self, name: Any) -> tuple[logging.Logger, ...]:
        """Return the loggers to watch for records of *name*: none unless it is of a known family."""
        chain: tuple[logging.Logger, ...] = ()
        if isinstance(name, str) and name.partition(".")[0] in _FAMILIES:  # makeLogRecord has no name yet
            parts = name.split(".")
            chain = tuple(logging.getLogger(".".join(parts[:end])) for end in range(len(parts), 0, -1))
        if len(self._chains) >= _MAX_MET:  # names may come from data
            self._chains.clear()
        self._chains[name] = chain
        return chain

    def _take(self, logger: logging.Logger) -> None:
        # Nothing to take and no propagation is how a server silences a logger: so be it.
        if self._take_handlers(logger) and not logger.propagate:
            self._propagate.append(logger)
            logger.propagate = True

    def _take_handlers(self, logger: logging.Logger) -> bool:
        taken = [(place, handler) for place, handler in enumerate(logger.handlers) if _is_console(handler)]
        for place, handler in reversed(taken):
            logger.removeHandler(handler)
            self._handlers.append((logger, handler, place))
        return bool(taken)

    def restore(self) -> None:
        """Give everything back, in reverse; what came in between stays."""
        if logging.getLogRecordFactory() is self._factory:
            logging.setLogRecordFactory(self._previous)
        for logger, handler, place in reversed(self._handlers):
            if handler not in logger.handlers:
                logger.handlers.insert(place, handler)
        for logger in reversed(self._propagate):
            logger.propagate = False
        self._handlers, self._propagate = [], []


def _is_console(handler: Any) -> bool:
    """Tell whether *handler* writes to the console; files, queues and test recorders do not."""
    if not isinstance(handler, logging.StreamHandler):
        return False
    stream = getattr(handler, "stream", None)
    console = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    if any(stream is known for known in console if known is not None):
        return True
    try:
        return stream is not None and stream.fileno() in (1, 2)
    except Exception:  # noqa: BLE001 - no descriptor, closed, or a foreign object
        return False
