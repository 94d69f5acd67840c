"""The agents example: a real process that asks a real server, with and without trouble."""

import pytest

from examples.demo._fleet import Server, free_port


@pytest.fixture(scope="module")
def fake():
    from shared.testing import FakeOpenAI

    with FakeOpenAI() as server:
        yield server


@pytest.fixture(scope="module")
def service(fake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents")
    port = free_port()
    server = Server(
        "agents",
        ["-m", "uvicorn", "examples.agents.app:app", "--host=127.0.0.1", f"--port={port}"],
        port,
        folder / "agents.log",
        {
            "PYTHONPATH": "src",
            "DATABASE_URL": f"sqlite:///{folder}/agents.db",
            "OPENAI_BASE_URL": fake.base_url,
            "OPENAI_API_KEY": fake.api_key,
            "OPENAI_MAX_ATTEMPTS": "1",
            "AGENT_MAX_TOKENS": "40",
            "LOG_FORMAT": "json",
            "DRAIN_DELAY_SECONDS": "0.1",
        },
    )
    server.start()
    try:
        server.wait_until_live()
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _clean(fake):
    fake.reset()


def post(service, path, **body):
    answer = service.request("POST", path, body=body, timeout=60.0)
    return answer.status, answer.json.get("data")


@pytest.fixture
def clerk(service):
    return post(service, "/agents", user_id="u-1", name="clerk")[1]["id"]


def test_a_task_is_done_by_the_model_and_its_run_is_written_down(service, fake, clerk):
    fake.reply("Short.", input_tokens=30, output_tokens=2)

    status, task = post(service, f"/agents/{clerk}/tasks", text="A long text. With details.")

    assert (status, task["status"], task["result"]["summary"]) == (201, "succeeded", "Short.")
    assert fake.requests[0].json["max_tokens"] == 40
    [run] = service.get(f"/tasks/{task['id']}/executions").json["data"]
    assert (run["attempt"], run["status"], run["tokens"]) == (1, "succeeded", 32)


def test_without_the_model_the_task_is_done_as_well_as_can_be(service, fake, clerk):
    fake.fail(503)

    _, task = post(service, f"/agents/{clerk}/tasks", text="A long text. With details.")

    assert task["result"] == {"summary": "A long text", "model": "", "degraded": True}


def test_the_enhanced_system_uses_tools(service, fake):
    _, agent = post(service, "/agents", user_id="u-1", name="writer", system="enhanced")
    fake.call_tool("count_words", {"text": "one two three"})
    fake.reply("Three words.")

    _, task = post(service, f"/agents/{agent['id']}/tasks", text="one two three")

    assert task["result"]["summary"] == "Three words."
    assert fake.requests[1].json["messages"][-1]["content"] == "3"


def test_a_conversation_is_remembered(service, fake):
    _, talk = post(service, "/conversations", user_id="u-1")
    for content in ("my name is Ada", "what is my name?"):
        status, message = post(service, f"/conversations/{talk['id']}/messages", content=content)

    assert (status, message["role"], message["position"]) == (201, "assistant", 4)
    assert [each["content"] for each in fake.requests[-1].json["messages"]] == [
        "my name is Ada",
        "echo: my name is Ada",
        "what is my name?",
    ]


def test_the_configuration_says_where_each_value_comes_from(service, clerk):
    config = service.get(f"/agents/{clerk}/config").json["data"]

    assert config["max_tokens"] == {"value": 40, "source": "environment"}
    assert config["system"] == {"value": "simple", "source": "database"}


def test_an_agent_nobody_knows_is_a_404(service):
    answer = service.get("/agents/00000000-0000-0000-0000-000000000000/config")

    assert (answer.status, answer.json["error"]["message"]) == (404, "agent not found")


def test_what_was_said_is_in_no_log(service, fake, clerk):
    fake.reply("an answer nobody may read")

    post(service, f"/agents/{clerk}/tasks", text="a prompt nobody may read")

    events = [line["event"] for line in service.log_events()]
    assert {"ai_call", "task_execution"} <= set(events)
    assert "nobody may read" not in service.log.read_text()
    assert fake.api_key not in service.log.read_text()
