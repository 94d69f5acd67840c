"""Functions the model may have run."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.errors import InvalidArgumentError
from shared.integrations.openai._errors import AIFailure, ai_error
from shared.integrations.openai._results import ToolCall
from shared.integrations.openai._schema import strict_schema

__all__ = ["Tool", "tool_definitions", "tools_by_name"]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII).match
_LONGEST: Final = 100_000


class Tool:
    """A function the model may have run, with the schema of its parameters.

    Parameters need annotations; what the model sends is validated by them, as pydantic
    does, before the function sees it.

    Args:
        function: Synchronous, or asynchronous for :class:`AsyncOpenAIClient`.
        name: For the model; the function's own when None.
        description: For the model; the first paragraph of the docstring when None.

    Raises:
        InvalidArgumentError: A parameter has no annotation or no JSON schema, or the name
            is not 1 to 64 letters, digits, ``_`` and ``-``.

    Example:
        >>> def weather(city: str, days: int = 1) -> str:
        ...     "Tell the weather of a city."
        ...     return f"sunny in {city} for {days} days"
        >>> tool = Tool(weather)
        >>> tool.name, tool.description, sorted(tool.definition["function"]["parameters"]["properties"])
        ('weather', 'Tell the weather of a city.', ['city', 'days'])
        >>> tool.call(ToolCall("c1", "weather", '{"city": "Oslo", "days": 2}'))
        'sunny in Oslo for 2 days'
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> None:
        self.function: Callable[..., Any] = function
        self.name: str = name or str(getattr(function, "__name__", ""))
        if not _NAME(self.name):
            msg = f"the name of a tool is 1 to 64 letters, digits, _ and -, got {self.name[:80]!r}"
            raise InvalidArgumentError(msg)
        doc = inspect.getdoc(function) or ""
        self.description: str = doc.split("\n\n")[0].strip() if description is None else description
        self._model: Any = _parameters(self.name, function)
        self._names: list[str] = list(self._model.model_fields)

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as the API takes it."""
        schema = strict_schema(self._model.model_json_schema())
        schema.pop("title", None)
        schema.setdefault("properties", {})
        function = {"name": self.name, "description": self.description, "parameters": schema, "strict": True}
        if any(
            field.default is not None and not field.is_required()
            for field in self._model.model_fields.values()
        ):
            # A default the model may rely on is not expressible in the strict form.
            function["strict"] = False
            schema["required"] = [n for n, f in self._model.model_fields.items() if f.is_required()]
        return {"type": "function", "function": function}

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.function)

    def arguments(self, call: ToolCall) -> dict[str, Any]:
        """Return the validated arguments of *call*.

        Raises:
            AIServiceError: The model sent something else; the reason is ``invalid_output``.
        """
        from pydantic import ValidationError

        sent = call.parsed()
        try:
            found = self._model.model_validate(sent)
        except ValidationError as exc:
            kinds = sorted(
                {str(error["type"])[:64] for error in exc.errors(include_url=False, include_input=False)}
            )
        else:
            return {name: getattr(found, name) for name in self._names}
        text = f"the model called tool {self.name!r} with wrong arguments: {', '.join(kinds)}"
        raise ai_error(AIFailure.INVALID_OUTPUT, text)

    def call(self, call: ToolCall) -> Any:
        """Run the function with the validated arguments of *call*."""
        return self.function(**self.arguments(call))

    def __repr__(self) -> str:
        return f"<Tool {self.name!r}>"


def _parameters(name: str, function: Callable[..., Any]) -> Any:
    """Return a pydantic model of the function's parameters."""
    from pydantic import ConfigDict, create_model
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

    fields: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except (TypeError, ValueError, NameError) as exc:
        msg = f"the parameters of tool {name!r} cannot be read: {exc}"
        raise InvalidArgumentError(msg) from exc
    for each in parameters:
        if each.kind not in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY} or each.annotation is each.empty:
            msg = f"parameter {each.name!r} of tool {name!r} must be named and annotated"
            raise InvalidArgumentError(msg)
        fields[each.name] = (each.annotation, ... if each.default is each.empty else each.default)
    try:
        model = create_model(
            name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields
        )
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError, NameError, TypeError) as exc:
        msg = f"the parameters of tool {name!r} have no JSON schema: {type(exc).__name__}"
        raise InvalidArgumentError(msg) from exc
    return model


def tools_by_name(tools: Sequence[Any]) -> dict[str, Tool]:
    """Return the functions among *tools* by name.

    Raises:
        InvalidArgumentError: Two have one name.
    """
    found: dict[str, Tool] = {}
    for each in tools:
        tool = each if isinstance(each, Tool) else Tool(each) if callable(each) else None
        if tool is None:
            continue
        if tool.name in found:
            msg = f"two tools are named {tool.name!r}"
            raise InvalidArgumentError(msg)
        found[tool.name] = tool
    return found


def tool_definitions(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Return *tools* as the API takes them: functions, :class:`Tool` objects, or definitions.

    Raises:
        InvalidArgumentError: One is none of these, or two have one name.
    """
    tools_by_name(tools)
    found: list[dict[str, Any]] = []
    for each in tools:
        if isinstance(each, Mapping):
            found.append(dict(each))
        elif isinstance(each, Tool) or callable(each):
            found.append((each if isinstance(each, Tool) else Tool(each)).definition)
        else:
            msg = f"a tool is a function, a Tool or a definition, got {type(each).__name__}"
            raise InvalidArgumentError(msg)
    return found


def tool_message(call: ToolCall, outcome: Any) -> dict[str, Any]:
    """Return what a tool gave as the message that answers *call*."""
    if isinstance(outcome, str):
        text = outcome
    else:
        dump = getattr(outcome, "model_dump", None)
        try:
            text = json.dumps(
                dump(mode="json") if callable(dump) else outcome, default=str, ensure_ascii=False
            )
        except (TypeError, ValueError, RecursionError):
            text = str(outcome)
    return {"role": "tool", "tool_call_id": call.id, "content": text[:_LONGEST]}
