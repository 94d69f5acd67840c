"""A clock that moves only when a test says so."""

import time

from shared.testing import FrozenClock


def test_clock_stands_still_by_itself():
    clock = FrozenClock()

    assert clock() == clock.time() == clock.monotonic() == clock()


def test_sleeping_moves_the_clock_and_takes_no_time():
    clock = FrozenClock(10)
    began = time.monotonic()

    clock.sleep(3600)

    assert clock() == 3610
    assert time.monotonic() - began < 60


def test_sleeping_a_negative_time_does_nothing():
    clock = FrozenClock(10)

    clock.sleep(-5)

    assert clock() == 10


def test_clock_can_be_stepped_back():
    clock = FrozenClock(10)

    clock.advance(-4)

    assert clock() == 6


async def test_asynchronous_sleep_moves_the_clock():
    clock = FrozenClock(0)

    await clock.asleep(7)

    assert clock() == 7
