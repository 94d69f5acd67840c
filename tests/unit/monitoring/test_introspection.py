import asyncio
import signal
import threading
import time

import pytest

from shared.config import get_settings, override_settings
from shared.context import RequestContext
from shared.errors import InvalidArgumentError
from shared.monitoring import (
    AlertEvaluator,
    HealthRegistry,
    Lifecycle,
    Metrics,
    ReportOnSignal,
    RuntimeReport,
    ThresholdAlert,
    get_health_registry,
    get_lifecycle,
    get_metrics,
)
from shared.runtime import Runtime, use
from tests.unit.monitoring.children import run_code


@pytest.fixture
def runtime():
    with use(Runtime("orders")) as made:
        yield made
        made.close()


class Exchange:
    """A request as the request layer counts it."""

    method, route, path = "GET", "/a/{id}", "/a/somebody@example.org"
    context = RequestContext("c-2", "r-2")


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def reports_in(path):
    """How many reports are whole; a line of this file in a stack that is shown there is none."""
    return path.exists() and path.read_text().splitlines().count("==== end of report ====")


def test_an_empty_runtime_is_reported_and_nothing_is_built(runtime):
    found = RuntimeReport(runtime).to_dict()

    assert found["process"]["runtime"] == "orders"
    assert [found[name] for name in ("lifecycle", "health", "metrics", "alerts", "settings")] == ["none"] * 5
    assert "built=[]" in repr(runtime)


def test_settings_are_shown_without_their_secrets(runtime):
    with override_settings(DATABASE_URL="postgresql://app:hunter2-pw@db/orders", JWT_SECRET_KEY="k" * 40):
        get_settings()
        text = RuntimeReport(runtime).text()

    assert "hunter2-pw" not in text
    assert "k" * 40 not in text


def test_requests_in_flight_are_named_by_their_ids(runtime):
    get_lifecycle().drain_delay = get_lifecycle().drain_timeout = 0.0
    get_lifecycle().enter(RequestContext("c-1", "r-1"))
    get_lifecycle().enter("job-7")
    get_lifecycle().enter(Exchange())

    found = RuntimeReport(runtime).to_dict()["lifecycle"]

    assert found["in_flight"] == 3
    assert {"correlation_id": "c-2", "request_id": "r-2", "method": "GET", "route": "/a/{id}"} in found[
        "work"
    ]
    assert {"correlation_id": "c-1", "request_id": "r-1"} in found["work"]
    assert "job-7" in found["work"]


def test_health_is_what_is_known_and_runs_no_check(runtime):
    runs = []
    get_health_registry().add("database", lambda: runs.append(1))
    before = RuntimeReport(runtime).to_dict()["health"]
    get_health_registry().report()
    after = RuntimeReport(runtime).to_dict()["health"]

    assert before["database"] == "unknown"
    assert after["database"] == "healthy"
    assert len(runs) == 1


def test_gauges_and_firing_alerts_are_shown(runtime):
    get_metrics().gauge("pool_used", "Help.", ["pool"]).labels("main").set(7)
    get_metrics().gauge("depth", "Help.").set(3)
    evaluator = AlertEvaluator([ThresholdAlert("queue", lambda: 5, above=1)], metrics=get_metrics())
    evaluator.tick()
    runtime.replace(AlertEvaluator, evaluator)

    found = RuntimeReport(runtime).to_dict()

    assert (found["metrics"]["pool_used{pool=main}"], found["metrics"]["depth"]) == (7, 3)
    assert found["alerts"] == {"firing": ["queue"]}


def test_threads_are_shown_with_their_stacks(runtime):
    release = threading.Event()

    def stuck_in_here():
        release.wait(30)

    thread = threading.Thread(target=stuck_in_here, name="stuck")
    thread.start()
    found = {each["name"]: each for each in RuntimeReport(runtime).to_dict()["threads"]}
    release.set()
    thread.join()

    assert any("stuck_in_here" in line for line in found["stuck"]["stack"])
    assert "MainThread" in found


async def test_tasks_are_shown_with_where_they_wait(runtime):
    async def waiting_here():
        await asyncio.sleep(30)

    report = RuntimeReport(runtime)
    report.watch_loop()
    task = asyncio.create_task(waiting_here(), name="waiter")
    await asyncio.sleep(0)
    found = {each["name"]: each for each in report.to_dict()["tasks"]["tasks"]}
    task.cancel()

    assert found["waiter"]["coroutine"].endswith("waiting_here")
    assert "waiting_here" in found["waiter"]["stack"][0]


def test_a_part_that_fails_says_so_and_the_others_are_there(runtime):
    report = RuntimeReport(runtime)
    report.add_section("broken", lambda: 1 / 0)
    report.add_section("pool", lambda: {"used": 1})

    found = report.to_dict()

    assert found["broken"] == "not available: ZeroDivisionError"
    assert found["pool"] == {"used": 1}


# -- the signal ------------------------------------------------------------------------


def test_the_signal_appends_a_report_to_a_private_file(runtime, tmp_path):
    path = tmp_path / "report.txt"
    before = signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    reports = ReportOnSignal(RuntimeReport(runtime), path=path)
    reports.install()
    reports.install()
    try:
        for count in (1, 2):
            signal.raise_signal(signal.SIGUSR2)
            assert until(lambda wanted=count: reports_in(path) == wanted)
    finally:
        reports.uninstall()
        after = signal.signal(signal.SIGUSR2, before)

    assert path.stat().st_mode & 0o777 == 0o600
    assert after is signal.SIG_DFL


def test_who_handled_the_signal_before_still_gets_it(runtime, tmp_path):
    got = []
    before = signal.signal(signal.SIGUSR2, lambda *_: got.append(1))
    reports = ReportOnSignal(RuntimeReport(runtime), path=tmp_path / "r")
    try:
        reports.install()
        signal.raise_signal(signal.SIGUSR2)
        until(lambda: (tmp_path / "r").exists())
        reports.uninstall()
        signal.raise_signal(signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)

    assert got == [1, 1]


def test_another_thread_may_not_install(runtime):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ReportOnSignal(RuntimeReport(runtime)).install()))
    thread.start()
    thread.join()

    assert answers == [False]


def test_nowhere_to_write_harms_nobody(runtime, tmp_path):
    ReportOnSignal(RuntimeReport(runtime), path=tmp_path / "absent" / "r").write()


def test_a_platform_without_the_signal_says_so():
    with pytest.raises(InvalidArgumentError, match="no SIGUSR2"):
        ReportOnSignal(signum=0)


def test_without_a_file_the_report_goes_to_standard_error_and_the_process_lives(tmp_path):
    code, output, _ = run_code(
        """
        import os, pathlib, signal, sys, time
        from shared.monitoring import ReportOnSignal
        target = pathlib.Path(sys.argv[1])
        os.dup2(os.open(target, os.O_WRONLY | os.O_CREAT), 2)
        ReportOnSignal().install()
        os.kill(os.getpid(), signal.SIGUSR2)
        end = time.monotonic() + 30
        while "==== end of report ====" not in target.read_text().splitlines() and time.monotonic() < end:
            time.sleep(0.01)
        print("alive", '"name": "MainThread"' in target.read_text())
        """,
        str(tmp_path / "stderr"),
    )

    assert (code, output) == (0, ["alive", "True"])


def test_the_instances_are_those_of_the_given_runtime():
    first, second = Runtime("a"), Runtime("b")
    for made in (first, second):
        made.provide(Metrics, lambda _: Metrics("x", multiprocess=False))
        made.provide(Lifecycle, lambda _: Lifecycle(drain_delay=0))
        made.provide(HealthRegistry, lambda _: HealthRegistry())
    first.get(Metrics).gauge("only_in_a", "Help.").set(1)
    second.get(Metrics)

    found = RuntimeReport(second).to_dict()["metrics"]
    first.close()
    second.close()

    assert "only_in_a" not in found
