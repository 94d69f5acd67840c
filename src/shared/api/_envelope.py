"""The two documented shapes of an answer, as mappings and as bytes."""

import time
from dataclasses import dataclass
from typing import Any, Final

from shared.api._json import dumps, dumps_lossy
from shared.constants import DEFAULT_API_VERSION, SuccessMessage

__all__ = ["Success", "error_bytes", "error_response", "success_bytes", "success_response", "timestamp"]

_OK: Final = str(SuccessMessage.OPERATION)


@dataclass(frozen=True, slots=True)
class Success:
    """Data together with the parts of the envelope that differ from the defaults.

    Return it where a handler would return plain data.

    Attributes:
        data: What goes under ``data``.
        message: One line for people.
        meta: Facts beside the data, such as a page's position; left out when None.
        headers: More headers of the answer, as pairs of text.

    Example:
        >>> Success([1, 2], message="Two found", meta={"total": 2}).meta
        {'total': 2}
    """

    data: Any = None
    message: str = _OK
    meta: Any = None
    headers: tuple[tuple[str, str], ...] = ()


_second = -1
_text = ""


def timestamp(now: float | None = None) -> str:
    """Return the second as ``2025-01-01T00:00:00Z``.

    Args:
        now: Seconds since the epoch; the present when None.

    Example:
        >>> timestamp(1735689600.9)
        '2025-01-01T00:00:00Z'
    """
    global _second, _text  # noqa: PLW0603 - the text first: a race only repeats the work
    if now is not None:
        return _format(int(now))
    second = int(time.time())
    if second != _second:
        _text = _format(second)
        _second = second
    return _text


def _format(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def success_response(
    data: Any = None,
    message: str = _OK,
    *,
    version: str = DEFAULT_API_VERSION,
    meta: Any = None,
) -> dict[str, Any]:
    """Return the documented envelope of a success.

    Args:
        data: The answer itself; any value that has a JSON form.
        message: One line for people.
        version: Version of the API that answered.
        meta: Facts beside the data; the key exists only when this is not None.

    Returns:
        ``{"success": True, "data", "message", "timestamp", "version"}``, in this
        order, the timestamp in whole seconds of UTC.

    Example:
        >>> answer = success_response({"id": 7})
        >>> list(answer)
        ['success', 'data', 'message', 'timestamp', 'version']
    """
    envelope = {
        "success": True,
        "data": data,
        "message": message,
        "timestamp": timestamp(),
        "version": version,
    }
    if meta is not None:
        envelope["meta"] = meta
    return envelope


def error_response(
    code: str,
    message: str,
    details: Any = None,
    *,
    version: str = DEFAULT_API_VERSION,
) -> dict[str, Any]:
    """Return the documented envelope of an error.

    Args:
        code: Stable name of what went wrong, such as ``"VALIDATION_ERROR"``.
        message: One line for people; never a secret.
        details: Facts for programs; an empty object when None.
        version: Version of the API that answered.

    Returns:
        ``{"success": False, "error": {"code", "message", "details"}, "timestamp",
        "version"}``, in this order.

    Example:
        >>> error_response("NOT_FOUND", "order not found")["error"]
        {'code': 'NOT_FOUND', 'message': 'order not found', 'details': {}}
    """
    return {
        "success": False,
        "error": {"code": str(code), "message": message, "details": {} if details is None else details},
        "timestamp": timestamp(),
        "version": version,
    }


_tails: dict[tuple[str, str], tuple[str, bytes]] = {}


def splice(data: bytes, message: str, version: str, meta: Any = None) -> bytes:
    """Put JSON bytes of the data into the envelope of a success."""
    now = timestamp()
    known = _tails.get((message, version))
    if known is None or known[0] != now:
        known = _make_tail(message, version, now)
    if meta is None:
        return b'{"success":true,"data":' + data + known[1]
    return b"".join((b'{"success":true,"data":', data, known[1][:-1], b',"meta":', dumps(meta), b"}"))


def _make_tail(message: str, version: str, now: str) -> tuple[str, bytes]:
    """Return what stands behind the data, remembered for the rest of the second."""
    tail = b',"message":%b,"timestamp":"%b","version":%b}' % (dumps(message), now.encode(), dumps(version))
    if len(_tails) >= 256:  # messages made from data would grow it for ever
        _tails.clear()
    _tails[message, version] = known = (now, tail)
    return known


def success_bytes(
    data: Any = None,
    message: str = _OK,
    *,
    version: str = DEFAULT_API_VERSION,
    meta: Any = None,
) -> bytes:
    """Return what :func:`success_response` describes as JSON bytes, several times faster.

    A pydantic model is serialised by pydantic's own core, by alias; everything
    else as :mod:`shared.api` describes for JSON. A :class:`Success` brings its
    own message and meta.

    Raises:
        SharedError: The data has no JSON form.

    Example:
        >>> success_bytes({"id": 7})[:31]
        b'{"success":true,"data":{"id":7}'
    """
    kind = type(data)
    if kind is dict or kind is list:
        raw = plain_bytes(data)
    else:
        if kind is Success:
            data, message, meta = data.data, data.message, data.meta
        raw = data_bytes(data)
    return splice(raw, message, version, meta)


def data_bytes(data: Any) -> bytes:
    """Return the JSON bytes of *data*, by the fastest serialiser that fits it."""
    serializer = getattr(type(data), "__pydantic_serializer__", None)
    if serializer is None:
        return plain_bytes(data)
    try:
        return serializer.to_json(data, by_alias=True)  # type: ignore[no-any-return]
    except Exception:  # noqa: BLE001 - lone surrogates and friends; the slow way copes or explains
        return dumps(data)


def plain_bytes(data: Any) -> bytes:
    """Return the JSON bytes of *data* that is no model itself, but may be a list of models."""
    if type(data) in (list, tuple) and data and hasattr(type(data[0]), "__pydantic_serializer__"):
        from pydantic_core import to_json

        try:
            return to_json(data, by_alias=True, inf_nan_mode="null")
        except Exception:  # noqa: BLE001
            return dumps(data)
    return dumps(data)


def error_bytes(
    code: str,
    message: str,
    details: Any = None,
    *,
    version: str = DEFAULT_API_VERSION,
) -> bytes:
    """Return what :func:`error_response` describes as JSON bytes; never raises.

    Details without a JSON form are replaced by the name of their type: an error
    about an error helps nobody.

    Example:
        >>> error_bytes("CONFLICT", "taken", {"by": object()})[:90]
        b'{"success":false,"error":{"code":"CONFLICT","message":"taken","details":{"by":"<object>"}}'
    """
    return dumps_lossy(error_response(code, message, details, version=version))
