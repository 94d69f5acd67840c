"""A worker has what a service has, and ends in order."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from shared.config import get_settings
from shared.context import get_correlation_id, get_trace
from shared.errors import ConfigurationError
from shared.monitoring import LifecycleState, Metrics, get_metrics
from shared.runtime import current
from shared.service import worker


def run_script(code, *, stop_on=None, timeout=30):
    """Run *code* in a process of its own; send SIGTERM when it prints *stop_on*."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-u", "-c", code],
        env={
            **os.environ,
            "ENV_FILE": "off",
            "ENVIRONMENT": "testing",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        if stop_on is not None:
            for line in process.stdout:
                if stop_on in line:
                    process.send_signal(signal.SIGTERM)
                    break
        out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def test_worker_has_settings_runtime_and_a_name(shared_runtime):
    with worker("billing") as billing:
        assert billing.settings.app.SERVICE_NAME == "billing"
        assert get_settings().app.SERVICE_NAME == "billing"
        assert current() is billing.runtime
        assert str(billing.explain()).startswith("billing (worker, testing)")


def test_accessors_find_the_worker_from_a_plain_thread(shared_runtime):
    names = []
    with worker("billing"):
        thread = threading.Thread(target=lambda: names.append(get_settings().app.SERVICE_NAME))
        thread.start()
        thread.join()

    assert names == ["billing"]


def test_process_default_is_restored_at_the_end(shared_runtime):
    with worker("billing"):
        pass

    assert current() is shared_runtime


def test_worker_outside_of_its_block_says_so():
    with pytest.raises(ConfigurationError, match="the worker is not running"):
        _ = worker("billing").settings


def test_worker_cannot_be_entered_twice(shared_runtime):
    with worker("billing") as billing, pytest.raises(ConfigurationError, match="already running"):
        billing.__enter__()


def test_worker_can_be_used_again_after_its_end(shared_runtime):
    billing = worker("billing")
    for _ in range(2):
        with billing:
            assert not billing.stopping


def test_async_worker_closes_what_can_only_be_awaited(shared_runtime):
    class Client:
        closed = False

        async def aclose(self):
            self.closed = True

    async def main():
        async with worker("billing") as billing:
            return billing.runtime.get(Client, lambda _: Client())

    assert asyncio.run(main()).closed is True


def test_task_has_an_identity_and_a_line_at_its_end(shared_runtime, log_capture):
    with worker("billing") as billing, billing.task("send", invoice=7):
        inside = get_correlation_id()

    line = next(event for event in log_capture if event["event"] == "task finished")
    assert line["correlation_id"] == inside
    assert (line["task"], line["invoice"]) == ("send", 7)
    assert line["duration_ms"] >= 0


def test_task_continues_the_trace_of_the_message(shared_runtime):
    headers = {
        "x-correlation-id": "c-9",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    with worker("billing") as billing, billing.task("send", headers=headers):
        assert get_correlation_id() == "c-9"
        assert get_trace().trace_id == "0af7651916cd43dd8448eb211c80319c"
        assert get_trace().parent_id == "b7ad6b7169203331"


@pytest.mark.parametrize("hostile", ["", "a\r\nb", "x" * 200, "\ud800"])
def test_task_replaces_a_hostile_id(shared_runtime, hostile):
    headers = {"X-Correlation-ID": hostile, "traceparent": hostile}
    with worker("billing") as billing, billing.task("send", headers=headers):
        assert len(get_correlation_id()) == 32


def test_failed_task_is_logged_with_its_exception_and_raised(shared_runtime, log_capture):
    with worker("billing") as billing, pytest.raises(ValueError, match="no"), billing.task("send"):
        raise ValueError("no")

    line = next(event for event in log_capture if event["event"] == "task failed")
    assert (line["level"], line["error"]) == ("error", "ValueError")


def test_task_counts_as_work_in_flight(shared_runtime):
    with worker("billing") as billing:
        lifecycle = billing._service.lifecycle
        with billing.task("send"):
            assert lifecycle.in_flight == 1
        assert lifecycle.in_flight == 0


def test_sleep_returns_at_once_when_asked_to_stop(shared_runtime):
    with worker("billing") as billing:
        billing.stop()

        assert billing.sleep(3600) is True
        assert billing.stopping


def test_sleep_ends_by_itself_when_nobody_asks(shared_runtime):
    with worker("billing") as billing:
        assert billing.sleep(0) is False


async def test_asynchronous_sleep_is_woken_from_another_thread(shared_runtime):
    async with worker("billing") as billing:
        waiting = asyncio.create_task(billing.asleep(3600))
        await asyncio.sleep(0)
        await asyncio.to_thread(billing.stop)

        assert await waiting is True
        assert await billing.asleep(3600) is True


async def test_asynchronous_sleep_ends_by_itself(shared_runtime):
    async with worker("billing") as billing:
        assert await billing.asleep(0) is False


def test_lifecycle_is_ready_inside_and_stopped_after(shared_runtime):
    with worker("billing") as billing:
        lifecycle = billing._service.lifecycle
        assert lifecycle.state is LifecycleState.READY

    assert lifecycle.state is LifecycleState.STOPPED


# --- probes -----------------------------------------------------------------------------


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def test_probes_answer_on_a_port_of_their_own(shared_runtime):
    with worker("billing", health_port=0) as billing:
        answers = [get(billing.health_port, path)[0] for path in ("/health", "/ready", "/live", "/other")]
        billing.stop()
        draining = [get(billing.health_port, path)[0] for path in ("/ready", "/live")]

    assert answers == [200, 200, 200, 404]
    assert draining == [503, 200]


def test_probe_of_a_failing_check_refuses(shared_runtime):
    checks = [("queue", lambda: False)]
    with worker("billing", checks=checks, health_port=0) as billing:
        assert get(billing.health_port, "/ready")[0] == 503


def test_taken_port_is_a_clear_error(shared_runtime):
    with worker("one", health_port=0) as one, pytest.raises(ConfigurationError, match="cannot listen there"):
        worker("two", health_port=one.health_port).__enter__()


@pytest.mark.parametrize("port", [-1, 70_000])
def test_impossible_port_is_a_clear_error(shared_runtime, port):
    with pytest.raises(ConfigurationError, match="health_port"):
        worker("billing", health_port=port).__enter__()


def test_without_health_no_port_is_opened(shared_runtime):
    with worker("billing", health_port=0, without=["health"]) as billing:
        assert billing.health_port is None


# --- signals ------------------------------------------------------------------------------


def test_sigterm_lets_a_loop_end_by_itself():
    code = (
        "from shared.service import worker\n"
        "with worker('billing') as w:\n"
        "    print('up')\n"
        "    while not w.sleep(60): pass\n"
        "print('done')\n"
    )

    status, out, err = run_script(code, stop_on="up")

    assert (status, err) == (0, "")
    assert out.rstrip().endswith("done")


def test_sigterm_waits_for_the_task_under_way():
    code = (
        "import time\n"
        "from shared.service import worker\n"
        "with worker('billing') as w:\n"
        "    with w.task('send'):\n"
        "        print('up')\n"
        "        while not w.stopping: time.sleep(0.01)\n"
        "        print('still working')\n"
        "print('done')\n"
    )

    status, out, _err = run_script(code, stop_on="up")

    assert status == 0
    assert out.index("still working") < out.index("task finished") < out.index("done")


def test_sigterm_ends_a_script_that_does_not_look():
    code = (
        "import time\n"
        "from shared.service import worker\n"
        "with worker('report') as w:\n"
        "    print('up')\n"
        "    time.sleep(60)\n"
    )

    status, out, _err = run_script(code, stop_on="up")

    assert status == 128 + signal.SIGTERM
    assert "worker stopped" in out


def test_failure_in_the_block_is_logged_once_and_raised():
    code = "from shared.service import worker\nwith worker('report'):\n    raise RuntimeError('broken')\n"

    status, out, err = run_script(code)

    assert status == 1
    assert "worker failed" in out
    assert "broken" in out + err


def test_wrong_settings_end_the_worker_before_it_starts():
    code = (
        "import os; os.environ['DB_POOL_SIZE'] = 'many'\n"
        "from shared.service import worker\n"
        "with worker('report'): print('never')\n"
    )

    status, out, err = run_script(code)

    assert status != 0
    assert "never" not in out
    assert "DB_POOL_SIZE: expected an integer" in err


def test_tasks_are_counted_as_jobs(shared_runtime):
    with worker("billing") as billing:
        metrics = billing.runtime.find(Metrics)
        with billing.task("send"):
            active = metrics.value("job_active", {"job_name": "send"})
        with pytest.raises(ValueError, match="no"), billing.task("send"):
            raise ValueError("no")

        assert (active, metrics.value("job_active", {"job_name": "send"})) == (1, 0)
        runs = [
            metrics.value("job_runs_total", {"job_name": "send", "outcome": outcome})
            for outcome in ("success", "failure")
        ]
        assert runs == [1, 1]
        assert metrics.value("job_duration_seconds_count", {"job_name": "send"}) == 2


def test_without_metrics_a_task_runs_uncounted(shared_runtime):
    with worker("billing", without=["metrics"]) as billing:
        metrics = get_metrics()  # as a room does that counts for itself
        with billing.task("send"):
            pass

        assert metrics.value("job_runs_total", {"job_name": "send", "outcome": "success"}) is None
