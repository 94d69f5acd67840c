"""The container: type to lazily built, owned instance."""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, Final, TypeVar

from shared.errors import ConfigurationError
from shared.runtime._build import Builds, name_of
from shared.runtime._close import aclose_all, close_all, is_closable, report
from shared.runtime._events import Events
from shared.runtime._fork import after_fork_in_child

__all__ = ["Runtime"]

T = TypeVar("T")
V = TypeVar("V")

_MISSING: Final = object()
_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})

# One variable for all runtimes: a variable per runtime would never be collected.
# Maps a runtime to its overrides; the keys keep a runtime alive for as long as one
# of its overrides is in force.
_overrides: Final[ContextVar[Mapping["Runtime", Mapping[Any, Any]]]] = ContextVar(
    "shared_overrides", default=_NONE
)


class Runtime:
    """A small container: type to lazily built, owned instance.

    Instances are built once, on first use, and closed in reverse order of
    building. Thread-safe: a thread that builds one type does not keep another
    from building a different one. A runtime that is dropped without
    :meth:`close` while it owns open resources gives a ``ResourceWarning``.

    Args:
        name: For people: the service's name.

    Attributes:
        name: As given.
        events: What the rooms of this runtime tell each other.

    Example:
        >>> class Mailer:
        ...     def close(self) -> None:
        ...         print("closed")
        >>> runtime = Runtime("orders")
        >>> runtime.provide(Mailer, lambda rt: Mailer())
        >>> runtime.get(Mailer) is runtime.get(Mailer)
        True
        >>> runtime.close()
        closed
    """

    def __init__(self, name: str = "default") -> None:
        self.name = name
        self.events: Events = Events()
        self._factories: dict[Any, Callable[[Runtime], Any]] = {}
        self._instances: dict[Any, Any] = {}  # in order of building
        self._for_aclose: list[Any] = []  # what close() could not close
        self._builds = Builds()
        # Held for look-ups and notes only, never while building. Reentrant, because a
        # signal handler or a finaliser may ask for something in the midst of it.
        self._lock = threading.RLock()
        self._closed = False
        after_fork_in_child(self)

    # -- building ----------------------------------------------------------------

    def provide(self, key: type[T], factory: Callable[["Runtime"], T]) -> None:
        """Build *key* with *factory* when it is first asked for.

        Replaces an earlier factory; an instance already built stays until
        :meth:`replace`. The factory receives this runtime and may ask it for what
        it needs.

        Example:
            >>> runtime = Runtime()
            >>> runtime.provide(dict, lambda rt: {"runtime": rt.name})
            >>> runtime.get(dict)
            {'runtime': 'default'}
        """
        with self._lock:
            self._factories[key] = factory

    def replace(self, key: type[T], value: T) -> T | None:
        """Put *value* in place of the instance of *key* and return the old one, unclosed.

        Raises:
            ConfigurationError: The runtime is closed and would never close *value*.

        Example:
            >>> runtime = Runtime()
            >>> runtime.replace(int, 1), runtime.replace(int, 2), runtime.get(int)
            (None, 1, 2)
        """
        with self._lock:
            self._refuse_when_closed(key)
            old = self._instances.get(key)
            self._instances[key] = value
            return old

    def get(self, key: type[T], factory: Callable[["Runtime"], T] | None = None) -> T:
        """Return the instance of *key*, building it on first use.

        A thread that asks for what another is building waits for it. What a
        factory raises passes through, and the next caller tries again.

        Args:
            key: The type asked for.
            factory: Used when nothing was provided for *key*.

        Raises:
            ConfigurationError: Nothing provides *key*, factories need each other
                in a circle (also across threads), or the runtime is closed.

        Example:
            >>> runtime = Runtime()
            >>> runtime.get(list, lambda rt: ["built", "once"]) is runtime.get(list)
            True
        """
        overrides = _overrides.get()
        if overrides:
            value = overrides.get(self, _NONE).get(key, _MISSING)
            if value is not _MISSING:
                return value  # type: ignore[no-any-return]
        try:
            return self._instances[key]  # type: ignore[no-any-return]
        except KeyError:
            built: T = self._build(key, factory)
            return built

    def find(self, key: type[T]) -> T | None:
        """Return the instance of *key* if it is overridden or built, else None; builds nothing.

        Example:
            >>> runtime = Runtime()
            >>> runtime.find(int), runtime.get(int, lambda rt: 0), runtime.find(int)
            (None, 0, 0)
        """
        value = _overrides.get().get(self, _NONE).get(key, _MISSING)
        return self._instances.get(key) if value is _MISSING else value

    def _build(self, key: Any, fallback: Callable[["Runtime"], Any] | None) -> Any:
        while True:
            with self._lock:
                if key in self._instances:  # another thread was faster
                    return self._instances[key]
                self._refuse_when_closed(key)
                factory = self._factories.get(key) or fallback
                if factory is None:
                    raise self._nothing_provides(key)
                other = self._builds.begin(key)
            if other is None:
                return self._run(key, factory)
            other.wait()
            with self._lock:
                self._builds.stop_waiting()

    def _run(self, key: Any, factory: Callable[["Runtime"], Any]) -> Any:
        try:
            value = factory(self)
        except BaseException:
            with self._lock:
                self._builds.end(key)
            raise
        with self._lock:
            late = self._closed
            if not late:
                self._instances[key] = value
            self._builds.end(key)
        if late:  # closed meanwhile: nobody else would close it
            try:
                self._close([value])
            finally:
                self._refuse_when_closed(key)
        return value

    def _refuse_when_closed(self, key: Any) -> None:
        if self._closed:
            msg = f"runtime {self.name!r} is closed: {name_of(key)} is no longer available"
            raise ConfigurationError(msg)

    def _nothing_provides(self, key: Any) -> ConfigurationError:
        name = name_of(key)
        return ConfigurationError(
            f"nothing provides {name} in runtime {self.name!r}: "
            f"call install(app) or worker(), or runtime.provide({name}, factory)"
        )

    @contextmanager
    def override(self, key: type[T], value: T) -> Iterator[T]:
        """Use *value* for *key* inside the block, in this task and what it starts.

        Parallel tests do not see each other's overrides. The runtime does not own
        *value* and will not close it.

        Example:
            >>> runtime = Runtime()
            >>> with runtime.override(str, "fake"):
            ...     runtime.get(str)
            'fake'
        """
        now = _overrides.get()
        ours = {**now, self: {**now.get(self, _NONE), key: value}}
        token = _overrides.set(ours)
        try:
            yield value
        finally:
            restore(_overrides, token, ours, now)

    # -- closing -----------------------------------------------------------------

    def close(self) -> None:
        """Close what was built, last first; then the runtime refuses new builds.

        Instances that can only be closed by awaiting are left to :meth:`aclose` and
        reported by a ``ResourceWarning``. Safe to call twice and from several threads.

        Raises:
            ExceptionGroup: One or more resources failed to close; all were tried.
        """
        self._close(self._take())

    def _close(self, waiting: list[Any]) -> None:
        failures: list[Exception] = []
        left: list[Any] = []
        try:
            left = close_all(waiting, failures)
        finally:  # also what an interrupt kept from being closed
            with self._lock:
                self._for_aclose += [*left, *waiting]
        report(left, failures, self.name)

    async def aclose(self) -> None:
        """Close what was built, last first, awaiting ``aclose`` where there is one.

        Also closes what :meth:`close` had to leave.

        Raises:
            ExceptionGroup: As :meth:`close`.

        Example:
            >>> import asyncio
            >>> class Client:
            ...     async def aclose(self) -> None:
            ...         print("closed")
            >>> runtime = Runtime()
            >>> _ = runtime.get(Client, lambda rt: Client())
            >>> asyncio.run(runtime.aclose())
            closed
        """
        waiting = self._take()
        with self._lock:
            waiting += self._for_aclose
            self._for_aclose = []
        failures: list[Exception] = []
        try:
            await aclose_all(waiting, failures)
        finally:  # also what a cancellation kept from being closed
            with self._lock:
                self._for_aclose += waiting
        report([], failures, self.name)

    def _take(self) -> list[Any]:
        with self._lock:
            self._closed = True
            waiting = list(reversed(self._instances.values()))
            self._instances = {}
            return waiting

    def reopen(self) -> None:
        """Build again after :meth:`close`, as an application does whose start-up runs twice.

        Factories are still known; nothing of what was closed comes back.

        Example:
            >>> runtime = Runtime()
            >>> runtime.close()
            >>> runtime.reopen()
            >>> runtime.get(list, lambda rt: [1])
            [1]
        """
        with self._lock:
            self._closed = False

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` or :meth:`aclose` has begun."""
        return self._closed

    def after_fork(self) -> None:
        """Replace what a fork may have left locked or half built; called in the child."""
        self._lock = threading.RLock()
        self._builds = Builds()

    def __del__(self) -> None:
        owned = (*getattr(self, "_instances", {}).values(), *getattr(self, "_for_aclose", ()))
        held = [value for value in owned if is_closable(value)]
        if held:
            names = ", ".join(sorted({type(value).__name__ for value in held}))
            msg = f"unclosed runtime {self.name!r} owns: {names}"
            warnings.warn(msg, ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        built = ", ".join(map(name_of, self._instances.copy()))
        return f"Runtime({self.name!r}, built=[{built}])"


def restore(variable: ContextVar[V], token: Token[V], ours: V, before: V) -> None:
    """Undo a ``set``, also when the block ends in another context than it began.

    Asynchronous fixtures and generators do that. Then only a value that came
    from this block is undone.
    """
    try:
        variable.reset(token)
    except ValueError:
        if variable.get() is ours:
            variable.set(before)
