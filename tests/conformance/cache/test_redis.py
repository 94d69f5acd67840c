"""Clients of Redis against a real server: refusals, pools, forks, a cluster."""

import asyncio
import os
import threading

import pytest

from shared.cache import async_redis_client, redis_client, redis_errors
from shared.errors import ConfigurationError, InfrastructureError, PoolExhaustedError


@pytest.fixture
def client(shared_redis):
    with redis_client(shared_redis) as client:
        yield client


def test_a_command_is_answered(client):
    client.set("key", "value")

    assert client.get("key") == b"value"


def test_a_command_is_answered_in_a_loop(shared_redis):
    async def ask() -> bytes:
        async with async_redis_client(shared_redis) as client:
            await client.set("key", "value")
            return await client.get("key")

    assert asyncio.run(ask()) == b"value"


def test_a_wrong_password_is_a_fault_of_the_configuration(shared_redis):
    url = shared_redis.replace(shared_redis.partition("@")[0], "redis://:hunter2")

    with redis_client(url) as client, pytest.raises(ConfigurationError) as caught, redis_errors(url):
        client.ping()

    assert "hunter2" not in str(caught.value)


def test_a_refused_command_says_why_and_quotes_no_data(client):
    client.set("key", "hunter2")

    with pytest.raises(InfrastructureError, match="WRONGTYPE"), redis_errors():
        client.lpush("key", "x")


def test_a_call_above_the_pool_waits_and_then_says_so(shared_redis):
    with redis_client(shared_redis, max_connections=1, timeout=0.05) as client:
        held = client.connection_pool.get_connection()

        with pytest.raises(PoolExhaustedError), redis_errors():
            client.ping()

        client.connection_pool.release(held)


def test_a_call_above_the_pool_waits_in_a_loop_and_then_says_so(shared_redis):
    async def ask() -> None:
        async with async_redis_client(shared_redis, max_connections=1, timeout=0.05) as client:
            held = await client.connection_pool.get_connection()
            try:
                with redis_errors():
                    await client.ping()
            finally:
                await client.connection_pool.release(held)

    with pytest.raises(PoolExhaustedError):
        asyncio.run(ask())


def test_threads_share_a_client(client):
    def count() -> None:
        for _ in range(50):
            client.incr("hits")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert client.get("hits") == b"400"


def test_a_forked_child_has_connections_of_its_own(client):
    client.set("who", "parent")
    number = client.client_id()

    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if client.client_id() != number and client.get("who") == b"parent" else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert client.client_id() == number
