"""Where further jobs plug into the one layer."""

from collections.abc import Hashable
from typing import Protocol

from shared.api._errors import Reply
from shared.api._exchange import Exchange, RequestFinished
from shared.errors import SharedError

__all__ = ["AccessSink", "InFlight", "Job", "ResponseHeaders"]


class AccessSink(Protocol):
    """Where access lines go; :class:`shared.logging.AccessLog` is one.

    A sink that has ``write_request``, with the arguments of
    :meth:`shared.logging.AccessLog.write_request`, gets the usual line that way.

    Example:
        >>> class Printer:
        ...     def write(self, fields, *, level):
        ...         print(level, fields["status"])
        >>> sink: AccessSink = Printer()
        >>> sink.write({"status": 200}, level="info")
        info 200
    """

    def write(self, fields: dict[str, object], *, level: str) -> object:
        """Write one line; must not raise."""


class InFlight(Protocol):
    """Who waits for the requests under way; :class:`shared.monitoring.Lifecycle` does.

    Example:
        >>> from shared.monitoring import Lifecycle
        >>> lifecycle: InFlight = Lifecycle()
        >>> lifecycle.enter("a request"); lifecycle.leave("a request")
    """

    def enter(self, key: Hashable) -> None:
        """Count the request until :meth:`leave`; must not raise."""

    def leave(self, key: Hashable) -> None:
        """Stop counting it; unknown keys are ignored."""


class ResponseHeaders(Protocol):
    """The headers of an answer that is about to start; names in any case.

    Example:
        >>> class Tagged(Job):
        ...     def on_headers(self, exchange, status, headers: ResponseHeaders):
        ...         headers.setdefault("Cache-Control", "no-store")
        ...         headers.append("Vary", "Origin")
    """

    def get(self, name: str) -> str | None:
        """Return the first value of *name*, or None."""

    def set(self, name: str, value: str) -> None:
        """Replace every value of *name*."""

    def setdefault(self, name: str, value: str) -> None:
        """Add *name* unless the application has set it."""

    def append(self, name: str, value: str) -> None:
        """Add one more value of *name*."""


class Job:
    """One more thing the layer does for every request; subclass and override.

    Only the methods a subclass overrides are compiled into the plan, so an unused
    hook costs nothing. Hooks run inside the request's context and runtime, in the
    order of the jobs; ``on_finish`` in the order of the jobs, too.

    Attributes:
        idle: Whether the job has nothing to do of its own accord: then it costs nothing and
            is there only for what finds it with :meth:`Exchange.job`.
        waits: Whether :meth:`on_request_async`, where it is overridden, has something to
            await. A job whose store is in memory says False when it is made: then the
            quicker :meth:`on_request` is asked everywhere.

    Example:
        >>> class Maintenance(Job):
        ...     def on_request(self, exchange):
        ...         from shared.errors import ServiceUnavailableError
        ...         return ServiceUnavailableError("back at 14:00", retry_after=60)
        >>> Maintenance().on_request(None).headers
        {'Retry-After': '60'}
    """

    idle: bool = False
    waits: bool = True

    def on_request(self, exchange: Exchange) -> Reply | SharedError | None:
        """Decide before the application sees the request.

        Return None to let it pass, an error to refuse it in the service's error
        form, or a complete answer; raising an error refuses as well.
        """

    async def on_request_async(self, exchange: Exchange) -> Reply | SharedError | None:
        """Decide like :meth:`on_request`, awaiting a store.

        The ASGI layer asks this one when it is overridden; WSGI cannot, so a job
        for both overrides both.
        """

    def on_headers(self, exchange: Exchange, status: int, headers: ResponseHeaders) -> None:
        """Change the headers of any answer, errors included, before they leave."""

    def on_finish(self, event: RequestFinished) -> None:
        """Learn how the exchange ended; for websockets, too. Exceptions are logged."""
