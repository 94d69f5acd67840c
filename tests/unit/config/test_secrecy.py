"""No secret leaves: not in text, repr, data, causes, pickles or the locals of a traceback."""

import json
import pickle
import traceback

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from shared.config import (
    ConnectionUrl,
    Settings,
    check_settings,
    explain,
    get_security_config,
    get_settings,
    get_stripe_config,
    override_settings,
    settings,
    use_settings,
)
from shared.errors import ConfigurationError
from tests.unit.config._helpers import load, refusal

SECRET = "hunter2-c0rrect-h0rse"

#: Each way a secret may be set, right or wrong.
PLACES = [
    {"JWT_SECRET_KEY": SECRET},
    {"JWT_PREVIOUS_SECRET_KEYS": SECRET},
    {"JWT_PREVIOUS_SECRET_KEYS": f'["{SECRET}"'},
    {"ENCRYPTION_KEYS": f"k1={SECRET}"},
    {"ENCRYPTION_KEYS": f'{{"k1": "{SECRET}"'},
    {"ENCRYPTION_KEYS": SECRET},
    {"OPENAI_API_KEY": SECRET},
    {"OPENAI_API_KYE": SECRET},
    {"AWS_ACCESS_KEY_ID": SECRET},
    {"AWS_SECRET_ACCESS_KEY": SECRET},
    {"DATABASE_URL": f"postgresql://app:{SECRET}@db/orders"},
    {"DATABASE_URL": f"postgresql://app:{SECRET}@db:port/orders"},
    {"DATABASE_URL": f"postgre://app:{SECRET}@db/orders"},
    {"DATABASE_URL": f"postgresql:/app:{SECRET}@db/orders"},
    {"DATABASE_URL": f"postgresql//app:{SECRET}/db"},
    {"DATABASE_URL": f"postgresql://app:a/{SECRET}@b@db/orders"},
    {"DATABASE_URL": f"postgresql://app:a b{SECRET}@db/orders"},
    {"DATABASE_URL": SECRET},
    {"DATABASE_REPLICA_URLS": f"postgresql://app:{SECRET}@db/orders,{SECRET}"},
    {"DATABASE_REPLICA_URLS": f'["postgresql://app:{SECRET}@db/orders", 3]'},
    {"REDIS_URL": f"redis://:{SECRET}@cache/0"},
    {"REDIS_URL": f"http://:{SECRET}@cache/0"},
    {"REDIS_HOST": "cache", "REDIS_PASSWORD": SECRET},
    {"SENTRY_DSN": f"https://{SECRET}@sentry.example/1"},
    {"OPENAI_BASE_URL": f"https://u:{SECRET}@ai.example"},
    {"JOBS_BROKER_URL": f"amqp://u:{SECRET}@queue"},
    {"STRIPE_SECRET_KEY": SECRET, "STRIPE_WEBHOOK_SECRET": SECRET},
    {"SMTP_PASSWORD": SECRET},
    {"JWT_SECRET_KEY": SECRET, "JWT_SECRET_KEY_FILE": "/nowhere"},
]


def shown(thing):
    """Everything a tool may print of *thing*."""
    return "\n".join((str(thing), repr(thing), f"{thing!r:.100000}"))


@pytest.mark.parametrize("environ", PLACES, ids=lambda environ: " ".join(environ))
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_report_shows_no_secret(environ, environment):
    report = check_settings(
        environ=environ | {"ENVIRONMENT": environment, "DB_POOL_SIZE": "many"}, env_file=None
    )

    assert SECRET not in shown(report)
    assert SECRET not in json.dumps(report.to_dict())


@pytest.mark.parametrize("environ", PLACES, ids=lambda environ: " ".join(environ))
def test_an_error_shows_no_secret_anywhere(environ):
    error = refusal(**environ | {"DB_POOL_SIZE": "many"})

    assert SECRET not in shown(error)
    assert SECRET not in json.dumps(error.to_dict())
    assert SECRET not in json.dumps(error.details)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET.encode() not in pickle.dumps(error)


@pytest.mark.parametrize("environ", PLACES, ids=lambda environ: " ".join(environ))
def test_the_locals_of_our_frames_show_no_secret(environ, monkeypatch, tmp_path):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text(f"API_PORT=many\nSTRIPE_SECRET_KEY={SECRET}\n")

    with pytest.raises(ConfigurationError) as caught:
        get_settings()

    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in captured.stack if "/shared/" in frame.filename]
    assert ours
    assert SECRET not in str([frame.locals for frame in ours])


def test_the_locals_of_an_override_show_no_secret():
    get_settings()

    with (
        pytest.raises(ConfigurationError) as caught,
        override_settings(JWT_SECRET_KEY=SECRET, DB_POOL_SIZE="many"),
    ):
        pass

    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in captured.stack if "/shared/" in frame.filename]
    assert SECRET not in str([frame.locals for frame in ours])


@pytest.mark.parametrize("environ", PLACES, ids=lambda environ: " ".join(environ))
def test_settings_show_no_secret(environ):
    report = check_settings(environ=environ, env_file=None)
    if report.settings is None:
        return
    found = report.settings

    assert SECRET not in shown(found)
    assert SECRET not in json.dumps(found.to_dict())
    assert SECRET not in found.model_dump_json()
    assert SECRET not in repr(found.model_dump())
    for section in type(found).model_fields:
        part = getattr(found, section)
        assert SECRET not in shown(part)
        assert SECRET not in part.model_dump_json()
        assert SECRET not in repr(vars(part))
    for name in environ:
        if name in found.to_dict().get("security", {}):
            assert SECRET not in shown(explain(name, found))


def test_an_explanation_shows_no_secret_of_any_source(tmp_path):
    (tmp_path / ".env").write_text(f"DATABASE_URL=postgresql://u:{SECRET}@db/x\nJWT_SECRET_KEY={SECRET}")
    found = Settings(
        environ={"DATABASE_URL": f"mysql:{SECRET}", "JWT_SECRET_KEY": SECRET},
        env_file=tmp_path / ".env",
        DATABASE_URL="sqlite://",
    )

    for name in ("DATABASE_URL", "JWT_SECRET_KEY"):
        assert SECRET not in shown(explain(name, found))
        assert SECRET not in str(explain(name, found).to_dict())


def test_a_mapping_for_a_supplier_opens_a_secret_only_by_key():
    use_settings(load(STRIPE_SECRET_KEY=SECRET, JWT_SECRET_KEY=SECRET))

    for config in (get_stripe_config(), get_security_config()):
        assert config["secret_key"] == SECRET
        assert SECRET not in shown(config)
        assert SECRET not in str(config.to_dict())
        with pytest.raises(ConfigurationError, match="not pickled"):
            pickle.dumps(config)


def test_a_url_shows_its_password_only_as_text():
    url = ConnectionUrl(f"postgresql://app:{SECRET}@db/orders")

    assert SECRET in url
    assert SECRET not in repr(url)
    assert SECRET not in repr({"url": [url]})
    assert url.masked == "postgresql://app:***@db/orders"


def test_the_proxy_shows_no_secret(monkeypatch):
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)

    assert SECRET not in shown(settings.security)


# --- fuzz -------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["DB_POOL_SIZE", "CORS_ORIGINS", "LOG_LEVELS", "DATABASE_URL", "REDIS_URL", "ENVIRONMENT", "JWT_SECRET_KEY",
     "ENCRYPTION_KEYS", "SERVICE_NAME", "HEALTH_PATH", "TRUSTED_PROXIES", "JWT_EXPIRE_MINUTES", "EMAIL_FROM",
     "EXPOSE_ERROR_DETAILS", "BREAKER_THRESHOLDS", "SETTINGS_STRICT", "JWT_SECRET_KEY_FILE", "SECRETS_DIR",
     "SETTINGS_FILE", "SECRETS_PROVIDER", "DB_POOLSIZE", "JWT_PREVIOUS_SECRET_KEYS", "SENTRY_DSN", "LOG_SINK"]
)  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='[]{}",:=0123456789.-eE \\\n\t%@/#?$', max_size=60),
    st.binary(max_size=40).map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.sampled_from(["postgresql://", "redis://[::1", "[" * 5000, "9" * 5000, "1e999", "true", "none", "\0"]),
)
SLOW = profile(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(st.dictionaries(NAMES, TEXT, max_size=8))
def test_any_environment_gives_settings_or_one_error_of_ours(environ):
    report = check_settings(environ=environ, env_file=None)

    assert report.ok is (report.settings is not None)
    assert json.dumps(report.settings.to_dict() if report.settings else report.to_dict()).encode()


@SLOW
@given(st.dictionaries(st.text(max_size=30), TEXT, max_size=8))
def test_any_names_give_settings_or_one_error_of_ours(environ):
    report = check_settings(environ=environ, env_file=None)

    assert json.dumps(report.to_dict()).encode("utf-8")


@SLOW
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.one_of(TEXT, st.tuples(NAMES, TEXT).map("=".join)), max_size=8).map(
            lambda lines: "\n".join(lines).encode("utf-8", "surrogateescape")
        ),
    )
)
def test_any_bytes_in_the_env_file_give_settings_or_one_error_of_ours(tmp_path, data):
    (tmp_path / ".env").write_bytes(data)

    report = check_settings(environ={}, env_file=tmp_path / ".env")

    assert str(report).encode("utf-8", "backslashreplace")


@SLOW
@given(
    st.sampled_from(["s.toml", "s.yaml", "s.json"]),
    st.one_of(st.binary(max_size=200), TEXT.map(lambda text: text.encode("utf-8", "surrogateescape"))),
)
def test_any_bytes_in_a_settings_file_give_settings_or_one_error_of_ours(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)

    report = check_settings(environ={"SETTINGS_FILE": str(tmp_path / name)}, env_file=None)

    assert report.ok is (report.settings is not None)


@SLOW
@given(TEXT, TEXT, st.sampled_from(PLACES), st.sampled_from(["development", "production"]))
def test_a_secret_between_any_text_is_not_shown(before, after, place, environment):
    names = [name for name in place if name != "REDIS_HOST"]  # a host is no secret
    environ = dict.fromkeys(names, f"{before}{SECRET}{after}") | {"ENVIRONMENT": environment, "API_PORT": "x"}
    environ.pop("JWT_SECRET_KEY_FILE", None)  # a path is no secret

    report = check_settings(environ=environ, env_file=None)

    assert SECRET not in json.dumps(report.to_dict(), ensure_ascii=False)
