"""The helpers for tests: time that obeys, scripts, chaos by name."""

import asyncio
import threading
import time

import pytest

from shared.errors import (
    CircuitOpenError,
    DeadlineExceededError,
    ExternalServiceError,
    InvalidArgumentError,
    RateLimitError,
    ServiceUnavailableError,
)
from shared.resilience import CircuitBreaker, Policy, RetryPolicy
from shared.resilience.testing import FakeClock, FlakyDependency, chaos


def test_a_fake_clock_moves_only_when_told():
    clock = FakeClock(5.0)

    assert (clock(), clock()) == (5.0, 5.0)
    clock.advance(1.5)
    clock.sleep(2.0)

    assert (clock(), clock.sleeps) == (8.5, [2.0])


async def test_an_async_sleep_lets_others_run():
    clock, order = FakeClock(), []

    async def other():
        order.append("other")

    task = asyncio.create_task(other())
    await clock.asleep(60.0)
    order.append("me")
    await task

    assert order == ["other", "me"]


def test_time_does_not_run_backwards():
    with pytest.raises(InvalidArgumentError):
        FakeClock().advance(-1.0)


def test_a_script_plays_its_steps_and_repeats_the_last():
    dependency = FlakyDependency(["ok", 204, KeyError("x"), {"a": 1}])
    outcomes = []

    for _ in range(5):
        try:
            outcomes.append(dependency())
        except KeyError as error:
            outcomes.append(str(error))

    assert outcomes == ["ok", 204, "'x'", {"a": 1}, {"a": 1}]


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("503", ServiceUnavailableError),
        ("429", RateLimitError),
        ("502", ExternalServiceError),
        ("timeout", DeadlineExceededError),
        ("refused", ConnectionRefusedError),
        ("reset", ConnectionResetError),
    ],
)
async def test_words_stand_for_errors(word, error):
    with pytest.raises(error):
        FlakyDependency(word)()
    with pytest.raises(error):
        await FlakyDependency(f" {word} ").acall()


def test_a_status_below_400_answers():
    assert FlakyDependency("201")() == 201


def test_a_hanging_thread_is_let_go():
    dependency, answers = FlakyDependency("hang"), []
    thread = threading.Thread(target=lambda: answers.append(dependency("x")))
    thread.start()
    dependency.release()
    thread.join(30)

    assert answers == ["ok"]
    assert dependency.calls == [(("x",), {})]


@pytest.mark.parametrize("script", ["", [], "ok, 99", "ok, maybe", "600"])
def test_a_script_that_makes_no_sense_is_refused(script):
    with pytest.raises(InvalidArgumentError):
        FlakyDependency(script)


# --- chaos --------------------------------------------------------------------------------------------


@pytest.fixture
def breaker():
    return CircuitBreaker("chaotic", failure_threshold=3, clock=FakeClock())


def test_chaos_strikes_between_the_guards_and_the_dependency(breaker):
    guarded = breaker(lambda: "ok")

    with chaos("chaotic") as faults:
        for _ in range(3):
            with pytest.raises(ExternalServiceError):
                guarded()
        with pytest.raises(CircuitOpenError):
            guarded()

    assert (faults.calls, faults.struck) == (3, 3)
    assert breaker.state == "OPEN"


def test_chaos_ends_with_its_block_also_on_error(breaker):
    guarded = breaker(lambda: "ok")

    with pytest.raises(RuntimeError), chaos("chaotic"):
        raise RuntimeError

    assert guarded() == "ok"


async def test_chaos_reaches_every_way_of_calling(breaker):
    async def ok():
        return "ok"

    with chaos("chaotic", error=KeyError) as faults:
        with pytest.raises(KeyError):
            breaker.call(int)
        with pytest.raises(KeyError):
            await breaker.acall(ok)
        breaker.reset()
        with pytest.raises(KeyError), breaker:
            raise AssertionError
        with pytest.raises(KeyError):
            async with breaker:
                raise AssertionError
        breaker.reset()
        with pytest.raises(KeyError):
            await breaker(ok)()

    assert faults.struck == 5
    assert breaker.snapshot().failures == 5


async def test_chaos_reaches_policies_without_a_breaker():
    policy = Policy("chaotic-policy", retry=RetryPolicy(3, clock=FakeClock()))

    async def ok():
        return "ok"

    guarded, aguarded = policy(lambda: "ok"), policy(ok)
    with chaos("chaotic-policy", error=OSError) as faults:
        with pytest.raises(OSError):
            guarded()

    assert faults.struck == 3
    with chaos("chaotic-policy", result="nonsense"):
        assert await aguarded() == "nonsense"
    assert (guarded(), await aguarded()) == ("ok", "ok")


async def test_a_result_replaces_the_answer(breaker):
    async def ok():
        return "ok"

    with chaos("chaotic", result=None):
        assert breaker(lambda: "ok")() is None
        assert await breaker(ok)() is None


async def test_latency_comes_before_the_call_and_before_an_error(breaker):
    async def ok():
        return "ok"

    clock = FakeClock()
    with chaos("chaotic", latency=2.0, sleep=clock.sleep):
        assert breaker(lambda: "ok")() == "ok"
        assert await breaker(ok)() == "ok"
    with chaos("chaotic", latency=3.0, error=OSError, sleep=clock.asleep), pytest.raises(OSError):
        await breaker(ok)()
    with chaos("chaotic", latency=0.001):
        started = time.monotonic()
        breaker(lambda: "ok")()
        await breaker(ok)()

    assert clock.sleeps == [2.0, 2.0, 3.0]
    assert time.monotonic() - started >= 0.002


def test_anything_else_can_be_done_before(breaker):
    seen = []

    with chaos("chaotic", before=lambda: seen.append("struck")):
        assert breaker(lambda: "ok")() == "ok"

    assert seen == ["struck"]


def test_a_seed_makes_the_choice_of_calls_repeatable(breaker):
    def pattern(seed):
        guarded, outcomes = CircuitBreaker("dice", failure_threshold=10**6)(lambda: "ok"), []
        with chaos("dice", rate=0.5, seed=seed):
            for _ in range(50):
                try:
                    outcomes.append(guarded())
                except ExternalServiceError:
                    outcomes.append("bad")
        return outcomes

    assert pattern(7) == pattern(7) != pattern(8)
    assert 5 < pattern(7).count("bad") < 45


def test_a_name_nobody_guards_is_refused():
    with pytest.raises(InvalidArgumentError, match="nothing guards 'nobody'"), chaos("nobody"):
        pass


@pytest.mark.parametrize("wrong", [{"rate": 1.5}, {"rate": -0.1}, {"latency": -1.0}])
def test_a_wrong_value_is_refused(wrong, breaker):
    with pytest.raises(InvalidArgumentError), chaos("chaotic", **wrong):
        pass
