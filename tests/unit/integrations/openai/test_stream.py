"""Answers that come piece by piece, and what is left when they are cut."""

import asyncio
import gc
import json
import warnings

import pytest

from shared.context import deadline_scope
from shared.errors import (
    AIQuotaError,
    AIServiceError,
    CircuitOpenError,
    DeadlineExceededError,
    InvalidStateError,
)
from shared.integrations.openai import AIBudgets, AsyncOpenAIClient, OpenAIClient

HELLO = [{"role": "user", "content": "hello"}]


def test_a_stream_gives_the_pieces_and_the_whole(client, fake):
    fake.reply("one two three", input_tokens=5, output_tokens=3)

    stream, pieces, error = client.listen(HELLO, model="gpt-4o")

    assert (pieces, error) == (["one ", "two ", "three"], None)
    assert (stream.text, stream.result.text) == ("one two three", "one two three")
    assert (stream.result.usage.total, stream.result.finish_reason, stream.degraded) == (8, "stop", False)
    assert fake.requests[0].json["stream_options"] == {"include_usage": True}


def test_a_cut_stream_is_a_clear_error_and_what_was_said_is_there(client, fake):
    fake.cut("to be or not to be", after=3)

    stream, pieces, error = client.listen(HELLO)

    assert isinstance(error, AIServiceError)
    assert (error.details["reason"], stream.text, pieces) == ("cut", "to be or ", ["to ", "be ", "or "])
    assert "to be" not in str(error) + repr(error.details)
    with pytest.raises(InvalidStateError):
        _ = stream.result


def test_a_cut_stream_is_not_begun_again(client, fake):
    fake.cut()

    client.listen(HELLO)

    assert len(fake.requests) == 1


def test_streams_that_are_cut_open_the_breaker(client, fake):
    fake.cut(times=5)
    for _ in range(5):
        client.listen(HELLO)

    with pytest.raises(CircuitOpenError):
        client.listen(HELLO)


def test_the_beginning_of_a_stream_is_tried_again(client, fake):
    fake.fail(503)
    fake.reply("at last")

    _, pieces, error = client.listen(HELLO)

    assert ("".join(pieces), error) == ("at last", None)


def test_a_used_up_account_begins_no_stream(client, fake):
    fake.quota()

    with pytest.raises(AIQuotaError):
        client.listen(HELLO)
    with pytest.raises(CircuitOpenError):
        client.listen(HELLO)

    assert len(fake.requests) == 1


def test_a_fallback_model_speaks_when_the_first_cannot_begin(client, fake):
    fake.fail(500, times=3)

    stream, _, _ = client.listen(HELLO, model="gpt-4o", fallback_models=["gpt-4"])

    assert (stream.result.model, stream.degraded, stream.result.answered_by) == (
        "gpt-4",
        True,
        "fallback_model",
    )


def test_a_fallback_is_one_piece(client, fake):
    fake.fail(500, times=3)

    stream, pieces, _ = client.listen(HELLO, fallback="later")

    assert (pieces, stream.text, stream.degraded, stream.result.answered_by) == (
        ["later"],
        "later",
        True,
        "fallback",
    )


@pytest.mark.parametrize(
    "data", ["{", "7", '{"error": {"message": "boom"}}'], ids=["no json", "number", "error"]
)
def test_an_event_that_is_none_is_our_error(client, fake, data):
    fake.malformed(data)

    _, _, error = client.listen(HELLO)

    assert isinstance(error, AIServiceError)
    assert "boom" not in str(error)


def test_silence_in_a_stream_ends_at_the_limit(client, fake):
    client.listen(HELLO)
    fake.drip("one two", pause=60)

    _, _, error = client.listen(HELLO, timeout=0.5)

    assert isinstance(error, DeadlineExceededError)


def test_the_deadline_of_the_request_ends_a_stream(client, fake):
    client.listen(HELLO)
    fake.drip("word " * 400, pause=0.05)

    with deadline_scope(1.0):
        _, _, error = client.listen(HELLO)

    assert isinstance(error, DeadlineExceededError)
    assert not error.retryable


def test_a_stream_too_large_is_refused(make, fake):
    fake.reply("word " * 5000)

    _, _, error = make(max_response_bytes=5000).listen(HELLO)

    assert error.details["reason"] == "malformed"


def test_a_listener_may_leave_early_and_pays_for_what_was_said(make, fake):
    budgets = AIBudgets(user="1000 tokens/day")
    fake.reply("one two three four five six")

    stream, pieces, error = make(budgets=budgets).listen(HELLO, user_id="u-1", most=2)

    assert (pieces, stream.text, error) == (["one ", "two "], "one two ", None)
    assert budgets.remaining("u-1")["user"] < 1000


def test_the_pieces_of_tool_calls_are_joined(client, fake):
    fake.call_tool("weather", {"city": "Oslo"})

    stream, pieces, _ = client.listen(HELLO)

    assert pieces == []
    assert [(call.name, call.parsed()) for call in stream.result.tool_calls] == [
        ("weather", {"city": "Oslo"})
    ]


def test_a_streamed_answer_in_a_shape_is_an_object(client, fake):
    from pydantic import BaseModel

    class Point(BaseModel):
        x: int

    fake.reply(json.dumps({"x": 3}))
    good, _, _ = client.listen(HELLO, response_model=Point)
    fake.reply("no point")
    _, _, error = client.listen(HELLO, response_model=Point)

    assert good.result.parsed == Point(x=3)
    assert error.details["reason"] == "invalid_output"


def test_a_stream_is_one_span_to_its_end(client, fake, spans):
    fake.reply("a b", input_tokens=3, output_tokens=2)

    client.listen(HELLO)

    assert [span.attributes["gen_ai.usage.output_tokens"] for span in spans] == [2]


def test_a_stream_that_is_forgotten_warns(fake):
    client = OpenAIClient(base_url=fake.base_url, api_key=fake.api_key)
    stream = client.stream(HELLO)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        response = stream._opened.response
        del stream
        gc.collect()
    response.close()
    client.close()

    assert any("was not closed" in str(warning.message) for warning in seen)


async def test_a_cancelled_listener_stays_cancelled_and_the_breaker_closed(fake):
    async with AsyncOpenAIClient(base_url=fake.base_url, api_key=fake.api_key) as client:
        fake.drip("one two three", pause=60)
        begun = asyncio.Event()

        async def listen():
            async with await client.stream(HELLO) as stream:
                begun.set()
                return [piece async for piece in stream]

        task = asyncio.create_task(listen())
        await asyncio.wait_for(begun.wait(), 20)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.chat(HELLO)).text == "echo: hello"
