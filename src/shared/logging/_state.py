"""Which pipeline a line takes, and which levels are worth the call.

One pipeline belongs to one :class:`~shared.runtime.Runtime`. While only one is
configured, every line takes it, without a look at the runtime.
"""

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.logging._levels import LevelMap
from shared.logging._sinks import Sink
from shared.runtime import Runtime, after_fork_in_child, current

__all__ = ["STATE", "Capture", "RuntimeSlot", "State", "Target", "Way"]


class Way(Protocol):
    """What everybody may ask of a pipeline."""

    sink: Sink
    levels: LevelMap
    server_access: bool

    def log(self, name: str | None, level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
        """Write one line."""

    def writer(self, name: str | None) -> Callable[[str, int, Any, dict[str, Any]], None]:
        """Return the function that writes the lines of the logger *name*."""

    def forget_writers(self) -> None:
        """Make writers anew."""

    def threshold_for(self, name: str | None) -> int:
        """Return the lowest level worth a call."""

    def mask_argument(self, value: Any) -> Any:
        """Return *value* without its secrets."""

    def stats(self) -> dict[str, Any]:
        """Return the counters."""


class Target:
    """What a structlog logger wraps here: a name, the lowest level worth a call, the way out.

    Attributes:
        name: Of the logger.
        threshold: Lines below it are not even begun.
        write: Takes level, its number, event and fields; set anew by every change
            of configuration, so that a line need not ask what is in force.
    """

    __slots__ = ("__weakref__", "name", "threshold", "write")

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.threshold = 0
        self.write: Callable[[str, int, Any, dict[str, Any]], None] = self.route

    def route(self, level: str, number: int, event: Any, fields: dict[str, Any]) -> None:
        """Write a line where there is more than one place it could go, or none yet."""
        pipeline = STATE.find()
        if not STATE.wants(pipeline, self.name, number):
            return
        if STATE.detour is not None:
            STATE.detour(self, level, event, fields)
        else:
            pipeline.log(self.name, level, number, event, fields)

    def msg(self, message: Any = None, **fields: Any) -> None:
        """Write *message* as it comes out of a foreign chain of processors."""
        self.route("info", 20, message, fields)

    log = debug = info = warn = warning = error = err = critical = fatal = exception = failure = msg

    def __reduce__(self) -> tuple[Any, ...]:
        return _target, (self.name,)


def _target(name: str | None) -> Target:
    return STATE.target(name)


class RuntimeSlot:
    """The pipelines configured for one runtime; the last is in force.

    They outlive the closing of the runtime, which happens before the last lines of
    a service and server are written, and end with their handles, or with a runtime
    that is dropped.
    """

    def __init__(self) -> None:
        self.stack: list[Way] = []
        self._closers: dict[Way, Callable[[], None]] = {}

    def add(self, pipeline: Way, closer: Callable[[], None]) -> None:
        """Put *pipeline* in force; *closer* ends it."""
        self.stack.append(pipeline)
        self._closers[pipeline] = closer

    def drop(self, pipeline: Way) -> bool:
        """Take *pipeline* out; tell whether it was there."""
        if self._closers.pop(pipeline, None) is None:
            return False
        self.stack.remove(pipeline)
        return True

    def close(self) -> None:
        """End what is still open, last first."""
        for closer in list(self._closers.values())[::-1]:
            closer()


@dataclass(slots=True)
class Capture:
    """Where lines go while ``capture_logs()`` is active."""

    level: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)


class State:
    """The book-keeping of the process: it owns no sink and writes nothing."""

    def __init__(self) -> None:
        self.only: Way | None = None
        self.slots: list[RuntimeSlot] = []
        self.capture: Capture | None = None
        # How lines are written while a test helper has changed structlog's chain.
        self.detour: Callable[[Target, str, Any, dict[str, Any]], None] | None = None
        self.make_fallback: Callable[[], Way]  # set when the room is imported
        self._fallback: Way | None = None
        self._by_runtime: weakref.WeakKeyDictionary[Runtime, RuntimeSlot] = weakref.WeakKeyDictionary()
        self._targets: weakref.WeakValueDictionary[str | None, Target] = weakref.WeakValueDictionary()
        self._lock = threading.RLock()
        after_fork_in_child(self)

    # -- pipelines --------------------------------------------------------------------

    def find(self) -> Way:
        """Return the pipeline of the line being written."""
        only = self.only
        return only if only is not None else self._resolve()

    def _resolve(self) -> Way:
        slots = self.slots
        if not slots:
            return self._unconfigured()
        slot = self._by_runtime.get(current())
        if slot is not None and slot.stack:
            return slot.stack[-1]
        return slots[0].stack[-1]

    def _unconfigured(self) -> Way:
        with self._lock:
            if self._fallback is None:
                self._fallback = self.make_fallback()
                self.refresh()
            return self._fallback

    def slot_of(self, runtime: Runtime) -> RuntimeSlot:
        """Return the slot of *runtime*; it is closed when the runtime is dropped."""
        with self._lock:
            slot = self._by_runtime.get(runtime)
            if slot is None:
                slot = self._by_runtime[runtime] = RuntimeSlot()
                weakref.finalize(runtime, slot.close).atexit = False
            return slot

    def push(self, slot: RuntimeSlot, pipeline: Way, closer: Callable[[], None]) -> None:
        """Put *pipeline* in force for the runtime of *slot*."""
        with self._lock:
            slot.add(pipeline, closer)
            if slot not in self.slots:
                self.slots = [*self.slots, slot]
            self.refresh()

    def remove(self, slot: RuntimeSlot, pipeline: Way) -> bool:
        """Take *pipeline* out; tell whether it was there."""
        with self._lock:
            if not slot.drop(pipeline):
                return False
            if not slot.stack:
                self.slots = [other for other in self.slots if other is not slot]
            self.refresh()
            return True

    def live(self) -> list[Way]:
        """Return the pipelines in force, that configured first in front."""
        return [slot.stack[-1] for slot in self.slots if slot.stack]

    def refresh(self) -> None:
        """Follow a change of pipelines, levels or capture."""
        with self._lock:
            live = self.live()
            if live:
                self._fallback = None
            elif self._fallback is not None:
                live = [self._fallback]
            self.only = live[0] if len(live) == 1 else None
            for pipeline in live:
                pipeline.forget_writers()
            for target in list(self._targets.values()):
                self._aim(target)

    def _aim(self, target: Target) -> None:
        """Set what *target* needs per line."""
        target.threshold = self._threshold(target.name)
        target.write = (
            target.route if self.only is None or self.detour is not None else self.only.writer(target.name)
        )

    # -- levels ------------------------------------------------------------------------

    def target(self, name: str | None) -> Target:
        """Return the one target of *name*."""
        with self._lock:
            target = self._targets.get(name)
            if target is None:
                target = self._targets[name] = Target(name)
                self._aim(target)
            return target

    def _threshold(self, name: str | None) -> int:
        """Return the lowest level that any pipeline wants of *name*; 0 until one is known."""
        live = self.live() or ([self._fallback] if self._fallback else [])
        wanted = min((pipeline.threshold_for(name) for pipeline in live), default=0)
        if self.capture is not None and self.capture.level is not None:
            return min(wanted, self.capture.level)
        return wanted

    def wants(self, pipeline: Way, name: str | None, number: int) -> bool:
        """Tell whether *pipeline* itself wants the line, when another may have lowered the bar."""
        if self.capture is not None and self.capture.level is not None:
            return number >= self.capture.level
        return number >= pipeline.threshold_for(name)

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self._lock = threading.RLock()


STATE = State()
