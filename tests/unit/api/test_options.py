import pytest

from shared.api import CorsPolicy, CsrfPolicy, LayerOptions
from shared.config import Settings, override_settings
from shared.errors import ConfigurationError


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_format": "xml"},
        {"access_sample": 1.5},
        {"access_sample": -0.1},
        {"slow_seconds": -1},
        {"max_body_bytes": -1},
    ],
    ids=str,
)
def test_options_refuse_values_out_of_range(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        LayerOptions(**wrong)


def test_options_accept_lists_for_paths():
    options = LayerOptions(docs_paths=["/docs"], quiet_paths=["/ping"])

    assert (options.docs_paths, options.quiet_paths) == (("/docs",), frozenset({"/ping"}))


def test_more_documentation_pages_are_added_once():
    options = LayerOptions(docs_paths=("/docs",))

    assert options.with_docs([None, "/docs"]) is options
    assert options.with_docs(["/handbook", None]).docs_paths == ("/docs", "/handbook")


@pytest.fixture
def settings():
    return Settings()


@pytest.mark.parametrize(
    ("environment", "explicit", "shown"),
    [
        ("development", None, True),
        ("staging", None, True),
        ("production", None, False),
        ("development", False, False),
    ],
)
def test_details_of_a_500_are_hidden_in_production_only(environment, explicit, shown):
    class App:
        ENVIRONMENT = environment

    class Api:
        API_VERSION = "v2"
        ERROR_FORMAT = "problem"
        PROBLEM_BASE_URL = "https://errors.example.com/"
        EXPOSE_ERROR_DETAILS = explicit
        MAX_BODY_BYTES = 10
        SECURITY_HEADERS = "seed"
        DOCS_PATHS = ["/d"]
        REQUEST_CONTENT_TYPES = ["application/json"]
        REQUEST_TIMEOUT_SECONDS = 5.0
        CORS_ORIGINS = ["https://app.example.com"]
        CORS_ALLOW_CREDENTIALS = True
        CORS_ALLOW_METHODS = ["get"]
        CORS_ALLOW_HEADERS = ["X-A"]
        CORS_MAX_AGE = 7

    class Security:
        CSRF_PROTECTION = "origin"
        CSRF_SECRET_KEY = None
        CSRF_SESSION_COOKIE = "sid"
        CSRF_TRUSTED_ORIGINS = ["https://partner.example.com"]

    class Logging:
        LOG_ACCESS = True
        LOG_ACCESS_SAMPLE = 0.5
        LOG_SLOW_REQUEST_SECONDS = 2.0
        LOG_QUIET_PATHS = ["/ping"]

    class Given:
        app, api, logging, security = App, Api, Logging, Security

    options = LayerOptions.from_settings(Given, server_timing=True)

    assert options == LayerOptions(
        api_version="v2",
        error_format="problem",
        problem_base_url="https://errors.example.com/",
        expose_error_details=shown,
        max_body_bytes=10,
        security_headers="seed",
        docs_paths=("/d",),
        content_types=("application/json",),
        request_timeout=5.0,
        cors=CorsPolicy(
            origins=("https://app.example.com",),
            credentials=True,
            methods=("GET",),
            headers=("X-A",),
            max_age=7,
        ),
        csrf=CsrfPolicy(
            trusted_origins=("https://partner.example.com", "https://app.example.com"), session_cookie="sid"
        ),
        access_sample=0.5,
        slow_seconds=2.0,
        quiet_paths=frozenset({"/ping"}),
        server_timing=True,
    )


def test_options_come_from_real_settings():
    with override_settings(MAX_BODY_BYTES=123) as settings:
        assert LayerOptions.from_settings(settings).max_body_bytes == 123


def test_settings_ask_for_none_of_what_is_opt_in():
    with override_settings() as settings:
        options = LayerOptions.from_settings(settings)

    assert (options.cors, options.csrf, options.content_types, options.request_timeout) == (None,) * 4


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_time_limit_is_a_positive_number_of_seconds(seconds):
    with pytest.raises(ConfigurationError, match="request_timeout"):
        LayerOptions(request_timeout=seconds)


@pytest.mark.parametrize("kind", ["json", "application/", "a/b/c", "application/json; charset=utf-8", "*/*"])
def test_content_type_has_two_parts(kind):
    with pytest.raises(ConfigurationError, match="content type"):
        LayerOptions(content_types=(kind,))
