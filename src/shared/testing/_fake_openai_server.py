"""The HTTP server behind FakeOpenAI: standard library, threads, the loopback only."""

import base64
import contextlib
import hashlib
import json
import math
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

__all__ = ["Server"]

_MOST_BODY: Final = 64 * 1024 * 1024
_POLL: Final = 0.02  # seconds after which a stopped server notices


class _CutError(Exception):
    """The connection is to break now."""


class Server:
    """Listens in a thread of its own until it is stopped; then every connection is closed and joined."""

    def __init__(self, fake: Any) -> None:
        self.fake = fake
        self.stopped = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_POLL,), name="fake-openai", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End all answers and wait for the threads."""
        self.stopped.set()
        self._http.shutdown()
        self._http.hang_up()
        self._http.join()
        self._http.server_close()
        self._thread.join(10)


class _Http(ThreadingHTTPServer):
    daemon_threads = True  # a test that forgets to close must not keep the process alive
    owner: Server

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        self._workers: list[threading.Thread] = []
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._workers = [thread for thread in self._workers if thread.is_alive()]
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self._workers.append(thread)
        thread.start()

    def join(self) -> None:
        """Wait for the threads of the connections."""
        for thread in self._workers:
            thread.join(10)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Break what is open: threads that wait for a next request end."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when the client went away; that is what tests do."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are written apart
    server: _Http

    def log_message(self, *_: Any) -> None:
        """Write nothing."""

    # -- requests ---------------------------------------------------------------------------

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(min(length, _MOST_BODY))
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        self._serve(body)

    def _serve(self, body: Any) -> None:
        with contextlib.suppress(_CutError):
            self._answer(body)
            return
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, body: Any) -> None:
        fake = self.server.owner.fake
        kind = _kind(self.path)
        step = fake.take(kind or "", self.command, self.path, dict(self.headers), body)
        if fake.api_key is not None and self.headers.get("Authorization") != f"Bearer {fake.api_key}":
            # The supplier quotes what it was sent; so must nobody who shows its text.
            sent = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            self._error(401, f"Incorrect API key provided: {sent}", "invalid_api_key")
        elif kind is None:
            self._error(404, f"unknown path {self.path}", None)
        elif step["kind"] == "hang_up":
            raise _CutError
        elif step["kind"] == "fail":
            self._error(step["status"], step["message"], step["code"], step["headers"])
        elif kind == "models":
            self._models()
        elif not isinstance(body, dict):
            self._error(400, "the body is no JSON object", None)
        elif fake.models is not None and body.get("model") not in fake.models:
            self._error(404, f"The model `{body.get('model')}` does not exist", "model_not_found")
        elif step["kind"] == "raw":
            self._raw(step["body"], stream=bool(body.get("stream")))
        else:
            self._wait(step.get("delay", 0.0))
            (self._chat if kind == "chat" else self._embeddings)(body, step)

    def _wait(self, seconds: float) -> None:
        if seconds and self.server.owner.stopped.wait(seconds):
            raise _CutError

    # -- answers ----------------------------------------------------------------------------

    def _models(self) -> None:
        fake = self.server.owner.fake
        names = fake.models or ()
        wanted = unquote(self.path.split("?")[0].rpartition("/models")[2].strip("/"))
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in names]
        if not wanted:
            self._json(200, {"object": "list", "data": rows})
        elif fake.models is None or wanted in names:
            self._json(200, {"id": wanted, "object": "model", "created": 0, "owned_by": "fake"})
        else:
            self._error(404, f"The model '{wanted}' does not exist", "model_not_found")

    def _chat(self, body: dict[str, Any], step: dict[str, Any]) -> None:
        messages = body.get("messages")
        asked = json.dumps(messages, ensure_ascii=False)
        limit = self.server.owner.fake.context_tokens
        if not isinstance(messages, list) or not messages:
            self._error(400, "messages is empty", "invalid_request_error")
            return
        if limit is not None and len(asked) // 4 > limit:
            self._error(
                400, f"this model's maximum context length is {limit} tokens", "context_length_exceeded"
            )
            return
        calls, text = step.get("tool_calls"), step.get("text")
        if text is None and not calls and step.get("refusal") is None:
            text = f"echo: {_last_text(messages)}"
        message = {"role": "assistant", "content": text, "refusal": step.get("refusal")}
        if calls:
            message["tool_calls"] = calls
        usage = _usage(asked, text or "", step)
        head = {"id": "chatcmpl-fake", "created": 0, "model": step.get("model") or body["model"]}
        reason = step.get("finish_reason", "stop")
        if body.get("stream"):
            self._stream(head, message, usage, body, step)
            return
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        document = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        self._json(200, document, cut="cut" in step, pause=step.get("pause", 0.0))

    def _stream(
        self, head: dict[str, Any], message: dict[str, Any], usage: Any, body: Any, step: Any
    ) -> None:
        self._head(200, "text/event-stream", None)
        reason = step.get("finish_reason", "stop")
        head = {**head, "object": "chat.completion.chunk"}
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in _pieces(message["content"] or "")]
        deltas += [{"refusal": message["refusal"]}] if message["refusal"] else []
        deltas += [{"tool_calls": [piece]} for piece in _call_pieces(message.get("tool_calls") or [])]
        for number, delta in enumerate(deltas):
            if step.get("cut") is not None and number > step["cut"]:
                raise _CutError
            self._wait(step.get("pause", 0.0))
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            self._event({**head, "choices": [choice]})
        self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            self._event({**head, "choices": [], "usage": usage})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _embeddings(self, body: dict[str, Any], step: dict[str, Any]) -> None:
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
            self._error(400, "input is not a list of texts", "invalid_request_error")
            return
        size = body.get("dimensions") or self.server.owner.fake.dimensions
        packed = body.get("encoding_format") == "base64"
        rows = [
            {"object": "embedding", "index": index, "embedding": _embedding(text, size, packed=packed)}
            for index, text in enumerate(texts)
        ]
        tokens = sum(max(1, len(text) // 4) for text in texts)
        tokens = step.get("input_tokens") or tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        # The order of the rows is nobody's promise.
        document = {"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage}
        self._json(200, document, cut="cut" in step)

    # -- bytes ------------------------------------------------------------------------------

    def _error(
        self, status: int, message: str, code: str | None, headers: dict[str, str] | None = None
    ) -> None:
        kind = "insufficient_quota" if code == "insufficient_quota" else "invalid_request_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        self._json(status, {"error": error}, headers=headers)

    def _json(
        self, status: int, document: Any, *, headers: Any = None, cut: bool = False, pause: float = 0.0
    ) -> None:
        data = json.dumps(document).encode()
        self._head(status, "application/json", len(data), headers)
        if cut:
            self.wfile.write(data[: len(data) // 2])
            raise _CutError
        if not pause:
            self.wfile.write(data)
            return
        for place in range(len(data)):
            self.wfile.write(data[place : place + 1])
            self.wfile.flush()
            self._wait(pause)

    def _raw(self, body: bytes, *, stream: bool) -> None:
        if not stream:
            self._head(200, "application/json", len(body))
            self.wfile.write(body)
            return
        self._head(200, "text/event-stream", None)
        self._chunk(b"data: " + body + b"\n\n")
        self._chunk(b"")

    def _head(self, status: int, kind: str, length: int | None, headers: Any = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("X-Request-Id", "req_fake")
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _event(self, document: Any) -> None:
        self._chunk(b"data: " + json.dumps(document).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def _kind(path: str) -> str | None:
    path = path.split("?", maxsplit=1)[0]
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/embeddings"):
        return "embeddings"
    return "models" if "/models" in path else None


def _last_text(messages: list[Any]) -> str:
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else None
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _usage(asked: str, text: str, step: dict[str, Any]) -> dict[str, int]:
    sent = max(1, len(asked) // 4) if step.get("input_tokens") is None else step["input_tokens"]
    received = max(1, len(text) // 4) if step.get("output_tokens") is None else step["output_tokens"]
    return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:] if text else []


def _call_pieces(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        function = call["function"]
        half = len(function["arguments"]) // 2
        head = {"name": function["name"], "arguments": function["arguments"][:half]}
        found.append({"index": index, "id": call["id"], "type": "function", "function": head})
        found.append({"index": index, "function": {"arguments": function["arguments"][half:]}})
    return found


def _embedding(text: str, size: int, *, packed: bool) -> list[float] | str:
    """Return a vector of length 1; texts that share words are close."""
    numbers = [0.0] * size
    for word in text.lower().split() or [text]:
        for place, byte in enumerate(hashlib.shake_256(word.encode()).digest(size)):
            numbers[place] += byte / 127.5 - 1.0
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    vector = [number / length for number in numbers]
    if not packed:
        return vector
    return base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
