"""The exchange at hand: for what runs inside of a request and was not handed one."""

from shared.api import Job, Pipeline, RateLimits
from shared.api._current import exchange_at_hand
from shared.context import bound
from tests.unit.api._drive import Lines


class Recorder(Job):
    def __init__(self, *, idle=False):
        self.idle = idle
        self.asked = []

    def on_request(self, exchange):
        self.asked.append(exchange)

    def on_headers(self, exchange, status, headers):
        headers.set("X-Asked", "yes")


async def serve(pipeline, inside=lambda: None):
    from shared.api.asgi import AsgiLayer

    sent = []

    async def application(scope, receive, send):
        inside()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    await AsgiLayer(application, pipeline)(scope, receive, send)
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_there_is_none_outside_of_a_request():
    assert exchange_at_hand() is None


async def test_exchange_is_at_hand_inside_of_a_request_alone():
    found = []

    await serve(Pipeline(access=Lines()), lambda: found.append(exchange_at_hand()))

    assert found[0].path == "/"
    assert found[0].context.exchange is None
    assert exchange_at_hand() is None


async def test_exchange_is_at_hand_where_fields_are_bound_for_one_task():
    found = []

    def inside():
        with bound(step="pay"):
            found.append(exchange_at_hand())

    await serve(Pipeline(access=Lines()), inside)

    assert found[0] is not None


async def test_change_of_headers_is_made_for_the_request_that_asked():
    pipeline = Pipeline(access=Lines())

    def inside():
        exchange_at_hand().before_headers(
            lambda exchange, status, headers: headers.set("X-Late", str(status))
        )

    assert (await serve(pipeline, inside))["x-late"] == "200"
    assert "x-late" not in await serve(pipeline)


async def test_idle_job_is_not_asked_and_can_be_found():
    job = Recorder(idle=True)
    pipeline = Pipeline(access=Lines(), jobs=[job])
    found = []

    headers = await serve(pipeline, lambda: found.append(exchange_at_hand().job(Recorder)))

    assert (job.asked, "x-asked" in headers) == ([], False)
    assert found == [job]
    assert pipeline.job(RateLimits) is None


async def test_job_that_is_not_idle_is_asked():
    job = Recorder()

    headers = await serve(Pipeline(access=Lines(), jobs=[job]))

    assert (len(job.asked), headers["x-asked"]) == (1, "yes")


def test_limits_of_routes_alone_are_no_work_for_other_requests():
    limits, none = RateLimits("5/minute"), RateLimits()

    assert (limits.idle, none.idle) == (False, True)
    assert not Pipeline(jobs=[none]).on_request
    assert not Pipeline(jobs=[none]).decorates
