import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.context import bound_fields, request_context
from shared.errors import ConfigurationError
from shared.monitoring import (
    CheckChanged,
    HealthChanged,
    HealthCheck,
    HealthRegistry,
    Lifecycle,
    ReadinessChanged,
)
from shared.runtime import Events


def statuses(report):
    return {name: str(result.status) for name, result in report.checks.items()}


class Switch:
    """A check that says what it is told to, and counts."""

    def __init__(self, answer=True):
        self.answer = answer
        self.runs = 0

    def __call__(self):
        self.runs += 1
        return self.answer


class AsyncSwitch(Switch):
    async def __call__(self):
        return super().__call__()


# -- verdicts ------------------------------------------------------------------------


@pytest.mark.parametrize("switch", [Switch, AsyncSwitch])
async def test_sync_and_async_reports_agree(switch):
    def registry():
        made = HealthRegistry()
        made.add("good", switch())
        made.add("bad", switch(False), critical=False)
        return made

    ours = registry()
    theirs = await asyncio.to_thread(registry().report)
    here = await ours.areport()

    assert statuses(theirs) == statuses(here) == {"good": "healthy", "bad": "unhealthy"}
    assert str(here.status) == "degraded"


def test_no_checks_is_healthy_and_ready():
    report = HealthRegistry().report()

    assert (str(report.status), report.ready, report.http_status(ready=True)) == ("healthy", True, 200)


def test_an_optional_check_only_degrades():
    registry = HealthRegistry(failure_threshold=1)
    registry.add("search", lambda: False, critical=False)

    report = registry.report()

    assert (str(report.status), report.http_status(), report.http_status(ready=True)) == (
        "degraded",
        200,
        200,
    )


def test_a_service_is_not_ready_before_a_critical_check_has_passed_once():
    registry = HealthRegistry(failure_threshold=3)
    registry.add("database", lambda: False)

    assert registry.report().http_status(ready=True) == 503


def test_readiness_drops_only_after_the_failures_in_a_row(clock):
    switch = Switch()
    registry = HealthRegistry(failure_threshold=3, cache_seconds=0, clock=clock)
    registry.add("database", switch)
    registry.report()
    switch.answer = False

    seen = [(str(report.status), report.ready) for report in (registry.report() for _ in range(3))]

    assert seen == [("degraded", True), ("degraded", True), ("unhealthy", False)]


def test_readiness_returns_by_the_recovery_rule(clock):
    switch = Switch()
    registry = HealthRegistry(failure_threshold=1, recovery_threshold=2, cache_seconds=0, clock=clock)
    registry.add("database", switch)
    registry.report()
    switch.answer = False
    registry.report()
    switch.answer = True

    assert [registry.report().ready for _ in range(2)] == [False, True]


def test_an_exception_is_a_failure_whatever_its_kind():
    def leave():
        raise SystemExit(3)

    registry = HealthRegistry()
    registry.add("odd", leave, critical=False)

    assert registry.report().checks["odd"].error == "SystemExit: 3"


def test_the_shape_of_the_documents_comes_out_of_real_checks():
    registry = HealthRegistry()
    registry.add("database", lambda: None)
    registry.add("redis", lambda: "healthy")
    registry.add("memory", lambda: {"status": "healthy", "rss": 150, "heapUsed": 80}, critical=False)

    assert registry.report().to_dict()["checks"] == {
        "database": "healthy",
        "redis": "healthy",
        "memory": {"status": "healthy", "rss": 150, "heapUsed": 80},
    }


# -- cache and single flight -------------------------------------------------------------


def test_a_fresh_result_is_given_out_without_a_run(clock):
    switch = Switch()
    registry = HealthRegistry(cache_seconds=2, clock=clock)
    registry.add("database", switch)

    for _ in range(5):
        registry.report()
        clock.advance(0.3)

    assert switch.runs == 1


def test_an_expired_result_is_not_given_out(clock):
    switch = Switch()
    registry = HealthRegistry(cache_seconds=2, stale_seconds=2, clock=clock)
    registry.add("database", switch)
    registry.report()
    switch.answer = False
    clock.advance(4)

    assert statuses(registry.report()) == {"database": "unhealthy"}


def test_a_stale_result_is_given_out_at_once_while_it_is_renewed(clock):
    switch, renewed = Switch(), threading.Event()
    release = threading.Event()
    registry = HealthRegistry(cache_seconds=2, stale_seconds=2, clock=clock)

    def check():
        answer = switch()
        if switch.runs > 1:
            release.wait(5)
            renewed.set()
        return answer

    registry.add("database", check)
    registry.report()
    switch.answer = False
    clock.advance(3)

    assert statuses(registry.report()) == {"database": "healthy"}
    release.set()
    assert renewed.wait(5)
    assert switch.runs == 2


async def test_a_thousand_callers_of_a_slow_asynchronous_check_run_it_once():
    runs = []

    async def check():
        runs.append(1)
        await asyncio.sleep(0.3)

    registry = HealthRegistry(timeout=60, cache_seconds=60)  # a busy machine is not what is tested
    registry.add("database", check)

    reports = await asyncio.gather(*(registry.areport() for _ in range(1000)))

    assert len(runs) == 1
    assert {report.ready for report in reports} == {True}


async def test_a_thousand_callers_of_a_slow_synchronous_check_run_it_once():
    runs = []

    def check():
        runs.append(1)
        time.sleep(0.3)

    registry = HealthRegistry(timeout=60, cache_seconds=60)  # a busy machine is not what is tested
    registry.add("database", check)

    reports = await asyncio.gather(*(registry.areport() for _ in range(1000)))

    assert len(runs) == 1
    assert {report.ready for report in reports} == {True}


def test_threads_that_ask_together_run_the_check_once():
    runs = []

    def check():
        runs.append(1)
        time.sleep(0.2)

    registry = HealthRegistry()
    registry.add("database", check)

    with ThreadPoolExecutor(50) as pool:
        reports = list(pool.map(lambda _: registry.report(), range(50)))

    assert len(runs) == 1
    assert {report.ready for report in reports} == {True}


def test_checks_run_side_by_side():
    barrier = threading.Barrier(4, timeout=5)
    registry = HealthRegistry(timeout=5)
    for number in range(4):
        registry.add(f"check{number}", lambda: barrier.wait() >= 0)

    assert set(statuses(registry.report()).values()) == {"healthy"}


async def test_a_check_added_while_others_wait_is_waited_for_too():
    release = asyncio.Event()

    async def slow():
        await release.wait()

    registry = HealthRegistry(timeout=20)
    registry.add("first", slow)
    early = asyncio.create_task(registry.areport())
    await asyncio.sleep(0)
    registry.add("second", lambda: False)
    late = asyncio.create_task(registry.areport())
    await asyncio.sleep(0.01)
    release.set()

    assert statuses(await early) == {"first": "healthy"}
    assert not (await late).ready
    assert statuses(await late) == {"first": "healthy", "second": "unhealthy"}


async def test_callers_after_a_finished_wait_start_a_new_one(clock):
    switch = AsyncSwitch()
    registry = HealthRegistry(cache_seconds=1, stale_seconds=0, clock=clock)
    registry.add("redis", switch)
    for _ in range(3):
        await registry.areport()
        clock.advance(2)

    assert switch.runs == 3


async def test_a_caller_that_gives_up_does_not_spoil_the_run_for_others():
    async def check():
        await asyncio.sleep(0.05)

    registry = HealthRegistry()
    registry.add("database", check)
    impatient = asyncio.create_task(registry.areport())
    patient = asyncio.create_task(registry.areport())
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).ready


# -- time limits and hung checks -------------------------------------------------------------


async def test_an_asynchronous_check_that_takes_too_long_is_cancelled():
    ended = []

    async def check():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    registry = HealthRegistry(timeout=0.05)
    registry.add("slow", check)

    report = await registry.areport()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert report.checks["slow"].error == "no answer within 0.05 s"
    assert ended == [1]


def test_a_check_may_have_a_time_limit_of_its_own():
    release = threading.Event()
    registry = HealthRegistry(timeout=60)
    registry.add("slow", lambda: release.wait(30), timeout=0.05)

    report = registry.report()
    release.set()

    assert report.checks["slow"].error == "no answer within 0.05 s"


@pytest.mark.parametrize("ask", ["sync", "async"])
async def test_a_hung_check_holds_one_thread_however_often_it_is_asked_for(clock, ask):
    release, runs = threading.Event(), []
    registry = HealthRegistry(timeout=0.02, cache_seconds=0.5, clock=clock)

    def hung():
        runs.append(1)
        release.wait(30)

    registry.add("hung", hung, critical=False)
    registry.add("sound", lambda: True)
    errors = []
    for _ in range(20):
        report = await registry.areport() if ask == "async" else await asyncio.to_thread(registry.report)
        errors.append(report.checks["hung"].error)
        assert statuses(report)["sound"] == "healthy"
        clock.advance(3)
    threads = [thread for thread in threading.enumerate() if thread.name == "shared-health-hung"]
    release.set()

    assert len(runs) == len(threads) == 1
    assert errors[0] == "no answer within 0.02 s"
    assert errors[-1].startswith("still running after 57.0 s")


def test_a_hung_critical_check_ends_in_not_ready(clock):
    release, hang = threading.Event(), []
    registry = HealthRegistry(timeout=0.02, cache_seconds=0, failure_threshold=3, clock=clock)
    registry.add("database", lambda: release.wait(30) if hang else True)
    registry.report()
    hang.append(1)

    seen = []
    for _ in range(4):
        seen.append(registry.report().ready)
        clock.advance(1)
    release.set()

    assert seen == [True, True, False, False]


def test_a_check_that_hung_is_run_again_once_it_has_ended(clock):
    release, registry = threading.Event(), HealthRegistry(timeout=0.02, cache_seconds=0, clock=clock)
    registry.add("database", lambda: release.wait(30))
    registry.report()
    [thread] = [each for each in threading.enumerate() if each.name == "shared-health-database"]
    release.set()
    thread.join(5)
    clock.advance(1)

    assert statuses(registry.report()) == {"database": "healthy"}


def test_a_background_run_nobody_waits_for_still_times_out(clock):
    release, hang = threading.Event(), []
    registry = HealthRegistry(timeout=0.5, cache_seconds=1, stale_seconds=10, clock=clock)
    registry.add("database", lambda: release.wait(30) if hang else True, critical=False)
    registry.report()
    hang.append(1)
    clock.advance(2)
    registry.report()  # starts the run that hangs
    clock.advance(1)

    report = registry.report()
    release.set()

    assert report.checks["database"].error == "no answer within 0.5 s"


async def test_a_check_that_ignores_its_cancellation_is_not_started_twice(clock):
    release, runs = asyncio.Event(), []

    async def stubborn():
        runs.append(1)
        while not release.is_set():
            try:
                await asyncio.wait_for(release.wait(), 5)
            except asyncio.CancelledError:
                continue

    registry = HealthRegistry(timeout=0.02, cache_seconds=0, clock=clock)
    registry.add("stubborn", stubborn, critical=False)
    await registry.areport()
    clock.advance(1)
    await registry.areport()
    release.set()
    await asyncio.sleep(0.01)

    assert runs == [1]


# -- where a check runs ------------------------------------------------------------------------


async def test_an_asynchronous_check_runs_on_the_loop_that_asks():
    loops = []

    async def check():
        loops.append(asyncio.get_running_loop())

    registry = HealthRegistry()
    registry.add("redis", check)
    await registry.areport()

    assert loops == [asyncio.get_running_loop()]


async def test_a_thread_that_asks_has_the_check_run_on_the_bound_loop():
    loops = []

    async def check():
        loops.append(asyncio.get_running_loop())

    registry = HealthRegistry()
    registry.add("redis", check)
    registry.bind_loop()

    report = await asyncio.to_thread(registry.report)

    assert report.ready
    assert loops == [asyncio.get_running_loop()]


async def test_a_function_that_returns_an_awaitable_is_awaited_on_the_bound_loop():
    loops = []

    async def ping():
        loops.append(asyncio.get_running_loop())

    registry = HealthRegistry()
    registry.add("redis", lambda: ping())
    report = await registry.areport()

    assert report.ready
    assert loops == [asyncio.get_running_loop()]


async def test_the_sync_report_inside_a_coroutine_does_not_deadlock():
    async def check():
        await asyncio.sleep(0)

    registry = HealthRegistry()
    registry.add("redis", check)
    registry.bind_loop()

    assert registry.report().ready


def test_a_loop_that_was_closed_is_not_used_again():
    async def check():
        return True

    registry = HealthRegistry(cache_seconds=0)
    registry.add("redis", check)
    with asyncio.Runner() as runner:
        assert runner.run(registry.areport()).ready

    assert registry.report().ready


def test_a_run_that_died_with_its_loop_does_not_block_the_next(clock):
    async def check():
        await asyncio.sleep(30)

    registry = HealthRegistry(timeout=0.01, cache_seconds=0, clock=clock)
    registry.add("redis", check)
    for _ in range(2):
        with asyncio.Runner() as runner:
            report = runner.run(registry.areport())
        clock.advance(1)

    assert report.checks["redis"].error == "no answer within 0.01 s"


@pytest.mark.parametrize("ask", ["sync", "async"])
async def test_a_check_sees_the_context_it_was_added_in_not_the_request_that_asks(ask):
    seen = []
    registry = HealthRegistry()

    async def acheck():
        seen.append(bound_fields())

    registry.add("redis", acheck if ask == "async" else lambda: seen.append(bound_fields()))
    with request_context(correlation_id="c-1") as context:
        context.fields["user"] = "u-1"
        await registry.areport()

    assert seen == [{}]


# -- registration ---------------------------------------------------------------------------------


def test_a_name_is_given_once():
    registry = HealthRegistry()
    registry.add("database", lambda: True)

    with pytest.raises(ConfigurationError, match="'database' is registered already"):
        registry.add("database", lambda: True)


def test_a_removed_check_is_gone():
    registry = HealthRegistry()
    registry.add("database", lambda: False)

    assert (registry.remove("database"), registry.remove("database"), registry.names) == (True, False, ())
    assert registry.report().ready


def test_a_source_brings_its_checks():
    class Database:
        def health_checks(self):
            return [
                HealthCheck("database", lambda: True),
                HealthCheck("replica", lambda: True, critical=False),
            ]

    registry = HealthRegistry()
    registry.include(Database(), HealthCheck("redis", lambda: True))

    assert registry.names == ("database", "replica", "redis")


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"cache_seconds": -1},
        {"stale_seconds": -1},
        {"failure_threshold": 0},
        {"recovery_threshold": 0},
    ],
)
def test_a_number_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        HealthRegistry(**wrong)


# -- events ------------------------------------------------------------------------------------------


def test_changes_are_announced_at_the_edge_only(clock):
    events, seen, switch = Events(), [], Switch()
    for kind in (CheckChanged, HealthChanged, ReadinessChanged):
        events.subscribe(kind, seen.append)
    registry = HealthRegistry(failure_threshold=1, cache_seconds=0, clock=clock, events=events)
    registry.add("database", switch)
    registry.report()
    seen.clear()
    switch.answer = False

    for _ in range(3):
        registry.report()

    assert [type(event).__name__ for event in seen] == ["CheckChanged", "HealthChanged", "ReadinessChanged"]
    assert (seen[0].name, seen[0].tripped, seen[0].critical) == ("database", True, True)
    assert (str(seen[1].before), str(seen[1].after), seen[1].failing) == (
        "healthy",
        "unhealthy",
        ("database",),
    )
    assert (seen[2].ready, seen[2].reason) == (False, "check 'database' failed")


def test_a_listener_that_fails_does_not_spoil_the_report():
    def broken(_event):
        raise ValueError

    events = Events()
    events.subscribe(HealthChanged, broken)

    assert HealthRegistry(events=events).report().ready


def test_draining_is_announced_as_not_ready():
    events, seen, lifecycle = Events(), [], Lifecycle(drain_delay=0)
    events.subscribe(ReadinessChanged, seen.append)
    lifecycle.mark_ready()
    registry = HealthRegistry(lifecycle=lifecycle, events=events)
    registry.report()
    lifecycle.begin_drain()
    registry.report()

    assert [(event.ready, event.reason) for event in seen] == [(True, "started"), (False, "draining")]


# -- processes -----------------------------------------------------------------------------------------


def test_a_forked_child_forgets_the_runs_of_its_parent(clock):
    release, runs = threading.Event(), []
    registry = HealthRegistry(timeout=0.02, cache_seconds=0, clock=clock)

    def check():
        runs.append(1)
        return len(runs) > 1 or release.wait(30)

    registry.add("database", check)
    registry.report()
    registry.after_fork()  # what the child's hook calls
    clock.advance(1)
    report = registry.report()
    release.set()

    assert statuses(report) == {"database": "healthy"}


def test_a_process_without_threads_to_spare_reports_and_does_not_raise(monkeypatch):
    registry = HealthRegistry()
    registry.add("database", lambda: True)

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert registry.report().checks["database"].error == "RuntimeError: can't start new thread"
