"""What both clients decide and know; no network, nothing awaited."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shared.errors import (
    AIQuotaError,
    AIServiceError,
    CircuitOpenError,
    DeadlineExceededError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
)
from shared.integrations.openai._budget import AIBudgets
from shared.integrations.openai._errors import AIFailure, ai_error, late, reason_of
from shared.integrations.openai._guards import Guards
from shared.integrations.openai._options import OpenAIOptions
from shared.integrations.openai._prices import price_of
from shared.integrations.openai._request import ChatRequest, chat_request, estimate_tokens
from shared.integrations.openai._results import (
    ChatResult,
    EmbeddingResult,
    TokenUsage,
    malformed,
    parse_chat,
)
from shared.integrations.openai._schema import parse_answer
from shared.integrations.openai._telemetry import CallRecord, Telemetry, attributes_of
from shared.resilience import Deadline

__all__ = ["ClientCore"]

#: Reasons for which another model would not answer either.
_OF_ALL: Final = frozenset({AIFailure.NO_KEY, AIFailure.QUOTA, AIFailure.AUTHENTICATION, AIFailure.BUDGET})


class ClientCore:
    """Options, guards, budgets and telemetry of one client, and every decision that needs no network."""

    def __init__(
        self,
        options: OpenAIOptions,
        *,
        budgets: AIBudgets | None = None,
        guards: Guards | None = None,
        telemetry: Telemetry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options: OpenAIOptions = options
        self.budgets: AIBudgets = budgets or AIBudgets()
        self.guards: Guards = guards or Guards(name=options.name, max_attempts=options.max_attempts)
        self.telemetry: Telemetry = telemetry or Telemetry(options, clock=clock)
        self.clock = clock

    # -- before ---------------------------------------------------------------------------

    def require_key(self) -> None:
        """Refuse to call OpenAI without a key.

        Raises:
            AIServiceError: There is none; the reason is ``no_key``.
        """
        if self.options.is_openai and self.options.key() is None:
            text = "OPENAI_API_KEY is not set: set it, give a fallback, or name a server by OPENAI_BASE_URL"
            raise ai_error(AIFailure.NO_KEY, text)

    def request(self, messages: str | Iterable[Mapping[str, Any]], **arguments: Any) -> ChatRequest:
        """Return the checked request; see :func:`chat_request`."""
        return chat_request(self.options, messages, **arguments)

    def estimate(self, chars: int, model: str) -> tuple[int, float]:
        """Return the tokens and the cost that a prompt takes at least.

        Raises:
            ConfigurationError: A budget is in usd and *model* has no price.
        """
        tokens = estimate_tokens(chars)
        price = price_of(self.options.prices, model)
        self.budgets.require_price(model, known=price is not None)
        return tokens, 0.0 if price is None else price.cost(input_tokens=tokens)

    def time_allowed(self, model: str, timeout: float) -> tuple[float, bool]:
        """Return the seconds one try may take, and whether the caller's deadline set them.

        Raises:
            DeadlineExceededError: No time is left.
        """
        deadline = Deadline.current(clock=self.clock)
        if deadline is None:
            return timeout, False
        rest = deadline.remaining()
        if rest <= 0:
            raise late(model, timeout, by_deadline=True)
        return (rest, True) if rest < timeout else (timeout, False)

    def begin_chat(
        self, request: ChatRequest, model: str, *, stream: bool = False
    ) -> tuple[CallRecord, dict[str, Any]]:
        """Begin to record a chat with *model*; return the record and the body to send."""
        body = request.body(model, stream=stream)
        about = attributes_of(body)
        return self.telemetry.begin("chat", model, request.user_id, prompt=body["messages"], **about), body

    # -- after ----------------------------------------------------------------------------

    def cost(self, model: str, answered: str, usage: TokenUsage) -> float:
        """Return what *usage* costs, by the price of *model* or of the model that answered."""
        price = price_of(self.options.prices, model) or price_of(self.options.prices, answered)
        if price is None:
            return 0.0
        return price.cost(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)

    def document(self, body: bytes, model: str) -> Any:
        """Return the JSON of an answer.

        Raises:
            AIServiceError: It is none.
        """
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass  # raised below, outside of the handler: its text quotes the answer
        raise malformed(model, "no JSON")

    def read_chat(self, body: bytes, model: str, request_id: str) -> ChatResult:
        """Return the answer in *body*.

        Raises:
            AIServiceError: It is no chat completion.
        """
        return replace(parse_chat(self.document(body, model), model), request_id=request_id)

    def read_document(self, body: bytes, model: str, _: str) -> Any:
        """Return the JSON of an answer of any kind."""
        return self.document(body, model)

    def note_embeddings(self, record: CallRecord, usage: TokenUsage, named: str) -> None:
        """Write what a batch of embeddings took into the record."""
        record.usage, record.cost = usage, self.cost(record.model, named, usage)
        record.answered(response_model=named)

    @staticmethod
    def joined(total: EmbeddingResult, part: EmbeddingResult) -> EmbeddingResult:
        """Return the vectors of one more batch behind those of the earlier ones.

        Raises:
            AIServiceError: They are of different lengths.
        """
        if total.vectors and part.dimensions != total.dimensions:
            raise malformed(part.model, "embeddings of different lengths")
        return EmbeddingResult(
            vectors=[*total.vectors, *part.vectors],
            model=part.model,
            usage=total.usage + part.usage,
            cost=total.cost + part.cost,
        )

    def note(self, record: CallRecord, result: ChatResult) -> ChatResult:
        """Write what came back into the record; return the result with its cost."""
        record.usage, record.answer = result.usage, result.text
        record.cost = self.cost(record.model, result.model, result.usage)
        record.answered(
            response_model=result.model, response_id=result.id, finish_reason=result.finish_reason
        )
        return replace(result, cost=record.cost)

    def shaped(self, request: ChatRequest, result: ChatResult) -> ChatResult:
        """Return the result with its answer as an object, when one was asked for.

        Raises:
            AIServiceError: The answer is not of that shape.
        """
        if request.response_model is None or result.tool_calls:
            return result
        parsed = parse_answer(request.response_model, result.text, result.finish_reason, result.refusal)
        return replace(result, parsed=parsed)

    def told(
        self, request: ChatRequest, result: ChatResult, began: float, failure: SharedError | None
    ) -> ChatResult:
        """Return the result with how long it took, degraded when a fallback model gave it."""
        result = replace(result, seconds=self.clock() - began)
        if failure is None:
            return result
        reason = reason_of(failure)
        self.telemetry.degraded(request.models[0], reason, "fallback_model", request.user_id)
        return replace(result, degraded=True, answered_by="fallback_model", reason=reason)

    # -- when it fails --------------------------------------------------------------------

    def asks_next(self, error: SharedError) -> bool:
        """Tell whether another model may answer after *error*."""
        reason = reason_of(error)
        if isinstance(error, CircuitOpenError):
            return error.details.get("breaker") != self.guards.account.name
        if isinstance(error, DeadlineExceededError):
            return error.retryable
        if reason in _OF_ALL or isinstance(error, AIQuotaError):
            return False
        return isinstance(error, AIServiceError) or reason == AIFailure.TOO_LONG

    def instead(self, request: ChatRequest, fallback: Any, failure: SharedError, began: float) -> ChatResult:
        """Return the canned answer, or raise *failure* when there is none.

        A mistake of the caller is not answered: it would never be found.
        """
        answerable = isinstance(
            failure, AIServiceError | ServiceUnavailableError | DeadlineExceededError | RateLimitError
        )
        if fallback is None or not answerable:
            raise failure
        reason = reason_of(failure)
        answer = fallback(failure) if callable(fallback) and not isinstance(fallback, type) else fallback
        self.telemetry.degraded(request.models[0], reason, "fallback", request.user_id)
        dump = getattr(answer, "model_dump_json", None)
        return ChatResult(
            text=dump() if callable(dump) else str(answer),
            parsed=answer if callable(dump) else None,
            model="",
            finish_reason="fallback",
            seconds=self.clock() - began,
            degraded=True,
            answered_by="fallback",
            reason=reason,
        )


def models_in(document: object) -> Sequence[str]:
    """Return the names in an answer that lists models; none when it is something else."""
    data = document.get("data") if isinstance(document, Mapping) else None
    rows = data if isinstance(data, list) else []
    names = (row.get("id") for row in rows if isinstance(row, Mapping))
    return sorted({name for name in names if isinstance(name, str) and name})
