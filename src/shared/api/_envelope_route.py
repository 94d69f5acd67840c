"""A FastAPI route class that documents the envelope and serialises only the data."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import routing
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from shared.api._envelope import Success, data_bytes, splice
from shared.api._exchange import EXCHANGE_KEY
from shared.api._json import dumps
from shared.api._models import Envelope
from shared.constants import DEFAULT_API_VERSION

__all__ = ["EnvelopeRoute"]

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class _Raw:
    """JSON bytes of the data on their way into an envelope."""

    __slots__ = ("data", "headers", "message", "meta")

    def __init__(self, data: bytes, success: Success) -> None:
        self.data = data
        self.headers = success.headers
        self.message = success.message
        self.meta = success.meta


class _RouteResponse(Response):
    """FastAPI makes it with the data's bytes; the route puts the envelope around them."""

    media_type = "application/json"
    raw: _Raw

    def render(self, content: Any) -> bytes:
        self.raw = content
        return b""

    def enclose(self, version: str) -> None:
        """Put the envelope around the data; nothing for statuses without a body."""
        if self.raw.headers:
            self.raw_headers += [(k.lower().encode(), v.encode("latin-1")) for k, v in self.raw.headers]
        if self.status_code < 200 or self.status_code in (204, 304):
            return
        self.body = splice(self.raw.data, self.raw.message, version, self.raw.meta)
        length = str(len(self.body)).encode()
        self.raw_headers = [(k, length if k == b"content-length" else v) for k, v in self.raw_headers]


class _DataField:
    """Stands in for FastAPI's response field: validates the data, serialises them to bytes.

    FastAPI hands whatever :meth:`serialize` returns to the response class, so the
    bytes of pydantic's core reach it without a detour over Python objects.
    """

    def __init__(self, field: Any, data_type: Any) -> None:
        self._field = field
        self._adapter: TypeAdapter[Any] | None = None if field is None else TypeAdapter(data_type)

    def validate(self, value: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        success = value if isinstance(value, Success) else Success(value)
        if self._field is None:
            return success, None
        data, errors = self._field.validate(success.data, *args, **kwargs)
        return Success(data, success.message, success.meta, success.headers), errors

    def serialize(self, value: Success, **options: Any) -> _Raw:
        if self._adapter is None:
            return _Raw(data_bytes(value.data), value)
        options.pop("mode", None)
        try:
            data = self._adapter.dump_json(value.data, **options)
        except Exception:  # noqa: BLE001 - lone surrogates and friends; the slow way copes or explains
            data = dumps(self._adapter.dump_python(value.data, **options))
        return _Raw(data, value)

    serialize_json = serialize


class EnvelopeRoute(APIRoute):
    """Sends what the handler returns in the envelope of a success.

    The OpenAPI document shows ``Envelope[T]``; only the data of type ``T`` are
    validated and serialised. A handler may return :class:`shared.api.Success` to
    set message and meta. Untouched stay: a returned ``Response``, routes with a
    response class of their own, streams, and statuses without a body.

    Example:
        >>> from fastapi import APIRouter
        >>> router = APIRouter(route_class=EnvelopeRoute)
        >>> @router.get("/answer")
        ... async def answer() -> int:
        ...     return 42
        >>> router.routes[0].response_model
        <class 'shared.api._models.Envelope[int]'>
    """

    _data_type: Any = None
    _data_field: _DataField | None = None

    def get_route_handler(self) -> Endpoint:
        """Return FastAPI's handler, made to serialise the data only."""
        shown: Any = _effective(self) or self
        if self._data_field is None:
            if not _is_enveloped(self):
                return super().get_route_handler()
            self._data_type = _data_type(self.response_model)
            field = None if self._data_type is Any else self._field_of(self._data_type)
            self._data_field = _DataField(field, self._data_type)
        swapped = {"response_field": self._data_field, "response_class": _RouteResponse}
        if hasattr(shown, "secure_cloned_response_field"):  # FastAPI before 0.137 serialises by this one
            swapped["secure_cloned_response_field"] = self._data_field
        documented = {name: getattr(shown, name) for name in swapped}
        _set(shown, swapped)
        try:
            handler = super().get_route_handler()
        finally:
            _set(shown, documented)
        if shown is self:
            model = Envelope.__class_getitem__(self._data_type)
            _set(self, {"response_model": model, "response_field": self._field_of(model)})
        return _enclosing(handler)

    def _field_of(self, kind: Any) -> Any:
        from fastapi.utils import create_model_field

        return create_model_field(name="Response_" + self.unique_id, type_=kind, mode="serialization")


def _set(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(target, name, value)


def _data_type(model: Any) -> Any:
    """Return the type of the data: *model*, or what it envelops when a router copies a route of ours."""
    generic = getattr(model, "__pydantic_generic_metadata__", None) or {}
    if generic.get("origin") is Envelope:
        model = generic["args"][0]
    return Any if model is None else model


def _is_enveloped(route: APIRoute) -> bool:
    if not isinstance(route.response_class, DefaultPlaceholder):
        return False
    if route.status_code is not None and (route.status_code < 200 or route.status_code in (204, 304)):
        return False
    if getattr(route, "is_sse_stream", False) or getattr(route, "is_json_stream", False):
        return False
    annotation = getattr(route.endpoint, "__annotations__", {}).get("return")
    return not (isinstance(annotation, type) and issubclass(annotation, Response))


def _effective(route: APIRoute) -> Any:
    """Return FastAPI's effective context while an included router builds its handler (0.137 and later)."""
    variable = getattr(routing, "_effective_route_context_var", None)
    context = variable.get() if variable is not None else None
    return context if getattr(context, "original_route", None) is route else None


def _enclosing(handler: Endpoint) -> Endpoint:
    async def enclosed(request: Request) -> Response:
        response = await handler(request)
        if type(response) is _RouteResponse:
            exchange = request.scope.get(EXCHANGE_KEY)
            response.enclose(DEFAULT_API_VERSION if exchange is None else exchange.api_version)
        return response

    return enclosed
