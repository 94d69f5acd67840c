"""An exception as data: type, masked message, frames, causes. Never a local value.

The walk reads only code objects and line numbers; it opens no source file and
looks at no frame's variables, so nothing that was in a variable can leak and an
exception line stays cheap.
"""

import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from shared.logging._text import safe_text, type_name

__all__ = ["describe_exception", "render_lines"]

_MAX_FRAMES: Final = 40
_MAX_CHAIN: Final = 8
_MAX_MEMBERS: Final = 10  # of an exception group
_MAX_MESSAGE: Final = 2000  # characters

# SQLAlchemy appends the bound values to its messages; they are data of people.
_BOUND_VALUES: Final = re.compile(r"\n\[parameters: .*", re.DOTALL)

Mask = Callable[[str], str]


def describe_exception(exc: BaseException, mask: Mask) -> dict[str, Any]:
    """Return *exc* as plain data, its chain of causes included.

    Returns:
        ``{"type", "message", "frames": [{"file", "line", "func"}], …}``, oldest
        call first, with ``code`` of our own errors, ``notes``, ``cause`` or
        ``context`` (the same shape) and ``exceptions`` of a group where there are any.
    """
    return _describe(exc, mask, _MAX_CHAIN, set())


def _describe(exc: BaseException, mask: Mask, depth: int, seen: set[int]) -> dict[str, Any]:
    seen.add(id(exc))
    found: dict[str, Any] = {"type": type_name(exc), "message": mask(_message(exc))}
    code = getattr(exc, "code", None)
    if isinstance(code, str):
        found["code"] = str.__str__(code)
    notes = getattr(exc, "__notes__", None)
    if isinstance(notes, list) and notes:
        found["notes"] = [mask(safe_text(note, _MAX_MESSAGE)) for note in notes[:_MAX_MEMBERS]]
    found["frames"] = _frames(exc.__traceback__)
    if isinstance(exc, BaseExceptionGroup) and depth:
        found["exceptions"] = [
            _describe(member, mask, depth - 1, seen)
            for member in exc.exceptions[:_MAX_MEMBERS]
            if id(member) not in seen
        ]
        if len(exc.exceptions) > _MAX_MEMBERS:
            found["exceptions_omitted"] = len(exc.exceptions) - _MAX_MEMBERS
    _add_origin(found, exc, mask, depth, seen)
    return found


def _add_origin(found: dict[str, Any], exc: BaseException, mask: Mask, depth: int, seen: set[int]) -> None:
    """Add what led to *exc*: the stated cause, else what was being handled."""
    origin, key = exc.__cause__, "cause"
    if origin is None and not exc.__suppress_context__:
        origin, key = exc.__context__, "context"
    if origin is not None and depth and id(origin) not in seen:
        found[key] = _describe(origin, mask, depth - 1, seen)


def _message(exc: BaseException) -> str:
    errors = getattr(exc, "errors", None)
    if callable(errors) and type(exc).__module__.partition(".")[0] in ("pydantic", "pydantic_core"):
        return _validation_message(exc, errors)
    text = safe_text(exc, _MAX_MESSAGE)
    return _BOUND_VALUES.sub("", text) if "[parameters: " in text else text


def _validation_message(exc: BaseException, errors: Callable[..., Any]) -> str:
    """Return what pydantic found wrong, and where, without the input it found."""
    try:
        found = errors(include_url=False, include_context=False, include_input=False)
        parts = [
            f"{'.'.join(map(str, error['loc'])) or '(root)'}: {error['msg']}"
            for error in found[:_MAX_MEMBERS]
        ]
    except Exception:  # noqa: BLE001 - a message must come out whatever the library's version
        return type_name(exc)
    return f"{len(found)} validation errors: " + "; ".join(parts)


def _frames(traceback: TracebackType | None) -> list[dict[str, Any]]:
    """Return the frames of *traceback*; of a very deep one the two ends."""
    frames: list[dict[str, Any]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append({"file": code.co_filename, "line": traceback.tb_lineno, "func": code.co_qualname})
        traceback = traceback.tb_next
    if len(frames) > _MAX_FRAMES:
        omitted = len(frames) - _MAX_FRAMES
        half = _MAX_FRAMES // 2
        frames[half:-half] = [{"omitted": omitted}]
    return frames


def render_lines(found: dict[str, Any]) -> list[str]:
    """Return a described exception as lines for people, newest error first."""
    lines = [f"{found.get('type', '')}: {found.get('message', '')}"]
    lines += [f"  note: {note}" for note in found.get("notes", ())]
    for frame in found.get("frames", ()):
        if "omitted" in frame:
            lines.append(f"  ... {frame['omitted']} frames omitted")
        else:
            lines.append(f"  at {frame['file']}:{frame['line']} in {frame['func']}")
    for number, member in enumerate(found.get("exceptions", ()), 1):
        lines += [f"  [{number}] {line}" for line in render_lines(member)]
    for key, title in (("cause", "caused by"), ("context", "while handling")):
        if key in found:
            first, *rest = render_lines(found[key])
            lines += [f"{title} {first}", *rest]
    return lines
