"""What both HTTP clients share: settings, the policy, and the shape of a request and its answer."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.constants import Header
from shared.context import TraceContext
from shared.errors import (
    ExternalServiceError,
    InvalidArgumentError,
    InvalidStateError,
    MissingDependencyError,
)
from shared.resilience._checks import seconds, whole
from shared.resilience._events import HttpCall, emit
from shared.resilience._guard import Guard, guard
from shared.resilience._http_core import (
    IDEMPOTENT,
    Call,
    error_for_answer,
    route_path,
    unsent,
)
from shared.resilience._policy import Policy
from shared.runtime import Events, after_fork_in_child
from shared.security import mask_url

__all__ = ["HttpBase"]

_BODY: Final = ("params", "json", "data", "content", "files", "cookies")


class HttpBase:
    """What both clients share: everything but the I/O."""

    def __init__(
        self,
        base_url: str,
        *,
        name: str | None = None,
        policy: Policy | Guard | None = None,
        timeout: float = 5.0,
        connect_timeout: float = 2.0,
        headers: Mapping[str, str] | None = None,
        propagate: bool = True,
        max_response_bytes: int = 10_485_760,
        max_connections: int = 100,
        verify: Any = True,
        auth: Any = None,
        transport: Any = None,
        trust_env: bool = True,
        clock: Callable[[], float] = time.monotonic,
        events: Events | None = None,
    ) -> None:
        self._httpx2: Any = _httpx2()
        url = _checked_url(self._httpx2, base_url)
        self.name: str = name or url.host
        self.policy: Policy | Guard = guard(self.name) if policy is None else policy
        self.timeout: float = seconds("timeout", timeout)
        self.connect_timeout: float = seconds("connect_timeout", connect_timeout)
        self.propagate = propagate
        self.max_response_bytes: int = whole("max_response_bytes", max_response_bytes)
        self.clock = clock
        self.events = events
        self._shown_url = mask_url(base_url)
        self._compiled: tuple[Policy, Any, Any] | None = None
        self._options: dict[str, Any] = {
            "base_url": url,
            "headers": dict(headers or {}),
            "verify": verify,
            "auth": auth,
            "transport": transport,
            "trust_env": trust_env,
            "limits": self._httpx2.Limits(max_connections=whole("max_connections", max_connections)),
        }
        self._made: Any = None
        self._closed = False
        self._lock = threading.Lock()
        _mask_urls_in_logs()
        after_fork_in_child(self)

    def _open(self, kind: Any) -> Any:
        """Return the client underneath, made on first use: decorating and importing open nothing."""
        if self._made is None or self._closed:
            with self._lock:
                if self._closed:
                    msg = f"the client of {self.name} is closed"
                    raise InvalidStateError(msg)
                if self._made is None:
                    from http.cookiejar import CookieJar, DefaultCookiePolicy

                    # A shared jar would send the cookie of one user's answer with the
                    # next user's request.
                    jar = CookieJar(DefaultCookiePolicy(allowed_domains=()))
                    self._made = kind(cookies=jar, **self._options)
        return self._made

    def after_fork(self) -> None:
        """Forget the connections in a forked child: they belong to the parent."""
        self._lock = threading.Lock()
        self._made = None

    def _call(
        self,
        method: str,
        route: str,
        path: Mapping[str, object] | None,
        options: dict[str, Any],
    ) -> Call:
        """Check the arguments of a request and put them together."""
        headers = dict(options.pop("headers", None) or {})
        key = options.pop("idempotency_key", None)
        if key is not None:
            headers[Header.IDEMPOTENCY_KEY] = key
        timeout = options.pop("timeout", None)
        check = options.pop("check", True)
        unknown = sorted(set(options) - set(_BODY))
        if unknown:
            msg = f"unknown request options {unknown} (known: {', '.join(_BODY)})"
            raise InvalidArgumentError(msg)
        method = method.upper()
        keyed = any(name.lower() == "idempotency-key" for name in headers)
        # A body that is read as it is sent cannot be sent again.
        content = options.get("content")
        replayable = not options.get("files") and (content is None or isinstance(content, (bytes, str)))
        return Call(
            service=self.name,
            method=method,
            route=route,
            path=route_path(route, path),
            build={name: value for name, value in options.items() if value is not None},
            headers=headers,
            timeout=self.timeout if timeout is None else seconds("timeout", timeout),
            check=check,
            propagate=self.propagate,
            repeatable=replayable and (method in IDEMPOTENT or keyed),
            clock=self.clock,
        )

    def _guarded(self, attempt: Callable[..., Any], *, repeatable: bool) -> Callable[..., Any]:
        """Return *attempt* under the policy in force, with or without repetitions."""
        policy = self.policy.policy if isinstance(self.policy, Guard) else self.policy
        compiled = self._compiled
        if compiled is None or compiled[0] is not policy:
            once = policy
            if policy.retry is not None:
                # What never reached the service may be sent again, whatever it was.
                wants = policy.retry.retryable
                once = policy.replace(
                    hedge=None,
                    retry=policy.retry.replace(
                        retryable=lambda error: unsent(error) and (wants is None or wants(error))
                    ),
                )
            compiled = self._compiled = (policy, policy(attempt), once(attempt))
        return compiled[1] if repeatable else compiled[2]

    def _request(self, call: Call, client: Any, limit: float, headers: dict[str, str]) -> Any:
        """Build one try."""
        timeout = self._httpx2.Timeout(limit, connect=min(limit, self.connect_timeout))
        return client.build_request(call.method, call.path, headers=headers, timeout=timeout, **call.build)

    def _grow(self, body: list[bytes], size: int, chunk: bytes, call: Call) -> int:
        """Take in a piece of the answer, refusing what is too large also once unpacked."""
        size += len(chunk)
        if size > self.max_response_bytes:
            msg = (
                f"{call.service} sent more than {self.max_response_bytes} bytes to {call.method} {call.route}"
            )
            raise ExternalServiceError(msg, details={"service": call.service}, retryable=False)
        body.append(chunk)
        return size

    def _finish(self, call: Call, response: Any, body: bytes) -> Any:
        """Make the complete answer, or raise the error it stands for."""
        headers = response.headers.copy()
        if body:  # it is unpacked now, and complete
            for name in ("content-encoding", "content-length", "transfer-encoding"):
                headers.pop(name, None)
        kept = {k: v for k, v in response.extensions.items() if k in {"http_version", "reason_phrase"}}
        answer = self._httpx2.Response(
            response.status_code, headers=headers, content=body, request=response.request, extensions=kept
        )
        call.response = answer
        error = error_for_answer(call, answer.status_code, answer.headers, body)
        if error is not None:
            raise error
        return answer

    def _told(
        self, call: Call, started: float, error: BaseException | None, span: TraceContext | None
    ) -> None:
        status = None if call.response is None else call.response.status_code
        kind = None if error is None else type(error).__name__
        duration = self.clock() - started
        emit(self.events, HttpCall(self.name, call.method, call.route, status, duration, kind, span))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} at {self._shown_url}>"


def _httpx2() -> Any:
    try:
        import httpx2
    except ImportError as exc:
        raise MissingDependencyError("httpx2", extra="http") from exc
    return httpx2


def _checked_url(httpx2: Any, base_url: str) -> Any:
    try:
        url = httpx2.URL(base_url)
    except (httpx2.InvalidURL, TypeError) as exc:
        msg = f"base_url is not a URL: {mask_url(str(base_url))!r}"
        raise InvalidArgumentError(msg) from exc
    if url.scheme not in {"http", "https"} or not url.host:
        msg = f"base_url must be http://host or https://host, got {mask_url(str(base_url))!r}"
        raise InvalidArgumentError(msg)
    return url


class _UrlMask(logging.Filter):
    """Masks the URLs that httpx2 logs in full, secrets in their query included."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                mask_url(str(item)) if type(item).__name__ == "URL" else item for item in record.args
            )
        return True


_MASK: Final = _UrlMask()


def _mask_urls_in_logs() -> None:
    logging.getLogger("httpx2").addFilter(_MASK)  # adding it again changes nothing
