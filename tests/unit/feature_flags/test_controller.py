"""Rollouts from the first step to the end, and back: through the public API, under a clock of the test's own."""

import threading

import pytest

from shared.cache import Lock, MemoryLocks
from shared.errors import InvalidArgumentError, InvalidStateError, ServiceUnavailableError
from shared.feature_flags import (
    Flag,
    FlagAdmin,
    FlagOutcomes,
    Flags,
    Guardrail,
    MemoryFlagStore,
    RolloutController,
    RolloutDecided,
    RolloutPlan,
    RolloutStep,
)
from shared.monitoring import Metrics
from shared.runtime import Events

HOUR = 3600.0
USERS = [f"user-{number}" for number in range(2000)]
PRICING = Flag("dynamic_pricing", owner="pricing")


class Hand:
    """Seconds since 1970 that the test moves."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


class World:
    """A service with a flag, its outcomes, and a controller."""

    def __init__(self, **plan):
        self.clock = Hand()
        self.events = Events()
        self.decided = []
        self.events.subscribe(RolloutDecided, self.decided.append)
        self.store = MemoryFlagStore(clock=self.clock)
        self.admin = FlagAdmin(self.store, declared=[PRICING])
        self.outcomes = FlagOutcomes(Metrics())
        self.flags = Flags([PRICING], store=self.store, threads=False, events=self.events)
        self.controller = self.another()
        steps = [RolloutStep(25), RolloutStep(100, after=HOUR)]
        guardrails = [Guardrail("error_rate", margin=0.02)]
        self.plan = RolloutPlan(steps, guardrails, **plan)

    def another(self, **options):
        return RolloutController(self.store, self.outcomes, events=self.events, **options)

    def begin(self):
        self.admin.ramp("dynamic_pricing", self.plan, actor="ada", reason="new prices")
        return self.step()

    def step(self):
        found = self.controller.tick()
        self.flags.refresh()
        return found

    def who(self):
        """The users who have the flag."""
        self.flags.refresh()
        return {user for user in USERS if self.flags.is_enabled("dynamic_pricing", user)}

    def serve(self, *, broken):
        """Serve every user once; with the flag on, *broken* of a thousand requests fail."""
        on = 0
        for user in USERS:
            if self.flags.is_enabled("dynamic_pricing", user):
                on += 1
                failed = on * broken // 1000 > (on - 1) * broken // 1000
                self.outcomes.record("dynamic_pricing", "on", 0.1, failed=failed)
            else:
                self.outcomes.record("dynamic_pricing", "off", 0.1)

    def close(self):
        self.controller.close()
        self.flags.close()


@pytest.fixture
def make_world():
    made = []

    def build(**plan):
        made.append(World(**plan))
        return made[-1]

    yield build
    for world in made:
        world.close()


@pytest.fixture
def world(make_world):
    return make_world()


def test_a_rollout_goes_from_0_to_25_to_100_percent_and_nobody_loses_the_flag(world):
    before = world.who()
    world.begin()
    quarter = world.who()
    world.step()  # the guardrail begins to count
    world.serve(broken=0)
    world.clock.now += HOUR
    world.step()
    everybody = world.who()

    assert before == set()
    assert 400 <= len(quarter) <= 600
    assert quarter < everybody == set(USERS)
    assert [(d.percent, d.status) for d in world.decided] == [(25.0, "running"), (100.0, "done")]


def test_a_guardrail_that_breaks_takes_the_rollout_back_by_itself(world):
    world.begin()
    world.step()
    world.serve(broken=300)

    world.step()

    newest = world.store.history("dynamic_pricing")[0]
    assert world.who() == set()
    assert (newest.actor, newest.after["rollout"]) == ("system:guardrail", 0.0)
    assert "error_rate is" in newest.reason
    assert world.flags.flag("dynamic_pricing").ramp.state.status == "rolled_back"


def test_after_a_rollback_the_steps_do_not_go_on(world):
    world.begin()
    world.step()
    world.serve(broken=300)
    world.step()
    world.clock.now += 100 * HOUR

    assert world.step() == []
    assert world.who() == set()


def test_a_rollout_that_begins_again_gives_it_to_the_same_users(world):
    world.begin()
    first = world.who()
    world.step()
    world.serve(broken=300)
    world.step()

    world.begin()

    assert world.who() == first


def test_a_plan_that_pauses_leaves_the_users_their_flag(make_world):
    world = make_world(on_breach="pause")
    world.begin()
    quarter = world.who()
    world.step()
    world.serve(broken=300)

    decided = world.step()

    assert [(d.percent, d.status) for d in decided] == [(25.0, "paused")]
    assert world.who() == quarter


def test_a_paused_rollout_goes_on_after_its_cooldown_and_forgets_what_it_saw(make_world):
    world = make_world(on_breach="pause", cooldown=60.0)
    world.begin()
    world.step()
    world.clock.now += 60.0
    world.serve(broken=300)
    world.step()

    with pytest.raises(InvalidStateError, match="may go on in 60 s"):
        world.admin.resume("dynamic_pricing", actor="ada")
    world.clock.now += 60.0
    world.admin.resume("dynamic_pricing", actor="ada", reason="fixed")
    world.step()
    world.serve(broken=0)
    world.clock.now += HOUR
    world.step()

    assert world.who() == set(USERS)


def test_without_samples_no_step_is_taken(world):
    world.begin()
    world.step()
    world.clock.now += 10 * HOUR

    assert world.step() == []


def test_few_failures_do_not_break_a_guardrail(world):
    world.begin()
    world.step()
    world.serve(broken=10)
    world.clock.now += HOUR

    assert [d.percent for d in world.step()] == [100.0]


def test_what_was_counted_before_the_step_does_not_matter(world):
    for _ in range(1000):
        world.outcomes.record("dynamic_pricing", "on", 0.1, failed=True)
    world.begin()
    world.step()
    world.serve(broken=0)
    world.clock.now += HOUR

    assert [d.percent for d in world.step()] == [100.0]


def test_a_controller_that_takes_over_needs_samples_of_its_own(world):
    world.begin()
    world.step()
    world.serve(broken=0)
    world.clock.now += HOUR
    other = world.another()

    first = other.tick()
    world.serve(broken=0)
    second = other.tick()

    assert (first, [d.percent for d in second]) == ([], [100.0])


def test_a_percentage_set_by_hand_stands_and_pauses_the_rollout(world):
    world.begin()
    world.step()
    world.serve(broken=0)
    world.admin.rollout("dynamic_pricing", 1, actor="bob", reason="careful")
    world.clock.now += HOUR

    decided = world.step()

    assert [(d.percent, d.status, d.reason) for d in decided] == [(1.0, "paused", "set to 1 % by hand")]


def test_a_killed_flag_takes_no_step(world):
    world.begin()
    world.step()
    world.serve(broken=0)
    world.admin.kill("dynamic_pricing", actor="bob", reason="stop")
    world.clock.now += HOUR

    assert world.step() == []
    assert world.who() == set()


def test_a_rollback_to_a_revision_does_not_let_the_steps_go_on(world):
    world.begin()
    revision = world.store.revision()
    world.step()
    world.serve(broken=300)
    world.step()

    world.admin.rollback(revision, actor="bob", reason="look again")
    world.clock.now += HOUR

    assert world.step() == []
    assert len(world.who()) in range(400, 600)


def test_a_source_that_fails_lets_the_rollout_stand_still(world):
    class Broken:
        def read(self, key, variant, *, slower_than):
            raise OSError("away")

    world.begin()
    controller = RolloutController(world.store, Broken(), events=world.events)
    world.clock.now += HOUR

    assert controller.tick() == []


def test_without_a_source_a_plan_with_guardrails_stands_still(world):
    world.begin()
    controller = RolloutController(world.store, events=world.events)
    world.clock.now += HOUR

    assert controller.tick() == []


def test_a_store_that_is_down_is_told_to_the_caller(world, monkeypatch):
    world.begin()

    def away():
        raise ServiceUnavailableError("away")

    monkeypatch.setattr(world.store, "load", away)

    with pytest.raises(ServiceUnavailableError):
        world.controller.tick()


def test_somebody_who_writes_meanwhile_wins(world, monkeypatch):
    world.admin.ramp("dynamic_pricing", world.plan, actor="ada")
    load = world.store.load
    calls = []

    def racing():
        document = load()
        calls.append(document)
        if len(calls) == 2:  # between the look and the write
            monkeypatch.setattr(world.store, "load", load)
            world.admin.set("other", actor="bob")
        return document

    monkeypatch.setattr(world.store, "load", racing)

    assert world.controller.tick() == []
    assert [d.percent for d in world.controller.tick()] == [25.0]


def test_one_controller_of_several_leads(world):
    locks = MemoryLocks()
    first, second = (world.another(lock=Lock("rollouts", store=locks, ttl=60.0)) for _ in range(2))
    world.admin.ramp("dynamic_pricing", world.plan, actor="ada")

    led = (len(first.tick()), len(second.tick()))
    first.close()
    world.serve(broken=0)
    second.tick()
    world.serve(broken=0)
    world.clock.now += HOUR
    taken_over = len(second.tick())
    second.close()

    assert (led, taken_over) == ((1, 0), 1)


def test_8_controllers_at_once_take_one_step(world):
    world.admin.ramp("dynamic_pricing", world.plan, actor="ada")
    controllers = [world.another() for _ in range(8)]
    threads = [threading.Thread(target=controller.tick) for controller in controllers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(world.decided) == 1
    assert world.store.revision() == 2


def test_a_started_controller_works_by_itself(world):
    seen = threading.Event()
    world.events.subscribe(RolloutDecided, lambda decided: seen.set())
    controller = world.another(every=0.05)
    controller.start()
    controller.start()
    world.admin.ramp("dynamic_pricing", world.plan, actor="ada")

    assert seen.wait(30)
    controller.close()
    controller.close()


def test_a_plan_that_begins_below_what_is_in_force_is_refused(world):
    world.admin.rollout("dynamic_pricing", 50, actor="ada")

    with pytest.raises(InvalidStateError, match="has 50 % already and the plan begins with 25 %"):
        world.begin()


def test_a_rollback_goes_to_what_was_before_the_plan(make_world):
    world = make_world()
    world.admin.rollout("dynamic_pricing", 10, actor="ada")
    before = world.who()
    world.begin()
    world.step()
    world.serve(broken=300)

    world.step()

    assert world.who() == before != set()


def test_the_verbs_of_a_rollout_need_one(world):
    with pytest.raises(InvalidStateError, match="no rollout plan"):
        world.admin.pause("dynamic_pricing", actor="ada")
    world.begin()
    with pytest.raises(InvalidStateError, match="is running, not paused"):
        world.admin.resume("dynamic_pricing", actor="ada")
    world.admin.pause("dynamic_pricing", actor="ada")
    with pytest.raises(InvalidStateError, match="is paused, not under way"):
        world.admin.pause("dynamic_pricing", actor="ada")


def test_stopping_keeps_the_percentage(world):
    world.begin()
    quarter = world.who()

    world.admin.stop("dynamic_pricing", actor="ada")

    assert (world.who(), world.admin.flag("dynamic_pricing").ramp) == (quarter, None)


def test_an_interval_is_bounded():
    with pytest.raises(InvalidArgumentError, match="every"):
        RolloutController(MemoryFlagStore(), every=0)
