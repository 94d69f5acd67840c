"""Standard library logging in the same stream, once."""

import logging
from typing import Any, Final

from shared.logging._adopt import Adoption
from shared.logging._levels import level_name
from shared.logging._scrub import ATOMS
from shared.logging._state import STATE
from shared.logging._text import clip, safe_text

__all__ = ["BridgeHandler", "fields_of"]

# What every record has; everything else came in through extra=.
_USUAL: Final = len(vars(logging.makeLogRecord({})))
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_MAX_MESSAGE: Final = 8000  # characters
_ACCESS: Final = frozenset({"uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access"})


class BridgeHandler(logging.Handler):
    """Turns a ``LogRecord`` into an event and sends it the way of all lines.

    It sits on the root logger and takes no lock: the pipeline needs none, and a
    lock here could be held across a fork. Which pipeline is decided per record:
    that of the runtime the record was made in, else the one configured first.
    """

    def __init__(self, adoption: Adoption) -> None:
        super().__init__(level=logging.NOTSET)
        self._adoption = adoption

    def handle(self, record: logging.LogRecord) -> bool:
        """Write *record* when the filters let it pass, without the lock of the base class."""
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*; never raises."""
        name = record.name
        try:
            self._adoption.meet(name)
            pipeline = STATE.only
            if pipeline is None:
                pipeline = STATE.find()
                if not STATE.wants(pipeline, name, record.levelno):
                    return
            if name in _ACCESS and not pipeline.server_access:
                return
            fields = fields_of(record)
            event = _shortened(record, fields) or _message(record, fields)
        except Exception as exc:  # noqa: BLE001 - a record must not harm its caller
            pipeline, fields = STATE.find(), {"log_error": type(exc).__name__}
            event = safe_text(record.msg, _MAX_MESSAGE)
        pipeline.log(name, level_name(record.levelno), record.levelno, event, fields)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing: there is no traceback to print, :meth:`emit` contains its failures."""


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what *record* carries besides its message: extras and exception."""
    held = record.__dict__
    # Nothing more than every record has: nothing to look for.
    fields = (
        {} if len(held) == _USUAL else {key: value for key, value in held.items() if key not in _STANDARD}
    )
    exc_info = record.exc_info
    if exc_info:
        fields["exc_info"] = exc_info
    elif record.exc_text:  # rendered by another process; the queue handler does that
        fields["exception_text"] = record.exc_text
    if record.stack_info:
        fields["stack_text"] = record.stack_info
    if record.name == "uvicorn.access":
        _name_access(record, fields)
    return fields


def _message(record: logging.LogRecord, fields: dict[str, Any]) -> str:
    """Return the formatted message; arguments that do not fit become a field."""
    message = record.msg if type(record.msg) is str else safe_text(record.msg, _MAX_MESSAGE)
    if record.args:
        try:
            message = message % _readable(record.args)
        except Exception:  # noqa: BLE001 - wrong format, or a hostile argument
            args = record.args if isinstance(record.args, tuple) else (record.args,)
            fields["log_args"] = list(args)
    return clip(message, _MAX_MESSAGE)


def _readable(args: Any) -> Any:
    """Return *args* with containers masked under their keys before they become text."""
    mask = STATE.find().mask_argument
    if isinstance(args, tuple):
        return tuple([arg if type(arg) in ATOMS or type(arg) is str else mask(arg) for arg in args])
    return mask(args)


def _shortened(record: logging.LogRecord, fields: dict[str, Any]) -> str | None:
    """Split the report of an event loop: what happened, and the objects it is about.

    Those are shown by ``repr``, which has the exception's text unmasked in it; the
    exception itself is in the line already.
    """
    if record.name != "asyncio" or record.args:
        return None
    first, _, rest = safe_text(record.msg, _MAX_MESSAGE).partition("\n")
    if not rest:
        return None
    fields["detail"] = [line.split(" exception=", 1)[0] for line in rest.splitlines()[:10]]
    return first


def _name_access(record: logging.LogRecord, fields: dict[str, Any]) -> None:
    """Name the parts of uvicorn's access line."""
    args = record.args
    if isinstance(args, tuple) and len(args) == 5:
        client, method, path, version, status = args
        fields |= {
            "client": client,
            "method": method,
            "path": path,
            "http_version": version,
            "status": status,
        }
