"""What production refuses, and what it accepts."""

import pytest

from shared.config import ConnectionUrl, check_settings
from shared.config._rules import is_local, is_plaintext
from tests.unit.config._helpers import PRODUCTION, STRONG, load, problems

PLAIN = "is not encrypted on the way to another machine"


def test_production_starts_with_a_strong_key():
    assert load(**PRODUCTION).app.is_production


@pytest.mark.parametrize(
    ("environ", "variable", "rule"),
    [
        ({"DEBUG": "true"}, "DEBUG", "prod.debug"),
        ({"JWT_SECRET_KEY": ""}, "JWT_SECRET_KEY", "prod.secret-missing"),
        ({"JWT_SECRET_KEY": "0123456789abcdef0123456789abcde"}, "JWT_SECRET_KEY", "prod.secret-weak"),
        ({"JWT_SECRET_KEY": STRONG[:40], "JWT_ALGORITHM": "HS384"}, "JWT_SECRET_KEY", "prod.secret-weak"),
        ({"JWT_SECRET_KEY": STRONG[:63], "JWT_ALGORITHM": "HS512"}, "JWT_SECRET_KEY", "prod.secret-weak"),
        ({"JWT_SECRET_KEY": "ab" * 40}, "JWT_SECRET_KEY", "prod.secret-weak"),
        (
            {"JWT_SECRET_KEY": "please-change-this-secret-key-before-you-deploy"},
            "JWT_SECRET_KEY",
            "prod.secret-default",
        ),
        ({"JWT_PREVIOUS_SECRET_KEYS": "short"}, "JWT_PREVIOUS_SECRET_KEYS", "prod.secret-weak"),
        ({"JWT_ALGORITHM": "RS256"}, "JWT_PRIVATE_KEY", "prod.secret-missing"),
        ({"CSRF_SECRET_KEY": "short"}, "CSRF_SECRET_KEY", "prod.secret-weak"),
        ({"API_KEY_PEPPER": "short"}, "API_KEY_PEPPER", "prod.secret-weak"),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_changeme"}, "STRIPE_WEBHOOK_SECRET", "prod.secret-default"),
        ({"SENDGRID_API_KEY": "your_api_key"}, "SENDGRID_API_KEY", "prod.secret-default"),
        ({"REDIS_PASSWORD": "your_redis_password"}, "REDIS_PASSWORD", "prod.secret-default"),
        ({"AWS_SECRET_ACCESS_KEY": "your_secret_key"}, "AWS_SECRET_ACCESS_KEY", "prod.secret-default"),
        (
            {"JWT_PREVIOUS_SECRET_KEYS": "x,replace-this-secret-by-a-better-one-now"},
            "JWT_PREVIOUS_SECRET_KEYS",
            "prod.secret-default",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "your_access_key", "AWS_SECRET_ACCESS_KEY": STRONG},
            "AWS_ACCESS_KEY_ID",
            "prod.secret-default",
        ),
        (
            {"CORS_ORIGINS": "*", "CORS_ALLOW_CREDENTIALS": "true"},
            "CORS_ORIGINS",
            "settings.cors-credentials",
        ),
        ({"DATABASE_URL": "sqlite:///app.db"}, "DATABASE_URL", "prod.sqlite"),
        ({"DATABASE_REPLICA_URLS": "sqlite:///app.db"}, "DATABASE_REPLICA_URLS", "prod.sqlite"),
        ({"DATABASE_URL": "postgresql://u:p@db/x"}, "DATABASE_URL", "prod.plaintext"),
        ({"DATABASE_REPLICA_URLS": "postgresql://u:p@db/x"}, "DATABASE_REPLICA_URLS", "prod.plaintext"),
        ({"REDIS_URL": "redis://cache/0"}, "REDIS_URL", "prod.plaintext"),
        ({"REDIS_HOST": "cache"}, "REDIS_HOST", "prod.plaintext"),
        ({"JOBS_BROKER_URL": "amqp://queue"}, "JOBS_BROKER_URL", "prod.plaintext"),
        ({"SMTP_HOST": "mail", "SMTP_TLS": "none"}, "SMTP_TLS", "prod.plaintext"),
        ({"OPENAI_BASE_URL": "http://models/v1"}, "OPENAI_BASE_URL", "prod.plaintext"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000"}, "AWS_ENDPOINT_URL", "prod.plaintext"),
    ],
)
def test_production_refuses(environ, variable, rule):
    found = problems(**PRODUCTION | environ)

    assert found[variable]["id"] == rule
    assert found[variable]["severity"] == "error"
    assert found[variable].get("fix")


@pytest.mark.parametrize(
    "environ",
    [
        {"JWT_SECRET_KEY": "", "JWT_ALLOW_MISSING_KEY": "true"},
        {"JWT_SECRET_KEY": "", "JWT_ALGORITHM": "ES256", "JWT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----"},
        {"JWT_SECRET_KEY": STRONG[:40]},
        {"CORS_ORIGINS": "*"},
        {"CORS_ORIGINS": "https://a.example", "CORS_ALLOW_CREDENTIALS": "true"},
        {"DATABASE_URL": "sqlite:///app.db", "DB_ALLOW_SQLITE": "true"},
        {"DATABASE_URL": "postgresql://user:pass@localhost/cafe24_prod"},
        {"DATABASE_URL": "postgresql://user:pass@/app?host=/var/run/postgresql"},
        {"DATABASE_URL": "postgresql://u:p@db/x?sslmode=verify-full"},
        {"DATABASE_URL": "postgresql+asyncpg://u:p@db/x?ssl=require"},
        {"DATABASE_URL": "mysql://u:p@db/x?ssl_ca=/etc/ca.pem"},
        {"DATABASE_URL": "postgresql://u:p@db/x", "DB_ALLOW_PLAINTEXT": "true"},
        {"REDIS_URL": "rediss://cache/0"},
        {"REDIS_URL": "redis://127.0.0.1:6379/0"},
        {"REDIS_URL": "unix:///run/redis.sock"},
        {"REDIS_HOST": "cache", "REDIS_TLS": "true"},
        {"REDIS_HOST": "localhost"},
        {"REDIS_URL": "redis://cache/0", "REDIS_ALLOW_PLAINTEXT": "true"},
        {"JOBS_BROKER_URL": "redis://cache/0", "REDIS_ALLOW_PLAINTEXT": "true"},
        {"JOBS_BROKER_URL": "amqps://queue"},
        {"SMTP_HOST": "mail"},
        {"SMTP_HOST": "localhost", "SMTP_TLS": "none"},
        {"SMTP_HOST": "mail", "SMTP_TLS": "none", "SMTP_ALLOW_PLAINTEXT": "true"},
    ],
)
def test_production_accepts(environ):
    assert load(**PRODUCTION | environ).app.is_production


def test_everything_production_refuses_is_reported_together():
    found = problems(
        ENVIRONMENT="production",
        DEBUG="1",
        DATABASE_URL="sqlite:///x.db",
        REDIS_URL="redis://cache/0",
        CORS_ORIGINS="*",
        CORS_ALLOW_CREDENTIALS="1",
        SMTP_HOST="mail",
        SMTP_TLS="none",
    )

    assert set(found) == {"DEBUG", "DATABASE_URL", "REDIS_URL", "CORS_ORIGINS", "SMTP_TLS", "JWT_SECRET_KEY"}


def test_staging_warns_of_what_production_refuses():
    report = check_settings(environ={"ENVIRONMENT": "staging", "DEBUG": "1"}, env_file=None)

    assert report.ok
    assert {"DEBUG", "JWT_SECRET_KEY"} <= {warning.variable for warning in report.warnings}


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_development_is_not_held_to_the_rules_of_production(environment):
    environ = {
        "ENVIRONMENT": environment,
        "DEBUG": "1",
        "JWT_SECRET_KEY": "dev",
        "REDIS_URL": "redis://cache/0",
    }

    assert check_settings(environ=environ, env_file=None).problems == ()


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"PASSWORD_MIN_LENGTH": "100", "PASSWORD_MAX_LENGTH": "64"}, "PASSWORD_MIN_LENGTH"),
        ({"RETRY_DELAY": "60"}, "RETRY_DELAY"),
        ({"CORS_ORIGINS": "*", "CORS_ALLOW_CREDENTIALS": "true"}, "CORS_ORIGINS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_everywhere(environ, variable):
    assert variable in problems(**environ)


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "s"}, "AWS_ACCESS_KEY_ID"),
        ({"REDIS_URL": "redis://a", "REDIS_HOST": "b"}, "REDIS_HOST"),
    ],
)
def test_a_half_setting_is_a_warning(environ, variable):
    assert [warning.variable for warning in load(**environ).warnings] == [variable]


def test_a_long_random_secret_that_holds_a_word_by_chance_is_no_placeholder():
    assert load(**PRODUCTION, STRIPE_WEBHOOK_SECRET="whsec_x9Test7Jq2mPzR4vK8wB3nLd")


# --- is it encrypted? ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("postgresql://u:p@db:5432/x", True),
        ("postgresql://u:p@db/x?sslmode=disable", True),
        ("postgresql://u:p@db/x?sslmode=prefer", True),
        ("postgresql://u:p@db/x?sslmode=require", False),
        ("postgresql://u:p@DB/x?SSLMODE=Require", False),
        ("postgresql://u:p@localhost,db/x", True),
        ("postgresql://u:p@localhost:1,127.0.0.1:2/x", False),
        ("postgresql://u:p@[::1]:5432/x", False),
        ("postgresql://u:p@[2001:db8::1]:5432/x", True),
        ("postgresql://localhost:p#@db/x", True),
        ("postgresql://u:p/w@localhost/x", False),
        ("postgresql:///x", False),
        ("postgresql://u@/x?host=db", True),
        ("postgresql://u@db/x?host=/tmp", False),
        ("mssql://u:p@db/x?Encrypt=yes", False),
        ("mysql://u:p@db/x?ssl_mode=REQUIRED", False),
        ("redis://u:p@127.8.8.8/0", False),
        ("nats://queue", True),
        ("tls://queue", False),
        ("sqlite:///x", False),
        ("memory://", False),
    ],
)
def test_an_address_is_plain_when_its_data_cross_a_network_unencrypted(url, plain):
    assert is_plaintext(ConnectionUrl(url)) is plain


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("LOCALHOST.", True), ("app.localhost", True), ("127.0.0.1", True), ("::1", True),
        ("[::1]", True), ("", True), ("/run/x.sock", True), ("10.0.0.1", False), ("db", False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_this_machine_is_recognised(host, local):
    assert is_local(host) is local


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENAI_BASE_URL": "https://models/v1", "AWS_ENDPOINT_URL": "https://minio:9000"},
        {"OPENAI_BASE_URL": "http://127.0.0.1:11434", "AWS_ENDPOINT_URL": "http://localhost:9000"},
        {"OPENAI_BASE_URL": "http://models/v1", "SUPPLIER_ALLOW_PLAINTEXT": "true"},
    ],
    ids=["https", "this machine", "allowed"],
)
def test_production_takes_suppliers_that_are_encrypted_near_or_allowed(environ):
    assert load(**PRODUCTION, **environ)


@pytest.mark.parametrize(
    "environ",
    [{"JWT_KEYS_FILE": "/run/keys.json"}, {"JWT_JWKS_URL": "https://id.example/keys"}],
    ids=["file", "address"],
)
@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_production_needs_no_key_of_its_own_where_keys_come_from_elsewhere(environ, algorithm):
    values = {**PRODUCTION, "JWT_SECRET_KEY": "", "JWT_ALGORITHM": algorithm, **environ}

    assert load(**values)


def test_keys_come_from_one_place():
    found = problems(JWT_KEYS_FILE="/run/keys.json", JWT_JWKS_URL="https://id.example/keys")

    assert list(found) == ["JWT_JWKS_URL"]


def test_keys_are_fetched_over_tls_only():
    found = problems(JWT_JWKS_URL="http://id.example/keys")

    assert list(found) == ["JWT_JWKS_URL"]
