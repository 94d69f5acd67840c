"""Budgets of AI, counted alike in memory, in a file and in Redis."""

import asyncio
import uuid

import pytest

from shared.errors import RateLimitError
from shared.integrations.openai import AIBudgets, TokenUsage


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "redis":
        return str(request.getfixturevalue("shared_redis"))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/budget.db"


@pytest.fixture
def name():
    """Of a supplier nobody else counts for."""
    return f"t-{uuid.uuid4().hex[:12]}"


def test_more_than_what_is_left_takes_all_of_it(url, name):
    with AIBudgets(user="100 tokens/week", store=url, name=name) as budgets:
        budgets.charge("u-1", TokenUsage(90), 0.0)
        budgets.charge("u-1", TokenUsage(50), 0.0)

        assert budgets.remaining("u-1") == {"user": 0}
        with pytest.raises(RateLimitError):
            budgets.check("u-1", 1)


def test_coroutines_and_threads_count_together(url, name):
    async def spend(budgets):
        await budgets.acharge("u-1", TokenUsage(40), 0.0)
        await budgets.acheck("u-1", 10)
        with pytest.raises(RateLimitError):
            await budgets.acheck("u-1", 31)
        await budgets.aclose()

    budgets = AIBudgets(user="100 tokens/week", service="1 usd/week", store=url, name=name)
    budgets.charge("u-1", TokenUsage(30), 0.25)

    asyncio.run(spend(budgets))

    if url != "memory://":  # memory is that of one object
        with AIBudgets(user="100 tokens/week", service="1 usd/week", store=url, name=name) as again:
            assert again.remaining("u-1") == {"user": 30, "service": 750_000}
