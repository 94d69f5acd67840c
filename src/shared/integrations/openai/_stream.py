"""An answer while it is spoken."""

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Self

from shared.errors import InvalidStateError, SharedError
from shared.integrations.openai._core import ClientCore
from shared.integrations.openai._errors import AIFailure, ai_error, translate
from shared.integrations.openai._request import ChatRequest, estimate_tokens
from shared.integrations.openai._results import (
    ChatResult,
    TokenUsage,
    ToolCall,
    malformed,
    parse_usage,
    tool_call,
)
from shared.integrations.openai._sse import EventStream
from shared.integrations.openai._telemetry import CallRecord

__all__ = ["AsyncChatStream", "ChatStream", "Opened"]

_MOST_CALLS: Final = 128


class Opened:
    """An answer that has begun: the response, the breaker's permit, and what is known so far."""

    __slots__ = ("breaker", "limit", "permit", "record", "response")

    def __init__(self, response: Any, record: CallRecord, breaker: Any, permit: Any, limit: float) -> None:
        self.response: Any = response
        self.record: CallRecord = record
        self.breaker: Any = breaker
        self.permit: Any = permit
        self.limit: float = limit


class _Parts:
    """Joins the pieces of one answer; pure."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}
        self.usage: TokenUsage | None = None
        self.finish_reason = ""
        self.id = ""
        self.named = model

    def take(self, document: Any) -> str:
        """Take in one document and return the text in it.

        Raises:
            AIServiceError: It is none of a stream, or says that the stream failed.
        """
        if not isinstance(document, Mapping):
            raise malformed(self.model, "an event that is no JSON object")
        if document.get("error"):
            text = f"model {self.model[:100]!r} failed in the midst of its answer"
            raise ai_error(AIFailure.SERVER, text, retryable=True, model=self.model[:200])
        if isinstance(document.get("usage"), Mapping):
            self.usage = parse_usage(document["usage"])
        for name, key in (("id", "id"), ("named", "model")):
            value = document.get(key)
            if isinstance(value, str) and value:
                setattr(self, name, value[:200])
        choices = document.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            return ""
        return self._choice(choices[0])

    def _choice(self, choice: Mapping[str, Any]) -> str:
        reason, delta = choice.get("finish_reason"), choice.get("delta")
        if isinstance(reason, str):
            self.finish_reason = reason[:64]
        if not isinstance(delta, Mapping):
            return ""
        refusal, content, calls = delta.get("refusal"), delta.get("content"), delta.get("tool_calls")
        if isinstance(refusal, str):
            self.refusals.append(refusal)
        for call in calls if isinstance(calls, list) else ():
            self._call(call)
        if isinstance(content, str) and content:
            self.texts.append(content)
            return content
        return ""

    def _call(self, piece: Any) -> None:
        index = piece.get("index", 0) if isinstance(piece, Mapping) else None
        function = piece.get("function") if isinstance(piece, Mapping) else None
        if not isinstance(index, int) or not 0 <= index < _MOST_CALLS or not isinstance(function, Mapping):
            raise malformed(self.model, "a piece of a tool call that belongs to none")
        call = self.calls.setdefault(index, {"id": "", "function": {"name": "", "arguments": []}})
        if isinstance(piece.get("id"), str):
            call["id"] = piece["id"]
        if isinstance(function.get("name"), str):
            call["function"]["name"] += function["name"]
        if isinstance(function.get("arguments"), str):
            call["function"]["arguments"].append(function["arguments"])

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self.texts)

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Return the tool calls, complete.

        Raises:
            AIServiceError: One is not.
        """
        found = []
        for _, call in sorted(self.calls.items()):
            function = {**call["function"], "arguments": "".join(call["function"]["arguments"])}
            found.append(tool_call({**call, "function": function}, self.model))
        return tuple(found)

    def result(self, request_id: str, *, complete: bool) -> ChatResult:
        """Return what there is as a result."""
        return ChatResult(
            text=self.text,
            model=self.named,
            usage=self.usage or TokenUsage(),
            finish_reason=self.finish_reason or ("stop" if complete else "cut"),
            tool_calls=self.tool_calls() if complete else (),
            refusal="".join(self.refusals) or None,
            id=self.id,
            request_id=request_id,
        )


class _StreamBase:
    """What both streams know; see :class:`ChatStream`."""

    def __init__(
        self,
        core: ClientCore,
        request: ChatRequest,
        opened: Opened | None,
        *,
        began: float,
        failure: SharedError | None = None,
        canned: ChatResult | None = None,
    ) -> None:
        self._core = core
        self._request = request
        self._opened = opened
        self._began = began
        self._failure = failure
        model = request.models[0] if opened is None else opened.record.model
        self._parts = _Parts(model)
        self._events = EventStream(model, max_bytes=core.options.max_response_bytes)
        self._ready: list[str] = []
        self._chunks: Any = None
        self._result: ChatResult | None = None
        if canned is not None:
            self._parts.texts.append(canned.text)
            self._ready.append(canned.text)
            self._result = canned

    @property
    def text(self) -> str:
        """What was said so far, also after the stream was cut."""
        return self._parts.text

    @property
    def degraded(self) -> bool:
        """Whether somebody else than the model asked for is speaking."""
        return self._failure is not None or (self._result is not None and self._result.degraded)

    @property
    def result(self) -> ChatResult:
        """The whole answer, once the stream has ended.

        Raises:
            InvalidStateError: It has not ended, or was cut.
        """
        if self._result is None:
            msg = "the stream has not come to its end: read it to the end first, or take .text"
            raise InvalidStateError(msg)
        return self._result

    def _feed(self, chunk: bytes) -> None:
        opened = self._live()
        for document in self._events.feed(chunk):
            piece = self._parts.take(document)
            if piece:
                self._ready.append(piece)
        self._core.time_allowed(opened.record.model, opened.limit)

    def _live(self) -> Opened:
        if self._opened is None:
            msg = "the stream is closed"
            raise InvalidStateError(msg)
        return self._opened

    def _complete(self) -> ChatResult:
        """Return the result of a stream that the server has ended.

        Raises:
            AIServiceError: It ended in the middle, or not in the shape asked for.
        """
        opened = self._live()
        if not self._events.done and not self._parts.finish_reason:
            raise self._cut()
        result = self._parts.result(_request_id(opened.response), complete=True)
        if self._parts.usage is None:
            result = replace(result, usage=self._estimated())
        result = self._core.note(opened.record, result)
        result = self._core.shaped(self._request, result)
        return self._core.told(self._request, result, self._began, self._failure)

    def _estimated(self) -> TokenUsage:
        """Return about what an answer took whose server did not say, or did not come to say."""
        chars = len(self._parts.text)
        return TokenUsage(estimate_tokens(self._request.chars), estimate_tokens(chars) if chars else 0)

    def _failed(self, error: BaseException) -> SharedError | None:
        """Return our error for *error*; None for what is no failure of the model, such as a cancellation."""
        if not isinstance(error, Exception):
            return None
        opened = self._live()
        by_deadline = opened.limit < self._request.timeout
        found = translate(error, opened.record.model, opened.limit, by_deadline=by_deadline)
        return self._cut() if found.details.get("reason") == AIFailure.CONNECTION else found

    def _cut(self) -> SharedError:
        model = self._parts.model[:200]
        text = f"the answer of model {model[:100]!r} was cut off: what was said is in .text"
        return ai_error(AIFailure.CUT, text, retryable=True, model=model)

    def _settle(self, error: BaseException | None, *, closed: bool = False) -> TokenUsage:
        """Tell breaker and telemetry how the stream ended; return the tokens to charge."""
        opened = self._live()
        record, breaker, permit = opened.record, opened.breaker, opened.permit
        if error is not None or closed:
            if not record.usage.total:
                record.usage = self._parts.usage or self._estimated()
                record.cost = self._core.cost(record.model, self._parts.named, record.usage)
            record.answer = self._parts.text
        if error is not None:
            breaker.error(permit, error)
        elif closed:
            breaker.cancel(permit)
        else:
            breaker.ok(permit)
        self._opened = None
        self._core.telemetry.end(record, error)
        return record.usage

    def __del__(self) -> None:
        opened = getattr(self, "_opened", None)
        if opened is not None:
            opened.breaker.cancel(opened.permit)
            warnings.warn(f"{self!r} was not closed: use it as a with block", ResourceWarning, stacklevel=2)

    def __repr__(self) -> str:
        state = "open" if self._opened is not None else "ended"
        return f"<{type(self).__name__} of {self._parts.model!r}, {state}>"


def _request_id(response: Any) -> str:
    value = response.headers.get("x-request-id", "")
    return value[:200] if isinstance(value, str) else ""


class ChatStream(_StreamBase):
    """The pieces of an answer as they come: iterate over it, in a ``with`` block.

    When the stream is cut, the error leaves the loop and what was said so far is in
    :attr:`text`. Leaving the block early closes the connection.

    Example:
        >>> from shared.integrations.openai import OpenAIClient
        >>> from shared.testing import FakeOpenAI
        >>> with FakeOpenAI() as fake, OpenAIClient(base_url=fake.base_url, api_key=fake.api_key) as client:
        ...     fake.reply("one two three")
        ...     with client.stream("count") as stream:
        ...         pieces = list(stream)
        >>> "".join(pieces), stream.result.finish_reason
        ('one two three', 'stop')
    """

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not self._ready:
            if self._opened is None:
                raise StopIteration
            self._read()
        return self._ready.pop(0)

    def _read(self) -> None:
        opened = self._live()
        try:
            if self._chunks is None:
                self._chunks = opened.response.iter_bytes()
            chunk = None if self._events.done else next(self._chunks, None)
            if chunk is not None:
                self._feed(chunk)
                return
            result = self._complete()
        except BaseException as exc:
            ours = self._failed(exc)
            self._end(ours or exc, closed=ours is None)
            if ours is None or ours is exc:
                raise
            raise ours from exc
        self._end(None)
        self._result = result

    def _end(self, error: BaseException | None, *, closed: bool = False) -> None:
        opened = self._live()
        opened.response.close()
        usage = self._settle(error if not closed else None, closed=closed)
        self._core.budgets.charge(self._request.user_id, usage, opened.record.cost)

    def close(self) -> None:
        """Stop listening; calling it again does nothing."""
        if self._opened is not None:
            self._end(None, closed=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncChatStream(_StreamBase):
    """A :class:`ChatStream` for coroutines: ``async for`` over it, in an ``async with`` block.

    Example:
        >>> import asyncio
        >>> from shared.integrations.openai import AsyncOpenAIClient
        >>> from shared.testing import FakeOpenAI
        >>> async def main(fake):
        ...     async with AsyncOpenAIClient(base_url=fake.base_url, api_key=fake.api_key) as client:
        ...         async with await client.stream("count") as stream:
        ...             return "".join([piece async for piece in stream])
        >>> with FakeOpenAI() as fake:
        ...     fake.reply("one two three")
        ...     asyncio.run(main(fake))
        'one two three'
    """

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while not self._ready:
            if self._opened is None:
                raise StopAsyncIteration
            await self._read()
        return self._ready.pop(0)

    async def _read(self) -> None:
        opened = self._live()
        try:
            if self._chunks is None:
                self._chunks = opened.response.aiter_bytes()
            chunk = None if self._events.done else await anext(self._chunks, None)
            if chunk is not None:
                self._feed(chunk)
                return
            result = self._complete()
        except BaseException as exc:
            ours = self._failed(exc)
            await self._end(ours or exc, closed=ours is None)
            if ours is None or ours is exc:
                raise
            raise ours from exc
        await self._end(None)
        self._result = result

    async def _end(self, error: BaseException | None, *, closed: bool = False) -> None:
        opened = self._live()
        usage = self._settle(error if not closed else None, closed=closed)
        try:
            await self._core.budgets.acharge(self._request.user_id, usage, opened.record.cost)
        finally:
            await opened.response.aclose()

    async def close(self) -> None:
        """Stop listening; calling it again does nothing."""
        if self._opened is not None:
            await self._end(None, closed=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
