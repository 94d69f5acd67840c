"""Routes that send the envelope and serialise only the data."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Generic, TypeVar

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from flask import Flask
from pydantic import BaseModel, Field

from shared.api import Envelope, LayerOptions, Success, success_response
from shared.api.fastapi import EnvelopeResponse, EnvelopeRoute, install_error_handlers, install_layer
from shared.api.flask import EnvelopeResponse as FlaskEnvelope
from shared.api.flask import enveloped
from shared.api.flask import install_layer as install_flask

KEYS = ["success", "data", "message", "timestamp", "version"]
T = TypeVar("T")
# Generator endpoints came late to FastAPI; the oldest we support has none.
STREAMS_LINES = "is_json_stream" in APIRoute.__annotations__


class Item(BaseModel):
    id: int
    unit_price: float = Field(1.0, alias="unitPrice")
    secret: str = "s"


class Public(BaseModel):
    id: int


class Page(BaseModel, Generic[T]):
    items: list[T]


def router_of(app=None):
    router = APIRouter(route_class=EnvelopeRoute)

    @router.get("/model")
    async def model() -> Item:
        return Item(id=1, unitPrice=2.0)

    @router.get("/sync")
    def sync() -> list[Item]:
        return [Item(id=1)]

    @router.get("/filtered", response_model=Public)
    async def filtered():
        return {"id": 1, "secret": "x"}

    @router.get("/included", response_model=Item, response_model_include={"id"})
    async def included():
        return Item(id=1)

    @router.get("/unset", response_model_exclude_unset=True)
    async def unset() -> Item:
        return Item(id=1)

    @router.get("/plain")
    async def plain():
        return {"big": 2**70, "text": "a\ud800", "nan": float("nan"), 3: "three"}

    @router.get("/any", response_model=None)
    async def anything() -> Any:
        return {"a": 1}

    @router.get("/none")
    async def none() -> None:
        return None

    @router.get("/generic")
    async def generic() -> Page[Public]:
        return Page(items=[Public(id=1)])

    @router.get("/success")
    async def success() -> list[Public]:
        return Success([Public(id=1)], message="One found", meta={"total": 1})

    @router.post("/created", status_code=201)
    async def created(item: Item, response: Response) -> Item:
        response.headers["Location"] = "/items/1"
        return item

    @router.post("/computed")
    async def computed(response: Response) -> Public:
        response.status_code = 202
        return Public(id=1)

    @router.delete("/gone", status_code=204)
    async def gone() -> None:
        return None

    @router.get("/dynamic-204")
    async def dynamic(response: Response):
        response.status_code = 204

    @router.get("/response")
    async def response():
        return JSONResponse({"raw": True})

    @router.get("/annotated-response")
    async def annotated_response() -> JSONResponse:
        return JSONResponse({"raw": True})

    @router.get("/html", response_class=HTMLResponse)
    async def html():
        return "<p>raw</p>"

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks():
            yield b"raw"

        return StreamingResponse(chunks())

    if STREAMS_LINES:

        @router.get("/lines")
        async def lines() -> AsyncIterator[Public]:
            yield Public(id=1)
            yield Public(id=2)

    @router.get("/surrogate")
    async def surrogate() -> Item:
        return Item.model_construct(id=1, unit_price=1.0, secret="a\ud800")

    @router.get("/broken")
    async def broken() -> Public:
        return {"id": "hunter2"}

    @router.get("/validated/{n}")
    async def validated(n: Annotated[int, Field(ge=1)]) -> int:
        return n

    return router


@pytest.fixture(params=["included", "direct", "twice"])
def client(request, runtime, lines):
    app = FastAPI()
    if request.param == "direct":
        app.router.route_class = EnvelopeRoute
        for route in router_of().routes:
            app.router.routes.append(route)
        prefix = ""
    else:
        prefix = "/v1"
        app.include_router(router_of(), prefix="/v1")
        if request.param == "twice":
            outer = APIRouter(prefix="/deep")
            outer.include_router(router_of(), prefix="/v1")
            app.include_router(outer)
            prefix = "/deep/v1"
    install_layer(app, LayerOptions(api_version="v9"), runtime=runtime, access=lines)
    install_error_handlers(app)
    made = TestClient(app)
    made.prefix = prefix
    made.document = app.openapi
    return made


def data_of(answer, status=200):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    envelope = answer.json()
    assert list(envelope) == KEYS
    assert (envelope["success"], envelope["message"], envelope["version"]) == (
        True,
        "Operation successful",
        "v9",
    )
    return envelope["data"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/model", {"id": 1, "unitPrice": 2.0, "secret": "s"}),
        ("/sync", [{"id": 1, "unitPrice": 1.0, "secret": "s"}]),
        ("/filtered", {"id": 1}),
        ("/included", {"id": 1}),
        ("/unset", {"id": 1}),
        ("/plain", {"big": 2**70, "text": "a\ufffd", "nan": None, "3": "three"}),
        ("/any", {"a": 1}),
        ("/none", None),
        ("/generic", {"items": [{"id": 1}]}),
        ("/surrogate", {"id": 1, "unitPrice": 1.0, "secret": "a\ufffd"}),
        ("/validated/3", 3),
    ],
)
def test_data_are_sent_in_the_envelope(client, path, data):
    assert data_of(client.get(client.prefix + path)) == data


def test_message_and_meta_come_from_the_handler(client):
    envelope = client.get(client.prefix + "/success").json()

    assert list(envelope) == [*KEYS, "meta"]
    assert (envelope["data"], envelope["message"], envelope["meta"]) == (
        [{"id": 1}],
        "One found",
        {"total": 1},
    )


def test_status_and_headers_of_the_route_are_kept(client):
    answer = client.post(client.prefix + "/created", json={"id": 3})

    assert data_of(answer, 201)["id"] == 3
    assert answer.headers["location"] == "/items/1"
    assert data_of(client.post(client.prefix + "/computed"), 202) == {"id": 1}


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/gone"), ("GET", "/dynamic-204")])
def test_answer_without_a_body_stays_without(client, method, path):
    answer = client.request(method, client.prefix + path)

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/response", b'{"raw":true}'),
        ("/annotated-response", b'{"raw":true}'),
        ("/html", b"<p>raw</p>"),
        ("/stream", b"raw"),
        *([("/lines", b'{"id":1}\n{"id":2}\n')] if STREAMS_LINES else []),
    ],
)
def test_answer_with_a_shape_of_its_own_is_left_alone(client, path, content):
    assert client.get(client.prefix + path).content == content


def test_error_in_such_a_route_is_the_error_envelope(client):
    refused = client.get(client.prefix + "/validated/0")
    broken = client.get(client.prefix + "/broken")

    assert (refused.status_code, refused.json()["error"]["details"]["errors"][0]["field"]) == (422, "path.n")
    assert broken.status_code == 500
    assert "hunter2" not in broken.text


def schema_of(document, path, status="200", method="get"):
    content = document["paths"][path][method]["responses"][status]["content"]
    return content["application/json"]["schema"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/model", "Envelope_Item_"),
        ("/sync", "Envelope_list_Item__"),
        ("/filtered", "Envelope_Public_"),
        ("/generic", "Envelope_Page_Public__"),
    ],
)
def test_document_shows_the_envelope_of_the_type(client, path, name):
    document = client.document()

    assert schema_of(document, client.prefix + path) == {"$ref": f"#/components/schemas/{name}"}
    assert list(document["components"]["schemas"][name]["properties"]) == [*KEYS, "meta"]


def test_document_shows_the_envelope_of_anything_when_no_type_is_given(client):
    document = client.document()

    assert schema_of(document, client.prefix + "/plain")["$ref"].endswith("/Envelope_Any_")


def test_document_shows_own_shapes_as_they_are(client):
    document = client.document()

    assert "Envelope" not in json.dumps(document["paths"][client.prefix + "/html"]["get"]["responses"]["200"])
    assert "content" not in document["paths"][client.prefix + "/gone"]["delete"]["responses"]["204"]


def test_envelope_without_a_layer_has_the_default_version():
    app = FastAPI()
    app.include_router(router_of())

    assert TestClient(app).get("/model").json()["version"] == "v1"


# --- response classes --------------------------------------------------------------------------------


def test_response_class_and_model_together():
    app = FastAPI()

    @app.get("/", response_model=Envelope[Public])
    async def view():
        return EnvelopeResponse(Public(id=1), 201, message="Made", headers={"X-A": "b"}, version="v3")

    answer = TestClient(app).get("/")

    assert (answer.status_code, answer.headers["x-a"]) == (201, "b")
    assert (answer.json()["data"], answer.json()["message"], answer.json()["version"]) == (
        {"id": 1},
        "Made",
        "v3",
    )
    assert schema_of(app.openapi(), "/")["$ref"].endswith("/Envelope_Public_")


def test_response_class_takes_the_version_of_its_layer(runtime, lines):
    app = FastAPI()

    @app.get("/")
    async def view():
        return EnvelopeResponse(Success([1], meta={"total": 1}))

    @app.get("/fixed")
    async def fixed():
        return EnvelopeResponse([1], version="v1")

    install_layer(app, LayerOptions(api_version="v10"), runtime=runtime, access=lines)

    answer = TestClient(app).get("/")
    assert (answer.json()["version"], answer.json()["meta"]) == ("v10", {"total": 1})
    assert answer.headers["content-length"] == str(len(answer.content))
    assert TestClient(app).get("/fixed").json()["version"] == "v1"


@pytest.mark.parametrize("status", [204, 304])
def test_response_class_sends_no_envelope_without_a_body(status):
    assert EnvelopeResponse({"a": 1}, status).body == b""
    assert FlaskEnvelope({"a": 1}, status).data == b""


def test_envelope_model_validates_what_is_sent():
    from shared.api import success_bytes

    assert Envelope[Public].model_validate_json(success_bytes({"id": 1})).data.id == 1


# --- Flask -----------------------------------------------------------------------------------------------


@pytest.fixture
def flask_client(runtime, lines):
    app = Flask("enveloped")

    @app.get("/data")
    @enveloped
    def data():
        return {"id": 1}

    @app.get("/status")
    @enveloped
    def status():
        return Public(id=1), 201

    @app.get("/headers")
    @enveloped
    def headers():
        return [1], 202, {"X-A": "b"}

    @app.get("/success")
    @enveloped
    def success():
        return Success([1], message="One", meta={"total": 1}), 200

    @app.get("/pair")
    @enveloped
    def pair():
        return ("a", "b")

    @app.get("/response")
    @enveloped
    def response():
        return FlaskEnvelope({"made": "by hand"}, 203)

    @app.get("/gone")
    @enveloped
    def gone():
        return None, 204

    install_flask(app, LayerOptions(api_version="v9"), runtime=runtime, access=lines)
    return app.test_client()


@pytest.mark.parametrize(
    ("path", "status", "data"),
    [
        ("/data", 200, {"id": 1}),
        ("/status", 201, {"id": 1}),
        ("/headers", 202, [1]),
        ("/pair", 200, ["a", "b"]),
    ],
)
def test_flask_view_sends_the_envelope(flask_client, path, status, data):
    assert data_of(_like(flask_client.get(path)), status) == data


def _like(answer):
    class Like:
        status_code = answer.status_code
        headers = {name.lower(): value for name, value in answer.headers}
        content = answer.data
        json = staticmethod(lambda: answer.json)

    return Like


def test_flask_view_may_set_headers_message_and_meta(flask_client):
    assert flask_client.get("/headers").headers["X-A"] == "b"
    assert flask_client.get("/success").json["meta"] == {"total": 1}
    assert flask_client.get("/success").json["message"] == "One"


def test_flask_response_is_left_alone_and_204_is_empty(flask_client):
    assert flask_client.get("/response").status_code == 203
    answer = flask_client.get("/gone")
    assert (answer.status_code, answer.data) == (204, b"")


def test_schema_of_the_envelope_has_meta_and_an_answer_without_does_not():
    schema = Envelope[int].model_json_schema(mode="serialization")

    assert "meta" in schema["properties"]
    assert "meta" not in schema.get("required", [])
    assert "meta" not in Envelope[int](data=1, timestamp="2026-01-01T00:00:00Z").model_dump()


def test_meta_of_an_answer_is_kept_when_it_is_parsed():
    answer = success_response([1], meta={"total": 1})

    assert Envelope[list[int]].model_validate(answer).meta == {"total": 1}
