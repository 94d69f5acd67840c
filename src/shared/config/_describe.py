"""What a setting expects, in words."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from shared.config._field import FieldSpec, Section
from shared.config._sections._common import PATH, PRINTABLE

#: Patterns of types that several sections use, in words.
_PATTERNS: Final = {PRINTABLE: "printable ASCII characters", PATH: "beginning with /"}
_NOUNS: Final = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "null": "none",
}


def expected(spec: FieldSpec) -> str:
    """Return what a value of *spec* looks like, such as ``an integer, at least 1``."""
    if spec.expects is not None:
        return spec.expects
    schema = _schema(spec.owner)
    return _words(schema["properties"][spec.name], schema.get("$defs", {}))


@cache
def _schema(owner: type[Section]) -> dict[str, Any]:
    return owner.model_json_schema()


def field_schema(spec: FieldSpec) -> dict[str, Any]:
    """Return the JSON schema of one setting, references resolved."""
    schema = _schema(spec.owner)
    resolved: dict[str, Any] = _resolve(schema["properties"][spec.name], schema.get("$defs", {}))
    return resolved


def _resolve(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, Mapping):
        if "$ref" in node:
            target = _resolve(definitions[node["$ref"].rpartition("/")[2]], definitions)
            return {**target, **{k: v for k, v in node.items() if k not in ("$ref", "x-shared")}}
        return {key: _resolve(value, definitions) for key, value in node.items() if key != "x-shared"}
    if isinstance(node, float) and node.is_integer():
        return int(node)  # a bound reads the same with every version of pydantic
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    return node


def _words(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    node = _resolve(node, definitions)
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_words(option, definitions) for option in node["anyOf"]))
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    kind = node.get("type")
    if kind == "array":
        return (
            f"a list of {_words(node.get('items', {}), definitions)} values, separated by commas or as JSON"
        )
    if kind == "object":
        return f"name=value pairs ({_words(_members(node), definitions)}), separated by commas or as JSON"
    if node.get("format") == "uri":
        schemes = node.get("x-schemes")
        return (
            "a URL"
            if not schemes
            else "a URL with one of the schemes " + ", ".join(f"{s}://" for s in schemes)
        )
    return _NOUNS.get(str(kind), "a value") + "".join(_limits(node))


def _members(node: Mapping[str, Any]) -> Mapping[str, Any]:
    members = node.get("additionalProperties")
    return members if isinstance(members, Mapping) else {}


def _limits(node: Mapping[str, Any]) -> list[str]:
    unit = " characters" if node.get("type") == "string" else ""
    phrases = (
        ("minimum", "at least {}"),
        ("exclusiveMinimum", "above {}"),
        ("maximum", "at most {}"),
        ("exclusiveMaximum", "below {}"),
        ("minLength", f"at least {{}}{unit}"),
        ("maxLength", f"at most {{}}{unit}"),
        ("multipleOf", "a multiple of {}"),
    )
    return [", " + phrase.format(node[key]) for key, phrase in phrases if key in node] + _pattern(node)


def _pattern(node: Mapping[str, Any]) -> list[str]:
    pattern = node.get("pattern")
    return [] if pattern is None else [", " + _PATTERNS.get(pattern, f"matching {pattern}")]
