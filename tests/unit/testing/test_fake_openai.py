"""FakeOpenAI does what it is told, in order, and leaves nothing behind."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from shared.testing import FakeOpenAI


def post(fake, path, body, key=None):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key or fake.api_key}"}
    request = urllib.request.Request(fake.base_url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def test_instructions_are_followed_in_order_and_then_it_echoes(fake_openai):
    fake_openai.fail(503)
    fake_openai.reply("told")

    found = [post(fake_openai, "/chat/completions", CHAT) for _ in range(3)]

    assert [status for status, _ in found] == [503, 200, 200]
    texts = [json.loads(body)["choices"][0]["message"]["content"] for _, body in found[1:]]
    assert texts == ["told", "echo: hi"]
    assert [request.json for request in fake_openai.requests] == [CHAT] * 3


def test_an_instruction_for_one_path_waits_for_it(fake_openai):
    fake_openai.fail(500, on="embeddings")

    chat, _ = post(fake_openai, "/chat/completions", CHAT)
    vectors, _ = post(fake_openai, "/embeddings", {"model": "gpt-4o", "input": "a"})

    assert (chat, vectors) == (200, 500)


@pytest.mark.parametrize(
    ("path", "body", "key", "status"),
    [
        ("/chat/completions", CHAT, "wrong", 401),
        ("/chat/completions", {**CHAT, "model": "nobody"}, None, 404),
        ("/chat/completions", {"model": "gpt-4o", "messages": []}, None, 400),
        ("/chat/completions", [], None, 400),
        ("/embeddings", {"model": "gpt-4o", "input": [7]}, None, 400),
        ("/nothing", {}, None, 404),
    ],
    ids=["key", "model", "messages", "list", "input", "path"],
)
def test_wrong_requests_are_refused_as_the_supplier_does(fake_openai, path, body, key, status):
    found, answer = post(fake_openai, path, body, key)

    assert found == status
    assert set(json.loads(answer)["error"]) == {"message", "type", "param", "code"}


def test_reset_forgets_requests_and_instructions(fake_openai):
    fake_openai.fail(500, times=5)
    post(fake_openai, "/chat/completions", CHAT)

    fake_openai.reset()

    assert fake_openai.requests == []
    assert post(fake_openai, "/chat/completions", CHAT)[0] == 200


def test_it_stops_in_the_midst_of_an_answer():
    fake = FakeOpenAI().start()
    fake.slow(3600)
    failed = []

    def ask():
        try:
            post(fake, "/chat/completions", CHAT)
        except OSError as error:
            failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while not fake.requests:
        asking.join(0.01)
    fake.close()
    asking.join(20)

    assert len(failed) == 1
    assert repr(fake) == "<FakeOpenAI stopped>"


def test_it_has_no_address_before_it_runs():
    with pytest.raises(RuntimeError, match="not running"):
        _ = FakeOpenAI().base_url
