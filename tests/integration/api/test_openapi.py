"""The document says what is sent."""

from typing import Annotated

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel

from shared.api import ErrorEnvelope, Problem
from shared.api.fastapi import install_error_handlers, uninstall

JSON, PROBLEM = "application/json", "application/problem+json"


class Item(BaseModel):
    name: str


class ValidationError(BaseModel):
    """A model of the service that happens to have FastAPI's name."""

    own: int


@pytest.fixture
def app():
    app = FastAPI()

    @app.get("/plain")
    async def plain():
        return {}

    @app.get("/query")
    async def query(n: Annotated[int, Query(ge=1)]):
        return n

    @app.post("/body", responses={409: {"description": "Taken", "model": Item}})
    async def body(item: Item):
        return item

    return app


def responses(document, path, method="get"):
    return document["paths"][path][method]["responses"]


def resolve(document, response):
    assert list(response) == ["$ref"]
    node = document
    for step in response["$ref"].removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_fastapis_own_error_schema_is_gone(app):
    install_error_handlers(app)

    assert "HTTPValidationError" not in str(app.openapi())


def test_every_operation_lists_what_any_request_can_get(app):
    install_error_handlers(app)
    document = app.openapi()

    assert set(responses(document, "/plain")) == {
        "200",
        "400",
        "401",
        "403",
        "404",
        "405",
        "429",
        "500",
        "503",
        "504",
    }
    assert "422" in responses(document, "/query")
    assert {"413", "415", "422"} <= set(responses(document, "/body", "post"))


def test_errors_are_described_once_in_both_media_types(app):
    install_error_handlers(app)
    document = app.openapi()

    for path, method in (("/plain", "get"), ("/query", "get"), ("/body", "post")):
        for status, response in responses(document, path, method).items():
            if int(status) < 400 or status == "409":
                continue
            described = resolve(document, response)
            assert described["description"]
            assert list(described["content"]) == [JSON, PROBLEM]
    schemas = document["components"]["schemas"]
    assert {"ErrorBody", "ErrorEnvelope", "Problem"} <= set(schemas)


def test_response_of_the_author_is_left_alone(app):
    install_error_handlers(app)

    assert responses(app.openapi(), "/body", "post")["409"]["description"] == "Taken"


def test_model_of_the_service_with_fastapis_name_is_not_taken_away(app):
    @app.get("/own")
    async def own() -> ValidationError:
        return ValidationError(own=1)

    install_error_handlers(app)

    document = app.openapi()
    name = responses(document, "/own")["200"]["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
    assert name in document["components"]["schemas"]


def test_model_of_the_service_with_one_of_our_names_keeps_it(app):
    class Problem(BaseModel):
        own: int

    @app.get("/own")
    async def own() -> Problem:
        return Problem(own=1)

    install_error_handlers(app)

    document = app.openapi()
    assert list(document["components"]["schemas"]["Problem"]["properties"]) == ["own"]
    refused = resolve(document, responses(document, "/own")["404"])
    assert refused["content"][PROBLEM]["schema"]["$ref"] == "#/components/schemas/SharedProblem"
    assert "#/components/schemas/SharedErrorBody" in str(
        document["components"]["schemas"]["SharedErrorEnvelope"]
    )


def test_every_reference_leads_somewhere(app):
    install_error_handlers(app)
    document = app.openapi()
    found = []

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                found.append(resolve(document, {"$ref": node["$ref"]}))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert found
    assert all(found)


def test_what_is_sent_fits_the_document(app):
    install_error_handlers(app)
    client = TestClient(app, raise_server_exceptions=False)

    for answer in (client.get("/query?n=0"), client.get("/nowhere"), client.post("/body", content=b"{")):
        ErrorEnvelope.model_validate(answer.json(), extra="forbid")
    answer = client.get("/nowhere", headers={"accept": PROBLEM})
    assert Problem.model_validate(answer.json()).status == 404


def test_document_is_made_once_and_again_when_routes_change(app):
    install_error_handlers(app)

    first = app.openapi()
    assert app.openapi() is first

    @app.get("/late")
    async def late():
        return {}

    app.openapi_schema = None
    assert "/late" in app.openapi()["paths"]


def test_document_can_be_left_alone(app):
    install_error_handlers(app, openapi=False)

    assert "HTTPValidationError" in str(app.openapi())


def test_uninstalling_brings_the_old_document_back(app):
    before = FastAPI.openapi(app)
    install_error_handlers(app)
    app.openapi()

    uninstall(app)

    assert app.openapi() == before
    assert "openapi" not in app.__dict__


def test_document_without_schemas_or_paths_is_completed():
    app = FastAPI()
    install_error_handlers(app)

    assert "ErrorEnvelope" in app.openapi()["components"]["schemas"]
