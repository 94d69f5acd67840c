"""Events: a frozen object with the details, and the plain callables that hear it."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from shared.errors import ConfigurationError

__all__ = ["Events"]

E = TypeVar("E")
Listener = Callable[[Any], object]

_CO_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE; importing inspect costs more than this room


class _Subscription:
    """One listener of one class; compared by identity, so each ends on its own."""

    __slots__ = ("event_type", "listener")

    def __init__(self, event_type: type, listener: Listener) -> None:
        self.event_type = event_type
        self.listener = listener


class Events:
    """Delivers event objects to the callables subscribed to their class.

    One shape for every room: the event is a frozen object with the details, a
    listener is a plain callable. Listeners run in the emitting thread, in order
    of subscription, outside of any lock of the emitter. A listener's exception
    is logged to ``shared.events`` and never reaches the emitter. Thread-safe and
    fork-safe: it has no lock.

    Example:
        >>> seen = []
        >>> events = Events()
        >>> stop = events.subscribe(str, seen.append)
        >>> events.emit("breaker opened"); stop(); events.emit("unheard")
        >>> seen
        ['breaker opened']
    """

    __slots__ = ("_resolved", "_subscriptions")

    def __init__(self) -> None:
        # Changed only by append and remove, which are atomic: no update is lost
        # between threads, and there is no lock that a fork could leave held.
        self._subscriptions: list[_Subscription] = []
        # Listeners by class of event. Replaced after each change, so that what was
        # gathered from the old list ends in a dictionary nobody reads any more.
        self._resolved: dict[type, tuple[Listener, ...]] = {}

    def subscribe(self, event_type: type[E], listener: Callable[[E], object]) -> Callable[[], None]:
        """Call *listener* with each event of *event_type* or a subclass.

        Returns:
            A function that ends this subscription; calling it again does nothing.

        Raises:
            ConfigurationError: *listener* is an ``async def`` function. Nothing
                would await it; start a task in a plain function instead.

        Example:
            >>> events = Events()
            >>> stop = events.subscribe(ValueError, print)
            >>> events.emit(UnicodeError("a subclass"))
            a subclass
            >>> stop(); stop()
        """
        code = getattr(getattr(listener, "__func__", listener), "__code__", None)
        if getattr(code, "co_flags", 0) & _CO_COROUTINE:
            msg = f"listener {listener!r} is an async function, which nothing awaits: subscribe a plain one"
            raise ConfigurationError(msg)
        subscription = _Subscription(event_type, listener)
        self._subscriptions.append(subscription)
        self._resolved = {}

        def unsubscribe() -> None:
            try:
                self._subscriptions.remove(subscription)
            except ValueError:  # ended before
                return
            self._resolved = {}

        return unsubscribe

    def has_listeners(self, event_type: type) -> bool:
        """Tell whether building an event of *event_type* is worth the work.

        Example:
            >>> Events().has_listeners(str)
            False
        """
        found = self._resolved.get(event_type)
        return bool(self._for(event_type) if found is None else found)

    def emit(self, event: object) -> None:
        """Hand *event* to its listeners; never raises.

        Example:
            >>> events = Events()
            >>> stop = events.subscribe(object, print)
            >>> events.emit(("any", "object"))
            ('any', 'object')
        """
        for listener in self._for(type(event)):
            try:
                listener(event)
            except Exception:
                import logging

                logging.getLogger("shared.events").exception(
                    "listener failed", extra={"event_type": type(event).__name__}
                )

    def _for(self, event_type: type) -> tuple[Listener, ...]:
        resolved = self._resolved
        found = resolved.get(event_type)
        if found is None:
            bases = event_type.__mro__
            found = tuple(s.listener for s in self._subscriptions.copy() if s.event_type in bases)
            resolved[event_type] = found
        return found
