"""Rate limits on FastAPI, Starlette and Flask: the same answers, headers and keys."""

import json
import re

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from shared.api import LayerOptions, RateLimits, RequestLimited, rate_limit
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.cache import MemoryRateLimits
from shared.context import set_principal
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.resilience import CircuitBreaker


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def fastapi_app(rules):
    app = FastAPI()

    @app.get("/open/{n}")
    async def open_(n: int):
        return n

    @app.get("/limited/{n}")
    @rules["route"]
    async def limited(n: int):
        return n

    @app.get("/threaded/{n}")
    @rules["route"]
    def threaded(n: int):
        return n

    @app.get("/strict", dependencies=[Depends(rules["strict"].acheck)])
    async def strict():
        return "in"

    @app.get("/mine/{who}")
    async def mine(who: str):
        set_principal(who)
        await rules["mine"].acheck()
        return who

    return app


def starlette_app(rules):
    async def open_(request):
        return JSONResponse(request.path_params["n"])

    @rules["route"]
    async def limited(request):
        return JSONResponse(request.path_params["n"])

    @rules["route"]
    def threaded(request):
        return JSONResponse(request.path_params["n"])

    @rules["strict"]
    async def strict(_request):
        return JSONResponse("in")

    async def mine(request):
        set_principal(request.path_params["who"])
        await rules["mine"].acheck()
        return JSONResponse(request.path_params["who"])

    return Starlette(
        routes=[
            Route("/open/{n:int}", open_),
            Route("/limited/{n:int}", limited),
            Route("/threaded/{n:int}", threaded),
            Route("/strict", strict),
            Route("/mine/{who}", mine),
        ]
    )


def flask_app(rules):
    app = Flask("limits")

    @app.get("/open/<int:n>")
    def open_(n):
        return str(n)

    @app.get("/limited/<int:n>")
    @rules["route"]
    def limited(n):
        return str(n)

    @app.get("/threaded/<int:n>")
    @rules["route"]
    def threaded(n):
        return str(n)

    @app.get("/strict")
    @rules["strict"]
    def strict():
        return "in"

    @app.get("/mine/<who>")
    def mine(who):
        set_principal(who)
        rules["mine"].check()
        return who

    return app


FRAMEWORKS = {
    "fastapi": (fastapi_app, on_fastapi),
    "starlette": (starlette_app, on_starlette),
    "flask": (flask_app, on_flask),
}


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def error(self):
        return json.loads(self.body)["error"]


class Service:
    def __init__(self, framework, runtime, lines, job):
        self.rules = {
            "route": rate_limit("2/minute"),
            "strict": rate_limit("1/minute", name="strict", by="client", on_failure="closed"),
            "mine": rate_limit("1/minute", name="mine", by="principal"),
        }
        make, self.module = FRAMEWORKS[framework]
        self.app = make(self.rules)
        self.module.install_layer(self.app, LayerOptions(), runtime=runtime, access=lines, jobs=[job])
        self.module.install_error_handlers(self.app)
        self.is_flask = framework == "flask"

    def get(self, path, *, peer="192.0.2.7", **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.is_flask:
            answer = self.app.test_client().get(path, headers=sent, environ_base={"REMOTE_ADDR": peer})
            return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers}, answer.data)
        client = TestClient(self.app, client=(peer, 1), raise_server_exceptions=False)
        answer = client.get(path, headers=sent)
        return Answer(answer.status_code, dict(answer.headers), answer.content)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=FRAMEWORKS)
def make(request, runtime, lines, clock):
    def made(limits=(), **options):
        options.setdefault("store", MemoryRateLimits(clock=clock))
        return Service(request.param, runtime, lines, RateLimits(limits, **options))

    return made


def test_a_request_within_the_limit_passes_and_is_told_where_it_stands(make):
    service = make("3/minute by client")

    answer = service.get("/open/1")

    assert answer.status == 200
    assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert answer.headers["ratelimit"] == '"default";r=2;t=60'
    assert "retry-after" not in answer.headers


def test_a_request_above_the_limit_gets_a_429_that_tells_the_truth(make, clock):
    service = make("3/minute by client")
    for _ in range(3):
        service.get("/open/1")
        clock.now += 0.4

    answer = service.get("/open/1")
    wait = int(answer.headers["retry-after"])
    clock.now += wait - 1
    early = service.get("/open/1")
    clock.now += 1
    in_time = service.get("/open/1")

    assert answer.status == 429
    assert answer.error["code"] == "RATE_LIMIT_EXCEEDED"
    assert answer.error["details"] == {"limit": 3, "window": 60, "policy": "default", "retry_after": 59}
    assert answer.headers["ratelimit"] == '"default";r=0;t=59'
    assert (wait, early.status, in_time.status) == (59, 429, 200)


def test_several_limits_are_one_decision(make, clock):
    service = make("1/second by client; 20/hour by client")

    flood = [service.get("/open/1") for _ in range(60)]
    clock.now += 1.0
    after = service.get("/open/1")

    assert [answer.status for answer in flood] == [200] + [429] * 59
    assert after.status == 200
    assert 'default-20-3600s-client";r=18;' in after.headers["ratelimit"]
    assert after.headers["ratelimit-policy"] == (
        '"default-1-1s-client";q=1;w=1, "default-20-3600s-client";q=20;w=3600'
    )


def test_a_limited_route_counts_by_itself_whatever_its_parameters(make):
    service = make()

    limited = [service.get(f"/limited/{n}").status for n in range(3)]
    threaded = [service.get(f"/threaded/{n}").status for n in range(3)]

    assert limited == threaded == [200, 200, 429]
    assert service.get("/open/1").status == 200


def test_the_limits_of_application_and_route_are_told_together(make):
    service = make("10/minute by client as api")

    answer = service.get("/limited/1")

    assert answer.headers["ratelimit-policy"] == '"api";q=10;w=60, "route";q=2;w=60'
    assert answer.headers["ratelimit"] == '"api";r=9;t=60, "route";r=1;t=60'


def test_principals_are_limited_one_by_one(make):
    service = make()

    seen = [service.get(f"/mine/{who}").status for who in ("ann", "ann", "bob", "bob")]

    assert seen == [200, 429, 200, 429]


def test_a_route_of_the_application_is_known_before_it_is_chosen(make):
    service = make("2/minute by client and route")

    seen = [
        service.get(path).status for path in ("/open/1", "/open/2", "/open/3", "/strict", "/a", "/b", "/c")
    ]

    assert seen == [200, 200, 429, 200, 404, 404, 429]


def test_what_a_client_claims_about_its_address_is_not_believed(make):
    service = make("2/minute by client")

    seen = [service.get("/open/1", x_forwarded_for=f"203.0.113.{n}").status for n in range(4)]

    assert seen == [200, 200, 429, 429]


def test_behind_a_trusted_proxy_each_client_has_its_own_permits(make):
    service = make("1/minute by client", trusted_proxies=["192.0.2.0/24"])

    seen = [
        service.get("/open/1", x_forwarded_for=f"6.6.6.6, {address}").status
        for address in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
    ]

    assert seen == [200, 200, 429]


def test_addresses_of_one_ipv6_network_share_their_permits(make):
    service = make("2/minute by client")

    seen = [
        service.get("/open/1", peer=peer).status
        for peer in ("2001:db8::1", "2001:db8::ffff", "2001:db8::2", "2001:db8:0:1::1")
    ]

    assert seen == [200, 200, 429, 200]


def test_api_keys_are_limited_one_by_one_and_kept_as_a_digest(make, clock):
    store = MemoryRateLimits(clock=clock)
    service = make("1/minute by api_key", store=store)

    seen = [service.get("/open/1", x_api_key=key).status for key in ("sk-secret-1", "sk-secret-1", "sk-2")]

    assert seen == [200, 429, 200]
    assert not any("secret" in key for table in store._tables.values() for key in table.states)


def test_a_limit_for_everybody_counts_everybody(make):
    service = make("2/minute by everybody")

    seen = [service.get("/open/1", peer=f"192.0.2.{n}").status for n in range(3)]

    assert seen == [200, 200, 429]


def test_probes_are_never_limited(make):
    service = make("1/minute by client", exempt_paths=["/strict"])
    service.get("/open/1")

    assert service.get("/strict").status == 200
    assert service.get("/open/1").status == 429


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("ietf", {"ratelimit", "ratelimit-policy"}),
        (
            "both",
            {
                "ratelimit",
                "ratelimit-policy",
                "x-ratelimit-limit",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
            },
        ),
        ("off", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_style_of_the_headers_is_chosen(make, style, expected):
    service = make("1/minute by client", headers=style)
    service.get("/open/1")

    answer = service.get("/open/1")

    assert {name for name in answer.headers if "ratelimit" in name} == expected
    assert answer.headers["retry-after"] == "60"
    if style == "both":
        assert [answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")] == [
            "1",
            "0",
            "60",
        ]


def test_a_refusal_tells_an_event(make, runtime):
    service = make("1/minute by client")
    seen = []
    runtime.events.subscribe(RequestLimited, seen.append)

    for _ in range(3):
        service.get("/open/1")

    route = seen[0].route
    assert seen == [RequestLimited("default", "store", route)] * 2
    assert re.fullmatch(r"/open/\{n(:int)?\}", route)


class Down(MemoryRateLimits):
    shown = "a store that is down"

    def __init__(self) -> None:
        super().__init__()
        self.breaker = CircuitBreaker("down", failure_threshold=3)

    def hit(self, tiers, key, cost=1):
        raise ServiceUnavailableError("the store is down")


def test_without_the_store_each_limit_follows_its_own_policy(make):
    service = make("3/minute by client", store=Down())

    strict = service.get("/strict")
    opened = [service.get("/open/1").status for _ in range(4)]

    assert (strict.status, strict.headers["retry-after"]) == (503, "1")
    assert opened == [200, 200, 429, 429]


def test_without_a_layer_a_limit_says_what_is_missing():
    rule = rate_limit("1/minute")

    with pytest.raises(ConfigurationError, match="install"):
        rule.check()


def test_a_rule_itself_is_a_dependency_of_fastapi(runtime, lines):
    app = FastAPI()

    @app.get("/once", dependencies=[Depends(rate_limit("1/minute"))])
    async def once():
        return 1

    on_fastapi.install_layer(app, runtime=runtime, access=lines, jobs=[RateLimits()])
    on_fastapi.install_error_handlers(app)
    client = TestClient(app)

    assert [client.get("/once").status_code for _ in range(2)] == [200, 429]
    assert app.openapi()["paths"]["/once"]["get"].get("parameters") is None
