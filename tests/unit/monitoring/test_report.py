from datetime import UTC, datetime

from shared.monitoring import CheckResult, HealthReport, HealthStatus

MOMENT = datetime(2024, 12, 28, 10, 30, 0, 123456, tzinfo=UTC)


def report(status=HealthStatus.HEALTHY, *, ready=True, state="ready", checks=None, **more):
    checks = (
        checks
        if checks is not None
        else {
            "database": CheckResult(HealthStatus.HEALTHY, duration=0.0021),
            "redis": CheckResult(HealthStatus.HEALTHY),
            "memory": CheckResult(HealthStatus.HEALTHY, {"rss": 150, "heapUsed": 80}),
        }
    )
    return HealthReport(
        status, ready=ready, checks=checks, timestamp=MOMENT, uptime=12345, state=state, **more
    )


def test_the_shape_is_the_documented_one_to_the_letter():
    assert report().to_dict() == {
        "status": "healthy",
        "timestamp": "2024-12-28T10:30:00.123Z",
        "uptime": 12345,
        "checks": {
            "database": "healthy",
            "redis": "healthy",
            "memory": {"status": "healthy", "rss": 150, "heapUsed": 80},
        },
    }


def test_the_keys_come_in_the_documented_order():
    assert list(report().to_dict()) == ["status", "timestamp", "uptime", "checks"]


def test_without_details_the_shape_stays_and_names_nothing():
    assert report().to_dict(details=False)["checks"] == {}


def test_a_failed_check_shows_its_error_beside_its_status():
    failed = {"redis": CheckResult(HealthStatus.UNHEALTHY, error="no answer within 0.8 s")}

    shown = report(HealthStatus.DEGRADED, checks=failed).to_dict()["checks"]

    assert shown == {"redis": {"status": "unhealthy", "error": "no answer within 0.8 s"}}


def test_health_is_503_only_when_unhealthy():
    statuses = [report(status).http_status() for status in HealthStatus]

    assert statuses == [200, 200, 503]


def test_ready_is_503_while_draining_though_all_checks_pass():
    draining = report(ready=False, state="draining")

    assert (draining.http_status(), draining.http_status(ready=True)) == (200, 503)


def test_the_readiness_body_says_that_the_service_drains():
    body = report(ready=False, state="draining").to_dict(ready=True)

    assert body["status"] == "unhealthy"
    assert body["checks"]["lifecycle"] == {"status": "unhealthy", "state": "draining"}


def test_health_json_has_one_array_per_measurement():
    body = report(service="orders", version="2.3.1").to_health_json()

    assert {key: body[key] for key in ("status", "version", "releaseId", "serviceId")} == {
        "status": "pass",
        "version": "2",
        "releaseId": "2.3.1",
        "serviceId": "orders",
    }
    assert body["checks"]["database:responseTime"] == [
        {
            "componentType": "component",
            "observedValue": 2.1,
            "observedUnit": "ms",
            "status": "pass",
            "time": "2024-12-28T10:30:00.123Z",
        }
    ]
    assert body["checks"]["memory:rss"][0]["observedUnit"] == "MiB"


def test_health_json_shows_the_output_of_what_did_not_pass_only():
    checks = {
        "a": CheckResult(HealthStatus.UNHEALTHY, error="down"),
        "b": CheckResult(HealthStatus.HEALTHY, error="odd"),
    }

    shown = report(HealthStatus.UNHEALTHY, checks=checks).to_health_json()["checks"]

    assert shown["a:responseTime"][0]["output"] == "down"
    assert "output" not in shown["b:responseTime"][0]


def test_health_json_without_details_is_the_status_alone():
    assert report().to_health_json(details=False) == {"status": "pass"}


def test_health_json_notes_why_a_sound_service_is_not_ready():
    body = report(ready=False, state="starting").to_health_json(ready=True)

    assert (body["status"], body["notes"]) == ("fail", ["the service is starting"])
