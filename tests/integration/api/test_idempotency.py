"""Idempotency keys on FastAPI, Starlette and Flask: refusals, replays, streams, crashes."""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from flask import Flask, Response
from flask import request as flask_request
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

import shared
from shared.api import Idempotency, Job, LayerOptions, idempotent_request
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.api._idempotency_key import fingerprint_of, idempotency_key
from shared.cache import MemoryReplays
from shared.context import set_principal
from shared.database import Database, IdempotencyKey
from shared.errors import (
    BadRequestError,
    ConfigurationError,
    ServiceUnavailableError,
    ValidationError,
)


class Work:
    """What the three applications do when asked."""

    def __init__(self):
        self.done = []
        self.status = 201
        self.error = None
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, asked):
        self.entered.set()
        assert self.go_on.wait(30)
        self.done.append(asked)
        if self.error is not None:
            raise self.error
        return {"number": len(self.done), "asked": asked}


def fastapi_app(work):
    app = FastAPI()

    @app.post("/orders")
    def orders(body: dict):
        made = work(body)
        return JSONResponse(made, work.status, headers={"X-Made": str(made["number"]), "Set-Cookie": "a=b"})

    @app.post("/orders/{n}/pay")
    async def pay(n: int):
        return work(n)

    @app.post("/large/{size}")
    async def large(size: int):
        work(size)
        return StreamingResponse(b"x" * 100 for _ in range(size // 100))

    @app.post("/events")
    async def events():
        work("events")
        return StreamingResponse(iter([b"data: 1\n\n"]), media_type="text/event-stream")

    @app.get("/orders")
    async def listed():
        return work("list")

    return app


def starlette_app(work):
    def orders(request: Request):
        made = work(request.state.body)
        return JSONResponse(made, work.status, headers={"X-Made": str(made["number"]), "Set-Cookie": "a=b"})

    async def read_first(request):
        from starlette.concurrency import run_in_threadpool

        request.state.body = await request.json()
        return await run_in_threadpool(orders, request)

    async def pay(request):
        return JSONResponse(work(request.path_params["n"]))

    async def large(request):
        size = request.path_params["size"]
        work(size)
        return StreamingResponse(b"x" * 100 for _ in range(size // 100))

    async def events(_request):
        work("events")
        return StreamingResponse(iter([b"data: 1\n\n"]), media_type="text/event-stream")

    async def listed(_request):
        return JSONResponse(work("list"))

    return Starlette(
        routes=[
            Route("/orders", read_first, methods=["POST"]),
            Route("/orders", listed),
            Route("/orders/{n:int}/pay", pay, methods=["POST"]),
            Route("/large/{size:int}", large, methods=["POST"]),
            Route("/events", events, methods=["POST"]),
        ]
    )


def flask_app(work):
    app = Flask("orders")

    @app.post("/orders")
    def orders():
        made = work(flask_request.get_json())
        return made, work.status, {"X-Made": str(made["number"]), "Set-Cookie": "a=b"}

    @app.post("/orders/<int:n>/pay")
    def pay(n):
        return work(n)

    @app.post("/large/<int:size>")
    def large(size):
        work(size)
        return Response(b"x" * 100 for _ in range(size // 100))

    @app.post("/events")
    def events():
        work("events")
        return Response(iter([b"data: 1\n\n"]), mimetype="text/event-stream")

    @app.get("/orders")
    def listed():
        return work("list")

    return app


FRAMEWORKS = {
    "fastapi": (fastapi_app, on_fastapi),
    "starlette": (starlette_app, on_starlette),
    "flask": (flask_app, on_flask),
}


class WhoIsIt(Job):
    def on_request(self, exchange):
        who = exchange.header("x-who")
        if who is not None:
            set_principal(who)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.replayed = headers.get("idempotency-replayed") == "true"

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        return self.json["error"]["details"]["reason"]


class Service:
    def __init__(self, framework, runtime, lines, idempotency):
        make, self.module = FRAMEWORKS[framework]
        self.work = Work()
        self.app = make(self.work)
        self.module.install_layer(self.app, LayerOptions(), runtime=runtime, access=lines, jobs=[WhoIsIt()])
        self.module.install_error_handlers(self.app)
        self.module.add_idempotency(self.app, idempotency)
        self.is_flask = framework == "flask"

    def post(self, path="/orders", body=None, key=None, method="POST", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Idempotency-Key"] = key
        body = {"sku": "a"} if body is None else body
        if self.is_flask:
            answer = self.app.test_client().open(path, method=method, json=body, headers=sent)
            return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers}, answer.data)
        client = TestClient(self.app, raise_server_exceptions=False)
        answer = client.request(method, path, json=body, headers=sent)
        return Answer(answer.status_code, dict(answer.headers), answer.content)


@pytest.fixture(params=FRAMEWORKS)
def make(request, runtime, lines):
    def made(store="memory://", **options):
        return Service(request.param, runtime, lines, Idempotency(store, **options))

    return made


def test_the_same_request_is_carried_out_once_and_answered_twice(make):
    service = make()

    first, second = (service.post(key='"k-1"') for _ in range(2))

    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert (first.replayed, second.replayed) == (False, True)
    assert second.headers["x-made"] == "1"
    assert second.headers["content-type"] == first.headers["content-type"]
    assert len(service.work.done) == 1


def test_cookies_and_ids_of_the_first_answer_are_not_repeated(make):
    service = make()

    first, second = (service.post(key="k-1") for _ in range(2))

    assert "set-cookie" in first.headers
    assert "set-cookie" not in second.headers
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_without_a_key_every_request_is_carried_out(make):
    service = make()

    answers = [service.post() for _ in range(2)]

    assert [answer.json["number"] for answer in answers] == [1, 2]


def test_another_body_under_the_key_is_refused(make):
    service = make()
    service.post(key="k-1")

    answer = service.post(key="k-1", body={"sku": "b"})

    assert (answer.status, answer.reason) == (422, "key_reused")
    assert len(service.work.done) == 1


def test_another_path_or_query_under_the_key_is_refused(make):
    service = make()
    first = service.post("/orders/1/pay", key="k-1")

    paths = [service.post(path, key="k-1").status for path in ("/orders/2/pay", "/orders/1/pay?now=1")]

    assert first.status == 200
    assert paths == [422, 422]


def test_each_caller_has_keys_of_its_own(make):
    service = make()

    answers = [service.post(key="k-1", x_who=who) for who in ("ann", "bob", "ann")]

    assert [(answer.json["number"], answer.replayed) for answer in answers] == [
        (1, False),
        (2, False),
        (1, True),
    ]


def test_a_caller_nobody_knows_is_told_apart_by_its_credential(make):
    service = make()

    answers = [service.post(key="k-1", authorization=f"Bearer {token}") for token in ("a", "b", "a")]

    assert [answer.replayed for answer in answers] == [False, False, True]


@pytest.mark.parametrize(
    "key", ['""', "a b", '"a', "a,b", '"a", "b"', "ä", "x" * 256, '"' + "x" * 256 + '"', "a;b"]
)
def test_a_malformed_key_is_refused(make, key):
    service = make()

    answer = service.post(key=key.encode() if "ä" in key and not service.is_flask else key)

    assert (answer.status, answer.reason) == (400, "malformed_key")
    assert service.work.done == []


def test_a_missing_key_is_refused_where_one_is_required(make):
    service = make(required=["/orders"])

    answers = [service.post("/orders"), service.post("/orders/1/pay"), service.post("/orders", key="k")]

    assert [answer.status for answer in answers] == [400, 200, 201]
    assert answers[0].reason == "missing_key"


def test_safe_methods_are_left_alone(make):
    service = make(required=True)

    answers = [service.post("/orders", method="GET", key="k-1") for _ in range(2)]

    assert [answer.json["number"] for answer in answers] == [1, 2]


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
def test_what_says_nothing_about_the_operation_is_not_kept(make, status):
    service = make()
    service.work.status = status
    first = service.post(key="k-1")
    service.work.status = 201

    second = service.post(key="k-1")

    assert (first.status, second.status, second.replayed) == (status, 201, False)


@pytest.mark.parametrize("status", [200, 202, 400, 404, 422])
def test_a_final_answer_is_kept(make, status):
    service = make()
    service.work.status = status

    answers = [service.post(key="k-1") for _ in range(2)]

    assert [answer.status for answer in answers] == [status, status]
    assert len(service.work.done) == 1


def test_a_business_error_is_a_final_answer(make):
    service = make()
    service.work.error = ValidationError("out of range")

    answers = [service.post(key="k-1") for _ in range(2)]

    assert [(answer.status, answer.replayed) for answer in answers] == [(422, False), (422, True)]
    assert len(service.work.done) == 1


def test_a_crash_leaves_the_key_free(make):
    service = make()
    service.work.error = RuntimeError("hunter2")
    first = service.post(key="k-1")
    service.work.error = None

    second = service.post(key="k-1")

    assert (first.status, second.status, len(service.work.done)) == (500, 201, 2)


def test_while_the_first_is_under_way_the_second_is_told_to_wait(make):
    service = make()
    service.work.go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.post, key="k-1")
        assert service.work.entered.wait(30)

        second = service.post(key="k-1")
        service.work.go_on.set()

        assert first.result(30).status == 201
    assert (second.status, second.reason) == (409, "in_progress")
    assert 1 <= int(second.headers["retry-after"]) <= 2
    assert service.post(key="k-1").replayed


def test_a_hundred_requests_at_once_run_the_handler_once(make):
    service = make()
    service.work.go_on.clear()
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(service.post, key="k-1") for _ in range(100)]
        assert service.work.entered.wait(30)
        service.work.go_on.set()
        answers = [call.result(60) for call in calls]

    assert len(service.work.done) == 1
    assert {answer.status for answer in answers} <= {201, 409}
    assert {answer.json["number"] for answer in answers if answer.status == 201} == {1}


WORKER = """
import sys, time
from flask import Flask
from shared.api import Idempotency, LayerOptions
from shared.api.flask import add_idempotency, install_layer
app = Flask("orders")
@app.post("/orders")
def orders():
    print("at work", flush=True)
    time.sleep(60)
install_layer(app, LayerOptions(access_log=False))
add_idempotency(app, Idempotency(sys.argv[1], lease=8.0))
app.test_client().post("/orders", json={"sku": "a"}, headers={"Idempotency-Key": "k-1"})
"""


def test_after_the_first_worker_was_killed_a_hundred_requests_run_the_handler_once(tmp_path, runtime, lines):
    url = f"sqlite:///{tmp_path}/replays.db"
    env = os.environ | {"PYTHONPATH": str(Path(shared.__file__).parents[1])}
    rules = Idempotency(url, lease=60.0)
    service = Service("flask", runtime, lines, rules)
    service.post()  # warm: what follows has as long as the lease of the other
    service.work.done.clear()
    with Popen([sys.executable, "-c", WORKER, url], stdout=PIPE, text=True, env=env) as worker:
        assert worker.stdout.readline() == "at work\n"
        during = service.post(key="k-1")
        worker.kill()

    def insist(_):
        end = time.monotonic() + 60
        while (answer := service.post(key="k-1")).status == 409:
            assert time.monotonic() < end, "the key was never free again"
            time.sleep(0.05)
        return answer

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(insist, range(100)))
    rules.close()

    assert (during.status, during.reason) == (409, "in_progress")
    assert len(service.work.done) == 1
    assert {(answer.status, answer.json["number"]) for answer in answers} == {(201, 1)}
    assert [answer.replayed for answer in answers].count(False) == 1


def test_a_large_answer_is_sent_and_its_repetition_refused(make):
    service = make(max_answer_bytes=1000)

    small = [service.post("/large/900", key="s") for _ in range(2)]
    large = [service.post("/large/5000", key="l") for _ in range(2)]

    assert [(len(answer.body), answer.replayed) for answer in small] == [(900, False), (900, True)]
    assert len(large[0].body) == 5000
    assert (large[1].status, large[1].reason) == (409, "answer_not_kept")
    assert len(service.work.done) == 2


def test_an_event_stream_is_not_held_back_and_not_kept(make):
    service = make()

    answers = [service.post("/events", key="e") for _ in range(2)]

    assert answers[0].body == b"data: 1\n\n"
    assert (answers[1].status, answers[1].reason) == (409, "answer_not_kept")


class Down(MemoryReplays):
    shown = "a store that is down"

    def begin(self, scope, key, fingerprint, *, lease):
        raise ServiceUnavailableError("the store is down")


class Forgetful(MemoryReplays):
    def finish(self, scope, key, fingerprint, token, answer, *, ttl):
        raise ServiceUnavailableError("the store went down")

    def abandon(self, scope, key, token):
        raise ServiceUnavailableError("the store went down")


@pytest.mark.parametrize(("policy", "status"), [("closed", 503), ("open", 201)])
def test_without_the_store_the_policy_decides(make, policy, status):
    service = make(Down(), on_failure=policy)

    assert service.post(key="k-1").status == status


@pytest.mark.parametrize("error", [None, RuntimeError("x")], ids=["done", "crashed"])
def test_a_store_that_goes_down_meanwhile_costs_nobody_the_answer(make, error):
    service = make(Forgetful())
    service.work.error = error

    assert service.post(key="k-1").status == (201 if error is None else 500)


def test_a_body_above_the_limit_is_refused_before_the_key_is_taken(make):
    store = MemoryReplays()
    service = make(store)

    answer = service.post(key="k-1", body={"sku": "x" * 2_000_000})

    assert answer.status == 413
    assert len(store) == 0


def test_uninstalling_takes_the_keys_out(make):
    service = make()
    service.module.uninstall(service.app)
    service.module.install_layer(service.app, LayerOptions(access_log=False))

    assert [service.post(key="k-1").json["number"] for _ in range(2)] == [1, 2]
    service.module.uninstall(service.app)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_layer_must_be_there_first(framework):
    make, module = FRAMEWORKS[framework]

    with pytest.raises(ConfigurationError, match="install_layer"):
        module.add_idempotency(make(Work()), Idempotency())


# --- inside of the business transaction -------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    with Database(f"sqlite:///{tmp_path}/orders.db") as made:
        IdempotencyKey.__table__.create(made.engine)
        yield made


def test_the_key_commits_with_the_work_itself(database, runtime, lines):
    app, done = Flask("orders"), []

    @app.post("/orders")
    def orders():
        with database.transaction() as session:

            def work():
                done.append(1)
                return {"id": len(done)}

            result = idempotent_request().run(session, work)
            if flask_request.args.get("fail") and len(done) == 1:
                raise RuntimeError("after the work, before the commit")
        return result.value, 201

    on_flask.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
    on_flask.install_error_handlers(app)
    on_flask.add_idempotency(app, Idempotency(None))
    client = app.test_client()

    def post(key, path="/orders"):
        return client.post(path, json={}, headers={"Idempotency-Key": key})

    answers = [post("k-1", "/orders?fail=1"), post("k-1", "/orders?fail=1"), post("k-1", "/orders?fail=1")]
    other = post("k-1", "/orders?fail=2")

    assert [answer.status_code for answer in answers] == [500, 201, 201]
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers] == [None, None, "true"]
    assert [answer.json for answer in answers[1:]] == [{"id": 2}, {"id": 2}]
    assert other.status_code == 422
    assert client.post("/orders", json={}).status_code == 201


def test_the_key_commits_with_the_work_itself_in_a_loop(database, runtime, lines):
    app, done = FastAPI(), []

    @app.post("/orders", status_code=201)
    async def orders():
        async def work():
            done.append(1)
            return {"id": len(done)}

        async with database.aio.transaction() as session:
            return (await idempotent_request().arun(session, work)).value

    on_fastapi.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
    on_fastapi.install_error_handlers(app)
    on_fastapi.add_idempotency(app, Idempotency(None))
    with TestClient(app) as client:
        answers = [client.post("/orders", headers={"Idempotency-Key": "k"}) for _ in range(2)]
        free = client.post("/orders")

    assert [answer.json() for answer in answers] == [{"id": 1}, {"id": 1}]
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true"]
    assert free.json() == {"id": 2}


# --- parts -----------------------------------------------------------------------------------


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255))
def test_any_printable_key_survives_its_quotes(key):
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'

    assert idempotency_key(quoted) == key


@given(st.text(max_size=300))
def test_any_header_gives_a_key_or_a_bad_request(value):
    try:
        key = idempotency_key(value)
    except BadRequestError:
        return
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()


@given(
    st.lists(st.text(max_size=5), min_size=4, max_size=4),
    st.lists(st.text(max_size=5), min_size=4, max_size=4),
)
def test_fingerprints_are_the_same_only_for_the_same_request(one, other):
    assert (fingerprint_of(*one, b"") == fingerprint_of(*other, b"")) == (one == other)


@pytest.mark.parametrize(
    "options",
    [{"ttl": 0}, {"lease": -1}, {"ttl": float("inf")}, {"on_failure": "maybe"}, {"store": "ftp://x"}],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigurationError):
        Idempotency(**options)


def test_outside_of_a_request_there_is_none_at_hand():
    with pytest.raises(ConfigurationError, match="no idempotent request"):
        idempotent_request()


def test_a_lease_that_ran_out_is_told(make, caplog):
    class Taken(MemoryReplays):
        def finish(self, scope, key, fingerprint, token, answer, *, ttl):
            return False

    service = make(Taken())

    assert service.post(key="k-1").status == 201
    assert "longer than its lease" in caplog.text


# --- documents -------------------------------------------------------------------------------


def test_the_document_names_the_header_where_it_is_read(runtime, lines):
    app = fastapi_app(Work())
    on_fastapi.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
    on_fastapi.install_error_handlers(app)
    plain = app.openapi()
    on_fastapi.add_idempotency(app, Idempotency(required=["/orders"]))

    document = app.openapi()
    post, read = document["paths"]["/orders"]["post"], document["paths"]["/orders"]["get"]
    (header,) = post["parameters"]

    assert (header["name"], header["in"], header["required"]) == ("Idempotency-Key", "header", True)
    assert document["paths"]["/events"]["post"]["parameters"][-1]["required"] is False
    assert "parameters" not in read
    assert post["responses"]["409"] == {"$ref": "#/components/responses/Conflict"}
    assert "Retry-After" in document["components"]["responses"]["TooManyRequests"]["headers"]
    on_fastapi.uninstall(app)
    assert "parameters" not in plain["paths"]["/orders"]["post"]


@given(st.from_regex(r"[!#-+\-./0-9:<-\[\]-~]{1,255}", fullmatch=True))
def test_every_key_the_document_allows_is_a_key(key):
    assert idempotency_key(key) == key
