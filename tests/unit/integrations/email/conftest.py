"""A real mail server on loopback whose answers a test decides."""

import asyncio
import ssl
import threading
from dataclasses import dataclass, field

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from shared.resilience import Policy, RetryPolicy


@dataclass
class Behaviour:
    """What the server does, and what it has seen."""

    mail: str | None = None
    rcpt: dict[str, list[str]] = field(default_factory=dict)  # replies, one after the other
    data: list[str] = field(default_factory=list)
    cut: str | None = None  # "mail", "rcpt", "data", "after": the connection is cut there, once
    cuts: int = 1
    stall: str | None = None
    login: str = "235"
    received: list = field(default_factory=list)
    connections: int = 0
    logins: list = field(default_factory=list)
    encrypted: list = field(default_factory=list)


class Handler:
    def __init__(self, behaviour):
        self.does = behaviour

    def _cuts(self, server, phase):
        if self.does.cut == phase and self.does.cuts > 0:
            self.does.cuts -= 1
            server.transport.abort()
            return True
        return False

    async def _stalls(self, phase):
        if self.does.stall == phase:
            await asyncio.sleep(30)

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self._cuts(server, "mail"):
            return "451 gone"
        await self._stalls("mail")
        if self.does.mail:
            return self.does.mail
        envelope.mail_from = address
        return "250 ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self._cuts(server, "rcpt"):
            return "451 gone"
        replies = self.does.rcpt.get(address)
        if replies:
            return replies.pop(0) if len(replies) > 1 else replies[0]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        if self.does.data:
            reply = self.does.data.pop(0)
            if not reply.startswith("250"):
                return reply
        self.does.received.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        self.does.encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        if self._cuts(server, "after"):
            return "250 ok"
        await self._stalls("after")
        return "250 2.0.0 taken"


class Server:
    """aiosmtpd on a port of its own, in a thread of its own."""

    def __init__(self, *, tls=None, context=None, auth=False):
        self.does = Behaviour()
        self._tls, self._context, self._auth = tls, context, auth
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _protocol(self):
        self.does.connections += 1
        options = {"loop": self._loop, "enable_SMTPUTF8": False, "ident": "test"}
        if self._tls == "starttls":
            options |= {"tls_context": self._context, "require_starttls": True}
        if self._auth:
            options |= {"authenticator": self._authenticate, "auth_require_tls": self._tls == "starttls"}
        return SMTP(Handler(self.does), hostname="localhost", **options)

    def _authenticate(self, server, session, envelope, mechanism, data):
        self.does.logins.append((data.login, data.password))
        if self.does.login == "235":
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False, message=self.does.login)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        context = self._context if self._tls == "tls" else None
        server = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=context)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *failure):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)


@pytest.fixture
def smtp_server():
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def tls_server(authority, request):
    """A server with a certificate; ``request.param`` is ``tls`` or ``starttls``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with Server(tls=request.param, context=context, auth=True) as server:
        server.kind = request.param
        yield server


@pytest.fixture
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def once():
    """A policy that tries once."""
    return Policy("email")


@pytest.fixture
def thrice():
    """A policy that tries three times and waits for nothing."""
    return Policy("email", retry=RetryPolicy(max_attempts=3, delay=0.0, sleep=lambda seconds: None))
