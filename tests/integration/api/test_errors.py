"""Every error of every framework leaves in the documented shape."""

import json
import logging

import pytest

from shared.api import LayerOptions
from shared.context import current_context
from shared.errors import ConflictError, ErrorMap

JSON = {"content-type": "application/json"}
PROBLEM = {"accept": "application/problem+json"}


def error_of(reply):
    envelope = reply.json
    assert list(envelope) == ["success", "error", "timestamp", "version"]
    assert envelope["success"] is False
    assert list(envelope["error"]) == ["code", "message", "details"]
    assert reply.headers["content-type"] == "application/json"
    return envelope["error"]


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shared.api")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, None, 404, "NOT_FOUND"),
        ("DELETE", "/items", None, None, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/items", JSON, b"{bad", 400, "BAD_REQUEST"),
        ("POST", "/items", JSON, b'{"name": "\xff"}', 400, "BAD_REQUEST"),
        ("POST", "/items", JSON, b"[" * 100_000, 400, "BAD_REQUEST"),
        ("POST", "/items", JSON, b'{"name": 1}', 422, "VALIDATION_ERROR"),
        ("POST", "/items", JSON, b"x" * 1_100_000, 413, "PAYLOAD_TOO_LARGE"),
        ("GET", "/http/415", None, None, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("GET", "/http/418", None, None, 418, "HTTP_ERROR"),
        ("GET", "/http/409", None, None, 409, "CONFLICT"),
        ("GET", "/http/503", None, None, 503, "SERVICE_UNAVAILABLE"),
        ("GET", "/raise/order", None, None, 404, "NOT_FOUND"),
        ("GET", "/raise/login", None, None, 401, "AUTHENTICATION_ERROR"),
        ("GET", "/raise/busy", None, None, 429, "RATE_LIMIT_EXCEEDED"),
        ("GET", "/raise/down", None, None, 503, "SERVICE_UNAVAILABLE"),
        ("GET", "/raise/config", None, None, 500, "CONFIGURATION_ERROR"),
        ("GET", "/raise/crash", None, None, 500, "INTERNAL_ERROR"),
        ("GET", "/raise/unkind", None, None, 500, "INTERNAL_ERROR"),
        ("GET", "/raise/lost", None, None, 503, "SERVICE_UNAVAILABLE"),
        ("GET", "/raise/slow", None, None, 504, "DEADLINE_EXCEEDED"),
        ("GET", "/raise/group", None, None, 404, "NOT_FOUND"),
        ("GET", "/raise/groups", None, None, 500, "INTERNAL_ERROR"),
        ("GET", "/raise/key", None, None, 500, "INTERNAL_ERROR"),
    ],
)
def test_error_leaves_in_the_envelope(service, method, path, headers, body, status, code):
    reply = service.call(method, path, headers=headers, body=body)

    assert (reply.status, error_of(reply)["code"]) == (status, code)
    assert "hunter2" not in str(reply)
    assert reply.headers["x-correlation-id"]
    assert reply.headers["x-request-id"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.mark.parametrize("path", ["/nowhere", "/raise/order", "/raise/crash", "/http/418"])
def test_error_leaves_as_problem_details_when_the_caller_asks(service, path):
    reply = service.call("GET", path, headers=PROBLEM)

    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json
    assert list(problem) == [
        "type", "title", "status", "detail", "instance", "code", "details", "correlation_id",
    ]  # fmt: skip
    assert problem["status"] == reply.status
    assert problem["instance"] == path
    assert problem["correlation_id"] == reply.headers["x-correlation-id"]


def test_problem_details_can_be_the_default(make_service):
    service = make_service(
        LayerOptions(error_format="problem", problem_base_url="https://errors.example.com")
    )

    reply = service.call("GET", "/raise/order")

    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["type"] == "https://errors.example.com/NOT_FOUND"
    assert (
        service.call("GET", "/raise/order", headers={"accept": "application/json"}).json["success"] is False
    )


def test_405_says_what_is_allowed(service):
    allowed = service.call("DELETE", "/items").headers["allow"]

    assert "POST" in allowed


def test_error_keeps_its_headers(service):
    assert service.call("GET", "/raise/busy").headers["retry-after"] == "2"
    assert service.call("GET", "/raise/login").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("framework", ["fastapi", "starlette"], indirect=True)  # abort() of Flask takes none
def test_http_exception_keeps_its_headers(service):
    assert service.call("GET", "/http/418").headers["x-kept"] == "yes"


def test_error_header_that_would_forge_another_is_dropped(service):
    reply = service.call("GET", "/raise/forged")

    assert reply.headers["x-b"] == "ok"
    assert "x-a" not in reply.headers
    assert "set-cookie" not in reply.headers


def test_500_tells_only_the_correlation_id(service):
    reply = service.call("GET", "/raise/crash", headers={"x-correlation-id": "c-1"})

    assert error_of(reply) == {
        "code": "INTERNAL_ERROR",
        "message": "Internal server error",
        "details": {"correlation_id": "c-1"},
    }


def test_500_tells_type_and_message_where_that_is_wanted(make_service):
    service = make_service(LayerOptions(expose_error_details=True))

    details = error_of(service.call("GET", "/raise/crash"))["details"]

    assert (details["type"], details["message"]) == ("RuntimeError", "hunter2")


def test_exception_without_a_text_is_answered_where_details_are_shown(make_service):
    service = make_service(LayerOptions(expose_error_details=True))

    details = error_of(service.call("GET", "/raise/unkind"))["details"]

    assert details["message"] == "<Unkind>"


def test_our_own_500_keeps_its_code_and_hides_its_message(service):
    error = error_of(service.call("GET", "/raise/config", headers={"x-correlation-id": "c-1"}))

    assert error == {
        "code": "CONFIGURATION_ERROR",
        "message": "Invalid configuration",
        "details": {"correlation_id": "c-1"},
    }


def test_refused_input_never_comes_back(service):
    body = json.dumps({"name": ["hunter2"], "qty": "hunter2", "password": "hunter2"}).encode()

    reply = service.call("POST", "/items", headers=JSON, body=body)

    assert reply.status == 422
    assert "hunter2" not in reply.body.decode()
    errors = error_of(reply)["details"]["errors"]
    assert [sorted(error) for error in errors] == [["field", "message", "type"]] * 2
    assert [error["field"].removeprefix("body.") for error in errors] == ["name", "qty"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"{bad", "json_invalid"), (b'{"name": "\xff"}', "not_utf8"), (b"[" * 100_000, "too_deep")],
)
def test_bad_json_says_why(service, body, reason):
    error = error_of(service.call("POST", "/items", headers=JSON, body=body))

    assert error["details"]["reason"] == reason


def test_foreign_exception_follows_the_rules_of_the_runtime(service, runtime):
    runtime.get(ErrorMap).register(KeyError, ConflictError)

    reply = service.call("GET", "/raise/key")

    assert (reply.status, error_of(reply)["code"]) == (409, "CONFLICT")


def test_redirect_is_left_alone(service):
    reply = service.call("GET", "/away")

    assert reply.status in (302, 307)
    assert reply.headers["location"] == "/items/1"
    assert b"success" not in reply.body


def test_context_ends_with_the_request(service):
    for path in ("/items/1", "/raise/crash", "/nowhere"):
        service.call("GET", path)

        assert current_context() is None


def test_version_of_the_envelope_is_that_of_the_service(make_service):
    service = make_service(LayerOptions(api_version="v7"))

    assert service.call("GET", "/nowhere").json["version"] == "v7"


def test_unforeseen_exception_is_logged_once_with_its_traceback(service, caplog):
    caplog.set_level(logging.INFO, "shared.api")

    service.call("GET", "/raise/crash")

    records = [r for r in caplog.records if r.name == "shared.api"]
    assert [r.levelname for r in records] == ["ERROR"]
    assert isinstance(records[0].exc_info[1], RuntimeError)


def test_the_callers_errors_are_not_logged_as_ours(service, caplog):
    caplog.set_level(logging.INFO, "shared.api")

    service.call("GET", "/raise/order")

    assert [r for r in caplog.records if r.name == "shared.api"] == []


def test_unforeseen_exception_can_be_raised_again_for_tests(make_service):
    service = make_service(LayerOptions(reraise_errors=True))

    with pytest.raises(RuntimeError, match="hunter2"):
        service.call("GET", "/raise/crash")
