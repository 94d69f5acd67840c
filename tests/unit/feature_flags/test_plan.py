"""What comes next in a rollout: a pure function of the plan, the clock and the last decision."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FlagDocumentError
from shared.feature_flags import Flag, Guardrail, Ramp, RampState, RolloutPlan, RolloutStep, decide_rollout

STEPS = [RolloutStep(25), RolloutStep(50, after=60), RolloutStep(100, after=60)]


def run(plan, state, *moments, **options):
    for now in moments:
        state = decide_rollout(plan, state, now, **options)
    return state


def test_the_first_step_comes_at_once():
    state = decide_rollout(RolloutPlan(STEPS), RampState(since=100.0), 100.0)

    assert (state.percent, state.step, state.status, state.since) == (25.0, 0, "running", 100.0)


def test_a_step_waits_for_its_time():
    plan = RolloutPlan(STEPS)
    state = run(plan, RampState(since=0.0), 0.0)

    assert decide_rollout(plan, state, 59.9) is state
    assert decide_rollout(plan, state, 60.0).percent == 50.0


def test_a_step_waits_for_its_moment():
    at = datetime(2026, 12, 1, tzinfo=UTC)
    plan = RolloutPlan([RolloutStep(100, at=at)])
    state = RampState(since=0.0)

    assert decide_rollout(plan, state, at.timestamp() - 1) is state
    assert decide_rollout(plan, state, at.timestamp()).percent == 100.0


def test_whoever_was_away_takes_one_step_at_a_time():
    plan = RolloutPlan(STEPS)
    state = run(plan, RampState(since=0.0), 0.0)

    assert decide_rollout(plan, state, 1e9).percent == 50.0


def test_the_last_step_ends_the_rollout():
    state = run(RolloutPlan(STEPS), RampState(since=0.0), 0.0, 60.0, 120.0)

    assert (state.percent, state.status) == (100.0, "done")


def test_after_the_last_step_the_guardrails_are_watched_for_a_while():
    plan = RolloutPlan(STEPS, bake=30.0)
    state = run(plan, RampState(since=0.0), 0.0, 60.0, 120.0)

    assert state.status == "baking"
    assert decide_rollout(plan, state, 149.0) is state
    assert decide_rollout(plan, state, 130.0, breach="bad").status == "rolled_back"
    assert decide_rollout(plan, state, 150.0).status == "done"


def test_a_breach_rolls_back_to_where_it_began():
    plan = RolloutPlan([RolloutStep(25), RolloutStep(50)])
    state = run(plan, RampState(percent=10.0, base=10.0), 0.0)

    after = decide_rollout(plan, state, 5.0, breach="too many errors")

    assert (after.percent, after.status, after.reason) == (10.0, "rolled_back", "too many errors")


def test_a_breach_pauses_where_the_plan_says_so():
    plan = RolloutPlan(STEPS, on_breach="pause", cooldown=20.0)
    state = run(plan, RampState(), 0.0)

    after = decide_rollout(plan, state, 5.0, breach="too many errors")

    assert (after.percent, after.status, after.not_before) == (25.0, "paused", 25.0)


@pytest.mark.parametrize("status", ["paused", "rolled_back", "done"])
def test_what_stands_stays(status):
    state = RampState(status=status, percent=25.0, step=0)

    assert decide_rollout(RolloutPlan(STEPS), state, 1e9, breach="bad") is state


def test_without_samples_a_step_waits():
    plan = RolloutPlan(STEPS, [Guardrail("error_rate")])
    state = run(plan, RampState(), 0.0)

    assert decide_rollout(plan, state, 60.0, has_data=False) is state
    assert decide_rollout(plan, state, 60.0, has_data=True).percent == 50.0


def test_the_first_step_needs_no_samples():
    plan = RolloutPlan(STEPS, [Guardrail("error_rate")])

    assert decide_rollout(plan, RampState(), 0.0, has_data=False).percent == 25.0


def test_a_plan_may_go_on_without_samples():
    plan = RolloutPlan(STEPS, [Guardrail("error_rate")], without_data="proceed")
    state = run(plan, RampState(), 0.0)

    assert decide_rollout(plan, state, 60.0, has_data=False).percent == 50.0


def test_a_cooldown_comes_after_every_step():
    plan = RolloutPlan([RolloutStep(25), RolloutStep(100)], cooldown=30.0)
    state = run(plan, RampState(), 0.0)

    assert decide_rollout(plan, state, 29.0) is state
    assert decide_rollout(plan, state, 30.0).percent == 100.0


def test_a_clock_that_goes_back_takes_no_step():
    plan = RolloutPlan(STEPS)
    state = run(plan, RampState(since=1000.0), 1000.0)

    assert decide_rollout(plan, state, 0.0) is state


@given(
    st.lists(st.integers(1, 100), min_size=1, max_size=8, unique=True).map(sorted),
    st.lists(st.tuples(st.floats(0, 500), st.booleans()), max_size=40),
)
def test_the_percentage_only_grows_until_something_breaks(percents, looks):
    plan = RolloutPlan([RolloutStep(percent, after=10.0) for percent in percents], [Guardrail("error_rate")])
    state, now = RampState(), 0.0
    for pause, has_data in looks:
        now += pause
        after = decide_rollout(plan, state, now, has_data=has_data)
        assert after.percent >= state.percent
        assert after.step - state.step in (0, 1)
        state = after

    assert decide_rollout(plan, state, now, breach="bad").percent in (0.0, state.percent)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"steps": []}, id="no-step"),
        pytest.param({"steps": [{"percent": 50}, {"percent": 50}]}, id="no-growth"),
        pytest.param({"steps": [{"percent": 101}]}, id="too-much"),
        pytest.param({"steps": [{"percent": 1, "at": "2026-12-01T00:00:00"}]}, id="no-zone"),
        pytest.param({"steps": [{"percent": 1, "after": -1}]}, id="back-in-time"),
        pytest.param({"steps": [{"percent": 1}], "on_breach": "shrug"}, id="unknown-answer"),
        pytest.param({"steps": [{"percent": 1}], "guardrails": [{"metric": "latency"}]}, id="no-limit"),
        pytest.param(
            {"steps": [{"percent": 1}], "guardrails": [{"metric": "error_rate", "slower_than": 1}]},
            id="limit",
        ),
        pytest.param({"steps": [{"percent": 1}], "typo": 1}, id="typo"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(FlagDocumentError):
        RolloutPlan.from_dict(wrong)


def test_a_plan_under_way_travels_with_its_flag():
    plan = RolloutPlan(STEPS, [Guardrail("latency", slower_than=0.5)], cooldown=5.0)
    flag = Flag("f", rollout=25, ramp=Ramp(plan=plan, state=RampState(step=0, percent=25.0)))

    assert Flag.from_dict(flag.to_dict()) == flag
