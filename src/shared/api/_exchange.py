"""One request and what became of it."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from shared.context import RequestContext

__all__ = ["UNMATCHED", "Exchange", "Outcome", "RequestFinished"]

J = TypeVar("J")
_new_tuple = tuple.__new__

#: Called with the exchange, the status and the headers of a starting answer.
LateChange = Callable[["Exchange", int, Any], object]

UNMATCHED = "unmatched"
"""Route label of a request that no route answers; never the raw path."""

EXCHANGE_KEY = "shared.exchange"
"""Where scope and environ hold the :class:`Exchange`."""


class Outcome(StrEnum):
    """How an exchange ended.

    Example:
        >>> str(Outcome.DISCONNECTED)
        'disconnected'
    """

    COMPLETED = "completed"
    """The last byte was handed to the server, whatever the status."""

    DISCONNECTED = "disconnected"
    """The client left before the last byte; logged as status 499, not as our failure."""

    FAILED = "failed"
    """An exception cut the answer off after it had begun."""

    CANCELLED = "cancelled"
    """The server stopped the work: shutdown, or its own handling of a disconnect."""


class RequestFinished(NamedTuple):
    """What observers, such as the metrics, learn about a finished exchange.

    Attributes:
        method: Method as sent; bound it before using it as a label.
        route: Template of the route, ``"unmatched"`` when there is none. Bounded.
        status: Status sent; 499 when the client left before the answer began.
        outcome: How it ended.
        duration: Seconds to the last byte of the body.
        first_byte: Seconds until the answer began; 0.0 when it did not.
        bytes_received: Bytes of request body the application read.
        bytes_sent: Bytes of response body.
        protocol: ``"http"`` or ``"websocket"``.
        error: Class name of the exception that was not foreseen, or None.
        context: The request's context; its ids and principal.

    Example:
        >>> def count(event: RequestFinished) -> None:
        ...     print(event.method, event.route, event.status)
        >>> from shared.api import Pipeline
        >>> stop = Pipeline(access=None).observe(count)
        >>> stop()
    """

    method: str
    route: str
    status: int
    outcome: Outcome
    duration: float
    first_byte: float
    bytes_received: int
    bytes_sent: int
    protocol: str
    error: str | None
    context: RequestContext


class Exchange:
    """The request as jobs see it, and the state of its answer.

    Made by an adapter, filled by the pipeline. The adapters' subclasses know where
    headers are kept.

    Attributes:
        protocol: ``"http"`` or ``"websocket"``.
        method: Request method; ``"WEBSOCKET"`` for websockets.
        path: Decoded path, without the query and without a proxy's prefix.
        https: Whether the server says that the client came by https or wss.
        context: What :func:`shared.context.current_context` returns during the request.
        status: Status sent, 0 before.
        error: The exception nobody foresaw, or None.
        state: A mapping for jobs to keep things in between their hooks.
        api_version: Version that success envelopes of this request carry.

    Example:
        >>> exchange = Exchange("GET", "/orders", https=True, api_version="v1")
        >>> exchange.state["limit"] = 10
        >>> exchange.route, exchange.state
        ('unmatched', {'limit': 10})
    """

    __slots__ = (
        "_state",
        "api_version",
        "bytes_received",
        "bytes_sent",
        "context",
        "ended",
        "error",
        "finished",
        "first_byte",
        "https",
        "late",
        "method",
        "outcome",
        "path",
        "started",
        "status",
        "too_large",
    )

    protocol = "http"
    unusual = False  # whether the access line says more than that of an HTTP exchange
    method: str
    path: str
    https: bool
    api_version: str
    context: RequestContext
    started: float
    first_byte: float
    ended: float
    status: int
    bytes_received: int
    bytes_sent: int
    outcome: Outcome
    error: BaseException | None
    finished: bool
    too_large: bool
    late: list[LateChange] | None
    _state: dict[str, Any]

    def __init__(self, method: str, path: str, *, https: bool, api_version: str) -> None:
        self.method = method
        self.path = path
        self.https = https
        self.api_version = api_version
        self.started = self.first_byte = self.ended = 0.0
        self.status = self.bytes_received = self.bytes_sent = 0
        self.outcome = Outcome.COMPLETED
        self.error = None
        self.finished = self.too_large = False
        self.late = None

    def before_headers(self, change: "LateChange") -> None:
        """Call *change* with the exchange, the status and the headers just before they leave.

        For what only some requests need: a job's ``on_headers`` is asked for all of them.
        """
        if self.late is None:
            self.late = []
        self.late.append(change)

    @property
    def state(self) -> dict[str, Any]:
        """A mapping for jobs to keep things in between their hooks."""
        try:
            return self._state
        except AttributeError:  # most requests never need one
            self._state = {}
            return self._state

    def peek(self, name: str) -> Any:
        """Return what a job keeps in :attr:`state`, or None, without making the mapping."""
        try:
            return self._state.get(name)
        except AttributeError:
            return None

    @property
    def route(self) -> str:
        """Template of the route, known once the application has chosen it."""
        return UNMATCHED

    @property
    def client(self) -> str | None:
        """Address of the peer: the proxy's, when there is one."""
        return None

    def find_route(self) -> str:
        """Return the template of the route that answers, or will answer, this request.

        Before the application has chosen, the router is asked by the path alone;
        ``"unmatched"`` when nothing fits or the layer knows no router.
        """
        return self.route

    def job(self, kind: type[J]) -> J | None:  # noqa: ARG002 - an exchange without a layer
        """Return the layer's first job of this class, or None."""
        return None

    def route_for(self, path: str) -> str:  # noqa: ARG002 - an exchange without a router
        """Return the template of the route that would answer *path*, whatever the method."""
        return UNMATCHED

    def header(self, name: str) -> str | None:
        """Return a request header, the last one of several, or None."""
        raise NotImplementedError

    def header_list(self, name: str) -> str:
        """Return a request header that is a list: all of its lines, joined by commas."""
        return self.header(name) or ""

    def finished_event(self, route: str) -> RequestFinished:
        """Return the facts for observers."""
        started, error = self.started, self.error
        # Past the named constructor, which costs as much again.
        return _new_tuple(
            RequestFinished,
            (
                self.method,
                route,
                self.status,
                self.outcome,
                self.ended - started,
                self.first_byte - started if self.first_byte else 0.0,
                self.bytes_received,
                self.bytes_sent,
                self.protocol,
                None if error is None else type(error).__name__,
                self.context,
            ),
        )
