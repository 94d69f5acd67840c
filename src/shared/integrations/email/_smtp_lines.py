"""A connection to a mail server: for threads, and for coroutines."""

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.context import get_deadline
from shared.errors import ConfigurationError, EmailError, MissingDependencyError, SharedError
from shared.integrations.email._backend import Delivery, Letter
from shared.integrations.email._smtp_talk import (
    Command,
    Reply,
    Smtp,
    conversation,
    disconnected,
    is_usable_after,
    no_tls,
    refused_login,
)
from shared.resilience import time_left

__all__ = ["AsyncLine", "Line", "SmtpAccess"]


@dataclass(frozen=True, slots=True)
class SmtpAccess:
    """What a connection needs to be opened."""

    server: Smtp
    local: str
    tls_context: Callable[[], ssl.SSLContext]
    secret: Callable[[], str]

    def wait(self) -> tuple[float, bool]:
        """Return the seconds to wait for a reply, and whether the deadline set them."""
        timeout = self.server.timeout
        left = time_left(timeout)
        if get_deadline() is None or left is None or left >= timeout:
            return timeout, False
        if left <= 0.0:
            raise disconnected("connect", TimeoutError(), by_deadline=True)
        return left, True


class Line:
    """A connection for threads, opened for the first letter."""

    def __init__(self, backend: SmtpAccess) -> None:
        self._backend = backend
        self._client: smtplib.SMTP | None = None
        self._phase = "connect"
        self._by_deadline = False

    def deliver(self, letter: Letter) -> Delivery:
        talk = conversation(letter)
        command = next(talk)  # written out before anything is opened
        try:
            client = self._opened()
            while True:
                self._phase = command.verb
                reply = self._say(client, command)
                command = talk.send(reply)
        except StopIteration as done:
            self._phase = "mail"
            return done.value  # type: ignore[no-any-return]
        except SharedError as exc:
            if not is_usable_after(exc):
                self._drop()
            raise
        except (smtplib.SMTPException, OSError, ValueError) as exc:
            self._drop()
            raise disconnected(self._phase, exc, by_deadline=self._by_deadline) from exc
        except BaseException:  # interrupted in the middle: nobody knows what the server expects next
            self._drop()
            raise

    def _say(self, client: smtplib.SMTP, command: Command) -> Reply:
        limit, self._by_deadline = self._backend.wait()
        if client.sock is not None:
            client.sock.settimeout(limit)
        if command.verb == "data":
            try:
                return Reply.of(*client.data(command.content))
            except smtplib.SMTPDataError as exc:  # refused before a byte of it was sent
                return Reply.of(exc.smtp_code, exc.smtp_error)
        if command.verb == "mail":
            return Reply.of(*client.mail(command.argument))
        if command.verb == "rcpt":
            return Reply.of(*client.rcpt(command.argument))
        return Reply.of(*client.rset())

    def _opened(self) -> smtplib.SMTP:
        if self._client is None:
            self._phase = "connect"
            self._client = self._open()
        return self._client

    def _open(self) -> smtplib.SMTP:
        backend, server = self._backend, self._backend.server
        limit, self._by_deadline = backend.wait()
        local = backend.local
        client: smtplib.SMTP
        if server.tls == "tls":
            client = smtplib.SMTP_SSL(
                server.host, server.port, local, timeout=limit, context=backend.tls_context()
            )
        else:
            client = smtplib.SMTP(server.host, server.port, local, timeout=limit)
        try:
            client.ehlo_or_helo_if_needed()
            if server.tls == "starttls":
                self._phase = "starttls"
                if not client.has_extn("starttls"):
                    raise no_tls(server)  # noqa: TRY301 - the connection is closed below
                client.starttls(context=backend.tls_context())
                client.ehlo_or_helo_if_needed()
            if server.username is not None:
                self._phase = "login"
                self._log_in(client, server.username)
        except BaseException:
            client.close()
            raise
        return client

    def _log_in(self, client: smtplib.SMTP, username: str) -> None:
        try:
            client.login(username, self._backend.secret())
        except smtplib.SMTPAuthenticationError as exc:
            # Not chained: some servers repeat what they were sent.
            raise refused_login(Reply.of(exc.smtp_code, exc.smtp_error)) from None
        except smtplib.SMTPNotSupportedError as exc:
            raise _no_login(exc) from exc
        except UnicodeError:
            raise _odd_password() from None
        except smtplib.SMTPResponseException as exc:
            raise refused_login(Reply.of(exc.smtp_code, exc.smtp_error)) from None

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
        client.close()


class AsyncLine:
    """A connection for coroutines, opened for the first letter."""

    def __init__(self, backend: SmtpAccess) -> None:
        self._backend = backend
        self._client: Any = None
        self._phase = "connect"
        self._by_deadline = False

    async def deliver(self, letter: Letter) -> Delivery:
        library = _aiosmtplib()
        talk = conversation(letter)
        command = next(talk)
        try:
            client = await self._opened(library)
            while True:
                self._phase = command.verb
                reply = await self._say(library, client, command)
                command = talk.send(reply)
        except StopIteration as done:
            self._phase = "mail"
            return done.value  # type: ignore[no-any-return]
        except SharedError as exc:
            if not is_usable_after(exc):
                self._drop()
            raise
        except (library.SMTPException, OSError, ValueError) as exc:
            self._drop()
            raise disconnected(self._phase, exc, by_deadline=self._by_deadline) from exc
        except BaseException:  # cancelled in the middle
            self._drop()
            raise

    async def _say(self, library: Any, client: Any, command: Command) -> Reply:
        limit, self._by_deadline = self._backend.wait()
        try:
            if command.verb == "data":
                found = await client.data(command.content, timeout=limit)
            elif command.verb == "mail":
                found = await client.mail(command.argument, timeout=limit)
            elif command.verb == "rcpt":
                found = await client.rcpt(command.argument, timeout=limit)
            else:
                found = await client.rset(timeout=limit)
        except library.SMTPResponseException as exc:
            return Reply.of(exc.code, exc.message)
        return Reply.of(found.code, found.message)

    async def _opened(self, library: Any) -> Any:
        if self._client is None:
            self._phase = "connect"
            self._client = await self._open(library)
        return self._client

    async def _open(self, library: Any) -> Any:
        backend, server = self._backend, self._backend.server
        limit, self._by_deadline = backend.wait()
        encrypted = None if server.tls == "none" else await asyncio.to_thread(backend.tls_context)
        client = library.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=backend.local,
            timeout=limit,
            use_tls=server.tls == "tls",
            start_tls=False,
            tls_context=encrypted,
        )
        try:
            await client.connect()
            await client.ehlo()
            if server.tls == "starttls":
                self._phase = "starttls"
                if not client.supports_extension("starttls"):
                    raise no_tls(server)  # noqa: TRY301 - the connection is closed below
                await client.starttls()
            if server.username is not None:
                self._phase = "login"
                await self._log_in(library, client, server.username)
        except BaseException:
            client.close()
            raise
        return client

    async def _log_in(self, library: Any, client: Any, username: str) -> None:
        try:
            await client.login(username, self._backend.secret())
        except library.SMTPResponseException as exc:
            raise refused_login(Reply.of(exc.code, exc.message)) from None
        except (library.SMTPServerDisconnected, library.SMTPTimeoutError):
            raise
        except UnicodeError:
            raise _odd_password() from None
        except library.SMTPException as exc:
            raise _no_login(exc) from exc

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(_aiosmtplib().SMTPException, OSError):
            await client.quit()
        client.close()


def _aiosmtplib() -> Any:
    try:
        import aiosmtplib
    except ImportError as exc:
        raise MissingDependencyError("aiosmtplib", extra="email") from exc
    return aiosmtplib


def _odd_password() -> SharedError:
    return ConfigurationError("SMTP_USERNAME and SMTP_PASSWORD: this server's way to log in takes ASCII only")


def _no_login(error: Exception) -> SharedError:
    msg = "the mail server offers no way to log in that is known here: check SMTP_TLS and SMTP_PORT"
    return EmailError(msg, details={"accepted": False, "phase": "login"}, retryable=False, cause=error)
