"""The settings a service sees: names, defaults, sections."""


import pytest
from pydantic import SecretStr

from shared.config import Settings


def load(env_file=None, **environ):
    return Settings(environ=environ, env_file=env_file)


@pytest.mark.parametrize(
    ("section", "name", "text", "value"),
    [
        ("database", "DB_POOL_SIZE", "42", 42),
        ("ai", "OPENAI_TEMPERATURE", "0.2", 0.2),
        ("security", "JWT_EXPIRE_MINUTES", "15", 15),
        ("monitoring", "METRICS_ENABLED", "false", False),
        ("aws", "AWS_REGION", "us-east-1", "us-east-1"),
        ("aws", "USERS_TABLE", "people", "people"),
        ("redis", "REDIS_PORT", "6380", 6380),
        ("gcp", "GCP_BUCKET_NAME", "files", "files"),
        ("agent", "AGENT_SYSTEM", "Enhanced", "enhanced"),
        ("logging", "LOG_LEVEL", "warning", "WARNING"),
    ],
)
def test_a_setting_is_read_from_the_variable_of_its_own_name(section, name, text, value):
    settings = load(**{name: text})

    assert getattr(getattr(settings, section), name) == value


def test_every_section_of_the_plan_exists():
    settings = load()

    assert set(type(settings).model_fields) == set(
        "app database redis ai agent stripe email gcp aws storage security api logging monitoring resilience flags jobs".split()
    )


def test_secrets_are_opened_only_on_purpose():
    settings = load(OPENAI_API_KEY="sk-live-1")

    assert isinstance(settings.ai.OPENAI_API_KEY, SecretStr)
    assert settings.ai.OPENAI_API_KEY.get_secret_value() == "sk-live-1"
