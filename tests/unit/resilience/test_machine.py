"""The state machine against a tiny reference model, and its laws."""

from collections import deque

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from shared.resilience import CLOSED, HALF_OPEN, OPEN, BreakerConfig, BreakerMode
from shared.resilience._machine import PASS, BreakerMachine


def machine_of(**options):
    return BreakerMachine(BreakerConfig(**options), rng=lambda: 0.5)


class Reference:
    """The rules written down as plainly as possible, slow and obvious."""

    def __init__(self, config):
        self.config = config
        self.state = "CLOSED"
        self.round = 0
        self.streak = 0
        self.until = 0.0
        self.history = deque(maxlen=config.window_calls)
        self.out = 0
        self.good = 0

    def acquire(self, now):
        if self.state == "OPEN" and now >= self.until:
            self._enter("HALF_OPEN")
        if self.state == "CLOSED":
            return self.round
        if self.state == "OPEN":
            return None
        if self.out < self.config.half_open_max_calls:
            self.out += 1
            return self.round
        return None

    def _enter(self, state):
        self.state = state
        self.round += 1
        self.streak = self.out = self.good = 0
        self.history.clear()

    def _open(self, now):
        self._enter("OPEN")
        self.until = now + self.config.recovery_timeout

    def tell(self, number, outcome, now):
        if number != self.round or self.state == "OPEN":
            return
        if self.state == "HALF_OPEN":
            self.out -= 1
            if outcome == "bad":
                self._open(now)
            elif outcome == "good":
                self.good += 1
                if self.good >= self.config.success_threshold:
                    self._enter("CLOSED")
            return
        if outcome == "neutral":
            return
        self.streak = self.streak + 1 if outcome == "bad" else 0
        self.history.append(outcome)
        rate = self.config.failure_rate
        bad = sum(o == "bad" for o in self.history)
        tripped = self.config.failure_threshold is not None and self.streak >= self.config.failure_threshold
        if outcome == "bad" and rate is not None and len(self.history) >= self.config.minimum_calls:
            tripped = tripped or bad / len(self.history) >= rate
        if tripped:
            self._open(now)


configs = st.builds(
    BreakerConfig,
    failure_threshold=st.integers(1, 4),
    recovery_timeout=st.floats(0, 20),
    success_threshold=st.integers(1, 3),
    half_open_max_calls=st.integers(1, 3),
    failure_rate=st.none() | st.floats(0.1, 1.0),
    window_calls=st.integers(3, 8),
    minimum_calls=st.integers(1, 3),
    half_open_timeout=st.none(),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "good", "bad", "neutral", "wait"]), st.integers(0, 5), st.floats(0, 15)
    ),
    max_size=120,
)


def tell(machine, token, outcome, now):
    if outcome == "good":
        machine.success(token, now)
    elif outcome == "bad":
        machine.failure(token, now)
    else:
        machine.neutral(token)


@settings(max_examples=300)
@given(configs, steps)
def test_the_machine_decides_as_the_reference_does(config, steps):
    machine, reference = BreakerMachine(config, rng=lambda: 0.5), Reference(config)
    held, now = [], 0.0

    for kind, pick, seconds in steps:
        if kind == "wait":
            now += seconds
        elif kind == "ask":
            token, number = machine.acquire(now)[0], reference.acquire(now)
            assert (token is None) == (number is None)
            if token is not None:
                held.append((token, number))
        elif held:
            token, number = held.pop(pick % len(held))
            tell(machine, token, kind, now)
            reference.tell(number, kind, now)
        assert machine.state == reference.state
        assert machine.generation == reference.round


class Permits(RuleBasedStateMachine):
    """However calls overlap, probes never exceed their permits and none is lost."""

    held = Bundle("held")

    def __init__(self):
        super().__init__()
        config = BreakerConfig(
            failure_threshold=2, recovery_timeout=5.0, half_open_max_calls=2, success_threshold=2
        )
        self.machine = BreakerMachine(config, rng=lambda: 0.5)
        self.now = 0.0
        self.out = {}

    @rule(target=held)
    def ask(self):
        token, _ = self.machine.acquire(self.now)
        if token is not None and token is self.machine.probes:
            self.out[id(token)] = self.out.get(id(token), 0) + 1
        return token

    @rule(token=consumes(held), outcome=st.sampled_from(["good", "bad", "neutral"]))
    def tell(self, token, outcome):
        if token is None:
            return
        before = (self.machine.generation, self.machine.window.totals(0.0), self.machine.probes)
        stale = token is not self.machine.window and token is not self.machine.probes
        if token is self.machine.probes:
            self.out[id(token)] -= 1
        tell(self.machine, token, outcome, self.now)
        if stale:
            assert before == (
                self.machine.generation,
                self.machine.window.totals(0.0),
                self.machine.probes,
            )

    @rule(seconds=st.floats(0, 8))
    def wait(self, seconds):
        self.now += seconds

    @rule(mode=st.sampled_from(list(BreakerMode)))
    @precondition(lambda self: self.now > 20)
    def force(self, mode):
        self.machine.force(mode, "by hand")
        self.machine.force(BreakerMode.AUTO, "reset")

    @invariant()
    def probes_are_the_permits_given(self):
        probes = self.machine.probes
        if probes is not None:
            assert 0 <= probes.in_flight <= 2
            assert probes.in_flight == self.out.get(id(probes), 0)
        assert (self.machine.state is HALF_OPEN) == (probes is not None)


TestPermits = Permits.TestCase
TestPermits.settings = settings(
    max_examples=60, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)


def opened(machine, now=0.0):
    """Open *machine* by failures."""
    while machine.state is CLOSED:
        machine.failure(machine.acquire(now)[0], now)
    return machine


def test_the_default_opens_after_five_failures_in_a_row():
    machine = machine_of()

    changes = [machine.failure(machine.window, 0.0) for _ in range(5)]

    assert changes == [None] * 4 + [(CLOSED, OPEN, "5 failures in a row", 1)]


def test_a_success_between_failures_starts_the_count_anew():
    machine = machine_of(failure_threshold=2)

    machine.failure(machine.window, 0.0)
    machine.success(machine.window, 0.0)
    machine.failure(machine.window, 0.0)

    assert machine.state is CLOSED


def test_one_failed_probe_reopens_at_once_and_drops_the_other_probes():
    machine = opened(machine_of(half_open_max_calls=3, success_threshold=3))
    first, second, third = (machine.acquire(30.0)[0] for _ in range(3))

    machine.success(first, 30.0)
    machine.failure(second, 30.0)
    machine.success(third, 30.0)

    assert machine.state is OPEN
    assert machine.open_until == 60.0


def test_a_late_success_of_the_closed_period_does_not_close_an_open_breaker():
    machine = machine_of(failure_threshold=1)
    old = machine.acquire(0.0)[0]
    opened(machine)

    machine.success(old, 1.0)

    assert machine.state is OPEN


def test_a_late_probe_does_not_close_a_breaker_that_another_probe_reopened():
    machine = opened(machine_of(half_open_max_calls=2))
    good, bad = machine.acquire(30.0)[0], machine.acquire(30.0)[0]
    machine.failure(bad, 31.0)

    assert machine.success(good, 32.0) is None
    assert machine.state is OPEN


def test_a_late_failure_of_an_earlier_closed_period_does_not_count_in_the_next():
    machine = machine_of(failure_threshold=2, recovery_timeout=0.0)
    late = machine.acquire(0.0)[0]
    opened(machine)
    machine.success(machine.acquire(1.0)[0], 1.0)
    machine.failure(machine.acquire(1.0)[0], 1.0)

    machine.failure(late, 1.0)

    assert machine.state is CLOSED


def test_totals_count_every_failure_opening_and_refusal():
    machine = opened(machine_of(failure_threshold=2))
    machine.acquire(1.0)
    machine.failure(machine.acquire(30.0)[0], 30.0)
    machine.acquire(31.0)

    assert (machine.failed, machine.opened, machine.rejected) == (3, 2, 2)


def test_n_successes_close():
    machine = opened(machine_of(success_threshold=3))

    for _ in range(3):
        assert machine.state in {OPEN, HALF_OPEN}
        machine.success(machine.acquire(30.0)[0], 30.0)

    assert machine.state is CLOSED


def test_a_neutral_probe_gives_its_permit_back_and_says_nothing():
    machine = opened(machine_of())
    token = machine.acquire(30.0)[0]
    assert machine.acquire(30.0)[0] is None

    machine.neutral(token)

    assert machine.state is HALF_OPEN
    assert machine.acquire(30.0)[0] is token


def test_a_permit_reported_twice_makes_no_new_one():
    machine = opened(machine_of(success_threshold=9))
    token = machine.acquire(30.0)[0]

    machine.success(token, 30.0)
    machine.neutral(token)
    machine.acquire(30.0)

    assert machine.acquire(30.0)[0] is None


def test_probes_that_never_come_back_reopen_after_the_cap():
    machine = opened(machine_of(half_open_timeout=60.0))
    machine.acquire(30.0)

    assert machine.acquire(89.9) == (None, None)
    assert machine.acquire(90.0)[1][1:3] == (OPEN, "no probe came back within 60 s")
    assert machine.acquire(120.0)[0] is machine.probes


def test_without_a_cap_probes_are_waited_for():
    machine = opened(machine_of(half_open_timeout=None))
    machine.acquire(30.0)

    assert machine.acquire(1e9) == (None, None)


def test_an_idle_half_open_breaker_is_not_stuck():
    machine = opened(machine_of(success_threshold=2))
    machine.success(machine.acquire(30.0)[0], 30.0)

    assert machine.acquire(10_000.0)[0] is machine.probes


def test_the_open_time_grows_with_each_failed_probing_up_to_the_cap():
    machine = opened(machine_of(recovery_timeout=10.0, recovery_multiplier=2.0, max_recovery_timeout=35.0))
    waits, now = [], 0.0
    for _ in range(4):
        waits.append(machine.open_until - now)
        now = machine.open_until
        machine.failure(machine.acquire(now)[0], now)

    assert waits == [10.0, 20.0, 35.0, 35.0]


def test_closing_makes_the_open_time_short_again():
    machine = opened(machine_of(recovery_timeout=10.0, recovery_multiplier=2.0))
    machine.failure(machine.acquire(10.0)[0], 10.0)
    machine.success(machine.acquire(30.0)[0], 30.0)

    opened(machine, 100.0)

    assert machine.open_until == 110.0


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_spreads_the_open_time_by_its_share(draw, jitter):
    machine = BreakerMachine(BreakerConfig(recovery_timeout=10.0, recovery_jitter=jitter), lambda: draw)

    opened(machine)

    assert 10.0 * (1 - jitter) <= machine.open_until <= 10.0 * (1 + jitter)


def test_slow_calls_open():
    machine = machine_of(slow_call_seconds=1.0, slow_call_rate=0.5, window_calls=10, minimum_calls=4)

    reasons = [machine.success(machine.window, 0.0, slow=slow) for slow in (False, True, False, True)]

    assert reasons[-1] == (CLOSED, OPEN, "2 of 4 calls were slow", 1)


def test_a_slow_probe_reopens():
    machine = opened(machine_of(slow_call_seconds=1.0))

    change = machine.success(machine.acquire(30.0)[0], 30.0, slow=True)

    assert change[1:3] == (OPEN, "a probe was slow")


@pytest.mark.parametrize(
    ("mode", "token_is", "state"),
    [
        (BreakerMode.FORCED_OPEN, "none", OPEN),
        (BreakerMode.FORCED_CLOSED, "window", CLOSED),
        (BreakerMode.DISABLED, "pass", CLOSED),
        (BreakerMode.METRICS_ONLY, "window", CLOSED),
    ],
)
def test_modes_decide_instead_of_the_machine(mode, token_is, state):
    machine = machine_of()

    machine.force(mode, "by hand")
    token = machine.acquire(1e9)[0]

    assert {"none": None, "window": machine.window, "pass": PASS}[token_is] is token
    assert machine.shown(1e9) is state


def test_forced_closed_counts_and_never_opens():
    machine = machine_of(failure_threshold=1)
    machine.force(BreakerMode.FORCED_CLOSED, "by hand")

    for _ in range(9):
        machine.failure(machine.acquire(0.0)[0], 0.0)

    assert (machine.state, machine.window.failures, machine.failed) == (CLOSED, 9, 9)


def test_metrics_only_changes_states_and_refuses_nothing():
    machine = machine_of(failure_threshold=1)
    machine.force(BreakerMode.METRICS_ONLY, "by hand")

    change = machine.failure(machine.acquire(0.0)[0], 0.0)

    assert change[1] is OPEN
    assert machine.acquire(1.0)[0] is PASS
    assert machine.rejected == 1


def test_forcing_tells_a_change_only_when_the_shown_state_changes():
    machine = machine_of()

    assert machine.force(BreakerMode.DISABLED, "x") is None
    assert machine.force(BreakerMode.FORCED_OPEN, "y")[:2] == (CLOSED, OPEN)
    assert machine.force(BreakerMode.AUTO, "z")[:2] == (OPEN, CLOSED)


def test_an_outcome_of_an_uncounted_call_changes_nothing():
    machine = machine_of(failure_threshold=1)

    machine.failure(PASS, 0.0)
    machine.success(PASS, 0.0)
    machine.neutral(PASS)

    assert (machine.state, machine.failed) == (CLOSED, 0)
