"""What a configuration of agents may say; pure."""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import Field, StrictBool, StringConstraints, TypeAdapter
from pydantic import ValidationError as PydanticError

from shared.errors import ValidationError

__all__ = ["KEYS", "SYSTEMS", "fitting", "system_of", "validate_agent_config"]

SYSTEMS: Final = ("simple", "enhanced")
_MOST_SECONDS: Final = 31_536_000
_Seconds = Annotated[float, Field(gt=0, le=_MOST_SECONDS, allow_inf_nan=False)]
_Printable = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]+$", max_length=100)]
_Tool = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$", max_length=64)]

#: Every key of a configuration, with what it may be.
_RULES: Final[Mapping[str, tuple[Any, str]]] = MappingProxyType(
    {
        "model": (_Printable, "the name of a model"),
        "temperature": (Annotated[float, Field(ge=0, le=2)], "a number from 0 to 2"),
        "max_tokens": (Annotated[int, Field(ge=1, strict=True)], "a whole number >= 1"),
        "task_timeout": (_Seconds, "seconds above 0"),
        "max_attempts": (Annotated[int, Field(ge=1, le=20, strict=True)], "a whole number from 1 to 20"),
        "retry_delay": (Annotated[float, Field(ge=0, le=_MOST_SECONDS)], "seconds >= 0"),
        "max_iterations": (
            Annotated[int, Field(ge=1, le=1000, strict=True)],
            "a whole number from 1 to 1000",
        ),
        "memory_enabled": (StrictBool, "true or false"),
        "memory_max_messages": (
            Annotated[int, Field(ge=1, le=10_000, strict=True)],
            "a whole number from 1 to 10000",
        ),
        "tools": (Annotated[list[_Tool], Field(max_length=128)], "a list of names of tools"),
        "tool_timeout": (_Seconds, "seconds above 0"),
        "instructions": (Annotated[str, StringConstraints(max_length=100_000)], "text"),
    }
)
KEYS: Final = tuple(_RULES)
_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {}


def system_of(value: object) -> str:
    """Return the name of a system.

    Raises:
        ValidationError: There is none of this name.

    Example:
        >>> system_of(" Enhanced")
        'enhanced'
    """
    name = value.strip().lower() if isinstance(value, str) else ""
    if name not in SYSTEMS:
        shown = value[:40] if isinstance(value, str) else type(value).__name__
        msg = f"unknown agent system {shown!r}; known: {', '.join(SYSTEMS)}"
        raise ValidationError(msg, details={"field": "system", "allowed": list(SYSTEMS)})
    return name


def fitting(key: str, value: object) -> Any:
    """Return *value* as the value of *key*.

    Raises:
        ValueError: It does not fit; the text says what is expected, never what was given.
    """
    rule, expected = _RULES[key]
    adapter = _ADAPTERS.get(key)
    if adapter is None:
        adapter = _ADAPTERS[key] = TypeAdapter(rule)
    wrong_kind = isinstance(value, bool) and key != "memory_enabled"
    try:
        if not wrong_kind:
            return adapter.validate_python(list(value) if isinstance(value, tuple) else value)
    except PydanticError:
        pass
    raise ValueError(expected)


def validate_agent_config(config: Any) -> dict[str, Any]:
    """Return *config* with every value checked; all that is wrong is told at once.

    Keys: ``system``, ``model``, ``temperature``, ``max_tokens``, ``task_timeout``,
    ``max_attempts``, ``retry_delay``, ``max_iterations``, ``memory_enabled``,
    ``memory_max_messages``, ``tools``, ``tool_timeout`` and ``instructions``; times are
    seconds. Keys may be left out; None is "as the settings say".

    Raises:
        ValidationError: A key is unknown, a value is out of range, or a tool may run
            longer than the task; ``details["errors"]`` list ``{"field", "message"}``.

    Example:
        >>> validate_agent_config({"system": "enhanced", "temperature": 0.2, "tools": ["search"]})
        {'system': 'enhanced', 'temperature': 0.2, 'tools': ['search']}
        >>> try:
        ...     validate_agent_config({"temperature": 9, "modle": "gpt-4o"})
        ... except ValidationError as error:
        ...     print(error.message)
        agent configuration: temperature: expected a number from 0 to 2; modle: unknown, did you mean 'model'?
    """
    if not isinstance(config, Mapping):
        msg = f"an agent configuration is a mapping, got {type(config).__name__}"
        raise ValidationError(msg)
    found: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for key, value in config.items():
        if key == "system":
            try:
                found[key] = system_of(value)
            except ValidationError as exc:
                errors.append({"field": "system", "message": exc.message})
        elif key not in _RULES:
            errors.append({"field": _shown(key), "message": _unknown(key)})
        elif value is None:
            found[key] = None
        else:
            try:
                found[key] = fitting(key, value)
            except ValueError as exc:
                errors.append({"field": str(key), "message": f"expected {exc}"})
    if not errors and (found.get("tool_timeout") or 0) > (found.get("task_timeout") or _MOST_SECONDS):
        text = f"expected at most task_timeout, {found['task_timeout']:g}"
        errors.append({"field": "tool_timeout", "message": text})
    if errors:
        text = "; ".join(f"{error['field']}: {error['message']}" for error in errors[:20])
        msg = f"agent configuration: {text}"
        raise ValidationError(msg, details={"errors": errors[:20]})
    return found


def _shown(key: object) -> str:
    text = key if isinstance(key, str) else type(key).__name__
    return text[:40] if text.isprintable() else repr(text)[:40]


def _unknown(key: object) -> str:
    near = difflib.get_close_matches(str(key)[:40], ("system", *KEYS), n=1)
    return f"unknown, did you mean {near[0]!r}?" if near else "unknown"
