"""API keys and sessions as the settings ask for them."""

import asyncio

import pytest

from shared.auth import (
    Principal,
    get_api_keys,
    get_async_api_keys,
    get_async_sessions,
    get_session_cookie,
    get_sessions,
)
from shared.config import override_settings
from shared.database import Base, Database, get_database, tables_of
from shared.errors import AuthenticationError, ConfigurationError
from shared.runtime import Runtime, use

PEPPER = "pepper-of-at-least-thirty-two-bytes!"


@pytest.fixture
def runtime():
    runtime = Runtime("accessors")
    with use(runtime):
        yield runtime
    runtime.close()


async def use_async():
    """Use both twins in one loop and close them there."""
    new = await get_async_api_keys().create("billing")
    token, _ = await get_async_sessions().start(Principal(user_id="u-1"))
    found = await get_async_api_keys().verify(new.secret.get_secret_value())
    session = await get_async_sessions().load(token.get_secret_value())
    return new.secret.get_secret_value(), token.get_secret_value(), found.owner, session.user_id


def test_both_twins_share_the_store_of_the_process(runtime):
    key, token, owner, user = asyncio.run(use_async())

    assert (owner, user) == ("billing", "u-1")
    assert get_api_keys().verify(key).owner == "billing"
    assert get_sessions().load(token).user_id == "u-1"


def test_the_database_of_the_service_keeps_both(runtime, tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("auth"))
    settings = {"AUTH_STORE": "database", "DATABASE_URL": url, "API_KEY_PEPPER": PEPPER}

    async def both():
        found = await use_async()
        await runtime.aclose()
        return found

    with override_settings(**settings):
        assert asyncio.run(both())[2:] == ("billing", "u-1")
        runtime.reopen()
        assert [key.owner for key in get_api_keys().of_owner("billing")] == ["billing"]
        assert len(get_sessions().of_user("u-1")) == 1
        assert get_database() is runtime.find(Database)


def test_redis_keeps_both(runtime, shared_redis):
    async def both():
        found = await use_async()
        await runtime.aclose()
        return found

    with override_settings(AUTH_STORE="redis", REDIS_URL=str(shared_redis), API_KEY_PEPPER=PEPPER):
        assert asyncio.run(both())[2:] == ("billing", "u-1")
        runtime.reopen()
        assert [key.owner for key in get_api_keys().of_owner("billing")] == ["billing"]
        assert len(get_sessions().of_user("u-1")) == 1


def test_keys_of_another_environment_are_unknown_in_production(runtime):
    test_key = get_api_keys().create("billing").secret.get_secret_value()
    live = Runtime("live")
    production = {
        "ENVIRONMENT": "production", "DEBUG": False, "JWT_SECRET_KEY": "S3cure-and-l0ng-enough-for-HS256-signing!",
        "API_KEY_PEPPER": PEPPER, "CSRF_SECRET_KEY": "csrf-secret-of-at-least-32-bytes-x",
    }  # fmt: skip

    with use(live), override_settings(**production):
        assert get_api_keys().create("billing").secret.get_secret_value().startswith("sk_live_")
        with pytest.raises(AuthenticationError):
            get_api_keys().verify(test_key)
    live.close()

    assert test_key.startswith("sk_test_")


def test_an_earlier_pepper_still_opens(runtime, tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    with Database(url) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("auth"))
    with override_settings(AUTH_STORE="database", DATABASE_URL=url, API_KEY_PEPPER=PEPPER):
        key = get_api_keys().create("billing").secret.get_secret_value()
    later = Runtime("later")

    newer = {"API_KEY_PEPPER": "newer-pepper-of-thirty-two-bytes-!!", "API_KEY_PREVIOUS_PEPPERS": [PEPPER]}
    with use(later), override_settings(AUTH_STORE="database", DATABASE_URL=url, **newer):
        assert get_api_keys().verify(key).owner == "billing"
    later.close()


def test_a_session_cookie_over_http_is_for_development(runtime):
    with override_settings(SESSION_COOKIE_INSECURE=True, SESSION_COOKIE_NAME="session"):
        assert get_session_cookie().insecure


def test_times_and_name_follow_the_settings(runtime):
    with override_settings(
        SESSION_IDLE_MINUTES=1, SESSION_ABSOLUTE_HOURS=1, SESSION_COOKIE_NAME="__Host-sid"
    ):
        core = get_sessions()._core

        assert (core.idle, core.absolute, core.every) == (60.0, 3600.0, 15.0)
        assert get_session_cookie().name == "__Host-sid"


def test_an_idle_time_above_the_absolute_one_is_cut(runtime):
    with override_settings(SESSION_IDLE_MINUTES=600, SESSION_ABSOLUTE_HOURS=1):
        assert get_sessions()._core.idle == 3600.0


def test_a_short_pepper_is_refused(runtime):
    with override_settings(API_KEY_PEPPER="p" * 32), pytest.raises(ConfigurationError):
        with override_settings(API_KEY_PEPPER="short"):
            get_api_keys()


def test_redis_without_an_address_is_refused(runtime):
    with override_settings(AUTH_STORE="redis"), pytest.raises(ConfigurationError, match="REDIS_URL"):
        get_sessions()


def test_a_session_cookie_over_http_is_refused_in_production(runtime):
    production = {
        "ENVIRONMENT": "production", "DEBUG": False, "JWT_SECRET_KEY": "S3cure-and-l0ng-enough-for-HS256-signing!",
        "API_KEY_PEPPER": PEPPER, "CSRF_SECRET_KEY": "csrf-secret-of-at-least-32-bytes-x",
        "SESSION_COOKIE_INSECURE": True, "SESSION_COOKIE_NAME": "session",
    }  # fmt: skip

    with override_settings(**production), pytest.raises(ConfigurationError, match="https"):
        get_session_cookie()
