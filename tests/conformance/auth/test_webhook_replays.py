"""A webhook is accepted once, whichever process it comes to."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.auth import (
    AsyncRedisWebhookReplays,
    AsyncSqlWebhookReplays,
    RedisWebhookReplays,
    SqlWebhookReplays,
)
from shared.errors import InvalidArgumentError, WebhookReplayError
from shared.security import averify_webhook, sign_webhook, verify_webhook
from tests.conformance.auth.conftest import Waiting
from tests.unit.auth.forge import Clock

pytestmark = pytest.mark.parametrize("kind", ["sqlite", "postgres", "redis"])


@pytest.fixture
def moment():
    return Clock()


@pytest.fixture
def threads(kind, database, request, moment):
    if kind != "redis":
        yield SqlWebhookReplays(database, clock=moment)
        return
    made = RedisWebhookReplays(request.getfixturevalue("shared_redis"), timeout=10.0)
    yield made
    made.close()


@pytest.fixture
def tasks(kind, database, request, moment, loop):
    if kind != "redis":
        yield AsyncSqlWebhookReplays(database, clock=moment)
        loop.run_until_complete(database.aio.dispose())
        return
    made = AsyncRedisWebhookReplays(request.getfixturevalue("shared_redis"), timeout=10.0)
    yield made
    loop.run_until_complete(made.close())


@pytest.fixture(params=["threads", "tasks"])
def replays(request, kind, database):
    found = request.getfixturevalue(request.param)
    return found if request.param == "threads" else Waiting(found, request.getfixturevalue("loop"))


def test_a_claim_of_several_keys_is_all_or_nothing(replays):
    assert replays.claim(["a"], ttl=60.0) is True
    assert replays.claim(["b", "a", "c"], ttl=60.0) is False
    assert replays.claim(["c", "b"], ttl=60.0) is True
    assert replays.claim(["b"], ttl=60.0) is False


def test_what_is_released_can_be_claimed_again(replays):
    replays.claim(["a", "b"], ttl=60.0)

    replays.release(["a", "x"])

    assert replays.claim(["a"], ttl=60.0) is True
    assert replays.claim(["b"], ttl=60.0) is False


def test_a_key_may_stand_twice_and_be_any_text(replays):
    keys = ["k" * 5000, "{x}\ud800' --", "k" * 5000]

    assert replays.claim(keys, ttl=60.0) is True
    assert replays.claim(keys[1:2], ttl=60.0) is False


def test_no_keys_are_no_replay(replays):
    assert replays.claim([], ttl=60.0) is True
    replays.release([])


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("inf"), float("nan")])
def test_a_life_is_seconds_above_zero(replays, ttl):
    with pytest.raises(InvalidArgumentError, match="ttl"):
        replays.claim(["a"], ttl=ttl)


def test_what_is_over_can_be_claimed_again(replays, kind, moment):
    replays.claim(["a"], ttl=0.05 if kind == "redis" else 60.0)
    moment.advance(60.0)
    until = time.monotonic() + 20

    granted = replays.claim(["a"], ttl=60.0)
    while not granted and kind == "redis" and time.monotonic() < until:
        time.sleep(0.02)
        granted = replays.claim(["a"], ttl=60.0)

    assert granted is True


def test_of_many_at_once_one_gets_the_claim(threads):
    orders = [["a", "b"], ["b", "a"]] * 8

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda keys: threads.claim(keys, ttl=60.0), orders))

    assert sum(granted) == 1


def test_a_webhook_is_accepted_once(threads):
    headers = sign_webhook("github", b"{}", "0123456789abcdef", delivery_id="d-1")
    verify_webhook("github", b"{}", headers, "0123456789abcdef", replay_store=threads)

    with pytest.raises(WebhookReplayError):
        verify_webhook("github", b"{}", headers, "0123456789abcdef", replay_store=threads)


def test_a_webhook_is_accepted_once_by_tasks(tasks, loop):
    headers = sign_webhook("github", b"{}", "0123456789abcdef", delivery_id="d-1")

    def receive():
        return loop.run_until_complete(
            averify_webhook("github", b"{}", headers, "0123456789abcdef", replay_store=tasks)
        )

    assert receive().id == "d-1"
    with pytest.raises(WebhookReplayError):
        receive()
