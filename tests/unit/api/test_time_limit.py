"""Waits end on events; the limits are short, and what must not happen in time takes for ever."""

import asyncio
import json
import threading

import pytest

from shared.api import Job, LayerOptions, Pipeline
from shared.api.asgi import AsgiLayer
from shared.errors import ServiceUnavailableError
from shared.monitoring import Lifecycle
from tests.unit.api._drive import asgi

SHORT = 0.02  # seconds
LONG = 3600.0


@pytest.fixture
def layer(runtime, lines):
    def made(app, limit=SHORT, **more):
        return AsgiLayer(
            app, Pipeline(LayerOptions(request_timeout=limit), runtime=runtime, access=lines, **more)
        )

    return made


async def answer(send, body=b"ok"):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def for_ever(_scope, _receive, _send):
    await asyncio.Event().wait()


async def test_handler_that_takes_too_long_is_a_504(layer, lines):
    found = await asgi(layer(for_ever))

    assert (found.status, json.loads(found.body)["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    assert found.header("X-Correlation-ID")
    assert (lines.only["status"], lines.only["level"]) == (504, "error")


async def test_handler_is_told_to_stop(layer):
    told = []

    async def app(*_):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("stop")
            raise

    await asgi(layer(app))

    assert told == ["stop"]


async def test_task_of_the_server_goes_on(layer):
    await asgi(layer(for_ever))

    await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_answer_in_time_is_untouched(layer):
    async def app(_scope, _receive, send):
        await answer(send)

    assert (await asgi(layer(app, limit=LONG))).body == b"ok"


async def test_stream_that_has_begun_may_take_its_time(layer):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(SHORT * 3)
        await send({"type": "http.response.body", "body": b"late"})

    found = await asgi(layer(app))

    assert (found.status, found.body) == (200, b"late")


async def test_work_behind_the_answer_may_take_its_time(layer):
    done = []

    async def app(_scope, _receive, send):
        await answer(send)
        await asyncio.sleep(SHORT * 3)
        done.append(1)

    await asgi(layer(app))

    assert done == [1]


async def test_client_does_not_wait_for_a_thread_that_cannot_be_stopped(layer):
    release, answered = threading.Event(), asyncio.Event()

    async def app(_scope, _receive, send):
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, release.wait, 30))
        await answer(send)

    async def send(message):
        if message["type"] == "http.response.body":
            answered.set()

    request = asyncio.create_task(asgi(layer(app), send=send))
    await asyncio.wait_for(answered.wait(), 20)
    release.set()

    assert (await request).status == 504


async def test_handler_that_will_not_stop_is_not_heard_any_more(layer, lines):
    async def app(_scope, _receive, send):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await answer(send, b"too late")

    found = await asgi(layer(app))

    assert found.status == 504
    assert b"too late" not in found.body
    assert len([message for message in found.messages if message["type"] == "http.response.start"]) == 1
    assert lines.only["status"] == 504


async def test_error_made_of_the_cancellation_is_not_a_second_answer(layer, lines):
    async def app(*_):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("interrupted") from None

    assert (await asgi(layer(app))).status == 504
    assert lines.only["status"] == 504


async def test_job_that_takes_too_long_is_a_504(layer):
    class Slow(Job):
        async def on_request_async(self, exchange):
            await asyncio.Event().wait()

    assert (await asgi(layer(for_ever, jobs=[Slow()]))).status == 504


async def test_job_that_refuses_too_late_is_not_heard_any_more(layer):
    class Stubborn(Job):
        async def on_request_async(self, exchange):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return ServiceUnavailableError()

    found = await asgi(layer(for_ever, jobs=[Stubborn()]))

    assert [m["type"] for m in found.messages] == ["http.response.start", "http.response.body"]
    assert found.status == 504


async def test_cancellation_from_outside_stays_one(layer, lines):
    started = asyncio.Event()

    async def app(*_):
        started.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(asgi(layer(app, limit=LONG)))
    await started.wait()
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request
    assert lines.only["outcome"] == "cancelled"


async def test_exchange_that_timed_out_is_no_longer_in_flight(layer):
    lifecycle = Lifecycle()

    await asgi(layer(for_ever, in_flight=lifecycle))

    assert lifecycle.in_flight == 0


async def test_client_that_left_before_the_504_is_no_failure(layer, lines):
    async def gone(_message):
        raise OSError("gone")

    await asgi(layer(for_ever), send=gone)

    assert lines.only["outcome"] == "disconnected"
