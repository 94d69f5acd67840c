"""Say that something goes away: when, what takes its place, who still calls it."""

import functools
import inspect
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import formatdate
from typing import Any, Final, TypeVar, overload

from shared.api._current import exchange_at_hand
from shared.api._exchange import Exchange
from shared.api._jobs import ResponseHeaders
from shared.constants import Header
from shared.errors import ApiVersionRetiredError, InvalidArgumentError, UnsupportedCallableError
from shared.runtime import Runtime, current

__all__ = ["DEPRECATED", "Deprecation", "DeprecationNoted", "deprecated"]

F = TypeVar("F", bound=Callable[..., Any])
Moment = str | date | datetime

#: Where a deprecated function keeps what it was told; documents of the API read it.
DEPRECATED: Final = "__shared_deprecated__"

_log: Final = logging.getLogger("shared.api")
_NOT_GIVEN: Final = object()
_NO_PARAMETERS: Final = inspect.Signature()
_MAX_CALLERS: Final = 10_000
_DAY: Final = 86_400
_UNSAFE: Final = frozenset('<>"\r\n\\ ')


@dataclass(frozen=True, slots=True)
class DeprecationNoted:
    """Event: something deprecated was called.

    Attributes:
        what: The version, or the template of the route.
        consumer: Who called: the client or user of the principal, ``"anonymous"`` without one.
        retired: Whether the call was refused, because the time is over.

    Example:
        >>> DeprecationNoted("v1", "client:web", retired=False).consumer
        'client:web'
    """

    what: str
    consumer: str
    retired: bool


class Deprecation:
    """Something that goes away; made by :func:`deprecated`.

    - ``@rule`` on an endpoint or view, synchronous or asynchronous, *below* the route's
      own decorator;
    - ``Depends(rule)`` in FastAPI, also for a whole router;
    - ``ApiVersion("v1", deprecated=rule)`` for a version.

    Immutable and thread-safe.

    Attributes:
        since: Unix seconds from which on it is deprecated; may be ahead.
        sunset: Unix seconds from which on it need not answer any more, or None.
        successor: Address of what takes its place, or None.
        guide: Address of what people should read, or None.
        reason: One line for people, for the guide and the document.
        retire: Whether calls after *sunset* are refused with a 410.

    Example:
        >>> deprecated("2025-01-01", sunset="2025-07-01").headers()
        (('Deprecation', '@1735689600'), ('Sunset', 'Tue, 01 Jul 2025 00:00:00 GMT'))
    """

    __slots__ = ("_clock", "guide", "reason", "retire", "since", "successor", "sunset")

    def __init__(
        self,
        since: float,
        *,
        sunset: float | None,
        successor: str | None,
        guide: str | None,
        reason: str,
        retire: bool,
        clock: Callable[[], float],
    ) -> None:
        self.since: float = since
        self.sunset: float | None = sunset
        self.successor: str | None = successor
        self.guide: str | None = guide
        self.reason: str = reason
        self.retire: bool = retire
        self._clock = clock

    # FastAPI asks for the signature of a dependency; a decorator is never asked.
    @property
    def __signature__(self) -> inspect.Signature:
        return _NO_PARAMETERS

    @overload
    def __call__(self) -> None: ...
    @overload
    def __call__(self, function: F) -> F: ...
    def __call__(self, function: Any = _NOT_GIVEN) -> Any:
        """Deprecate *function*, or note the request at hand.

        Raises:
            ApiVersionRetiredError: The sunset is over (noting).
            UnsupportedCallableError: *function* is a class, a generator, or cannot be called.
        """
        if function is _NOT_GIVEN:
            return self.note()
        if isinstance(function, type) or not callable(function) or inspect.isasyncgenfunction(function):
            msg = f"only functions and coroutine functions can be deprecated, got {function!r}"[:200]
            raise UnsupportedCallableError(msg)
        made = self._wrapper(function)
        setattr(made, DEPRECATED, self)
        return made

    def _wrapper(self, function: Any) -> Any:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                self.note()
                return await function(*args, **kwargs)

            return run_async

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self.note()
            return function(*args, **kwargs)

        return run

    def phase(self, now: float | None = None) -> str:
        """Return ``"announced"``, ``"deprecated"`` or ``"retired"``.

        Args:
            now: Unix seconds; the present when None.
        """
        now = self._clock() if now is None else now
        if self.sunset is not None and now >= self.sunset:
            return "retired"
        return "deprecated" if now >= self.since else "announced"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the fields of the answers.

        Source: RFC 9745 (``Deprecation``), RFC 8594 (``Sunset``), RFC 5829 (``successor-version``).
        """
        found = [(str(Header.DEPRECATION), f"@{int(self.since)}")]
        if self.sunset is not None:
            found.append((str(Header.SUNSET), formatdate(int(self.sunset), usegmt=True)))
        links = []
        if self.successor:
            links.append(f'<{self.successor}>; rel="successor-version"')
        if self.guide:
            links.append(f'<{self.guide}>; rel="deprecation"; type="text/html"')
        if links:
            found.append((str(Header.LINK), ", ".join(links)))
        return tuple(found)

    def note(self, what: str | None = None) -> None:
        """Tell the caller of the request at hand, and count the call; nothing outside of a request.

        Args:
            what: What was called; the template of the route when None.

        Raises:
            ApiVersionRetiredError: The sunset is over.
        """
        exchange: Exchange | None = exchange_at_hand()
        if exchange is None:
            return
        named = what or exchange.find_route()
        retired = self.retire and self.phase() == "retired"
        consumer = _consumer(exchange.context.principal)
        _tell(self, named, consumer, retired=retired, now=self._clock())
        if retired:
            raise self._refusal(named)
        exchange.before_headers(self._add)

    def _add(self, _exchange: Exchange, _status: int, headers: ResponseHeaders) -> None:
        for name, value in self.headers():
            if name == Header.LINK:
                headers.append(name, value)
            else:
                headers.setdefault(name, value)

    def _refusal(self, what: str) -> ApiVersionRetiredError:
        details: dict[str, Any] = {"deprecated": what, "sunset": _iso(self.sunset or 0.0)}
        if self.successor:
            details["successor"] = self.successor
        way_out = f": use {self.successor}" if self.successor else ""
        return ApiVersionRetiredError(
            f"{what} was switched off on {_iso(self.sunset or 0.0)[:10]}{way_out}",
            details=details,
            headers=dict(self.headers()),
        )

    def __repr__(self) -> str:
        until = "" if self.sunset is None else f", sunset {_iso(self.sunset)[:10]}"
        return f"<Deprecation since {_iso(self.since)[:10]}{until}>"


def deprecated(
    since: Moment,
    *,
    sunset: Moment | None = None,
    successor: str | None = None,
    guide: str | None = None,
    reason: str = "",
    retire: bool = True,
    clock: Callable[[], float] = time.time,
) -> Deprecation:
    """Say that a route or a version goes away.

    Answers carry ``Deprecation``, ``Sunset`` and ``Link``, the OpenAPI document marks it,
    each call emits :class:`DeprecationNoted`, which ``install(app)`` counts, and the log
    names each consumer once a day. From *sunset* on callers get a 410 ``API_VERSION_RETIRED``.

    Args:
        since: When it became, or becomes, deprecated: ``"2025-01-01"``, a date or a
            datetime; UTC unless it says otherwise.
        sunset: When it is switched off; not before *since*.
        successor: Address of what takes its place.
        guide: Address of what people should read.
        reason: One line for people.
        retire: Whether calls after *sunset* are refused; False only tells.
        clock: Unix seconds.

    Raises:
        InvalidArgumentError: A moment makes no sense, or an address could not stand in a header.

    Source: RFC 9745, RFC 8594.

    Example:
        >>> old = deprecated("2025-01-01", sunset="2025-07-01", successor="/v2/orders", clock=lambda: 1.75e9)
        >>> old, old.phase()
        (<Deprecation since 2025-01-01, sunset 2025-07-01>, 'deprecated')
        >>> @old
        ... def list_orders():
        ...     return []
        >>> list_orders()
        []
    """
    begins = _seconds("since", since)
    ends = None if sunset is None else _seconds("sunset", sunset)
    if ends is not None and ends < begins:  # RFC 9745, section 4
        msg = f"sunset {_iso(ends)} is before since {_iso(begins)}"
        raise InvalidArgumentError(msg)
    for name, address in (("successor", successor), ("guide", guide)):
        if address is not None and (not address.isascii() or _UNSAFE & set(address) or not address):
            msg = f"{name} is an address of ASCII without spaces, quotes and angle brackets, got {address!r}"
            raise InvalidArgumentError(msg)
    return Deprecation(
        begins,
        sunset=ends,
        successor=successor,
        guide=guide,
        reason=reason,
        retire=retire,
        clock=clock,
    )


class _Callers:
    """Who was named in the log today; one for each runtime."""

    def __init__(self, _runtime: Runtime) -> None:
        self._lock = threading.Lock()
        self._day = -1
        self._named: set[tuple[str, str]] = set()

    def is_new(self, what: str, consumer: str, now: float) -> bool:
        """Tell whether this is the consumer's first call of the day (UTC)."""
        day = int(now // _DAY)
        with self._lock:
            if day != self._day:
                self._day = day
                self._named.clear()
            if (what, consumer) in self._named or len(self._named) >= _MAX_CALLERS:
                return False
            self._named.add((what, consumer))
            return True

    def after_fork(self) -> None:
        """Have a lock that nobody holds."""
        self._lock = threading.Lock()


def _tell(rule: Deprecation, what: str, consumer: str, *, retired: bool, now: float) -> None:
    runtime = current()
    if runtime.events.has_listeners(DeprecationNoted):
        runtime.events.emit(DeprecationNoted(what, consumer, retired))
    if runtime.get(_Callers, _new_callers).is_new(what, consumer, now):
        told = (
            "something that was switched off is still called" if retired else "something deprecated is called"
        )
        extra = {"deprecated": what, "consumer": consumer, "since": _iso(rule.since)}
        if rule.sunset is not None:
            extra["sunset"] = _iso(rule.sunset)
        _log.warning(told, extra=extra)


def _new_callers(runtime: Runtime) -> _Callers:
    from shared.runtime import after_fork_in_child

    made = _Callers(runtime)
    after_fork_in_child(made)
    return made


def _consumer(principal: Any) -> str:
    """Return who calls: rather the program than the person."""
    if principal is None:
        return "anonymous"
    if isinstance(principal, str):
        return f"user:{principal}"[:128]
    claims = getattr(principal, "claims", None) or {}
    client = claims.get("client_id") or claims.get("azp")
    if client:
        return f"client:{client}"[:128]
    return f"user:{getattr(principal, 'user_id', None) or getattr(principal, 'id', principal)}"[:128]


def _seconds(name: str, moment: Any) -> float:
    try:
        if isinstance(moment, str):
            moment = datetime.fromisoformat(moment)
        elif not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        if math.isfinite(seconds) and seconds >= 0:
            return float(seconds)
    except (ValueError, AttributeError, OverflowError, TypeError):
        pass
    msg = f"{name} is a moment since 1970 such as '2025-01-01', got {moment!r}"
    raise InvalidArgumentError(msg[:200])


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
