"""The mappings that services hand to suppliers."""

import pytest

from shared.config import (
    ConfigView,
    get_agent_settings,
    get_api_config,
    get_aws_config,
    get_database_url,
    get_gcp_config,
    get_openai_config,
    get_redis_url,
    get_security_config,
    get_sendgrid_config,
    get_shopify_config,
    get_stripe_config,
    override_settings,
    use_settings,
)
from shared.errors import ConfigurationError
from tests.unit.config._helpers import PRODUCTION, load

VIEWS = {
    get_stripe_config: "api_version base_url publishable_key secret_key timeout webhook_secret webhook_tolerance",
    get_shopify_config: "access_token api_version shop webhook_secret",
    get_sendgrid_config: "api_key from_email from_name",
    get_gcp_config: "bucket_name credentials_path project_id region",
    get_aws_config: "access_key_id endpoint_url profile region s3_bucket secret_access_key session_token tables",
    get_openai_config: "api_key base_url embedding_model max_attempts max_tokens model organization project temperature timeout",
    get_api_config: "cors_allow_credentials cors_allow_headers cors_allow_methods cors_max_age cors_origins debug host max_body_bytes port prefix version",
    get_security_config: "algorithm audience expire_minutes issuer password_max_length password_min_length password_requirements refresh_expire_days secret_key",
    get_agent_settings: "max_attempts max_iterations max_tokens memory_enabled memory_max_messages model retry_delay system task_timeout temperature tool_timeout tools",
}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_a_view_has_the_documented_keys(view):
    assert sorted(view()) == VIEWS[view].split()
    assert all(f"``{key}``" in view.__doc__ for key in view())


def test_secrets_are_opened_for_the_supplier():
    with override_settings(
        STRIPE_SECRET_KEY="sk_1", SENDGRID_API_KEY="SG.1", OPENAI_API_KEY="sk-1", JWT_SECRET_KEY="j-1"
    ):
        found = (
            get_stripe_config()["secret_key"],
            get_sendgrid_config()["api_key"],
            get_openai_config()["api_key"],
            get_security_config()["secret_key"],
        )

    assert found == ("sk_1", "SG.1", "sk-1", "j-1")


def test_the_origins_are_a_list():
    with override_settings(CORS_ORIGINS="https://a.example"):
        assert get_api_config()["cors_origins"] == ["https://a.example"]


def test_a_view_reads_what_is_in_force():
    with override_settings(API_PORT=81):
        assert get_api_config()["port"] == 81
    assert get_api_config()["port"] == 8000


def test_the_database_url_is_plain_text():
    with override_settings(DATABASE_URL="postgresql://u:p%40w@localhost/x"):
        assert get_database_url() == "postgresql://u:p%40w@localhost/x"


def test_a_database_url_that_is_not_set_is_an_error():
    use_settings(load(**PRODUCTION))

    with pytest.raises(ConfigurationError, match="DATABASE_URL is not set"):
        get_database_url()


def test_the_redis_url_is_built_from_its_parts():
    with override_settings(REDIS_HOST="cache", REDIS_PORT=6380, REDIS_PASSWORD="p@ss"):
        assert get_redis_url() == "redis://:p%40ss@cache:6380/0"


def test_redis_is_taken_to_be_here_in_development():
    with override_settings(REDIS_DB=3):
        assert get_redis_url() == "redis://localhost:6379/3"


def test_a_redis_that_is_not_set_is_an_error_in_production():
    use_settings(load(**PRODUCTION))

    with pytest.raises(ConfigurationError, match="Redis is not configured"):
        get_redis_url()


def test_agents_take_the_settings_of_the_ai_where_they_have_none():
    with override_settings(
        OPENAI_MODEL="m1", OPENAI_TEMPERATURE=0.1, OPENAI_MAX_TOKENS=9, AGENT_TEMPERATURE=0.0
    ):
        found = get_agent_settings()

    assert (found["model"], found["temperature"], found["max_tokens"]) == ("m1", 0.0, 9)


def test_a_view_is_a_mapping_that_cannot_be_written_to():
    view = ConfigView({"a": 1})

    assert (len(view), dict(view), view.get("b")) == (1, {"a": 1}, None)
    with pytest.raises(TypeError):
        view["a"] = 2


def test_a_name_that_says_secret_is_masked_without_being_told():
    assert ConfigView({"client_secret": "s3cret", "password": ""}).to_dict() == {
        "client_secret": "***",
        "password": "",
    }
