"""The OpenAPI document of Flask and Starlette services: what was declared, and what the layer adds."""

import enum
from typing import Annotated, Any

import pytest
from flask import Blueprint, Flask
from openapi_spec_validator import validate
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from shared.api import (
    Filter,
    Idempotency,
    Listing,
    RateLimits,
    Versions,
    deprecated,
    documented,
    rate_limit,
)
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.auth import Authenticators, BearerAuthenticator, require_roles
from shared.errors import ConflictError, InvalidArgumentError, PreconditionFailedError


class Colour(enum.StrEnum):
    RED = "red"


class Item(BaseModel):
    sku: str
    colour: Colour = Colour.RED


class Query(BaseModel):
    n: int = Field(ge=1)
    colour: Colour | None = Field(default=None, alias="color")


ITEMS = Listing({"colour": Filter(Colour, ("eq", "in"))}, style="page")
OLD = deprecated("2025-01-01", sunset="2099-01-01", reason="Nobody needs it.")


@documented(returns=list[Item], listing=ITEMS, tags=["items"])
def list_items(*_args):
    """All of them."""


@documented(body=Item, returns=Item, status=201, errors=[ConflictError, 418], summary="Add one")
@rate_limit("5/minute")
def add_item(*_args):
    pass


@documented(
    returns=Item,
    query=Query,
    path={"sku": Annotated[str, Field(pattern="^[a-z]+$")]},
    errors=[PreconditionFailedError],
)
def get_item(*_args, **_kwargs):
    pass


@documented(returns=None, status=204)
@require_roles("admin")
def drop_item(*_args, **_kwargs):
    pass


@documented(returns=dict[str, int], envelope=False)
@OLD
def old(*_args):
    pass


@documented(hidden=True)
def hidden(*_args):
    pass


def bare(*_args, **_kwargs):
    pass


def flask_app():
    app = Flask("items")
    app.add_url_rule("/items", "list_items", list_items)
    app.add_url_rule("/items", "add_item", add_item, methods=["POST"])
    app.add_url_rule("/items/<sku>", "get_item", get_item)
    app.add_url_rule("/items/<sku>", "drop_item", drop_item, methods=["DELETE"])
    app.add_url_rule("/v1/old", "old", old)
    app.add_url_rule("/hidden", "hidden", hidden)
    below = Blueprint("below", __name__, url_prefix="/below")
    below.add_url_rule("/<int:n>/<uuid:key>", "bare", bare)
    app.register_blueprint(below)
    return app, on_flask


def starlette_app():
    routes = [
        Route("/items", list_items),
        Route("/items", add_item, methods=["POST"]),
        Route("/items/{sku}", get_item),
        Route("/items/{sku}", drop_item, methods=["DELETE"]),
        Route("/v1/old", old),
        Route("/hidden", hidden),
        Mount("/below", routes=[Route("/{n:int}/{key:uuid}", bare)]),
    ]
    return Starlette(routes=routes), on_starlette


APPS = {"flask": flask_app, "starlette": starlette_app}


@pytest.fixture(params=APPS)
def made(request, runtime, lines):
    app, module = APPS[request.param]()
    module.install_layer(app, runtime=runtime, access=lines, jobs=[RateLimits("100/minute")])
    module.install_error_handlers(app)
    module.add_versions(app, Versions(["v1", "v2"], header="API-Version"))
    module.add_security_schemes(app, Authenticators([BearerAuthenticator(verify=lambda _token: None)]))
    store = Idempotency("memory://", required=["/items"])
    module.add_idempotency(app, store)
    module.add_openapi(app, title="items", version="2.1", description="What we sell.")
    yield app, module
    store.close()


@pytest.fixture
def document(made) -> dict[str, Any]:
    app, module = made
    return module.openapi_document(app)


def get(made, path):
    app, module = made
    if module is on_flask:
        answer = app.test_client().get(path)
        return answer.status_code, answer.headers, answer.text
    answer = TestClient(app).get(path)
    return answer.status_code, answer.headers, answer.text


def test_document_is_valid(document):
    validate(document)


def test_document_is_served(made, document):
    status, headers, text = get(made, "/openapi.json")

    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert '"title":"items"' in text
    assert document["info"] == {"title": "items", "version": "2.1", "description": "What we sell."}


def test_page_is_served_with_a_policy_that_lets_its_scripts_in(made):
    status, headers, text = get(made, "/docs")

    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "https://cdn.jsdelivr.net" in headers["Content-Security-Policy"]
    assert '"/openapi.json"' in text


def test_routes_are_those_that_callers_may_know(document):
    assert set(document["paths"]) == {"/items", "/items/{sku}", "/v1/old", "/below/{n}/{key}"}


def test_answer_is_the_envelope_of_the_declared_type(document):
    answer = document["paths"]["/items"]["get"]["responses"]["200"]

    schema = answer["content"]["application/json"]["schema"]
    envelope = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert envelope["properties"]["data"]["items"] == {"$ref": "#/components/schemas/Item"}


def test_answer_without_envelope_is_the_type_itself(document):
    answer = document["paths"]["/v1/old"]["get"]["responses"]["200"]

    assert answer["content"]["application/json"]["schema"]["additionalProperties"] == {"type": "integer"}


def test_answer_without_a_body_has_no_content(document):
    assert "content" not in document["paths"]["/items/{sku}"]["delete"]["responses"]["204"]


def test_body_and_declared_errors_are_described(document):
    operation = document["paths"]["/items"]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Item"
    }
    assert {"201", "400", "405", "409", "413", "415", "418", "422", "429", "500", "503"} <= operation[
        "responses"
    ].keys()
    assert operation["responses"]["418"]["$ref"].rpartition("/")[2] in document["components"]["responses"]
    assert operation["summary"] == "Add one"


def test_parameters_come_from_route_query_and_listing(document):
    found = {
        (each["name"], each["in"]): each for each in document["paths"]["/items/{sku}"]["get"]["parameters"]
    }

    assert found["sku", "path"]["schema"]["pattern"] == "^[a-z]+$"
    assert found["n", "query"]["required"] is True
    assert ("color", "query") in found
    listed = {each["name"] for each in document["paths"]["/items"]["get"]["parameters"]}
    assert {"page", "size", "colour", "colour__in"} <= listed


def test_parameters_of_a_path_have_the_type_of_their_converter(document):
    found = {
        each["name"]: each["schema"]
        for each in document["paths"]["/below/{n}/{key}"]["get"]["parameters"]
        if each["in"] == "path"
    }

    assert found == {"n": {"type": "integer", "minimum": 0}, "key": {"type": "string", "format": "uuid"}}


def test_what_goes_away_is_marked(document):
    operation = document["paths"]["/v1/old"]["get"]

    assert operation["deprecated"] is True
    assert "Sunset" in operation["responses"]["200"]["headers"]
    assert "410" in operation["responses"]


def test_protected_routes_name_the_ways_in(document):
    assert document["paths"]["/items/{sku}"]["delete"]["security"] == [{"bearer": []}]
    assert "security" not in document["paths"]["/items"]["get"]
    assert document["components"]["securitySchemes"]["bearer"]["type"] == "http"


def test_idempotency_key_is_described_as_required_where_it_is(document):
    (key,) = [
        each
        for each in document["paths"]["/items"]["post"]["parameters"]
        if each["name"] == "Idempotency-Key"
    ]

    assert key["required"] is True


def test_version_header_is_described_where_the_path_has_none(document):
    names = {each["name"] for each in document["paths"]["/items"]["get"]["parameters"]}

    assert "API-Version" in names
    assert "API-Version" not in {
        each["name"] for each in document["paths"]["/v1/old"]["get"].get("parameters", ())
    }


def test_limits_of_all_routes_are_described(document):
    for path in ("/items", "/v1/old"):
        assert "RateLimit" in document["paths"][path]["get"]["responses"]["200"]["headers"]


def test_routes_that_come_later_are_described(made):
    app, module = made
    get(made, "/openapi.json")
    if module is on_flask:
        app._got_first_request = False  # Flask takes no routes after the first request
        app.add_url_rule("/later", "later", bare)
    else:
        app.add_route("/later", bare)

    assert "/later" in get(made, "/openapi.json")[2]


def test_uninstalling_takes_the_document_out(made):
    app, module = made
    module.uninstall(app)

    assert get(made, "/openapi.json")[0] == 404


def test_the_two_frameworks_are_described_alike(runtime, lines):
    found = []
    for make in APPS.values():
        app, module = make()
        document = module.openapi_document(app)
        found.append(document["paths"]["/items/{sku}"])

    assert found[0] == found[1]


@pytest.mark.parametrize("status", [99, 600])
def test_status_of_no_response_is_refused(status):
    with pytest.raises(InvalidArgumentError):
        documented(status=status)


def test_method_that_no_route_has_names_all_that_some_have(made):
    app, module = made
    if module is on_flask:
        answer = app.test_client().put("/items")
        allowed = answer.headers["Allow"]
    else:
        allowed = TestClient(app).put("/items").headers["Allow"]

    assert {"GET", "HEAD", "POST"} <= set(allowed.split(", "))
