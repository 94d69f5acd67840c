"""Old versions over new code, and what callers are told, on FastAPI, Starlette and Flask."""

import json
import logging
from typing import Any, NamedTuple

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from flask import request as flask_request
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.api import (
    ApiVersion,
    AuthenticationJob,
    DeprecationNoted,
    Idempotency,
    VersionChange,
    Versions,
    deprecated,
    load_model,
)
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.auth import BearerAuthenticator
from shared.errors import ResourceNotFoundError

NEW_YEAR, JULY = 1735689600, 1751328000
SUCCESSOR = "/v2/orders"


class Clock:
    now = NEW_YEAR + 10.0

    def __call__(self):
        return self.now


class Amount(BaseModel):
    cents: int
    currency: str


class Order(BaseModel):
    sku: str
    amount: Amount


def to_v2(body):
    return {"sku": body["sku"], "amount": {"cents": body["total_cents"], "currency": "EUR"}}


def to_v1(order):
    return {"sku": order["sku"], "total_cents": order["amount"]["cents"]}


ORDER = Order(sku="a", amount=Amount(cents=300, currency="EUR"))


def versions(clock, **more):
    old = deprecated("2025-01-01", sunset="2025-07-01", successor=SUCCESSOR, clock=clock)
    changes = [
        VersionChange(
            "money has a currency", version="v2", routes=["/orders"], upgrade_request=to_v2, methods=["POST"],
            downgrade_response=to_v1,
        ),
        VersionChange("the same for one", version="v2", routes=["/orders/{sku}", "/text", "/gone"], downgrade_response=to_v1),
    ]  # fmt: skip
    return Versions([ApiVersion("v1", deprecated=old), "v2"], changes=changes, **more)


def fastapi_app(rule):
    app, router = FastAPI(), APIRouter(prefix="/v2", route_class=on_fastapi.EnvelopeRoute)

    @router.post("/orders", status_code=201)
    async def take(order: Order) -> Order:
        return order

    @router.get("/orders/{sku}")
    def read(sku: str) -> Order:
        if sku != "a":
            raise ResourceNotFoundError(resource="order", resource_id=sku)
        return ORDER

    @router.get("/text")
    async def text():
        return PlainTextResponse("plain")

    @router.get("/old")
    @rule
    async def old() -> str:
        return "old"

    @router.get("/dependent", dependencies=[Depends(rule)])
    async def dependent() -> str:
        return "old"

    app.include_router(router)
    return app, on_fastapi


def starlette_app(rule):
    async def take(request):
        return on_starlette.EnvelopeResponse(load_model(Order, await request.body()), 201)

    def read(request):
        if request.path_params["sku"] != "a":
            raise ResourceNotFoundError(resource="order", resource_id=request.path_params["sku"])
        return on_starlette.EnvelopeResponse(ORDER)

    @rule
    def old(_request):
        return on_starlette.EnvelopeResponse("old")

    routes = [
        Route("/v2/orders", take, methods=["POST"]),
        Route("/v2/orders/{sku}", read),
        Route("/v2/text", lambda _request: PlainTextResponse("plain")),
        Route("/v2/old", old),
        Route("/v2/dependent", old),
    ]
    return Starlette(routes=routes), on_starlette


def flask_app(rule):
    app = Flask("orders")

    @app.post("/v2/orders")
    @on_flask.enveloped
    def take():
        return load_model(Order, flask_request.get_data()), 201

    @app.get("/v2/orders/<sku>")
    @on_flask.enveloped
    def read(sku):
        if sku != "a":
            raise ResourceNotFoundError(resource="order", resource_id=sku)
        return ORDER

    @app.get("/v2/text")
    def text():
        return "plain", {"Content-Type": "text/plain; charset=utf-8"}

    @app.get("/v2/dependent", endpoint="dependent")
    @app.get("/v2/old")
    @rule
    @on_flask.enveloped
    def old():
        return "old"

    return app, on_flask


APPS = {"fastapi": fastapi_app, "starlette": starlette_app, "flask": flask_app}


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, framework, runtime, lines, clock, jobs=(), **options):
        self.framework = framework
        rule = deprecated("2025-01-01", sunset="2025-07-01", successor="/v2/new", clock=clock)
        self.app, self.module = APPS[framework](rule)
        self.module.install_layer(self.app, runtime=runtime, access=lines, jobs=jobs)
        self.module.install_error_handlers(self.app)
        self.module.add_versions(self.app, versions(clock, **options))

    def call(self, method, path, body=None, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.framework == "flask":
            answer = self.app.test_client().open(path, method=method, json=body, headers=sent)
            return Got(
                answer.status_code,
                {k.lower(): ", ".join(answer.headers.getlist(k)) for k in answer.headers.keys()},
                answer.data,
            )
        answer = TestClient(self.app).request(method, path, json=body, headers=sent)
        return Got(answer.status_code, dict(answer.headers), answer.content)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=APPS)
def framework(request):
    return request.param


@pytest.fixture
def make(framework, runtime, lines, clock):
    def make(**options):
        return Client(framework, runtime, lines, clock, **options)

    return make


@pytest.fixture
def client(make):
    return make()


OLD = {"sku": "a", "total_cents": 300}
NEW = {"sku": "a", "amount": {"cents": 300, "currency": "EUR"}}


def test_old_request_reaches_the_new_code_and_comes_back_old(client):
    answer = client.call("POST", "/v1/orders", OLD)

    assert (answer.status, answer.json["data"], answer.json["version"]) == (201, OLD, "v1")
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_new_request_is_untouched(client):
    answer = client.call("POST", "/v2/orders", NEW)

    assert (answer.status, answer.json["data"], answer.json["version"]) == (201, NEW, "v2")
    assert "deprecation" not in answer.headers


def test_version_that_goes_away_says_so(client):
    answer = client.call("GET", "/v1/orders/a")

    assert answer.json["data"] == OLD
    assert answer.headers["deprecation"] == f"@{NEW_YEAR}"
    assert answer.headers["sunset"] == "Tue, 01 Jul 2025 00:00:00 GMT"
    assert answer.headers["link"] == f'<{SUCCESSOR}>; rel="successor-version"'


def test_errors_carry_the_version_that_was_spoken(client):
    assert client.call("GET", "/v1/orders/b").json["version"] == "v1"
    assert client.call("GET", "/v2/orders/b").json["version"] == "v2"


def test_error_stays_an_error_and_says_so_too(client):
    answer = client.call("GET", "/v1/orders/b")

    assert (answer.status, answer.json["error"]["code"]) == (404, "NOT_FOUND")
    assert "deprecation" in answer.headers


def test_old_body_that_makes_no_sense_is_a_422(client):
    answer = client.call("POST", "/v1/orders", {"colour": "red"})

    assert (answer.status, answer.json["error"]["code"]) == (422, "VALIDATION_ERROR")


def test_broken_json_is_refused_by_the_application(client):
    if client.framework == "flask":
        answer = client.app.test_client().post("/v1/orders", data=b"{", content_type="application/json")
        assert answer.status_code == 400
    else:
        answer = TestClient(client.app).post(
            "/v1/orders", content=b"{", headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400


def test_answer_that_is_no_json_is_untouched(client):
    answer = client.call("GET", "/v1/text")

    assert (answer.status, answer.body) == (200, b"plain")


def test_head_of_an_old_version_is_answered(client):
    assert client.call("HEAD", "/v1/orders/a").status in (200, 405)


def test_path_that_no_version_has_is_a_404(client):
    answer = client.call("GET", "/v1/nothing")

    assert (answer.status, answer.json["error"]["code"]) == (404, "NOT_FOUND")


def test_version_is_gone_with_its_sunset(client, clock):
    clock.now = JULY - 1
    assert client.call("GET", "/v1/orders/a").status == 200
    clock.now = JULY

    answer = client.call("GET", "/v1/orders/a")

    assert (answer.status, answer.json["error"]["code"]) == (410, "API_VERSION_RETIRED")
    assert answer.json["error"]["details"] == {
        "deprecated": "v1",
        "sunset": "2025-07-01T00:00:00Z",
        "successor": SUCCESSOR,
    }
    assert "sunset" in answer.headers
    assert client.call("GET", "/v2/orders/a").status == 200


def test_header_chooses_and_is_told(make):
    client = make(header="API-Version")

    answer = client.call("GET", "/orders/a", API_Version="v1")

    assert (answer.json["data"], answer.headers["api-version"]) == (OLD, "v1")
    assert "API-Version" in answer.headers["vary"]
    assert client.call("GET", "/orders/a").json["data"] == NEW
    assert client.call("GET", "/orders/a", API_Version="v9").status == 400


def test_media_type_chooses(make):
    client = make(media_type="application/vnd.shop.{version}+json")

    answer = client.call("GET", "/orders/a", Accept="application/vnd.shop.v1+json")

    assert answer.json["data"] == OLD
    assert client.call("GET", "/orders/a", Accept="application/vnd.shop.v9+json").status == 406


@pytest.mark.parametrize("path", ["/v2/old", "/v2/dependent"])
def test_route_that_goes_away_says_so_until_it_is_gone(client, clock, path):
    answer = client.call("GET", path)
    assert (answer.status, answer.headers["deprecation"]) == (200, f"@{NEW_YEAR}")
    assert answer.headers["link"] == '</v2/new>; rel="successor-version"'
    clock.now = JULY

    answer = client.call("GET", path)

    assert (answer.status, answer.json["error"]["code"]) == (410, "API_VERSION_RETIRED")
    assert answer.json["error"]["details"]["deprecated"] == path


def test_each_call_is_told_to_the_listeners(make, runtime, clock):
    people = {"t-ada": {"user_id": "ada"}, "t-web": {"user_id": "eve", "azp": "web"}}
    client = make(jobs=[AuthenticationJob([BearerAuthenticator(verify=people.get)])])
    told = []
    runtime.events.subscribe(DeprecationNoted, told.append)

    client.call("GET", "/v1/orders/a")
    client.call("GET", "/v1/orders/a", Authorization="Bearer t-ada")
    client.call("GET", "/v2/old", Authorization="Bearer t-web")
    clock.now = JULY
    client.call("GET", "/v1/orders/a", Authorization="Bearer t-ada")

    assert told == [
        DeprecationNoted("v1", "anonymous", retired=False),
        DeprecationNoted("v1", "user:ada", retired=False),
        DeprecationNoted("/v2/old", "client:web", retired=False),
        DeprecationNoted("v1", "user:ada", retired=True),
    ]


def test_log_names_each_caller_once_a_day(client, clock, caplog):
    caplog.set_level(logging.WARNING, "shared.api")

    for _ in range(3):
        client.call("GET", "/v1/orders/a")
    clock.now += 86_400
    client.call("GET", "/v1/orders/a")

    lines = [record for record in caplog.records if "deprecated" in record.getMessage()]
    assert [(line.deprecated, line.consumer, line.sunset) for line in lines] == [
        ("v1", "anonymous", "2025-07-01T00:00:00Z")
    ] * 2


def test_key_of_an_old_request_is_answered_once(client):
    store = Idempotency("memory://")
    client.module.add_idempotency(client.app, store)
    try:
        first = client.call("POST", "/v1/orders", OLD, Idempotency_Key="k-1")
        again = client.call("POST", "/v1/orders", OLD, Idempotency_Key="k-1")
    finally:
        store.close()

    assert (again.status, again.body) == (first.status, first.body)
    assert again.json["data"] == OLD
    assert again.headers["idempotency-replayed"] == "true"


def test_uninstalling_takes_the_versions_out(client):
    client.module.uninstall(client.app)

    assert client.call("GET", "/v1/orders/a").status == 404


def test_the_three_frameworks_answer_alike(runtime, lines, clock):
    calls = [
        ("POST", "/v1/orders", OLD),
        ("GET", "/v1/orders/a", None),
        ("GET", "/v1/orders/b", None),
        ("GET", "/v2/old", None),
    ]
    kept = ("deprecation", "sunset", "link", "content-type", "vary", "api-version")
    found = []
    for framework in APPS:
        client = Client(framework, runtime, lines, clock, header="API-Version")
        answers = [client.call(*call) for call in calls]
        found.append(
            [(a.status, a.json | {"timestamp": ""}, {k: a.headers.get(k) for k in kept}) for a in answers]
        )

    assert found[0] == found[1] == found[2]


def test_the_document_of_fastapi_marks_what_goes_away(runtime, lines, clock):
    app = Client("fastapi", runtime, lines, clock).app

    document = app.openapi()["paths"]

    for path in ("/v2/old", "/v2/dependent"):
        operation = document[path]["get"]
        assert operation["deprecated"] is True
        assert {"Deprecation", "Sunset", "Link"} <= operation["responses"]["200"]["headers"].keys()
        assert operation["responses"]["410"] == {"$ref": "#/components/responses/Gone"}
    assert "deprecated" not in document["/v2/orders"]["post"]
