"""What must hold when clients are many, hostile or gone."""

import asyncio
import contextlib
import io
import os
import random
import re
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.config import Settings
from shared.database import Base, Database, tables_of
from shared.monitoring import HealthCheck, get_metrics, get_performance_metrics, monitor_task_execution
from shared.service import install, worker
from tests.integration.monitoring.servers import request, running, until

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "BREW", "X" * 30)


async def drive(app, method, path):
    """Send one request to an ASGI application; return the status."""
    statuses = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"orders")],
        "client": ("10.0.0.1", 1234),
        "server": ("orders", 80),
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def drive_wsgi(app, method, path):
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "orders",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "10.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    answer = app(environ, lambda *_: None)
    try:
        list(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()


def series(service_metrics):
    return sum(len(reading.numbers) for reading in service_metrics.collect())


async def test_ten_thousand_random_paths_leave_the_number_of_series_constant(make_app):
    settings = Settings(ENVIRONMENT="testing", LOG_ACCESS=False, LOG_LEVEL="CRITICAL")
    app, dice = install(make_app(), settings), random.Random(7)
    paths = [f"/{dice.getrandbits(64):x}/{dice.getrandbits(32)}" for _ in range(10_000)]

    async def send(method, path):
        if make_app.kind == "flask":
            drive_wsgi(app, method, path)
        else:
            await drive(app, method, path)

    for method in METHODS:
        await send(method, "/first")
    before = series(get_metrics())
    for number, path in enumerate(paths):
        await send(METHODS[number % len(METHODS)], path)

    assert series(get_metrics()) == before


@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
async def test_a_thousand_ready_requests_run_a_slow_check_once(asgi_app, kind):
    runs = []

    async def slow():
        runs.append(1)
        await asyncio.sleep(0.3)

    def slow_in_a_thread():
        runs.append(1)
        time.sleep(0.3)

    chosen = slow if kind == "asynchronous" else slow_in_a_thread
    settings = Settings(ENVIRONMENT="testing", LOG_ACCESS=False, HEALTH_CACHE_SECONDS=60)
    app = install(asgi_app, settings, checks=[HealthCheck("slow", chosen, timeout=60.0)])
    async with asgi_lifespan(app):
        statuses = await asyncio.gather(*(drive(app, "GET", "/ready") for _ in range(1000)))

    assert set(statuses) == {200}
    assert len(runs) == 1


@contextlib.asynccontextmanager
async def asgi_lifespan(app):
    """Run start-up and shutdown around the block, as a server does."""
    inbox, told = asyncio.Queue(), asyncio.Queue()
    running_app = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, told.put)
    )
    await inbox.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    yield
    await inbox.put({"type": "lifespan.shutdown"})
    await told.get()
    await running_app


async def test_a_hung_check_neither_blocks_nor_multiplies(asgi_app):
    release, entered = threading.Event(), []

    def hung():
        entered.append(1)
        release.wait(60)

    settings = Settings(ENVIRONMENT="testing", LOG_ACCESS=False, HEALTH_CACHE_SECONDS=0)
    app = install(asgi_app, settings, checks=[HealthCheck("hung", hung, timeout=0.05)])
    try:
        async with asgi_lifespan(app):
            statuses = [await drive(app, "GET", "/ready") for _ in range(20)]
            alive = await drive(app, "GET", "/live")
            served = await drive(app, "GET", "/hello")
    finally:
        release.set()

    assert set(statuses) == {503}
    assert (alive, served, len(entered)) == (200, 200, 1)


def active(port):
    text = request(port, "/metrics", timeout=30)[1].decode()
    # The scrape itself is under way while it is answered.
    return float(re.search(r"^http_server_active_requests (\S+)$", text, re.MULTILINE)[1]) - 1


@pytest.mark.parametrize("path", ["/stream", "/poll"])
def test_clients_that_go_away_bring_the_gauge_back_to_0(path):
    command = [sys.executable, "-m", "uvicorn", "--log-level", "error", "--port", "{port}", "stream_app:app"]
    folder = str(Path(__file__).parent)
    paths = os.pathsep.join([folder, *(path or os.getcwd() for path in sys.path)])
    with running(command, ready="/live", PYTHONPATH=paths, ENVIRONMENT="testing") as (_process, port):
        clients = []
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", port), timeout=30)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: streams\r\n\r\n".encode())
            clients.append(client)
        assert until(lambda: active(port) == 20, 30)

        for client in clients:
            client.close()

        assert until(lambda: active(port) == 0, 30)


def test_metrics_and_rollups_agree_among_threads_and_kinds(tmp_path):
    url = f"sqlite:///{tmp_path}/rollups.db"
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables_of("monitoring"))
    with worker("billing", Settings(ENVIRONMENT="testing", DATABASE_URL=url), without=["logging"]):

        @monitor_task_execution("charge", user_id="u-1")
        def charge(number):
            if number % 5 == 0:
                raise ValueError

        @monitor_task_execution("settle")
        async def settle():
            await asyncio.sleep(0)

        def work():
            for number in range(100):
                with contextlib.suppress(ValueError):
                    charge(number)
            asyncio.run(settle())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tasks = get_performance_metrics()["tasks"]
        counted = {
            (name, outcome): get_metrics().value(
                "monitored_call_duration_seconds_count", {"kind": "task", "name": name, "outcome": outcome}
            )
            for name, outcome in (("charge", "success"), ("charge", "error"), ("settle", "success"))
        }

    assert counted == {("charge", "success"): 640, ("charge", "error"): 160, ("settle", "success"): 8}
    assert (tasks["charge"]["count"], tasks["charge"]["errors"], tasks["settle"]["count"]) == (800, 160, 8)
