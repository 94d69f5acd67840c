"""One limiter over a store: verdicts, refusals, and what happens without the store."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cache import LimitTier, MemoryRateLimits, RateLimiter, rate_limit_store
from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    RateLimitError,
    ServiceUnavailableError,
    SharedError,
)
from shared.resilience import BreakerState, CircuitBreaker, RateLimit


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Shaky(MemoryRateLimits):
    """A store that can be switched off."""

    def __init__(self, clock, breaker_clock) -> None:
        super().__init__(clock=clock)
        self.breaker = CircuitBreaker("shaky", failure_threshold=3, recovery_timeout=1.0, clock=breaker_clock)
        self.down = False
        self.asked = 0

    def hit(self, tiers, key, cost=1):
        self.asked += 1
        if self.down:
            raise ServiceUnavailableError("the store is down")
        return super().hit(tiers, key, cost)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shaky(clock):
    return Shaky(clock, clock)


def test_the_verdict_names_the_tier_that_refuses_longest(clock):
    limiter = RateLimiter("api", "2/second; 3/minute", store=MemoryRateLimits(clock=clock))

    verdicts = [limiter.hit("ann") for _ in range(2)]
    clock.now += 1.0
    verdicts += [limiter.hit("ann"), limiter.hit("ann")]

    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    last = verdicts[-1]
    assert (last.tiers[last.decisive].name, last.retry_after) == ("api-3-60s", pytest.approx(59.0))


def test_a_verdict_explains_itself(clock):
    limiter = RateLimiter("api", "1/minute", store=MemoryRateLimits(clock=clock))

    texts = [limiter.hit("ann").explain(), limiter.hit("ann").explain(), limiter.hit("ann", 2).explain()]

    assert texts == [
        "allowed by the store: api has 0 of 1 per 60 s left",
        "refused by the store: api has 0 of 1 per 60 s left; next in 60.000 s",
        "refused by the store: api has 0 of 1 per 60 s left; never for this cost",
    ]


@given(st.floats(0.001, 59.999))
def test_the_wait_told_is_whole_seconds_rounded_up_and_enough(passed):
    clock = Clock()
    limiter = RateLimiter("api", "1/minute", store=MemoryRateLimits(clock=clock))
    limiter.check("ann")
    clock.now += passed

    with pytest.raises(RateLimitError) as caught:
        limiter.check("ann")
    told = int(caught.value.headers["Retry-After"])
    clock.now += told

    assert 1 <= told <= 60
    assert told == caught.value.details["retry_after"]
    assert limiter.check("ann").allowed


def test_a_refusal_tells_limit_window_and_policy(clock):
    limiter = RateLimiter("login", "1 per 1.5 seconds", store=MemoryRateLimits(clock=clock))
    limiter.check("ann")

    with pytest.raises(RateLimitError) as caught:
        limiter.check("ann")

    assert caught.value.details == {"limit": 1, "window": 1.5, "policy": "login", "retry_after": 2}
    assert "ann" not in str(caught.value)


def test_a_cost_above_the_limit_is_refused_without_a_time_to_try_again(clock):
    limiter = RateLimiter("api", "5/minute", store=MemoryRateLimits(clock=clock))

    with pytest.raises(RateLimitError) as caught:
        limiter.check("ann", 6)

    assert caught.value.headers == {}
    assert not caught.value.retryable


def test_checking_in_a_loop_raises_the_same(clock):
    limiter = RateLimiter("api", "1/minute", store=MemoryRateLimits(clock=clock))

    async def ask() -> None:
        assert (await limiter.acheck("ann")).allowed
        await limiter.acheck("ann")

    with pytest.raises(RateLimitError):
        asyncio.run(ask())


# --- without the store -----------------------------------------------------------------


def test_local_keeps_enforcing_a_share_of_the_limit(shaky):
    limiter = RateLimiter("api", "10/minute", store=shaky, instances=4)
    shaky.down = True

    verdicts = [limiter.hit("ann") for _ in range(5)]

    assert [verdict.allowed for verdict in verdicts] == [True, True, False, False, False]
    assert {verdict.mode for verdict in verdicts} == {"local"}
    assert verdicts[0].explain().startswith("allowed in local memory, the store is down")


def test_a_share_is_at_least_one_permit_and_one_request(shaky):
    limiter = RateLimiter("api", "10/minute", store=shaky, instances=100)
    shaky.down = True

    verdicts = [limiter.hit("ann", 7) for _ in range(2)]

    assert [verdict.allowed for verdict in verdicts] == [True, False]


def test_open_lets_everybody_pass(shaky):
    limiter = RateLimiter("api", "1/minute", store=shaky, on_failure="open")
    shaky.down = True

    verdicts = [limiter.hit("ann") for _ in range(5)]

    assert {(v.allowed, v.mode, v.decisions, v.decisive) for v in verdicts} == {(True, "open", (), None)}
    assert verdicts[0].explain() == "allowed because the store is down and the policy is 'open'"


def test_closed_lets_nobody_pass_and_says_when_to_come_back(shaky):
    limiter = RateLimiter("login", "100/minute", store=shaky, on_failure="closed")
    shaky.down = True

    with pytest.raises(ServiceUnavailableError) as caught:
        limiter.check("ann")

    assert caught.value.headers == {"Retry-After": "1"}
    assert limiter.hit("ann").retry_after == 1.0


def test_a_store_that_is_down_is_left_alone_and_found_again(shaky, clock):
    limiter = RateLimiter("api", "1000/minute", store=shaky)
    shaky.down = True

    for _ in range(50):
        limiter.hit("ann")
    asked = shaky.asked
    shaky.down = False
    clock.now += 1.0

    assert asked == 3
    assert limiter.hit("ann").mode == "store"
    assert shaky.breaker.state is BreakerState.CLOSED


def test_limiters_of_one_store_share_its_breaker(shaky):
    first, second = (RateLimiter(name, "5/minute", store=shaky) for name in ("a", "b"))
    shaky.down = True
    for _ in range(3):
        first.hit("ann")

    second.hit("ann")

    assert shaky.asked == 3


def test_a_mistake_of_the_caller_is_no_failure_of_the_store(shaky):
    limiter = RateLimiter("api", "5/minute", store=shaky)

    with pytest.raises(InvalidArgumentError):
        limiter.hit("ann", -1)

    assert shaky.asked == 0


# --- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("cost", [-1, 1.0, True, "1", None, (1, 2), (1.5,)], ids=repr)
def test_a_cost_is_a_whole_number(cost):
    with pytest.raises(InvalidArgumentError, match="cost"):
        RateLimiter("api", "5/minute").hit("ann", cost)


@pytest.mark.parametrize("key", [(), ("a", "b"), (1,), [None], None, 5], ids=repr)
def test_there_is_one_key_or_one_for_each_tier(key):
    with pytest.raises(InvalidArgumentError, match="one key"):
        RateLimiter("api", "5/minute").hit(key)


@pytest.mark.parametrize(
    "options",
    [
        {"limits": ""},
        {"limits": ()},
        {"limits": "5/fortnight"},
        {"limits": "5/minute; 5/60 s"},
        {"limits": "5/minute", "algorithm": "magic"},
        {"limits": "20000/minute"},
        {"limits": "5/minute", "on_failure": "maybe"},
        {"limits": "5/minute", "instances": 0},
        {"limits": "5/minute", "name": ""},
        {"limits": "5/minute", "name": "a b"},
        {"limits": "5/minute", "name": "x" * 65},
    ],
    ids=str,
)
def test_a_limiter_that_makes_no_sense_is_refused(options):
    with pytest.raises(InvalidArgumentError):
        RateLimiter(**{"name": "api"} | options)


@given(st.text(max_size=40))
def test_any_text_as_limits_gives_a_limiter_or_an_error_of_ours(text):
    try:
        RateLimiter("api", text)
    except SharedError:
        pass


@pytest.mark.parametrize("url", ["", "memory:", "sqlite://", "sqlite:///", "mysql://u:hunter2@h/d", "limits"])
def test_a_url_that_names_no_store_is_refused_without_its_password(url):
    with pytest.raises(ConfigurationError, match="not a store of rate limits") as caught:
        rate_limit_store(url)

    assert "hunter2" not in str(caught.value)


# --- telling ---------------------------------------------------------------------------


def test_a_limiter_explains_what_each_tier_admits_at_worst():
    tiers = [
        LimitTier("10/second", name="exact"),
        LimitTier("10/second", name="smooth", algorithm="gcra"),
        LimitTier("10/second", name="slices", algorithm="sub_buckets"),
        LimitTier("10/day", name="quota", algorithm="fixed_window"),
    ]

    told = RateLimiter("api", tiers).explain()

    assert {tier["name"]: tier["worst_window"] for tier in told["tiers"]} == {
        "exact": 10, "smooth": 20, "slices": 10, "quota": 20,
    }  # fmt: skip
    assert (told["store"], told["on_failure"]) == ("memory", "none can happen")


def test_limits_may_be_given_in_every_form():
    forms = ["100/minute", RateLimit("100/minute"), LimitTier("100/minute", name="api"), [RateLimit("100/m")]]

    assert {RateLimiter("api", form).tiers[0].prefix for form in forms} == {"api|s100/60s|"}


def test_a_limiter_closes_only_the_store_it_made(tmp_path):
    mine = RateLimiter("api", "5/minute", store=f"sqlite:///{tmp_path}/a.db")
    given = rate_limit_store(f"sqlite:///{tmp_path}/b.db")
    theirs = RateLimiter("api", "5/minute", store=given)

    mine.close()
    theirs.close()

    assert mine.store._file is None
    assert given._file is not None
    asyncio.run(theirs.aclose())
    given.close()
    assert "sqlite b.db" in repr(theirs)


def test_waiting_for_ever_is_infinite(clock):
    limiter = RateLimiter("api", "5/minute", store=MemoryRateLimits(clock=clock))

    assert limiter.hit("ann", 6).retry_after == math.inf
