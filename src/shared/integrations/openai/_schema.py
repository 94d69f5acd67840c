"""The JSON schema of an answer, in the strict form the supplier takes; and the answer checked by it."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.errors import InvalidArgumentError
from shared.integrations.openai._errors import AIFailure, ai_error

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["parse_answer", "response_format", "strict_schema"]

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_MOST_FIELDS: Final = 5


def response_format(model: Any) -> dict[str, Any]:
    """Return the ``response_format`` that asks for an answer in the shape of *model*.

    Raises:
        InvalidArgumentError: *model* is no pydantic model, or has no JSON schema.
    """
    from pydantic import BaseModel
    from pydantic.errors import PydanticInvalidForJsonSchema

    if not isinstance(model, type) or not issubclass(model, BaseModel):
        msg = f"response_model is a pydantic model, got {model!r}"[:200]
        raise InvalidArgumentError(msg)
    try:
        schema = strict_schema(model.model_json_schema())
    except PydanticInvalidForJsonSchema as exc:
        msg = f"response_model {model.__name__!r} has no JSON schema: {exc}"
        raise InvalidArgumentError(msg) from exc
    name = _UNFIT.sub("_", model.__name__)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return *schema* as strict structured output wants it.

    Every property is required (what is optional may be null), nothing else is allowed,
    defaults go, and a reference stands alone.

    Example:
        >>> strict_schema({"type": "object", "properties": {"n": {"type": "integer", "default": 1}}})
        ... # doctest: +NORMALIZE_WHITESPACE
        {'type': 'object', 'properties': {'n': {'type': 'integer'}}, 'required': ['n'],
         'additionalProperties': False}
    """
    found = _strict(dict(schema), schema)
    return found if isinstance(found, dict) else {}


def _strict(node: Any, root: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_strict(each, root) for each in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node and len(node) > 1:  # a description beside a reference is refused
        return {"$ref": node["$ref"]}
    if isinstance(node.get("allOf"), list) and len(node["allOf"]) == 1:
        rest = {key: value for key, value in node.items() if key != "allOf"}
        return _strict({**rest, **node["allOf"][0]}, root)
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "default":
            continue
        named = key in {"properties", "$defs", "definitions"} and isinstance(value, Mapping)
        result[key] = (
            {name: _strict(each, root) for name, each in value.items()} if named else _strict(value, root)
        )
    if result.get("type") == "object" and "properties" in result:
        result["required"] = list(result["properties"])
        result["additionalProperties"] = False
    return result


def parse_answer(model: "type[BaseModel]", text: str, finish_reason: str, refusal: str | None) -> Any:
    """Return *text* as an object of *model*.

    Raises:
        AIServiceError: The model refused, was cut off by the limit of tokens, or what it
            said is not of that shape. The text names fields and rules, never values.
    """
    from pydantic import ValidationError

    if refusal is not None:
        raise ai_error(AIFailure.REFUSED, f"the model refused to answer in the shape of {model.__name__!r}")
    if finish_reason == "length":
        msg = f"the answer in the shape of {model.__name__!r} ended at the limit of tokens: raise max_tokens"
        raise ai_error(AIFailure.TRUNCATED, msg)
    if finish_reason == "content_filter":
        raise ai_error(AIFailure.CONTENT_FILTER, "the content filter ended the answer")
    try:
        return model.model_validate_json(text)
    except ValidationError as exc:
        faults = [_fault(model, error) for error in exc.errors(include_url=False, include_input=False)]
    except (ValueError, RecursionError, TypeError) as exc:  # a validator of the model
        faults = [{"field": "", "type": type(exc).__name__}]
    # Raised here, outside of the handler: the text of pydantic's error quotes the answer.
    msg = f"the answer does not have the shape of {model.__name__!r}: {len(faults)} faults"
    raise ai_error(AIFailure.INVALID_OUTPUT, msg, errors=faults[:_MOST_FIELDS])


def _fault(model: "type[BaseModel]", error: Any) -> dict[str, str]:
    """Return the field of the model and the rule; keys inside of it may be the answer's words."""
    first = str(error["loc"][0]) if error["loc"] else ""
    known = first in model.model_fields
    return {"field": first if known else "", "type": str(error["type"])[:64]}
