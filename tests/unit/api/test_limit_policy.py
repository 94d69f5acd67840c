"""Limits as text, and the rules of routes."""

import asyncio
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import LayerOptions, LimitPolicy, Pipeline, RateLimits, rate_limit
from shared.api._limit_policy import parse_policies
from shared.api._limit_rule import RULES
from shared.api.asgi import AsgiLayer
from shared.api.wsgi import WsgiLayer
from shared.cache import MemoryRateLimits
from shared.errors import ConfigurationError, SharedError, UnsupportedCallableError
from tests.unit.api._drive import asgi, wsgi


@pytest.mark.parametrize(
    ("text", "limit", "parts", "algorithm", "name"),
    [
        ("100/minute", "100/60s", ("principal",), "sliding_window", "default"),
        ("10 per 30 seconds by client", "10/30s", ("client",), "sliding_window", "default"),
        ("5/s by client and route", "5/1s", ("client", "route"), "sliding_window", "default"),
        ("5/s using gcra", "5/1s", ("principal",), "gcra", "default"),
        ("5/s by everybody using fixed_window as all", "5/1s", ("everybody",), "fixed_window", "all"),
        ("  5/s   as  burst ", "5/1s", ("principal",), "sliding_window", "burst"),
    ],
)
def test_a_line_of_text_is_a_policy(text, limit, parts, algorithm, name):
    policy = LimitPolicy.parse(text)

    assert (str(policy.tier.limit), policy.parts, policy.algorithm, policy.name) == (
        limit, parts, algorithm, name,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", " ", "lots", "5/fortnight", "5/s by", "5/s by ip", "5/s by client and", "5/s using magic",
             "5/s as a b", "5/s as", "5" * 400],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_refused(text):
    with pytest.raises(ConfigurationError):
        LimitPolicy.parse(text)


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{1,3}/[a-z]+( by [a-z_ ]+)?( as .*)?", fullmatch=True))
def test_any_line_gives_a_policy_or_an_error_of_ours(text):
    try:
        found = parse_policies(text)
    except SharedError:
        return

    assert all(isinstance(policy, LimitPolicy) for policy in found)


def test_policies_that_share_a_name_are_told_apart():
    found = parse_policies(["1/s by client; 1/s by principal and route", "5/hour as quota"])

    assert [policy.name for policy in found] == [
        "default-1-1s-client", "default-1-1s-principal-route", "quota",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "limits", [["5/s as a", "5/s by client as a", "5/s by route as a; 5/s by route as a"]]
)
def test_the_same_limit_twice_is_refused(limits):
    with pytest.raises(ConfigurationError, match="twice"):
        parse_policies(limits)


@pytest.mark.parametrize("cost", [-1, 1.5, "1", True], ids=repr)
def test_a_cost_is_a_whole_number_or_a_function(cost):
    with pytest.raises(ConfigurationError, match="cost"):
        LimitPolicy("5/s", cost=cost)


# --- rules ----------------------------------------------------------------------------


def test_a_rule_keeps_name_signature_and_kind_of_the_function():
    @rate_limit("5/minute")
    async def search(term: str, limit: int = 10) -> list:
        """Find."""

    assert (search.__name__, search.__doc__) == ("search", "Find.")
    assert list(inspect.signature(search).parameters) == ["term", "limit"]
    assert inspect.iscoroutinefunction(search)


def test_rules_of_a_function_are_listed_outermost_first():
    outer, inner = rate_limit("5/minute", name="outer"), rate_limit("1/minute", name="inner")

    @outer
    @inner
    def search():
        """Find."""

    assert getattr(search, RULES) == (outer, inner)


def generator():
    yield 1


async def async_generator():
    yield 1


@pytest.mark.parametrize(
    "function", [int, 5, "f", generator, async_generator], ids=["class", "int", "str", "gen", "agen"]
)
def test_only_functions_can_be_limited(function):
    with pytest.raises(UnsupportedCallableError):
        rate_limit("5/minute")(function)


def test_a_rule_has_no_parameters_for_fastapi_to_fill():
    assert str(inspect.signature(rate_limit("5/minute"))) == "()"


@pytest.mark.parametrize("limits", ["", ";", ()], ids=repr)
def test_a_rule_needs_a_limit(limits):
    with pytest.raises(ConfigurationError, match="limit is needed"):
        rate_limit(limits)


# --- the job without a framework ---------------------------------------------------------


def asgi_app(work):
    async def app(_scope, _receive, send):
        await work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


def pipeline(job, runtime, lines):
    return Pipeline(LayerOptions(security_headers="off"), runtime=runtime, access=lines, jobs=[job])


def test_a_cost_can_be_told_by_the_request(runtime, lines):
    policy = LimitPolicy("10/minute", by="client", cost=lambda exchange: int(exchange.header("x-size") or 1))
    layer = AsgiLayer(asgi_app(_nothing), pipeline(RateLimits(policy), runtime, lines))

    async def ask():
        return [await asgi(layer, headers=[("x-size", size)]) for size in ("7", "4", "3", "11")]

    answers = asyncio.run(ask())

    assert [answer.status for answer in answers] == [200, 429, 200, 429]
    assert answers[3].header("retry-after") is None  # it can never pass
    assert answers[3].header("ratelimit") == f'"default";r=0;t={2**31 - 1}'


def test_a_limit_that_does_not_apply_counts_and_tells_nothing(runtime, lines):
    inner = LimitPolicy("1/minute", by=lambda exchange: exchange.header("x-tenant"), name="tenant")
    job = RateLimits([inner, "3/minute by client as client"])
    layer = AsgiLayer(asgi_app(_nothing), pipeline(job, runtime, lines))

    async def ask():
        given = ([], [("x-tenant", "a")], [("x-tenant", "a")], [])
        return [await asgi(layer, headers=headers) for headers in given]

    answers = asyncio.run(ask())

    assert [answer.status for answer in answers] == [200, 200, 429, 200]
    assert answers[0].header("ratelimit-policy") == '"client";q=3;w=60'
    assert answers[1].header("ratelimit-policy") == '"tenant";q=1;w=60, "client";q=3;w=60'


def test_a_request_that_no_limit_applies_to_is_not_counted(runtime, lines):
    job = RateLimits([LimitPolicy("1/minute", by=lambda _e: None, name=name) for name in ("a", "b")])
    layer = WsgiLayer(wsgi_app, pipeline(job, runtime, lines))

    answers = [wsgi(layer) for _ in range(3)]

    assert [(answer.status, answer.header("ratelimit")) for answer in answers] == [(200, None)] * 3


def wsgi_app(_environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]


async def _nothing():
    """Do nothing."""


def test_limits_on_asgi_and_wsgi_count_together_in_one_store(runtime, lines):
    store = MemoryRateLimits()
    jobs = [RateLimits("2/minute by client", store=store) for _ in range(2)]
    over_asgi = AsgiLayer(asgi_app(_nothing), pipeline(jobs[0], runtime, lines))
    over_wsgi = WsgiLayer(wsgi_app, pipeline(jobs[1], runtime, lines))

    statuses = [
        asyncio.run(asgi(over_asgi)).status, wsgi(over_wsgi).status, asyncio.run(asgi(over_asgi)).status,
    ]  # fmt: skip

    assert statuses == [200, 200, 429]


def test_a_rule_after_the_request_is_told_that_there_is_none(runtime, lines):
    rule = rate_limit("5/minute")
    layer = WsgiLayer(wsgi_app, pipeline(RateLimits(), runtime, lines))
    wsgi(layer)

    with pytest.raises(ConfigurationError, match="outside of a request"):
        rule()


def test_the_job_explains_application_and_routes(runtime, lines):
    job = RateLimits("5/minute by client", headers="both", instances=3)
    rule = rate_limit("1/minute", by=lambda _exchange: "me", name="own")

    def view(environ, start_response):
        rule.check()
        return wsgi_app(environ, start_response)

    wsgi(WsgiLayer(view, pipeline(job, runtime, lines)))
    told = job.explain()

    assert (told["store"], told["headers"], told["instances"]) == ("memory", "both", 3)
    assert [(limit["where"], limit["limit"], limit["by"]) for limit in told["limits"]] == [
        ("application", 5, ["client"]), ("own", 1, ["<lambda>"]),
    ]  # fmt: skip


def test_a_style_of_headers_that_is_unknown_is_refused():
    with pytest.raises(ConfigurationError, match="headers is one of"):
        RateLimits(headers="fancy")


def test_the_job_closes_the_store_it_made(tmp_path):
    job = RateLimits(store=f"sqlite:///{tmp_path}/limits.db")

    job.close()
    asyncio.run(job.aclose())

    assert job.store._file is None


def test_a_websocket_is_limited_at_its_handshake(runtime, lines):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})

    layer = AsgiLayer(app, pipeline(RateLimits("1/minute by client"), runtime, lines))

    async def connect():
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "websocket",
            "path": "/ws",
            "headers": [],
            "client": ("192.0.2.7", 1),
            "scheme": "ws",
        }
        await layer(scope, receive, send)
        return sent[0]["type"]

    async def twice():
        return [await connect(), await connect()]

    assert asyncio.run(twice()) == ["websocket.accept", "websocket.close"]
