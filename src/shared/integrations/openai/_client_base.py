"""What both clients are made of and keep."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from shared.errors import AIServiceError, InvalidArgumentError, SharedError, ValidationError
from shared.integrations.openai._budget import AIBudgets
from shared.integrations.openai._core import ClientCore
from shared.integrations.openai._errors import AIFailure, ai_error, reason_of
from shared.integrations.openai._guards import Guards
from shared.integrations.openai._models import KNOWN_MODELS, ModelStatus, ModelStatuses
from shared.integrations.openai._options import OpenAIOptions
from shared.integrations.openai._request import model_name
from shared.integrations.openai._results import ChatResult
from shared.integrations.openai._telemetry import Telemetry
from shared.integrations.openai._tools import Tool, tool_message
from shared.integrations.openai._transport import AsyncTransport, Transport
from shared.monitoring import AIMetrics, Tracer
from shared.resilience import BreakerRegistry, RetryPolicy

__all__ = ["ClientBase"]


class ClientBase:
    """Options, core and transport; see :class:`OpenAIClient`."""

    _transport_kind: ClassVar[type[Transport] | type[AsyncTransport]]

    def __init__(
        self,
        options: OpenAIOptions | None = None,
        *,
        budgets: AIBudgets | None = None,
        retry: RetryPolicy | None = None,
        breakers: BreakerRegistry | None = None,
        metrics: AIMetrics | None = None,
        tracer: Tracer | None = None,
        clock: Callable[[], float] = time.monotonic,
        **changes: Any,
    ) -> None:
        options = OpenAIOptions(**changes) if options is None else replace(options, **changes)
        self.options: OpenAIOptions = options
        self._core = ClientCore(
            options,
            budgets=budgets,
            guards=Guards(
                name=options.name, max_attempts=options.max_attempts, retry=retry, breakers=breakers
            ),
            telemetry=Telemetry(options, metrics=metrics, tracer=tracer, clock=clock),
            clock=clock,
        )
        self._statuses = ModelStatuses(clock)
        self._transport: Any = self._transport_kind(self._core)

    @property
    def budgets(self) -> AIBudgets:
        """What may be spent."""
        return self._core.budgets

    # -- models -----------------------------------------------------------------------------

    def _status_at_hand(self, model: object) -> ModelStatus | None:
        """Return the status of *model* as far as it is known without asking."""
        try:
            name = model_name(model)
        except ValidationError:
            return ModelStatus.UNAVAILABLE
        if self.options.is_openai and name in KNOWN_MODELS:
            return ModelStatus.AVAILABLE
        known = self._statuses.get(name)
        if known is None and self.options.is_openai and self.options.key() is None:
            return ModelStatus.UNKNOWN
        return known

    def _status_after(self, model: str, error: SharedError | None) -> ModelStatus:
        if error is None:
            return self._statuses.put(model, ModelStatus.AVAILABLE)
        gone = isinstance(error, AIServiceError) and reason_of(error) == AIFailure.MODEL
        return self._statuses.put(model, ModelStatus.UNAVAILABLE if gone else ModelStatus.UNKNOWN)

    # -- tools ------------------------------------------------------------------------------

    def _conversation(self, messages: Any, max_rounds: Any) -> list[dict[str, Any]]:
        """Return the messages as a list of our own.

        Raises:
            ValidationError: They are none.
            InvalidArgumentError: *max_rounds* is not a whole number >= 1.
        """
        if isinstance(max_rounds, bool) or not isinstance(max_rounds, int) or max_rounds < 1:
            msg = f"max_rounds is a whole number >= 1, got {max_rounds!r}"
            raise InvalidArgumentError(msg)
        found: list[dict[str, Any]] = self._core.request(messages).fields["messages"]
        return found

    @staticmethod
    def _next_turn(conversation: list[dict[str, Any]], result: ChatResult) -> None:
        conversation.append(result.message)

    @staticmethod
    def _refused_tool(call: Any, error: SharedError | None) -> dict[str, Any]:
        """Return the message that tells the model what was wrong with its call."""
        text = "there is no such tool" if error is None else str(error)
        return tool_message(call, f"error: {text}")

    @staticmethod
    def _too_many_rounds(rounds: int) -> AIServiceError:
        text = f"the model still calls tools after {rounds} rounds: raise max_rounds, or look at the tools"
        return ai_error(AIFailure.INVALID_OUTPUT, text)

    @staticmethod
    def _summed(result: ChatResult, earlier: list[ChatResult]) -> ChatResult:
        usage, cost = result.usage, result.cost
        for each in earlier:
            usage, cost = usage + each.usage, cost + each.cost
        seconds = result.seconds + sum(each.seconds for each in earlier)
        degraded = next((each for each in (*earlier, result) if each.degraded), None)
        if degraded is not None and not result.degraded:
            result = replace(result, degraded=True, answered_by=degraded.answered_by, reason=degraded.reason)
        return replace(result, usage=usage, cost=cost, seconds=seconds)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.options.shown}>"


def model_path(model: str) -> str:
    """Return the path that tells about *model*."""
    return f"/models/{quote(model, safe='')}"


def sync_tool(tool: Tool) -> None:
    """Refuse an asynchronous tool in a synchronous client.

    Raises:
        UnsupportedCallableError: Its function is a coroutine function.
    """
    from shared.errors import UnsupportedCallableError

    if tool.is_async:
        msg = f"tool {tool.name!r} is asynchronous: nothing would await it; use AsyncOpenAIClient"
        raise UnsupportedCallableError(msg)
