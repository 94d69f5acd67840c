"""What is sent, checked before it is: pure, no network."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared.errors import InvalidArgumentError, PayloadTooLargeError, ValidationError
from shared.integrations.openai._errors import AIFailure, unfit
from shared.integrations.openai._options import OpenAIOptions
from shared.integrations.openai._schema import response_format
from shared.integrations.openai._tools import tool_definitions

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "ChatRequest",
    "EmbeddingBatch",
    "chat_request",
    "embedding_batches",
    "estimate_tokens",
    "model_name",
]

_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}\Z", re.ASCII).match
_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")
_OURS: Final = frozenset({"messages", "model", "stream", "stream_options", "tools", "response_format"})
#: Models that think before they speak: they take another name for the limit and no temperature.
_THINKING: Final = re.compile(r"(?:o[1-9]|gpt-[5-9])(?![0-9])").match
#: Texts, and characters of them, in one request for embeddings. The API takes 2048 texts and
#: 300 000 tokens; a token has at least one character in nearly every text.
_MOST_TEXTS: Final = 2048
_MOST_CHARS: Final = 250_000


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request for a chat completion; :meth:`body` is what goes to one model."""

    models: tuple[str, ...]
    fields: Mapping[str, Any] = field(repr=False)
    temperature: float | None
    default_temperature: float | None
    max_tokens: int | None
    chars: int
    timeout: float
    user_id: str | None = None
    response_model: "type[BaseModel] | None" = None

    def body(self, model: str, *, stream: bool = False) -> dict[str, Any]:
        """Return the JSON body for *model*."""
        body: dict[str, Any] = {"model": model, **self.fields}
        thinks = _THINKING(model) is not None
        heat = (
            self.temperature if self.temperature is not None else None if thinks else self.default_temperature
        )
        if heat is not None:
            body.setdefault("temperature", heat)
        if self.max_tokens is not None:
            body["max_completion_tokens" if thinks else "max_tokens"] = self.max_tokens
        if stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return body


def model_name(value: object) -> str:
    """Return *value* when it can be the name of a model.

    Raises:
        ValidationError: It cannot.

    Example:
        >>> model_name("gpt-4o-mini")
        'gpt-4o-mini'
    """
    if not isinstance(value, str) or not _MODEL(value) or ".." in value:
        shown = value[:80] if isinstance(value, str) else type(value).__name__
        msg = f"not the name of a model: {shown!r} (1 to 200 letters, digits and ._:/@+-)"
        raise unfit(msg, AIFailure.MODEL)
    return value


def estimate_tokens(chars: int) -> int:
    """Return about how many tokens *chars* characters are; a budget is looked at before the call.

    Example:
        >>> estimate_tokens(400)
        100
    """
    return max(1, math.ceil(chars / 4))


def chat_request(
    options: OpenAIOptions,
    messages: str | Iterable[Mapping[str, Any]],
    *,
    model: str | None = None,
    user_id: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    tools: Sequence[Any] | None = None,
    response_model: "type[BaseModel] | None" = None,
    fallback_models: Sequence[str] | None = None,
    timeout: float | None = None,
    extra: Mapping[str, Any] | None = None,
) -> ChatRequest:
    """Return the checked request.

    Raises:
        ValidationError: The messages or the model are wrong.
        PayloadTooLargeError: The prompt is too long.
        InvalidArgumentError: Another argument is wrong.
    """
    fields: dict[str, Any] = {"messages": _messages(messages)}
    if tools:
        fields["tools"] = tool_definitions(tools)
    if response_model is not None:
        fields["response_format"] = response_format(response_model)
    fields |= _extra(extra or {})
    chars = _measure(fields, options.max_prompt_chars)
    others = options.fallback_models if fallback_models is None else fallback_models
    if isinstance(others, str):
        msg = f"fallback_models is a list of names, got {others!r}"
        raise InvalidArgumentError(msg)
    models = dict.fromkeys(model_name(name) for name in (model or options.model, *others))
    return ChatRequest(
        models=tuple(models),
        fields=fields,
        temperature=_between("temperature", temperature, 0.0, 2.0),
        default_temperature=options.temperature,
        max_tokens=_whole("max_tokens", options.max_tokens if max_tokens is None else max_tokens),
        chars=chars,
        timeout=options.timeout if timeout is None else _seconds(timeout),
        user_id=None if user_id is None else str(user_id),
        response_model=response_model,
    )


def _messages(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if isinstance(given, Mapping | bytes) or not isinstance(given, Iterable):
        msg = f"messages is a list of messages or a text, got {type(given).__name__}"
        raise unfit(msg)
    found = [_message(number, each) for number, each in enumerate(given, 1)]
    if not found:
        raise unfit("messages is empty: there is nothing to answer")
    return found


def _message(number: int, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        msg = f"message {number} is a mapping with role and content, got {type(given).__name__}"
        raise unfit(msg)
    role, content = given.get("role"), given.get("content")
    if role not in _ROLES:
        msg = f"the role of message {number} is one of {', '.join(_ROLES)}, got {str(role)[:40]!r}"
        raise unfit(msg)
    if not (isinstance(content, str | list | tuple) or (content is None and role == "assistant")):
        msg = f"the content of message {number} is text or a list of parts, got {type(content).__name__}"
        raise unfit(msg)
    return dict(given)


def _extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    taken = sorted(_OURS & set(extra))
    if taken:
        msg = f"{', '.join(taken)} cannot be given as a further field of the API: there is an argument for it"
        raise InvalidArgumentError(msg)
    if extra.get("n", 1) != 1:
        msg = f"n must be 1, got {extra['n']!r}: ask again for another answer"
        raise InvalidArgumentError(msg)
    return {key: value for key, value in extra.items() if value is not None}


def _measure(fields: Mapping[str, Any], limit: int) -> int:
    """Return the characters of *fields* as JSON.

    Raises:
        ValidationError: They are not JSON.
        PayloadTooLargeError: There are too many.
    """
    try:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        fault = "the prompt is not JSON"
    else:
        if len(text) > limit:
            msg = f"the prompt has {len(text)} characters, at most {limit} are sent (OPENAI_MAX_PROMPT_CHARS)"
            raise PayloadTooLargeError(msg, details={"reason": str(AIFailure.TOO_LONG), "limit": limit})
        return len(text)
    msg_0 = f"{fault}: plain texts, numbers, lists and mappings, valid Unicode, no NaN"
    raise unfit(msg_0)


def _between(name: str, value: Any, least: float, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        msg = f"{name} is between {least:g} and {most:g}, got {value!r}"
        raise InvalidArgumentError(msg)
    return float(value)


def _whole(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        msg = f"{name} is a whole number >= 1, got {value!r}"
        raise InvalidArgumentError(msg)
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        msg = f"timeout is seconds above 0, got {value!r}"
        raise InvalidArgumentError(msg)
    return float(value)


@dataclass(frozen=True, slots=True)
class EmbeddingBatch:
    """Texts that go together in one request."""

    texts: tuple[str, ...] = field(repr=False)
    chars: int

    def body(self, model: str, dimensions: int | None, *, packed: bool) -> dict[str, Any]:
        """Return the JSON body for *model*; *packed* asks for base64 in place of digits."""
        body: dict[str, Any] = {"model": model, "input": list(self.texts)}
        if packed:
            body["encoding_format"] = "base64"
        if dimensions is not None:
            body["dimensions"] = dimensions
        return body


def embedding_batches(
    texts: Any, *, batch_size: Any = _MOST_TEXTS, max_chars: int = 500_000
) -> list[EmbeddingBatch]:
    """Return *texts* in batches of at most *batch_size* texts and 250 000 characters.

    Raises:
        ValidationError: A text is empty or no valid text, or *texts* is no list of texts.
        PayloadTooLargeError: One text has more than *max_chars* characters.
        InvalidArgumentError: *batch_size* is not between 1 and 2048.

    Example:
        >>> [batch.texts for batch in embedding_batches(["a", "b", "c"], batch_size=2)]
        [('a', 'b'), ('c',)]
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= _MOST_TEXTS:
        msg = f"batch_size is between 1 and {_MOST_TEXTS}, got {batch_size!r}"
        raise InvalidArgumentError(msg)
    if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
        msg_0 = f"texts is a list of texts, got {type(texts).__name__}"
        raise unfit(msg_0)
    batches: list[EmbeddingBatch] = []
    batch: list[str] = []
    chars = 0
    for number, text in enumerate(texts, 1):
        _check_text(number, text, max_chars)
        if batch and (len(batch) >= batch_size or chars + len(text) > _MOST_CHARS):
            batches.append(EmbeddingBatch(tuple(batch), chars))
            batch, chars = [], 0
        batch.append(text)
        chars += len(text)
    if batch:
        batches.append(EmbeddingBatch(tuple(batch), chars))
    return batches


def _check_text(number: int, text: Any, max_chars: int) -> None:
    if not isinstance(text, str) or not text.strip():
        shown = "an empty text" if isinstance(text, str) else type(text).__name__
        msg = f"text {number} has nothing to embed: got {shown}"
        raise unfit(msg)
    if len(text) > max_chars:
        msg = f"text {number} has {len(text)} characters, at most {max_chars} are sent"
        raise PayloadTooLargeError(msg, details={"reason": str(AIFailure.TOO_LONG), "limit": max_chars})
    try:
        text.encode()
    except UnicodeEncodeError as exc:  # half of a surrogate pair
        msg = f"text {number} is not valid Unicode"
        raise ValidationError(msg, details={"reason": str(AIFailure.BAD_REQUEST)}) from _bare(exc)


def _bare(exc: UnicodeEncodeError) -> ValueError:
    """Return what is wrong without the text itself, which the exception quotes."""
    return ValueError(exc.reason)
