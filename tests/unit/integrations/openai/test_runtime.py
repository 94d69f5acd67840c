"""The clients of a runtime: built late from the settings, closed with it, and cheap until then."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import shared.openai_config as spelling
from shared.config import Settings, use_settings
from shared.errors import AIServiceError, InvalidArgumentError, InvalidStateError, RateLimitError
from shared.integrations import openai as room
from shared.integrations.openai import (
    OpenAIClient,
    OpenAIOptions,
    acreate_chat_completion,
    acreate_embedding,
    acreate_embeddings,
    astream_chat_completion,
    avalidate_model,
    create_chat_completion,
    create_embedding,
    create_embeddings,
    get_async_openai,
    get_openai,
    stream_chat_completion,
    validate_model,
)
from shared.runtime import Runtime, use

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def runtime(fake):
    made = Runtime("test")
    environ = {
        "OPENAI_BASE_URL": fake.base_url,
        "OPENAI_API_KEY": fake.api_key,
        "OPENAI_PRICES": "gpt-4o-mini=1/2",
        "OPENAI_USER_BUDGET": "500 tokens/day",
        "OPENAI_MAX_TOKENS": "50",
        "OPENAI_FALLBACK_MODELS": "gpt-4",
    }
    use_settings(Settings(environ=environ, env_file=None), runtime=made)
    with use(made):
        yield made
    asyncio.run(made.aclose())


def test_the_documented_calls_work_as_written(runtime, fake):
    response = create_chat_completion(
        messages=[{"role": "user", "content": "Hello!"}], model="gpt-3.5-turbo", user_id="user-123"
    )
    embedding = create_embedding("Hello world", model="text-embedding-ada-002")

    assert response.text == "echo: Hello!"
    assert len(embedding) == 64
    assert validate_model("gpt-4")
    assert fake.requests[0].json["max_tokens"] == 50


def test_the_settings_are_followed(runtime, fake):
    fake.fail(400, code="model_overloaded", on="chat")
    fake.reply("x", input_tokens=400, output_tokens=100)

    result = create_chat_completion("hi", user_id="u-1")

    assert (result.model, result.degraded) == ("gpt-4", True)
    with pytest.raises(RateLimitError):
        create_chat_completion("hi", user_id="u-1")


def test_streams_and_many_embeddings_of_the_runtime(runtime, fake):
    with stream_chat_completion("hi") as stream:
        assert "".join(stream) == "echo: hi"
    assert len(create_embeddings(["a", "b"]).vectors) == 2


async def test_coroutines_have_the_same_calls(fake):
    made = Runtime("test")
    environ = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key}
    use_settings(Settings(environ=environ, env_file=None), runtime=made)
    with use(made):
        assert (await acreate_chat_completion("hi")).text == "echo: hi"
        async with await astream_chat_completion("hi") as stream:
            assert "".join([piece async for piece in stream]) == "echo: hi"
        assert len(await acreate_embedding("a")) == 64
        assert len((await acreate_embeddings(["a", "b"])).vectors) == 2
        assert await avalidate_model("gpt-4o")
        client = get_async_openai()
    await made.aclose()

    with pytest.raises(InvalidStateError):
        await client.chat("hi")


def test_the_runtime_closes_its_client(fake):
    made = Runtime("test")
    environ = {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key}
    use_settings(Settings(environ=environ, env_file=None), runtime=made)
    with use(made):
        client = get_openai()
        client.chat("hi")
    made.close()

    with pytest.raises(InvalidStateError):
        client.chat("hi")


def test_a_service_closes_its_client_with_itself(fake):
    from fastapi import FastAPI

    from shared.service import install, installed
    from shared.testing import ApiClient

    app = install(
        FastAPI(),
        Settings(
            environ={
                "OPENAI_BASE_URL": fake.base_url,
                "OPENAI_API_KEY": fake.api_key,
                "ENVIRONMENT": "testing",
            },
            env_file=None,
        ),
        service="asks",
    )

    @app.get("/ask")
    async def ask():
        return {"text": (await acreate_chat_completion("hi")).text}

    with ApiClient(app) as api:
        assert api.get("/ask").json == {"text": "echo: hi"}
        client = installed(app).runtime.find(room.AsyncOpenAIClient)

    assert client._transport._closed


def test_open_connections_of_a_loop_are_not_closed_without_it(fake):
    async def main():
        client = room.AsyncOpenAIClient(base_url=fake.base_url, api_key=fake.api_key)
        await client.chat("hi")
        with pytest.warns(ResourceWarning, match="aclose"):
            client.close()
        await client.aclose()

    asyncio.run(main())


def test_a_client_serves_one_event_loop_after_another(fake):
    client = room.AsyncOpenAIClient(base_url=fake.base_url, api_key=fake.api_key)

    async def main(*, last):
        answer = await client.chat("hi")
        if last:
            await client.aclose()
        else:
            await client._transport._clients[asyncio.get_running_loop()].close()
        return answer.text

    assert [asyncio.run(main(last=last)) for last in (False, True)] == ["echo: hi"] * 2


def test_the_environment_of_the_sdk_is_not_followed(fake, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-environment")

    with OpenAIClient(base_url=fake.base_url, api_key=fake.api_key) as client:
        client.chat("hi")
    with OpenAIClient() as client, pytest.raises(AIServiceError):
        client.chat("hi")

    headers = {name.lower() for name in fake.requests[0].headers}
    assert "openai-organization" not in headers


def test_a_secret_in_the_address_is_not_logged_by_the_http_library(fake, caplog):
    import logging

    address = fake.base_url.replace("http://", "http://user:hidden-word@") + "?api_key=hidden-word"

    with caplog.at_level(logging.DEBUG), OpenAIClient(base_url=address, api_key=fake.api_key) as client:
        client.validate_model("gpt-4o")

    assert "hidden-word" not in caplog.text


def test_organization_and_project_are_sent(fake):
    with OpenAIClient(
        base_url=fake.base_url, api_key=fake.api_key, organization="org-1", project="proj-1"
    ) as client:
        client.chat("hi")

    headers = {name.lower(): value for name, value in fake.requests[0].headers.items()}
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": float("inf")}, {"max_attempts": 0}, {"max_connections": True}, {"connect_timeout": "1"}],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(InvalidArgumentError):
        OpenAIOptions(**options)


@pytest.mark.parametrize(
    "key", ["sk-half\nsecret", "sk-gehe\u00efm-secret", "sk-\x00secret"], ids=["line", "letter", "zero"]
)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key):
    with pytest.raises(InvalidArgumentError) as caught:
        OpenAIOptions(api_key=key)

    assert "secret" not in str(caught.value)


def test_the_key_is_in_no_repr():
    options = OpenAIOptions(api_key="a-key-nobody-may-see", base_url="http://user:pw@127.0.0.1/v1")

    assert "nobody-may-see" not in repr(options)
    assert "pw" not in repr(OpenAIClient(options)) + options.shown


def test_the_documented_module_is_a_spelling_of_the_room():
    import shared.config

    same = {name: getattr(spelling, name) for name in spelling.__all__}
    assert same.pop("get_openai_config") is shared.config.get_openai_config
    assert all(value is getattr(room, name) for name, value in same.items())


def run(code, *arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_sdk_is_not_imported_before_the_first_call():
    code = (
        "import sys; from shared.integrations.openai import OpenAIClient, create_chat_completion as c;"
        "OpenAIClient(api_key='k'); assert c('hi', fallback='x').degraded;"
        "assert 'openai' not in sys.modules and 'httpx2' not in sys.modules"
    )

    result = run(code)

    assert result.returncode == 0, result.stderr


def test_a_missing_sdk_is_told_with_the_way_out():
    code = (
        "import sys; sys.modules['openai'] = None\n"
        "from shared.integrations.openai import OpenAIClient\n"
        "try:\n    OpenAIClient(api_key='k').chat('hi', fallback='x')\n"
        "except ImportError as error:\n    print(error)"
    )

    result = run(code)

    assert "libs-shared[openai]" in result.stdout, result.stderr


FORK = """
import os, sys
from shared.integrations.openai import OpenAIClient
client = OpenAIClient(base_url=sys.argv[1], api_key=sys.argv[2])
client.chat("hi")
pid = os.fork()
if pid == 0:
    good = False
    try:
        good = client.chat("child").text == "echo: child"
    finally:
        os._exit(0 if good else 1)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert client.chat("parent").text == "echo: parent"
client.close()
"""


def test_a_forked_child_opens_connections_of_its_own(fake):
    result = run(FORK, fake.base_url, fake.api_key)

    assert result.returncode == 0, result.stderr
