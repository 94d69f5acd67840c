import json
import time

import pytest

from shared.errors import ConfigurationError
from shared.monitoring import EventLoopMonitor, HealthEndpoints, HealthRegistry, Lifecycle


def endpoints(*, details="always", lifecycle=None, monitor=None, **checks):
    registry = HealthRegistry(lifecycle=lifecycle, service="orders", version="1.2.3")
    for name, check in checks.items():
        registry.add(name, check)
    return HealthEndpoints(registry, loop_monitor=monitor, details=details)


def test_health_answers_in_the_documented_shape():
    answer = endpoints(database=lambda: True).health()

    assert answer.status == 200
    assert dict(answer.headers) == {"Content-Type": "application/json", "Cache-Control": "no-store"}
    assert json.loads(answer.body)["checks"] == {"database": "healthy"}


def test_health_is_503_when_a_critical_check_fails():
    assert endpoints(database=lambda: False).health().status == 503


def test_health_json_is_served_to_whom_names_it():
    answer = endpoints(database=lambda: True).health(accept="application/health+json")

    assert dict(answer.headers)["Content-Type"] == "application/health+json"
    assert json.loads(answer.body)["status"] == "pass"


async def test_the_asynchronous_twins_answer_the_same():
    served = endpoints(database=lambda: False)

    assert (await served.ahealth()).status == served.health().status == 503
    assert (await served.aready()).status == served.ready().status == 503


def test_ready_refuses_while_starting_draining_and_stopped():
    lifecycle = Lifecycle(drain_delay=0)
    served = endpoints(lifecycle=lifecycle)
    seen = [served.ready().status]
    for step in (lifecycle.mark_ready, lifecycle.begin_drain, lifecycle.finish):
        step()
        seen.append(served.ready().status)

    assert seen == [503, 200, 503, 503]


def test_live_answers_200_while_draining_and_with_every_check_failing():
    lifecycle = Lifecycle()
    lifecycle.begin_drain()

    answer = endpoints(lifecycle=lifecycle, database=lambda: False).live()

    assert answer.status == 200
    assert list(json.loads(answer.body)) == ["status", "timestamp", "uptime", "checks"]


def test_live_runs_no_check():
    runs = []

    endpoints(database=lambda: runs.append(1)).live()

    assert runs == []


async def test_live_is_503_when_the_loop_has_stopped_beating(clock):
    monitor = EventLoopMonitor(stalled_after=10, clock=clock)
    monitor.start()
    clock.advance(11)

    answer = endpoints(monitor=monitor).live()
    monitor.stop()

    assert answer.status == 503


@pytest.mark.parametrize(
    ("policy", "caller", "sees"),
    [
        ("always", {}, True),
        ("never", {"client": "127.0.0.1", "authorised": True}, False),
        ("internal", {}, False),
        ("internal", {"authorised": True}, True),
        ("internal", {"client": "10.1.2.3"}, True),
        ("internal", {"client": "::1"}, True),
        ("internal", {"client": "fe80::1%eth0"}, True),
        ("internal", {"client": "::ffff:192.168.0.9"}, True),
        ("internal", {"client": "93.184.216.34"}, False),
        ("internal", {"client": "::ffff:93.184.216.34"}, False),
        ("internal", {"client": "testclient"}, False),
    ],
)
def test_details_go_to_those_who_may_see_them(policy, caller, sees):
    served = endpoints(details=policy, database=lambda: True)

    shown = json.loads(served.health(**caller).body)["checks"]

    assert served.may_see_details(**caller) is sees
    assert shown == ({"database": "healthy"} if sees else {})


def test_a_stranger_learns_no_name_and_no_error():
    def check():
        raise ConnectionError("db.internal:5432 refused")

    answer = endpoints(details="internal", secretive=check).ready(client="93.184.216.34")

    assert b"secretive" not in answer.body
    assert b"5432" not in answer.body


def test_an_unknown_policy_is_refused():
    with pytest.raises(ConfigurationError, match="'sometimes' is unknown"):
        endpoints(details="sometimes")


def test_a_slow_check_does_not_delay_live():
    served = endpoints(slow=lambda: time.sleep(0.2))
    began = time.monotonic()

    served.live()

    assert time.monotonic() - began < 0.2
