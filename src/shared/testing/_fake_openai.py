"""A server that speaks OpenAI's API on this machine, and does what a test tells it."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from shared.testing._fake_openai_server import Server

__all__ = ["FakeOpenAI", "FakeOpenAIRequest"]

_MODELS: Final = (
    "gpt-3.5-turbo",
    "gpt-4",
    "gpt-4o",
    "gpt-4o-mini",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-ada-002",
)


@dataclass(frozen=True, slots=True)
class FakeOpenAIRequest:
    """A request that came in.

    Example:
        >>> FakeOpenAIRequest("POST", "/v1/embeddings", {}, {"input": ["a"]}).json["input"]
        ['a']
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    json: Any = field(repr=False)


class FakeOpenAI:
    """A real HTTP server on a free port of the loopback that speaks chat completions, embeddings and models.

    Without instructions it echoes the last message, embeds texts so that those which
    share words are close, and serves a handful of models. Instructions are followed in
    order, one request each (or *times*), whatever the path unless *on* names ``"chat"``,
    ``"embeddings"`` or ``"models"``.

    Args:
        api_key: The one it accepts; None accepts everybody.
        models: Which it serves; another is a 404. None serves any.
        dimensions: Length of embeddings that ask for none.
        context_tokens: A longer prompt is refused as the supplier does; a token is four characters.

    Example:
        >>> from shared.integrations.openai import OpenAIClient
        >>> from shared.resilience import RetryPolicy
        >>> quick = RetryPolicy(2, delay=0.0)
        >>> with FakeOpenAI() as fake:
        ...     fake.fail(503)
        ...     fake.reply("hello")
        ...     with OpenAIClient(base_url=fake.base_url, api_key=fake.api_key, retry=quick) as client:
        ...         print(client.chat("hi").text, len(fake.requests))
        hello 2
    """

    def __init__(
        self,
        *,
        api_key: str | None = "sk-fake-key-for-tests",
        models: tuple[str, ...] | None = _MODELS,
        dimensions: int = 64,
        context_tokens: int | None = None,
    ) -> None:
        self.api_key: str | None = api_key
        self.models: tuple[str, ...] | None = models
        self.dimensions: int = dimensions
        self.context_tokens: int | None = context_tokens
        self.requests: list[FakeOpenAIRequest] = []
        self._script: deque[dict[str, Any]] = deque()
        self._lock = threading.Lock()
        self._server: Server | None = None

    # -- where ------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` is to be."""
        if self._server is None:
            msg = "FakeOpenAI is not running: use it as a with block, or call start()"
            raise RuntimeError(msg)
        return f"http://127.0.0.1:{self._server.port}/v1"

    def start(self) -> Self:
        """Begin to listen; calling it again does nothing."""
        if self._server is None:
            self._server = Server(self)
            self._server.start()
        return self

    def close(self) -> None:
        """Stop, also in the midst of an answer; calling it again does nothing."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what to do -------------------------------------------------------------------------

    def reply(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        finish_reason: str = "stop",
        refusal: str | None = None,
        delay: float = 0.0,
        times: int = 1,
        on: str | None = None,
    ) -> None:
        """Answer with *text* after *delay* seconds; as without instructions when *text* is None."""
        self._add(
            times, kind="reply", text=text, model=model, input_tokens=input_tokens,
            output_tokens=output_tokens, finish_reason=finish_reason, refusal=refusal, delay=delay, on=on,
        )  # fmt: skip

    def reply_json(self, value: Any, *, times: int = 1) -> None:
        """Answer with *value* as JSON, as for structured output."""
        self.reply(json.dumps(value), times=times)

    def call_tool(self, name: str, arguments: Mapping[str, Any] | str, *, call_id: str = "call_1") -> None:
        """Call a tool; *arguments* as text are sent as they are."""
        sent = arguments if isinstance(arguments, str) else json.dumps(dict(arguments))
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": sent}}
        self._add(1, kind="reply", text=None, tool_calls=[call], finish_reason="tool_calls", on="chat")

    def fail(
        self,
        status: int = 500,
        *,
        code: str | None = None,
        message: str = "it failed",
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        on: str | None = None,
    ) -> None:
        """Answer with an error."""
        self._add(
            times, kind="fail", status=status, code=code, message=message, headers=dict(headers or {}), on=on
        )

    def rate_limit(self, retry_after: float | str = 1, *, times: int = 1, on: str | None = None) -> None:
        """Answer 429 with ``Retry-After``."""
        headers = {"Retry-After": str(retry_after)}
        self.fail(429, code="rate_limit_exceeded", headers=headers, times=times, on=on)

    def quota(self, *, times: int = 1, on: str | None = None) -> None:
        """Answer 429 as for an account with nothing left."""
        self.fail(429, code="insufficient_quota", times=times, on=on)

    def slow(self, seconds: float = 30.0, *, times: int = 1, on: str | None = None) -> None:
        """Answer only after *seconds*, or never when the server stops before."""
        self.reply(None, delay=seconds, times=times, on=on)

    def drip(self, text: str, *, pause: float, times: int = 1) -> None:
        """Answer with *text*, a byte or a piece at a time with *pause* seconds between."""
        self._add(times, kind="reply", text=text, pause=pause, finish_reason="stop", on=None)

    def cut(self, text: str = "the answer that is cut", *, after: int = 2, times: int = 1) -> None:
        """Break the connection after *after* pieces of a stream, or in the midst of a whole answer."""
        self._add(times, kind="reply", text=text, cut=after, finish_reason="stop", on=None)

    def malformed(
        self, body: str | bytes = b'{"choices": [', *, times: int = 1, on: str | None = None
    ) -> None:
        """Answer 200 with *body*, which is no answer; in a stream it is the data of an event."""
        raw = body.encode() if isinstance(body, str) else body
        self._add(times, kind="raw", body=raw, on=on)

    def hang_up(self, *, times: int = 1, on: str | None = None) -> None:
        """Break the connection without an answer."""
        self._add(times, kind="hang_up", on=on)

    def reset(self) -> None:
        """Forget the requests and the instructions."""
        with self._lock:
            self.requests.clear()
            self._script.clear()

    def _add(self, times: int, **step: Any) -> None:
        with self._lock:
            self._script.extend([step] * times)

    # -- for the server -----------------------------------------------------------------------

    def take(self, kind: str, *request: Any) -> dict[str, Any]:
        """Note a request and return what to do with it; for the server."""
        with self._lock:
            self.requests.append(FakeOpenAIRequest(*request))
            for step in self._script:
                if step["on"] in {None, kind}:
                    self._script.remove(step)
                    return step
        return {"kind": "reply", "text": None, "on": None}

    def __repr__(self) -> str:
        return f"<FakeOpenAI {'stopped' if self._server is None else self.base_url}>"
