"""Hand messages to a mail server: two thin shells around one conversation."""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Literal

from shared.errors import ConfigurationError, InvalidArgumentError
from shared.integrations.email._backend import Delivery, Letter
from shared.integrations.email._smtp_lines import AsyncLine, Line, SmtpAccess
from shared.integrations.email._smtp_talk import Smtp

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["SmtpBackend"]

Tls = Literal["starttls", "tls", "none"]
_DEFAULT_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpBackend:
    """Hands messages to a mail server, over an encrypted connection unless told otherwise.

    With ``starttls`` a server that does not offer it is an error: nothing is ever sent
    in the clear instead. Coroutines need the extra ``email`` (aiosmtplib); threads need
    the standard library only. Each message takes a connection of its own,
    :meth:`session` keeps one for several.

    Args:
        host: Of the server.
        port: 587, 465 or 25 by default, as *tls* goes.
        tls: ``"starttls"``, ``"tls"`` from the first byte, or ``"none"``.
        username: Logs in when given.
        password: Text or ``SecretStr``. Never sent unencrypted to another machine,
            unless *allow_plaintext*.
        timeout: Longest wait for one reply, in seconds; less when a deadline is nearer.
        allow_plaintext: Send a password unencrypted to another machine all the same.
        tls_context: In place of the default, which trusts the machine's authorities.
        local_hostname: What to say in ``EHLO``.

    Raises:
        InvalidArgumentError: A value is out of range.
        ConfigurationError: A password would go over the wire in the clear.

    Example:
        >>> SmtpBackend("mail.example.com", username="shop", password="secret")
        <SmtpBackend mail.example.com:587 starttls>
    """

    name: str = "smtp"

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        tls: Tls = "starttls",
        username: str | None = None,
        password: "str | SecretStr | None" = None,
        timeout: float = 10.0,
        allow_plaintext: bool = False,
        tls_context: ssl.SSLContext | None = None,
        local_hostname: str | None = None,
    ) -> None:
        if tls not in _DEFAULT_PORTS or not host or not timeout > 0:
            msg = (
                f"a host, tls of starttls, tls or none, a timeout above 0 expected, got {tls!r}, {timeout!r}"
            )
            raise InvalidArgumentError(msg)
        if (username is None) != (password is None):
            raise ConfigurationError("SMTP_USERNAME and SMTP_PASSWORD belong together: set both or none")
        if tls == "none" and username is not None and not allow_plaintext and not _is_near(host):
            msg = "SMTP_TLS=none would send the password in the clear: use starttls or tls"
            raise ConfigurationError(msg)
        self._server = Smtp(host, port or _DEFAULT_PORTS[tls], tls, username, timeout)
        self._password = password
        self._context = tls_context
        self._access = SmtpAccess(
            self._server, local_hostname or _own_name(), self._tls_context, self._secret
        )

    # -- delivering --------------------------------------------------------------------

    def deliver(self, letter: Letter) -> Delivery:
        """Hand *letter* over on a connection of its own."""
        with self.session() as deliver:
            return deliver(letter)

    async def adeliver(self, letter: Letter) -> Delivery:
        """See :meth:`deliver`."""
        async with self.asession() as deliver:
            return await deliver(letter)

    @contextmanager
    def session(self) -> Iterator[Callable[[Letter], Delivery]]:
        """Keep one connection for several letters; a broken one is made anew for the next."""
        line = Line(self._access)
        try:
            yield line.deliver
        finally:
            line.close()

    @asynccontextmanager
    async def asession(self) -> AsyncIterator[Callable[[Letter], Awaitable[Delivery]]]:
        """See :meth:`session`."""
        line = AsyncLine(self._access)
        try:
            yield line.deliver
        finally:
            await line.close()

    def close(self) -> None:
        """Do nothing: connections end with their session."""

    async def aclose(self) -> None:
        """Do nothing: connections end with their session."""

    def __repr__(self) -> str:
        return f"<SmtpBackend {self._server.host}:{self._server.port} {self._server.tls}>"

    def _tls_context(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    def _secret(self) -> str:
        opened = getattr(self._password, "get_secret_value", None)
        return str(opened() if opened is not None else self._password)


def _is_near(host: str) -> bool:
    return host.lower() in _LOCAL


def _own_name() -> str:
    """Return a name for ``EHLO`` without asking a name server, which can take seconds."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
