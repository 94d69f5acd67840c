"""Takes the steps of rollouts, and takes them back when a guardrail breaks."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.errors import ConflictError, InvalidArgumentError, SharedError
from shared.feature_flags._fork_gate import ForkGate
from shared.feature_flags._guardrail import GuardrailVerdict, judge_guardrails
from shared.feature_flags._model import Flag, FlagDocument
from shared.feature_flags._outcomes import MetricSource, VariantSample
from shared.feature_flags._plan import Ramp, RampState, decide_rollout
from shared.feature_flags._store import FlagChanges, FlagStore
from shared.feature_flags._store_layered import LayeredFlagStore
from shared.monitoring import LeaseLeaderLock
from shared.runtime import Events, after_fork_in_child, current

if TYPE_CHECKING:
    from shared.cache import Lock

__all__ = ["RolloutController", "RolloutDecided"]

_log: Final = logging.getLogger("shared.feature_flags")
_PATIENCE: Final = 30.0
GUARDRAIL: Final = "system:guardrail"
SCHEDULE: Final = "system:rollout"


@dataclass(frozen=True, slots=True)
class RolloutDecided:
    """A controller took a step of a rollout, or took it back.

    Attributes:
        key: Of the flag.
        percent: In force from now on.
        status: Of the rollout: ``running``, ``baking``, ``paused``, ``rolled_back`` or ``done``.
        reason: Why.
        revision: Of the store.

    Example:
        >>> RolloutDecided("dynamic_pricing", 0.0, "rolled_back", "too many errors", 7).status
        'rolled_back'
    """

    key: str
    percent: float
    status: str
    reason: str
    revision: int


@dataclass(slots=True)
class _Window:
    """What became of the units of a flag since its last step, as far as this controller saw."""

    begun: tuple[int, float]
    last: dict[str, VariantSample] = field(default_factory=dict)
    total: dict[str, VariantSample] = field(default_factory=dict)

    def take(self, variant: str, found: VariantSample) -> VariantSample:
        """Add what is new to what there was; the first look is where counting begins."""
        before = self.last.get(variant, found)
        self.last[variant] = found
        self.total[variant] = self.total.get(variant, VariantSample()).plus(found.since(before))
        return self.total[variant]


class RolloutController:
    """Drives every rollout plan of a store. One of all processes does; the others stand by.

    Every decision is one revision: of ``system:rollout`` for a step, of
    ``system:guardrail`` when a guardrail broke. Steps keep the salt: nobody is drawn
    again, and a unit that got the flag keeps it while the percentage grows. A controller
    that dies stops progress and nothing else; the next one begins to count anew, and takes
    no step before it has its samples.

    Args:
        store: Whose flags.
        source: What guardrails read; without, plans with guardrails stand still.
        lock: Makes one process lead, such as
            ``Lock("flags:rollout", store=lock_store(url))``; none where there is one process.
        every: Seconds between two looks of :meth:`start`, a tenth more or less.
        now: Seconds since 1970; the store's time when None, so that clocks of machines that
            differ do not matter.
        events: Who hears :class:`RolloutDecided`; those of the current runtime when None.

    Raises:
        InvalidArgumentError: *every* is not above 0.

    Example:
        >>> from shared.feature_flags import Flag, FlagAdmin, MemoryFlagStore, RolloutPlan, RolloutStep
        >>> time = [1000.0]
        >>> store = MemoryFlagStore(clock=lambda: time[0])
        >>> admin = FlagAdmin(store, declared=[Flag("dynamic_pricing")])
        >>> plan = RolloutPlan([RolloutStep(25), RolloutStep(100, after=3600)])
        >>> _ = admin.ramp("dynamic_pricing", plan, actor="ada")
        >>> controller = RolloutController(store)
        >>> [decided.percent for decided in controller.tick()]
        [25.0]
        >>> time[0] += 3600
        >>> [(decided.percent, decided.status) for decided in controller.tick()]
        [(100.0, 'done')]
        >>> controller.close()
    """

    def __init__(
        self,
        store: FlagStore,
        source: MetricSource | None = None,
        *,
        lock: "Lock | None" = None,
        every: float = 10.0,
        now: Callable[[], float] | None = None,
        events: Events | None = None,
    ) -> None:
        if not 0 < every <= 86_400:
            msg = f"every is seconds above 0, got {every!r}"
            raise InvalidArgumentError(msg)
        self._store = store.writable if isinstance(store, LayeredFlagStore) else store
        self._source = source
        self._leader: LeaseLeaderLock | None = None if lock is None else LeaseLeaderLock(lock)
        self._every = every
        self._now = now if now is not None else self._store.now
        self._events = events
        self._windows: dict[str, _Window] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._gate = ForkGate()
        after_fork_in_child(self)

    # -- one look --------------------------------------------------------------------------

    def tick(self) -> list[RolloutDecided]:
        """Look at every rollout once and do what is due; return what was decided.

        Does nothing while another process leads. A store or source that does not answer
        stops nothing else; what could not be done is done by the next look.

        Raises:
            SharedError: The store did not answer.
        """
        if self._leader is not None and not self._leader.acquire():
            self._windows.clear()
            return []
        with self._gate:
            document = self._store.load()
        active = [key for key, flag in document.flags.items() if flag.ramp and flag.ramp.state.is_active]
        self._windows = {key: window for key, window in self._windows.items() if key in active}
        decided = [self._decide(key) for key in active]
        return [each for each in decided if each is not None]

    def _decide(self, key: str) -> RolloutDecided | None:
        with self._gate:
            document = self._store.load()
        flag = document.flags.get(key)
        if flag is None or flag.ramp is None or not flag.ramp.state.is_active or not flag.enabled:
            return None
        if flag.rollout != flag.ramp.state.percent:
            return self._write(document, flag, _by_hand(flag, flag.ramp, self._now()), broke=False)
        verdict = self._verdict(flag, flag.ramp)
        if verdict is None:
            return None
        plan, state = flag.ramp.plan, flag.ramp.state
        after = decide_rollout(plan, state, self._now(), breach=verdict.breach, has_data=verdict.has_data)
        if after is state:
            return None
        return self._write(document, flag, after, broke=verdict.breach is not None)

    def _verdict(self, flag: Flag, ramp: Ramp) -> GuardrailVerdict | None:
        """Return what the guardrails say, None when they cannot be asked."""
        plan, state = ramp.plan, ramp.state
        if not plan.guardrails or state.step < 0:
            return GuardrailVerdict()
        if self._source is None:
            return None
        window = self._windows.get(flag.key)
        if window is None or window.begun != (state.step, state.since):
            window = self._windows[flag.key] = _Window((state.step, state.since))
        limits = tuple(rail.slower_than for rail in plan.guardrails if rail.slower_than is not None)
        try:
            on, off = (
                window.take(variant, self._source.read(flag.key, variant, slower_than=limits))
                for variant in ("on", flag.default_variant)
            )
        except Exception as exc:  # noqa: BLE001 - a source is a stranger's code
            _log.warning("the guardrails of flag %r cannot be read: %s", flag.key, type(exc).__name__)
            return None
        return judge_guardrails(plan.guardrails, on, off, percent=state.percent)

    def _write(
        self, document: FlagDocument, flag: Flag, after: RampState, *, broke: bool
    ) -> RolloutDecided | None:
        ramp = Ramp(plan=flag.ramp.plan, state=after) if flag.ramp is not None else None
        changes = FlagChanges({flag.key: flag.evolve(rollout=after.percent, ramp=ramp)})
        actor = GUARDRAIL if broke else SCHEDULE
        try:
            with self._gate:
                revision = self._store.apply(
                    changes, expected=document.revision, actor=actor, reason=after.reason
                )
        except ConflictError:  # somebody else wrote: looked at anew the next time
            return None
        self._windows.pop(flag.key, None)
        decided = RolloutDecided(flag.key, after.percent, after.status, after.reason, revision)
        level = logging.WARNING if broke else logging.INFO
        _log.log(level, "rollout of flag %r: %g %%, %s", flag.key, after.percent, after.reason)
        (self._events if self._events is not None else current().events).emit(decided)
        return decided

    # -- by itself -------------------------------------------------------------------------

    def start(self) -> None:
        """Look every so often, on a daemon thread, until :meth:`close`. Twice is once."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="flags-rollout", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread and let another process lead. Safe to call twice."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)
        if self._leader is not None:
            self._leader.close()

    def after_fork(self) -> None:
        """Leave the rollouts to the parent; called in a forked child."""
        self._stop = threading.Event()
        self._thread = None
        self._windows = {}

    def _run(self) -> None:
        stop = self._stop
        while not stop.is_set():
            try:
                self.tick()
            except SharedError as exc:
                _log.warning("rollouts stand still: %s", exc)
            except Exception:  # noqa: BLE001 - the next look may go well
                _log.exception("rollouts stand still")
            stop.wait(self._every * random.uniform(0.9, 1.1))  # noqa: S311  # nosec B311 - not for security


def _by_hand(flag: Flag, ramp: Ramp, now: float) -> RampState:
    """Return the state after somebody set another percentage: theirs stands, and steps wait."""
    percent = flag.rollout or 0.0
    reason = f"set to {percent:g} % by hand"
    return ramp.state.moved(status="paused", percent=percent, since=now, reason=reason)
