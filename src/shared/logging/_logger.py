"""The logger: structlog's interface, one attribute look-up away from doing nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self, SupportsIndex

from shared.logging._levels import CRITICAL, DEBUG, ERROR, INFO, WARNING, level_name, level_or_info
from shared.logging._state import STATE, Target
from shared.logging._text import safe_text

__all__ = ["CHAIN", "BoundLogger", "get_logger", "terminal"]


def terminal(logger: Any, method_name: str, event_dict: dict[str, Any]) -> Any:
    """Write *event_dict*: the last processor of a structlog chain.

    Raises:
        structlog.DropEvent: Always; the line is written, nothing is left to do.
    """
    from structlog import DropEvent

    number = level_or_info(_ALIASES.get(method_name, method_name))
    event = event_dict.pop("event", None)
    STATE.find().log(getattr(logger, "name", None), level_name(number), number, event, event_dict)
    raise DropEvent


_ALIASES: Final = {"err": "error", "exception": "error", "failure": "error", "msg": "info"}


class _Chain(list[Any]):
    """structlog's list of processors, which test helpers change in place.

    As long as it is the terminal alone, loggers skip it and write directly.
    """

    def _changed(self) -> None:
        STATE.detour = None if self == [terminal] else _walk_chain
        STATE.refresh()

    def clear(self) -> None:
        super().clear()
        self._changed()

    def extend(self, items: Iterable[Any]) -> None:
        super().extend(items)
        self._changed()

    def append(self, item: Any) -> None:
        super().append(item)
        self._changed()

    def insert(self, index: SupportsIndex, item: Any) -> None:
        super().insert(index, item)
        self._changed()


CHAIN: Final = _Chain([terminal])


def _walk_chain(
    target: Target, level: str, event: Any, fields: dict[str, Any], chain: Iterable[Any] = CHAIN
) -> None:
    """Go through *chain*: a test helper's, or one that a caller has given a logger."""
    from structlog import DropEvent

    event_dict: Any = {**fields, "event": event}
    try:
        for processor in tuple(chain):
            event_dict = processor(target, level, event_dict)
    except DropEvent:
        return
    number = level_or_info(level)
    if isinstance(event_dict, Mapping):
        rest = dict(event_dict)
        STATE.find().log(target.name, level, number, rest.pop("event", None), rest)
    else:
        STATE.find().log(target.name, level, number, event_dict, {})


class _ChainTarget(Target):
    """The target of a logger with processors of its own."""

    __slots__ = ("_chain",)

    def __init__(self, name: str | None, chain: Iterable[Any]) -> None:
        super().__init__(name)
        self._chain = chain

    def route(self, level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
        if STATE.wants(STATE.find(), self.name, number):
            _walk_chain(self, level, event, fields, self._chain)


class BoundLogger:
    """A structlog logger that follows every later ``configure_logging``.

    It has the whole interface of structlog's filtering bound logger, and none of
    its weight: structlog itself is loaded when logging is configured.

    ``log.info("order placed", order_id=7)``: the event first, facts as keywords.
    ``bind(**fields)`` returns a logger that adds *fields* to each line. Positional
    arguments after the event are put in with ``%``. ``exc_info=True`` adds the
    exception being handled, ``stack_info=True`` the calls that led here. A level
    that is off costs one comparison. No method raises because of what it is given
    or where the line goes.

    Loggers made at import, before anything is configured, work and are cheap;
    they hold a name, not a configuration.

    Example:
        >>> from shared.logging import capture_logs, get_logger
        >>> log = get_logger("orders").bind(order_id=7)
        >>> with capture_logs() as events:
        ...     log.warning("paid %s", "twice", amount=12)
        >>> events[0]["event"], events[0]["order_id"], events[0]["amount"]
        ('paid twice', 7, 12)
    """

    __slots__ = ("__weakref__", "_context", "_logger", "_processors")

    _logger: Target
    _processors: Iterable[Any]
    _context: dict[str, Any]

    def __init__(
        self,
        logger: Any = None,
        processors: Any = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        if isinstance(logger, Target):
            target = logger
        else:
            name = logger if isinstance(logger, str) else getattr(logger, "name", None)
            target = STATE.target(str.__str__(name) if isinstance(name, str) else None)
        if processors is not None and processors is not CHAIN:
            target = _ChainTarget(target.name, processors)
        self._logger = target
        self._processors = CHAIN if processors is None else processors
        self._context = {} if context is None else context

    # -- levels -----------------------------------------------------------------------
    # The event is positional only, so that a field may be called "event"; it may be
    # left out when message= or action= says what happened.

    def debug(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log for the people who debug this code."""
        target = self._logger
        if target.threshold <= DEBUG:
            if self._context:
                fields = {**self._context, **fields}
            if args or event is None:
                event = _say(event, args, fields)
            target.write("debug", DEBUG, event, fields)

    def info(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log what happened, as it should."""
        target = self._logger
        if target.threshold <= INFO:
            if self._context:
                fields = {**self._context, **fields}
            if args or event is None:
                event = _say(event, args, fields)
            target.write("info", INFO, event, fields)

    def warning(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log what somebody should look at some time."""
        target = self._logger
        if target.threshold <= WARNING:
            if self._context:
                fields = {**self._context, **fields}
            if args or event is None:
                event = _say(event, args, fields)
            target.write("warning", WARNING, event, fields)

    def error(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log what failed."""
        target = self._logger
        if target.threshold <= ERROR:
            if self._context:
                fields = {**self._context, **fields}
            if args or event is None:
                event = _say(event, args, fields)
            target.write("error", ERROR, event, fields)

    def critical(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log what stops the service."""
        target = self._logger
        if target.threshold <= CRITICAL:
            if self._context:
                fields = {**self._context, **fields}
            if args or event is None:
                event = _say(event, args, fields)
            target.write("critical", CRITICAL, event, fields)

    def exception(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log what failed, with the exception being handled."""
        if self._logger.threshold <= ERROR:
            fields.setdefault("exc_info", True)
            self.error(event, *args, **fields)

    def log(self, level: int | str, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """Log at *level*, a number or a name; an unknown name counts as info."""
        target = self._logger
        number = level if type(level) is int else level_or_info(level)
        if target.threshold <= number:
            if self._context:
                fields = {**self._context, **fields}
            if args or event is None:
                event = _say(event, args, fields)
            target.write(level_name(number), number, event, fields)

    msg = info
    warn = warning
    err = error
    fatal = critical

    # Writing a line is as short in a coroutine as anywhere, so the async methods
    # of structlog's interface do it on the spot instead of in a thread.

    async def adebug(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`debug`."""
        self.debug(event, *args, **fields)

    async def ainfo(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`info`."""
        self.info(event, *args, **fields)

    async def awarning(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`warning`."""
        self.warning(event, *args, **fields)

    async def aerror(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`error`."""
        self.error(event, *args, **fields)

    async def acritical(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`critical`."""
        self.critical(event, *args, **fields)

    async def aexception(self, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`exception`."""
        self.exception(event, *args, **fields)

    async def alog(self, level: int | str, event: Any = None, /, *args: Any, **fields: Any) -> None:
        """As :meth:`log`."""
        self.log(level, event, *args, **fields)

    amsg = ainfo
    awarn = awarning
    afatal = acritical

    # -- context ------------------------------------------------------------------------

    def bind(self, **new_values: Any) -> Self:
        """Return a logger that adds *new_values* to each of its lines."""
        return self._with({**self._context, **new_values})

    def unbind(self, *keys: str) -> Self:
        """Return a logger without *keys*.

        Raises:
            KeyError: A key is not bound; see :meth:`try_unbind`.
        """
        missing = [key for key in keys if key not in self._context]
        if missing:
            raise KeyError(missing[0])
        return self.try_unbind(*keys)

    def try_unbind(self, *keys: str) -> Self:
        """Return a logger without *keys*, whether they are bound or not."""
        return self._with({key: value for key, value in self._context.items() if key not in keys})

    def new(self, **new_values: Any) -> Self:
        """Return a logger that has *new_values* bound and nothing else."""
        return self._with(new_values)

    def _with(self, context: dict[str, Any]) -> Self:
        twin = object.__new__(type(self))
        twin._logger = self._logger
        twin._processors = self._processors
        twin._context = context
        return twin

    # -- introspection --------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The name it was made with."""
        return self._logger.name

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether a line of *level* would be written."""
        return self.get_effective_level() <= level

    def get_effective_level(self) -> int:
        """Return the number of the lowest level that is written."""
        STATE.find()  # until something is configured, the first question settles it
        return self._logger.threshold

    def __repr__(self) -> str:
        # The context may hold secrets; a repr lands in logs.
        return f"<{type(self).__name__} {self.name!r} bound={sorted(self._context)!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.name, self._context)


def _restore(cls: type[BoundLogger], name: str | None, context: dict[str, Any]) -> BoundLogger:
    logger = object.__new__(cls)
    BoundLogger.__init__(logger, name, None, context)
    return logger


def _say(event: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    """Return the event of a call that has arguments to put in, or no event at all."""
    return _interpolate(event, args, fields) if args else _stand_in(fields)


def _interpolate(event: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    """Return ``event % args``; arguments that do not fit become a field instead of an error."""
    try:
        if len(args) == 1 and isinstance(args[0], Mapping) and args[0]:
            return event % args[0]
        return event % args
    except Exception:  # noqa: BLE001 - also what a hostile __str__ raises
        fields.setdefault("log_args", list(args))
        return event


def _stand_in(fields: dict[str, Any]) -> Any:
    """Return what stands for an event that was not given: ``event=``, ``message=`` or ``action=``."""
    for name in ("event", "message"):
        if fields.get(name) is not None:
            return fields.pop(name)
    action = fields.get("action")
    return "" if action is None else safe_text(action)


def get_logger(name: str | None = None, **fields: Any) -> BoundLogger:
    """Return the logger *name*, with *fields* bound to it.

    Args:
        name: Dotted, usually ``__name__``; decides which of ``LOG_LEVELS`` applies
            and is the line's ``logger``. None: no name, the default level.
        **fields: Added to each of its lines.

    Example:
        >>> from shared.logging import capture_logs, get_logger
        >>> log = get_logger("orders")
        >>> with capture_logs() as events:
        ...     log.info("order placed", order_id=7, card_number="4111111111111111")
        >>> events[0]["event"], events[0]["order_id"], events[0]["card_number"]
        ('order placed', 7, '***')
    """
    return BoundLogger(name, None, fields)
