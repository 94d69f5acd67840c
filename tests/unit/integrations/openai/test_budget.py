"""What may be spent, and by whom."""

import pytest

from shared.cache import MemoryRateLimits
from shared.errors import ConfigurationError, InvalidArgumentError, RateLimitError, ServiceUnavailableError
from shared.integrations.openai import AIBudget, AIBudgets, ModelPrice, TokenUsage


@pytest.fixture
def clock():
    class Clock:
        now = 1_000_000 * 86_400.0

        def __call__(self):
            return self.now

    return Clock()


def test_a_user_with_nothing_left_is_refused_and_told_when(make, fake):
    client = make(budgets=AIBudgets(user="100 tokens/hour"))
    fake.reply("x", input_tokens=60, output_tokens=60)
    client.chat("hello", user_id="u-1")

    with pytest.raises(RateLimitError) as caught:
        client.chat("hello", user_id="u-1")

    assert 0 < caught.value.retry_after <= 3600
    assert caught.value.details["scope"] == "user"
    assert client.chat("hello", user_id="u-2").text == "echo: hello"
    assert len(fake.requests) == 2


def test_the_budget_of_the_service_is_one_for_all(make, fake):
    client = make(budgets=AIBudgets(service="100 tokens/day"))
    fake.reply("x", input_tokens=60, output_tokens=60)
    client.chat("hello", user_id="u-1")

    with pytest.raises(ServiceUnavailableError):
        client.chat("hello", user_id="u-2")


def test_a_call_without_a_user_has_no_budget_of_one(make, fake):
    client = make(budgets=AIBudgets(user="1 tokens/day"))

    assert client.chat("hello").text == "echo: hello"


def test_a_fallback_answers_when_the_budget_is_used_up(make):
    client = make(budgets=AIBudgets(user="1 tokens/day"))

    result = client.chat("a prompt of more than one token", user_id="u-1", fallback="enough for today")

    assert (result.text, result.reason) == ("enough for today", "budget")


def test_a_prompt_larger_than_what_is_left_is_not_sent(make, fake):
    client = make(budgets=AIBudgets(user="50 tokens/day"))

    with pytest.raises(RateLimitError):
        client.chat("x" * 1000, user_id="u-1")

    assert fake.requests == []


def test_money_is_counted_by_the_price_table(make, fake):
    budgets = AIBudgets(user="1.00 usd/day")
    client = make(budgets=budgets, prices={"gpt-4o": ModelPrice(1.0, 1.0)})
    fake.reply("x", input_tokens=200_000, output_tokens=50_000)

    client.chat("hello", model="gpt-4o", user_id="u-1")

    assert budgets.remaining("u-1") == {"user": 750_000}


def test_money_is_not_counted_for_a_model_without_a_price(make, fake):
    client = make(budgets=AIBudgets(user="1 usd/day"))

    with pytest.raises(ConfigurationError, match="OPENAI_PRICES"):
        client.chat("hello", user_id="u-1", fallback="later")

    assert fake.requests == []


def test_embeddings_are_charged_too(make, fake):
    budgets = AIBudgets(user="100 tokens/day")
    fake.reply(None, input_tokens=30)

    make(budgets=budgets).embed(["a"], user_id="u-1")

    assert budgets.remaining("u-1") == {"user": 70}


# --- the counting itself; that on every store is in tests/conformance ------------------------------


def test_a_new_period_is_a_new_budget(clock):
    budgets = AIBudgets(user="100 tokens/day", store=MemoryRateLimits(clock=clock))
    budgets.charge("u-1", TokenUsage(100), 0.0)

    clock.now += 86_400

    assert budgets.remaining("u-1") == {"user": 100}


def test_any_text_may_be_a_user():
    budgets = AIBudgets(user="10 tokens/day")

    for user in ("", "x" * 10_000, "\ud800", "a\x00b", "{tag}"):
        budgets.charge(user, TokenUsage(3), 0.0)
        assert budgets.remaining(user) == {"user": 7}


def test_nothing_is_counted_without_a_budget():
    budgets = AIBudgets()

    budgets.check("u-1", 10**9)
    budgets.charge("u-1", TokenUsage(10**9), 1e9)

    assert budgets.is_empty
    assert budgets.remaining("u-1") == {}


@pytest.mark.parametrize(
    ("text", "amount", "unit", "per"),
    [
        ("200000 tokens/day", 200_000, "tokens", 86_400.0),
        ("1 token/second", 1, "tokens", 1.0),
        ("0.50 USD / hour", 500_000, "usd", 3600.0),
    ],
)
def test_a_budget_is_read_from_text(text, amount, unit, per):
    assert AIBudget.parse(text) == AIBudget(amount, unit, per)


@pytest.mark.parametrize(
    "text", ["", "much", "5 tokens", "1.5 tokens/day", "0 tokens/day", "-1 usd/day", None], ids=repr
)
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(InvalidArgumentError):
        AIBudget.parse(text)


@pytest.mark.parametrize("text", ["", "a/b", "1/2/3", "-1", "1e9", None, "nan"], ids=repr)
def test_what_is_no_price_is_refused(text):
    with pytest.raises(InvalidArgumentError):
        ModelPrice.parse(text)
