"""What the HTTP clients decide without I/O: paths, headers, and what an answer stands for."""

import json

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.context import TraceContext, request_context
from shared.errors import (
    BulkheadFullError,
    BusinessError,
    ConflictError,
    DeadlineExceededError,
    ExternalServiceError,
    InvalidArgumentError,
    RateLimitError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    SharedError,
    ValidationError,
)
from shared.resilience import BreakerConfig, Deadline
from shared.resilience._http_core import (
    Call,
    error_for_answer,
    outbound_headers,
    route_path,
    span_of,
    translate,
    unsent,
)
from shared.resilience.testing import FakeClock


def call_of(**changes):
    given = {
        "service": "payments",
        "method": "GET",
        "route": "/charges/{id}",
        "path": "/charges/4242",
        "build": {},
        "headers": {},
        "timeout": 5.0,
        "clock": FakeClock(),
    }
    return Call(**{**given, **changes})


# --- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "values", "path"),
    [
        ("/users", None, "/users"),
        ("/users/{id}", {"id": 7}, "/users/7"),
        ("/f/{name}/{v}", {"name": "a/b c?d#e", "v": "ü"}, "/f/a%2Fb%20c%3Fd%23e/%C3%BC"),
        ("/f/{name}", {"name": "..."}, None),
        ("/f/{name}", {"name": ".hidden"}, "/f/.hidden"),
    ],
)
def test_values_are_quoted_as_one_segment(route, values, path):
    if path is None:
        with pytest.raises(InvalidArgumentError):
            route_path(route, values)
    else:
        assert route_path(route, values) == path


@pytest.mark.parametrize(
    "route",
    ["http://evil.example/x", "//evil.example/x", "https:evil", "/\\evil.example", "javascript:alert(1)"],
)
def test_a_route_cannot_leave_the_service(route):
    with pytest.raises(InvalidArgumentError, match="is not a path"):
        route_path(route, None)


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_cannot_address_another_path(value):
    with pytest.raises(InvalidArgumentError, match="another path"):
        route_path("/users/{id}/orders", {"id": value})


@pytest.mark.parametrize("values", [None, {}, {"id": 1, "more": 2}, {"other": 1}])
def test_values_and_placeholders_must_match(values):
    with pytest.raises(InvalidArgumentError, match="needs the values"):
        route_path("/users/{id}", values)


@given(st.text(max_size=40))
def test_any_value_stays_inside_its_segment(value):
    try:
        path = route_path("/users/{id}/orders", {"id": value})
    except InvalidArgumentError:
        assert set(value) <= {"."}
        return
    except UnicodeEncodeError:
        pytest.fail("a lone surrogate must be refused with our error")

    assert path.startswith("/users/")
    assert path.endswith("/orders")
    assert path.count("/") == 3
    assert not set(path) & set("?#\\ ")


# --- headers ---------------------------------------------------------------------------------------------


def test_ids_trace_and_the_time_allowed_are_sent():
    trace = TraceContext.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1")

    with request_context(correlation_id="c-1", trace=trace):
        call = call_of()
        headers = outbound_headers(call, 2.5, span_of(call))

    parent = TraceContext.parse(headers["traceparent"])
    assert headers["X-Correlation-ID"] == "c-1"
    assert parent.trace_id == trace.trace_id
    assert parent.span_id != trace.span_id
    assert headers["tracestate"] == "vendor=1"
    assert headers["X-Request-Deadline"] == "2.500"


def test_the_callers_own_headers_win_whatever_their_case():
    with request_context(correlation_id="c-1"):
        headers = outbound_headers(call_of(headers={"x-correlation-id": "mine"}), 1.0)

    assert headers["x-correlation-id"] == "mine"
    assert "X-Correlation-ID" not in headers


def test_outside_of_a_request_only_the_time_is_sent_and_to_strangers_nothing():
    assert outbound_headers(call_of(headers={"A": "1"}), 1.0) == {"A": "1", "X-Request-Deadline": "1.000"}
    with request_context(correlation_id="c-1"):
        assert span_of(call_of(propagate=False)) is None
        assert outbound_headers(call_of(propagate=False), 1.0) == {}


# --- answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "retryable", "counts"),
    [
        (400, BusinessError, False, False),
        (401, ExternalServiceError, False, True),
        (403, ExternalServiceError, False, True),
        (404, ResourceNotFoundError, False, False),
        (408, DeadlineExceededError, True, True),
        (409, ConflictError, False, False),
        (418, BusinessError, False, False),
        (422, ValidationError, False, False),
        (425, ServiceUnavailableError, True, True),
        (429, RateLimitError, True, True),
        (500, ExternalServiceError, True, True),
        (501, ExternalServiceError, False, True),
        (502, ExternalServiceError, True, True),
        (503, ServiceUnavailableError, True, True),
        (504, DeadlineExceededError, True, True),
        (599, ExternalServiceError, True, True),
    ],
)
def test_a_status_becomes_an_error_of_the_tree(status, error, retryable, counts):
    found = error_for_answer(call_of(), status, {}, b"")

    assert isinstance(found, error)
    assert str(found) == f"payments answered {status} to GET /charges/{{id}}"
    assert found.details["status"] == status
    assert found.details["service"] == "payments"
    assert found.retryable is retryable
    assert BreakerConfig().judge(found) is counts


@pytest.mark.parametrize("status", [100, 200, 204, 302, 304, 399])
def test_a_status_below_400_is_an_answer(status):
    assert error_for_answer(call_of(), status, {}, b"") is None


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept(status):
    assert error_for_answer(call_of(), status, {"retry-after": "7"}, b"").retry_after == 7.0
    assert error_for_answer(call_of(), status, {"retry-after": "soon"}, b"").retry_after is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "CARD_DECLINED", "message": "jane@example.org"}}, "CARD_DECLINED"),
        ({"code": "CARD_DECLINED"}, "CARD_DECLINED"),
        ({"error": {"code": "card declined for jane"}}, None),
        ({"error": {"code": 5}}, None),
        ({"error": "CARD_DECLINED"}, None),
        ({}, None),
    ],
)
def test_of_the_body_only_a_well_formed_code_is_shown(body, code):
    error = error_for_answer(call_of(), 409, {}, json.dumps(body).encode())

    assert error.details.get("upstream_code") == code
    assert "jane" not in str(error) + str(error.to_dict())


@given(st.binary(max_size=200), st.integers(400, 599))
def test_any_body_gives_an_error_of_ours(body, status):
    assert isinstance(error_for_answer(call_of(), status, {}, b"{" + body), SharedError)


def test_a_deeply_nested_body_is_no_trouble():
    assert error_for_answer(call_of(), 500, {}, b'{"a":' * 10_000) is not None


# --- failures without an answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("foreign", "error", "is_unsent"),
    [
        (httpx2.ConnectError("x"), ServiceUnavailableError, True),
        (httpx2.ConnectTimeout("x"), ServiceUnavailableError, True),
        (httpx2.ProxyError("x"), ServiceUnavailableError, True),
        (httpx2.PoolTimeout("x"), BulkheadFullError, True),
        (httpx2.ReadTimeout("x"), DeadlineExceededError, False),
        (httpx2.WriteTimeout("x"), DeadlineExceededError, False),
        (httpx2.ReadError("x"), ExternalServiceError, False),
        (httpx2.RemoteProtocolError("x"), ExternalServiceError, False),
        (httpx2.DecodingError("x"), ExternalServiceError, False),
        (httpx2.StreamConsumed(), ExternalServiceError, False),
        (httpx2.LocalProtocolError("x"), InvalidArgumentError, False),
        (httpx2.InvalidURL("x"), InvalidArgumentError, False),
        (TypeError("secret"), InvalidArgumentError, False),
    ],
)
def test_foreign_errors_become_ours_without_their_text(foreign, error, is_unsent):
    found = translate(call_of(), foreign, 5.0, by_deadline=False)

    assert isinstance(found, error)
    assert unsent(found) is is_unsent
    assert "secret" not in str(found)


def test_our_own_errors_stay_as_they_are():
    error = ExternalServiceError("x")

    assert translate(call_of(), error, 5.0, by_deadline=False) is error


@pytest.mark.parametrize("foreign", [httpx2.ReadTimeout("x"), httpx2.ConnectTimeout("x")])
def test_running_out_of_the_callers_time_is_final(foreign):
    error = translate(call_of(), foreign, 0.2, by_deadline=True)

    assert isinstance(error, DeadlineExceededError)
    assert error.retryable is False


def test_the_time_of_a_try_is_the_smaller_of_timeout_and_deadline():
    clock = FakeClock()
    call = call_of(clock=clock)

    assert call.time_allowed() == (5.0, False)
    with Deadline.after(9.0, clock=clock).scope():
        assert call.time_allowed() == (5.0, False)
        clock.advance(7.0)
        assert call.time_allowed() == (2.0, True)
        clock.advance(2.0)
        with pytest.raises(DeadlineExceededError):
            call.time_allowed()
