import asyncio
import threading
import time

import pytest

from shared.errors import ConfigurationError
from shared.monitoring import DrainFinished, Lifecycle, LifecycleChanged, LifecycleState
from shared.runtime import Events, Runtime


def recorded(*kinds):
    events, seen = Events(), []
    for kind in kinds:
        events.subscribe(kind, seen.append)
    return events, seen


def test_it_moves_from_starting_through_ready_and_draining_to_stopped():
    lifecycle = Lifecycle(drain_delay=0)
    states = [lifecycle.state]
    for step in (lifecycle.mark_ready, lifecycle.begin_drain, lifecycle.finish):
        step()
        states.append(lifecycle.state)

    assert states == list(LifecycleState)


def test_a_draining_service_does_not_become_ready_again():
    lifecycle = Lifecycle()
    lifecycle.begin_drain()
    lifecycle.mark_ready()

    assert lifecycle.is_draining
    assert not lifecycle.is_ready


def test_only_the_first_drain_counts():
    lifecycle = Lifecycle()

    assert [lifecycle.begin_drain("SIGTERM"), lifecycle.begin_drain("again")] == [True, False]
    assert lifecycle.drain_reason == "SIGTERM"


def test_each_change_is_announced_once():
    events, seen = recorded(LifecycleChanged)
    lifecycle = Lifecycle(drain_delay=0, events=events)
    lifecycle.mark_ready()
    lifecycle.flag_drain()
    lifecycle.begin_drain()
    lifecycle.begin_drain()
    lifecycle.finish()

    assert [(event.before, event.after) for event in seen] == [
        ("starting", "ready"),
        ("ready", "draining"),
        ("draining", "stopped"),
    ]


def test_a_flagged_drain_tells_nobody_until_it_is_begun():
    events, seen = recorded(LifecycleChanged)
    lifecycle = Lifecycle(events=events)
    lifecycle.flag_drain()
    before = len(seen)
    lifecycle.begin_drain()

    assert (before, len(seen)) == (0, 1)


def test_uptime_counts_from_the_making(clock):
    lifecycle = Lifecycle(clock=clock)
    clock.advance(12.5)

    assert lifecycle.uptime == 12.5


def test_the_deadline_is_the_delay_and_the_timeout_together(clock):
    lifecycle = Lifecycle(drain_delay=5, drain_timeout=20, clock=clock)
    before = lifecycle.drain_left()
    lifecycle.begin_drain()
    clock.advance(10)
    during = lifecycle.drain_left()
    clock.advance(100)

    assert (before, during, lifecycle.drain_left()) == (25, 15, 0)


@pytest.mark.parametrize("wrong", [{"drain_delay": -1}, {"drain_timeout": float("nan")}])
def test_seconds_below_zero_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Lifecycle(**wrong)


# -- in flight -----------------------------------------------------------------------


def test_work_is_counted_until_it_ends_also_when_it_fails():
    lifecycle = Lifecycle()
    with pytest.raises(ValueError, match="boom"), lifecycle.work():
        counted = lifecycle.in_flight
        raise ValueError("boom")

    assert (counted, lifecycle.in_flight) == (1, 0)


def test_the_keys_of_the_work_under_way_can_be_listed():
    lifecycle = Lifecycle()
    lifecycle.enter("request-1")

    assert lifecycle.active() == ("request-1",)


def test_leaving_twice_does_no_harm():
    lifecycle = Lifecycle()
    lifecycle.enter(1)
    lifecycle.leave(1)
    lifecycle.leave(1)

    assert lifecycle.in_flight == 0


def test_threads_that_work_side_by_side_are_counted_exactly():
    lifecycle = Lifecycle()

    def work(number):
        for turn in range(500):
            with lifecycle.work((number, turn)):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert lifecycle.in_flight == 0


def finish(lifecycle, how):
    if how == "sync":
        return lifecycle.finish()
    with asyncio.Runner() as runner:
        return runner.run(lifecycle.afinish())


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_end_waits_for_work_in_flight(how):
    lifecycle = Lifecycle(drain_delay=0, drain_timeout=30)
    lifecycle.enter("slow")
    threading.Timer(0.1, lifecycle.leave, ["slow"]).start()

    outcome = finish(lifecycle, how)

    assert outcome.abandoned == 0
    assert outcome.seconds >= 0.09


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_end_does_not_wait_beyond_the_deadline(how):
    lifecycle = Lifecycle(drain_delay=0, drain_timeout=0.1)
    lifecycle.enter("endless")

    assert finish(lifecycle, how).abandoned == 1


# -- flushing ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["sync", "async"])
def test_flushes_run_last_registered_first_whatever_their_kind(how):
    done, lifecycle = [], Lifecycle(drain_delay=0)

    async def spans():
        await asyncio.sleep(0)
        done.append("spans")

    lifecycle.on_flush("log", lambda: done.append("log"))
    lifecycle.on_flush("spans", spans)
    lifecycle.on_flush("audit", lambda: done.append("audit"))
    finish(lifecycle, how)

    assert done == ["audit", "spans", "log"]


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_flush_that_fails_or_hangs_is_named_and_the_others_run(how):
    release, done, lifecycle = threading.Event(), [], Lifecycle(drain_delay=0, drain_timeout=0.2)

    def broken():
        raise SystemExit(1)

    lifecycle.on_flush("log", lambda: done.append("log"))
    lifecycle.on_flush("hung", lambda: release.wait(30))
    lifecycle.on_flush("broken", broken)
    outcome = finish(lifecycle, how)
    release.set()

    assert set(outcome.failed) >= {"hung", "broken"}
    assert done == ["log"]


def test_an_asynchronous_flush_runs_on_the_loop_of_the_application():
    loops, lifecycle = [], Lifecycle(drain_delay=0)

    async def flush():
        loops.append(asyncio.get_running_loop())

    lifecycle.on_flush("spans", flush)
    with asyncio.Runner() as runner:
        runner.run(lifecycle.afinish())
        assert loops == [runner.get_loop()]


def test_a_flush_can_be_taken_off():
    done, lifecycle = [], Lifecycle(drain_delay=0)
    remove = lifecycle.on_flush("log", lambda: done.append("log"))
    remove()
    remove()
    lifecycle.finish()

    assert done == []


async def test_the_end_comes_once_and_tells_so():
    events, seen = recorded(DrainFinished)
    done, lifecycle = [], Lifecycle(drain_delay=0, events=events)
    lifecycle.on_flush("log", lambda: done.append("log"))

    first = lifecycle.finish()

    assert lifecycle.finish() is first
    assert await lifecycle.afinish() is first
    assert done == ["log"]
    assert seen == [first]


@pytest.mark.parametrize("close", ["close", "aclose"])
async def test_a_runtime_that_closes_finishes_its_lifecycle(close):
    runtime, done = Runtime("test"), []
    lifecycle = runtime.get(Lifecycle, lambda _: Lifecycle(drain_delay=0))
    lifecycle.on_flush("log", lambda: done.append("log"))

    outcome = getattr(runtime, close)()
    if outcome is not None:
        await outcome

    assert done == ["log"]


def test_a_flush_runs_even_when_no_thread_can_be_started(monkeypatch):
    done, lifecycle = [], Lifecycle(drain_delay=0)
    lifecycle.on_flush("log", lambda: done.append("log"))

    def refuse(_self):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    lifecycle.finish()

    assert done == ["log"]


async def test_the_asynchronous_end_does_not_block_the_loop():
    lifecycle, beats = Lifecycle(drain_delay=0, drain_timeout=5), []
    lifecycle.on_flush("slow", lambda: time.sleep(0.1))

    async def beat():
        while True:
            beats.append(1)
            await asyncio.sleep(0.01)

    heart = asyncio.create_task(beat())
    await lifecycle.afinish()
    heart.cancel()

    assert len(beats) > 3
