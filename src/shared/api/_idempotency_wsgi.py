"""Idempotency keys between the layer and a WSGI application."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from shared.api._exchange import EXCHANGE_KEY, Exchange
from shared.api._idempotency import AT_HAND, REPLAYED, Idempotency, IdempotentRequest
from shared.api._wsgi import App, Environ, StartResponse, _phrase
from shared.cache import ReplayClaim
from shared.errors import ConfigurationError

__all__ = ["WsgiIdempotency"]


class WsgiIdempotency:
    """Stands around an application, inside of the layer.

    Args:
        app: The application.
        idempotency: What decides.
    """

    def __init__(self, app: App, idempotency: Idempotency) -> None:
        self.app = app
        self._idempotency = idempotency

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        rules = self._idempotency
        if environ["REQUEST_METHOD"] not in rules.methods:
            return self.app(environ, start_response)
        exchange = environ.get(EXCHANGE_KEY)
        if exchange is None:
            raise ConfigurationError("idempotency keys need the request layer: call install_layer(app)")
        key = rules.key_of(exchange)
        body = b""
        if key is not None:
            body = _read(environ)
        content_type, query = environ.get("CONTENT_TYPE", ""), environ.get("QUERY_STRING", "")
        request = rules.request(exchange, key, query, content_type, body)
        try:
            claim = rules.begin(request)
            marked = _marking(exchange, start_response)
            if claim is None:
                return self.app(environ, marked)
            if claim.answer is not None:
                reply = rules.replay(claim.answer)
                start_response(f"{reply.status} {_phrase(reply.status)}", list(reply.headers))
                return (reply.body,)
            keeper = _Keeper(rules, request, claim, marked)
            try:
                return keeper.collect(self.app(environ, keeper.start))
            except BaseException:
                keeper.fail()
                raise
        finally:
            AT_HAND.forget()


def _marking(exchange: Exchange, start_response: StartResponse) -> StartResponse:
    """Return a ``start_response`` that marks an answer whose work was done before."""

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        if exchange.peek("shared.replayed"):
            headers = [*headers, (REPLAYED, "true")]
        return start_response(status, headers, *exc_info)

    return start


class _Keeper:
    """Keeps an answer before the client has it."""

    def __init__(
        self,
        rules: Idempotency,
        request: IdempotentRequest,
        claim: ReplayClaim,
        start_response: StartResponse,
    ) -> None:
        self._rules, self._request, self._claim = rules, request, claim
        self._start_response = start_response
        self._started: tuple[str, list[tuple[str, str]]] | None = None
        self._written: list[bytes] = []
        self.settled = False

    def start(
        self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand in for ``start_response``: nothing has left yet, so an error may replace it."""
        self._started = (status, headers)
        return self._written.append

    def collect(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """Return the body, kept when it is small enough and final."""
        iterator = iter(chunks)
        held: list[bytes] = []
        size = 0
        try:
            first = next(iterator, None)  # a generator starts its answer with its first chunk
            if first is not None:
                held.append(first)
            status = int(self._begun()[0][:3])
            if not self._rules.keeps(status):
                self.settled = True
                self._rules.abandon(self._request, self._claim)
                return self._let_go(held, iterator, chunks)
            if _is_stream(self._begun()[1]):
                return self._let_go(held, iterator, chunks)
            size = sum(map(len, self._written + held))
            while size <= self._rules.max_answer_bytes:
                chunk = next(iterator, None)
                if chunk is None:
                    return self._finish(held, chunks)
                held.append(chunk)
                size += len(chunk)
        except BaseException:
            _close(chunks)
            raise
        return self._let_go(held, iterator, chunks)

    def fail(self) -> None:
        """Give the key back: no answer came to its end."""
        if not self.settled:
            self._rules.abandon(self._request, self._claim)

    def _begun(self) -> tuple[str, list[tuple[str, str]]]:
        if self._started is None:
            msg = "the application returned without calling start_response"
            raise RuntimeError(msg)
        return self._started

    def _finish(self, held: list[bytes], chunks: Iterable[bytes]) -> Iterable[bytes]:
        status, headers = self._begun()
        body = b"".join(self._written + held)
        self.settled = True
        answer = self._rules.answer(int(status[:3]), headers, body)
        self._rules.finish(self._request, self._claim, answer)
        _close(chunks)
        self._start_response(status, headers)
        return (body,)

    def _let_go(
        self, held: list[bytes], iterator: Iterator[bytes], chunks: Iterable[bytes]
    ) -> Iterable[bytes]:
        status, headers = self._begun()
        self._start_response(status, headers)
        return _Rest([*self._written, *held], iterator, chunks, self._ended)

    def _ended(self, *, completely: bool) -> None:
        """Deal with the end of an answer that was not kept."""
        if self.settled:
            return
        self.settled = True
        if completely:
            self._rules.finish(self._request, self._claim, None)
        else:
            self._rules.abandon(self._request, self._claim)


class _Rest:
    """An answer on its way, not kept; the key is settled at its end."""

    def __init__(
        self, held: list[bytes], iterator: Iterator[bytes], chunks: Iterable[bytes], ended: Any
    ) -> None:
        self._held, self._iterator, self._chunks, self._ended = held, iterator, chunks, ended

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._held:
            return self._held.pop(0)
        try:
            return next(self._iterator)
        except StopIteration:
            self._ended(completely=True)
            raise
        except BaseException:
            self._ended(completely=False)
            raise

    def close(self) -> None:
        """End it: a client that left half-way leaves an operation that was carried out."""
        try:
            _close(self._chunks)
        finally:
            self._ended(completely=True)


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


def _is_stream(headers: list[tuple[str, str]]) -> bool:
    return any(k.lower() == "content-type" and v.startswith("text/event-stream") for k, v in headers)


def _read(environ: Environ) -> bytes:
    """Read the whole body, bounded by the layer, and put it back."""
    source = environ.get("wsgi.input")
    if source is None:
        return b""
    if environ.get("wsgi.input_terminated"):
        body: bytes = source.read()
    else:
        length = environ.get("CONTENT_LENGTH") or ""
        body = source.read(int(length)) if length.isdigit() else b""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["wsgi.input_terminated"] = True
    return body
