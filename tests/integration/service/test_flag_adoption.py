"""A service that keeps who met which variant, from the request to the report."""

import pytest

from shared.config import Settings, use_settings
from shared.database import Base, Database, tables_of
from shared.errors import ConfigurationError
from shared.feature_flags import (
    Flag,
    adoption_report,
    afeedback,
    declare_flags,
    feedback,
    get_adoption_log,
    get_feedback_log,
    get_flags,
    is_feature_enabled,
    last_used,
)
from shared.feature_flags._unit_ids import UnitIds
from shared.runtime import Runtime, use
from shared.service import install, installed, uninstall
from shared.testing import ApiClient
from tests.unit.config._helpers import PRODUCTION

KEY = "a secret of sixteen bytes or more"


def fastapi_app():
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/menu/{user}")
    async def menu(user: str):
        if is_feature_enabled("menu", user):
            await afeedback("menu", unit=user, score=5, text="nice")
        return {}

    return app


def flask_app():
    from flask import Flask

    app = Flask("adoption")

    @app.post("/menu/<user>")
    def menu(user):
        if is_feature_enabled("menu", user):
            feedback("menu", unit=user, score=5, text="nice")
        return {}

    return app


@pytest.fixture
def url(tmp_path):
    found = f"sqlite:///{tmp_path}/shop.db"
    with Database(found) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("feature_flags"))
    return found


def settings(url, **more):
    return Settings(
        environ={"DATABASE_URL": url, "FLAGS_ADOPTION": "true", "FLAGS_UNIT_KEY": KEY, **more}, env_file=None
    )


@pytest.mark.parametrize("make", [fastapi_app, flask_app], ids=["fastapi", "flask"])
def test_what_users_met_and_said_is_in_the_report(make, url, log_capture):
    app = install(make(), settings(url), service="shop")
    with use(installed(app).runtime):
        declare_flags([Flag("menu", rollout=50, salt="s")])
    with ApiClient(app) as client:
        for number in range(20):
            assert client.post(f"/menu/user-{number}").status == 200
        with use(installed(app).runtime):
            expected = sum(get_flags().explain("menu", f"user-{n}").detail.value for n in range(20))
    uninstall(app)

    with Database(url) as database:
        (found,) = [each for each in adoption_report(database) if each.flag == "menu"]
    assert 0 < expected < 20
    assert (found.enabled, found.evaluations, found.share) == (expected, 20, expected / 20)
    assert (found.score, found.answers) == (5.0, expected)
    assert "nice" not in str(log_capture)


def test_nothing_is_kept_unless_it_is_asked_for(url):
    app = install(flask_app(), settings(url, FLAGS_ADOPTION="false"), service="shop")
    with ApiClient(app) as client:
        client.post("/menu/u-1")
    uninstall(app)

    with Database(url) as database:
        assert last_used(database) == {}


def runtime_with(url, **more):
    runtime = Runtime("test")
    use_settings(settings(url, **more), runtime=runtime)
    return runtime


def test_production_without_a_key_is_refused(url):
    production = {
        **PRODUCTION,
        "DATABASE_URL": url,
        "DB_ALLOW_SQLITE": "true",
        "FLAGS_ADOPTION": "true",
    }
    runtime = Runtime("test")
    use_settings(Settings(environ=production, env_file=None), runtime=runtime)

    with use(runtime), pytest.raises(ConfigurationError, match="FLAGS_UNIT_KEY is not set"):
        get_adoption_log()
    runtime.close()


def test_the_key_of_the_settings_hashes_the_ids(url):
    runtime = runtime_with(url)
    with use(runtime):
        get_adoption_log().exposed("menu", "on", "u-1")
        get_adoption_log().flush()
        get_feedback_log().give("menu", unit="u-1", score=3)

        assert get_feedback_log().forget("u-1") == 2
        assert UnitIds(KEY)("u-1") != "u-1"
    runtime.close()


def test_ids_can_be_kept_as_they_are(url):
    runtime = runtime_with(url, FLAGS_UNIT_IDS="plain", FLAGS_UNIT_KEY="")
    with use(runtime):
        from sqlalchemy import select

        from shared.database import get_database
        from shared.feature_flags import FlagFeedback

        declare_flags({"menu": True})
        feedback("menu", unit="u-1", score=3)

        with get_database().read() as session:
            assert session.scalar(select(FlagFeedback.unit)) == "u-1"
    runtime.close()
