"""What every store of rate limits promises, in memory, in a file and on a real Redis."""

import asyncio
import math
import os
import sys
import threading
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shared
from shared.cache import LimitTier, RateLimiter
from shared.resilience import RateLimit

KINDS = ["sliding_window", "gcra", "sub_buckets", "fixed_window"]
SECOND = 1_000_000
limits = st.builds(RateLimit, permits=st.integers(1, 12), per=st.sampled_from([0.5, 1.0, 60.0, 3600.0]))
# Steps as sixteenths of the period: boundaries are met, and whole microseconds stay whole.
requests = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), min_size=1, max_size=20)
with_io = settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("kind", KINDS)
@with_io
@given(limits, requests)
def test_a_store_decides_as_the_algorithm_does(timed, kind, limit, requests):
    tier, key = LimitTier(limit, algorithm=kind), timed.key()
    rules = tier.algorithm
    state = rules.new()

    for step, cost in requests:
        timed.wait(int(step * limit.per * SECOND) // 16)
        (answer,) = timed.store.hit((tier,), key, cost)
        wanted = rules.hit(state, timed.now / SECOND, cost)

        assert answer[:3] == wanted[:3]
        assert answer.retry_after == pytest.approx(wanted.retry_after, abs=3e-6)
        assert answer.reset_after == pytest.approx(wanted.reset_after, abs=3e-6)


@pytest.mark.parametrize("kind", ["sliding_window", "sub_buckets"])
@with_io
@given(limits, requests)
def test_no_stretch_of_the_period_admits_more_than_the_limit(timed, kind, limit, requests):
    tier, key, per = LimitTier(limit, algorithm=kind), timed.key(), int(limit.per * SECOND)
    window: deque[tuple[int, int]] = deque()

    for step, cost in requests:
        timed.wait(step * per // 16)
        if timed.store.hit((tier,), key, cost)[0].allowed:
            window.append((timed.now, cost))
        while window and window[0][0] <= timed.now - per:
            window.popleft()

        assert sum(cost for _, cost in window) <= limit.permits


@pytest.mark.parametrize("kind", KINDS)
@with_io
@given(limits, requests, st.integers(1, 4))
def test_a_retry_when_told_succeeds(timed, kind, limit, requests, cost):
    tier, key = LimitTier(limit, algorithm=kind), timed.key()
    for step, asked in requests:
        timed.wait(int(step * limit.per * SECOND) // 16)
        timed.store.hit((tier,), key, asked)

    (answer,) = timed.store.hit((tier,), key, cost)
    if cost > limit.permits:
        assert answer.retry_after == math.inf
    elif not answer.allowed:
        timed.wait(math.ceil(answer.retry_after * SECOND))
        assert timed.store.hit((tier,), key, cost)[0].allowed


def test_a_retry_a_moment_before_the_time_told_is_refused(timed):
    tier, key = LimitTier("3/minute"), timed.key()
    for _ in range(3):
        timed.store.hit((tier,), key)
        timed.wait(SECOND)
    (refused,) = timed.store.hit((tier,), key)

    timed.wait(round(refused.retry_after * SECOND) - 1)

    assert not timed.store.hit((tier,), key)[0].allowed


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_tier_leaves_the_permits_of_the_others(timed, kind):
    tiers = (LimitTier("1/second", name="burst", algorithm=kind), LimitTier("20/hour", name="hour"))
    key = timed.key()

    first = timed.store.hit(tiers, key)
    flood = [timed.store.hit(tiers, key) for _ in range(60)]
    timed.wait(2 * SECOND)
    after = timed.store.hit(tiers, key)

    assert [decision.remaining for decision in first] == [0, 19]
    assert {tuple(d.allowed for d in answer) for answer in flood} == {(False, True)}
    assert {answer[1].remaining for answer in flood} == {19}
    assert [decision.remaining for decision in after] == [0, 18]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tier_that_would_grant_is_not_charged_when_a_later_one_refuses(timed, kind):
    tiers = (LimitTier("20/hour", name="hour", algorithm=kind), LimitTier("1/second", name="burst"))
    key = timed.key()

    answers = [timed.store.hit(tiers, key) for _ in range(5)]

    assert [answer[0].remaining for answer in answers] == [19, 19, 19, 19, 19]
    assert timed.store.hit(tiers[:1], key, 0)[0].remaining == 19


def test_each_tier_has_a_key_and_a_cost_of_its_own(timed):
    tiers = (LimitTier("10/minute", name="user"), LimitTier("100/minute", name="everybody"))

    timed.store.hit(tiers, ("ann", "all"), (1, 30))
    answer = timed.store.hit(tiers, ("bob", "all"), (2, 30))

    assert [decision.remaining for decision in answer] == [8, 40]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cost_of_nothing_looks_and_takes_nothing(timed, kind):
    tier, key = LimitTier("2/minute", algorithm=kind), timed.key()

    looks = [timed.store.hit((tier,), key, 0)[0] for _ in range(5)]

    assert {(look.allowed, look.remaining) for look in looks} == {(True, 2)}


@pytest.mark.parametrize("kind", KINDS)
def test_keys_names_and_limits_are_kept_apart(timed, kind):
    def tier(limit="1/minute", name="default"):
        return LimitTier(limit, name=name, algorithm=kind)

    answers = [
        timed.store.hit((asked,), key)[0].allowed
        for asked, key in [
            (tier(), "a"),
            (tier(), "b"),
            (tier(name="other"), "a"),
            (tier("1/hour"), "a"),
            (tier(), "a"),
        ]
    ]

    assert answers == [True, True, True, True, False]


@pytest.mark.parametrize("key", ["", " ", "}", "{}", "a{b}c", "|", "\x00", "ä", "x" * 5000, "a\r\nb"])
def test_any_text_is_a_key(timed, key):
    tiers = (LimitTier("1/minute", name="a"), LimitTier("5/minute", name="b"))

    first, second = timed.store.hit(tiers, key), timed.store.hit(tiers, key)

    assert (first[0].allowed, second[0].allowed) == (True, False)


def test_a_large_cost_comes_back_at_once_and_not_bit_by_bit(timed):
    tier, key = LimitTier("10/minute"), timed.key()
    timed.store.hit((tier,), key, 8)
    timed.wait(10 * SECOND)
    timed.store.hit((tier,), key, 2)

    (small,) = timed.store.hit((tier,), key, 3)
    (large,) = timed.store.hit((tier,), key, 9)

    assert (small.retry_after, large.retry_after) == (pytest.approx(50.0), pytest.approx(60.0))


def test_the_wait_for_several_permits_is_found_among_many_grants(timed):
    tier, key = LimitTier("200/hour"), timed.key()
    for _ in range(200):
        timed.store.hit((tier,), key)
        timed.wait(SECOND)

    waits = [timed.store.hit((tier,), key, cost)[0].retry_after for cost in (1, 2, 100, 199, 200)]

    assert waits == pytest.approx([3400.0, 3401.0, 3499.0, 3598.0, 3599.0])


def test_a_clock_that_is_set_back_a_little_stands_still(timed):
    tier, key = LimitTier("2/minute"), timed.key()
    timed.wait(30 * SECOND)
    timed.store.hit((tier,), key)

    timed.wait(-10 * SECOND)
    answers = [timed.store.hit((tier,), key)[0] for _ in range(2)]

    assert [answer.allowed for answer in answers] == [True, False]
    assert answers[1].retry_after == pytest.approx(60.0)


# --- 2000 calls at once ------------------------------------------------------------------

# Ten years: no period ends and no permit comes back while a test runs.
LONG = "100 per 520 weeks"


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_the_limit_of_2000_calls_from_threads_passes(store, kind):
    limiter = RateLimiter("threads", LimitTier(LONG, name="t", algorithm=kind), store=store)
    admitted: list[bool] = []
    ready = threading.Barrier(8)

    def call() -> None:
        ready.wait(30)
        admitted.extend([limiter.hit("everybody").allowed for _ in range(250)])

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert len(admitted) == 2000
    assert sum(admitted) == 100


@pytest.mark.parametrize("kind", ["sliding_window", "gcra"])
def test_exactly_the_limit_of_2000_calls_from_tasks_passes(store, kind):
    limiter = RateLimiter("tasks", LimitTier(LONG, name="t", algorithm=kind), store=store)

    async def all_at_once() -> int:
        try:
            verdicts = await asyncio.gather(*(limiter.ahit("everybody") for _ in range(2000)))
        finally:
            await store.aclose()
        assert {verdict.mode for verdict in verdicts} == {"store"}
        return sum(verdict.allowed for verdict in verdicts)

    assert asyncio.run(all_at_once()) == 100


PROCESS = """
import sys
from shared.cache import LimitTier, rate_limit_store
store = rate_limit_store(sys.argv[1], timeout=60.0)
tier = LimitTier(sys.argv[2], name="t", algorithm=sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
print(sum(store.hit((tier,), "everybody")[0].allowed for _ in range(334)), flush=True)
store.close()
"""


@pytest.mark.parametrize("kind", ["sliding_window", "gcra"])
@pytest.mark.parametrize("where", ["sqlite", "redis"])
def test_exactly_the_limit_of_2000_calls_from_six_processes_passes(where, kind, request, tmp_path):
    url = f"sqlite:///{tmp_path}/limits.db" if where == "sqlite" else request.getfixturevalue("shared_redis")
    command = [sys.executable, "-c", PROCESS, str(url), LONG, kind]
    env = os.environ | {"PYTHONPATH": str(Path(shared.__file__).parents[1])}
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=env)) for _ in range(6)
        ]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()

        admitted = [int(worker.stdout.readline()) for worker in workers]

    assert sum(admitted) == 100
