"""The route label is the template, whatever the framework leaves in the scope, and it is bounded."""

import random

import pytest
from fastapi import APIRouter, FastAPI, routing
from fastapi.testclient import TestClient
from flask import Blueprint, Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from shared.api import LayerOptions
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.api._routes import RouteIndex
from tests.unit.api._drive import http_scope

# Before 0.137, FastAPI left mounts out when it included a router.
INCLUDES_MOUNTS = hasattr(routing, "iter_route_contexts")
QUIET = LayerOptions(quiet_paths=frozenset())


async def view(_request):
    return PlainTextResponse("ok")


async def other(_request):
    return PlainTextResponse("other")


class Endpoint:
    """A class-based endpoint in Starlette's sense: an ASGI callable made per request."""

    def __init__(self, scope, receive, send):
        self.args = scope, receive, send

    def __await__(self):
        return PlainTextResponse("ok")(*self.args).__await__()


@pytest.fixture
def label(lines, runtime):
    """Return the label that one request gives."""

    def made(app, path, method="GET", **kwargs):
        module = {FastAPI: on_fastapi, Starlette: on_starlette, Flask: on_flask}[type(app)]
        module.install_layer(app, QUIET, runtime=runtime, access=lines)
        if isinstance(app, Flask):
            app.test_client().open(path, method=method, **kwargs)
        else:
            TestClient(app, follow_redirects=False).request(method, path, **kwargs)
        return lines.written[-1]["route"]

    return made


# --- Starlette ---------------------------------------------------------------------------------


def starlette_app(tmp_path):
    tenant = Starlette(routes=[Route("/things/{thing}", view), Route("/", view)])
    inner = Router(routes=[Route("/deep/{a}", view, methods=["GET", "POST"])])
    return Starlette(
        routes=[
            Route("/", view),
            Route("/items/{item:int}", view),
            Route("/twice/{one}", other),
            Route("/twice/{one}/{two}", other),
            Route("/class/{x}", Endpoint),
            Route("/files/{path:path}", view),
            Mount("/t/{tenant}", app=tenant),
            Mount("/static", app=StaticFiles(directory=tmp_path)),
            Mount("/a", routes=[Mount("/b/{b}", app=inner)]),
            Host("api.example.com", app=Router(routes=[Route("/host/{h}", view)])),
        ]
    )


@pytest.mark.parametrize(
    ("path", "method", "template"),
    [
        ("/", "GET", "/"),
        ("/items/7", "GET", "/items/{item}"),
        ("/items/7", "HEAD", "/items/{item}"),
        ("/items/7", "DELETE", "/items/{item}"),
        ("/items/x", "GET", "unmatched"),
        ("/nowhere", "GET", "unmatched"),
        ("/items/7/", "GET", "unmatched"),
        ("/twice/1", "GET", "/twice/{one}"),
        ("/twice/1/2", "GET", "/twice/{one}/{two}"),
        ("/class/1", "GET", "/class/{x}"),
        ("/files/a/b/c", "GET", "/files/{path}"),
        ("/t/acme/things/9", "GET", "/t/{tenant}/things/{thing}"),
        ("/t/acme/", "GET", "/t/{tenant}/"),
        ("/t/acme/nowhere", "GET", "unmatched"),
        ("/static/a.css", "GET", "/static/{path}"),
        ("/static/b.css", "GET", "/static/{path}"),
        ("/a/b/1/deep/2", "GET", "/a/b/{b}/deep/{a}"),
        ("/a/b/1/deep/2", "DELETE", "/a/b/{b}/deep/{a}"),
        ("/a/b/1/nowhere", "GET", "unmatched"),
        ("/a/nowhere", "GET", "unmatched"),
    ],
)
def test_starlette_label_is_the_template(label, tmp_path, path, method, template):
    (tmp_path / "a.css").write_text("a")

    assert label(starlette_app(tmp_path), path, method) == template


def test_starlette_host_route_is_its_template(label, tmp_path):
    assert label(starlette_app(tmp_path), "/host/1", headers={"host": "api.example.com"}) == "/host/{h}"


def test_application_mounted_twice_has_two_labels(label):
    sub = Starlette(routes=[Route("/x/{x}", view)])
    app = Starlette(routes=[Mount("/v1", app=sub), Mount("/{region}/v2", app=sub)])

    assert label(app, "/v1/x/1") == "/v1/x/{x}"
    assert label(app, "/eu/v2/x/1") == "/{region}/v2/x/{x}"


def test_root_path_of_a_proxy_is_not_part_of_the_label(lines, runtime):
    app = Starlette(routes=[Route("/items/{item}", view)])
    on_starlette.install_layer(app, QUIET, runtime=runtime, access=lines)

    TestClient(app, root_path="/proxy").get("/items/1")

    assert lines.only["route"] == "/items/{item}"


def test_route_that_is_added_later_is_found(label):
    app = Starlette(routes=[Route("/a", view)])
    label(app, "/a")

    app.router.routes.append(Route("/late/{x}", other))

    assert label(app, "/late/1") == "/late/{x}"


def test_websocket_label_is_the_template(lines, runtime):
    async def chat(websocket):
        await websocket.accept()
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/chat/{room}", chat)])
    on_starlette.install_layer(app, QUIET, runtime=runtime, access=lines)

    with TestClient(app).websocket_connect("/chat/7"):
        pass

    assert lines.only["route"] == "/chat/{room}"


# --- FastAPI ------------------------------------------------------------------------------------------


def fastapi_app():
    app = FastAPI()
    deep = APIRouter(prefix="/in")

    @deep.get("/q/{z}")
    async def deep_view(z: str):
        return z

    async def shared_view():
        return "ok"

    middle = APIRouter(prefix="/r/{n}")
    middle.include_router(deep)
    middle.add_api_route("/same", shared_view)
    middle.add_route("/plain/{p}", view)
    middle.mount("/mounted", Starlette(routes=[Route("/{m}", view)]))
    app.include_router(middle, prefix="/v1")
    app.include_router(middle, prefix="/v2")
    app.add_api_route("/direct/{d}", shared_view)

    sub = FastAPI()
    router = APIRouter(prefix="/r")

    @router.get("/{x}")
    async def sub_view(x: str):
        return x

    @sub.get("/own/{y}")
    async def own_view(y: str):
        return y

    sub.include_router(router)
    app.mount("/sub/{tenant}", sub)
    return app


@pytest.mark.parametrize(
    ("path", "method", "template"),
    [
        ("/direct/1", "GET", "/direct/{d}"),
        ("/direct/1", "DELETE", "/direct/{d}"),
        ("/v1/r/1/in/q/2", "GET", "/v1/r/{n}/in/q/{z}"),
        ("/v2/r/1/in/q/2", "GET", "/v2/r/{n}/in/q/{z}"),
        ("/v2/r/1/in/q/2", "DELETE", "/v2/r/{n}/in/q/{z}"),
        ("/v1/r/1/same", "GET", "/v1/r/{n}/same"),
        ("/v2/r/1/same", "GET", "/v2/r/{n}/same"),
        ("/v1/plain/2", "GET", "/v1/plain/{p}"),
        ("/v2/plain/2", "GET", "/v2/plain/{p}"),
        ("/v1/mounted/2", "GET", "/v1/mounted/{m}" if INCLUDES_MOUNTS else "unmatched"),
        ("/v2/mounted/2", "GET", "/v2/mounted/{m}" if INCLUDES_MOUNTS else "unmatched"),
        ("/sub/acme/own/1", "GET", "/sub/{tenant}/own/{y}"),
        ("/sub/acme/r/1", "GET", "/sub/{tenant}/r/{x}"),
        ("/sub/acme/docs", "GET", "/sub/{tenant}/docs"),
        ("/sub/acme/nowhere", "GET", "unmatched"),
        ("/docs", "GET", "/docs"),
        ("/openapi.json", "GET", "/openapi.json"),
        ("/nowhere", "GET", "unmatched"),
        ("/v1/r/1/nowhere", "GET", "unmatched"),
    ],
)
def test_fastapi_label_is_the_template(label, path, method, template):
    assert label(fastapi_app(), path, method) == template


# --- Flask --------------------------------------------------------------------------------------------------


def flask_app():
    app = Flask("labels")
    part = Blueprint("part", "part", url_prefix="/part/<tenant>")

    @part.get("/x/<int:x>")
    def in_part(tenant, x):
        return "ok"

    @app.route("/files/<path:name>")
    @app.route("/items/<int:item>/<uuid:u>")
    def items(**_):
        return "ok"

    @app.get("/converters/<any(a, b):letter>/<string(length=2):code>")
    def converters(letter, code):
        return "ok"

    app.register_blueprint(part)
    return app


@pytest.mark.parametrize(
    ("path", "method", "template"),
    [
        ("/files/a/b", "GET", "/files/{name}"),
        ("/items/1/00000000-0000-0000-0000-000000000000", "GET", "/items/{item}/{u}"),
        ("/files/a", "DELETE", "/files/{name}"),
        ("/part/acme/x/7", "GET", "/part/{tenant}/x/{x}"),
        ("/converters/a/bc", "GET", "/converters/{letter}/{code}"),
        ("/static/none.css", "GET", "/static/{filename}"),
        ("/nowhere", "GET", "unmatched"),
    ],
)
def test_flask_label_is_the_template(label, path, method, template):
    assert label(flask_app(), path, method) == template


# --- bounds -------------------------------------------------------------------------------------------------


def big(framework):
    names = [f"/r{n}/{{x}}" for n in range(1000)]
    if framework == "starlette":
        return Starlette(routes=[Route(name, lambda request: PlainTextResponse("ok")) for name in names])
    if framework == "fastapi":
        app = FastAPI()
        router = APIRouter()
        for name in names:
            router.add_api_route(name, lambda x: "ok", response_model=None)
        app.include_router(router)
        return app
    app = Flask("big")
    for n in range(1000):
        app.add_url_rule(f"/r{n}/<x>", f"r{n}", lambda x: "ok")
    return app


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "flask"])
def test_labels_of_a_big_application_stay_bounded_under_random_paths(framework, lines, runtime):
    app = big(framework)
    module = {"starlette": on_starlette, "fastapi": on_fastapi, "flask": on_flask}[framework]
    module.install_layer(app, QUIET, runtime=runtime, access=lines)
    client = app.test_client() if framework == "flask" else TestClient(app, raise_server_exceptions=False)
    dice = random.Random(7)
    known = [f"/r{dice.randrange(1000)}/{dice.getrandbits(40)}" for _ in range(60)]

    for path in known + [f"/{dice.getrandbits(64):x}/{dice.getrandbits(64):x}" for _ in range(60)]:
        client.get(path)

    labels = [line["route"] for line in lines.written]
    assert labels[:60] == [f"/{path.split('/')[1]}/{{x}}" for path in known]
    assert set(labels[60:]) == {"unmatched"}


def test_ten_thousand_random_paths_give_one_label():
    app = Starlette(routes=[Route("/items/{item}", view)])
    index = RouteIndex(app.router)

    labels = {index(http_scope(path=f"/{n}/x"), 404) for n in range(10_000)}

    assert labels == {"unmatched"}


def test_endpoints_that_no_router_knows_cost_no_walk_each():
    app = Starlette(routes=[Route("/items/{item}", view)])
    index = RouteIndex(app.router)
    walks = []
    walk = index._walk
    index._walk = lambda *args: walks.append(1) or walk(*args)

    strange = [object() for _ in range(500)]
    labels = {index(http_scope() | {"endpoint": endpoint}, 200) for endpoint in strange * 2}

    assert labels == {"unmatched"}
    assert len(walks) <= 101


def test_application_mounted_into_itself_ends():
    app = Starlette()
    app.mount("/again", app)

    assert RouteIndex(app.router).templates() == ()


def test_templates_lists_every_route_once(tmp_path):
    templates = RouteIndex(starlette_app(tmp_path).router).templates()

    assert "/t/{tenant}/things/{thing}" in templates
    assert "/static/{path}" in templates
    assert len(set(templates)) == len(templates)
