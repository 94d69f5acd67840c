"""What an authenticator may look at of a request, whatever server it came through."""

from collections.abc import Iterable
from typing import Final, Protocol

from shared.errors import AuthenticationError

__all__ = ["AuthRequest", "PlainRequest", "read_cookies"]

_MAX_COOKIES: Final = 16_384  # characters of Cookie headers that are read

Pair = tuple[str, str] | tuple[bytes, bytes]


class AuthRequest(Protocol):
    """A request as authenticators see it.

    Attributes:
        method: As sent; ``"WEBSOCKET"`` for a handshake.
        path: Decoded, without the query.
        query: As sent, without the question mark.
        https: Whether the client came by https.
        client: Address of the peer, or None.

    Example:
        >>> request: AuthRequest = PlainRequest("GET", "/", [("X-API-Key", "k")])
        >>> request.header("x-api-key")
        'k'
    """

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def https(self) -> bool: ...
    @property
    def client(self) -> str | None: ...

    def header(self, name: str) -> str | None:
        """Return the value of *name*, or None; ``X_API_Key`` is not ``X-API-Key``.

        Raises:
            AuthenticationError: It is there twice.
        """

    def cookies(self, name: str) -> tuple[str, ...]:
        """Return every value of the cookie *name*."""


class PlainRequest:
    """A request made of plain values, for servers of your own and for tests.

    Args:
        method: As sent.
        path: Decoded, without the query.
        headers: Pairs of text or bytes, in any case.
        query: As sent, without the question mark.
        https: Whether the client came by https.
        client: Address of the peer.

    Example:
        >>> request = PlainRequest("GET", "/", [(b"cookie", b"a=1; b=2")])
        >>> request.cookies("b"), request.header("authorization")
        (('2',), None)
    """

    __slots__ = ("_headers", "client", "https", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        headers: Iterable[Pair] = (),
        *,
        query: str = "",
        https: bool = True,
        client: str | None = None,
    ) -> None:
        self.method: str = method
        self.path: str = path
        self.query: str = query
        self.https: bool = https
        self.client: str | None = client
        self._headers = headers

    def values(self, name: str) -> list[str]:
        """Return every value of *name*.

        Example:
            >>> PlainRequest("GET", "/", [("A", "1"), ("a", "2")]).values("a")
            ['1', '2']
        """
        wanted = name.lower()
        raw = wanted.encode("latin-1", "replace")
        found = []
        for key, value in self._headers:
            if isinstance(key, bytes):
                if key == raw or key.lower() == raw:
                    found.append(value.decode("latin-1") if isinstance(value, bytes) else value)
            elif key.lower() == wanted:
                found.append(value if isinstance(value, str) else value.decode("latin-1"))
        return found

    def header(self, name: str) -> str | None:
        """Return the value of *name*, or None.

        Raises:
            AuthenticationError: It is there twice: which one counts would be a guess.

        Example:
            >>> PlainRequest("GET", "/", [("A", "1"), ("a", "2")]).header("a")
            Traceback (most recent call last):
                ...
            shared.errors.AuthenticationError: the header 'a' is there twice
        """
        found = self.values(name)
        if len(found) > 1:
            msg = f"the header {name!r} is there twice"
            raise AuthenticationError(msg)
        return found[0] if found else None

    def cookies(self, name: str) -> tuple[str, ...]:
        """Return every value of the cookie *name*.

        Example:
            >>> PlainRequest("GET", "/", [("Cookie", "a=1; a=2")]).cookies("a")
            ('1', '2')
        """
        return read_cookies(self.values("cookie"), name)


def read_cookies(headers: Iterable[str], name: str) -> tuple[str, ...]:
    """Return every value of the cookie *name*; a neighbouring subdomain may have planted another."""
    text = "; ".join(headers)
    if len(text) > _MAX_COOKIES or name not in text:
        return ()
    pairs = (part.partition("=") for part in text.split(";"))
    return tuple(value.strip().strip('"') for key, sep, value in pairs if sep and key.strip() == name)
