"""Feature flags in an installed service: they never change within a request."""

import os
import subprocess
import sys

import pytest
from fastapi import FastAPI
from flask import Flask

from shared.config import Settings
from shared.errors import ConfigurationError
from shared.feature_flags import Flag, FlagDocument, Flags, get_flags, is_feature_enabled
from shared.service import explain, install, installed, uninstall, worker
from shared.testing import ApiClient


def settings(**values):
    return Settings(environ={"ENVIRONMENT": "testing", **values}, env_file=None)


def seen_across_a_change():
    """What one request sees before and after somebody changes the flag."""
    before = is_feature_enabled("analytics_enabled"), get_flags().value("analytics_enabled")
    now = not get_flags().snapshot.flag("analytics_enabled").default
    number = get_flags().snapshot.revision + 1
    get_flags().swap(
        FlagDocument({"analytics_enabled": Flag("analytics_enabled", default=now)}, revision=number)
    )
    after = is_feature_enabled("analytics_enabled"), get_flags().value("analytics_enabled")
    return [*before, *after]


@pytest.fixture
def asgi():
    app = FastAPI()

    @app.get("/sync")
    def plain():
        return seen_across_a_change()

    @app.get("/async")
    async def awaited():
        return seen_across_a_change()

    yield install(app, settings(), service="flags")
    uninstall(app)


@pytest.fixture
def wsgi():
    app = Flask("flags")

    @app.get("/sync")
    def plain():
        return seen_across_a_change()

    yield install(app, settings(), service="flags")
    uninstall(app)


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_a_flag_never_changes_within_a_request_over_asgi(asgi, path):
    with ApiClient(asgi) as client:
        answers = [client.get(path).json for _ in range(4)]

    assert answers == [[False] * 4, [True] * 4, [False] * 4, [True] * 4]


def test_a_flag_never_changes_within_a_request_over_wsgi(wsgi):
    with ApiClient(wsgi) as client:
        answers = [client.get("/sync").json for _ in range(4)]

    assert answers == [[False] * 4, [True] * 4, [False] * 4, [True] * 4]


def test_an_override_of_a_test_reaches_the_request(wsgi):
    flags = installed(wsgi).runtime.get(Flags)

    with ApiClient(wsgi) as client, flags.override(analytics_enabled=True):
        assert client.get("/sync").json[0] is True


def test_a_wrong_variable_stops_the_start():
    app = install(FastAPI(), settings(ANALYTICS_ENABLED="perhaps"), service="flags")
    try:
        with pytest.raises(ConfigurationError, match="ANALYTICS_ENABLED"), ApiClient(app):
            pass
    finally:
        uninstall(app)


def test_the_part_can_be_left_out_and_is_told():
    app = install(Flask("x"), settings(), service="flags", without=["feature_flags"])

    assert explain(app).part("feature_flags").enabled is False
    uninstall(app)


def test_a_task_of_a_worker_is_a_scope():
    with worker("flags", settings(), without=["logging"]) as billing:
        with billing.task("first"):
            first = seen_across_a_change()
        with billing.task("second"):
            second = seen_across_a_change()

    assert (first, second) == ([False] * 4, [True] * 4)


def test_a_store_that_cannot_be_read_degrades_the_health(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text('{"flags": {"beta": true}}')
    app = install(Flask("x"), settings(FLAGS_FILE=str(path), FLAGS_REFRESH_SECONDS="3600"), service="flags")
    try:
        flags = installed(app).runtime.get(Flags)
        with ApiClient(app) as client:
            flags.refresh()
            well = client.get("/health").json["checks"]["feature_flags"]
            path.write_text("{")
            os.utime(path, (1, 1))
            flags.refresh()
            ill = flags.check()
            still = flags.is_enabled("beta")
    finally:
        uninstall(app)

    assert well["status"] == "healthy"
    assert ill["status"] == "degraded"
    assert still is True


def test_a_service_without_flags_does_not_load_the_room():
    code = (
        "import sys\n"
        "from flask import Flask\n"
        "from shared.service import install\n"
        "app = install(Flask('x'), service='orders')\n"
        "app.test_client().get('/live')\n"
        "print('shared.feature_flags' in sys.modules)\n"
    )
    environment = {**os.environ, "ENV_FILE": "off", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    )

    assert done.stdout.splitlines()[-1] == "False"
