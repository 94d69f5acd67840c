"""The client asserts what every test of an API would repeat."""

import pytest

from shared.errors import ConfigurationError
from shared.testing import ApiClient, ApiResponse

SUCCESS = b'{"success":true,"data":{"id":7},"message":"m","timestamp":"t","version":"v1"}'
ERROR = b'{"success":false,"error":{"code":"NOT_FOUND","message":"m","details":{}},"timestamp":"t","version":"v1"}'


def flask_app():
    from flask import Flask, jsonify, make_response, request

    app = Flask("client", root_path=".")

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def echo():
        return jsonify(_shown(request.method, request.args, request.headers, request.get_data()))

    @app.get("/boom")
    def boom():
        raise ValueError("boom")

    @app.get("/many")
    def many():
        response = make_response("")
        response.headers.add("X-Many", "a")
        response.headers.add("X-Many", "b")
        return response

    return app


def fastapi_app():
    from fastapi import FastAPI, Request, Response

    app = FastAPI()

    @app.api_route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def echo(request: Request):
        return _shown(request.method, request.query_params, request.headers, await request.body())

    @app.get("/boom")
    def boom():
        raise ValueError("boom")

    @app.get("/many")
    def many():
        response = Response("")
        response.headers.append("X-Many", "a")
        response.headers.append("X-Many", "b")
        return response

    return app


def _shown(method, query, headers, body):
    return {
        "method": method,
        "query": dict(query),
        "type": headers.get("content-type"),
        "own": headers.get("x-own"),
        "body": body.decode(),
    }


@pytest.fixture(params=[flask_app, fastapi_app], ids=["flask", "fastapi"])
def app(request):
    return request.param()


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_client_sends_every_method_with_query_and_headers(app, method):
    client = ApiClient(app, headers={"X-Own": "1"})

    answer = getattr(client, method)("/echo", params={"a": "b"})

    assert (answer.json["method"], answer.json["query"], answer.json["own"]) == (
        method.upper(),
        {"a": "b"},
        "1",
    )


def test_json_is_encoded_with_its_content_type(app):
    answer = ApiClient(app).post("/echo", json={"a": 1})

    assert (answer.json["type"], answer.json["body"]) == ("application/json", '{"a": 1}')


def test_raw_body_is_sent_as_it_is(app):
    answer = ApiClient(app).post("/echo", body=b"raw", headers={"Content-Type": "text/x"})

    assert (answer.json["type"], answer.json["body"]) == ("text/x", "raw")


def test_repeated_headers_are_joined(app):
    assert ApiClient(app).get("/many").headers["x-many"] == "a, b"


def test_exception_of_the_app_is_seen_as_a_client_sees_it(app):
    assert ApiClient(app).get("/boom").status == 500


def test_exception_of_the_app_can_be_let_through(app):
    with pytest.raises(ValueError, match="boom"):
        ApiClient(app, raise_server_exceptions=True).get("/boom")


def test_client_works_as_a_context_manager(app):
    with ApiClient(app) as client:
        assert client.get("/echo").status == 200


@pytest.mark.parametrize("thing", [None, object(), lambda environ, start: []])
def test_client_refuses_what_it_cannot_drive(thing):
    with pytest.raises(ConfigurationError, match="cannot make a client"):
        ApiClient(thing)


# --- assertions --------------------------------------------------------------------------


def test_success_returns_the_data():
    assert ApiResponse(200, {}, SUCCESS).assert_success() == {"id": 7}


def test_error_returns_the_error_object():
    error = ApiResponse(404, {}, ERROR).assert_error("NOT_FOUND", 404)

    assert error["message"] == "m"


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (201, SUCCESS, "wanted the status 200"),
        (200, ERROR, "wanted the keys"),
        (200, b"<html>", "not JSON"),
        (200, b"[]", "not an object"),
        (200, SUCCESS.replace(b"true", b"false"), "`success` is not true"),
        (200, b'{"data":{},"success":true,"message":"","timestamp":"","version":""}', "wanted the keys"),
    ],
)
def test_success_says_what_differs(status, body, wrong):
    with pytest.raises(AssertionError, match=wrong):
        ApiResponse(status, {}, body).assert_success()


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (200, ERROR, "wanted an error status"),
        (404, SUCCESS, "wanted the keys"),
        (404, ERROR.replace(b"NOT_FOUND", b"OTHER"), "wanted the code 'NOT_FOUND'"),
        (404, ERROR.replace(b'"details":{}', b'"extra":{}'), "error has the keys"),
        (404, ERROR.replace(b"false", b"true"), "`success` is not false"),
    ],
)
def test_error_says_what_differs(status, body, wrong):
    with pytest.raises(AssertionError, match=wrong):
        ApiResponse(status, {}, body).assert_error("NOT_FOUND")


def test_repr_shows_status_and_body():
    assert repr(ApiResponse(200, {}, b"abc")) == "ApiResponse(200, 'abc')"


def test_correlation_id_is_read_from_the_answer():
    assert ApiResponse(200, {"X-Correlation-ID": "c-1"}, b"").correlation_id == "c-1"
