"""The bucket that keeps retries a small share of the traffic."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.resilience import RetryBudget
from shared.resilience._budget import ALWAYS


@given(st.lists(st.sampled_from(["good", "bad", "extra"]), max_size=200), st.floats(2, 50), st.floats(0, 2))
def test_tokens_stay_within_the_bucket_and_full_says_so(steps, tokens, ratio):
    budget = RetryBudget(tokens=tokens, ratio=ratio)

    for step in steps:
        {"good": budget.success, "bad": budget.failure, "extra": budget.spend}[step]()

        assert 0.0 <= budget.tokens <= tokens
        assert budget.full == (budget.tokens == tokens)


@given(st.floats(2, 100), st.integers(1, 500))
def test_an_outage_is_retried_less_than_half_a_bucket_of_times(tokens, failures):
    budget = RetryBudget(tokens=tokens)

    retried = sum(budget.failure() for _ in range(failures))

    assert retried < tokens / 2


def test_recovery_earns_retries_back():
    budget = RetryBudget(tokens=4.0, ratio=0.5)
    for _ in range(10):
        budget.failure()

    for _ in range(7):
        budget.success()

    assert budget.failure() is True


def test_a_hedge_takes_a_token_only_while_more_than_half_is_left():
    budget = RetryBudget(tokens=4.0)

    assert [budget.spend() for _ in range(3)] == [True, False, False]
    assert budget.tokens == 3.0


def test_threads_lose_no_token():
    budget = RetryBudget(tokens=100_000.0, ratio=0.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [budget.failure() for _ in range(500)], range(8)))

    assert budget.tokens == 96_000.0


def test_a_policy_without_a_budget_is_always_allowed():
    assert (ALWAYS.full, ALWAYS.failure(), ALWAYS.spend(), ALWAYS.success()) == (True, True, True, None)


@pytest.mark.parametrize("wrong", [{"tokens": 1.9}, {"ratio": -0.1}, {"tokens": float("nan")}])
def test_a_wrong_size_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        RetryBudget(**wrong)


def test_the_repr_shows_what_is_left():
    assert repr(RetryBudget(tokens=4.0)) == "RetryBudget(tokens=4 of 4, ratio=0.1)"
