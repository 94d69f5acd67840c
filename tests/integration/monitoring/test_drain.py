"""SIGTERM under load against the servers people use: nobody's request fails."""

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.monitoring.servers import request, running, until

HERE = Path(__file__).parent
DELAY = 3.0  # seconds; long, so that a busy machine does not decide

UVICORN = [sys.executable, "-m", "uvicorn", "drain_app:app", "--host", "127.0.0.1", "--log-level", "error"]
GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "--config",
    str(HERE / "gunicorn_conf.py"),
    "--graceful-timeout",
    "15",
]
SERVERS = {
    "uvicorn": [*UVICORN, "--port", "{port}"],
    "gunicorn-asgi": [*GUNICORN, "-b", "127.0.0.1:{port}", "-k", "asgi", "drain_app:app"],
    "gunicorn-gthread": [
        *GUNICORN,
        "-b",
        "127.0.0.1:{port}",
        "-k",
        "gthread",
        "--threads",
        "16",
        "drain_app:wsgi",
    ],
}


def get(port, path):
    return request(port, path)[0]


def start(server):
    return running(SERVERS[server], DRAIN_DELAY=str(DELAY))


@pytest.mark.parametrize("server", SERVERS)
def test_sigterm_under_load_refuses_readiness_at_once_and_fails_no_request(server):
    results, failures, stop = [], [], threading.Event()

    def client(port):
        while not stop.is_set():
            try:
                results.append(get(port, "/work"))
            except OSError as exc:  # a listener that is gone refuses; a load balancer looked away by then
                if not stop.is_set():
                    failures.append(exc)

    with start(server) as (process, port):
        clients = [threading.Thread(target=client, args=(port,)) for _ in range(8)]
        for each in clients:
            each.start()
        time.sleep(0.4)
        process.send_signal(signal.SIGTERM)
        refused = until(lambda: get(port, "/ready") == 503, DELAY * 0.6)
        live = get(port, "/live")
        time.sleep(DELAY / 10)  # what a load balancer needs; the service still serves
        stop.set()
        for each in clients:
            each.join()
        output, _ = process.communicate(timeout=20)

    assert refused, "readiness did not drop while the service was still serving"
    assert live == 200
    assert failures == []
    assert set(results) == {200}
    assert output.count("flushed by") == 1


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_in_flight_when_the_server_stops_is_finished(server):
    answers = []
    with start(server) as (process, port):
        # Longer than the delay: it is under way when the server itself hears of the signal.
        late = threading.Thread(target=lambda: answers.append(request(port, "/slow", timeout=30)[0]))
        late.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        late.join()
        process.communicate(timeout=20)

    assert answers == [200]
