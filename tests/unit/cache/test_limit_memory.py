"""Rate limits in memory: bounded, safe after a fork, on a clock that never runs backwards."""

import os
import time

import pytest

from shared.cache import LimitTier, MemoryRateLimits
from shared.cache._limit_memory import steady_clock
from shared.errors import InvalidArgumentError

TIER = LimitTier("2/minute")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_keys_that_are_idle_are_forgotten_as_others_come():
    clock = Clock()
    store = MemoryRateLimits(clock=clock)
    for number in range(3000):
        store.hit((TIER,), f"old-{number}")
    clock.now += 61.0

    for number in range(3000):
        store.hit((TIER,), f"new-{number}")

    assert len(store) == 3000


def test_a_flood_of_keys_is_bounded():
    store = MemoryRateLimits(max_keys=100, clock=Clock())

    for number in range(5000):
        store.hit((TIER,), f"user-{number}")

    assert len(store) == 100


def test_several_tiers_in_a_full_store_still_decide_together():
    store = MemoryRateLimits(max_keys=1, clock=Clock())
    tiers = (LimitTier("1/minute", name="a"), LimitTier("5/minute", name="b"))

    answer = store.hit(tiers, "ann")

    assert [decision.remaining for decision in answer] == [0, 4]


def test_clearing_gives_all_permits_back():
    store = MemoryRateLimits(clock=Clock())
    answers = [store.hit((TIER,), "ann")[0].allowed for _ in range(3)]

    store.clear()

    assert answers == [True, True, False]
    assert store.hit((TIER,), "ann")[0].remaining == 1


def test_a_store_keeps_at_least_one_key():
    with pytest.raises(InvalidArgumentError, match="max_keys"):
        MemoryRateLimits(max_keys=0)


def test_a_forked_child_goes_on_with_a_copy_although_the_lock_was_held():
    store = MemoryRateLimits()
    store.hit((TIER,), "ann")

    with store._lock:
        child = os.fork()
        if child == 0:
            code = 9
            try:
                code = store.hit((TIER,), "ann")[0].remaining
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert store.hit((TIER,), "ann")[0].remaining == 0


def test_a_day_begins_at_midnight_utc():
    clock = steady_clock()

    assert abs(clock() - time.time()) < 60.0


def test_the_steady_clock_ignores_a_corrected_system_clock(monkeypatch):
    clock = steady_clock()
    before = clock()
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert clock() >= before
