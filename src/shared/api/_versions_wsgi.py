"""Versions between the layer and a WSGI application."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from shared.api._exchange import EXCHANGE_KEY
from shared.api._json import dumps
from shared.api._version_use import begin, is_json, too_large, use_version
from shared.api._versions import Spoken, Versions, downgraded, upgraded
from shared.api._wsgi import App, Environ, StartResponse
from shared.errors import ConfigurationError

__all__ = ["WsgiVersions"]


class WsgiVersions:
    """Stands around an application, inside of the layer.

    Args:
        app: The application.
        versions: What decides.
    """

    def __init__(self, app: App, versions: Versions) -> None:
        self.app = app
        self._versions = versions

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        exchange = environ.get(EXCHANGE_KEY)
        if exchange is None:
            raise ConfigurationError("versions need the request layer: call install_layer(app)")
        spoken = begin(self._versions, exchange)
        if spoken.path != exchange.path:
            environ["PATH_INFO"] = spoken.path.encode().decode("latin-1")  # PEP 3333
        use_version(self._versions, exchange, spoken)
        if spoken.upgrades and is_json(environ.get("CONTENT_TYPE", "")):
            _upgrade(spoken, environ)
        if not spoken.downgrades:
            return self.app(environ, start_response)
        return _Downgrading(spoken, self._versions.max_bytes, start_response).collect(self.app, environ)


def _upgrade(spoken: Spoken, environ: Environ) -> None:
    """Put the body back as the code expects it."""
    source = environ.get("wsgi.input")
    if source is None:
        return
    if environ.get("wsgi.input_terminated"):
        body: bytes = source.read()
    else:
        length = environ.get("CONTENT_LENGTH") or ""
        body = source.read(int(length)) if length.isdigit() else b""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # the application refuses it, in its own words
        pass
    else:
        body = dumps(upgraded(spoken, document))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)


class _Downgrading:
    """Holds a JSON answer until it is complete, and sends it as the caller's version has it."""

    def __init__(self, spoken: Spoken, max_bytes: int, start_response: StartResponse) -> None:
        self._spoken, self._max_bytes, self._start_response = spoken, max_bytes, start_response
        self._held: tuple[str, list[tuple[str, str]]] | None = None
        self._chunks: list[bytes] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Stand in for ``start_response``."""
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        if status[:1] == "2" and is_json(kind):
            self._held = (status, headers)
            return self._chunks.append
        self._held = None  # an error in place of what was begun
        return self._start_response(status, headers, *(() if exc_info is None else (exc_info,)))

    def collect(self, app: App, environ: Environ) -> Iterable[bytes]:
        """Return the body, downgraded when it is JSON."""
        answer = app(environ, self.start)
        iterator = iter(answer)
        try:
            first = next(iterator, None)  # a generator starts its answer with its first chunk
            held = self._held
            if held is None:
                return _Rest(first, iterator, answer)
            self._read(first, iterator)
        except BaseException:
            _close(answer)
            raise
        _close(answer)
        return self._let_go(*held, environ["REQUEST_METHOD"])

    def _read(self, first: bytes | None, iterator: Iterator[bytes]) -> None:
        size = sum(map(len, self._chunks))
        while first is not None:
            self._chunks.append(first)
            size += len(first)
            if size > self._max_bytes:
                raise too_large(self._max_bytes)
            first = next(iterator, None)

    def _let_go(self, status: str, headers: list[tuple[str, str]], method: str) -> Iterable[bytes]:
        body = b"".join(self._chunks)
        if body:
            body = dumps(downgraded(self._spoken, json.loads(body)))
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        if body or method != "HEAD":  # of a body that is not sent nobody knows the length
            headers.append(("Content-Length", str(len(body))))
        self._start_response(status, headers)
        return (body,)


class _Rest:
    """An answer that stays as it is, whose first chunk was looked at."""

    def __init__(self, first: bytes | None, iterator: Any, answer: Iterable[bytes]) -> None:
        self._first, self._iterator, self._answer = first, iterator, answer

    def __iter__(self) -> "_Rest":
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        found: bytes = next(self._iterator)
        return found

    def close(self) -> None:
        """Close the application's iterable."""
        _close(self._answer)


def _close(answer: Iterable[bytes]) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()
