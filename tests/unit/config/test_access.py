"""The settings in force: built once, overridden for a while, reloaded as a whole."""

import asyncio
import inspect
import logging
import threading

import pytest

from shared.config import (
    Section,
    Settings,
    SettingsReloaded,
    get_settings,
    override_settings,
    reload_settings,
    setting,
    settings,
    use_settings,
    validate_environment_variables,
)
from shared.context import with_context
from shared.errors import ConfigurationError
from shared.runtime import Runtime, current, use


class ShopSection(Section):
    SHOP_NAME: str = setting("corner", "Name of the shop.")


class ShopSettings(Settings):
    shop: ShopSection


def test_settings_are_built_once():
    assert get_settings() is get_settings()


def test_nothing_is_read_before_the_first_use(monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "8")

    assert get_settings().database.DB_POOL_SIZE == 8


def test_later_changes_of_the_environment_do_not_show(monkeypatch):
    get_settings()
    monkeypatch.setenv("DB_POOL_SIZE", "8")

    assert settings.database.DB_POOL_SIZE == 5


def test_threads_that_start_together_share_one_instance():
    runtime, seen = current(), []

    def work():
        with use(runtime):
            seen.append(get_settings())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(map(id, seen))) == 1


def test_two_runtimes_do_not_see_each_other():
    with use(Runtime("other")):
        use_settings(Settings(environ={"DB_POOL_SIZE": "9"}, env_file=None))
        other = settings.database.DB_POOL_SIZE

    assert (other, settings.database.DB_POOL_SIZE) == (9, 5)


def test_the_runtime_to_set_can_be_named():
    runtime = Runtime("other")
    use_settings(Settings(environ={"DB_POOL_SIZE": "9"}, env_file=None), runtime=runtime)

    assert settings.database.DB_POOL_SIZE == 5
    with use(runtime):
        assert settings.database.DB_POOL_SIZE == 9


def test_wrong_settings_stay_wrong_until_they_are_put_right(monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "many")
    with pytest.raises(ConfigurationError):
        get_settings()
    monkeypatch.setenv("DB_POOL_SIZE", "6")

    assert get_settings().database.DB_POOL_SIZE == 6


# --- a service's own class --------------------------------------------------------------


def test_a_service_gets_its_own_class(monkeypatch):
    monkeypatch.setenv("SHOP_NAME", "market")

    assert get_settings(ShopSettings).shop.SHOP_NAME == "market"
    assert get_settings(ShopSettings) is get_settings()
    assert get_settings(ShopSettings) is get_settings(ShopSettings)


def test_a_class_that_is_put_in_force_is_found_by_both_names():
    instance = use_settings(ShopSettings)

    assert get_settings() is instance
    assert get_settings(ShopSettings) is instance


def test_an_override_and_a_reload_keep_the_class(monkeypatch):
    use_settings(ShopSettings)
    with override_settings(SHOP_NAME="fair"):
        assert get_settings(ShopSettings).shop.SHOP_NAME == "fair"
        assert settings.shop.SHOP_NAME == "fair"
    monkeypatch.setenv("SHOP_NAME", "mall")
    reload_settings()

    assert get_settings(ShopSettings).shop.SHOP_NAME == settings.shop.SHOP_NAME == "mall"


# --- the proxy -----------------------------------------------------------------------------


def test_the_proxy_reads_what_is_in_force():
    with override_settings(DB_POOL_SIZE=3):
        inside = settings.database.DB_POOL_SIZE

    assert (inside, settings.database.DB_POOL_SIZE) == (3, 5)


def test_the_proxy_shows_no_value(monkeypatch):
    monkeypatch.setenv("JWT_SECRET_KEY", "s3cret-s3cret")

    assert "s3cret" not in repr(settings)
    assert "database" in dir(settings)


def test_looking_at_the_proxy_reads_nothing(monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "many")

    assert inspect.unwrap(settings) is settings
    assert not callable(settings)
    assert current().find(Settings) is None


def test_the_proxy_has_a_fast_way_to_every_section():
    assert set(Settings.model_fields) <= set(vars(type(settings)))


def test_the_proxy_cannot_be_written_to():
    with pytest.raises(ConfigurationError, match="override_settings"):
        settings.database = None


def test_the_proxy_has_no_attributes_of_its_own():
    with pytest.raises(AttributeError, match="datenbank"):
        settings.datenbank  # noqa: B018


# --- overriding ---------------------------------------------------------------------------------


def test_overrides_can_be_nested():
    with override_settings(DB_POOL_SIZE=3), override_settings(API_PORT=81):
        assert (settings.database.DB_POOL_SIZE, settings.api.API_PORT) == (3, 81)


def test_an_override_takes_text_and_values():
    with override_settings(DB_POOL_SIZE="3", CORS_ORIGINS=["*"], OPENAI_API_KEY="sk-1"):
        assert settings.database.DB_POOL_SIZE == 3
        assert settings.ai.OPENAI_API_KEY.get_secret_value() == "sk-1"


def test_an_override_by_an_alias_wins_over_an_earlier_one():
    with override_settings(JWT_EXPIRE_MINUTES=5), override_settings(JWT_ACCESS_TOKEN_EXPIRE_MINUTES=6):
        assert settings.security.JWT_EXPIRE_MINUTES == 6


@pytest.mark.parametrize("wrong", [{"DB_POOL_SIZE": 0}, {"DB_POOLSIZE": 3}, {"ENVIRONMENT": "production"}])
def test_a_wrong_override_is_refused_and_changes_nothing(wrong):
    with pytest.raises(ConfigurationError), override_settings(**wrong):
        raise AssertionError("not reached")

    assert settings.database.DB_POOL_SIZE == 5


def test_the_profile_follows_an_override_of_the_environment():
    with override_settings(ENVIRONMENT="staging"):
        assert settings.logging.LOG_FORMAT == "json"

    assert settings.logging.LOG_FORMAT == "console"


def test_an_override_reads_nothing_again(monkeypatch):
    get_settings()
    monkeypatch.setenv("API_PORT", "81")

    with override_settings(DB_POOL_SIZE=3):
        assert settings.api.API_PORT == 8000


def test_an_override_ends_with_an_error():
    with pytest.raises(RuntimeError), override_settings(DB_POOL_SIZE=3):
        raise RuntimeError

    assert settings.database.DB_POOL_SIZE == 5


async def test_tasks_do_not_see_each_others_overrides():
    inside = asyncio.Barrier(2)

    async def work(size):
        with override_settings(DB_POOL_SIZE=size):
            await inside.wait()
            return settings.database.DB_POOL_SIZE

    assert await asyncio.gather(work(3), work(4)) == [3, 4]


def test_a_thread_with_the_callers_context_sees_the_override():
    seen = []
    with override_settings(DB_POOL_SIZE=3):
        thread = threading.Thread(target=with_context(lambda: seen.append(settings.database.DB_POOL_SIZE)))
        thread.start()
        thread.join()

    assert seen == [3]


# --- reloading -------------------------------------------------------------------------------------


def test_a_reload_swaps_and_tells_what_changed(monkeypatch):
    monkeypatch.setenv("JWT_SECRET_KEY", "old-old-old")
    before, seen = get_settings(), []
    current().events.subscribe(SettingsReloaded, seen.append)
    monkeypatch.setenv("DB_POOL_SIZE", "9")
    monkeypatch.setenv("JWT_SECRET_KEY", "new-new-new")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@localhost/x")

    after = reload_settings()

    assert get_settings() is after is not before
    assert before.database.DB_POOL_SIZE == 5
    (event,) = seen
    assert dict(event.changes) == {
        "DB_POOL_SIZE": (5, 9),
        "JWT_SECRET_KEY": ("***", "***"),
        "DATABASE_URL": ("sqlite:///app.db", "postgresql://u:***@localhost/x"),
    }
    assert event.settings is after


def test_a_reload_keeps_what_was_given_in_code(monkeypatch):
    use_settings(get_settings().replaced({"SERVICE_NAME": "orders"}))
    monkeypatch.setenv("DB_POOL_SIZE", "9")
    monkeypatch.setenv("SERVICE_NAME", "other")

    reload_settings()

    assert (settings.app.SERVICE_NAME, settings.database.DB_POOL_SIZE) == ("orders", 9)


def test_a_reload_inside_an_override_does_not_make_it_permanent(monkeypatch):
    with override_settings(DB_POOL_SIZE=3):
        monkeypatch.setenv("API_PORT", "81")
        reload_settings()
        inside = settings.database.DB_POOL_SIZE

    assert inside == 3
    assert (settings.database.DB_POOL_SIZE, settings.api.API_PORT) == (5, 81)


def test_a_reload_reads_the_same_sources_as_before(monkeypatch, tmp_path):
    (tmp_path / "x.env").write_text("API_PORT=81")
    variables = {"DB_POOL_SIZE": "7"}
    use_settings(Settings(environ=variables, env_file=tmp_path / "x.env"))
    monkeypatch.setenv("SERVICE_NAME", "of-the-machine")
    (tmp_path / "x.env").write_text("API_PORT=82")
    variables["DB_POOL_SIZE"] = "8"

    reload_settings()

    assert (settings.database.DB_POOL_SIZE, settings.api.API_PORT) == (8, 82)
    assert settings.app.SERVICE_NAME == "service"


def test_subscribers_already_see_the_new_settings(monkeypatch):
    get_settings()
    seen = []
    current().events.subscribe(SettingsReloaded, lambda event: seen.append(get_settings() is event.settings))
    monkeypatch.setenv("DB_POOL_SIZE", "9")
    reload_settings()

    assert seen == [True]


def test_a_reload_without_a_change_tells_nobody():
    get_settings()
    seen = []
    current().events.subscribe(SettingsReloaded, seen.append)
    reload_settings()

    assert seen == []


def test_a_failed_reload_keeps_the_old_settings(monkeypatch):
    before, seen = get_settings(), []
    current().events.subscribe(SettingsReloaded, seen.append)
    monkeypatch.setenv("DB_POOL_SIZE", "many")

    with pytest.raises(ConfigurationError, match="DB_POOL_SIZE"):
        reload_settings()

    assert get_settings() is before
    assert seen == []


def test_a_failing_subscriber_does_not_undo_the_reload(monkeypatch, caplog):
    get_settings()
    current().events.subscribe(SettingsReloaded, lambda event: 1 / 0)
    monkeypatch.setenv("DB_POOL_SIZE", "9")
    with caplog.at_level(logging.CRITICAL):
        reload_settings()

    assert settings.database.DB_POOL_SIZE == 9


def test_a_reload_before_the_first_use_builds(monkeypatch):
    monkeypatch.setenv("DB_POOL_SIZE", "9")

    assert reload_settings().database.DB_POOL_SIZE == 9


# --- validate_environment_variables ---------------------------------------------------------------------


def test_validation_returns_the_warnings(monkeypatch):
    monkeypatch.setenv("DB_POOLSIZE", "9")

    assert [warning.variable for warning in validate_environment_variables()] == ["DB_POOLSIZE"]


def test_validation_names_everything_a_service_lacks(monkeypatch):
    monkeypatch.setenv("SHOP_URL", "x")

    with pytest.raises(ConfigurationError) as caught:
        validate_environment_variables(
            "OPENAI_API_KEY", "CORS_ORIGINS", "DB_POOL_SIZE", "SHOP_URL", "SHOP_KEY"
        )

    missing = [problem["variable"] for problem in caught.value.details["problems"]]
    assert missing == ["CORS_ORIGINS", "OPENAI_API_KEY", "SHOP_KEY"]
