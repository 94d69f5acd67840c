"""``install()`` limits requests as the settings say."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask

from shared.api import rate_limit
from shared.config import Settings
from shared.errors import ConfigurationError
from shared.service import explain, install, uninstall


def settings(**values):
    return Settings(environ={}, env_file=None, ENVIRONMENT="testing", LOG_SINK="stderr", **values)


@pytest.fixture
def fastapi_app():
    app = FastAPI()

    @app.get("/items")
    async def items():
        return []

    @app.get("/search")
    @rate_limit("1/minute")
    async def search():
        return []

    yield app
    uninstall(app)


@pytest.fixture
def flask_app():
    app = Flask("limits")

    @app.get("/items")
    def items():
        return []

    yield app
    uninstall(app)


def test_without_settings_nothing_is_limited_but_what_routes_ask_for(fastapi_app):
    install(fastapi_app, settings())

    with TestClient(fastapi_app) as client:
        assert {client.get("/items").status_code for _ in range(20)} == {200}
        assert "ratelimit" not in client.get("/items").headers
        assert [client.get("/search").status_code for _ in range(2)] == [200, 429]


def test_settings_limit_the_whole_service_but_its_probes(fastapi_app):
    install(fastapi_app, settings(RATE_LIMITS="2/minute by client, 100/hour by everybody"))

    with TestClient(fastapi_app) as client:
        statuses = [client.get("/items").status_code for _ in range(3)]
        probes = {client.get("/live").status_code for _ in range(5)}
        counted = client.get("/metrics").text

    assert (statuses, probes) == ([200, 200, 429], {200})
    (line,) = [line for line in counted.splitlines() if line.startswith("rate_limit_refusals_total{")]
    assert line.endswith("} 1.0")
    assert 'policy="default-2-60s-client"' in line


def test_settings_limit_flask_too(flask_app):
    install(flask_app, settings(RATE_LIMITS="2/minute by client", RATE_LIMIT_HEADERS="both"))
    client = flask_app.test_client()

    answers = [client.get("/items") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["X-RateLimit-Remaining"] == "0"


def test_workers_of_one_machine_share_a_file(tmp_path):
    apps = []
    for _ in range(2):
        app = Flask("worker")
        app.add_url_rule("/items", "items", list)
        install(
            app, settings(RATE_LIMITS="3/minute by client", RATE_LIMIT_STORE=f"sqlite:///{tmp_path}/l.db")
        )
        apps.append(app)

    statuses = [app.test_client().get("/items").status_code for app in apps * 2]

    for app in apps:
        uninstall(app)
    assert statuses == [200, 200, 200, 429]


def test_services_on_one_redis_do_not_share_their_limits(shared_redis):
    statuses = []
    for name in ("orders", "catalog", "orders"):
        app = Flask(name)
        app.add_url_rule("/items", "items", list)
        install(app, settings(RATE_LIMITS="1/hour by client", REDIS_URL=str(shared_redis)), service=name)
        statuses.append(app.test_client().get("/items").status_code)
        uninstall(app)

    assert statuses == [200, 200, 429]


def test_explain_shows_the_limits(flask_app):
    install(flask_app, settings(RATE_LIMITS="2/minute by client"))

    part = explain(flask_app).part("rate_limits")

    assert part.enabled
    assert part.settings[0].value == ["2/minute by client"]


@pytest.mark.parametrize("part", ["rate_limits", "request_layer"])
def test_limits_can_be_left_out(flask_app, part):
    install(flask_app, settings(RATE_LIMITS="1/minute by client"), without=[part])
    client = flask_app.test_client()

    assert {client.get("/items").status_code for _ in range(5)} == {200}
    assert explain(flask_app).part("rate_limits").reason == f"without={part!r}"


def test_a_limit_that_makes_no_sense_is_told_at_the_start(flask_app):
    with pytest.raises(ConfigurationError, match="not a rate limit: 'lots'"):
        install(flask_app, settings(RATE_LIMITS="lots"))
