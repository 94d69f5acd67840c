"""What comes back: checked values, and never a prompt or an answer in a repr."""

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from shared.integrations.openai._errors import AIFailure, ai_error

__all__ = [
    "ChatResult",
    "EmbeddingResult",
    "TokenUsage",
    "ToolCall",
    "parse_chat",
    "parse_embeddings",
    "parse_usage",
]

_MOST_TOKENS: Final = 10**12


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call.

    Example:
        >>> TokenUsage(input_tokens=12, output_tokens=3).total
        15
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total(self) -> int:
        """Tokens in both directions."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool to be run; the arguments are the model's word, so check them.

    Example:
        >>> ToolCall("call_1", "weather", '{"city": "Oslo"}').parsed()
        {'city': 'Oslo'}
    """

    id: str
    name: str
    arguments: str = field(repr=False)

    def parsed(self) -> dict[str, Any]:
        """Return the arguments as a mapping.

        Raises:
            AIServiceError: They are not a JSON object; the reason is ``invalid_output``.
        """
        try:
            found = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            text = f"the model called tool {self.name[:64]!r} with arguments that are no JSON object"
            raise ai_error(AIFailure.INVALID_OUTPUT, text)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResult:
    """The answer to a chat, or what stands in for it.

    Attributes:
        text: What the model said; empty when it only calls tools.
        model: Which model answered, as it names itself; empty for a canned answer.
        usage: Tokens.
        cost: US dollars by the price table; 0.0 without a price.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"`` and so on.
        tool_calls: Tools the model wants to be run.
        parsed: The answer as an object of *response_model*.
        id: The supplier's name of the answer.
        request_id: The supplier's name of the request, for its support.
        seconds: How long it took, all tries together.
        degraded: Whether this is not what was asked for: a fallback model's answer or a
            canned one.
        answered_by: Who: the ``model`` asked for, a ``fallback_model``, or the ``fallback``.
        reason: Why it is degraded; a word of :class:`AIFailure` as a rule.
        raw: The answer as it was sent.

    Example:
        >>> result = ChatResult(text="4", model="gpt-4o-mini")
        >>> result.degraded, result.message
        (False, {'role': 'assistant', 'content': '4'})
    """

    text: str = field(repr=False)
    model: str
    usage: TokenUsage = TokenUsage()
    cost: float = 0.0
    finish_reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = field(default=None, repr=False)
    refusal: str | None = field(default=None, repr=False)
    id: str = ""
    request_id: str = ""
    seconds: float = 0.0
    degraded: bool = False
    answered_by: Literal["model", "fallback_model", "fallback"] = "model"
    reason: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def message(self) -> dict[str, Any]:
        """The answer as a message, to go on with the conversation."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.tool_calls:
            message["content"] = self.text or None
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in self.tool_calls
            ]
        return message


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingResult:
    """Vectors, in the order of the texts.

    Attributes:
        vectors: One list of numbers per text, all of one length.
        model: Which model answered.
        usage: Tokens.
        cost: US dollars by the price table; 0.0 without a price.
        seconds: How long it took, all batches and tries together.

    Example:
        >>> EmbeddingResult(vectors=[[0.1, 0.2]], model="m").dimensions
        2
    """

    vectors: list[list[float]] = field(repr=False)
    model: str
    usage: TokenUsage = TokenUsage()
    cost: float = 0.0
    seconds: float = 0.0

    @property
    def dimensions(self) -> int:
        """Length of each vector; 0 when there is none."""
        return len(self.vectors[0]) if self.vectors else 0


# --- reading what was sent: anything may have come --------------------------------------


def malformed(model: str, what: str) -> Exception:
    """Return the error of an answer that is none."""
    text = f"model {model[:100]!r} sent no valid answer: {what}"
    return ai_error(AIFailure.MALFORMED, text, retryable=True, model=model[:200])


def parse_usage(found: object) -> TokenUsage:
    """Return the tokens in *found*; 0 for what is missing or nonsense.

    Example:
        >>> parse_usage({"prompt_tokens": 5, "completion_tokens": "many"})
        TokenUsage(input_tokens=5, output_tokens=0, cached_tokens=0)
    """
    if not isinstance(found, Mapping):
        return TokenUsage()
    details = found.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return TokenUsage(
        _count(found.get("prompt_tokens")), _count(found.get("completion_tokens")), _count(cached)
    )


def _count(value: object) -> int:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if good and isinstance(value, int) else 0


def parse_chat(document: object, model: str) -> ChatResult:
    """Return the first choice of a chat completion.

    Raises:
        AIServiceError: The document is no chat completion.
    """
    if not isinstance(document, Mapping):
        raise malformed(model, "no JSON object")
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise malformed(model, "no choices")
    message = choices[0].get("message")
    if not isinstance(message, Mapping):
        raise malformed(model, "a choice without a message")
    refusal = message.get("refusal")
    return ChatResult(
        text=_content(message.get("content"), model),
        model=_text(document.get("model"), model),
        usage=parse_usage(document.get("usage")),
        finish_reason=_text(choices[0].get("finish_reason"), "stop"),
        tool_calls=_tool_calls(message.get("tool_calls"), model),
        refusal=refusal if isinstance(refusal, str) and refusal else None,
        id=_text(document.get("id"), ""),
        raw=dict(document),
    )


def _text(value: object, default: str) -> str:
    return value[:200] if isinstance(value, str) and value else default


def _content(value: object, model: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # parts, as some compatible servers send
        texts = [part.get("text") for part in value if isinstance(part, Mapping)]
        return "".join(text for text in texts if isinstance(text, str))
    raise malformed(model, "content that is no text")


def _tool_calls(value: object, model: str) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise malformed(model, "tool calls that are no list")
    return tuple(tool_call(each, model) for each in value)


def tool_call(value: object, model: str) -> ToolCall:
    """Return one tool call.

    Raises:
        AIServiceError: It is none.
    """
    function = value.get("function") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(function, Mapping):
        raise malformed(model, "a tool call without a function")
    name, arguments, call_id = function.get("name"), function.get("arguments", ""), value.get("id")
    if isinstance(arguments, Mapping):  # as some compatible servers send
        arguments = json.dumps(arguments)
    if not isinstance(name, str) or not name or not isinstance(arguments, str):
        raise malformed(model, "a tool call without a name or arguments")
    return ToolCall(call_id if isinstance(call_id, str) and call_id else f"call_{name}", name, arguments)


def parse_embeddings(document: object, model: str, count: int) -> tuple[list[list[float]], TokenUsage, str]:
    """Return the vectors in the order of the texts, the tokens, and the model.

    Raises:
        AIServiceError: The document does not hold *count* vectors of one length.
    """
    data = document.get("data") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(data, list) or len(data) != count:
        raise malformed(model, f"not {count} embeddings")
    vectors: list[list[float] | None] = [None] * count
    for place, row in enumerate(data):
        index = row.get("index", place) if isinstance(row, Mapping) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count or vectors[index]:
            raise malformed(model, "an embedding that belongs to no text")
        vectors[index] = _vector(row.get("embedding"), model)
    whole = [vector for vector in vectors if vector]
    if len(whole) != count or len({len(vector) for vector in whole}) > 1:
        raise malformed(model, "embeddings of different lengths")
    return whole, parse_usage(document.get("usage")), _text(document.get("model"), model)


def _vector(value: object, model: str) -> list[float]:
    if isinstance(value, str):
        value = _unpacked(value, model)
    if not isinstance(value, list) or not value:
        raise malformed(model, "an embedding that is no list of numbers")
    numbers: list[float] = []
    for number in value:
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not -1e30 < number < 1e30:
            raise malformed(model, "an embedding with something that is no number")
        numbers.append(float(number))
    return numbers


def _unpacked(value: str, model: str) -> list[float]:
    """Return the numbers of a packed embedding: base64 of 32-bit floats, little-endian."""
    try:
        packed = base64.b64decode(value, validate=True)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (ValueError, struct.error) as exc:
        raise malformed(model, "an embedding that is not packed numbers") from exc
