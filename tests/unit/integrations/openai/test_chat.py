"""Chat completions against a server that answers, fails and lies."""

import time

import pytest

from shared.context import deadline_scope
from shared.errors import (
    AIQuotaError,
    AIRateLimitError,
    AIServiceError,
    CircuitOpenError,
    DeadlineExceededError,
    InvalidArgumentError,
    PayloadTooLargeError,
    SharedError,
    ValidationError,
)
from shared.integrations.openai import AIFailure, ModelPrice

HELLO = [{"role": "user", "content": "hello"}]


def test_a_chat_returns_what_the_model_said(client, fake):
    fake.reply("good day", input_tokens=7, output_tokens=2)

    result = client.chat(HELLO, model="gpt-4o")

    assert (result.text, result.model, result.usage.total) == ("good day", "gpt-4o", 9)
    assert (result.degraded, result.answered_by, result.request_id) == (False, "model", "req_fake")


def test_a_chat_sends_the_messages_and_the_options(client, fake):
    client.chat(HELLO, model="gpt-4o", temperature=0.2, max_tokens=5, seed=7, user_id="u-1")

    sent = fake.requests[0].json
    assert sent == {
        "model": "gpt-4o",
        "messages": HELLO,
        "temperature": 0.2,
        "max_tokens": 5,
        "seed": 7,
    }


def test_the_user_is_never_told_to_the_supplier(client, fake):
    client.chat(HELLO, user_id="anna@example.com")

    assert "anna" not in repr((fake.requests[0].json, fake.requests[0].headers))


def test_a_text_is_the_message_of_a_user(client, fake):
    client.chat("hello")

    assert fake.requests[0].json["messages"] == HELLO


def test_a_model_that_thinks_is_sent_its_own_limit_and_no_default_temperature(make, fake):
    make(temperature=0.7).chat(HELLO, model="o4-mini", max_tokens=50)

    sent = fake.requests[0].json
    assert sent["max_completion_tokens"] == 50
    assert not {"temperature", "max_tokens"} & set(sent)


def test_the_default_temperature_is_sent_to_other_models(make, fake):
    make(temperature=0.7).chat(HELLO)

    assert fake.requests[0].json["temperature"] == 0.7


def test_the_cost_follows_the_price_table(make, fake):
    fake.reply("ok", input_tokens=1_000_000, output_tokens=500_000)

    result = make(prices={"gpt-4o": ModelPrice(2.5, 10.0)}).chat(HELLO, model="gpt-4o")

    assert result.cost == 7.5


# --- failures: what is tried again, and who decides --------------------------------------


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(client, fake, status):
    fake.fail(status)
    fake.reply("at last")

    assert client.chat(HELLO).text == "at last"


@pytest.mark.parametrize("status", [500, 429])
def test_the_policy_is_the_only_owner_of_retries(client, fake, status):
    fake.fail(status, times=20)

    with pytest.raises(AIServiceError):
        client.chat(HELLO)

    assert len(fake.requests) == 3


def test_retry_after_is_waited_for(client, fake, waits):
    fake.rate_limit(7)

    client.chat(HELLO)

    assert len(waits) == 1
    assert waits[0] >= 7


def test_more_patience_than_allowed_is_not_given(client, fake, waits):
    fake.rate_limit(3600)

    with pytest.raises(AIRateLimitError) as caught:
        client.chat(HELLO)

    assert (waits, caught.value.retry_after) == ([], 3600)


def test_a_used_up_account_is_not_asked_again(client, fake):
    fake.quota()

    with pytest.raises(AIQuotaError) as caught:
        client.chat(HELLO)

    assert len(fake.requests) == 1
    assert caught.value.details["reason"] == AIFailure.QUOTA


def test_a_used_up_account_opens_the_breaker_for_every_model(client, fake):
    fake.quota()
    with pytest.raises(AIQuotaError):
        client.chat(HELLO)

    with pytest.raises(CircuitOpenError):
        client.chat(HELLO, model="gpt-4")

    assert len(fake.requests) == 1


def test_a_model_that_fails_opens_its_own_breaker_alone(make, fake):
    client = make(max_attempts=1)
    fake.fail(500, times=5)
    for _ in range(5):
        with pytest.raises(AIServiceError):
            client.chat(HELLO, model="gpt-4o")

    with pytest.raises(CircuitOpenError):
        client.chat(HELLO, model="gpt-4o")
    assert client.chat(HELLO, model="gpt-4").text == "echo: hello"


def test_wrong_requests_do_not_open_the_breaker(make, fake):
    client = make(max_attempts=1)
    fake.fail(400, code="invalid_value", times=10)
    for _ in range(10):
        with pytest.raises(AIServiceError):
            client.chat(HELLO)

    assert client.chat(HELLO).text == "echo: hello"


def test_a_slow_model_is_given_up_at_the_limit(make, fake):
    client = make(max_attempts=1)
    client.chat(HELLO)  # the first call imports the SDK
    fake.slow(60)
    began = time.monotonic()

    with pytest.raises(DeadlineExceededError) as caught:
        client.chat(HELLO, timeout=0.3)

    assert time.monotonic() - began < 30
    assert caught.value.details["reason"] == AIFailure.TIMEOUT
    assert caught.value.retryable


def test_a_dripping_answer_is_given_up_at_the_limit(make, fake):
    client = make(max_attempts=1)
    client.chat(HELLO)
    fake.drip("a long answer " * 50, pause=0.05)
    began = time.monotonic()

    with pytest.raises(DeadlineExceededError):
        client.chat(HELLO, timeout=0.5)

    assert time.monotonic() - began < 20


def test_the_deadline_of_the_request_ends_the_call_and_is_not_retried(client, fake):
    client.chat(HELLO)
    fake.slow(60)

    with deadline_scope(0.5), pytest.raises(DeadlineExceededError) as caught:
        client.chat(HELLO)

    assert not caught.value.retryable
    assert len(fake.requests) == 2


def test_a_deadline_that_has_passed_makes_no_call(client, fake):
    with deadline_scope(0), pytest.raises(DeadlineExceededError):
        client.chat(HELLO)

    assert fake.requests == []


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "",
        "[]",
        "null",
        '"text"',
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"message": 7}]}',
    ],
    ids=["cut", "empty", "list", "null", "text", "no choices", "no message", "number"],
)
def test_an_answer_that_is_none_is_our_error(make, fake, body):
    fake.malformed(body)

    with pytest.raises(AIServiceError) as caught:
        make(max_attempts=1).chat(HELLO)

    assert caught.value.details["reason"] == AIFailure.MALFORMED


def test_a_malformed_answer_is_tried_again(client, fake):
    fake.malformed()
    fake.reply("well formed")

    assert client.chat(HELLO).text == "well formed"


def test_an_answer_cut_in_the_middle_is_tried_again(client, fake):
    fake.cut()
    fake.reply("whole")

    assert client.chat(HELLO).text == "whole"


def test_a_connection_that_breaks_is_our_error(make, fake):
    fake.hang_up()

    with pytest.raises(AIServiceError) as caught:
        make(max_attempts=1).chat(HELLO)

    assert caught.value.details["reason"] == AIFailure.CONNECTION


def test_a_server_that_is_not_there_is_our_error(make, fake):
    client = make(max_attempts=1)
    fake.close()

    with pytest.raises(AIServiceError) as caught:
        client.chat(HELLO)

    assert caught.value.details["reason"] == AIFailure.CONNECTION


def test_an_answer_that_is_too_large_is_refused(make, fake):
    fake.reply("x" * 5000)

    with pytest.raises(AIServiceError, match="more than 1000 bytes"):
        make(max_attempts=1, max_response_bytes=1000).chat(HELLO)


def test_a_redirect_is_not_followed(make, fake):
    fake.fail(307, headers={"Location": "http://127.0.0.1:9/v1/chat/completions"})

    with pytest.raises(AIServiceError):
        make(max_attempts=1).chat(HELLO)

    assert len(fake.requests) == 1


# --- bad input -----------------------------------------------------------------------------


def test_a_wrong_model_is_our_error_and_says_so(client, fake):
    with pytest.raises(AIServiceError, match="'gpt-99' is not served") as caught:
        client.chat(HELLO, model="gpt-99")

    assert caught.value.details["reason"] == AIFailure.MODEL
    assert len(fake.requests) == 1


def test_a_wrong_key_is_our_error_without_the_key(make):
    client = make(api_key="secret-key-that-nobody-may-see")

    with pytest.raises(AIServiceError) as caught:
        client.chat(HELLO)

    assert caught.value.details["reason"] == AIFailure.AUTHENTICATION
    assert "nobody-may-see" not in everything_of(caught.value)


def test_the_words_of_the_supplier_are_in_no_error(make, fake):
    fake.fail(400, message="your prompt 'my diagnosis is' is wrong", code="invalid_value")

    with pytest.raises(AIServiceError) as caught:
        make().chat(HELLO)

    assert "diagnosis" not in everything_of(caught.value)
    assert caught.value.details["upstream_code"] == "invalid_value"


def everything_of(error):
    """All text that a log or a tracker could show of *error*."""
    import traceback

    return "".join(traceback.format_exception(error)) + repr(vars(error))


def test_no_key_is_our_error_before_any_call():
    from shared.integrations.openai import OpenAIClient

    with OpenAIClient() as client, pytest.raises(AIServiceError, match="OPENAI_API_KEY is not set") as caught:
        client.chat(HELLO)

    assert caught.value.details == {"reason": "no_key"}
    assert not caught.value.retryable


def test_a_compatible_server_may_do_without_a_key(make, fake):
    fake.api_key = None

    assert make(api_key=None).chat(HELLO).text == "echo: hello"


def test_a_prompt_above_the_limit_is_refused_before_it_is_sent(make, fake):
    with pytest.raises(PayloadTooLargeError, match="at most 100 are sent"):
        make(max_prompt_chars=100).chat("x" * 200)

    assert fake.requests == []


def test_a_prompt_above_what_the_model_takes_is_refused_clearly(client, fake):
    fake.context_tokens = 10

    with pytest.raises(PayloadTooLargeError, match="shorten it") as caught:
        client.chat("x" * 400)

    assert caught.value.details["reason"] == AIFailure.TOO_LONG


@pytest.mark.parametrize(
    "messages",
    [
        [],
        {},
        7,
        None,
        b"bytes",
        ["text"],
        [{}],
        [{"role": "admin", "content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": "half \ud800"}],
        [{"role": "user", "content": [float("nan")]}],
        [{"role": "user", "content": [object()]}],
    ],
    ids=["empty", "mapping", "number", "none", "bytes", "texts", "no role", "role", "no content", "content",
         "surrogate", "nan", "object"],
)  # fmt: skip
def test_messages_that_are_none_are_refused_before_they_are_sent(client, fake, messages):
    with pytest.raises(ValidationError):
        client.chat(messages)

    assert fake.requests == []


@pytest.mark.parametrize("model", ["../files", "a b", "x" * 201, 7, "modèle", "m\n"], ids=str)
def test_a_name_that_no_model_has_is_refused_before_it_is_sent(client, fake, model):
    with pytest.raises(ValidationError):
        client.chat(HELLO, model=model)

    assert fake.requests == []


@pytest.mark.parametrize(
    "options",
    [{"temperature": 3}, {"max_tokens": 0}, {"timeout": 0}, {"n": 2}, {"stream": True}, {"tools": [7]},
     {"response_model": dict}, {"fallback_models": "gpt-4"}],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_an_argument_out_of_range_is_refused(client, fake, options):
    with pytest.raises(InvalidArgumentError):
        client.chat(HELLO, **options)

    assert fake.requests == []


# --- somebody else answers ---------------------------------------------------------------------


def test_a_fallback_answers_and_says_that_it_did(client, fake):
    fake.fail(500, times=3)

    result = client.chat(HELLO, fallback="please try later")

    assert (result.text, result.degraded, result.answered_by) == ("please try later", True, "fallback")
    assert (result.reason, result.model, result.cost) == ("server", "", 0.0)


def test_a_fallback_may_be_made_of_the_error(client, fake):
    fake.quota()

    result = client.chat(HELLO, fallback=lambda error: f"sorry: {error.details['reason']}")

    assert result.text == "sorry: quota"


def test_a_fallback_answers_without_a_key():
    from shared.integrations.openai import OpenAIClient

    with OpenAIClient() as client:
        result = client.chat(HELLO, fallback="later")

    assert (result.text, result.reason) == ("later", "no_key")


def test_a_fallback_does_not_hide_a_mistake_of_the_caller(client):
    with pytest.raises(ValidationError):
        client.chat([], fallback="later")


def test_fallback_models_are_asked_in_order(client, fake):
    fake.fail(500, times=3)

    result = client.chat(HELLO, model="gpt-4o", fallback_models=["gpt-99", "gpt-4"])

    assert [request.json["model"] for request in fake.requests] == ["gpt-4o"] * 3 + ["gpt-99", "gpt-4"]
    assert (result.model, result.degraded, result.answered_by) == ("gpt-4", True, "fallback_model")
    assert result.reason == "server"


def test_the_fallback_models_of_the_options_are_asked(make, fake):
    fake.fail(500, times=3)

    assert make(fallback_models=["gpt-4"]).chat(HELLO).model == "gpt-4"


def test_a_used_up_account_asks_no_fallback_model(client, fake):
    fake.quota()

    with pytest.raises(AIQuotaError):
        client.chat(HELLO, fallback_models=["gpt-4"])

    assert len(fake.requests) == 1


def test_a_prompt_too_long_for_one_model_is_tried_with_the_next(client, fake):
    fake.fail(400, code="context_length_exceeded")

    assert client.chat(HELLO, fallback_models=["gpt-4"]).model == "gpt-4"


def test_a_closed_client_refuses(make):
    client = make()
    client.close()

    with pytest.raises(SharedError, match="is closed"):
        client.chat(HELLO)
