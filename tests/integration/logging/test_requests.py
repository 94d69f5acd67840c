"""What is bound anywhere in a request reaches the lines of the whole request."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import Depends, FastAPI

from shared.context import (
    ContextThreadPoolExecutor,
    RequestContext,
    TraceContext,
    enter_context,
    leave_context,
    with_context,
)
from shared.logging import AccessLog, MemorySink, bind, bound, configure_logging, get_logger

log = get_logger("app")


class Layer:
    """The least a request layer does: one context per request, one access line at its end."""

    def __init__(self, app):
        self.app = app
        self.access = AccessLog()

    async def __call__(self, scope, receive, send):
        correlation_id = dict(scope["headers"]).get(b"x-correlation-id", b"made").decode()
        token = enter_context(RequestContext(correlation_id, f"r-{correlation_id}", TraceContext.new()))
        try:
            await self.app(scope, receive, send)
        finally:
            self.access.write({"method": scope["method"], "path": scope["path"]}, level="info")
            leave_context(token)


def sync_dependency():
    bind(sync_dependency=True)


async def async_dependency():
    bind(async_dependency=True)


def make_app():
    app = FastAPI()

    @app.get("/sync", dependencies=[Depends(sync_dependency), Depends(async_dependency)])
    def sync_endpoint():
        bind(endpoint="sync")
        log.info("in the endpoint")
        return {}

    @app.get("/async", dependencies=[Depends(sync_dependency)])
    async def async_endpoint():
        bind(endpoint="async")
        log.info("in the endpoint")

        async def part(number):
            with bound(part=number):
                await asyncio.sleep(0)
                log.info("part")

        await asyncio.gather(*(part(number) for number in range(3)))
        log.info("afterwards")
        return {}

    @app.get("/executors")
    async def executors():
        bind(endpoint="executors")
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, with_context(lambda: log.info("with context")))
            await loop.run_in_executor(pool, lambda: log.info("without"))
        with ContextThreadPoolExecutor(1) as pool:
            pool.submit(log.info, "context pool").result()
        await asyncio.to_thread(log.info, "to thread")
        return {}

    return Layer(app)


async def call(app, path, correlation_id):
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"x-correlation-id", correlation_id.encode())],
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
    }
    messages = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        messages.append(message)

    await app(scope, receive, send)
    return messages[0]["status"]


@pytest.fixture
def memory():
    memory = MemorySink()
    with configure_logging({}, sink=memory, format="json", service="svc"):
        yield memory


async def test_binds_of_sync_and_async_dependencies_and_endpoints_reach_the_access_line(memory):
    app = make_app()

    assert await call(app, "/sync", "c-1") == 200

    access = memory.events[-1]
    assert access["event"] == "request"
    assert access["correlation_id"] == "c-1"
    assert (access["sync_dependency"], access["async_dependency"], access["endpoint"]) == (True, True, "sync")


async def test_what_a_task_binds_for_itself_stays_with_it(memory):
    await call(make_app(), "/async", "c-2")

    parts = [event for event in memory.events if event["event"] == "part"]
    assert sorted(event["part"] for event in parts) == [0, 1, 2]
    afterwards = next(event for event in memory.events if event["event"] == "afterwards")
    assert "part" not in afterwards
    assert "part" not in memory.events[-1]


async def test_requests_at_the_same_time_do_not_mix(memory):
    app = make_app()

    await asyncio.gather(
        *(call(app, path, f"c-{number}{path[1:]}") for number in range(20) for path in ("/sync", "/async"))
    )

    for event in memory.events:
        if event.get("logger") in ("app", "shared.access"):
            assert event["request_id"] == f"r-{event['correlation_id']}"
            assert event["endpoint"] == event["correlation_id"].lstrip("c-0123456789")


async def test_executors_show_the_request_where_the_context_goes_along(memory):
    await call(make_app(), "/executors", "c-3")

    ids = {event["event"]: event.get("correlation_id") for event in memory.events if event["logger"] == "app"}
    assert ids == {"with context": "c-3", "without": None, "context pool": "c-3", "to thread": "c-3"}


async def test_nothing_of_a_request_is_left_afterwards(memory):
    await call(make_app(), "/sync", "c-4")
    log.info("outside")

    assert "correlation_id" not in memory.events[-1]
    assert "endpoint" not in memory.events[-1]


def test_a_reused_wsgi_thread_does_not_show_the_last_request_to_the_next(memory):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/login":
            bind(user_id="ada")
        log.info("served")
        start_response("200 OK", [])
        return [b""]

    def layer(environ, start_response):
        token = enter_context(RequestContext(environ["ID"], environ["ID"], TraceContext.new()))
        try:
            return app(environ, start_response)
        finally:
            leave_context(token)

    with ThreadPoolExecutor(1) as thread:
        for number, path in enumerate(("/login", "/other")):
            thread.submit(layer, {"PATH_INFO": path, "ID": f"c-{number}"}, lambda *_: None).result()

    served = [event for event in memory.events if event["event"] == "served"]
    assert [event.get("user_id") for event in served] == ["ada", None]
    assert [event["correlation_id"] for event in served] == ["c-0", "c-1"]
