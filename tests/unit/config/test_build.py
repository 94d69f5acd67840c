"""One report of everything that is wrong."""

import base64

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tests.unit.config._helpers import PRODUCTION, load, problems, refusal


def test_every_wrong_variable_is_in_one_error(tmp_path):
    (tmp_path / ".env").write_text("API_PORT=99999\nRETRY_BACKOFF=linea\n")

    found = problems(
        tmp_path / ".env",
        DB_POOL_SIZE="many",
        CORS_ORIGINS="[not json",
        LOG_LEVELS="a",
        METRICS_ENABLED="maybe",
        TRUSTED_PROXIES="10.0.0.0/8,elsewhere",
        DATABASE_URL="postgre://u:pw@h/x",
    )

    assert set(found) == {
        "API_PORT", "CORS_ORIGINS", "DATABASE_URL", "DB_POOL_SIZE", "LOG_LEVELS", "METRICS_ENABLED", "RETRY_BACKOFF",
        "TRUSTED_PROXIES",
    }  # fmt: skip


def test_an_unparsable_list_does_not_hide_the_other_errors():
    assert set(problems(CORS_ORIGINS="[", DB_POOL_SIZE="x")) == {"CORS_ORIGINS", "DB_POOL_SIZE"}


def test_errors_and_broken_rules_are_reported_together():
    found = problems(
        **PRODUCTION, DB_POOL_SIZE="x", DEBUG="true", CORS_ORIGINS="*", CORS_ALLOW_CREDENTIALS="1"
    )

    assert set(found) == {"DB_POOL_SIZE", "DEBUG", "CORS_ORIGINS"}


def test_a_rule_about_a_wrong_value_is_not_reported_on_top():
    found = problems(PASSWORD_MIN_LENGTH="many", PASSWORD_MAX_LENGTH="70")

    assert set(found) == {"PASSWORD_MIN_LENGTH"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("DB_POOL_SIZE", "many", "expected an integer, at least 1, at most 1000"),
        ("DB_POOL_SIZE", "0", "expected an integer, at least 1, at most 1000"),
        ("DB_POOL_SIZE", "9" * 5000, "expected an integer, at least 1, at most 1000"),
        ("LOG_ACCESS_SAMPLE", "nan", "expected a number, at least 0, at most 1"),
        ("RETRY_DELAY", "inf", "expected a number, above 0, at most 31536000"),
        ("METRICS_ENABLED", "maybe", "expected true or false"),
        ("LOG_FORMAT", "xml", "expected one of json, ecs, console"),
        ("ENVIRONMENT", "prodution", "expected one of development, testing, staging, production"),
        ("API_VERSION", "1", "expected a version such as v1"),
        (
            "DATABASE_URL",
            "postgre://h/x",
            "expected a URL with one of the schemes cockroachdb://, mariadb://",
        ),
        (
            "TRUSTED_PROXIES",
            "::1,x",
            "expected an IP address or network such as 10.0.0.0/8 (value 2 of the list)",
        ),
        ("CORS_ORIGINS", "https://a/path", "expected '*' or an origin without a path"),
        ("OPENAI_MAX_TOKENS", "x", "expected an integer, at least 1 or none"),
        ("BREAKER_THRESHOLDS", "email=0", "expected name=value pairs (an integer, at least 1"),
        ("BREAKER_THRESHOLDS", '{"email": 1', "expected a JSON object, or name=value separated by commas"),
        (
            "BREAKER_THRESHOLDS",
            "email=1,email=2",
            "expected a JSON object, or name=value separated by commas, each",
        ),
        ("BREAKER_THRESHOLDS", '{"email": [', "expected a JSON object, or name=value separated by commas"),
        ("CORS_ORIGINS", "[1]", "expected a list of origins such as https://app.example.com"),
        ("LOG_QUIET_PATHS", '{"a": 1}', "expected a list of paths that begin with /"),
        ("ENCRYPTION_KEYS", "k1=changeme", "expected keys of 32 bytes in base64"),
        ("ENCRYPTION_KEYS", "k1=" + "A" * 40, "expected keys of 32 bytes in base64"),
        ("REDIS_DB", "1.5", "expected an integer, at least 0, at most 1023"),
    ],
)
def test_an_error_says_what_was_expected(name, text, message):
    assert problems(**{name: text})[name]["message"].startswith(message)


def test_an_environment_that_cannot_be_read_is_judged_like_production():
    found = problems(ENVIRONMENT="prodution", DEBUG="true")

    assert {"ENVIRONMENT", "DEBUG", "JWT_SECRET_KEY"} <= set(found)


def test_the_message_has_a_head_and_a_line_for_each_problem():
    lines = str(refusal(DB_POOL_SIZE="many", API_PORT="0")).splitlines()

    assert lines == [
        "2 settings are wrong (profile development):",
        "  API_PORT: expected an integer, at least 1, at most 65535, got '0' (environment)",
        "  DB_POOL_SIZE: expected an integer, at least 1, at most 1000, got 'many' (environment)",
    ]


def test_a_value_that_is_no_text_is_shown_in_a_form_that_can_be_printed():
    text = str(refusal(API_VERSION="v\x1b[31m\udcff\n" + "x" * 500))

    assert text.encode("utf-8")
    assert "\x1b" not in text
    assert len(text) < 400


# --- decoding -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("https://a.example", ["https://a.example"]),
        (" https://a.example , https://b.example,", ["https://a.example", "https://b.example"]),
        ('["https://a.example"]', ["https://a.example"]),
        ("[]", []),
        ("*", ["*"]),
    ],
)
def test_a_list_is_json_or_separated_by_commas(text, value):
    assert load(CORS_ORIGINS=text).api.CORS_ORIGINS == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sqlalchemy.engine=warning", {"sqlalchemy.engine": "WARNING"}),
        ("a = INFO , b=debug,", {"a": "INFO", "b": "DEBUG"}),
        ('{"a": "INFO"}', {"a": "INFO"}),
        ("{}", {}),
    ],
)
def test_a_mapping_is_json_or_pairs_separated_by_commas(text, value):
    assert load(LOG_LEVELS=text).logging.LOG_LEVELS == value


@pytest.mark.parametrize("word", ["none", "NULL"])
def test_none_is_no_value_where_a_number_is_expected(word):
    assert load(DB_STATEMENT_TIMEOUT=word).database.DB_STATEMENT_TIMEOUT is None


def test_none_is_text_where_text_is_expected():
    assert load(SMTP_USERNAME="none").email.SMTP_USERNAME == "none"


@pytest.mark.parametrize("text", ["s3cret\n", "s3cret\r\n"])
def test_the_end_of_a_line_is_no_part_of_a_secret(text):
    assert load(OPENAI_API_KEY=text).ai.OPENAI_API_KEY.get_secret_value() == "s3cret"


def test_spaces_around_a_plain_value_do_not_matter():
    assert load(SERVICE_NAME="  orders ").app.SERVICE_NAME == "orders"


def test_secrets_in_lists_and_mappings_are_secrets():
    keys = ",".join(f"k{n}={base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
    settings = load(JWT_PREVIOUS_SECRET_KEYS="one1one1,two2two2", ENCRYPTION_KEYS=keys)

    assert [key.get_secret_value() for key in settings.security.JWT_PREVIOUS_SECRET_KEYS] == [
        "one1one1",
        "two2two2",
    ]
    assert settings.to_dict()["security"]["ENCRYPTION_KEYS"] == {"k1": "***", "k2": "***"}


@profile(deadline=None)
@given(st.lists(st.from_regex(r"/[a-z0-9/]{0,20}", fullmatch=True), max_size=8))
def test_a_list_reads_the_same_in_both_forms(paths):
    import json

    as_json = load(DOCS_PATHS=json.dumps(paths)).api.DOCS_PATHS
    as_text = load(DOCS_PATHS=",".join(paths) or "[]").api.DOCS_PATHS

    assert as_json == as_text == paths
