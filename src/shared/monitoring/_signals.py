"""Turn SIGTERM into a drain, in front of whatever the server does with it."""

import _thread
import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from shared.errors import InvalidArgumentError
from shared.monitoring._lifecycle import Lifecycle

_Handler = Callable[[int, FrameType | None], Any]
_EXIT_BASE: Final = 128  # a shell reports death by signal n as 128 + n


class DrainOnSignal:
    """Drain first, then let the server's own handler have the signal.

    On the first SIGTERM the readiness probe refuses at once. The handler that was
    there before (uvicorn's, gunicorn's, one registered on the event loop) gets the
    signal ``lifecycle.drain_delay`` seconds later, so that the server goes on
    accepting while load balancers look away. A second SIGTERM is handed on at
    once. Where nobody handled the signal, work in flight is waited for, the flush
    callbacks run, and the main thread ends by ``SystemExit(143)``.

    A process that still lives at the drain's deadline is flushed and dies of the
    signal: a connection that never ends must not make it wait for SIGKILL.

    Args:
        lifecycle: What is drained.
        signals: Signals that mean "please stop".

    Servers set their handlers after the application was imported and before its
    start-up, so call :meth:`install` at start-up (the lifespan, or gunicorn's
    ``post_worker_init``); a handler of a server that comes later replaces this one.

    Example:
        >>> chain = DrainOnSignal(Lifecycle(drain_delay=0))
        >>> chain.install()
        True
        >>> chain.uninstall()
    """

    def __init__(self, lifecycle: Lifecycle, *, signals: tuple[int, ...] = (signal.SIGTERM,)) -> None:
        if not signals:
            msg = "signals is empty: name at least one, such as signal.SIGTERM"
            raise InvalidArgumentError(msg)
        self._lifecycle = lifecycle
        self._signals = signals
        self._previous: dict[int, Any] = {}
        self._on_loop: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Handle]] = {}
        self._pid = 0
        self._forwarding = False
        self._must_die = False
        self._taken: set[int] = set()

    # -- in and out --------------------------------------------------------------

    def install(self) -> bool:
        """Take the signals over; return whether that was possible.

        Only the main thread of a process may; from any other this returns False
        and changes nothing. Installing twice does nothing, installing again in a
        forked child or after a server put its own handler in front does.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        if self._pid != os.getpid():
            self._previous, self._on_loop = {}, {}
            self._pid = os.getpid()
        self._taken = {signum for signum in self._signals if self._take(signum)}
        return len(self._taken) == len(set(self._signals))

    def _take(self, signum: int) -> bool:
        loop, handle = _loop_handler(signum)
        if loop is not None and handle is not None:
            if getattr(handle, "_callback", None) != self._on_loop_signal:
                self._on_loop[signum] = (loop, handle)
                loop.add_signal_handler(signum, self._on_loop_signal, signum)
            return True
        present = signal.getsignal(signum)
        if present is None:  # set by C code, which cannot be chained
            return False
        if present != self._on_signal:
            self._previous[signum] = present
            signal.signal(signum, self._on_signal)
            # signal.signal() makes system calls restartable no more; servers rely on it.
            signal.siginterrupt(signum, False)
        return True

    def uninstall(self) -> None:
        """Put back what was there, where this object is still the handler."""
        self._taken = set()
        if threading.current_thread() is not threading.main_thread() or self._pid != os.getpid():
            return
        for signum, (loop, handle) in self._on_loop.items():
            if (
                not loop.is_closed()
                and getattr(_loop_handler(signum)[1], "_callback", None) == self._on_loop_signal
            ):
                loop.add_signal_handler(signum, handle._callback, *handle._args)  # type: ignore[attr-defined]  # noqa: SLF001
        for signum, previous in self._previous.items():
            if signal.getsignal(signum) == self._on_signal:
                signal.signal(signum, previous)
        self._previous, self._on_loop = {}, {}

    # -- the signal --------------------------------------------------------------

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        # Runs between any two bytecodes of the main thread: no lock may be taken
        # here, which rules out logging, listeners and even threading.Thread.
        if self._must_die:
            _die(signum)
        elif self._lifecycle.flag_drain(_name(signum)):
            self._start(signum)
        else:
            self._forward(signum, frame)

    def _on_loop_signal(self, signum: int) -> None:
        if self._must_die:
            _die(signum)
        elif self._lifecycle.flag_drain(_name(signum)):
            self._start(signum)
        else:
            self._forward_on_loop(signum)

    def _start(self, signum: int) -> None:
        _thread.start_new_thread(self._drain, (signum,))

    def _forward(self, signum: int, frame: FrameType | None) -> None:
        previous = self._previous.get(signum, signal.SIG_DFL)
        if callable(previous):
            previous(signum, frame)
        elif previous == signal.SIG_DFL:
            raise SystemExit(_EXIT_BASE + signum)

    def _forward_on_loop(self, signum: int) -> None:
        loop, handle = self._on_loop[signum]
        loop.call_soon(handle._callback, *handle._args)  # type: ignore[attr-defined]  # noqa: SLF001

    # -- the drain, in a thread of its own -------------------------------------------

    def _drain(self, signum: int) -> None:
        lifecycle = self._lifecycle
        lifecycle.begin_drain(_name(signum))  # tells the listeners; the flag is set
        time.sleep(lifecycle.drain_delay)
        if self._nobody_handles(signum):
            lifecycle.finish()
        # Sent again, so that the old handler runs in the main thread as it expects.
        self._send(signum)
        left = lifecycle.drain_left()
        time.sleep(left)
        lifecycle.finish()
        self._must_die = True
        self._send(signum)

    def _send(self, signum: int) -> None:
        """Signal the process, unless this chain has been taken out: then nobody awaits it."""
        if signum in self._taken:
            os.kill(os.getpid(), signum)

    def _nobody_handles(self, signum: int) -> bool:
        return signum not in self._on_loop and self._previous.get(signum) == signal.SIG_DFL


def _name(signum: int) -> str:
    return signal.Signals(signum).name


def _die(signum: int) -> None:
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def _loop_handler(signum: int) -> tuple[asyncio.AbstractEventLoop | None, asyncio.Handle | None]:
    """Return the running loop and its own handler of *signum*, where it has one.

    asyncio offers no question for this; the attribute has been there since 3.4.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None, None
    handlers = getattr(loop, "_signal_handlers", None) or {}
    return loop, handlers.get(signum)
