import pytest

from shared.api import LayerOptions
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

    class Logging:
        LOG_ACCESS = True
        LOG_ACCESS_SAMPLE = 0.5
        LOG_SLOW_REQUEST_SECONDS = 2.0
        LOG_QUIET_PATHS = ["/ping"]

    class Given:
        app, api, logging = App, Api, Logging

    options = LayerOptions.from_settings(Given, server_timing=True)

    assert options == LayerOptions(
        api_version="v2",
        error_format="problem",
        problem_base_url="https://errors.example.com/",
        expose_error_details=shown,
        max_body_bytes=10,
        security_headers="seed",
        docs_paths=("/d",),
        access_sample=0.5,
        slow_seconds=2.0,
        quiet_paths=frozenset({"/ping"}),
        server_timing=True,
    )


def test_options_come_from_real_settings():
    with override_settings(MAX_BODY_BYTES=123) as settings:
        assert LayerOptions.from_settings(settings).max_body_bytes == 123
