"""The probes on every framework."""

import pytest
from fastapi.testclient import TestClient

from shared.api import LayerOptions
from shared.api import fastapi as on_fastapi
from shared.monitoring import HealthRegistry, Lifecycle
from tests.integration.api._apps import FRAMEWORKS


@pytest.fixture
def registry():
    lifecycle = Lifecycle(drain_delay=0)
    lifecycle.mark_ready()
    made = HealthRegistry(lifecycle=lifecycle, failure_threshold=1, cache_seconds=0)
    made.add("database", lambda: True)
    return made


@pytest.fixture
def make_client(framework, runtime, lines, registry):
    def made(**options):
        make, module = FRAMEWORKS[framework]
        app = make()
        module.install_layer(app, LayerOptions(), runtime=runtime, access=lines)
        module.install_error_handlers(app)
        module.add_health_routes(app, registry, **options)
        module.add_health_routes(app, registry, **options)
        made.app, made.module = app, module
        return _Client(app, framework)

    return made


def _from_inside(app):
    async def seen_from_inside(scope, receive, send):
        await app(scope | {"client": ("10.0.0.1", 1)}, receive, send)

    return seen_from_inside


class _Client:
    def __init__(self, app, framework):
        self.flask = framework == "flask"
        self.client = app.test_client() if self.flask else TestClient(_from_inside(app))

    def get(self, path, method="GET", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.flask:
            answer = self.client.open(path, method=method, headers=headers)
            return answer.status_code, answer.headers, answer.get_json(silent=True)
        answer = self.client.request(method, path, headers=headers)
        body = answer.json() if "json" in answer.headers.get("content-type", "") and answer.content else None
        return answer.status_code, answer.headers, body


def test_health_has_the_documented_shape(make_client):
    status, headers, body = make_client(details="always").get("/health")

    assert (status, headers["content-type"], headers["cache-control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert list(body) == ["status", "timestamp", "uptime", "checks"]
    assert (body["status"], body["checks"]) == ("healthy", {"database": "healthy"})


def test_health_json_is_served_to_who_asks(make_client):
    _, headers, body = make_client(details="always").get("/health", accept="application/health+json")

    assert headers["content-type"] == "application/health+json"
    assert body["status"] == "pass"


def test_critical_failure_is_503(make_client, registry):
    registry.add("redis", lambda: False)
    client = make_client(details="always")

    assert [client.get(path)[0] for path in ("/health", "/ready", "/live")] == [503, 503, 200]


def test_draining_service_is_alive_and_not_ready(make_client, registry):
    client = make_client()
    registry.lifecycle.begin_drain("test")

    assert [client.get(path)[0] for path in ("/ready", "/live")] == [503, 200]


@pytest.mark.parametrize(
    ("details", "headers", "shown"),
    [
        ("always", {}, True),
        ("never", {}, False),
        ("internal", {}, True),
        ("internal", {"x_forwarded_for": "203.0.113.9"}, False),
        ("internal", {"forwarded": "for=203.0.113.9"}, False),
    ],
)
def test_details_are_for_those_who_may_see_them(make_client, details, headers, shown):
    _, _, body = make_client(details=details).get("/health", **headers)

    assert bool(body["checks"]) is shown


def test_probes_answer_head_and_refuse_other_methods(make_client):
    client = make_client()

    assert client.get("/live", "HEAD")[0] == 200
    assert client.get("/live", "POST")[0] == 405


def test_probes_have_headers_and_no_line(make_client, lines):
    _, headers, _ = make_client().get("/live")

    assert headers["x-request-id"]
    assert lines.written == []


def test_paths_can_be_others(make_client):
    client = make_client(health_path="/h", ready_path="/r", live_path="/l")

    assert [client.get(path)[0] for path in ("/h", "/r", "/l", "/health")] == [200, 200, 200, 404]


def test_path_that_the_application_serves_keeps_its_answer(make_client):
    client = make_client(health_path="/items/1", live_path="/away")

    assert client.get("/away")[0] in (200, 302, 307)


def test_probes_go_with_the_rest(make_client):
    client = make_client()
    assert client.get("/live")[0] == 200

    make_client.module.uninstall(make_client.app)

    assert client.get("/live")[0] == 404


def test_probes_come_back(make_client, registry):
    client = make_client()
    make_client.module.uninstall(make_client.app)

    make_client.module.add_health_routes(make_client.app, registry)

    assert client.get("/live")[0] == 200


def test_probe_is_in_front_of_a_route_that_catches_everything(runtime, lines, registry):
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from shared.api.starlette import add_health_routes

    async def everything(_request):
        return PlainTextResponse("caught")

    app = Starlette(routes=[Route("/{path:path}", everything)])
    add_health_routes(app, registry)

    assert TestClient(app).get("/live").json()["status"] == "healthy"


def test_document_lists_the_probes_when_wanted(registry):
    from fastapi import FastAPI

    app = FastAPI()
    on_fastapi.install_error_handlers(app)
    before = app.openapi()
    on_fastapi.add_health_routes(app, registry, include_in_schema=True)
    on_fastapi.add_health_routes(app, registry, include_in_schema=True)

    document = app.openapi()
    assert [
        sorted(document["paths"][path]["get"]["responses"]) for path in ("/health", "/ready", "/live")
    ] == [["200", "503"]] * 3
    assert "ErrorEnvelope" in document["components"]["schemas"]
    assert "/health" not in before["paths"]
    on_fastapi.uninstall(app)
    assert "/health" not in app.openapi()["paths"]


def test_document_hides_the_probes_by_default(registry):
    from fastapi import FastAPI

    app = FastAPI()
    on_fastapi.add_health_routes(app, registry)

    assert app.openapi()["paths"] == {}
