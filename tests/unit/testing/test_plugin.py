"""The plugin in a test run of its own, as a service's suite meets it."""

import os
import subprocess
import sys

import pytest

from shared.config import Section, Settings, get_settings, setting
from shared.logging import get_logger
from shared.runtime import current

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
