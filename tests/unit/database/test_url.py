"""What a URL of a database means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database import DatabaseOptions
from shared.database._postgres import connect_arguments
from shared.database._url import parse_url
from shared.errors import ConfigurationError, InvalidArgumentError, SharedError

DEFAULTS = DatabaseOptions()


def test_the_parameters_of_other_tools_are_understood():
    target = parse_url(
        "postgresql://u:p@db/x?connection_limit=20&pool_timeout=20&connect_timeout=10&sslmode=require",
        DEFAULTS,
    )

    options = target.options
    assert (options.pool_size, options.max_overflow, options.pool_timeout, options.connect_timeout) == (
        20,
        0,
        20,
        10,
    )
    assert dict(target.url.query) == {"sslmode": "require"}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRESQL"])
def test_every_spelling_of_postgresql_is_one(scheme):
    assert parse_url(f"{scheme}://u@h/x", DEFAULTS).system == "postgresql"


@pytest.mark.parametrize("url", ["sqlite://", "memory://", "sqlite:///:memory:", "sqlite+aiosqlite://"])
def test_sqlite_without_a_file_is_in_memory(url):
    assert parse_url(url, DEFAULTS).in_memory


def test_the_url_goes_before_the_options():
    assert (
        parse_url("sqlite:///x.db?busy_timeout=9", DatabaseOptions(busy_timeout=1)).options.busy_timeout == 9
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:hunter2@h/x", "unknown scheme 'mysql'"),
        ("postgresql+asyncpg://u:hunter2@h/x", "driver 'asyncpg' is not used here"),
        ("hunter2", "not a URL"),
        ("postgresql://u:hunter2@h:port/x", "not a URL"),
        ("postgresql://u:hunter2@h/x?conection_limit=5", "did you mean 'connection_limit'"),
        ("postgresql://u:hunter2@h/x?connection_limit=0", "pool_size is 1 or more"),
        ("postgresql://u:hunter2@h/x?connection_limit=1.5", "a whole number"),
        ("postgresql://u:hunter2@h/x?pool_timeout=soon", "seconds"),
        ("postgresql://u:hunter2@h/x?pool_timeout=nan", "seconds"),
        ("postgresql://u:hunter2@h/x?pooler=perhaps", "true or false"),
        ("postgresql://u:hunter2@h/x?schema=a;drop", "letters, digits"),
        ("sqlite://hunter2/x.db", "sqlite has no host"),
        ("sqlite:///x.db?sslmode=on", "unknown parameter"),
    ],
)
def test_a_wrong_url_says_what_is_wrong_without_the_password(url, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_url(url, DEFAULTS)

    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__ and ''}"


def outcome(url):
    """What a URL comes to: its system, or that it was refused by us."""
    try:
        return parse_url(url, DEFAULTS).system
    except SharedError:
        return "refused"


@given(st.text())
def test_any_text_gives_a_target_or_an_error_of_ours(text):
    assert outcome(text) in {"sqlite", "postgresql", "refused"}


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_parameter_gives_a_target_or_an_error_of_ours(name, value):
    from urllib.parse import quote

    query = f"{quote(name)}={quote(value, errors='replace')}"

    assert outcome(f"sqlite:///x.db?{query}") in {"sqlite", "refused"}
    assert outcome(f"postgresql://u@h/x?{query}") in {"postgresql", "refused"}


@pytest.mark.parametrize(
    "wrong", [{"pool_size": 0}, {"max_overflow": -2}, {"pool_timeout": -1}, {"connect_timeout": 0}], ids=str
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        DatabaseOptions(**wrong)


def test_overflow_without_limit_is_a_pool_without_maximum():
    assert DatabaseOptions(max_overflow=-1).max_connections == 0


def test_the_options_of_the_url_stay_in_front_of_ours():
    target = parse_url("postgresql://u@h/x?options=-c%20geqo%3Doff", DatabaseOptions(statement_timeout=2))

    sent = connect_arguments(target, read_only=True)["options"]

    assert sent.startswith("-c geqo=off ")
    assert "statement_timeout=2000" in sent
    assert "default_transaction_read_only=on" in sent
