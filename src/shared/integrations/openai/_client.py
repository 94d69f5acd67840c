"""The client for threads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from shared.errors import AIServiceError, SharedError
from shared.integrations.openai._client_base import ClientBase, model_path, sync_tool
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
from shared.integrations.openai._stream import ChatStream, Opened
from shared.integrations.openai._tools import tool_message, tools_by_name
from shared.integrations.openai._transport import Transport

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["OpenAIClient"]


class OpenAIClient(ClientBase):
    """Calls OpenAI, or a server that speaks its API, the way a service should.

    Each call has explicit time limits and keeps to the deadline of the request; one
    policy per model decides about retries and the circuit breaker, the SDK about
    nothing; budgets are looked at before and charged after; what was asked and answered
    is in no log, metric, span or error. One client per service, for the life of the
    process; thread-safe and fork-safe; a context manager. The SDK is imported and the
    connections are opened by the first call. Needs the extra ``openai``.

    Args:
        options: How to call; see :class:`OpenAIOptions`.
        budgets: What may be spent; no bounds when None.
        retry: Another owner of retries than *max_attempts* with growing waits.
        breakers: Where circuit breakers come from; the current runtime's when None.
        metrics: Where calls are counted; the current runtime's when None.
        tracer: Makes the spans; the current runtime's when None.
        clock: Gives monotonic seconds.
        changes: Fields of :class:`OpenAIOptions`.

    Raises:
        InvalidArgumentError: An option is out of range.

    Example:
        >>> from shared.testing import FakeOpenAI
        >>> with FakeOpenAI() as fake, OpenAIClient(base_url=fake.base_url, api_key=fake.api_key) as client:
        ...     fake.reply("four")
        ...     client.chat([{"role": "user", "content": "2 + 2?"}]).text
        'four'
    """

    _transport_kind: ClassVar[type[Transport]] = Transport

    # -- chat -------------------------------------------------------------------------------

    def chat(
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
        timeout: float | None = None,
        **extra: Any,
    ) -> ChatResult:
        """Return the answer to *messages*.

        Args:
            messages: ``[{"role": "user", "content": "…"}, …]``, or one text of a user.
            model: Which to ask; that of the options when None.
            user_id: For whom: for budgets, events and logs; never sent to the supplier.
            temperature: Randomness, 0 to 2.
            max_tokens: Tokens of the answer at most.
            tools: What the model may call: functions, :class:`Tool` objects, or definitions
                as the API takes them. Calls come back in ``result.tool_calls``;
                :meth:`run_tools` runs them.
            response_model: A pydantic model; the answer comes back as ``result.parsed``.
            fallback: What to answer when no model can: a text, an object of
                *response_model*, or a function of the error. The result is ``.degraded``.
            fallback_models: Asked in this order when *model* cannot answer; those of the
                options when None.
            timeout: Seconds for one try.
            extra: Further fields of the API, such as ``top_p``, ``seed`` or ``stop``.

        Raises:
            AIServiceError: No model answered; ``details["reason"]`` says why, see
                :class:`AIFailure`. :class:`AIQuotaError` when the account is used up,
                :class:`AIRateLimitError` when the supplier asks to wait.
            ValidationError: The messages or the model are wrong.
            PayloadTooLargeError: The prompt is too long.
            RateLimitError: The budget of the user is used up.
            ServiceUnavailableError: That of the service is, or a circuit is open.
            DeadlineExceededError: It took too long.
            MissingDependencyError: The extra ``openai`` is not installed.
            InvalidArgumentError: Another argument is wrong.
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
                return self._core.told(request, self._chat(request, name), began, failure)
            except SharedError as exc:
                failure = failure or exc
                if not self._core.asks_next(exc):
                    failure = exc
                    break
        return self._core.instead(request, fallback, failure or AIServiceError(), began)

    def _chat(self, request: ChatRequest, model: str) -> ChatResult:
        core = self._core
        core.require_key()
        core.budgets.check(request.user_id, *core.estimate(request.chars, model))
        record, body = core.begin_chat(request, model)
        try:
            result = core.guards.of(model).call(
                self._transport.fetch, "/chat/completions", body, model, request.timeout, core.read_chat
            )
            result = core.note(record, result)
            core.budgets.charge(request.user_id, result.usage, result.cost)
            result = core.shaped(request, result)
        except BaseException as exc:
            core.telemetry.end(record, exc)
            raise
        core.telemetry.end(record)
        return result

    def stream(
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
        timeout: float | None = None,
        **extra: Any,
    ) -> ChatStream:
        """Return the answer piece by piece, once the model has begun to speak.

        Until then retries and fallback models work as in :meth:`chat`; an answer that is
        cut later is not begun again, since its beginning has been used: the error leaves
        the loop, and ``stream.text`` has what was said. *timeout* is the longest silence;
        the deadline of the request ends the stream in any case.

        Raises:
            SharedError: As :meth:`chat`.
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
                opened = self._open(request, name)
            except SharedError as exc:
                failure = failure or exc
                if not self._core.asks_next(exc):
                    failure = exc
                    break
            else:
                return ChatStream(self._core, request, opened, began=began, failure=failure)
        failure = failure or AIServiceError()
        canned = self._core.instead(request, fallback, failure, began)
        return ChatStream(self._core, request, None, began=began, failure=failure, canned=canned)

    def _open(self, request: ChatRequest, model: str) -> Opened:
        core = self._core
        core.require_key()
        core.budgets.check(request.user_id, *core.estimate(request.chars, model))
        record, body = core.begin_chat(request, model, stream=True)
        breaker: Any = core.guards.of(model).breaker

        def begin() -> Opened:
            permit = breaker.acquire()
            try:
                response, limit = self._transport.send("/chat/completions", body, model, request.timeout)
            except BaseException as exc:
                breaker.error(permit, exc)
                raise
            return Opened(response, record, breaker, permit, limit)

        try:
            return core.guards.retry.call(begin)
        except BaseException as exc:
            core.telemetry.end(record, exc)
            raise

    def run_tools(
        self,
        messages: str | Iterable[Mapping[str, Any]],
        tools: Sequence[Any],
        *,
        max_rounds: int = 8,
        **options: Any,
    ) -> ChatResult:
        """Return the answer after the model has had its *tools* run, round by round.

        What a tool raises leaves; a call of no tool, or with wrong arguments, goes back
        to the model as an error it can correct.

        Args:
            messages: As for :meth:`chat`.
            tools: Functions or :class:`Tool` objects.
            max_rounds: Answers at most.
            options: Of :meth:`chat`.

        Returns:
            The last answer, with the tokens and the cost of all.

        Raises:
            AIServiceError: The model still calls tools after *max_rounds*.
            SharedError: As :meth:`chat`.
        """
        functions = tools_by_name(tools)
        for tool in functions.values():
            sync_tool(tool)
        conversation = self._conversation(messages, max_rounds)
        earlier: list[ChatResult] = []
        for _ in range(max_rounds):
            result = self.chat(conversation, tools=list(functions.values()), **options)
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
                else:
                    conversation.append(tool_message(call, function.function(**arguments)))
        raise self._too_many_rounds(max_rounds)

    # -- embeddings ---------------------------------------------------------------------------

    def embed(
        self,
        texts: Iterable[str],
        *,
        model: str | None = None,
        user_id: str | None = None,
        dimensions: int | None = None,
        batch_size: int = 2048,
        timeout: float | None = None,
    ) -> EmbeddingResult:
        """Return a vector for each of *texts*, in their order; many are sent in batches.

        Args:
            texts: Any number of non-empty texts.
            model: Which to ask; that of the options when None.
            user_id: As for :meth:`chat`.
            dimensions: Length of the vectors, for models that can shorten them.
            batch_size: Texts in one request at most, up to 2048.
            timeout: Seconds for one try of one batch.

        Raises:
            ValidationError: A text is empty or the model is no name.
            SharedError: As :meth:`chat`.
        """
        began, name = self._core.clock(), model_name(model or self.options.embedding_model)
        batches = embedding_batches(texts, batch_size=batch_size, max_chars=self.options.max_prompt_chars)
        limit = self._core.request("x", timeout=timeout).timeout
        total = EmbeddingResult(vectors=[], model=name)
        for batch in batches:
            part = self._embed(batch, name, dimensions, user_id, limit)
            total = self._core.joined(total, part)
        return replace(total, seconds=self._core.clock() - began)

    def _embed(
        self, batch: EmbeddingBatch, model: str, dimensions: int | None, user_id: str | None, limit: float
    ) -> EmbeddingResult:
        core = self._core
        core.require_key()
        core.budgets.check(user_id, *core.estimate(batch.chars, model))
        record = core.telemetry.begin("embeddings", model, user_id, prompt=list(batch.texts))
        body = batch.body(model, dimensions, packed=self.options.is_openai)

        def read(answer: bytes, name: str, _: str) -> tuple[list[list[float]], TokenUsage, str]:
            return parse_embeddings(core.document(answer, name), name, len(batch.texts))

        try:
            vectors, usage, named = core.guards.of(model).call(
                self._transport.fetch, "/embeddings", body, model, limit, read
            )
            core.note_embeddings(record, usage, named)
            core.budgets.charge(user_id, usage, record.cost)
        except BaseException as exc:
            core.telemetry.end(record, exc)
            raise
        core.telemetry.end(record)
        return EmbeddingResult(vectors=vectors, model=named, usage=usage, cost=record.cost)

    # -- models -------------------------------------------------------------------------------

    def validate_model(self, model: str) -> ModelStatus:
        """Tell whether *model* can be used; never raises.

        Well-known names of OpenAI need no question; others are asked for, and the answer
        is kept for five minutes. Without a key or a connection the status is ``unknown``,
        which is true: only ``unavailable`` is false.
        """
        known = self._status_at_hand(model)
        if known is not None:
            return known
        try:
            self._get(model_path(model), model)
        except SharedError as exc:
            return self._status_after(model, exc)
        return self._status_after(model, None)

    def list_models(self) -> list[str]:
        """Return the names of the models that the supplier serves, sorted.

        Raises:
            SharedError: As :meth:`chat`.
        """
        self._core.require_key()
        return list(models_in(self._get("/models", self.options.model)))

    def _get(self, path: str, model: str) -> Any:
        policy = self._core.guards.of("models")
        return policy.call(
            self._transport.fetch, path, None, model, self.options.timeout, self._core.read_document
        )

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections; calling it again does nothing. Budgets are closed by who made them."""
        self._transport.close()

    async def aclose(self) -> None:
        """As :meth:`close`, for a runtime that closes asynchronously."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
