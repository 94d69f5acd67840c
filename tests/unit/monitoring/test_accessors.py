from shared.config import override_settings
from shared.monitoring import get_health_registry, get_health_status, get_lifecycle
from shared.runtime import Runtime, use
from tests.unit.monitoring.children import run_code


def test_the_status_has_the_documented_shape():
    with use(Runtime("test")) as runtime:
        status = get_health_status()
        runtime.close()

    assert list(status) == ["status", "timestamp", "uptime", "checks"]
    assert status["checks"]["memory"]["rss"] > 0


def test_the_status_can_leave_out_the_parts():
    with use(Runtime("test")) as runtime:
        status = get_health_status(details=False)
        runtime.close()

    assert status["checks"] == {}


def test_two_runtimes_do_not_see_each_other():
    seen = []
    for name in ("a", "b"):
        with use(Runtime(name)) as runtime:
            get_health_registry().add(name, lambda: True)
            seen.append(get_health_registry().names)
            runtime.close()

    assert seen == [("memory", "a"), ("memory", "b")]


def test_the_settings_reach_the_objects():
    with (
        use(Runtime("test")) as runtime,
        override_settings(DRAIN_DELAY_SECONDS=1.5, HEALTH_FAILURE_THRESHOLD=1),
    ):
        registry, lifecycle = get_health_registry(), get_lifecycle()
        runtime.close()

    assert lifecycle.drain_delay == 1.5
    assert registry.lifecycle is lifecycle
    assert registry._failure_threshold == 1


def test_importing_the_room_loads_no_third_party_module():
    code = (
        "import sys; before = set(sys.modules); import shared.monitoring;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new - set(sys.stdlib_module_names) - {'shared'}))"
    )

    assert run_code(code)[:2] == (0, ["[]"])
