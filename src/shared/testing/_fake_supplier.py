"""Suppliers that run on this machine: real HTTP servers whose answers a test decides."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal, Self

__all__ = ["FakeAnswer", "FakeSendGrid", "FakeSupplier", "SupplierRequest"]

_MAX_BODY: Final = 67_108_864


@dataclass(frozen=True, slots=True)
class SupplierRequest:
    """A request that a fake supplier was sent.

    Attributes:
        method: ``"POST"`` and so on.
        path: Path and query.
        headers: By lower-case names.
        body: Its bytes.

    Example:
        >>> SupplierRequest("POST", "/v3/mail/send", {}, b'{"subject": "Hi"}').json()["subject"]
        'Hi'
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        """Return the body as a form; the last value of a name counts."""
        from urllib.parse import parse_qsl

        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What a fake supplier says to one request.

    Attributes:
        status: HTTP status.
        body: Sent as JSON; bytes as they are.
        headers: Further headers.
        delay: Seconds before it is sent.
        cut: ``"before"`` closes the connection without doing anything, ``"after"`` carries
            the request out and closes it then, ``"half"`` sends half of the body.

    Example:
        >>> FakeAnswer(429, headers={"Retry-After": "2"}).status
        429
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: Literal["", "before", "after", "half"] = ""


class FakeSupplier:
    """A real HTTP server on loopback; each test gives its answers, or a subclass does.

    Answers of :meth:`will` are used up first, one for each request; then
    :meth:`answer` is asked.

    Attributes:
        requests: What was sent to it, in order.

    Example:
        >>> import urllib.request
        >>> with FakeSupplier() as supplier:
        ...     supplier.will(FakeAnswer(200, {"pong": True}))
        ...     urllib.request.urlopen(supplier.url + "/ping").read()
        ...     supplier.requests[0].path
        b'{"pong": true}'
        '/ping'
    """

    def __init__(self) -> None:
        self.requests: list[SupplierRequest] = []
        self._planned: deque[FakeAnswer] = deque()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def will(self, *answers: FakeAnswer) -> None:
        """Answer the next requests with *answers*."""
        self._planned.extend(answers)

    def answer(self, request: SupplierRequest) -> FakeAnswer:
        """Return what is said when nothing is planned; 404 here, a subclass knows better."""
        return FakeAnswer(404, {"error": f"nothing is planned for {request.method}"})

    @property
    def url(self) -> str:
        """Where it is.

        Raises:
            RuntimeError: It is not started.
        """
        if self._server is None:
            raise RuntimeError("the fake supplier is not started: use it in a with block")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        server, self._server = self._server, None
        self._stopping.set()
        if server is not None:
            server.shutdown()
            server.server_close()
        if self._thread is not None:
            self._thread.join(20.0)

    # -- inside --------------------------------------------------------------------------

    def _handle(self, request: SupplierRequest) -> FakeAnswer:
        self.requests.append(request)
        planned = self._planned.popleft() if self._planned else None
        found = planned
        if planned is None or planned.cut == "after":
            found = self.answer(request)
        if planned is not None and planned.cut == "after":
            found = FakeAnswer(cut="after")
        answer = found or FakeAnswer()
        if answer.delay:
            self._stopping.wait(answer.delay)
        return answer


class FakeSendGrid(FakeSupplier):
    """SendGrid's ``/v3/mail/send`` on this machine.

    Attributes:
        api_key: The key it takes.
        mails: The JSON of every message it took.

    Example:
        >>> from shared.integrations.email import EmailMessage, Mailer, SendGridBackend
        >>> with FakeSendGrid() as sendgrid:
        ...     backend = SendGridBackend(sendgrid.api_key, base_url=sendgrid.url)
        ...     with Mailer(backend, sender="shop@example.com") as mailer:
        ...         _ = mailer.send(EmailMessage("ada@example.com", "Hello", text="Hello Ada"))
        ...     sendgrid.mails[0]["subject"]
        'Hello'
    """

    def __init__(self, api_key: str = "SG.fake-key") -> None:
        super().__init__()
        self.api_key = api_key
        self.mails: list[dict[str, Any]] = []

    def answer(self, request: SupplierRequest) -> FakeAnswer:
        """Take a message, or say what is wrong with it."""
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            return FakeAnswer(401, {"errors": [{"message": "authorization required", "field": None}]})
        if (request.method, request.path) != ("POST", "/v3/mail/send"):
            return FakeAnswer(404, {"errors": [{"message": "not found", "field": None}]})
        mail = request.json()
        people = [
            person["email"].lower()
            for group in mail["personalizations"]
            for name in ("to", "cc", "bcc")
            for person in group.get(name, ())
        ]
        if len(people) != len(set(people)):
            return FakeAnswer(
                400, {"errors": [{"message": "each email must be unique", "field": "personalizations"}]}
            )
        self.mails.append(mail)
        return FakeAnswer(202, b"", {"X-Message-Id": f"fake-{len(self.mails)}"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, supplier: FakeSupplier) -> None:
        self.supplier = supplier
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: connections are cut on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), _MAX_BODY)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = SupplierRequest(self.command, self.path, headers, self.rfile.read(length))
        answer = self.server.supplier._handle(request)  # noqa: SLF001 - its other half
        self.close_connection = True
        if answer.cut in ("before", "after"):
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if answer.cut == "half" else body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - the names of the base

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""
