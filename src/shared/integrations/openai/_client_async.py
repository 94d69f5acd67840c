"""The client for coroutines."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from shared.errors import AIServiceError, SharedError
from shared.integrations.openai._client_base import ClientBase, model_path
from shared.integrations.openai._core import models_in
from shared.integrations.openai._models import ModelStatus
from shared.integrations.openai._request import (
    ChatRequest,
    EmbeddingBatch,
    embedding_batches,
    model_name,
)
from shared.integrations.openai._results import (
    ChatResult,
    EmbeddingResult,
    TokenUsage,
    parse_embeddings,
)
from shared.integrations.openai._stream import AsyncChatStream, Opened
from shared.integrations.openai._tools import tool_message, tools_by_name
from shared.integrations.openai._transport import AsyncTransport

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["AsyncOpenAIClient"]


class AsyncOpenAIClient(ClientBase):
    """An :class:`OpenAIClient` for coroutines: the same methods, awaited.

    Connections belong to the event loop that made them: close with :meth:`aclose`, or
    use it as an ``async with`` block. The SDK is imported in a thread by the first call.

    Example:
        >>> import asyncio
        >>> from shared.testing import FakeOpenAI
        >>> async def main(fake):
        ...     async with AsyncOpenAIClient(base_url=fake.base_url, api_key=fake.api_key) as client:
        ...         return (await client.chat("2 + 2?")).text
        >>> with FakeOpenAI() as fake:
        ...     fake.reply("four")
        ...     asyncio.run(main(fake))
        'four'
    """

    _transport_kind: ClassVar[type[AsyncTransport]] = AsyncTransport

    # -- chat -------------------------------------------------------------------------------

    async def chat(
        self,
        messages: str | Iterable[Mapping[str, Any]],
        *,
        model: str | None = None,
        user_id: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Sequence[Any] | None = None,
        response_model: "type[BaseModel] | None" = None,
        fallback: Any = None,
        fallback_models: Sequence[str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - that of one try, as in the twin
        **extra: Any,
    ) -> ChatResult:
        """Return the answer to *messages*; see :meth:`OpenAIClient.chat`.

        Raises:
            SharedError: As :meth:`OpenAIClient.chat`.
        """
        request = self._core.request(
            messages, model=model, user_id=user_id, temperature=temperature, max_tokens=max_tokens,
            tools=tools, response_model=response_model, fallback_models=fallback_models, timeout=timeout,
            extra=extra,
        )  # fmt: skip
        began = self._core.clock()
        failure: SharedError | None = None
        for name in request.models:
            try:
                return self._core.told(request, await self._chat(request, name), began, failure)
            except SharedError as exc:
                failure = failure or exc
                if not self._core.asks_next(exc):
                    failure = exc
                    break
        return self._core.instead(request, fallback, failure or AIServiceError(), began)

    async def _chat(self, request: ChatRequest, model: str) -> ChatResult:
        core = self._core
        core.require_key()
        await core.budgets.acheck(request.user_id, *core.estimate(request.chars, model))
        record, body = core.begin_chat(request, model)
        try:
            result: ChatResult = await core.guards.of(model).acall(
                self._transport.fetch, "/chat/completions", body, model, request.timeout, core.read_chat
            )
            result = core.note(record, result)
            await core.budgets.acharge(request.user_id, result.usage, result.cost)
            result = core.shaped(request, result)
        except BaseException as exc:
            core.telemetry.end(record, exc)
            raise
        core.telemetry.end(record)
        return result

    async def stream(
        self,
        messages: str | Iterable[Mapping[str, Any]],
        *,
        model: str | None = None,
        user_id: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Sequence[Any] | None = None,
        response_model: "type[BaseModel] | None" = None,
        fallback: Any = None,
        fallback_models: Sequence[str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - that of one try, as in the twin
        **extra: Any,
    ) -> AsyncChatStream:
        """Return the answer piece by piece; see :meth:`OpenAIClient.stream`.

        Raises:
            SharedError: As :meth:`OpenAIClient.chat`.
        """
        request = self._core.request(
            messages, model=model, user_id=user_id, temperature=temperature, max_tokens=max_tokens,
            tools=tools, response_model=response_model, fallback_models=fallback_models, timeout=timeout,
            extra=extra,
        )  # fmt: skip
        began = self._core.clock()
        failure: SharedError | None = None
        for name in request.models:
            try:
                opened = await self._open(request, name)
            except SharedError as exc:
                failure = failure or exc
                if not self._core.asks_next(exc):
                    failure = exc
                    break
            else:
                return AsyncChatStream(self._core, request, opened, began=began, failure=failure)
        failure = failure or AIServiceError()
        canned = self._core.instead(request, fallback, failure, began)
        return AsyncChatStream(self._core, request, None, began=began, failure=failure, canned=canned)

    async def _open(self, request: ChatRequest, model: str) -> Opened:
        core = self._core
        core.require_key()
        await core.budgets.acheck(request.user_id, *core.estimate(request.chars, model))
        record, body = core.begin_chat(request, model, stream=True)
        breaker: Any = core.guards.of(model).breaker

        async def begin() -> Opened:
            permit = breaker.acquire()
            try:
                response, limit = await self._transport.send(
                    "/chat/completions", body, model, request.timeout
                )
            except BaseException as exc:
                breaker.error(permit, exc)
                raise
            return Opened(response, record, breaker, permit, limit)

        try:
            return await core.guards.retry.acall(begin)
        except BaseException as exc:
            core.telemetry.end(record, exc)
            raise

    async def run_tools(
        self,
        messages: str | Iterable[Mapping[str, Any]],
        tools: Sequence[Any],
        *,
        max_rounds: int = 8,
        **options: Any,
    ) -> ChatResult:
        """Return the answer after the model has had its *tools* run; see :meth:`OpenAIClient.run_tools`.

        Tools may be asynchronous; a synchronous one runs in the event loop.

        Raises:
            SharedError: As :meth:`OpenAIClient.run_tools`.
        """
        functions = tools_by_name(tools)
        conversation = self._conversation(messages, max_rounds)
        earlier: list[ChatResult] = []
        for _ in range(max_rounds):
            result = await self.chat(conversation, tools=list(functions.values()), **options)
            if not result.tool_calls:
                return self._summed(result, earlier)
            earlier.append(result)
            self._next_turn(conversation, result)
            for call in result.tool_calls:
                function = functions.get(call.name)
                error: SharedError | None = None
                try:
                    arguments = None if function is None else function.arguments(call)
                except AIServiceError as exc:
                    arguments, error = None, exc
                if function is None or arguments is None:
                    conversation.append(self._refused_tool(call, error))
                    continue
                outcome = function.function(**arguments)
                if inspect.isawaitable(outcome):
                    outcome = await outcome
                conversation.append(tool_message(call, outcome))
        raise self._too_many_rounds(max_rounds)

    # -- embeddings ---------------------------------------------------------------------------

    async def embed(
        self,
        texts: Iterable[str],
        *,
        model: str | None = None,
        user_id: str | None = None,
        dimensions: int | None = None,
        batch_size: int = 2048,
        timeout: float | None = None,  # noqa: ASYNC109 - that of one try, as in the twin
    ) -> EmbeddingResult:
        """Return a vector for each of *texts*; see :meth:`OpenAIClient.embed`.

        Raises:
            SharedError: As :meth:`OpenAIClient.embed`.
        """
        began, name = self._core.clock(), model_name(model or self.options.embedding_model)
        batches = embedding_batches(texts, batch_size=batch_size, max_chars=self.options.max_prompt_chars)
        limit = self._core.request("x", timeout=timeout).timeout
        total = EmbeddingResult(vectors=[], model=name)
        for batch in batches:
            part = await self._embed(batch, name, dimensions, user_id, limit)
            total = self._core.joined(total, part)
        return replace(total, seconds=self._core.clock() - began)

    async def _embed(
        self, batch: EmbeddingBatch, model: str, dimensions: int | None, user_id: str | None, limit: float
    ) -> EmbeddingResult:
        core = self._core
        core.require_key()
        await core.budgets.acheck(user_id, *core.estimate(batch.chars, model))
        record = core.telemetry.begin("embeddings", model, user_id, prompt=list(batch.texts))
        body = batch.body(model, dimensions, packed=self.options.is_openai)

        def read(answer: bytes, name: str, _: str) -> tuple[list[list[float]], TokenUsage, str]:
            return parse_embeddings(core.document(answer, name), name, len(batch.texts))

        try:
            vectors, usage, named = await core.guards.of(model).acall(
                self._transport.fetch, "/embeddings", body, model, limit, read
            )
            core.note_embeddings(record, usage, named)
            await core.budgets.acharge(user_id, usage, record.cost)
        except BaseException as exc:
            core.telemetry.end(record, exc)
            raise
        core.telemetry.end(record)
        return EmbeddingResult(vectors=vectors, model=named, usage=usage, cost=record.cost)

    # -- models -------------------------------------------------------------------------------

    async def validate_model(self, model: str) -> ModelStatus:
        """Tell whether *model* can be used; see :meth:`OpenAIClient.validate_model`."""
        known = self._status_at_hand(model)
        if known is not None:
            return known
        try:
            await self._get(model_path(model), model)
        except SharedError as exc:
            return self._status_after(model, exc)
        return self._status_after(model, None)

    async def list_models(self) -> list[str]:
        """Return the names of the models that the supplier serves, sorted.

        Raises:
            SharedError: As :meth:`OpenAIClient.chat`.
        """
        self._core.require_key()
        return list(models_in(await self._get("/models", self.options.model)))

    async def _get(self, path: str, model: str) -> Any:
        policy = self._core.guards.of("models")
        return await policy.acall(
            self._transport.fetch, path, None, model, self.options.timeout, self._core.read_document
        )

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Warn: the connections belong to an event loop and are closed by :meth:`aclose`."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close the connections; calling it again does nothing. Budgets are closed by who made them."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
