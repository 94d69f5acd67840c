"""Calls of what goes away, counted by install()."""

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from shared.api import ApiVersion, Versions, deprecated
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.config import Settings
from shared.service import install, uninstall

NEW_YEAR = 1735689600


class Clock:
    now = NEW_YEAR + 1.0

    def __call__(self):
        return self.now


def flask_app():
    app = Flask("orders")
    app.add_url_rule("/v2/orders", "orders", lambda: "orders")
    return app, on_flask, lambda path: app.test_client().get(path)


def starlette_app():
    app = Starlette(routes=[Route("/v2/orders", lambda _request: PlainTextResponse("orders"))])
    return app, on_starlette, lambda path: TestClient(app).get(path)


@pytest.mark.parametrize("make", [flask_app, starlette_app], ids=["flask", "starlette"])
def test_calls_of_a_deprecated_version_are_counted_by_consumer_and_outcome(make):
    app, face, get = make()
    clock = Clock()
    settings = Settings(environ={}, ENVIRONMENT="testing", METRICS_ENABLED=True)
    install(app, settings, service="orders")
    try:
        old = ApiVersion("v1", deprecated=deprecated("2025-01-01", sunset="2025-07-01", clock=clock))
        face.add_versions(app, Versions([old, "v2"]))

        for _ in range(2):
            assert get("/v1/orders").text == "orders"
        assert get("/v2/orders").text == "orders"
        clock.now = NEW_YEAR + 365 * 86_400
        assert get("/v1/orders").status_code == 410
        scrape = get("/metrics").text
    finally:
        uninstall(app)

    counted = {line for line in scrape.splitlines() if line.startswith("api_deprecated_calls_total{")}
    assert counted == {
        'api_deprecated_calls_total{api_deprecated="v1",consumer="anonymous",outcome="answered"} 2.0',
        'api_deprecated_calls_total{api_deprecated="v1",consumer="anonymous",outcome="refused"} 1.0',
    }
