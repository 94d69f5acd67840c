"""Clients of Redis without a server: addresses, options, and errors that tell no secret."""

import asyncio
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions as theirs

from shared.cache import async_redis_client, is_redis_url, redis_client, redis_errors
from shared.errors import (
    ConfigurationError,
    InfrastructureError,
    InvalidArgumentError,
    MissingDependencyError,
    PoolExhaustedError,
    ServiceUnavailableError,
    SharedError,
)

MAKERS = [pytest.param(redis_client, id="sync"), pytest.param(async_redis_client, id="async")]
URL = "redis://app:hunter2@127.0.0.1:1/0"


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("url", ["redis://h/0", "REDISS://h", "unix:///run/redis.sock?db=1"])
def test_a_url_of_redis_gives_a_client_that_connects_to_nothing(make, url):
    client = make(url)

    assert client.connection_pool.max_connections == 50


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("url", ["", "nope", "http://h", "redis:h", "redis+sentinel://h"])
def test_another_url_is_refused(make, url):
    with pytest.raises(ConfigurationError, match="not a URL of Redis"):
        make(url)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "url",
    ["redis://:hunter2@h:port/0", "redis://:hunter2@h/0?foo=1", "redis://:hunter2@h/0?socket_timeout=abc"],
)
def test_a_url_that_is_not_understood_is_refused_without_its_password(make, url):
    with pytest.raises(InvalidArgumentError) as caught:
        make(url)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("make", MAKERS)
def test_an_unknown_option_is_named(make):
    with pytest.raises(InvalidArgumentError, match="unknown option 'colour'"):
        make(URL, colour="red")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", ["timeout", "connect_timeout"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "1"])
def test_a_wait_must_be_seconds_above_zero(make, name, value):
    with pytest.raises(InvalidArgumentError, match=f"{name} is seconds above 0"):
        make(URL, **{name: value})


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_at_least_one_connection_is_allowed(make, value):
    with pytest.raises(InvalidArgumentError, match="max_connections is 1 or more"):
        make(URL, max_connections=value)


@pytest.mark.parametrize("make", MAKERS)
def test_waits_are_bounded_and_nothing_is_tried_twice(make):
    client = make(URL, timeout=0.2, connect_timeout=0.1, max_connections=3)

    keep = client.connection_pool.connection_kwargs
    assert (keep["socket_timeout"], keep["socket_connect_timeout"]) == (0.2, 0.1)
    assert keep["retry"].get_retries() == 0
    assert client.connection_pool.timeout == 0.2


def test_the_query_of_the_url_wins():
    client = redis_client("redis://h/0?socket_timeout=5", timeout=0.2)

    assert client.connection_pool.connection_kwargs["socket_timeout"] == 5.0


@pytest.mark.parametrize("make", MAKERS)
def test_without_the_library_the_extra_is_named(make, monkeypatch):
    for name in ("redis", "redis.asyncio"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[redis\]"):
        make(URL)


def test_a_cluster_that_does_not_answer_is_told_in_our_words():
    with pytest.raises(ServiceUnavailableError, match="redis\\+cluster://:\\*\\*\\*@127.0.0.1:1 cannot be"):
        redis_client("redis+cluster://:hunter2@127.0.0.1:1", connect_timeout=0.5)


def test_a_server_that_is_not_there_is_unavailable():
    client = redis_client(URL, connect_timeout=2.0)

    with pytest.raises(ServiceUnavailableError) as caught, redis_errors(URL):
        client.ping()

    assert str(caught.value) == "redis://app:***@127.0.0.1:1/0 cannot be reached"
    assert isinstance(caught.value.__cause__, theirs.RedisError)


def test_a_server_that_is_silent_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with redis_client(url, timeout=0.05) as client:
            with pytest.raises(ServiceUnavailableError, match="did not answer in time"), redis_errors(url):
                client.ping()


def test_a_server_that_is_silent_is_given_up_in_a_loop():
    async def ask() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            client = async_redis_client(url, timeout=0.05)
            try:
                with redis_errors(url):
                    await client.ping()
            finally:
                await client.aclose()

    with pytest.raises(ServiceUnavailableError, match="did not answer in time"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("exc", "ours"),
    [
        (theirs.AuthenticationError("WRONGPASS hunter2"), ConfigurationError),
        (theirs.NoPermissionError("NOPERM hunter2"), ConfigurationError),
        (theirs.MaxConnectionsError("hunter2"), PoolExhaustedError),
        (theirs.ConnectionError("No connection available. hunter2"), PoolExhaustedError),
        (theirs.TimeoutError("hunter2"), ServiceUnavailableError),
        (theirs.BusyLoadingError("hunter2"), ServiceUnavailableError),
        (theirs.ReadOnlyError("hunter2"), ServiceUnavailableError),
        (theirs.ClusterDownError("hunter2"), ServiceUnavailableError),
        (theirs.ConnectionError("hunter2"), ServiceUnavailableError),
        (theirs.ResponseError("WRONGTYPE hunter2"), InfrastructureError),
        (OSError("hunter2"), ServiceUnavailableError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_of_the_driver_becomes_ours_and_quotes_nothing(exc, ours):
    with pytest.raises(SharedError) as caught, redis_errors(URL):
        raise exc

    assert type(caught.value) is ours
    assert caught.value.__cause__ is exc
    assert "hunter2" not in str(caught.value)


def test_the_kind_of_refusal_is_told():
    with pytest.raises(InfrastructureError, match="refuses the command: WRONGTYPE"), redis_errors():
        raise theirs.ResponseError("WRONGTYPE Operation against a key")


def test_an_error_of_somebody_else_passes():
    with pytest.raises(KeyError), redis_errors():
        raise KeyError("mine")


@given(st.text(max_size=60))
def test_any_text_as_a_url_gives_a_client_or_an_error_of_ours(text):
    for make in (redis_client, async_redis_client):
        try:
            make("redis://" + text) if not is_redis_url(text) or "cluster" not in text else None
        except SharedError:
            pass
