"""The settings a service sees: names, defaults, sections."""

import copy
import pickle

import pytest
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, field_validator, model_validator

from shared.config import ConnectionUrl, DatabaseSettings, Section, Settings, explain, setting
from shared.constants import Environment
from shared.errors import ConfigurationError
from tests.unit.config._helpers import PRODUCTION, STRONG, load, problems, refusal

SECTIONS = "app database redis cache ai agent stripe shopify email gcp aws storage security api logging monitoring resilience flags jobs"


@pytest.mark.parametrize(
    ("section", "name", "text", "value"),
    [
        ("app", "ENVIRONMENT", "staging", Environment.STAGING),
        ("app", "DEBUG", "true", True),
        ("database", "DATABASE_URL", "sqlite:///cafe24_dev.db", "sqlite:///cafe24_dev.db"),
        ("database", "DB_POOL_SIZE", "42", 42),
        ("ai", "OPENAI_TEMPERATURE", "0.2", 0.2),
        ("ai", "OPENAI_MODEL", "gpt-4", "gpt-4"),
        ("security", "JWT_ALGORITHM", "HS512", "HS512"),
        ("security", "JWT_EXPIRE_MINUTES", "15", 15),
        ("security", "PASSWORD_REQUIRE_DIGIT", "yes", True),
        ("monitoring", "METRICS_ENABLED", "false", False),
        ("aws", "AWS_REGION", "us-east-1", "us-east-1"),
        ("aws", "AWS_ENDPOINT_URL", "http://localhost:4566", "http://localhost:4566"),
        ("aws", "USERS_TABLE", "people", "people"),
        ("aws", "ORDERS_TABLE", "o", "o"),
        ("aws", "INVENTORY_TABLE", "i", "i"),
        ("redis", "REDIS_HOST", "localhost", "localhost"),
        ("redis", "REDIS_PORT", "6380", 6380),
        ("gcp", "GCP_PROJECT_ID", "shop-1", "shop-1"),
        ("gcp", "GCP_BUCKET_NAME", "files", "files"),
        ("stripe", "STRIPE_PUBLISHABLE_KEY", "pk_live_1", "pk_live_1"),
        ("agent", "AGENT_SYSTEM", "Enhanced", "enhanced"),
        ("logging", "LOG_LEVEL", "warning", "WARNING"),
        ("resilience", "RETRY_MAX_ATTEMPTS", "7", 7),
        (
            "api",
            "CORS_ORIGINS",
            "https://a.example,https://b.example",
            ["https://a.example", "https://b.example"],
        ),
    ],
)
def test_a_setting_is_read_from_the_variable_of_its_own_name(section, name, text, value):
    settings = load(**{name: text})

    assert getattr(getattr(settings, section), name) == value


def test_every_section_of_the_plan_exists():
    assert set(Settings.model_fields) == set(SECTIONS.split())


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("logging", "LOG_SINK", "stdout"),
        ("logging", "LOG_ACCESS_SAMPLE", 1.0),
        ("logging", "LOG_QUIET_PATHS", ["/health", "/ready", "/live", "/metrics"]),
        ("logging", "LOG_MAX_LINE_BYTES", 16384),
        ("api", "API_VERSION", "v1"),
        ("api", "API_PREFIX", ""),
        ("api", "MAX_BODY_BYTES", 1048576),
        ("api", "DOCS_PATHS", ["/docs", "/redoc", "/openapi.json"]),
        ("api", "EXPOSE_ERROR_DETAILS", None),
        ("monitoring", "HEALTH_CHECK_TIMEOUT", 0.8),
        ("monitoring", "HEALTH_FAILURE_THRESHOLD", 3),
        ("monitoring", "DRAIN_TIMEOUT_SECONDS", 20.0),
        ("resilience", "BREAKER_THRESHOLDS", {"payments": 5, "email": 3, "storage": 5, "shipping": 3}),
        ("security", "JWT_EXPIRE_MINUTES", 30),
    ],
)
def test_a_setting_has_the_documented_default(section, name, value):
    assert getattr(getattr(load(), section), name) == value


@pytest.mark.parametrize("environment", list(Environment))
def test_a_profile_changes_the_defaults(environment):
    settings = load(**PRODUCTION | {"ENVIRONMENT": environment})

    served = environment in {Environment.STAGING, Environment.PRODUCTION}
    assert settings.logging.LOG_FORMAT == ("json" if served else "console")
    assert settings.api.API_HOST == ("0.0.0.0" if served else "127.0.0.1")
    assert (settings.database.DATABASE_URL is None) is served


def test_a_value_wins_over_the_default_of_the_profile():
    assert load(**PRODUCTION, LOG_FORMAT="ecs").logging.LOG_FORMAT == "ecs"


def test_the_environment_may_be_given_as_a_member():
    assert (
        Settings(environ={}, env_file=None, ENVIRONMENT=Environment.TESTING).app.ENVIRONMENT
        is Environment.TESTING
    )


def test_an_environment_that_is_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="expected one of development"):
        Settings(environ={}, env_file=None, ENVIRONMENT=5)


@pytest.mark.parametrize(("name", "failures"), [("payments", 5), ("shipping", 3), ("maps", 8)])
def test_a_dependency_has_its_threshold_or_the_common_one(name, failures):
    assert load(BREAKER_FAILURE_THRESHOLD="8").resilience.threshold(name) == failures


@pytest.mark.parametrize(
    ("word", "environment"),
    [("PROD", "production"), ("dev", "development"), ("Test", "testing"), (" stage ", "staging")],
)
def test_the_short_forms_of_environments_are_understood(word, environment):
    settings = load(**PRODUCTION | {"ENVIRONMENT": word})

    assert environment == settings.app.ENVIRONMENT


def test_thresholds_keep_the_presets_that_are_not_named():
    settings = load(BREAKER_THRESHOLDS="payments=10,maps=2")

    assert settings.resilience.BREAKER_THRESHOLDS == {
        "payments": 10, "email": 3, "storage": 5, "shipping": 3, "maps": 2,
    }  # fmt: skip


def test_a_secret_is_opened_only_on_purpose():
    key = load(OPENAI_API_KEY="sk-live-1").ai.OPENAI_API_KEY

    assert isinstance(key, SecretStr)
    assert key.get_secret_value() == "sk-live-1"


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_an_absent_key_is_generated_for_the_process_outside_production(environment):
    first, second = load(ENVIRONMENT=environment), load(ENVIRONMENT=environment)

    assert len(first.security.JWT_SECRET_KEY.get_secret_value()) >= 64
    assert first.security.JWT_SECRET_KEY == second.security.JWT_SECRET_KEY
    assert first.security.JWT_SECRET_KEY != first.security.CSRF_SECRET_KEY


def test_staging_generates_no_key():
    assert load(ENVIRONMENT="staging").security.JWT_SECRET_KEY is None


# --- aliases ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "name", "alias", "text"),
    [
        ("security", "JWT_EXPIRE_MINUTES", "JWT_ACCESS_TOKEN_EXPIRE_MINUTES", "45"),
        ("monitoring", "HEALTH_CACHE_SECONDS", "HEALTH_CHECK_INTERVAL", "9"),
        ("email", "EMAIL_FROM", "SENDGRID_FROM_EMAIL", "shop@example.com"),
        ("email", "EMAIL_FROM_NAME", "SENDGRID_FROM_NAME", "The Shop"),
        ("gcp", "GCP_PROJECT_ID", "GOOGLE_CLOUD_PROJECT", "p-1"),
        ("gcp", "GCP_CREDENTIALS_PATH", "GOOGLE_APPLICATION_CREDENTIALS", "/run/key.json"),
    ],
)
def test_an_alias_sets_the_setting_and_reads_it(section, name, alias, text):
    found = getattr(load(**{alias: text}), section)

    assert str(getattr(found, name)).removesuffix(".0") == text
    assert getattr(found, alias) == getattr(found, name)


def test_two_names_with_different_values_are_an_error():
    found = problems(JWT_EXPIRE_MINUTES="15", JWT_ACCESS_TOKEN_EXPIRE_MINUTES="30")

    assert found["JWT_EXPIRE_MINUTES"]["id"] == "settings.conflict"
    assert "JWT_ACCESS_TOKEN_EXPIRE_MINUTES" in found["JWT_EXPIRE_MINUTES"]["message"]


def test_two_names_with_the_same_value_are_fine():
    settings = load(JWT_EXPIRE_MINUTES="15", JWT_ACCESS_TOKEN_EXPIRE_MINUTES=" 15")

    assert settings.security.JWT_EXPIRE_MINUTES == 15


def test_a_conflict_of_secrets_shows_neither():
    text = str(refusal(EMAIL_FROM="a@b.example", SENDGRID_FROM_EMAIL="c@d.example"))

    assert "a@b" not in text
    assert "c@d" not in text


def test_a_name_that_is_no_alias_is_an_attribute_error():
    with pytest.raises(AttributeError, match="JWT_EXPIRES"):
        load().security.JWT_EXPIRES  # noqa: B018


# --- Redis by parts ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_HOST": "cache", "REDIS_PORT": "6380", "REDIS_DB": "2"}, "redis://cache:6380/2"),
        ({"REDIS_HOST": "cache", "REDIS_PASSWORD": "p@s/s"}, "redis://:p%40s%2Fs@cache:6379/0"),
        ({"REDIS_HOST": "::1", "REDIS_TLS": "true"}, "rediss://[::1]:6379/0"),
        ({"REDIS_HOST": "cache", "REDIS_USERNAME": "app"}, "redis://app@cache:6379/0"),
        ({"REDIS_URL": "redis://other:1/3", "REDIS_HOST": "cache"}, "redis://other:1/3"),
    ],
)
def test_the_address_of_redis_comes_from_its_url_or_its_parts(parts, url):
    assert load(**parts).redis.url == url


def test_redis_has_no_address_when_nothing_is_set():
    assert load().redis.url is None


# --- a service's own ------------------------------------------------------------------


class OrdersSection(Section):
    ORDER_TTL: float = setting(900.0, "Life of an unpaid order, in seconds.", gt=0)
    ORDER_TOKEN: SecretStr = setting(..., "Token of the warehouse.")
    ORDER_PASSWORD: str = setting("", "A secret by its name.")
    ORDER_HOOK: ConnectionUrl | None = setting(None, "Where orders are sent.")

    @field_validator("ORDER_HOOK")
    @classmethod
    def _safe(cls, value):
        if value and "forbidden" in value:
            raise ValueError(f"must not go to {value}")
        return value


class OrdersSettings(Settings):
    orders: OrdersSection


def test_a_service_adds_a_section_by_subclassing():
    settings = load(cls=OrdersSettings, ORDER_TOKEN="t0p-secret", ORDER_TTL="60")

    assert settings.orders.ORDER_TTL == 60.0
    assert settings.database.DB_POOL_SIZE == 5


def test_a_required_setting_that_is_absent_is_an_error():
    found = problems(cls=OrdersSettings)

    assert found["ORDER_TOKEN"]["id"] == "settings.missing"
    assert found["ORDER_TOKEN"]["message"] == "expected text, but it is not set"


def test_text_whose_name_says_secret_is_masked():
    settings = load(cls=OrdersSettings, ORDER_TOKEN="x", ORDER_PASSWORD="hunter2hunter2")

    assert settings.to_dict()["orders"]["ORDER_PASSWORD"] == "***"
    assert "hunter2" not in repr(settings.orders)


def test_the_message_of_a_services_validator_is_kept_without_the_value():
    found = problems(cls=OrdersSettings, ORDER_TOKEN="x", ORDER_HOOK="https://u:pw@forbidden.example")

    assert found["ORDER_HOOK"]["message"] == "must not go to ***"


def test_a_service_may_give_its_settings_further_names():
    class Renamed(Section):
        RENAMED_TTL: int = setting(1, "Life, in seconds.", aliases=("OLD_TTL",))

    class Service(Settings):
        renamed: Renamed

    assert load(cls=Service, OLD_TTL="9").renamed.RENAMED_TTL == 9
    assert problems(cls=Service, OLD_TTL="9", RENAMED_TTL="8")["RENAMED_TTL"]["id"] == "settings.conflict"


def test_a_service_may_replace_a_section():
    class Bigger(DatabaseSettings):
        DB_POOL_SIZE: int = setting(50, "Connections kept open per process.", ge=1)

    class Service(Settings):
        database: Bigger

    assert load(cls=Service).database.DB_POOL_SIZE == 50


def test_a_name_in_two_sections_is_refused_when_the_class_is_made():
    class Again(Section):
        DB_POOL_SIZE: int = setting(1, "Twice.")

    with pytest.raises(ConfigurationError, match="already declared in 'database'"):

        class Service(Settings):
            again: Again


def test_a_name_in_small_letters_is_refused_when_the_class_is_made():
    class Small(Section):
        pool: int = setting(1, "Small.")

    with pytest.raises(ConfigurationError, match="not in capitals"):

        class Service(Settings):
            small: Small


def test_a_field_that_is_not_a_section_is_refused_when_the_class_is_made():
    with pytest.raises(ConfigurationError, match="must be a subclass of Section"):

        class Service(Settings):
            TIMEOUT: int = 3


def test_a_rule_of_a_section_is_reported_with_the_other_problems():
    class Range(Section):
        RANGE_LOW: int = setting(1, "Low.")
        RANGE_HIGH: int = setting(2, "High.")

        @model_validator(mode="after")
        def _ordered(self):
            if self.RANGE_LOW > self.RANGE_HIGH:
                raise ValueError(f"RANGE_LOW {self.RANGE_LOW} is above RANGE_HIGH")
            return self

    class Service(Settings):
        limits: Range

    found = problems(cls=Service, RANGE_LOW="777777", DB_POOL_SIZE="many")

    assert found["section limits"]["message"] == "RANGE_LOW 777777 is above RANGE_HIGH"
    assert "DB_POOL_SIZE" in found


def test_a_rule_over_sections_is_reported_as_a_wrong_setting():
    class Service(Settings):
        @model_validator(mode="after")
        def _together(self):
            if self.api.API_PORT == 1 and self.app.SERVICE_NAME == "x":
                raise ValueError("x must not listen on 1")
            return self

    assert (
        problems(cls=Service, API_PORT="1", SERVICE_NAME="x")["Service"]["message"]
        == "x must not listen on 1"
    )


def test_a_default_may_be_made_by_a_factory():
    class Made(Section):
        MADE_LIST: list[str] = Field(default_factory=lambda: ["a"], description="Made.")

    class Service(Settings):
        made: Made

    assert load(cls=Service).made.MADE_LIST == ["a"]
    assert explain("MADE_LIST", load(cls=Service)).default == ["a"]


def test_a_factory_that_crashes_is_a_problem_and_not_a_crash():
    def crash():
        raise KeyError("t0p-secret")

    class Broken(Section):
        BROKEN_LIST: list[str] = Field(default_factory=crash, description="Made.")

    class Service(Settings):
        broken: Broken

    error = refusal(cls=Service)

    assert "failed with KeyError" in str(error)
    assert "t0p" not in str(error)


def test_a_value_that_is_a_model_is_shown_without_its_secrets():
    class Endpoint(BaseModel):
        HOST: str
        PASSWORD: str

    class Deep(Section):
        DEEP_ENDPOINT: Endpoint = setting({"HOST": "h", "PASSWORD": "hunter2"}, "An endpoint.")

        _kept: int = PrivateAttr(default=1)

    class Service(Settings):
        deep: Deep

    settings = load(cls=Service, DEEP_ENDPOINT='{"HOST": "other", "PASSWORD": "hunter2"}')

    assert settings.to_dict()["deep"]["DEEP_ENDPOINT"] == {"HOST": "other", "PASSWORD": "***"}
    assert "hunter2" not in repr(settings.deep)
    settings.deep._kept = 2
    assert settings.deep._kept == 2


@pytest.mark.parametrize("where", ["section", "settings"])
def test_a_validator_that_crashes_is_a_problem_and_not_a_crash(where):
    class Broken(Section):
        BROKEN_ONE: str = setting("", "Crashes.")

        @field_validator("BROKEN_ONE")
        @classmethod
        def _crash(cls, value):
            if value and where == "section":
                raise KeyError(value)
            return value

    class Service(Settings):
        broken: Broken

        @model_validator(mode="after")
        def _crash(self):
            if self.broken.BROKEN_ONE:
                raise KeyError(self.broken.BROKEN_ONE)
            return self

    error = refusal(cls=Service, BROKEN_ONE="t0p-secret")

    assert "failed with KeyError" in str(error)
    assert "t0p" not in str(error)
    assert error.__cause__ is None


# --- given in code ------------------------------------------------------------------------


def test_a_value_given_in_code_wins_over_everything():
    settings = Settings(environ={"DB_POOL_SIZE": "7"}, env_file=None, DB_POOL_SIZE=3)

    assert settings.database.DB_POOL_SIZE == 3


def test_an_unknown_name_given_in_code_is_refused_with_a_suggestion():
    with pytest.raises(
        ConfigurationError, match="DB_POOLSIZE: is not a setting .* did you mean DB_POOL_SIZE"
    ):
        Settings(environ={}, env_file=None, DB_POOLSIZE=3)


def test_other_values_can_be_tried_without_putting_them_in_force():
    settings = load(DB_POOL_SIZE="7", API_PORT="81")

    other = settings.replaced({"DB_POOL_SIZE": 3})

    assert (other.database.DB_POOL_SIZE, other.api.API_PORT) == (3, 81)
    assert settings.database.DB_POOL_SIZE == 7


def test_changing_one_setting_leaves_the_others_of_its_section():
    other = load(DB_POOL_TIMEOUT="7", DB_POOL_SIZE="42").replaced({"DB_POOL_SIZE": 3})

    assert (other.database.DB_POOL_SIZE, other.database.DB_POOL_TIMEOUT) == (3, 7.0)


def test_settings_do_not_change():
    settings = load()

    with pytest.raises(ConfigurationError, match="override_settings"):
        settings.database.DB_POOL_SIZE = 3
    with pytest.raises(ConfigurationError, match="override_settings"):
        del settings.database.DB_POOL_SIZE
    with pytest.raises(ConfigurationError, match="override_settings"):
        settings.database = None
    with pytest.raises(ConfigurationError, match="override_settings"):
        del settings.database


def test_two_settings_do_not_share_a_list():
    first, second = load(), load()

    first.api.CORS_ORIGINS.append("https://evil.example")

    assert second.api.CORS_ORIGINS == []


def test_settings_and_sections_refuse_to_be_pickled():
    settings = load()

    for thing in (settings, settings.security):
        with pytest.raises(ConfigurationError, match="not pickled"):
            pickle.dumps(thing)


def test_settings_can_be_copied_in_the_process():
    settings = load(JWT_SECRET_KEY=STRONG, DATABASE_URL="postgresql://u:pw@localhost/x")

    assert copy.deepcopy(settings).to_dict() == settings.to_dict()
    assert copy.deepcopy(settings).database.DATABASE_URL == "postgresql://u:pw@localhost/x"


def test_a_variable_that_is_no_setting_is_read_as_it_was_at_the_start(tmp_path):
    (tmp_path / ".env").write_text("CUSTOM_DASHBOARDS=true\nML_FORECASTING=true\n")

    settings = load(tmp_path / ".env", ML_FORECASTING="false")

    assert settings.variable("ML_FORECASTING") == "false"
    assert settings.variable("CUSTOM_DASHBOARDS") == "true"
    assert settings.variable("AR_MENU") is None


def test_a_setting_is_not_read_as_a_bare_variable():
    with pytest.raises(ConfigurationError, match=r"read settings\.security\.JWT_SECRET_KEY"):
        load().variable("JWT_SECRET_KEY")


def test_misspelt_name_stands_below_what_is_wrong():
    with pytest.raises(ConfigurationError) as caught:
        Settings(environ={"API_PORT": "x", "DB_POOLSIZE": "3"}, env_file=None)

    text = str(caught.value)
    assert text.index("API_PORT") < text.index("perhaps misspelt") < text.index("DB_POOLSIZE")
    assert "DB_POOL_SIZE" in text
    assert text.startswith("1 setting is wrong")
