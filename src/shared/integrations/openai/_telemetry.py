"""What is told about a call: a span, metrics, an event, a line in the log. Never its content unless asked."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from shared.context import TraceContext, current_context
from shared.integrations.openai._errors import reason_of
from shared.integrations.openai._options import OpenAIOptions
from shared.integrations.openai._results import TokenUsage
from shared.logging import get_logger
from shared.monitoring import AIMetrics, FinishedSpan, SpanKind, Tracer, get_metrics, get_tracer
from shared.runtime import Runtime, current
from shared.security import mask_text

__all__ = ["AICallFinished", "CallRecord", "Telemetry"]

_MOST_CONTENT: Final = 4000  # characters of a prompt or an answer in the log


@dataclass(frozen=True, slots=True, kw_only=True)
class AICallFinished:
    """A call of a model ended; sent through ``runtime.events``.

    Attributes:
        operation: ``"chat"`` or ``"embeddings"``.
        model: Which was asked.
        seconds: All tries together.
        usage: Tokens.
        cost: US dollars by the price table.
        user_id: For whom, as given.
        error: Class of the error, or None.
        reason: Why there is no answer, or None; a word of :class:`AIFailure` as a rule.

    Example:
        >>> from shared.runtime import current
        >>> stop = current().events.subscribe(AICallFinished, lambda event: print(event.model))
        >>> current().events.emit(AICallFinished(operation="chat", model="gpt-4o", seconds=0.5))
        gpt-4o
        >>> stop()
    """

    operation: str
    model: str
    seconds: float
    usage: TokenUsage = field(default_factory=TokenUsage)
    cost: float = 0.0
    user_id: str | None = None
    error: str | None = None
    reason: str | None = None


class CallRecord:
    """One call of one model, from its beginning to its end; see :meth:`Telemetry.begin`."""

    __slots__ = ("_attributes", "_began", "_start", "_trace", "answer", "cost", "model", "operation",
                 "prompt", "seconds", "usage", "user_id")  # fmt: skip

    def __init__(
        self, operation: str, model: str, user_id: str | None, attributes: dict[str, Any], clock: float
    ) -> None:
        self.operation: str = operation
        self.model: str = model
        self.user_id: str | None = user_id
        self.usage: TokenUsage = TokenUsage()
        self.cost: float = 0.0
        self.seconds: float = 0.0
        self.prompt: Any = None
        self.answer: str = ""
        self._attributes = attributes
        self._began = clock
        self._start = time.time_ns()
        context = current_context()
        parent = None if context is None else context.trace
        self._trace: TraceContext = TraceContext.new() if parent is None else parent.child()

    def answered(self, *, response_model: str = "", response_id: str = "", finish_reason: str = "") -> None:
        """Note what came back, for the span."""
        for key, value in (
            ("gen_ai.response.model", response_model),
            ("gen_ai.response.id", response_id),
            ("gen_ai.response.finish_reasons", [finish_reason] if finish_reason else None),
        ):
            if value:
                self._attributes[key] = value

    def span(self, error: BaseException | None) -> FinishedSpan:
        """Return the span of the call. Source: OpenTelemetry GenAI semantic conventions, client spans."""
        attributes = dict(self._attributes)
        if self.usage.total:
            attributes["gen_ai.usage.input_tokens"] = self.usage.input_tokens
            attributes["gen_ai.usage.output_tokens"] = self.usage.output_tokens
        if error is not None:
            attributes["error.type"] = reason_of(error)
        return FinishedSpan(
            f"{self.operation} {self.model}",
            SpanKind.CLIENT,
            self._trace,
            self._start,
            self.seconds,
            attributes,
            None if error is None else type(error).__name__,
            "" if error is None else mask_text(str(error)[:1000]),
        )

    @property
    def began(self) -> float:
        """The clock's reading at the beginning."""
        return self._began

    @property
    def trace(self) -> TraceContext:
        """The ids of the span."""
        return self._trace


class Telemetry:
    """Tells about calls; metrics and tracer are the current runtime's unless given."""

    def __init__(
        self,
        options: OpenAIOptions,
        *,
        metrics: AIMetrics | None = None,
        tracer: Tracer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._provider = options.name
        self._log_content = options.log_content
        self.clock = clock
        self._log = get_logger("shared.integrations.openai")
        address = urlsplit(options.url)
        self._server: dict[str, Any] = {"server.address": address.hostname or ""}
        port = address.port or (443 if address.scheme == "https" else 80)
        self._server["server.port"] = port

    def begin(
        self, operation: str, model: str, user_id: str | None, *, prompt: Any = None, **request: Any
    ) -> CallRecord:
        """Begin to record a call; *request* becomes attributes ``gen_ai.request.*`` of the span."""
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": self._provider,
            "gen_ai.request.model": model,
            **self._server,
        }
        attributes |= {f"gen_ai.request.{key}": value for key, value in request.items() if value is not None}
        record = CallRecord(operation, model, user_id, attributes, self.clock())
        if self._log_content:
            record.prompt = prompt
        return record

    def end(self, record: CallRecord, error: BaseException | None = None) -> None:
        """Tell how the call ended; never raises for what is told."""
        record.seconds = self.clock() - record.began
        failed = error if isinstance(error, Exception) else None
        kind = "" if error is None else type(error).__name__
        metrics = self._metrics or current().get(AIMetrics, _ai_metrics)
        metrics.call(
            self._provider,
            record.operation,
            record.model,
            record.seconds,
            input_tokens=record.usage.input_tokens,
            output_tokens=record.usage.output_tokens,
            cost=record.cost,
            error_type=kind,
        )
        self._trace(record, failed)
        self._write(record, failed)
        reason = None if error is None else reason_of(error)
        current().events.emit(
            AICallFinished(
                operation=record.operation,
                model=record.model,
                seconds=record.seconds,
                usage=record.usage,
                cost=record.cost,
                user_id=record.user_id,
                error=kind or None,
                reason=reason,
            )
        )

    def _trace(self, record: CallRecord, error: Exception | None) -> None:
        tracer = self._tracer or get_tracer()
        trace = record.trace
        if not tracer.is_active or not trace.sampled:
            return
        if not trace.parent_id and not tracer.samples(trace.trace_id):
            return
        if tracer.bridge is not None:
            tracer.bridge.record(record.span(error))
        else:
            tracer.emit(record.span(error))

    def _write(self, record: CallRecord, error: Exception | None) -> None:
        fields: dict[str, Any] = {
            "operation": record.operation,
            "model": record.model,
            "duration_ms": round(record.seconds * 1000, 1),
            "input_tokens": record.usage.input_tokens,
            "output_tokens": record.usage.output_tokens,
            "user_id": record.user_id,
        }
        if record.cost:
            fields["cost_usd"] = round(record.cost, 8)
        if self._log_content:
            fields["prompt"] = _content(record.prompt)
            fields["answer"] = _content(record.answer)
        fields = {key: value for key, value in fields.items() if value is not None}
        if error is None:
            self._log.info("ai_call", **fields)
        else:
            self._log.warning("ai_call_failed", reason=reason_of(error), error=str(error), **fields)

    def degraded(self, model: str, reason: str, answered_by: str, user_id: str | None) -> None:
        """Tell that somebody else than *model* answered."""
        self._log.warning("ai_degraded", model=model, reason=reason, answered_by=answered_by, user_id=user_id)


def _content(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    # Masked before it is cut: half a secret has no shape that is known.
    return mask_text(text[: 2 * _MOST_CONTENT])[:_MOST_CONTENT]


def _ai_metrics(_: Runtime) -> AIMetrics:
    return AIMetrics(get_metrics())


def attributes_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a request body that belong into the span."""
    known = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
    found = {key: fields[key] for key in known if isinstance(fields.get(key), int | float)}
    limit = fields.get("max_tokens", fields.get("max_completion_tokens"))
    if isinstance(limit, int):
        found["max_tokens"] = limit
    return found
