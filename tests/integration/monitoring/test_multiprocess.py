"""Several workers, restarts and kills: the counters add up without any configuration."""

import contextlib
import http.client
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.monitoring.servers import request, running, until

GUNICORN = [sys.executable, "-m", "gunicorn", "--log-level", "error", "-b", "127.0.0.1:{port}", "-w", "4"]
UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--port", "{port}", "--workers", "3"]
SERVERS = {
    "gunicorn-sync": ([*GUNICORN, "metrics_app:wsgi"], 4),
    "gunicorn-preload": ([*GUNICORN, "--preload", "metrics_app:wsgi"], 1),
    "gunicorn-asgi": ([*GUNICORN, "-k", "asgi", "metrics_app:app"], 4),
    "uvicorn": ([*UVICORN, "metrics_app:app"], 3),
}


def exposed(port, name):
    text = request(port, "/metrics")[1].decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def pids(port):
    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(lambda _: request(port, "/pid")[1], range(64)))


def work(port, count):
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, _ in pool.map(lambda _: request(port, "/work"), range(count))} == {200}


def kill_one(port):
    with contextlib.suppress(OSError, http.client.HTTPException):  # the connection ends in the middle
        request(port, "/die", timeout=2)


@pytest.mark.parametrize("server", SERVERS)
def test_counters_of_all_workers_add_up_whoever_answers(server):
    command, imports = SERVERS[server]
    with running(command, ready="/pid") as (_process, port):
        until(lambda: len(pids(port)) > 1, 10)
        work(port, 200)

        answers = {exposed(port, 'hits_total{kind="work"}') for _ in range(20)}
        observed = exposed(port, "took_seconds_count")
        imported = exposed(port, 'hits_total{kind="import"}')

    assert answers == {200.0}
    assert observed == 200.0
    assert imported == imports  # with preload the one import is counted once, not once per worker


@pytest.mark.parametrize("server", ["gunicorn-preload", "gunicorn-asgi", "uvicorn"])
def test_killed_workers_lose_no_count_and_their_successors_leave_no_files_behind(server):
    command, _ = SERVERS[server]
    with running(command, ready="/pid") as (_process, port):
        until(lambda: len(pids(port)) > 1, 10)
        work(port, 50)
        files = len(slots())
        for _ in range(6):
            kill_one(port)
            assert until(lambda: request(port, "/pid")[0] == 200, 10)
            work(port, 10)
        until(lambda: len(pids(port)) > 1, 10)
        total = exposed(port, 'hits_total{kind="work"}')
        after = len(slots())

    assert total == 110.0
    assert after <= files + 2  # a slot is taken over; two may have been looked at by a scrape just then


def test_counters_never_go_down_while_workers_come_and_go():
    command, _ = SERVERS["gunicorn-preload"]
    seen = []
    with running(command, ready="/pid") as (_process, port):
        for round_number in range(4):
            work(port, 20)
            for _ in range(5):
                seen.append(exposed(port, 'hits_total{kind="work"}'))
            if round_number % 2:
                kill_one(port)
            time.sleep(0.05)

    assert seen == sorted(seen)
    assert seen[-1] == 80.0


def slots():
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path("/tmp")
    return list(base.glob("shared-metrics-*/counting-service-*/slot-????"))
