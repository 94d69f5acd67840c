"""Turn a framework's validation report into ours, without what the caller sent."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar, cast, get_args

from shared.errors import BadRequestError, SharedError, ValidationError

__all__ = ["load_model", "validation_error"]

M = TypeVar("M")

_MAX_ERRORS: Final = 50
_MAX_PART: Final = 64  # characters of one step of a field's path; a step may be the caller's own key
_MAX_PATH: Final = 256
_GENERIC: Final = "Invalid value"
# Messages of pydantic's core never quote the input, except these.
_QUOTING: Final = {
    "union_tag_invalid": "Input tag does not match any of the expected tags",
    "uuid_parsing": "Input should be a valid UUID",
    "json_invalid": "Invalid JSON",
}
_OWN_WORDS: Final = frozenset({"value_error", "assertion_error"})


@cache
def _core_types() -> frozenset[str]:
    from pydantic_core.core_schema import ErrorType

    return frozenset(get_args(ErrorType)) - _OWN_WORDS


def validation_error(exc: Any) -> SharedError:
    """Return our error for a validation report of pydantic or FastAPI.

    Only the path of the field, the message and the type of each error are kept,
    at most 50 of them; the input, pydantic's ``ctx`` and its links are not. A
    message written by the service's own validator is kept unless it quotes the
    input. Broken JSON becomes a :class:`~shared.errors.BadRequestError`.

    Args:
        exc: Something with ``errors()`` in pydantic's form.

    Example:
        >>> from pydantic import BaseModel, ValidationError
        >>> class Item(BaseModel):
        ...     qty: int
        >>> try:
        ...     Item(qty="secret")
        ... except ValidationError as exc:
        ...     error = validation_error(exc).details["errors"][0]
        >>> error["field"], error["type"]
        ('qty', 'int_parsing')
    """
    report = exc.errors()
    for error in report:
        if error.get("type") == "json_invalid":
            return _bad_json(error)
    details: dict[str, Any] = {"errors": describe_errors(report)}
    if len(report) > _MAX_ERRORS:
        details["total"] = len(report)
    return ValidationError(details=details)


def describe_errors(report: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return ``[{"field", "message", "type"}]`` of at most 50 errors, safe to show."""
    described = []
    for error, _ in zip(report, range(_MAX_ERRORS), strict=False):
        kind = str(error.get("type", "value_error"))
        described.append(
            {"field": _path(error.get("loc", ())), "message": _message(error, kind), "type": kind}
        )
    return described


def _bad_json(error: Mapping[str, Any]) -> BadRequestError:
    loc = error.get("loc", ())
    position = loc[-1] if loc and isinstance(loc[-1], int) else None
    return BadRequestError(
        "the body is not valid JSON",
        details={"reason": "json_invalid"} | ({} if position is None else {"position": position}),
    )


def _path(loc: Iterable[Any]) -> str:
    steps = ("".join(c for c in str(step)[:_MAX_PART] if c.isprintable()) for step in loc)
    return ".".join(steps)[:_MAX_PATH]


def _message(error: Mapping[str, Any], kind: str) -> str:
    if kind in _QUOTING:
        return _QUOTING[kind]
    message = str(error.get("msg", _GENERIC))
    if kind in _core_types():
        return message
    return _GENERIC if any(leaf in message for leaf in _leaves(error.get("input"))) else message


def _leaves(value: Any) -> Iterator[str]:
    """Yield the texts and numbers inside *value* that are long enough to give something away."""
    stack, seen = [value], 0
    while stack and seen < 1000:
        item = stack.pop()
        seen += 1
        if isinstance(item, (str, int, float)) and not isinstance(item, bool):
            if len(text := str(item)) >= 3:
                yield text
        elif isinstance(item, bytes):
            stack.append(item.decode("utf-8", "replace"))
        elif isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        else:
            stack.extend(getattr(item, "__dict__", {}).values())


def load_model(model: type[M], data: Any) -> M:
    """Return *data* as an instance of a pydantic *model*, for handlers that parse by hand.

    Args:
        model: A pydantic model, or any type pydantic can validate.
        data: The raw JSON bytes of a body, or Python data.

    Raises:
        BadRequestError: The bytes are not JSON.
        ValidationError: The data does not fit; lists every wrong field, never the input.

    Example:
        >>> load_model(dict[str, int], b'{"qty": 2}')
        {'qty': 2}
    """
    from pydantic import TypeAdapter
    from pydantic import ValidationError as Refused

    adapter: TypeAdapter[M] = _adapter(cast(Any, model))
    try:
        if isinstance(data, (bytes, bytearray)):
            return adapter.validate_json(bytes(data))
        return adapter.validate_python(data)
    except Refused as exc:
        raise validation_error(exc) from None


@cache
def _adapter(model: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)
