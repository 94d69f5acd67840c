"""What is told of a call: metrics, spans, events and logs, and never its content."""

import pytest

from shared.errors import AIServiceError
from shared.integrations.openai import AICallFinished, ModelPrice
from shared.logging import capture_logs
from shared.runtime import current

LABELS = {
    "gen_ai_provider_name": "openai",
    "gen_ai_operation_name": "chat",
    "gen_ai_request_model": "gpt-4o",
}


def test_tokens_cost_and_time_are_counted_per_model(make, fake, metrics):
    fake.reply("ok", input_tokens=1000, output_tokens=100)

    make(prices={"gpt-4o": ModelPrice(10.0, 20.0)}).chat("hello", model="gpt-4o")

    used = "gen_ai_client_token_usage_sum"
    assert metrics.value(used, {**LABELS, "gen_ai_token_type": "input"}) == 1000
    assert metrics.value(used, {**LABELS, "gen_ai_token_type": "output"}) == 100
    assert metrics.value("gen_ai_client_cost_usd_total", LABELS) == pytest.approx(0.012)
    count = "gen_ai_client_operation_duration_seconds_count"
    assert metrics.value(count, {**LABELS, "error_type": ""}) == 1


def test_a_failure_is_counted_under_its_class(make, fake, metrics):
    fake.quota()

    with pytest.raises(AIServiceError):
        make().chat("hello", model="gpt-4o")

    count = "gen_ai_client_operation_duration_seconds_count"
    assert metrics.value(count, {**LABELS, "error_type": "AIQuotaError"}) == 1


def test_a_call_is_one_client_span_with_the_attributes_of_the_convention(make, fake, spans):
    fake.reply("ok", input_tokens=8, output_tokens=2)

    make().chat("hello", model="gpt-4o", temperature=0.5, max_tokens=9)

    assert [(span.name, str(span.kind)) for span in spans] == [("chat gpt-4o", "client")]
    attributes = dict(spans[0].attributes)
    port = attributes.pop("server.port")
    assert str(port) in fake.base_url
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.response.id": "chatcmpl-fake",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 8,
        "gen_ai.usage.output_tokens": 2,
        "server.address": "127.0.0.1",
    }


def test_a_failed_call_is_a_failed_span(make, fake, spans):
    fake.fail(400, code="invalid_value")

    with pytest.raises(AIServiceError):
        make().chat("hello")

    assert (spans[0].error, spans[0].attributes["error.type"]) == ("AIServiceError", "bad_request")


def test_a_span_belongs_to_the_trace_in_force(make, spans):
    from shared.monitoring import Tracer

    client = make()

    with Tracer([lambda spans: None]).span("outer") as outer:
        client.chat("hello")

    assert spans[0].trace.parent_id == outer.trace.span_id


def test_the_end_of_a_call_is_an_event(make, fake):
    seen = []
    stop = current().events.subscribe(AICallFinished, seen.append)
    fake.reply("ok", input_tokens=3, output_tokens=1)

    make().chat("hello", model="gpt-4o", user_id="u-1")
    stop()

    assert [(event.model, event.user_id, event.usage.total, event.error) for event in seen] == [
        ("gpt-4o", "u-1", 4, None)
    ]


def test_neither_prompt_nor_answer_nor_key_is_logged(make, fake, spans):
    fake.reply("the answer nobody may read")
    client = make()

    with capture_logs() as lines:
        result = client.chat("the prompt nobody may read", user_id="u-1")
        with pytest.raises(AIServiceError):
            client.chat("the prompt nobody may read", model="gpt-99")

    shown = repr((lines, spans, result, client.client, client.client.options))
    assert "nobody may read" not in shown
    assert fake.api_key not in shown
    assert [line["event"] for line in lines] == ["ai_call", "ai_call_failed"]
    assert lines[0]["user_id"] == "u-1"


def test_content_is_logged_when_it_is_asked_for_and_secrets_in_it_are_masked(make, fake):
    fake.reply("forty-two")

    with capture_logs() as lines:
        make(log_content=True).chat("my token is Bearer abcdefghijklmnop1234567890")

    assert lines[0]["answer"] == "forty-two"
    assert "my token is" in lines[0]["prompt"]
    assert "abcdefghijklmnop" not in lines[0]["prompt"]


def test_a_degraded_answer_is_told(make, fake):
    fake.fail(500, times=3)

    with capture_logs() as lines:
        make().chat("hello", fallback="later")

    assert (lines[-1]["event"], lines[-1]["reason"], lines[-1]["level"]) == (
        "ai_degraded",
        "server",
        "warning",
    )
