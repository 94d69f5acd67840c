"""One call makes a service, on every framework alike."""

import gc
import os
import subprocess
import sys
import weakref
from contextvars import copy_context

import pytest

from shared.config import Section, Settings, get_settings, setting
from shared.errors import CircuitOpenError, ConfigurationError
from shared.monitoring import HealthCheck
from shared.runtime import Runtime, current, use
from shared.service import PARTS, explain, install, installed, uninstall
from shared.testing import ApiClient


def settings(**values):
    return Settings(environ={}, env_file=None, ENVIRONMENT="testing", **values)


def test_install_returns_the_same_application_with_its_type_unchanged(make_app):
    app = make_app()
    before = type(app)

    result = install(app, service="orders")

    assert result is app
    assert type(result) is before


def test_installed_application_answers_probes_and_errors_in_the_documented_shapes(make_app, shared_client):
    client = shared_client(install(make_app(), service="orders"))

    health = client.get("/health")

    assert list(health.json) == ["status", "timestamp", "uptime", "checks"]
    assert [client.get(path).status for path in ("/ready", "/live")] == [200, 200]
    client.get("/nowhere").assert_error("NOT_FOUND", 404)
    client.get("/conflict").assert_error("CONFLICT", 409)
    client.get("/boom").assert_error("INTERNAL_ERROR", 500)


def test_correlation_id_reaches_the_handler_log_the_access_line_and_the_answer(
    make_app, shared_client, log_capture
):
    client = shared_client(install(make_app(), service="orders"))

    answer = client.get("/hello", headers={"X-Correlation-ID": "c-1"})

    mine = [event for event in log_capture if event.get("correlation_id") == "c-1"]
    assert answer.correlation_id == "c-1"
    assert [event["logger"] for event in mine] == ["tests", "shared.access"]
    assert mine[-1]["greeted"] == "world"


def test_installing_twice_changes_nothing(make_app, shared_client, log_capture):
    app = install(make_app(), service="orders")
    service = installed(app)

    install(app, service="orders")

    assert installed(app) is service
    shared_client(app).get("/hello", headers={"X-Correlation-ID": "c-2"})
    assert (
        len([e for e in log_capture if e["logger"] == "shared.access" and e["correlation_id"] == "c-2"]) == 1
    )


def test_installing_again_with_other_arguments_is_refused(make_app):
    app = install(make_app(), service="orders")

    with pytest.raises(ConfigurationError, match="already installed as 'orders'"):
        install(app, service="billing")


def test_uninstall_leaves_nothing_behind(make_app):
    app = make_app()
    bare = ApiClient(make_app()).get("/nowhere")

    uninstall(install(app, service="orders"))

    after = ApiClient(app).get("/nowhere")
    assert (after.status, after.body) == (bare.status, bare.body)
    assert after.correlation_id is None
    with pytest.raises(ConfigurationError, match="nothing is installed"):
        installed(app)


def test_uninstall_of_a_bare_application_does_nothing(make_app):
    app = make_app()
    before = ApiClient(app).get("/nowhere")

    uninstall(app)

    after = ApiClient(app).get("/nowhere")
    assert (after.status, after.body) == (404, before.body)
    with pytest.raises(ConfigurationError, match="nothing is installed"):
        installed(app)


def test_install_works_again_after_uninstall(make_app, shared_client):
    app = make_app()
    uninstall(install(app, service="orders"))

    client = shared_client(install(app, service="billing"))

    client.get("/conflict").assert_error("CONFLICT", 409)
    assert installed(app).settings.app.SERVICE_NAME == "billing"


def test_two_applications_in_one_process_do_not_mix(make_app, shared_client, log_capture):
    first = install(make_app(), settings(MAX_BODY_BYTES=10, SECURITY_HEADERS="off"), service="first")
    second = install(make_app(), settings(API_VERSION="v2"), service="second")

    answers = [shared_client(app).get("/nowhere") for app in (first, second)]

    assert [answer.json["version"] for answer in answers] == ["v1", "v2"]
    assert "x-frame-options" not in answers[0].headers
    assert "x-frame-options" in answers[1].headers
    assert installed(first).runtime is not installed(second).runtime
    assert shared_client(first).post("/hello", body=b"x" * 11).status == 413
    assert shared_client(second).post("/hello", body=b"x" * 11).status == 405


def test_accessors_inside_a_request_find_the_settings_of_that_application(shared_runtime, shared_client):
    from fastapi import FastAPI

    apps = []
    for name in ("one", "two"):
        app = FastAPI()
        app.get("/name")(lambda: get_settings().app.SERVICE_NAME)
        apps.append(install(app, settings(), service=name))

    assert [shared_client(app).get("/name").json for app in apps] == ["one", "two"]
    for app in apps:
        uninstall(app)


def test_first_service_takes_the_runtime_in_force_and_what_was_built_there(asgi_app, shared_runtime):
    before = get_settings()

    install(asgi_app)

    assert installed(asgi_app).runtime is shared_runtime
    assert installed(asgi_app).settings is before


def test_service_name_given_in_code_is_the_name_in_logs(make_app, shared_client, capfd):
    app = install(make_app(), settings(LOG_FORMAT="json", SERVICE_NAME="from-env"), service="from-code")

    shared_client(app).get("/hello")

    assert '"service":"from-code"' in capfd.readouterr().out


def test_subclass_of_settings_is_built_and_found_by_its_class(make_app):
    class Extra(Section):
        CATALOG_URL: str = setting("http://catalog", "Where the catalog is.")

    class OrderSettings(Settings):
        orders: Extra

    app = install(make_app(), OrderSettings(environ={}, env_file=None, ENVIRONMENT="testing"))

    with use(installed(app).runtime):
        assert get_settings(OrderSettings).orders.CATALOG_URL == "http://catalog"
        assert get_settings() is get_settings(OrderSettings)


def test_flask_application_that_has_served_is_refused(shared_runtime):
    from flask import Flask

    app = Flask("late")
    app.test_client().get("/")

    with pytest.raises(ConfigurationError, match="before the first one"):
        install(app)


def test_runtime_is_given_back_with_its_settings(make_app, shared_runtime):
    before = get_settings()

    uninstall(install(make_app(), settings(), service="orders"))

    assert current() is shared_runtime
    assert get_settings() is before


def test_wrong_settings_are_refused_before_anything_is_installed(make_app):
    app = make_app()

    with pytest.raises(ConfigurationError, match="settings must be a Settings"):
        install(app, {"DEBUG": True})

    with pytest.raises(ConfigurationError, match="nothing is installed"):
        installed(app)


@pytest.mark.parametrize("thing", [None, 7, "app", object(), dict])
def test_install_refuses_what_is_no_application(thing, shared_runtime):
    with pytest.raises(ConfigurationError, match="a FastAPI, Starlette or Flask application is needed"):
        install(thing)


def test_checks_appear_in_health_and_decide_readiness(make_app, shared_client):
    app = install(
        make_app(),
        settings(HEALTH_FAILURE_THRESHOLD=1, HEALTH_DETAILS="always", HEALTH_CACHE_SECONDS=0),
        checks=[("stock", lambda: False), HealthCheck("maps", lambda: True, critical=False)],
    )

    client = shared_client(app)

    assert client.get("/health").json["checks"]["stock"] == "unhealthy"
    assert client.get("/health").json["checks"]["maps"] == "healthy"
    assert client.get("/ready").status == 503
    assert client.get("/live").status == 200


# --- without -------------------------------------------------------------------------


def test_unknown_part_is_refused_with_the_known_ones(make_app):
    with pytest.raises(ConfigurationError, match=r"unknown part \(known: logging, tracing, request_layer"):
        install(make_app(), without=["metrix"])


@pytest.mark.parametrize("part", PARTS[1:])
def test_every_part_can_be_left_out_and_the_rest_still_works(make_app, part):
    app = install(make_app(), service="orders", without=[part])

    client = ApiClient(app)

    # In a copy: without the layer, what a Flask view binds stays with the thread.
    assert copy_context().run(client.get, "/hello").status == 200
    assert explain(app).part(part).enabled is False


def test_without_the_request_layer_no_id_is_sent_and_errors_keep_their_shape(make_app, shared_client):
    client = shared_client(install(make_app(), without=["request_layer"]))

    answer = client.get("/conflict")

    answer.assert_error("CONFLICT", 409)
    assert answer.correlation_id is None


def test_without_health_the_path_is_the_applications_own(make_app, shared_client):
    client = shared_client(install(make_app(), without="health"))

    client.get("/health").assert_error("NOT_FOUND", 404)


def test_without_the_body_limit_large_bodies_pass(make_app, shared_client):
    client = shared_client(install(make_app(), settings(MAX_BODY_BYTES=10), without=["body_limit"]))

    assert client.post("/hello", body=b"x" * 100).status == 405


def test_without_access_log_no_line_is_written(make_app, shared_client, log_capture):
    client = shared_client(install(make_app(), without=["access_log"]))

    client.get("/hello")

    assert not [event for event in log_capture if event["logger"] == "shared.access"]


# --- explain -------------------------------------------------------------------------


def test_explain_lists_every_part_with_the_settings_it_follows(make_app):
    app = install(make_app(), service="orders")

    explanation = explain(app)

    assert [part.name for part in explanation.parts] == list(PARTS)
    assert explanation.service == "orders"
    assert explanation.kind == make_app.kind
    limit = explanation.part("body_limit").settings[0]
    assert (limit.name, limit.value) == ("MAX_BODY_BYTES", 1_048_576)


def test_explain_reads_well_and_shows_what_is_off(make_app):
    text = str(explain(install(make_app(), service="orders", without=["health"])))

    assert text.splitlines()[0] == f"orders ({make_app.kind}, testing)"
    assert "off: without='health'" in text
    assert "MAX_BODY_BYTES=1048576" in text


def test_explain_never_shows_a_secret(asgi_app):
    secret = "sk-" + "q" * 40

    app = install(asgi_app, settings(OPENAI_API_KEY=secret, JWT_SECRET_KEY=secret))

    assert secret not in str(explain(app)) + repr(explain(app).to_dict()) + repr(installed(app))


# --- start and end --------------------------------------------------------------------


class Resource:
    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


def test_shutdown_closes_what_the_runtime_built(asgi_app):
    install(asgi_app)
    runtime = installed(asgi_app).runtime
    with ApiClient(asgi_app):
        resource = runtime.get(Resource, lambda _: Resource())

    assert resource.closed == 1


def test_application_can_be_started_again_after_its_shutdown(asgi_app):
    install(asgi_app)
    for _ in range(3):
        with ApiClient(asgi_app) as client:
            assert client.get("/ready").status == 200
            assert client.get("/health").json["status"] == "healthy"
        assert installed(asgi_app).lifecycle.state == "stopped"


def test_mapping_of_foreign_errors_survives_a_restart(asgi_app):
    from shared.errors import ErrorMap, ResourceNotFoundError

    @asgi_app.get("/missing")
    def missing():
        raise LookupError("nope")

    install(asgi_app)
    installed(asgi_app).runtime.get(ErrorMap).register(LookupError, ResourceNotFoundError)
    for _ in range(2):
        with ApiClient(asgi_app) as client:
            client.get("/missing").assert_error("NOT_FOUND", 404)


def test_own_lifespan_runs_inside_and_sees_the_runtime(shared_runtime):
    from contextlib import asynccontextmanager

    from fastapi import FastAPI

    seen = []

    @asynccontextmanager
    async def lifespan(app):
        seen.append(current() is installed(app).runtime)
        yield {"answer": 42}
        seen.append("ended")

    app = install(FastAPI(lifespan=lifespan), service="orders")
    with ApiClient(app):
        assert seen == [True]

    assert seen == [True, "ended"]
    uninstall(app)


def test_service_is_not_ready_before_start_up(asgi_app):
    client = ApiClient(install(asgi_app))

    assert client.get("/ready").status == 503
    assert client.get("/live").status == 200


def test_dropped_flask_application_is_not_kept_alive(shared_runtime):
    from flask import Flask

    with use(Runtime("mine")) as mine:
        app = install(Flask("gone"), settings())
        uninstall(app)
        mine.close()
    reference = weakref.ref(app)
    del app
    gc.collect()

    assert reference() is None


def test_process_that_never_closes_ends_without_warnings():
    code = (
        "from flask import Flask\n"
        "from shared.service import install\n"
        "app = install(Flask('x'), service='x')\n"
        "assert app.test_client().get('/health').status_code == 200\n"
    )

    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "ENV_FILE": "off", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")


# --- metrics and resilience ---------------------------------------------------------------


def test_requests_are_counted_by_route_and_status(make_app, shared_client):
    client = shared_client(install(make_app(), service="orders"))
    for path in ("/hello", "/hello", "/conflict", "/nowhere"):
        client.get(path)

    text = client.get("/metrics").text

    def lines(*parts):
        return [
            line
            for line in text.splitlines()
            if line.startswith("http_server_request_duration_seconds_count")
            and all(part in line for part in parts)
        ]

    assert lines('http_route="/hello"', '"200"')[0].endswith(" 2.0")
    assert lines('http_route="/conflict"', '"409"')[0].endswith(" 1.0")
    assert lines('http_route="unmatched"', '"404"')[0].endswith(" 1.0")


def test_random_paths_leave_the_series_constant(make_app, shared_client):
    client = shared_client(install(make_app(), service="orders"))
    client.get("/random/0")
    client.get("/metrics")
    before = len(client.get("/metrics").text.splitlines())

    for number in range(1, 50):
        client.get(f"/random/{number}")

    assert len(client.get("/metrics").text.splitlines()) == before


@pytest.mark.shared_settings(METRICS_ENABLED=False)
def test_metrics_can_be_switched_off_by_the_setting(make_app, shared_client):
    app = install(make_app(), service="orders")

    shared_client(app).get("/metrics").assert_error("NOT_FOUND", 404)

    assert explain(app).part("metrics").reason == "METRICS_ENABLED=False"


def test_requests_are_still_counted_after_a_restart(asgi_app):
    install(asgi_app)
    for _ in range(2):
        with ApiClient(asgi_app) as client:
            client.get("/hello")
            text = client.get("/metrics").text

    counted = [
        line
        for line in text.splitlines()
        if 'http_route="/hello"' in line and "_count{" in line and 'status_code="200"' in line
    ]
    assert len(counted) == 1
    assert float(counted[0].rsplit(" ", 1)[1]) >= 1


@pytest.mark.shared_settings(HEALTH_DETAILS="always", HEALTH_CACHE_SECONDS=0)
def test_open_breaker_degrades_health_and_shows_in_metrics_and_log(make_app, shared_client, log_capture):
    from shared.resilience import get_breakers

    app = install(make_app(), service="orders")
    client = shared_client(app)
    with use(installed(app).runtime):
        breaker = get_breakers().get("payments")
        for _ in range(5):
            with pytest.raises(ConnectionError):
                breaker.call(_refuse)

    health = client.get("/health").json

    assert health["status"] == "degraded"
    assert health["checks"]["dependencies"]["breakers"]["payments"] == "OPEN"
    assert client.get("/ready").status == 200
    assert 'circuit_breaker_state{circuit_breaker_name="payments"} 2.0' in client.get("/metrics").text
    assert [event["event"] for event in log_capture if event["logger"] == "shared.resilience"] == [
        "circuit open"
    ]


def test_breakers_and_bulkheads_are_read_when_metrics_are_collected(make_app, shared_client):
    from shared.resilience import Bulkhead, Policy, get_breakers, get_policies

    app = install(make_app(), service="orders")
    client = shared_client(app)
    with use(installed(app).runtime):
        get_breakers().get("storage")
        breaker = get_breakers().get("email")
        get_policies().set(Policy("reports", bulkhead=Bulkhead(4, name="reports")))
        for _ in range(3):
            with pytest.raises(ConnectionError):
                breaker.call(_refuse)
        for _ in range(2):
            with pytest.raises(CircuitOpenError):
                breaker.call(_refuse)

    shown = client.get("/metrics").text.splitlines()

    assert 'circuit_breaker_state{circuit_breaker_name="storage"} 0.0' in shown
    assert 'circuit_breaker_calls_total{circuit_breaker_name="email",outcome="failure"} 3.0' in shown
    assert 'circuit_breaker_calls_total{circuit_breaker_name="email",outcome="rejected"} 2.0' in shown
    assert 'bulkhead_limit{name="reports"} 4.0' in shown


def _refuse():
    raise ConnectionError("no")


# --- what only the settings turn on ------------------------------------------------------

EDGE = {
    "cors": {"CORS_ORIGINS": ["https://app.example.com"]},
    "csrf": {"CSRF_PROTECTION": "origin"},
    "content_types": {"REQUEST_CONTENT_TYPES": ["application/json"]},
    "time_limit": {"REQUEST_TIMEOUT_SECONDS": 30},
}


@pytest.mark.parametrize("part", EDGE)
def test_part_of_the_edge_is_off_until_a_setting_asks_for_it(make_app, part):
    shown = explain(install(make_app(), service="orders")).part(part)

    assert (shown.enabled, bool(shown.reason), bool(shown.settings)) == (False, True, True)


@pytest.mark.parametrize("part", EDGE)
def test_part_of_the_edge_follows_its_setting(make_app, part):
    app = install(make_app(), settings(**EDGE[part]))

    assert explain(app).part(part).enabled is True


@pytest.mark.parametrize("part", EDGE)
def test_part_of_the_edge_can_be_left_out_although_a_setting_asks_for_it(make_app, part):
    app = install(make_app(), settings(**EDGE[part]), without=[part])

    assert explain(app).part(part).reason == f"without={part!r}"


def test_page_of_an_allowed_origin_can_read_the_answers(make_app, shared_client):
    client = shared_client(install(make_app(), settings(**EDGE["cors"])))

    answer = client.get("/hello", headers={"Origin": "https://app.example.com"})

    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
