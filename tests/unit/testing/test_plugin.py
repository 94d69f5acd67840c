"""The plugin in a test run of its own, as a service's suite meets it."""

import os
import subprocess
import sys

import pytest

from shared.auth import Principal, require_roles
from shared.cache import cached, get_cache
from shared.config import Section, Settings, get_settings, setting
from shared.context import get_principal, get_tenant
from shared.errors import AuthorizationError
from shared.logging import get_logger
from shared.resilience import CircuitBreaker
from shared.runtime import current
from shared.testing._engine_hooks import first_engine

_early = get_logger("early")


class Own(Section):
    """A section of a service."""

    OWN_SETTING: int = setting(1, "A setting of the service.")


class OwnSettings(Settings):
    """Settings of a service."""

    own: Own


def test_settings_are_those_of_the_testing_profile(shared_settings):
    assert shared_settings.app.ENVIRONMENT == "testing"


def test_settings_do_not_follow_the_machine(monkeypatch, request):
    monkeypatch.setenv("DB_POOL_SIZE", "77")

    assert request.getfixturevalue("shared_settings").database.DB_POOL_SIZE != 77


@pytest.mark.shared_settings(DB_POOL_SIZE=3)
def test_marker_sets_values(shared_settings):
    assert shared_settings.database.DB_POOL_SIZE == 3


@pytest.mark.shared_settings(cls=OwnSettings, OWN_SETTING=9)
def test_marker_chooses_the_class(shared_settings):
    assert shared_settings.own.OWN_SETTING == 9


@pytest.mark.shared_settings(API_PORT=1, DB_POOL_SIZE=2)
class TestNearestMarker:
    @pytest.mark.shared_settings(API_PORT=5)
    def test_nearest_marker_wins(self, shared_settings):
        assert (shared_settings.api.API_PORT, shared_settings.database.DB_POOL_SIZE) == (5, 2)


def test_runtime_of_the_test_holds_its_settings(shared_runtime, shared_settings):
    assert current() is shared_runtime
    assert get_settings() is shared_settings


async def test_runtime_is_current_in_asynchronous_tests(shared_runtime):
    assert current() is shared_runtime


def test_cache_of_the_test_is_the_one_that_decorated_functions_use(shared_cache):
    @cached(ttl=60.0, key="double:{number}")
    def double(number: int) -> int:
        return 2 * number

    found = [double(4), double(4)]

    assert (found, get_cache() is shared_cache, shared_cache.stats().loads) == ([8, 8], True, 1)


def test_storage_of_the_test_is_that_of_the_runtime(shared_storage):
    from shared.integrations.storage import get_storage

    get_storage().put("a.txt", b"1")

    assert (get_storage() is shared_storage, shared_storage.get("a.txt")) == (True, b"1")


def test_log_capture_sees_loggers_made_before(log_capture):
    _early.info("hello", n=1)

    assert [(event["event"], event["n"]) for event in log_capture] == [("hello", 1)]


def test_client_fixture_runs_start_up(shared_client):
    from fastapi import FastAPI

    from shared.service import install, uninstall

    app = install(FastAPI(), service="x")

    assert shared_client(app).get("/ready").status == 200
    uninstall(app)


def test_plugin_is_found_by_its_entry_point_and_imports_nothing_heavy(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_light(frozen_clock):\n"
        "    heavy = {'pydantic', 'structlog', 'starlette', 'flask', 'sqlalchemy', 'orjson', 'fastapi'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "shared.testing.plugin", "-p", "no:cacheprovider", "--noconftest",
         "-p", "no:pytest_cov", "-p", "no:hypothesispytest", "-p", "no:shared", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


def test_as_user_sets_principal_and_tenant(as_user):
    user = as_user("user-7", tenant="acme", roles=["admin"])

    assert (get_principal(), get_tenant()) == (user, "acme")
    assert (user.user_id, user.roles) == ("user-7", {"admin"})


def test_as_user_called_again_makes_it_somebody_else(as_user):
    as_user("user-7", tenant="acme")
    as_user("user-8")

    assert (get_principal().user_id, get_tenant()) == ("user-8", None)


def test_as_user_takes_a_principal(as_user):
    ada = Principal(user_id="ada", tenant="acme")

    as_user(ada)

    assert (get_principal(), get_tenant()) == (ada, "acme")


def test_as_user_takes_a_principal_as_it_is(as_user):
    with pytest.raises(TypeError, match="tenant belongs to the principal"):
        as_user(Principal(user_id="ada"), tenant="acme")


def test_rules_see_the_user(as_user):
    guarded = require_roles("admin")(lambda: "done")

    as_user("user-7")
    with pytest.raises(AuthorizationError):
        guarded()
    as_user("user-8", roles=["admin"])

    assert guarded() == "done"


async def test_as_user_works_in_asynchronous_tests(as_user):
    as_user("user-7")

    assert get_principal().user_id == "user-7"


def test_nobody_is_the_user_without_as_user():
    assert get_principal() is None


def test_a_fault_strikes_the_dependency_of_that_name(fault):
    payments, mail = CircuitBreaker("plugin-payments"), CircuitBreaker("plugin-mail")

    faults = fault("plugin-payments", error=ConnectionError)

    with pytest.raises(ConnectionError):
        payments.call(str, 1)
    assert (mail.call(str, 1), faults.struck) == ("1", 1)


def test_a_fault_strikes_the_same_calls_in_every_run(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    tests = """
        from shared.resilience import CircuitBreaker

        def test_it(fault, record_property):
            breaker = CircuitBreaker("payments", failure_threshold=1000)
            fault("payments", rate=0.5, error=OSError)
            struck = []
            for _ in range(40):
                try:
                    breaker.call(int)
                    struck.append(0)
                except OSError:
                    struck.append(1)
            assert 0 < sum(struck) < 40
            print("STRUCK", struck)
    """
    pytester.makepyfile(tests)

    runs = [pytester.runpytest_inprocess("-p", "shared.testing.plugin", "-s") for _ in range(2)]
    lines = [[line for line in run.outlines if "STRUCK" in line] for run in runs]

    assert len(lines[0]) == 1
    assert lines[0] == lines[1]


def test_a_fault_ends_with_the_test(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        from shared.resilience import CircuitBreaker

        breaker = CircuitBreaker("payments")

        def test_one(fault):
            fault("payments", error=OSError)

        def test_two():
            assert breaker.call(int) == 0
        """
    )

    pytester.runpytest_inprocess("-p", "shared.testing.plugin").assert_outcomes(passed=2)


def test_an_engine_that_nobody_names_is_the_first_chosen(request, pytestconfig):
    assert request.getfixturevalue("shared_engine") == first_engine(pytestconfig)
