"""An HTTP answer without a framework."""

from typing import NamedTuple


class HttpAnswer(NamedTuple):
    """A whole HTTP answer, ready to send.

    ``headers`` are pairs of text; ``Content-Length`` is the server's business.

    Example:
        >>> status, headers, body = HttpAnswer(200, (("Content-Type", "text/plain"),), b"ok")
        >>> status, body
        (200, b'ok')
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
