"""Pieces the cases are built from: files to write to, drivers of applications, checks."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks._model import Run


def check(condition: object, message: str) -> None:
    """Stop a case that does not do its job: its speed would mean nothing."""
    if not condition:
        raise AssertionError(message)


@contextlib.contextmanager
def log_file() -> Iterator[Path]:
    """Yield a file that log lines are appended to; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "log.jsonl"
        path.touch()
        yield path


@contextlib.contextmanager
def raw_file(path: Path) -> Iterator[int]:
    """Yield a descriptor that appends to *path*."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def looped(operation: Callable[[], Any]) -> Run:
    """Return ``run(loops)`` for a plain operation."""

    def run(loops: int) -> None:
        for _ in range(loops):
            operation()

    return run


# --- ASGI ----------------------------------------------------------------------------

Scope = dict[str, Any]
_HEADERS = [
    (b"host", b"bench.example.com"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
    (b"user-agent", b"bench/1.0"),
    (b"x-request-id", b"2f1d3c4b5a69788796a5b4c3d2e1f001"),
]


def http_scope(path: str) -> Scope:
    """Return the scope of a GET request as a server makes it, new lists and dicts each time."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(_HEADERS),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
    }


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


class AsgiDriver:
    """Calls an ASGI application as a server would, without the sockets."""

    def __init__(self, app: Callable[..., Awaitable[None]], path: str) -> None:
        self._app = app
        self._path = path
        self._loop = asyncio.new_event_loop()

    def request(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one request."""
        messages: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        self._loop.run_until_complete(self._app(http_scope(self._path), _receive, send))
        start = messages[0]
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, b"".join(message.get("body", b"") for message in messages[1:])

    def run(self, loops: int) -> None:
        """Serve *loops* requests, one after the other."""
        self._loop.run_until_complete(self._serve(loops))

    async def _serve(self, loops: int) -> None:
        app, path = self._app, self._path

        async def send(message: dict[str, Any]) -> None:
            pass

        for _ in range(loops):
            await app(http_scope(path), _receive, send)

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


# --- WSGI ----------------------------------------------------------------------------


def wsgi_environ(path: str) -> dict[str, Any]:
    """Return the environ of a GET request as a server makes it."""
    import io
    import sys

    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "bench.example.com",
        "HTTP_ACCEPT": "application/json",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate",
        "HTTP_USER_AGENT": "bench/1.0",
        "HTTP_X_REQUEST_ID": "2f1d3c4b5a69788796a5b4c3d2e1f001",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


class WsgiDriver:
    """Calls a WSGI application as a server would, without the sockets."""

    def __init__(self, app: Callable[..., Any], path: str) -> None:
        self._app = app
        self._path = path

    def request(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of one request."""
        started: list[Any] = []

        def start_response(status: str, headers: Any, _exc_info: Any = None) -> None:
            started.extend((status, headers))

        body = self._app(wsgi_environ(self._path), start_response)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return int(started[0][:3]), {name.lower(): value for name, value in started[1]}, content

    def run(self, loops: int) -> None:
        """Serve *loops* requests, one after the other."""
        app, path = self._app, self._path

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            pass

        for _ in range(loops):
            body = app(wsgi_environ(path), start_response)
            for _chunk in body:
                pass
            if (close := getattr(body, "close", None)) is not None:
                close()

    def close(self) -> None:
        """There is nothing to close."""
