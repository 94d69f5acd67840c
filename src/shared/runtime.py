"""The one place that holds process-wide instances.

A :class:`Runtime` maps a type to its lazily built instance. ``install(app)`` and
``worker()`` make one; accessors such as ``get_settings()`` are
``current().get(Settings, factory)``. Two applications in one process have two
runtimes and do not see each other; tests override. Standard library only.

Example:
    >>> class Mailer:
    ...     pass
    >>> runtime = Runtime("docs")
    >>> runtime.provide(Mailer, lambda rt: Mailer())
    >>> runtime.get(Mailer) is runtime.get(Mailer)
    True
    >>> runtime.close()
"""

import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from shared.errors import ConfigurationError

__all__ = ["Events", "ForkAware", "Runtime", "after_fork_in_child", "current", "reset_default", "use"]

T = TypeVar("T")
E = TypeVar("E")

_MISSING: Final = object()
_NO_OVERRIDES: Final[Mapping[Any, Any]] = MappingProxyType({})


class Events:
    """Delivers event objects to the callables subscribed to their class.

    One shape for every room: the event is a frozen object with the details, a
    listener is a plain callable. Listeners run in the emitting thread, in order
    of subscription, outside of any lock of the emitter. A listener's exception
    is logged to ``shared.events`` and never reaches the emitter.

    Example:
        >>> seen = []
        >>> events = Events()
        >>> stop = events.subscribe(str, seen.append)
        >>> events.emit("breaker opened"); stop(); events.emit("unheard")
        >>> seen
        ['breaker opened']
    """

    __slots__ = ("_listeners", "_resolved")

    def __init__(self) -> None:
        self._listeners: dict[type, tuple[Callable[[Any], object], ...]] = {}
        self._resolved: dict[type, tuple[Callable[[Any], object], ...]] = {}

    def subscribe(self, event_type: type[E], listener: Callable[[E], object]) -> Callable[[], None]:
        """Call *listener* with each event of *event_type* or a subclass.

        Returns:
            A function that ends the subscription; calling it again does nothing.
        """
        # Replaced, never changed in place: emit() may be walking the old tuple.
        self._listeners[event_type] = (*self._listeners.get(event_type, ()), listener)
        self._resolved = {}

        def unsubscribe() -> None:
            rest = list(self._listeners.get(event_type, ()))
            if listener in rest:
                rest.remove(listener)
            self._listeners[event_type] = tuple(rest)
            self._resolved = {}

        return unsubscribe

    def has_listeners(self, event_type: type) -> bool:
        """Tell whether building an event of *event_type* is worth the work."""
        return bool(self._for(event_type))

    def emit(self, event: object) -> None:
        """Hand *event* to its listeners; never raises."""
        for listener in self._for(type(event)):
            try:
                listener(event)
            except Exception:
                import logging

                logging.getLogger("shared.events").exception(
                    "listener failed", extra={"event_type": type(event).__name__}
                )

    def _for(self, event_type: type) -> tuple[Callable[[Any], object], ...]:
        resolved = self._resolved
        found = resolved.get(event_type)
        if found is None:
            found = tuple(
                listener for base in event_type.__mro__ for listener in self._listeners.get(base, ())
            )
            resolved[event_type] = found
        return found


class Runtime:
    """A small container: type to lazily built, owned instance.

    Args:
        name: For people: the service's name.

    Instances are built once, on first use, under a lock, and closed in reverse
    order of building. Thread-safe. A runtime that is dropped without
    :meth:`close` while it owns open resources gives a ``ResourceWarning``.
    """

    def __init__(self, name: str = "default") -> None:
        self.name = name
        self.events = Events()
        self._factories: dict[Any, Callable[[Runtime], Any]] = {}
        self._instances: dict[Any, Any] = {}
        self._order: list[Any] = []
        self._building: list[Any] = []
        self._lock = threading.RLock()
        self._overrides: ContextVar[Mapping[Any, Any]] = ContextVar("shared_overrides", default=_NO_OVERRIDES)
        self._closed = False
        after_fork_in_child(self)

    # -- building ----------------------------------------------------------------

    def provide(self, key: type[T], factory: Callable[["Runtime"], T]) -> None:
        """Build *key* with *factory* when it is first asked for.

        Replaces an earlier factory; an instance already built stays until
        :meth:`replace`.
        """
        with self._lock:
            self._factories[key] = factory

    def replace(self, key: type[T], value: T) -> T | None:
        """Put *value* in place of the instance of *key* and return the old one, unclosed."""
        with self._lock:
            old = self._instances.get(key)
            if key not in self._instances:
                self._order.append(key)
            self._instances[key] = value
            return old

    def get(self, key: type[T], factory: Callable[["Runtime"], T] | None = None) -> T:
        """Return the instance of *key*, building it on first use.

        Args:
            key: The type asked for.
            factory: Used when nothing was provided for *key*.

        Raises:
            ConfigurationError: Nothing provides *key*, its factories need each
                other in a circle, or the runtime is closed.
        """
        overrides = self._overrides.get()
        if overrides:
            value = overrides.get(key, _MISSING)
            if value is not _MISSING:
                return value  # type: ignore[no-any-return]
        try:
            return self._instances[key]  # type: ignore[no-any-return]
        except KeyError:
            return self._build(key, factory)

    def find(self, key: type[T]) -> T | None:
        """Return the instance of *key* if it is built or overridden, else None; builds nothing."""
        return self._overrides.get().get(key) or self._instances.get(key)

    def _build(self, key: type[T], fallback: Callable[["Runtime"], T] | None) -> T:
        with self._lock:
            if key in self._instances:  # another thread was faster
                return self._instances[key]  # type: ignore[no-any-return]
            if self._closed:
                msg = f"runtime {self.name!r} is closed: {_name(key)} is no longer available"
                raise ConfigurationError(msg)
            factory = self._factories.get(key) or fallback
            if factory is None:
                msg = (
                    f"nothing provides {_name(key)} in runtime {self.name!r}: "
                    f"call install(app) or worker(), or runtime.provide({_name(key)}, factory)"
                )
                raise ConfigurationError(msg)
            if key in self._building:
                circle = " -> ".join(map(_name, [*self._building, key]))
                msg = f"factories need each other in a circle: {circle}"
                raise ConfigurationError(msg)
            self._building.append(key)
            try:
                value = factory(self)
            finally:
                self._building.pop()
            self._instances[key] = value
            self._order.append(key)
            return value

    @contextmanager
    def override(self, key: type[T], value: T) -> Iterator[T]:
        """Use *value* for *key* inside the block, in this task and what it starts.

        Parallel tests do not see each other's overrides.
        """
        token = self._overrides.set({**self._overrides.get(), key: value})
        try:
            yield value
        finally:
            self._overrides.reset(token)

    # -- closing -----------------------------------------------------------------

    def close(self) -> None:
        """Close what was built, last first; then the runtime refuses new builds.

        Instances with only ``aclose`` are left to :meth:`aclose` and reported by a
        ``ResourceWarning``. Safe to call twice.

        Raises:
            ExceptionGroup: One or more resources failed to close; all were tried.
        """
        failures: list[Exception] = []
        for instance in self._take():
            closer = getattr(instance, "close", None)
            if closer is None:
                if getattr(instance, "aclose", None) is not None:
                    msg = f"{type(instance).__name__} can only be closed by await runtime.aclose()"
                    warnings.warn(msg, ResourceWarning, stacklevel=2)
                continue
            try:
                closer()
            except Exception as exc:  # noqa: BLE001 - the others must be closed too
                failures.append(exc)
        _raise(failures, self.name)

    async def aclose(self) -> None:
        """Close what was built, last first, awaiting ``aclose`` where there is one.

        Raises:
            ExceptionGroup: As :meth:`close`.
        """
        failures: list[Exception] = []
        for instance in self._take():
            try:
                if (aclose := getattr(instance, "aclose", None)) is not None:
                    await aclose()
                elif (close := getattr(instance, "close", None)) is not None:
                    close()
            except Exception as exc:  # noqa: BLE001 - the others must be closed too
                failures.append(exc)
        _raise(failures, self.name)

    def _take(self) -> list[Any]:
        with self._lock:
            self._closed = True
            instances = [self._instances[key] for key in reversed(self._order)]
            self._instances = {}
            self._order = []
            return instances

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` or :meth:`aclose` has begun."""
        return self._closed

    def after_fork(self) -> None:
        """Replace what a fork may have left locked; called in the child."""
        self._lock = threading.RLock()
        self._building = []

    def __del__(self) -> None:
        held = [
            v for v in getattr(self, "_instances", {}).values() if hasattr(v, "close") or hasattr(v, "aclose")
        ]
        if held:
            names = ", ".join(sorted({type(v).__name__ for v in held}))
            warnings.warn(
                f"unclosed runtime {self.name!r} owns: {names}", ResourceWarning, stacklevel=2, source=self
            )

    def __repr__(self) -> str:
        built = ", ".join(map(_name, self._order))
        return f"Runtime({self.name!r}, built=[{built}])"


def _name(key: Any) -> str:
    return getattr(key, "__qualname__", repr(key))


def _raise(failures: list[Exception], name: str) -> None:
    if failures:
        msg = f"closing runtime {name!r} failed"
        raise ExceptionGroup(msg, failures)


# --- which runtime ---------------------------------------------------------------------

_active: Final[ContextVar[Runtime | None]] = ContextVar("shared_runtime", default=None)
_default: Runtime | None = None
_default_lock = threading.Lock()


def current() -> Runtime:
    """Return the runtime in force: that of the request or block, else the process's."""
    runtime = _active.get()
    if runtime is not None:
        return runtime
    return _default if _default is not None else _make_default()


def _make_default() -> Runtime:
    global _default  # noqa: PLW0603 - the process default is one by nature
    with _default_lock:
        if _default is None:
            _default = Runtime()
        return _default


@contextmanager
def use(runtime: Runtime) -> Iterator[Runtime]:
    """Make *runtime* the one :func:`current` finds, inside the block and what it starts."""
    token = _active.set(runtime)
    try:
        yield runtime
    finally:
        _active.reset(token)


def reset_default(runtime: Runtime | None = None) -> Runtime | None:
    """Set the process default (None: none, one is made on demand) and return the old, unclosed."""
    global _default
    with _default_lock:
        old, _default = _default, runtime
        return old


# --- fork --------------------------------------------------------------------------------


class ForkAware(Protocol):
    """Something that must be re-armed in a forked child: locks, threads, sockets."""

    def after_fork(self) -> None:
        """Bring the object into a working state; runs in the child, must not log or block."""


_fork_aware: "weakref.WeakSet[Any]" = weakref.WeakSet()
_fork_hooked = False


def after_fork_in_child(target: ForkAware) -> None:
    """Call ``target.after_fork()`` in every forked child for as long as *target* lives."""
    global _fork_hooked  # noqa: PLW0603
    _fork_aware.add(target)
    if not _fork_hooked and hasattr(os, "register_at_fork"):
        _fork_hooked = True
        os.register_at_fork(after_in_child=_rearm)


def _rearm() -> None:
    global _default_lock  # noqa: PLW0603
    _default_lock = threading.Lock()
    for target in list(_fork_aware):
        target.after_fork()
