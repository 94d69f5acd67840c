"""Make a FastAPI document tell the truth about errors."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final

from shared.api._declared import DEPRECATION_HEADERS, LIMIT_HEADERS, METHODS
from shared.api._error_refs import ERRORS, OTHER, RESPONSES, reference
from shared.api._models import ErrorBody, ErrorEnvelope, Problem
from shared.constants import ERROR_MESSAGES, ErrorCode

__all__ = ["with_errors", "with_health", "with_idempotency"]

_SCHEMAS: Final = "#/components/schemas/"

_RETRY_AFTER: Final = {
    "description": "Seconds until the same request is worth another try.",
    "schema": {"type": "integer", "minimum": 1},
}
_HEADERS: Final[dict[ErrorCode, dict[str, Any]]] = {
    ErrorCode.METHOD_NOT_ALLOWED: {
        "Allow": {"description": "Methods there are.", "schema": {"type": "string"}},
    },
    ErrorCode.API_VERSION_RETIRED: DEPRECATION_HEADERS,
    ErrorCode.RATE_LIMIT_EXCEEDED: {
        "Retry-After": _RETRY_AFTER,
        **LIMIT_HEADERS,
    },
    ErrorCode.SERVICE_UNAVAILABLE: {"Retry-After": _RETRY_AFTER},
}
_MODELS: Final = (ErrorBody, ErrorEnvelope, Problem)
# A bare key; the quotes of structured fields may stand around any printable text.
_KEY: Final = r"^[!#-+\-./0-9:<-\[\]-~]+$"
_ALWAYS: Final = ("400", "401", "403", "404", "405", "429", "500", "503", "504")
_WITH_BODY: Final = ("413", "415")


def with_errors(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of *document* that describes the errors the layer really sends.

    ``HTTPValidationError`` gives way to the envelope; the common errors are added
    to every operation by reference, in both media types. A response that the
    author declared is left alone.
    """
    document = copy.deepcopy(document)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for operation in _operations(document):
        _describe(operation)
    for name in ("HTTPValidationError", "ValidationError"):  # the first refers to the second
        if name in schemas and not _is_used(document, name):
            del schemas[name]
    prefix = _prefix(schemas)
    schemas.update(_schemas(prefix))
    responses = components.setdefault("responses", {})
    for name, code in ERRORS.values():
        responses.setdefault(name, _response(code, prefix))
    for name in _others(document):
        responses.setdefault(name, _response(ErrorCode.HTTP_ERROR, prefix))
    components["schemas"] = dict(sorted(schemas.items()))
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        for method in METHODS:
            if method in path:
                yield path[method]


def _others(document: dict[str, Any]) -> set[str]:
    """Return the names of referenced error responses without a message of their own."""
    found = {
        str(response.get("$ref", "")).removeprefix(RESPONSES)
        for operation in _operations(document)
        for response in operation["responses"].values()
    }
    return {name for name in found if name.startswith(OTHER) and name[len(OTHER) :].isdigit()}


def _describe(operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    if _is_default_422(responses.get("422")):
        del responses["422"]
    wanted = list(_ALWAYS)
    if "requestBody" in operation:
        wanted += _WITH_BODY
    if "requestBody" in operation or operation.get("parameters"):
        wanted.append("422")
    for status in sorted(wanted):
        responses.setdefault(status, reference(status))


def _is_default_422(response: Any) -> bool:
    return _SCHEMAS + "HTTPValidationError" in repr(response)


def _is_used(node: Any, name: str) -> bool:
    """Tell whether anything refers to the schema; a service may have a model of that name."""
    if isinstance(node, dict):
        return node.get("$ref") == _SCHEMAS + name or any(_is_used(value, name) for value in node.values())
    return isinstance(node, list) and any(_is_used(value, name) for value in node)


def _prefix(schemas: dict[str, Any]) -> str:
    """Return what our schemas' names begin with: nothing, unless the service has such names itself."""
    taken = any(model.__name__ in schemas for model in _MODELS)
    return "Shared" if taken else ""


def _schemas(prefix: str) -> dict[str, Any]:
    shown = {}
    for model in _MODELS:
        schema = model.model_json_schema(ref_template=_SCHEMAS + prefix + "{model}", mode="serialization")
        schema.pop("$defs", None)
        schema["description"] = schema.get("description", "").partition("\n")[0]
        shown[prefix + model.__name__] = schema
    return shown


def _response(code: ErrorCode, prefix: str) -> dict[str, Any]:
    told = _HEADERS.get(code)
    return {
        "description": ERROR_MESSAGES[code],
        **({} if told is None else {"headers": told}),
        "content": {
            "application/json": {"schema": {"$ref": f"{_SCHEMAS}{prefix}ErrorEnvelope"}},
            "application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}{prefix}Problem"}},
        },
    }


def with_health(document: dict[str, Any], paths: tuple[str, str, str]) -> dict[str, Any]:
    """Return a copy of *document* that lists the three probes."""
    document = copy.copy(document)
    document["paths"] = dict(document.get("paths", {}))
    names = ("Health", "Readiness", "Liveness")
    for path, name in zip(paths, names, strict=True):
        document["paths"].setdefault(path, {"get": _probe(name)})
    return document


def with_idempotency(
    document: dict[str, Any], methods: Iterable[str], required: bool | Iterable[str]
) -> dict[str, Any]:
    """Return a copy of *document* in which operations of *methods* take an ``Idempotency-Key``."""
    document = copy.deepcopy(document)
    responses = document.setdefault("components", {}).setdefault("responses", {})
    has_errors = "BadRequest" in responses
    if has_errors:
        prefix = _prefix(document["components"].get("schemas", {}))
        responses.setdefault("Conflict", _response(ErrorCode.CONFLICT, prefix))
    for path, operations in document.get("paths", {}).items():
        for method in methods:
            operation = operations.get(method.lower())
            if operation is None:
                continue
            key = {
                "name": "Idempotency-Key",
                "in": "header",
                "required": required is True or (not isinstance(required, bool) and path in required),
                "description": "Chosen by the caller, the same for every try of one request.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _KEY},
            }
            operation.setdefault("parameters", []).append(key)
            if has_errors:
                operation["responses"].setdefault("409", {"$ref": RESPONSES + "Conflict"})
                operation["responses"].setdefault("422", {"$ref": RESPONSES + "ValidationError"})
    return document


def _probe(name: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "uptime": {"type": "number", "description": "Seconds"},
            "checks": {"type": "object", "additionalProperties": True},
        },
    }
    content = {kind: {"schema": schema} for kind in ("application/json", "application/health+json")}
    return {
        "tags": ["health"],
        "summary": name,
        "operationId": f"shared_{name.lower()}",
        "responses": {
            "200": {"description": "In order", "content": content},
            "503": {"description": "Out of order, or not taking traffic", "content": content},
        },
    }
