import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import CorsPolicy, LayerOptions, Pipeline, Reply
from shared.api._asgi import AsgiHeaders
from shared.api._cors import CorsJob
from shared.api.asgi import AsgiLayer
from shared.errors import ConfigurationError, SharedError
from tests.unit.api._drive import asgi

APP = "https://app.example.com"


async def ok(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def layer(runtime, lines):
    def made(app=ok, **policy):
        options = LayerOptions(cors=CorsPolicy(**({"origins": (APP,)} | policy)))
        return AsgiLayer(app, Pipeline(options, runtime=runtime, access=lines))

    return made


def preflight(method="PUT", origin=APP, **headers):
    asked = [("Origin", origin), ("Access-Control-Request-Method", method)]
    return asked + [(name.replace("_", "-"), value) for name, value in headers.items()]


@pytest.mark.parametrize(
    "policy",
    [
        {"origins": ("*",), "credentials": True},
        {"origins": ("https://app.example.com/",)},
        {"origins": ("app.example.com",)},
        {"origins": ("null",)},
        {"origins": ("https://*.example.com",)},
        {"methods": ("*",)},
        {"methods": ("GET,POST",)},
        {"headers": ("X-A\r\nSet-Cookie: a",)},
        {"expose": ("*",), "credentials": True},
        {"max_age": -1},
    ],
    ids=lambda policy: ",".join(policy),
)
def test_unsafe_policy_is_refused_at_the_start(policy):
    with pytest.raises(ConfigurationError, match="CORS"):
        CorsPolicy(**({"origins": (APP,)} | policy))


def test_policies_that_say_the_same_are_equal():
    assert CorsPolicy(origins=[APP.upper()]) == CorsPolicy(origins=(APP,))


async def test_preflight_is_answered_without_the_application(layer):
    called = []

    async def app(*_):
        called.append(1)

    answer = await asgi(layer(app), "OPTIONS", "/x", preflight(Access_Control_Request_Headers="X-A, x-b"))

    assert (answer.status, answer.body, called) == (204, b"", [])
    assert answer.header("Access-Control-Allow-Origin") == APP
    assert "PUT" in answer.header("Access-Control-Allow-Methods")
    assert answer.header("Access-Control-Allow-Headers") == "X-A, x-b"
    assert answer.header("Access-Control-Max-Age") == "600"
    assert {"Origin", "Access-Control-Request-Method"} <= set(answer.header("Vary").split(", "))


async def test_preflight_of_a_stranger_is_refused_without_permission(layer):
    answer = await asgi(layer(), "OPTIONS", "/x", preflight(origin="https://evil.example"))

    assert answer.status == 403
    assert answer.header("Access-Control-Allow-Origin") is None
    assert b"evil" not in answer.body


async def test_options_without_the_question_reaches_the_application(layer):
    answer = await asgi(layer(), "OPTIONS", "/x", [("Origin", APP)])

    assert answer.body == b"ok"


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "null",
        "",
    ],
)
async def test_origin_that_only_resembles_a_listed_one_gets_nothing(layer, origin):
    answer = await asgi(layer(credentials=True), headers=[("Origin", origin)])

    assert [name for name, _ in answer.headers if name.startswith("access-control")] == []


async def test_answer_to_a_listed_origin_can_be_read_with_credentials(layer):
    answer = await asgi(layer(credentials=True), headers=[("Origin", APP)])

    assert answer.header("Access-Control-Allow-Origin") == APP
    assert answer.header("Access-Control-Allow-Credentials") == "true"
    assert "X-Correlation-ID" in answer.header("Access-Control-Expose-Headers")


async def test_caches_are_told_that_the_origin_matters_even_without_one(layer):
    assert (await asgi(layer())).header("Vary") == "Origin"


async def test_every_origin_needs_no_vary(layer):
    answer = await asgi(layer(origins=("*",)), headers=[("Origin", "null")])

    assert (answer.header("Access-Control-Allow-Origin"), answer.header("Vary")) == ("*", None)


async def test_answer_has_one_permission_also_when_the_application_gives_one(layer):
    async def app(_scope, _receive, send):
        headers = [(b"access-control-allow-origin", b"*"), (b"vary", b"Accept, origin")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    answer = await asgi(layer(app), headers=[("Origin", APP)])

    assert (answer.header("Access-Control-Allow-Origin"), answer.header("Vary")) == (APP, "Accept, origin")


async def test_named_headers_are_told_whatever_is_asked_for(layer):
    answer = await asgi(
        layer(headers=("X-A", "X-B")), "OPTIONS", "/", preflight(Access_Control_Request_Headers="X-C")
    )

    assert answer.header("Access-Control-Allow-Headers") == "X-A, X-B"


TEXT = st.text(st.characters(max_codepoint=255), max_size=60)


@given(origin=TEXT, method=TEXT, names=TEXT)
def test_whatever_a_preflight_asks_the_answer_is_well_formed(origin, method, names):
    class Asked:
        protocol = "http"
        method = "OPTIONS"

        def header(self, name):
            found = {
                "origin": origin,
                "access-control-request-method": asked,
                "access-control-request-headers": names,
            }
            return found.get(name)

    asked = method
    job = CorsJob(CorsPolicy(origins=(APP,)))
    answer = job.on_request(Asked())
    pairs = []
    job.on_headers(Asked(), 204, AsgiHeaders(pairs))

    assert isinstance(answer, (Reply, SharedError))
    sent = [value for _, value in getattr(answer, "headers", ()) or ()] if isinstance(answer, Reply) else []
    assert all(value.isascii() and value.isprintable() for value in sent)
    assert pairs == [(b"vary", b"Origin")] or origin.lower() == APP
