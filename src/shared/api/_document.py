"""An OpenAPI document for frameworks that make none."""

import inspect
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from shared.api._declared import DeclaredRoute
from shared.api._documented import Operation, operation_of
from shared.api._models import Envelope
from shared.errors import MissingDependencyError

__all__ = ["DocumentedRoute", "base_document"]

_SCHEMAS: Final = "#/components/schemas/{model}"
_JSON: Final = "application/json"
_SILENT: Final = frozenset({"HEAD", "OPTIONS"})


class DocumentedRoute(NamedTuple):
    """A route, and the JSON schemas of its path's parameters."""

    declared: DeclaredRoute
    name: str
    parameters: dict[str, dict[str, Any]]


def base_document(
    routes: Iterable[DocumentedRoute], *, title: str, version: str, description: str = ""
) -> dict[str, Any]:
    """Return the document of *routes*, without what the layer adds.

    Raises:
        MissingDependencyError: apispec is not installed.
    """
    try:
        from apispec import APISpec
    except ImportError as exc:
        raise MissingDependencyError("apispec", extra="openapi") from exc
    info = {"description": description} if description else {}
    document = APISpec(title=title, version=version, openapi_version="3.1.0", info=info)
    operations = list(_operations(routes))
    schemas, definitions = _schemas(operations)
    for name in sorted(definitions):
        document.components.schema(name, definitions[name])
    for route, method, told, key in operations:
        document.path(
            path=route.declared.path, operations={method.lower(): _describe(route, told, key, schemas)}
        )
    made: dict[str, Any] = json.loads(json.dumps(document.to_dict()))
    return made


Described = tuple[DocumentedRoute, str, Operation, str]


def _operations(routes: Iterable[DocumentedRoute]) -> Iterator[Described]:
    names: set[str] = set()
    for route in routes:
        function = route.declared.calls[0]
        told = operation_of(function) or Operation()
        if told.hidden:
            continue
        methods = sorted(route.declared.methods - _SILENT)
        for method in methods:
            key = route.name if route.name not in names else f"{route.name}_{method.lower()}"
            while key in names:
                key += "_"
            names.add(key)
            yield route, method, told, key


def _schemas(operations: list[Described]) -> tuple[dict[tuple[str, str], Any], dict[str, Any]]:
    """Return the schema of each part of each operation, and the definitions they refer to."""
    from pydantic import TypeAdapter

    asked: list[Any] = []
    for _, _, told, key in operations:
        if told.body is not None:
            asked.append((f"{key} body", "validation", _adapter(told.body)))
        if told.query is not None:
            asked.append((f"{key} query", "validation", _adapter(told.query)))
        if told.returns is not None:
            shown: Any = Envelope.__class_getitem__(told.returns) if told.envelope else told.returns
            asked.append((f"{key} answer", "serialization", _adapter(shown)))
        for name, kind in told.path.items():
            asked.append((f"{key} path {name}", "validation", _adapter(kind)))
    if not asked:
        return {}, {}
    found, rest = TypeAdapter.json_schemas(asked, ref_template=_SCHEMAS)
    definitions = dict(rest.get("$defs", {}))
    schemas: dict[tuple[str, str], Any] = dict(found)
    for _, _, told, key in operations:
        if told.query is not None:  # its properties become parameters
            model = schemas[f"{key} query", "validation"]
            schemas[f"{key} query", "validation"] = definitions.get(
                model.get("$ref", "").rpartition("/")[2], model
            )
    return schemas, definitions


def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _describe(route: DocumentedRoute, told: Operation, key: str, schemas: dict[Any, Any]) -> dict[str, Any]:
    function = route.declared.calls[0]
    text = told.description or inspect.getdoc(function) or ""
    operation: dict[str, Any] = {
        "operationId": key,
        "summary": told.summary or route.name.replace("_", " ").strip().capitalize(),
        "parameters": [*_path_parameters(route, told, key, schemas), *_query(told, key, schemas)],
        "responses": _answers(told, schemas.get((f"{key} answer", "serialization"))),
    }
    if text:
        operation["description"] = text
    if told.tags:
        operation["tags"] = list(told.tags)
    body = schemas.get((f"{key} body", "validation"))
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return operation


def _path_parameters(
    route: DocumentedRoute, told: Operation, key: str, schemas: dict[Any, Any]
) -> Iterator[dict[str, Any]]:
    for name, schema in route.parameters.items():
        shown = schemas[f"{key} path {name}", "validation"] if name in told.path else schema
        yield {"name": name, "in": "path", "required": True, "schema": shown}


def _query(told: Operation, key: str, schemas: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    if told.query is None:
        return
    model = schemas[f"{key} query", "validation"]
    needed = model.get("required", ())
    for name, schema in model.get("properties", {}).items():
        yield {"name": name, "in": "query", "required": name in needed, "schema": schema}


def _answers(told: Operation, schema: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "All is well"}
    if schema is not None and told.status not in (204, 304):
        answer["content"] = {_JSON: {"schema": schema}}
    return {str(told.status): answer}
