"""Answers in a shape, and functions the model may have run."""

import asyncio
import enum

import pytest
from pydantic import BaseModel, Field

from shared.errors import AIServiceError, InvalidArgumentError, UnsupportedCallableError, ValidationError
from shared.integrations.openai import OpenAIClient, Tool, ToolCall


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    sku: str
    quantity: int = Field(default=1, description="how many")


class Order(BaseModel):
    number: str
    colour: Colour
    lines: list[Line]
    first: Line | None = Field(default=None, description="the first line")


GOOD = {"number": "R-7", "colour": "red", "lines": [{"sku": "a", "quantity": 2}], "first": None}


def test_an_answer_in_a_shape_is_an_object(client, fake):
    fake.reply_json(GOOD)

    result = client.chat("the order", response_model=Order)

    assert result.parsed == Order.model_validate(GOOD)


def test_the_schema_is_sent_in_the_strict_form(client, fake):
    fake.reply_json(GOOD)

    client.chat("the order", response_model=Order)

    sent = fake.requests[0].json["response_format"]
    schema = sent["json_schema"]["schema"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == (
        "json_schema",
        "Order",
        True,
    )
    assert schema["required"] == ["number", "colour", "lines", "first"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Line"]["required"] == ["sku", "quantity"]
    assert "default" not in repr(schema)


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        ("no json", {}, "invalid_output"),
        ('{"number": "secret plan", "colour": "green", "lines": []}', {}, "invalid_output"),
        ('{"number": "R', {"finish_reason": "length"}, "truncated"),
        ("", {"finish_reason": "content_filter"}, "content_filter"),
        (None, {"refusal": "I will not"}, "refused"),
    ],
    ids=["no json", "wrong value", "truncated", "filtered", "refused"],
)
def test_an_answer_in_another_shape_is_our_error_without_its_words(client, fake, answer, options, reason):
    fake.reply(answer, **options)

    with pytest.raises(AIServiceError) as caught:
        client.chat("the order", response_model=Order)

    assert caught.value.details["reason"] == reason
    assert "secret plan" not in repr(vars(caught.value)) + repr(caught.value.__context__)


def test_an_answer_in_another_shape_is_paid_for(make, fake):
    from shared.integrations.openai import AIBudgets

    budgets = AIBudgets(user="1000 tokens/day")
    fake.reply("no json", input_tokens=100, output_tokens=100)

    with pytest.raises(AIServiceError):
        make(budgets=budgets).chat("x", response_model=Order, user_id="u-1")

    assert budgets.remaining("u-1") == {"user": 800}


def test_a_fallback_may_be_an_object_of_the_shape(client, fake):
    fake.fail(500, times=3)
    canned = Line(sku="none")

    result = client.chat("x", response_model=Line, fallback=canned)

    assert (result.parsed, result.degraded) == (canned, True)


# --- tools -----------------------------------------------------------------------------------


def weather(city: str, days: int = 1) -> str:
    """Tell the weather.

    Not part of the description.
    """
    return f"sunny in {city} for {days} days"


def test_a_tool_is_described_by_its_function():
    definition = Tool(weather).definition["function"]

    assert (definition["name"], definition["description"]) == ("weather", "Tell the weather.")
    assert definition["parameters"]["properties"]["city"]["type"] == "string"
    assert definition["parameters"]["required"] == ["city"]


def test_the_calls_of_tools_come_back(client, fake):
    fake.call_tool("weather", {"city": "Oslo"})

    result = client.chat("weather?", tools=[weather])

    assert [(call.id, call.name, call.parsed()) for call in result.tool_calls] == [
        ("call_1", "weather", {"city": "Oslo"})
    ]
    assert fake.requests[0].json["tools"][0]["function"]["name"] == "weather"


def test_tools_are_run_until_the_model_answers(client, fake):
    fake.call_tool("weather", {"city": "Oslo", "days": 2})
    fake.reply("take no umbrella", input_tokens=10, output_tokens=5)

    result = client.run_tools("weather?", [weather])

    assert result.text == "take no umbrella"
    assert fake.requests[1].json["messages"][-1] == {
        "role": "tool",
        "tool_call_id": "call_1",
        "content": "sunny in Oslo for 2 days",
    }
    assert result.usage.total > 15


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rm_rf", {}),
        ("weather", {"town": "Oslo"}),
        ("weather", {"city": "Oslo", "days": "many"}),
        ("weather", "no json"),
        ("weather", "[1]"),
        ("weather", '{"city": "x", "__class__": 1}'),
    ],
    ids=["unknown", "missing", "wrong", "no json", "list", "extra"],
)
def test_a_call_that_does_not_fit_goes_back_to_the_model_and_runs_nothing(client, fake, name, arguments):
    ran = []

    def weather(city: str, days: int = 1) -> str:
        ran.append(city)
        return "sunny"

    fake.call_tool(name, arguments)
    fake.reply("sorry")

    assert client.run_tools("weather?", [weather]).text == "sorry"
    assert ran == []
    assert fake.requests[1].json["messages"][-1]["content"].startswith("error: ")


def test_a_model_that_never_stops_calling_is_stopped(client, fake):
    for _ in range(3):
        fake.call_tool("weather", {"city": "Oslo"})

    with pytest.raises(AIServiceError, match="after 3 rounds"):
        client.run_tools("weather?", [weather], max_rounds=3)


@pytest.mark.parametrize("messages", [None, 7, [], [7]], ids=repr)
def test_tools_are_run_for_messages_only(client, messages):
    with pytest.raises(ValidationError):
        client.run_tools(messages, [weather])


@pytest.mark.parametrize("rounds", [0, True, "3"], ids=repr)
def test_a_number_of_rounds_out_of_range_is_refused(client, rounds):
    with pytest.raises(InvalidArgumentError):
        client.run_tools("x", [weather], max_rounds=rounds)


def test_what_a_tool_raises_leaves(client, fake):
    def broken(city: str) -> str:
        raise KeyError(city)

    fake.call_tool("broken", {"city": "Oslo"})

    with pytest.raises(KeyError):
        client.run_tools("x", [broken])


def test_what_a_tool_gives_becomes_json(client, fake):
    def stock(sku: str) -> dict:
        return {"sku": sku, "left": 3}

    fake.call_tool("stock", {"sku": "a"})

    client.run_tools("x", [stock])

    assert fake.requests[1].json["messages"][-1]["content"] == '{"sku": "a", "left": 3}'


async def alook(city: str) -> str:
    await asyncio.sleep(0)
    return f"seen {city}"


def test_an_asynchronous_tool_is_awaited_or_refused(make, fake):
    client = make()
    fake.call_tool("alook", {"city": "Oslo"})

    if isinstance(client.client, OpenAIClient):
        with pytest.raises(UnsupportedCallableError):
            client.run_tools("x", [alook])
    else:
        client.run_tools("x", [alook])
        assert fake.requests[1].json["messages"][-1]["content"] == "seen Oslo"


@pytest.mark.parametrize(
    "function",
    [lambda x: x, print, lambda *args: args],
    ids=["no annotation", "builtin", "variadic"],
)
def test_a_function_without_a_schema_is_no_tool(function):
    with pytest.raises(InvalidArgumentError):
        Tool(function, name="tool")


def test_two_tools_of_one_name_are_refused(client):
    with pytest.raises(InvalidArgumentError, match="two tools"):
        client.chat("x", tools=[weather, Tool(weather)])


@pytest.mark.parametrize("arguments", ["", "{}"], ids=["empty", "object"])
def test_a_call_without_arguments_is_an_empty_mapping(arguments):
    assert ToolCall("1", "now", arguments).parsed() == {}
