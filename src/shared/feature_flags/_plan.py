"""A rollout in steps, as data, and the pure function that says what comes next."""

import datetime as dt
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, model_validator

from shared.feature_flags._part import FlagPart, own_init

__all__ = ["Guardrail", "Ramp", "RampState", "RolloutPlan", "RolloutStep", "decide_rollout"]

_Percent = Annotated[float, Field(ge=0, le=100)]
_Seconds = Annotated[float, Field(ge=0, le=10**9)]
_Share = Annotated[float, Field(ge=0, le=1)]
Status = Literal["running", "baking", "paused", "rolled_back", "done"]
ACTIVE: Final = ("running", "baking")


class RolloutStep(FlagPart):
    """One step of a plan: so many percent, not before a moment, or so long after the step before.

    Attributes:
        percent: Of the units, 0 to 100.
        at: Not before this moment, with a time zone.
        after: Not before so many seconds since the step before; since the start, for the first.

    Example:
        >>> RolloutStep(25, after=3600).to_dict()
        {'percent': 25.0, 'after': 3600.0}
    """

    percent: _Percent
    at: AwareDatetime | None = None
    after: _Seconds | None = None

    @own_init
    def __init__(
        self, percent: float, *, at: dt.datetime | str | None = None, after: float | None = None
    ) -> None:
        given = {"percent": percent, "at": at, "after": after}
        self._build({name: item for name, item in given.items() if item is not None}, "rollout step")


class Guardrail(FlagPart):
    """What must not get worse, and by how much it may before the plan stops.

    A one-sided sequential test looks whether the units with the flag on do worse than those
    with it off by more than *margin*: it may be asked as often as one likes, and raises a
    false alarm in a step with probability *alpha* at most.

    Attributes:
        metric: ``error_rate``, or ``latency``: the share that took longer than *slower_than*.
        margin: By how much the share may be higher than without the flag, 0 to 1.
        limit: How high the share may be at all, whatever it is without the flag; none by default.
        slower_than: Seconds; for ``latency`` only.
        min_samples: Outcomes of each side before anything is said, and before the next step.
        alpha: Probability of a false alarm, above 0 and below 0.5.

    Example:
        >>> Guardrail("latency", slower_than=0.5, margin=0.05).min_samples
        100
    """

    metric: Literal["error_rate", "latency"]
    margin: _Share = 0.01
    limit: _Share | None = None
    slower_than: Annotated[float, Field(gt=0, le=86_400)] | None = None
    min_samples: Annotated[int, Field(ge=1, le=10**9)] = 100
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01

    @own_init
    def __init__(
        self,
        metric: str,
        *,
        margin: float = 0.01,
        limit: float | None = None,
        slower_than: float | None = None,
        min_samples: int = 100,
        alpha: float = 0.01,
    ) -> None:
        given: dict[str, Any] = {"metric": metric, "margin": margin, "limit": limit}
        given |= {"slower_than": slower_than, "min_samples": min_samples, "alpha": alpha}
        self._build({name: item for name, item in given.items() if item is not None}, "guardrail")

    @model_validator(mode="after")
    def _check(self) -> "Guardrail":
        if (self.metric == "latency") != (self.slower_than is not None):
            msg = "slower_than belongs to latency, and latency needs it"
            raise ValueError(msg)
        return self


class RolloutPlan(FlagPart):
    """How a flag goes from few units to many.

    Attributes:
        steps: Each with a higher percentage than the one before.
        guardrails: What is watched from the first step to the end.
        on_breach: ``rollback`` to the percentage before the plan, or ``pause`` where it is.
        cooldown: Seconds without a step after each step, and without a resumption after a breach.
        bake: Seconds the guardrails are watched after the last step.
        without_data: Whether a step waits (``hold``) until every guardrail has its samples, or
            does not (``proceed``).

    Example:
        >>> plan = RolloutPlan([RolloutStep(25), RolloutStep(100, after=3600)], [Guardrail("error_rate")])
        >>> plan.on_breach, [step.percent for step in plan.steps]
        ('rollback', [25.0, 100.0])
    """

    steps: tuple[RolloutStep, ...] = Field(min_length=1, max_length=100)
    guardrails: tuple[Guardrail, ...] = Field(default=(), max_length=20)
    on_breach: Literal["pause", "rollback"] = "rollback"
    cooldown: _Seconds = 0.0
    bake: _Seconds = 0.0
    without_data: Literal["hold", "proceed"] = "hold"

    @own_init
    def __init__(
        self,
        steps: Any,
        guardrails: Any = (),
        *,
        on_breach: str = "rollback",
        cooldown: float = 0.0,
        bake: float = 0.0,
        without_data: str = "hold",
    ) -> None:
        given = {"steps": steps, "guardrails": guardrails, "on_breach": on_breach}
        given |= {"cooldown": cooldown, "bake": bake, "without_data": without_data}
        self._build(given, "rollout plan")

    @model_validator(mode="after")
    def _check(self) -> "RolloutPlan":
        percents = [step.percent for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(percents)):
            msg = "steps: each percentage must be higher than the one before"
            raise ValueError(msg)
        return self


class RampState(FlagPart):
    """How far a plan has come: the last decision.

    Attributes:
        status: ``running``, ``baking`` (after the last step), ``paused``, ``rolled_back`` or
            ``done``.
        step: Number of the step in force, from 0; -1 before the first.
        percent: In force.
        since: When that was decided, in seconds since 1970.
        base: Percentage before the plan: where a rollback goes.
        reason: Why it is so.
        not_before: No step and no resumption before, in seconds since 1970.

    Example:
        >>> RampState(since=0.0).status
        'running'
    """

    status: Status = "running"
    step: Annotated[int, Field(ge=-1)] = -1
    percent: _Percent = 0.0
    since: float = 0.0
    base: _Percent = 0.0
    reason: str = Field(default="", max_length=1000)
    not_before: float = 0.0

    @property
    def is_active(self) -> bool:
        """Whether it goes on by itself."""
        return self.status in ACTIVE

    def moved(self, **changes: Any) -> "RampState":
        """Return the state after a decision."""
        return self.model_copy(update=changes)


class Ramp(FlagPart):
    """A plan under way, as a flag carries it.

    Attributes:
        plan: The plan.
        state: How far it has come.

    Example:
        >>> Ramp(plan=RolloutPlan([RolloutStep(100)])).state.step
        -1
    """

    plan: RolloutPlan
    state: RampState = Field(default_factory=RampState)


def decide_rollout(
    plan: RolloutPlan, state: RampState, now: float, *, breach: str | None = None, has_data: bool = True
) -> RampState:
    """Return what is to be in force at *now*; *state* itself when nothing changes.

    Pure: it knows no clock, no store and no metrics. At most one step at a time, so that
    whoever was away for long does not jump to the end.

    Args:
        plan: The plan.
        state: The last decision.
        now: Seconds since 1970, by the store's clock.
        breach: What a guardrail found, None for nothing.
        has_data: Whether every guardrail has its samples since the last step.

    Example:
        >>> plan = RolloutPlan([RolloutStep(25), RolloutStep(100, after=60)])
        >>> first = decide_rollout(plan, RampState(), 1000.0)
        >>> first.percent, decide_rollout(plan, first, 1030.0) is first
        (25.0, True)
        >>> decide_rollout(plan, first, 1060.0).percent
        100.0
        >>> decide_rollout(plan, first, 1060.0, breach="too many errors").status
        'rolled_back'
    """
    if not state.is_active:
        return state
    if breach is not None and state.step >= 0:
        return _stopped(plan, state, now, breach)
    if state.status == "baking":
        if now >= state.since + plan.bake:
            return state.moved(status="done", reason="all steps taken", since=now)
        return state
    return _next_step(plan, state, now, has_data=has_data)


def _stopped(plan: RolloutPlan, state: RampState, now: float, breach: str) -> RampState:
    until = now + plan.cooldown
    if plan.on_breach == "pause":
        return state.moved(status="paused", since=now, reason=breach, not_before=until)
    return state.moved(status="rolled_back", percent=state.base, since=now, reason=breach, not_before=until)


def _next_step(plan: RolloutPlan, state: RampState, now: float, *, has_data: bool) -> RampState:
    number = state.step + 1
    step = plan.steps[number]
    if now < state.not_before or now < state.since + (step.after or 0.0):
        return state
    if step.at is not None and now < step.at.timestamp():
        return state
    # Before the first step nobody has the flag on, so there is nothing to wait for.
    if plan.guardrails and not has_data and plan.without_data == "hold" and state.step >= 0:
        return state
    is_last = number == len(plan.steps) - 1
    status = "done" if is_last and not plan.bake else "baking" if is_last else "running"
    return state.moved(
        status=status,
        step=number,
        percent=step.percent,
        since=now,
        reason=f"step {number + 1} of {len(plan.steps)}",
        not_before=now + plan.cooldown,
    )
