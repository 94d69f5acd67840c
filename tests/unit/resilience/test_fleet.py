"""All living guards of a kind, and what a fork does to them."""

import gc

import pytest

from shared.resilience import (
    BreakerRegistry,
    Bulkhead,
    CallTimedOut,
    CircuitBreaker,
    EventCounts,
    PolicyRegistry,
    RetryBudget,
    ServiceClient,
)
from shared.resilience._fleet import Fleet
from shared.resilience._random import draw
from shared.runtime import Events


class Member:
    def __init__(self, name):
        self.name = name
        self.forks = 0

    def after_fork(self):
        self.forks += 1


def test_members_are_found_by_name_and_forgotten_when_they_die():
    fleet = Fleet()
    one, two = Member("a"), Member("a")
    for member in (one, two, Member("b")):
        fleet.add(member)
    gc.collect()

    assert {id(member) for member in fleet.named("a")} == {id(one), id(two)}
    del member
    gc.collect()
    assert fleet.named("b") == []


def test_every_member_is_re_armed_in_a_child():
    fleet = Fleet()
    members = [Member("a"), Member("b")]
    for member in members:
        fleet.add(member)

    fleet.after_fork()

    assert [member.forks for member in members] == [1, 1]
    assert fleet.named("a") == members[:1]


def test_a_forked_breaker_has_a_new_lock_and_no_probes_of_others():
    breaker = CircuitBreaker("forked", failure_threshold=1, recovery_timeout=0.0)
    breaker.error(breaker.acquire(), OSError())
    old = breaker.acquire()
    lock = breaker._lock

    breaker.after_fork()
    breaker.error(old, OSError())

    assert breaker._lock is not lock
    assert (breaker.snapshot().probes, breaker.state) == (0, "HALF_OPEN")


@pytest.mark.parametrize(
    "make",
    [
        RetryBudget,
        BreakerRegistry,
        lambda: PolicyRegistry(BreakerRegistry()),
        lambda: EventCounts(Events()),
        lambda: ServiceClient("http://payments"),
        Bulkhead,
    ],
)
def test_whatever_has_a_lock_gets_a_new_one_in_a_child(make):
    guarded = make()
    guarded._lock.acquire()

    guarded.after_fork()

    assert guarded._lock.acquire(blocking=False)


def test_a_child_counts_events_from_zero():
    events = Events()
    counts = EventCounts(events)
    events.emit(CallTimedOut("a", 1.0))

    counts.after_fork()

    assert counts.read() == {}


def test_draws_are_shares():
    assert all(0.0 <= draw() < 1.0 for _ in range(100))
