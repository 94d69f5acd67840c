"""Start and stop logging."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from shared.logging._adopt import Adoption
from shared.logging._bridge import BridgeHandler
from shared.logging._clock import Clock
from shared.logging._hooks import Hooks
from shared.logging._levels import LevelMap, parse_level
from shared.logging._logger import CHAIN, BoundLogger
from shared.logging._open import is_terminal, open_sink
from shared.logging._options import Options
from shared.logging._pipeline import Pipeline, Processor
from shared.logging._sinks import Sink
from shared.logging._state import STATE, RuntimeSlot, Way
from shared.logging._thread import ThreadSink
from shared.runtime import Runtime, current

__all__ = ["LoggingHandle", "configure_logging", "log_stats"]


class _Process:
    """What there is once per process: root handler, hooks, structlog's configuration."""

    def __init__(self) -> None:
        self._adoption = Adoption()
        self._handler = BridgeHandler(self._adoption)
        self._hooks = Hooks()
        self._installed = False
        self._levels: dict[str, tuple[int, int]] = {}  # name: (before, ours)
        self._structlog: dict[str, Any] | None = None

    def sync(self) -> None:
        """Install or remove everything, and set stdlib's levels, to match the live pipelines."""
        live = STATE.live()
        if live and not self._installed:
            self._install()
        self._restore_levels()
        if live:
            self._set_levels(live)
        elif self._installed:
            self._uninstall()

    def _install(self) -> None:
        import structlog

        self._installed = True
        self._structlog = structlog.get_config() if structlog.is_configured() else None
        structlog.configure(
            processors=CHAIN,
            wrapper_class=BoundLogger,
            context_class=dict,
            logger_factory=_make_target,
            cache_logger_on_first_use=False,
        )
        self._adoption.install()
        logging.getLogger().addHandler(self._handler)
        self._hooks.install()

    def _uninstall(self) -> None:
        import structlog

        self._installed = False
        self._hooks.restore()
        logging.getLogger().removeHandler(self._handler)
        self._adoption.restore()
        if structlog.get_config()["processors"] is CHAIN:
            structlog.reset_defaults()
            if self._structlog is not None:
                structlog.configure(**self._structlog)

    def _set_levels(self, live: list[Way]) -> None:
        """Give each stdlib logger the lowest level that any pipeline wants of it."""
        names = {name for pipeline in live for name in pipeline.levels.by_name}
        wanted = {name: min(p.levels.level_for(name) for p in live) for name in names}
        wanted[""] = min(pipeline.levels.default for pipeline in live)
        for name, level in wanted.items():
            logger = logging.getLogger(name or None)
            self._levels[name] = (logger.level, level)
            logger.setLevel(level)

    def _restore_levels(self) -> None:
        for name, (before, ours) in self._levels.items():
            logger = logging.getLogger(name or None)
            if logger.level == ours:  # else somebody has set it meanwhile, and meant it
                logger.setLevel(before)
        self._levels = {}


_PROCESS: Final = _Process()


def _make_target(*args: Any) -> Any:
    return STATE.target(args[0] if args and isinstance(args[0], str) else None)


class LoggingHandle:
    """Logging as configured by one call; :meth:`close` restores what was before.

    Also a context manager. Closing in another order than opening is fine: the
    last one that is still open is in force.

    Example:
        >>> from shared.logging import MemorySink, configure_logging, get_logger
        >>> handle = configure_logging({"LOG_FORMAT": "json"}, sink=MemorySink())
        >>> log = get_logger("orders")
        >>> log.debug("not yet")
        >>> handle.set_level("DEBUG", "orders")
        >>> log.debug("now")
        >>> [event["event"] for event in handle.sink.events]
        ['now']
        >>> handle.stats()["lost"]
        0
        >>> handle.close()
    """

    def __init__(self, pipeline: Pipeline, slot: RuntimeSlot, runtime: Runtime, *, owns_sink: bool) -> None:
        self._pipeline = pipeline
        self._slot = slot
        self._runtime = runtime  # held: who holds the handle wants its logging to go on
        self._owns_sink = owns_sink

    @property
    def sink(self) -> Sink:
        """Where lines go."""
        return self._pipeline.sink

    def set_level(self, level: int | str, logger: str | None = None) -> None:
        """Change the default level, or that of *logger* and what is beneath it, from now on.

        Raises:
            ConfigurationError: *level* is unknown.
        """
        levels = self._pipeline.levels
        if logger is None:
            self._pipeline.levels = LevelMap(parse_level(level), levels.by_name)
        else:
            self._pipeline.levels = LevelMap(levels.default, {**levels.by_name, logger: parse_level(level)})
        STATE.refresh()
        _PROCESS.sync()

    def reopen(self) -> bool:
        """Open a log file anew after a rotation, at once; True when there was one and it worked."""
        sink: Any = getattr(self.sink, "sink", self.sink)  # a thread sink has the file inside
        reopen = getattr(sink, "reopen", None)
        return bool(reopen()) if callable(reopen) else False

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait at most *timeout* seconds until every line is delivered; tell whether it is."""
        return self.sink.flush(timeout)

    def stats(self) -> dict[str, Any]:
        """Return the counters of this pipeline; see :func:`log_stats`."""
        return self._pipeline.stats()

    def close(self) -> None:
        """Restore what was before and release the sink; safe to call twice."""
        _close(self._slot, self._pipeline, owns_sink=self._owns_sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _close(slot: RuntimeSlot, pipeline: Pipeline, *, owns_sink: bool) -> None:
    if not STATE.remove(slot, pipeline):
        return
    _PROCESS.sync()
    if owns_sink:
        pipeline.sink.close()


def configure_logging(
    settings: Any = None,
    *,
    service: str | None = None,
    version: str | None = None,
    environment: str | None = None,
    sink: Any = None,
    level: int | str | None = None,
    format: str | None = None,
    levels: Mapping[str, int | str] | None = None,
    redact_names: Sequence[str] | None = None,
    max_line_bytes: int | None = None,
    processors: Sequence[Processor] = (),
    colors: bool | None = None,
    server_access: bool = True,
    debug_buffer: int = 0,
    runtime: Runtime | None = None,
    clock: Clock = time.time,
) -> LoggingHandle:
    """Send the lines of every logger in the process through one pipeline.

    Loggers of this room and of structlog, the standard library's, those of
    uvicorn, gunicorn and SQLAlchemy, warnings and uncaught exceptions: one
    stream, one line each. May be called again at any time; the last call is in
    force until its handle is closed, and no line is ever doubled.

    Each :class:`~shared.runtime.Runtime` has its own: two applications in one
    process keep their service names, levels and sinks apart. A line made outside
    of any configured runtime (by a server, or in a thread started without
    context) goes to the one configured first. It goes on when the runtime is
    closed, for the last lines of a service, and ends with the handle, or when
    handle and runtime are both dropped.

    Args:
        settings: ``Settings``, its ``logging`` section, or a mapping with the
            ``LOG_*`` names. None: the settings in force (``get_settings()``).
        service: Name of the service, on every line.
        version: Its version, on every line as ``service_version``.
        environment: Where it runs, on every line.
        sink: ``"stdout"``, ``"stderr"``, ``"thread"`` (a background thread in front
            of stdout), ``"thread:<sink>"``, the path of a file, an open file
            object, or a :class:`Sink`. One that was made here is closed here.
        level: Lowest level written.
        format: ``"json"``, ``"ecs"`` or ``"console"``.
        levels: Logger name to level; a name covers what is beneath it.
        redact_names: More names of fields whose values are secret.
        max_line_bytes: Longest line; what is longer is cut and marked ``truncated``.
        processors: structlog processors that see each event before the redaction.
        colors: Colours of the console format; None: on a terminal, unless ``NO_COLOR`` is set.
        server_access: False leaves out the access lines of uvicorn and gunicorn,
            for an application that writes its own.
        debug_buffer: Keep this many lines below their level per request, and write them
            when the request logs an error; 0 for none. Loggers of this room only. A
            debug call then costs a line that is rendered and mostly thrown away.
        runtime: Whose pipeline this is; None: the current one.
        clock: Seconds since the epoch.

    Returns:
        The handle whose ``close()`` restores exactly what was before.

    Raises:
        ConfigurationError: A value is unknown or unusable, or the settings are wrong.

    Example:
        >>> from shared.logging import MemorySink, configure_logging, get_logger
        >>> memory = MemorySink()
        >>> with configure_logging({"LOG_FORMAT": "json"}, service="orders", sink=memory):
        ...     get_logger("orders.api").info("order placed", order_id=7)
        >>> line = memory.events[0]
        >>> line["service"], line["logger"], line["event"], line["order_id"]
        ('orders', 'orders.api', 'order placed', 7)
    """
    options = (
        Options.from_settings(_current_settings() if settings is None else settings)
        .override(
            service=service,
            version=version,
            environment=environment,
            sink=sink,
            level=level,
            format=format,
            levels=levels,
            redact_names=redact_names,
            max_line_bytes=max_line_bytes,
        )
        .checked()
    )
    opened, owned = open_sink(options.sink)
    use_colors = not options.no_color and is_terminal(opened) if colors is None else colors
    pipeline = Pipeline(
        options, opened, processors=processors, clock=clock, colors=use_colors, debug_buffer=debug_buffer
    )
    pipeline.server_access = server_access
    if isinstance(opened, ThreadSink) and opened.report is None:
        opened.report = pipeline.dropped_line
    owner = runtime or current()
    slot = STATE.slot_of(owner)
    STATE.push(slot, pipeline, partial(_close, slot, pipeline, owns_sink=owned))
    _PROCESS.sync()
    return LoggingHandle(pipeline, slot, owner, owns_sink=owned)


def _current_settings() -> Any:
    from shared.config import get_settings

    return get_settings()


def _fallback() -> Pipeline:
    """Return the pipeline of a process that has configured nothing: its settings, else the defaults.

    Only for loggers of this room; stdlib logging stays as it is.
    """
    try:
        options = Options.from_settings(_current_settings()).checked()
        sink, _ = open_sink(options.sink)
    except Exception:  # noqa: BLE001 - wrong settings are reported where they are asked for
        options, (sink, _) = Options(), open_sink("stdout")
    return Pipeline(options, sink, colors=not options.no_color and is_terminal(sink))


STATE.make_fallback = _fallback


def log_stats() -> dict[str, Any]:
    """Return how the pipeline in force is doing.

    Returns:
        ``{"lost", "lost_by_reason", "repaired", "truncated", "unloggable", …}``:
        lines a sink could not deliver, in total and by reason (``ENOSPC``,
        ``EPIPE``, ``blocked``, ``queue full``); lines with a value that JSON cannot
        hold, lines cut to the limit, lines of which only the event was left; and
        what the sink adds (``queued``).

    Example:
        >>> log_stats()["lost"]
        0
    """
    return STATE.find().stats()
