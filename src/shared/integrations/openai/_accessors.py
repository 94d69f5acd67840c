"""The clients of the current runtime, and the calls that services make most."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.integrations.openai._budget import AIBudgets
from shared.integrations.openai._client import OpenAIClient
from shared.integrations.openai._client_async import AsyncOpenAIClient
from shared.integrations.openai._models import ModelStatus
from shared.integrations.openai._options import OpenAIOptions
from shared.integrations.openai._results import ChatResult, EmbeddingResult
from shared.integrations.openai._stream import AsyncChatStream, ChatStream
from shared.runtime import Runtime, current

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = [
    "acreate_chat_completion",
    "acreate_embedding",
    "acreate_embeddings",
    "astream_chat_completion",
    "avalidate_model",
    "create_chat_completion",
    "create_embedding",
    "create_embeddings",
    "get_async_openai",
    "get_openai",
    "stream_chat_completion",
    "validate_model",
]

Messages = str | Iterable[Mapping[str, Any]]


def get_openai() -> OpenAIClient:
    """Return the current runtime's client, built from ``settings.ai`` on first use, closed with the runtime.

    Example:
        >>> get_openai() is get_openai()
        True
    """
    return current().get(OpenAIClient, _client)


def get_async_openai() -> AsyncOpenAIClient:
    """Return the current runtime's client for coroutines, built from ``settings.ai`` on first use.

    Example:
        >>> get_async_openai().options.model
        'gpt-4o-mini'
    """
    return current().get(AsyncOpenAIClient, _async_client)


def create_chat_completion(
    messages: Messages,
    model: str | None = None,
    user_id: str | None = None,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    tools: Sequence[Any] | None = None,
    response_model: "type[BaseModel] | None" = None,
    fallback: Any = None,
    fallback_models: Sequence[str] | None = None,
    timeout: float | None = None,
    **extra: Any,
) -> ChatResult:
    """Return the answer to *messages*; :meth:`OpenAIClient.chat` of the current runtime's client.

    Without ``OPENAI_API_KEY`` the call is not made: the *fallback* answers, ``.degraded``,
    or :class:`~shared.errors.AIServiceError` with the reason ``no_key`` is raised.

    Raises:
        SharedError: As :meth:`OpenAIClient.chat`.

    Example:
        >>> result = create_chat_completion(
        ...     messages=[{"role": "user", "content": "Hello!"}],
        ...     model="gpt-3.5-turbo",
        ...     user_id="user-123",
        ...     fallback="Somebody will answer you soon.",
        ... )
        >>> result.text, result.degraded, result.reason  # no key is set here
        ('Somebody will answer you soon.', True, 'no_key')
    """
    return get_openai().chat(
        messages, model=model, user_id=user_id, temperature=temperature, max_tokens=max_tokens, tools=tools,
        response_model=response_model, fallback=fallback, fallback_models=fallback_models, timeout=timeout,
        **extra,
    )  # fmt: skip


async def acreate_chat_completion(
    messages: Messages,
    model: str | None = None,
    user_id: str | None = None,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    tools: Sequence[Any] | None = None,
    response_model: "type[BaseModel] | None" = None,
    fallback: Any = None,
    fallback_models: Sequence[str] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - that of one try
    **extra: Any,
) -> ChatResult:
    """As :func:`create_chat_completion`, awaited.

    Raises:
        SharedError: As :meth:`OpenAIClient.chat`.

    Example:
        >>> import asyncio
        >>> asyncio.run(acreate_chat_completion("Hello!", fallback="later")).text
        'later'
    """
    return await get_async_openai().chat(
        messages, model=model, user_id=user_id, temperature=temperature, max_tokens=max_tokens, tools=tools,
        response_model=response_model, fallback=fallback, fallback_models=fallback_models, timeout=timeout,
        **extra,
    )  # fmt: skip


def stream_chat_completion(
    messages: Messages, model: str | None = None, user_id: str | None = None, **options: Any
) -> ChatStream:
    """Return the answer piece by piece; :meth:`OpenAIClient.stream` of the current runtime's client.

    Raises:
        SharedError: As :meth:`OpenAIClient.chat`.

    Example:
        >>> with stream_chat_completion("Hello!", fallback="later") as stream:
        ...     list(stream), stream.degraded
        (['later'], True)
    """
    return get_openai().stream(messages, model=model, user_id=user_id, **options)


async def astream_chat_completion(
    messages: Messages, model: str | None = None, user_id: str | None = None, **options: Any
) -> AsyncChatStream:
    """As :func:`stream_chat_completion`, awaited.

    Raises:
        SharedError: As :meth:`OpenAIClient.chat`.

    Example:
        >>> import asyncio
        >>> async def main():
        ...     async with await astream_chat_completion("Hello!", fallback="later") as stream:
        ...         return [piece async for piece in stream]
        >>> asyncio.run(main())
        ['later']
    """
    return await get_async_openai().stream(messages, model=model, user_id=user_id, **options)


def create_embedding(
    text: str, model: str | None = None, user_id: str | None = None, **options: Any
) -> list[float]:
    """Return the vector of *text*; for many texts at once see :func:`create_embeddings`.

    Args:
        text: What to embed, not empty.
        model: ``OPENAI_EMBEDDING_MODEL`` when None.
        user_id: For whom: for budgets, events and logs; never sent to the supplier.
        options: ``dimensions`` and ``timeout`` of :meth:`OpenAIClient.embed`.

    Raises:
        SharedError: As :meth:`OpenAIClient.embed`.

    Example:
        >>> try:
        ...     create_embedding("Hello world", model="text-embedding-ada-002")
        ... except Exception as error:
        ...     print(error.details)
        {'reason': 'no_key'}
    """
    return get_openai().embed([text], model=model, user_id=user_id, **options).vectors[0]


async def acreate_embedding(
    text: str, model: str | None = None, user_id: str | None = None, **options: Any
) -> list[float]:
    """As :func:`create_embedding`, awaited.

    Raises:
        SharedError: As :meth:`OpenAIClient.embed`.

    Example:
        >>> import asyncio
        >>> try:
        ...     asyncio.run(acreate_embedding("Hello world"))
        ... except Exception as error:
        ...     print(error.details)
        {'reason': 'no_key'}
    """
    found = await get_async_openai().embed([text], model=model, user_id=user_id, **options)
    return found.vectors[0]


def create_embeddings(
    texts: Iterable[str], model: str | None = None, user_id: str | None = None, **options: Any
) -> EmbeddingResult:
    """Return a vector for each of *texts*, sent in batches; see :meth:`OpenAIClient.embed`.

    Raises:
        SharedError: As :meth:`OpenAIClient.embed`.

    Example:
        >>> create_embeddings([]).vectors
        []
    """
    return get_openai().embed(texts, model=model, user_id=user_id, **options)


async def acreate_embeddings(
    texts: Iterable[str], model: str | None = None, user_id: str | None = None, **options: Any
) -> EmbeddingResult:
    """As :func:`create_embeddings`, awaited.

    Raises:
        SharedError: As :meth:`OpenAIClient.embed`.

    Example:
        >>> import asyncio
        >>> asyncio.run(acreate_embeddings([])).usage.total
        0
    """
    return await get_async_openai().embed(texts, model=model, user_id=user_id, **options)


def validate_model(model: str) -> ModelStatus:
    """Tell whether *model* can be used; true unless it certainly cannot, and never raises.

    Example:
        >>> bool(validate_model("gpt-4")), bool(validate_model("../etc/passwd"))
        (True, False)
    """
    return get_openai().validate_model(model)


async def avalidate_model(model: str) -> ModelStatus:
    """As :func:`validate_model`, awaited.

    Example:
        >>> import asyncio
        >>> asyncio.run(avalidate_model("gpt-4"))
        <ModelStatus.AVAILABLE: 'available'>
    """
    return await get_async_openai().validate_model(model)


def _client(_: Runtime) -> OpenAIClient:
    return OpenAIClient(_options(), budgets=_budgets())


def _async_client(_: Runtime) -> AsyncOpenAIClient:
    return AsyncOpenAIClient(_options(), budgets=_budgets())


def _options() -> OpenAIOptions:
    from shared.config import get_settings

    return OpenAIOptions.from_settings(get_settings().ai)


def _budgets() -> AIBudgets:
    """Return the budgets of the settings: one object for both clients of a runtime."""
    return current().get(AIBudgets, _budgets_of_settings)


def _budgets_of_settings(_: Runtime) -> AIBudgets:
    from shared.config import get_settings

    found = get_settings()
    url = found.ai.OPENAI_BUDGET_STORE or found.redis.url
    return AIBudgets(
        user=found.ai.OPENAI_USER_BUDGET,
        service=found.ai.OPENAI_SERVICE_BUDGET,
        store=None if url is None else str(url),
        prefix=f"{found.redis.REDIS_KEY_PREFIX}{found.app.SERVICE_NAME}:",
    )
