"""CORS, cross-site requests, bodies and deadlines: the same on the three frameworks."""

import json
import time

import pytest

from shared.api import CorsPolicy, CsrfPolicy, Job, LayerOptions
from shared.context import current_context
from shared.errors import AuthenticationError

APP = "https://app.example.com"
CORS = CorsPolicy(origins=(APP,), credentials=True)


class Nobody(Job):
    """An authenticator that lets nobody in."""

    def on_request(self, exchange):
        return AuthenticationError()


def code_of(answer):
    return json.loads(answer.body)["error"]["code"]


# --- CORS -------------------------------------------------------------------------------


@pytest.fixture
def guarded(make_service):
    return make_service(LayerOptions(cors=CORS, max_body_bytes=10), jobs=[Nobody()])


def test_preflight_is_answered_before_anybody_asks_who_it_is(guarded):
    asked = {"Origin": APP, "Access-Control-Request-Method": "PUT"}

    answer = guarded.call("OPTIONS", "/items/1", headers=asked)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == APP


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [("GET", "/items/1", None, 401), ("POST", "/items", b"x" * 11, 413)],
    ids=["job", "limit"],
)
def test_refusal_of_the_layer_can_be_read_by_the_page(guarded, method, path, body, status):
    answer = guarded.call(method, path, headers={"Origin": APP}, body=body)

    assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, APP)


@pytest.mark.parametrize("path", ["/nowhere", "/raise/crash", "/raise/order", "/http/418"])
def test_error_of_the_application_can_be_read_by_the_page(make_service, path):
    answer = make_service(LayerOptions(cors=CORS)).call("GET", path, headers={"Origin": APP})

    assert answer.status >= 400
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert {"accept", "origin"} <= {part.strip().lower() for part in answer.headers["vary"].split(",")}


# --- cross-site requests -----------------------------------------------------------------


def test_request_with_cookies_from_another_site_never_reaches_the_handler(make_service):
    service = make_service(LayerOptions(csrf=CsrfPolicy()))

    answer = service.call(
        "POST",
        "/items",
        headers={"Cookie": "session=1", "Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        body=b'{"name": "a"}',
    )

    assert (answer.status, code_of(answer)) == (403, "CSRF_FAILED")


def test_request_with_cookies_and_token_reaches_the_handler(make_service):
    policy = CsrfPolicy(secrets=("a secret of at least thirty-two bytes",))
    service = make_service(LayerOptions(csrf=policy))
    headers = {
        "Cookie": "session=s-1",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/json",
        "X-CSRF-Token": policy.tokens().issue("s-1"),
    }

    answer = service.call("POST", "/items", headers=headers, body=b'{"name": "a"}')

    assert (answer.status, json.loads(answer.body)["name"]) == (200, "a")


# --- bodies --------------------------------------------------------------------------------


@pytest.fixture
def picky(make_service):
    return make_service(LayerOptions(content_types=("application/json", "multipart/*")))


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/xml"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json; charset=utf-16"},
    ],
    ids=["other", "resembling", "none", "encoded", "charset"],
)
def test_body_that_the_service_does_not_read_is_415(picky, headers):
    answer = picky.call("POST", "/items", headers=headers, body=b'{"name": "a"}')

    assert (answer.status, code_of(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=UTF-8"])
def test_body_that_the_service_reads_passes(picky, kind):
    answer = picky.call("POST", "/items", headers={"Content-Type": kind}, body=b'{"name": "a"}')

    assert answer.status == 200


def test_request_without_a_body_needs_no_type(picky):
    assert picky.call("GET", "/items/1").status == 200


def test_refused_encoding_tells_which_is_read(picky):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert picky.call("POST", "/items", headers=headers, body=b"x").headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_body_that_nests_too_deep_is_400(make_service, depth):
    body = b'{"name":' * depth + b"1" + b"}" * depth

    answer = make_service().call("POST", "/items", headers={"Content-Type": "application/json"}, body=body)

    assert answer.status in (400, 422)


# --- deadlines -------------------------------------------------------------------------------


class Remembers(Job):
    def __init__(self):
        self.deadlines = []

    def on_request(self, exchange):
        self.deadlines.append(exchange.context.deadline)
        assert exchange.context is current_context()


def left(make_service, header, **options):
    """Return the seconds that a request has when its handler begins, and the answer's status."""
    remembers = Remembers()
    service = make_service(LayerOptions(**options), jobs=[remembers])
    headers = {} if header is None else {"X-Request-Deadline": header}
    began = time.monotonic()
    status = service.call("GET", "/items/1", headers=headers).status
    deadline = remembers.deadlines[0] if remembers.deadlines else None
    return None if deadline is None else deadline - began, status


def test_deadline_of_the_caller_is_that_of_the_request(make_service):
    seconds, status = left(make_service, "1000")

    assert status == 200
    assert 1000 <= seconds < 1100


def test_time_limit_bounds_the_deadline_of_the_caller(make_service):
    assert 500 <= left(make_service, "1000", request_timeout=500)[0] < 600


def test_caller_may_allow_less_than_the_time_limit(make_service):
    assert 300 <= left(make_service, "300", request_timeout=500)[0] < 400


def test_time_limit_is_the_deadline_when_the_caller_says_nothing(make_service):
    assert 500 <= left(make_service, None, request_timeout=500)[0] < 600


@pytest.mark.parametrize("header", ["-1", "1e9", "soon", "nan", "inf", "", "1" * 400])
def test_deadline_that_is_no_number_is_as_good_as_none(make_service, header):
    assert left(make_service, header) == (None, 200)


def test_request_that_comes_too_late_is_504_without_the_handler(make_service):
    remembers = Remembers()
    service = make_service(LayerOptions(), jobs=[remembers])

    answer = service.call("GET", "/items/1", headers={"X-Request-Deadline": "0"})

    assert (answer.status, code_of(answer), remembers.deadlines) == (504, "DEADLINE_EXCEEDED", [])
