"""One client for ASGI and WSGI apps whose answers can be asserted in a line."""

import json as jsonlib
from collections.abc import Mapping
from typing import Any, Self, cast

from shared.errors import ConfigurationError, MissingDependencyError

__all__ = ["ApiClient", "ApiResponse"]

_SUCCESS_KEYS = ["success", "data", "message", "timestamp", "version"]
_ERROR_KEYS = ["success", "error", "timestamp", "version"]


class ApiResponse:
    """An answer, with the assertions that every test of an API repeats.

    Attributes:
        status: HTTP status.
        headers: Header names in lower case to values; repeated headers are joined
            by ``", "``, which is wrong for ``Set-Cookie`` only.
        body: Bytes of the body.

    Example:
        >>> body = b'{"success":true,"data":7,"message":"","timestamp":"","version":"v1"}'
        >>> ApiResponse(200, {}, body).assert_success()
        7
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 is replaced."""
        return self.body.decode(errors="replace")

    @property
    def json(self) -> Any:
        """The body parsed as JSON."""
        return jsonlib.loads(self.body)

    @property
    def correlation_id(self) -> str | None:
        """The correlation id the service answered with."""
        return self.headers.get("x-correlation-id")

    def assert_success(self, status: int = 200) -> Any:
        """Check the success envelope, key by key, and return its ``data``.

        Raises:
            AssertionError: With the status and the body, when anything differs.
        """
        __tracebackhide__ = True
        body = self._envelope(status, _SUCCESS_KEYS)
        self._require(body["success"] is True, "`success` is not true")
        return body["data"]

    def assert_error(self, code: str | None = None, status: int | None = None) -> dict[str, Any]:
        """Check the error envelope and return its ``error`` object.

        Args:
            code: The ``error.code`` wanted, or None for any.
            status: The HTTP status wanted, or None for any from 400 on.

        Raises:
            AssertionError: With the status and the body, when anything differs.
        """
        __tracebackhide__ = True
        body = self._envelope(status, _ERROR_KEYS)
        self._require(body["success"] is False, "`success` is not false")
        error: dict[str, Any] = body["error"]
        self._require(list(error) == ["code", "message", "details"], f"error has the keys {list(error)}")
        self._require(code is None or error["code"] == code, f"wanted the code {code!r}")
        return error

    def _envelope(self, status: int | None, keys: list[str]) -> dict[str, Any]:
        __tracebackhide__ = True
        if status is None:
            self._require(self.status >= 400, "wanted an error status")
        else:
            self._require(self.status == status, f"wanted the status {status}")
        try:
            body = self.json
        except ValueError:
            raise AssertionError(self._describe("the body is not JSON")) from None
        self._require(isinstance(body, dict), "the body is not an object")
        found = [key for key in body if key != "meta"]
        self._require(found == keys, f"wanted the keys {keys}, found {found}")
        return cast("dict[str, Any]", body)

    def _require(self, holds: bool, wrong: str) -> None:
        __tracebackhide__ = True
        if not holds:  # an assert statement would vanish under python -O
            raise AssertionError(self._describe(wrong))

    def _describe(self, wrong: str) -> str:
        return f"{wrong}: status {self.status}, body {self.text[:2000]}"

    def __repr__(self) -> str:
        return f"ApiResponse({self.status}, {self.text[:200]!r})"


class ApiClient:
    """Sends requests to an app in this process: FastAPI, Starlette (any ASGI) or Flask.

    Used as a context manager it also runs the app's start-up and shutdown.

    Args:
        app: The application.
        headers: Sent with every request.
        raise_server_exceptions: True lets an exception that the app does not turn
            into an answer reach the test; the default sees the 500 as a client would.

    Raises:
        ConfigurationError: *app* is neither ASGI of Starlette's kind nor Flask.
        MissingDependencyError: The client library of the framework is missing.

    Example:
        >>> from flask import Flask
        >>> from shared.service import install, uninstall
        >>> app = install(Flask("docs"), service="orders")
        >>> ApiClient(app).get("/nowhere").assert_error("NOT_FOUND", 404)["message"]
        'Resource not found'
        >>> uninstall(app)
    """

    def __init__(
        self,
        app: Any,
        *,
        headers: Mapping[str, str] | None = None,
        raise_server_exceptions: bool = False,
    ) -> None:
        kinds = {base.__module__.partition(".")[0] for base in type(app).__mro__}
        self._headers = dict(headers or {})
        if kinds & {"starlette", "fastapi"}:
            self._send: Any = _AsgiSender(app, raise_server_exceptions)
        elif "flask" in kinds:
            self._send = _FlaskSender(app, raise_server_exceptions)
        else:
            name = type(app).__qualname__
            msg = f"cannot make a client for {name!r}: FastAPI, Starlette and Flask apps are known"
            raise ConfigurationError(msg)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> ApiResponse:
        """Send one request.

        Args:
            method: HTTP method.
            path: Path, with or without a query string.
            json: Value to send as a JSON body.
            body: Raw body; not together with *json*.
            headers: Added to the client's own.
            params: Query parameters.
        """
        sent = {**self._headers, **(headers or {})}
        if json is not None:
            body = jsonlib.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        result: ApiResponse = self._send(method, path, body, sent, params)
        return result

    def get(self, path: str, **options: Any) -> ApiResponse:
        """Send a GET; options as :meth:`request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> ApiResponse:
        """Send a POST; options as :meth:`request`."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> ApiResponse:
        """Send a PUT; options as :meth:`request`."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> ApiResponse:
        """Send a PATCH; options as :meth:`request`."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> ApiResponse:
        """Send a DELETE; options as :meth:`request`."""
        return self.request("DELETE", path, **options)

    def __enter__(self) -> Self:
        self._send.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._send.stop()


class _AsgiSender:
    def __init__(self, app: Any, raise_server_exceptions: bool) -> None:
        try:
            from starlette.testclient import TestClient
        except (ImportError, RuntimeError) as exc:  # Starlette raises RuntimeError without its client
            raise MissingDependencyError("httpx2", extra="testing") from exc
        self._client = TestClient(app, raise_server_exceptions=raise_server_exceptions)

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        params: Mapping[str, Any] | None,
    ) -> ApiResponse:
        reply = self._client.request(
            method, path, content=body, headers=headers, params=params, follow_redirects=False
        )
        return ApiResponse(reply.status_code, dict(reply.headers.items()), reply.content)

    def start(self) -> None:
        self._client.__enter__()

    def stop(self) -> None:
        self._client.__exit__()


class _FlaskSender:
    def __init__(self, app: Any, raise_server_exceptions: bool) -> None:
        self._app = app
        self._client = app.test_client()
        self._raise = raise_server_exceptions

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        params: Mapping[str, Any] | None,
    ) -> ApiResponse:
        before = self._app.config.get("PROPAGATE_EXCEPTIONS")
        self._app.config["PROPAGATE_EXCEPTIONS"] = self._raise
        try:
            reply = self._client.open(path, method=method, data=body, headers=headers, query_string=params)
        finally:
            self._app.config["PROPAGATE_EXCEPTIONS"] = before
        with reply:
            return ApiResponse(reply.status_code, _joined(reply.headers), reply.get_data())

    def start(self) -> None:
        self._client.__enter__()

    def stop(self) -> None:
        self._client.__exit__(None, None, None)


def _joined(headers: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined
