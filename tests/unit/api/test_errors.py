import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import ErrorEnvelope, ErrorRenderer, Problem, problem_details
from shared.api._errors import bad_body, from_http, is_bad_json
from shared.errors import (
    AuthenticationError,
    BusinessError,
    ConfigurationError,
    ConflictError,
    ErrorMap,
    ExternalServiceError,
    RateLimitError,
    ResourceNotFoundError,
    SharedError,
    ValidationError,
)

PROBLEM = "application/problem+json"


def body_of(reply):
    return json.loads(reply.body)


def headers_of(reply):
    return {name.lower(): value for name, value in reply.headers}


# --- problem details -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        ("https://errors.example.com", "https://errors.example.com/CONFLICT"),
        ("https://errors.example.com/", "https://errors.example.com/CONFLICT"),
        ("https://docs.example.com/errors#", "https://docs.example.com/errors#CONFLICT"),
        ("urn:problem:", "urn:problem:CONFLICT"),
    ],
)
def test_problem_type_is_base_and_code(base, kind):
    problem = problem_details(ConflictError("taken"), base_url=base)

    assert problem["type"] == kind
    assert problem["title"] == "The resource is in a conflicting state"
    assert problem["detail"] == "taken"


def test_problem_without_a_base_has_the_phrase_of_the_status_as_title():
    problem = problem_details(ConflictError("taken"))

    assert (problem["type"], problem["title"]) == ("about:blank", "Conflict")


def test_problem_leaves_out_what_is_not_known():
    assert list(problem_details(ConflictError())) == ["type", "title", "status", "detail", "code", "details"]


def test_problem_of_a_code_of_the_service_has_the_phrase_of_the_status_as_title():
    error = SharedError("x", code="OWN_CODE", status=409)

    assert problem_details(error, base_url="https://e.example.com")["title"] == "Conflict"


# --- rendering --------------------------------------------------------------------------------


def test_reply_is_complete():
    reply = ErrorRenderer(version="v2").render(ResourceNotFoundError(resource="order"))

    assert reply.status == 404
    assert headers_of(reply) == {
        "content-type": "application/json",
        "content-length": str(len(reply.body)),
        "vary": "Accept",
    }
    assert body_of(reply)["error"] == {
        "code": "NOT_FOUND",
        "message": "order not found",
        "details": {"resource": "order"},
    }
    assert body_of(reply)["version"] == "v2"


def test_foreign_exception_with_a_rule_is_that_error():
    errors = ErrorMap()
    errors.register(KeyError, lambda exc: ConflictError(details={"key": exc.args[0]}))

    reply = ErrorRenderer(errors=errors).render(KeyError("a"))

    assert (reply.status, body_of(reply)["error"]["details"]) == (409, {"key": "a"})


def test_rule_that_fails_makes_a_500():
    def broken(exc):
        raise LookupError

    errors = ErrorMap()
    errors.register(KeyError, broken)

    assert ErrorRenderer(errors=errors).render(KeyError("a")).status == 500


def test_503_and_its_like_keep_their_message_in_production():
    error = body_of(ErrorRenderer().render(ExternalServiceError("payments timed out")))["error"]

    assert error["message"] == "payments timed out"


def test_details_of_an_exposed_500_are_masked():
    renderer = ErrorRenderer(expose_details=True)

    details = body_of(renderer.render(RuntimeError("Authorization: Bearer abcdefghijklmnop")))["error"][
        "details"
    ]

    assert "abcdefghijklmnop" not in details["message"]


def test_details_of_an_exposed_500_are_short():
    details = body_of(ErrorRenderer(expose_details=True).render(RuntimeError("x" * 10**6)))["error"][
        "details"
    ]

    assert len(details["message"]) <= 1000


def test_our_own_500_keeps_its_message_where_details_are_exposed():
    error = body_of(ErrorRenderer(expose_details=True).render(ConfigurationError("PORT: not a number")))[
        "error"
    ]

    assert error["message"] == "PORT: not a number"


def test_details_without_a_json_form_do_not_spoil_the_answer():
    reply = ErrorRenderer().render(ConflictError("taken", details={"by": object(), "n": 2**70}))

    assert body_of(reply)["error"]["details"] == {"by": "<object>", "n": 2**70}


class Careless(SharedError):
    """A subclass that forgot to call the base."""

    def __init__(self):
        Exception.__init__(self, "careless")


class Wild(SharedError):
    status = 42
    code = "WILD"


def test_subclass_that_forgot_the_base_is_still_an_answer():
    class Odd(Careless):
        def __str__(self):
            raise RuntimeError

    assert ErrorRenderer().render(Odd()).status == 500
    assert ErrorRenderer(expose_details=True).render(Odd(), accept=PROBLEM).status == 500


def test_status_that_is_no_error_becomes_500():
    reply = ErrorRenderer().render(Wild("x"))

    assert (reply.status, body_of(reply)["error"]["code"]) == (500, "WILD")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nSet-Cookie: b=c"},
        {"X-A": "a\x00"},
        {"X A": "b"},
        {"X-A\r\nX-B": "c"},
        {"": "a"},
        {"X-A": "cr\u00eape"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"content-type": "text/html"},
    ],
    ids=str,
)
def test_header_that_must_not_stand_in_an_answer_is_dropped(headers):
    reply = ErrorRenderer().render(ConflictError(headers={**headers, "X-Fine": "1"}))

    assert set(headers_of(reply)) == {"x-fine", "content-type", "content-length", "vary"}
    assert headers_of(reply)["content-type"] == "application/json"


def test_instance_is_the_path_as_a_uri_reference():
    problem = body_of(ErrorRenderer().render(ConflictError(), accept=PROBLEM, path="/a b/\u00e9?#"))

    assert problem["instance"] == "/a%20b/%C3%A9%3F%23"


ERRORS = st.sampled_from(
    [
        RuntimeError("x"),
        ConflictError("taken"),
        AuthenticationError(),
        RateLimitError(retry_after=0.1),
        ValidationError(details={"errors": []}),
        Careless(),
        Wild("w"),
        ExceptionGroup("g", [ConflictError(), ConflictError()]),
        BaseExceptionGroup("g", [KeyboardInterrupt()]),
    ]
)


@given(
    ERRORS, st.none() | st.text(max_size=80), st.none() | st.text(max_size=40), st.booleans(), st.booleans()
)
def test_any_exception_gives_a_well_formed_answer(exc, accept, path, expose, problem):
    renderer = ErrorRenderer(expose_details=expose, problem=problem)

    reply = renderer.render(exc, accept=accept, path=path, correlation_id="c-1")

    assert 400 <= reply.status <= 599
    headers = headers_of(reply)
    assert headers["content-length"] == str(len(reply.body))
    if headers["content-type"] == PROBLEM:
        assert Problem.model_validate_json(reply.body).status == reply.status
    else:
        assert ErrorEnvelope.model_validate_json(reply.body).success is False


# --- from frameworks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "detail", "message", "details"),
    [
        (404, "Not Found", "Resource not found", {}),
        (404, None, "Resource not found", {}),
        (404, "", "Resource not found", {}),
        (404, "no such order", "no such order", {}),
        (409, {"order": "o-1"}, "The resource is in a conflicting state", {"order": "o-1"}),
        (409, ["a", "b"], "The resource is in a conflicting state", {"errors": ["a", "b"]}),
        (418, "teapot", "teapot", {}),
        (418, 7, "The request was refused", {}),
    ],
)
def test_framework_exception_gives_message_and_details(status, detail, message, details):
    error = from_http(status, detail)

    assert (error.status, error.message, error.details) == (status, message, details)


@pytest.mark.parametrize("status", [0, 200, 304, 399, 600, 1000, -1])
def test_framework_exception_with_an_odd_status_is_a_500(status):
    assert from_http(status, "x").status == 500


def test_framework_exception_keeps_one_challenge():
    error = from_http(401, None, {"www-authenticate": "Basic"})

    assert error.headers == {"WWW-Authenticate": "Basic"}
    assert isinstance(from_http(418, None, {"X-A": "b"}), BusinessError)


def read_json(text):
    return json.loads(text)


def test_bad_json_is_the_callers_when_it_was_raised_while_reading_the_body():
    caught = []
    for parse in (read_json, json.loads):
        try:
            parse("{")
        except ValueError as exc:
            caught.append(is_bad_json(exc, read_json))

    assert caught == [True, False]
    assert not is_bad_json(KeyError("x"), read_json)


@pytest.mark.parametrize(
    ("exc", "details"),
    [
        (json.JSONDecodeError("Expecting value", "secret", 3), {"reason": "json_invalid", "position": 3}),
        (UnicodeDecodeError("utf-8", b"secret", 0, 1, "bad"), {"reason": "not_utf8"}),
        (RecursionError(), {"reason": "too_deep"}),
    ],
    ids=["json", "utf-8", "deep"],
)
def test_bad_body_says_why_and_not_what(exc, details):
    error = bad_body(exc)

    assert (error.status, error.details) == (400, details)
    assert "secret" not in str(error)


def test_rule_that_fails_is_named_once_in_the_error_it_should_have_translated():
    class Foreign(Exception):
        pass

    def broken(_exc):
        raise ZeroDivisionError

    errors = ErrorMap()
    errors.register(Foreign, broken)
    renderer, exc = ErrorRenderer(errors=errors), Foreign("hunter2")

    statuses = [renderer.render(exc).status for _ in range(2)]

    assert statuses == [500, 500]
    assert exc.__notes__ == ["the rule that should translate it failed with ZeroDivisionError"]
