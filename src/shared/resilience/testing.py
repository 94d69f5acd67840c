"""For tests of code that retries, breaks and waits: time that obeys, dependencies that fail on cue."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from shared.errors import DeadlineExceededError, InvalidArgumentError, error_for_status
from shared.resilience._chaos import Chaos, chaos
from shared.resilience._checks import at_least, whole
from shared.resilience._switch import Switch
from shared.runtime import current

__all__ = ["Chaos", "FakeClock", "FlakyDependency", "chaos", "no_backoff"]


class FakeClock:
    """A monotonic clock that moves only when told; sleeping moves it, at once.

    Hand the object itself where a *clock* is asked for: :func:`shared.resilience.retry`
    then sleeps on it, too. Thread-safe.

    Args:
        start: First reading, in seconds.

    Attributes:
        sleeps: The seconds of every sleep so far.

    Example:
        >>> from shared.resilience import CircuitBreaker
        >>> clock = FakeClock()
        >>> breaker = CircuitBreaker("mail", failure_threshold=1, recovery_timeout=30.0, clock=clock)
        >>> try:
        ...     breaker.call(int, "x")
        ... except ValueError:
        ...     breaker.state.value
        'OPEN'
        >>> clock.advance(30.0)
        >>> breaker.state.value
        'HALF_OPEN'
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        """Return the present reading, in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*, >= 0."""
        with self._lock:
            self._now += at_least("seconds", seconds, 0.0)

    def sleep(self, seconds: float) -> None:
        """Note the sleep and move on."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        """As :meth:`sleep`, and let other tasks run."""
        self.sleep(seconds)
        await asyncio.sleep(0)


@contextmanager
def no_backoff(*, max_attempts: int | None = None) -> Iterator[None]:
    """Make every retry of the current runtime wait 0 seconds inside the block.

    Predicates, stops, budgets and the number of tries stay as they are, so the code
    under test takes the paths it takes in production, only faster.

    Args:
        max_attempts: Cap on the tries of every policy; 1 switches retries off.

    Example:
        >>> from shared.resilience import retry
        >>> @retry(max_attempts=3, delay=60.0)
        ... def fetch():
        ...     raise ConnectionError("reset")
        >>> with no_backoff():
        ...     fetch()
        Traceback (most recent call last):
            ...
        ConnectionError: reset
    """
    if max_attempts is not None:
        whole("max_attempts", max_attempts)
    switch = current().get(Switch, lambda _: Switch())
    before = switch.waits, switch.max_attempts
    switch.waits, switch.max_attempts = False, max_attempts
    try:
        yield
    finally:
        switch.waits, switch.max_attempts = before


class FlakyDependency:
    """Plays a script: a stand-in for the thing a guarded call reaches.

    Call it, or await :meth:`acall`; each call takes the next step, and the last step
    repeats for ever. Arguments are kept in :attr:`calls`. Thread-safe.

    Steps, in a list or in one string separated by commas:

    - ``"ok"`` answers ``"ok"``;
    - a status such as ``"503"`` raises the error of our tree for it (below 400 it answers);
    - ``"timeout"`` raises :class:`~shared.errors.DeadlineExceededError`;
    - ``"refused"`` raises ``ConnectionRefusedError``, ``"reset"`` ``ConnectionResetError``;
    - ``"hang"`` waits for :meth:`release` (asynchronous calls until they are cancelled);
    - an exception is raised, any other object is the answer.

    Args:
        script: The steps.

    Raises:
        InvalidArgumentError: The script is empty, or a word is unknown.

    Example:
        >>> payments = FlakyDependency("ok, 503, timeout, ok")
        >>> def outcome():
        ...     try:
        ...         return payments("charge", amount=5)
        ...     except Exception as error:
        ...         return type(error).__name__
        >>> [outcome() for _ in range(4)]
        ['ok', 'ServiceUnavailableError', 'DeadlineExceededError', 'ok']
        >>> payments.calls[0]
        (('charge',), {'amount': 5})
    """

    def __init__(self, script: str | list[Any]) -> None:
        words = script.split(",") if isinstance(script, str) else script
        self._steps = [_step(word) for word in words]
        if not self._steps:
            msg = "an empty script answers nothing: give at least one step, such as 'ok'"
            raise InvalidArgumentError(msg)
        self._lock = threading.Lock()
        self._released = threading.Event()
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def _next(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._lock:
            step = self._steps[min(len(self.calls), len(self._steps) - 1)]
            self.calls.append((args, kwargs))
            return step

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take the next step; ``"hang"`` blocks the thread until :meth:`release`."""
        step = self._next(args, kwargs)
        if step is _HANG:
            self._released.wait()
            return "ok"
        return _play(step)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        """Take the next step; ``"hang"`` waits until it is cancelled."""
        step = self._next(args, kwargs)
        if step is _HANG:
            await asyncio.Event().wait()
        return _play(step)

    def release(self) -> None:
        """Let go of the threads that hang."""
        self._released.set()


_HANG: Final = object()


class _Raise:
    """A step that raises a fresh error each time: a shared one would collect tracebacks."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Exception]) -> None:
        self.make = make


_WORDS: Final[dict[str, Any]] = {
    "ok": "ok",
    "hang": _HANG,
    "timeout": _Raise(lambda: DeadlineExceededError("the dependency did not answer in time")),
    "refused": _Raise(lambda: ConnectionRefusedError("connection refused")),
    "reset": _Raise(lambda: ConnectionResetError("connection reset by peer")),
}


def _step(word: Any) -> Any:
    if not isinstance(word, str):
        return word
    word = word.strip()
    if word.isascii() and word.isdigit() and 100 <= int(word) <= 599:
        status = int(word)
        return status if status < 400 else _Raise(lambda: error_for_status(status))
    if word not in _WORDS:
        msg = f"unknown step {word!r} (known: {', '.join(_WORDS)}, a status such as 503, or an object)"
        raise InvalidArgumentError(msg)
    return _WORDS[word]


def _play(step: Any) -> Any:
    if isinstance(step, _Raise):
        raise step.make()
    if isinstance(step, BaseException):
        raise step
    return step
