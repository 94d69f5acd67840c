"""What an error tracker learns about an exception: where and what, without anybody's data."""

import functools
import hashlib
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple

from shared.context import current_context
from shared.monitoring._span import masked_text

_MAX_FRAMES: Final = 50
_MAX_CHAIN: Final = 10
_FINGERPRINT_FRAMES: Final = 5


class ErrorFrame(NamedTuple):
    """A line of the traceback; never with local variables.

    Example:
        >>> ErrorFrame("orders.api", "place", "/app/orders/api.py", 12, True).function
        'place'
    """

    module: str
    function: str
    file: str
    line: int
    in_app: bool


class ErrorReport(NamedTuple):
    """One exception, ready to be sent.

    Attributes:
        type: Qualified name of its class.
        message: What it said, masked and cut to 1000 characters.
        frames: The traceback, outermost first.
        fingerprint: The same for the same error, whatever its text and line numbers.
        causes: Type and masked text of the exceptions behind it, nearest first.
        context: Correlation, request and trace id, as far as they are known.
        facts: What the caller added, redacted.
        handled: Whether somebody caught it on purpose.
        suppressed: How many of the same kind were not reported since the last one.

    Example:
        >>> report = error_report(ValueError("qty is -1"))
        >>> report.type, report.message
        ('ValueError', 'qty is -1')
    """

    type: str
    message: str
    frames: tuple[ErrorFrame, ...]
    fingerprint: str
    causes: tuple[tuple[str, str], ...] = ()
    context: Mapping[str, str] = {}
    facts: Mapping[str, Any] = {}
    handled: bool = False
    suppressed: int = 0


def error_report(
    exc: BaseException, *, facts: Mapping[str, Any] | None = None, handled: bool = False
) -> ErrorReport:
    """Return what may be told about *exc*."""
    from shared.security import Redactor

    frames = tuple(_frames(exc.__traceback__))
    name = _name(exc)
    return ErrorReport(
        name,
        masked_text(exc),
        frames,
        fingerprint_of(name, frames),
        tuple((_name(cause), masked_text(cause)) for cause in _causes(exc)),
        _ids(),
        Redactor().redact(dict(facts)) if facts else {},
        handled,
    )


def fingerprint_of(name: str, frames: tuple[ErrorFrame, ...]) -> str:
    """Return 32 hex digits that group errors: the class and the innermost functions of the service.

    Neither text nor line numbers count: one holds ids, the others change with every
    edit.
    """
    chosen = [frame for frame in frames if frame.in_app] or list(frames)
    parts = [name, *(f"{frame.module}:{frame.function}" for frame in chosen[-_FINGERPRINT_FRAMES:])]
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


@functools.cache
def _libraries() -> tuple[str, ...]:
    """Return the folders of everybody else's code."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(filter(None, map(sysconfig.get_path, names)))


def _frames(tb: TracebackType | None) -> Iterator[ErrorFrame]:
    walked = list(traceback.walk_tb(tb))[-_MAX_FRAMES:]
    for frame, line in walked:
        code = frame.f_code
        module = str(frame.f_globals.get("__name__") or "")
        file = code.co_filename
        ours = not (module == "shared" or module.startswith("shared.") or file.startswith(_libraries()))
        yield ErrorFrame(module, code.co_qualname, file, line, ours and not file.startswith("<"))


def _causes(exc: BaseException) -> Iterator[BaseException]:
    seen = {id(exc)}
    for _ in range(_MAX_CHAIN):
        following = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
        if following is None or id(following) in seen:
            return
        seen.add(id(following))
        yield following
        exc = following


def _name(exc: BaseException) -> str:
    cls = type(exc)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _ids() -> dict[str, str]:
    context = current_context()
    if context is None:
        return {}
    found = {"correlation_id": context.correlation_id, "request_id": context.request_id}
    if context.trace is not None:
        found |= {"trace_id": context.trace.trace_id, "span_id": context.trace.span_id}
    return found
