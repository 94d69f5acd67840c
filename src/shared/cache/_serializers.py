"""How values become bytes and come back as values of their own."""

from typing import Any, Final, Protocol

import orjson

from shared.errors import InvalidArgumentError, MissingDependencyError

__all__ = ["JsonSerializer", "ModelSerializer", "MsgpackSerializer", "Serializer"]


class Serializer(Protocol):
    """Turns values into bytes and back; what comes back shares nothing with what went in.

    Example:
        >>> class Text:
        ...     name = "text"
        ...     def dumps(self, value): return value.encode()
        ...     def loads(self, data): return data.decode()
        >>> serializer: Serializer = Text()
    """

    @property
    def name(self) -> str:
        """Kept beside the bytes, so that another serializer does not read them."""

    def dumps(self, value: Any) -> bytes:
        """Return the bytes of *value*; raise :class:`InvalidArgumentError` when it has none."""

    def loads(self, data: bytes) -> Any:
        """Return a new value; any exception means that the bytes are of no use."""


class JsonSerializer:
    """JSON by orjson, for what JSON can give back: mappings with string keys, lists, text, numbers.

    A tuple comes back as a list. What would come back as text, such as a date, a
    ``Decimal`` or a ``UUID``, is refused: convert it, or use :class:`ModelSerializer`.

    Example:
        >>> JsonSerializer().loads(JsonSerializer().dumps({"sku": "a-1", "stock": 3}))
        {'sku': 'a-1', 'stock': 3}
        >>> import datetime
        >>> JsonSerializer().dumps(datetime.date(2026, 1, 1))
        Traceback (most recent call last):
        shared.errors.InvalidArgumentError: JSON does not give back a date: convert it, or cache its model
    """

    name: Final = "json"

    __slots__ = ()

    def loads(self, data: bytes) -> Any:
        """Return a new value."""
        return orjson.loads(data)

    def dumps(self, value: Any) -> bytes:
        """Return JSON.

        Raises:
            InvalidArgumentError: JSON would not give the value back.
        """
        try:
            return orjson.dumps(value, None, _STRICT)
        except TypeError as exc:
            kind = _culprit(value)
            msg = f"JSON does not give back {kind}: convert it, or cache its model"
            raise InvalidArgumentError(msg) from exc


_STRICT: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_FINE: Final = (str, int, float, bool, type(None))


def _culprit(value: Any, depth: int = 0) -> str:
    """Name the kind of the first value JSON does not know; never the value, which may be personal."""
    if depth > 100:
        return "what is nested this deep"
    if type(value) is dict:
        for key, inner in value.items():
            if type(key) is not str:
                return f"a key of type {type(key).__name__}"
            found = _culprit(inner, depth + 1)
            if found:
                return found
        return ""
    if type(value) in {list, tuple}:
        return next(filter(None, (_culprit(inner, depth + 1) for inner in value)), "")
    if type(value) is int and not -(2**63) <= value < 2**64:
        return "an integer of more than 64 bits"
    if type(value) is str:
        return "" if value.isascii() or _is_utf8(value) else "text with surrogates"
    return "" if type(value) in _FINE else f"a {type(value).__name__}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class MsgpackSerializer:
    r"""MessagePack: smaller than JSON, and knows bytes.

    Raises:
        MissingDependencyError: msgpack is not installed.

    Example:
        >>> serializer = MsgpackSerializer()
        >>> serializer.loads(serializer.dumps({"thumbnail": b"\x89PNG"}))
        {'thumbnail': b'\x89PNG'}
    """

    name: Final = "msgpack"

    __slots__ = ("_pack", "_unpack")

    def __init__(self) -> None:
        try:
            import msgpack  # type: ignore[import-untyped]
        except ImportError as exc:
            raise MissingDependencyError("msgpack", extra="msgpack") from exc
        self._pack = msgpack.packb
        self._unpack = msgpack.unpackb

    def dumps(self, value: Any) -> bytes:
        """Return MessagePack.

        Raises:
            InvalidArgumentError: It would not give the value back.
        """
        try:
            return self._pack(value, strict_types=False)  # type: ignore[no-any-return]
        except (TypeError, ValueError, OverflowError) as exc:
            msg = (
                f"MessagePack does not take this {type(value).__name__}: convert it, or cache it by its model"
            )
            raise InvalidArgumentError(msg) from exc

    def loads(self, data: bytes) -> Any:
        """Return a new value."""
        return self._unpack(data)


class ModelSerializer:
    """Values of one type, checked by pydantic when they come back.

    Anything pydantic understands: models, dataclasses, typed dicts, and containers,
    dates and decimals among them. What was stored under an older shape and does not
    fit any more is a miss, not an error.

    Args:
        model: The type.

    Raises:
        InvalidArgumentError: pydantic makes nothing of the type.

    Example:
        >>> import datetime, decimal
        >>> serializer = ModelSerializer(tuple[datetime.date, decimal.Decimal])
        >>> serializer.loads(serializer.dumps((datetime.date(2026, 1, 31), decimal.Decimal("1.10"))))
        (datetime.date(2026, 1, 31), Decimal('1.10'))
    """

    name: Final = "json"  # what is stored is plain JSON

    __slots__ = ("_adapter",)

    def __init__(self, model: Any) -> None:
        from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(model)
        except (PydanticSchemaGenerationError, PydanticUserError) as exc:
            name = getattr(model, "__name__", model)
            msg = f"pydantic cannot describe {name!r}: give the cache a model it knows"
            raise InvalidArgumentError(msg) from exc

    def dumps(self, value: Any) -> bytes:
        """Return JSON.

        Raises:
            InvalidArgumentError: The value is not of the type.
        """
        try:
            return self._adapter.dump_json(value, warnings="error")
        except Exception as exc:
            # Validators and serializers are the service's own: anything may come out of them.
            msg = f"a {type(value).__name__} is not of the model this cache was given"
            raise InvalidArgumentError(msg) from exc

    def loads(self, data: bytes) -> Any:
        """Return a new value of the type."""
        return self._adapter.validate_json(data)
