import asyncio
import time

import pytest

from shared.errors import ConfigurationError
from shared.monitoring import EventLoopMonitor, HealthRegistry


def block(seconds):
    """Do what a coroutine must not do."""
    time.sleep(seconds)


async def test_a_blocked_loop_shows_as_lag():
    monitor = EventLoopMonitor(interval=0.01, degraded_above=0.05)
    monitor.start()

    block(0.1)
    lag = monitor.lag
    monitor.stop()

    assert lag > 0.05


class Timers:
    """The one method of a loop that a heartbeat needs, under the test's control."""

    def call_later(self, delay, callback):
        self.due = callback
        return asyncio.TimerHandle(delay, callback, (), asyncio.get_running_loop())


async def test_the_lag_is_how_late_the_last_beat_came(clock):
    timers, monitor = Timers(), EventLoopMonitor(interval=0.5, clock=clock)
    monitor.start(timers)

    clock.advance(0.9)
    timers.due()

    assert monitor.lag == pytest.approx(0.4)


async def test_a_beat_that_comes_after_stop_does_nothing(clock):
    timers, monitor = Timers(), EventLoopMonitor(clock=clock)
    monitor.start(timers)
    monitor.stop()

    timers.due()

    assert not monitor.is_running


async def test_a_loop_that_has_not_beaten_for_long_is_dead(clock):
    monitor = EventLoopMonitor(interval=0.5, stalled_after=30, clock=clock)
    monitor.start()
    clock.advance(30.5)

    alive = monitor.is_alive()
    monitor.stop()

    assert not alive


def test_without_a_loop_there_is_no_lag_and_nothing_is_dead(clock):
    monitor = EventLoopMonitor(clock=clock)
    clock.advance(1000)

    assert (monitor.is_running, monitor.lag, monitor.age, monitor.is_alive()) == (False, 0.0, 0.0, True)


async def test_the_check_degrades_and_is_not_critical():
    monitor = EventLoopMonitor(interval=0.01, degraded_above=0.05)
    monitor.start()
    registry = HealthRegistry()
    registry.include(monitor.health_check())
    block(0.1)

    report = await registry.areport()
    monitor.stop()

    assert (str(report.status), report.ready) == ("degraded", True)
    assert report.checks["event_loop"].facts["lag"] > 0.05


async def test_starting_again_leaves_one_heartbeat():
    monitor = EventLoopMonitor(interval=20)
    monitor.start()
    first = monitor._timer
    monitor.start()

    assert first.cancelled()
    monitor.stop()


@pytest.mark.parametrize(
    "wrong", [{"interval": 0}, {"degraded_above": 0}, {"interval": 5, "stalled_after": 5}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="do not hold"):
        EventLoopMonitor(**wrong)
