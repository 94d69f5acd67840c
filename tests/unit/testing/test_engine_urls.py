"""URLs of test servers: taken from variables, taken apart, put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import ConnectionUrl
from shared.errors import ConfigurationError, MissingDependencyError, ServiceUnavailableError, SharedError
from shared.testing._given import VARIABLES, given_url, reason_of
from shared.testing._postgres import create_database, name_of, postgres_version, with_database
from shared.testing._redis import redis_version, with_number
from shared.testing._run import Run

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)


@pytest.mark.parametrize("kind", VARIABLES)
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_a_variable_without_a_value_is_not_set(monkeypatch, kind, value):
    monkeypatch.delenv(VARIABLES[kind], raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLES[kind], value)

    assert given_url(kind) is None


def test_a_given_url_does_not_show_its_password(monkeypatch):
    monkeypatch.setenv("SHARED_TEST_REDIS_URL", "redis://:hunter2@cache:6379/1")

    assert "hunter2" not in repr(given_url("redis"))
    assert given_url("redis") == "redis://:hunter2@cache:6379/1"


def test_one_wrong_variable_does_not_spoil_the_other(monkeypatch):
    monkeypatch.setenv("SHARED_TEST_REDIS_URL", "nonsense")
    monkeypatch.setenv("SHARED_TEST_DATABASE_URL", "postgresql://h/x")

    assert given_url("postgres") == "postgresql://h/x"


@pytest.mark.parametrize(
    ("kind", "url", "reason"),
    [
        ("postgres", "mysql://app:hunter2@h/x", "postgresql://"),
        ("redis", "postgresql://app:hunter2@h/x", "redis://"),
        ("postgres", "hunter2", "scheme://user:password@host:port/name"),
        ("postgres", " ", "a URL"),
        ("postgres", "postgresql://app:hunter2@h/\x01\x7f", "scheme://user:password@host:port/name"),
    ],
    ids=["scheme", "scheme of redis", "no URL", "blank", "control characters"],
)
def test_a_wrong_variable_is_refused_without_showing_it(monkeypatch, kind, url, reason):
    monkeypatch.setenv(VARIABLES[kind], url)

    with pytest.raises(ConfigurationError) as caught:
        given_url(kind)

    assert str(caught.value).startswith(f"{VARIABLES[kind]}: expected a URL")
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


@given(
    st.text(st.characters(blacklist_characters="\x00", blacklist_categories=("Cs",)), max_size=60),
    st.sampled_from(sorted(VARIABLES)),
)
def test_any_value_gives_a_url_or_an_error_of_ours(value, kind):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLES[kind], value)
        try:
            found = given_url(kind)
        except SharedError:
            return

    assert found is None or isinstance(found, ConnectionUrl)


UNREACHABLE = {
    "closed port": ("postgres", "postgresql://app:hunter2@127.0.0.1:1/x"),
    "driver in the scheme": ("postgres", "postgresql+psycopg://app:hunter2@127.0.0.1:1/x"),
    "closed port of redis": ("redis", "redis://:hunter2@127.0.0.1:1/0"),
    "missing socket": ("redis", "unix:///nonexistent/redis.sock"),
    "unknown host": ("postgres", "postgresql://app:hunter2@nowhere.invalid/x"),
    "unknown parameter": ("postgres", "postgresql://app:hunter2@127.0.0.1/x?nonsense=1"),
    "unknown parameter of redis": ("redis", "redis://:hunter2@127.0.0.1:1/0?socket_timeout=soon"),
    "port out of range": ("postgres", "postgresql://app:hunter2@127.0.0.1:99999999/x"),
    "port out of range of redis": ("redis", "redis://:hunter2@127.0.0.1:99999999/0"),
    "database that is no number": ("redis", "redis://:hunter2@127.0.0.1:1/first"),
    "no host": ("redis", "redis://:hunter2@:1"),
    "broken escape": ("postgres", "postgresql://app:hunter2%zz@127.0.0.1:1/x"),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_a_given_server_that_does_not_serve_is_an_error_without_its_password(tmp_path, monkeypatch, case):
    kind, url = UNREACHABLE[case]
    monkeypatch.setenv(VARIABLES[kind], url)
    run = Run(str(tmp_path / "shared-run-1"))

    with pytest.raises(
        ServiceUnavailableError, match=f"was given by {VARIABLES[kind]} and does not serve"
    ) as caught:
        run.acquire(kind)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text("abcdefgh%@: 0123", min_size=3, max_size=20))
def test_a_driver_that_quotes_the_password_does_not_show_it(password):
    url = f"postgresql://app:{password}@h/x"

    reason = reason_of(ValueError(f"the driver says: [{password}]"), url)

    assert f"[{password}]" not in reason


def test_what_failed_once_fails_for_every_worker_without_another_try(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARED_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    first = Run(str(tmp_path / "shared-run-1"))
    with pytest.raises(ServiceUnavailableError) as caught:
        first.acquire("redis")
    monkeypatch.delenv("SHARED_TEST_REDIS_URL")

    with pytest.raises(ServiceUnavailableError) as again:
        Run(str(tmp_path / "shared-run-1")).acquire("redis")

    assert str(again.value) == str(caught.value)


@pytest.mark.parametrize(
    "ask", [postgres_version, lambda url: create_database(url, "x")], ids=["version", "create"]
)
def test_without_psycopg_the_line_to_type_is_shown(monkeypatch, ask):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[postgres\]"):
        ask("postgresql://127.0.0.1:1/x")


def test_without_the_redis_library_the_line_to_type_is_shown(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[redis\]"):
        redis_version("redis://127.0.0.1:1/0")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:5432/old", "postgresql://u:p@h:5432/new"),
        ("postgresql://u@/old?host=/tmp/x&port=1", "postgresql://u@/new?host=/tmp/x&port=1"),
        ("postgresql:///old?host=/tmp/x", "postgresql:///new?host=/tmp/x"),
        ("postgresql://h", "postgresql://h/new"),
        ("postgresql://h?sslmode=require", "postgresql://h/new?sslmode=require"),
    ],
)
def test_another_database_of_the_same_server(url, expected):
    assert with_database(url, "new") == expected


@given(names, names)
def test_the_name_of_a_database_comes_back(first, second):
    url = with_database(f"postgresql://u@h:1/{first}?host=/tmp/x", second)

    assert name_of(url) == second
    assert with_database(url, first) == f"postgresql://u@h:1/{first}?host=/tmp/x"


def test_a_url_without_a_database_names_the_usual_one():
    assert name_of("postgresql://h?sslmode=require") == "postgres"


def test_what_is_no_url_has_no_databases():
    with pytest.raises(ConfigurationError, match="not a URL of the form"):
        with_database("nonsense", "x")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379", "redis://h:6379/7"),
        ("redis://:p@h:6379/3", "redis://:p@h:6379/7"),
        ("rediss://u:p@h/3?ssl_cert_reqs=none", "rediss://u:p@h/7?ssl_cert_reqs=none"),
        ("redis://h?db=3", "redis://h/7"),
        ("unix:///run/redis.sock?db=3&password=p", "unix:///run/redis.sock?password=p&db=7"),
    ],
)
def test_another_logical_database_of_the_same_server(url, expected):
    assert with_number(url, 7) == expected
