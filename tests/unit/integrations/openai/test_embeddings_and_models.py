"""Vectors in batches, how close they are, and which models there are."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.errors import AIServiceError, InvalidArgumentError, PayloadTooLargeError, ValidationError
from shared.integrations.openai import ModelStatus, OpenAIClient, cosine_similarity


def test_vectors_come_in_the_order_of_the_texts(client):
    texts = [f"text number {n}" for n in range(5)]

    found = client.embed(texts)
    single = [client.embed([text]).vectors[0] for text in texts]

    assert found.vectors == single
    assert (found.dimensions, found.model) == (64, "text-embedding-3-small")


def test_many_texts_go_in_batches(client, fake):
    found = client.embed([f"t{n}" for n in range(7)], batch_size=3)

    assert [len(request.json["input"]) for request in fake.requests] == [3, 3, 1]
    assert (len(found.vectors), found.usage.input_tokens) == (7, 7)


def test_long_texts_go_in_smaller_batches(client, fake):
    client.embed(["x" * 100_000] * 5)

    assert [len(request.json["input"]) for request in fake.requests] == [2, 2, 1]


def test_vectors_can_be_shortened(client, fake):
    assert client.embed(["a"], dimensions=8).dimensions == 8


def test_no_texts_are_no_call(client, fake):
    assert client.embed([]).vectors == []
    assert fake.requests == []


@pytest.mark.parametrize("texts", [[""], [" "], ["a", 7], "text", None, [b"x"], ["half \ud800"]], ids=repr)
def test_what_cannot_be_embedded_is_refused_before_any_call(client, fake, texts):
    with pytest.raises(ValidationError):
        client.embed(texts)

    assert fake.requests == []


def test_a_text_above_the_limit_is_refused(make):
    with pytest.raises(PayloadTooLargeError):
        make(max_prompt_chars=10).embed(["x" * 11])


@pytest.mark.parametrize("size", [0, 2049, True, "3"], ids=repr)
def test_a_batch_size_out_of_range_is_refused(client, size):
    with pytest.raises(InvalidArgumentError):
        client.embed(["a"], batch_size=size)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"data": []},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": ["a"]}]},
        {"data": [{"index": 5, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": "not base64!"}]},
        {"data": [{"index": 0, "embedding": "AAA="}]},
        {"data": [7]},
    ],
    ids=["empty", "none", "no numbers", "text", "index", "base64", "half a number", "row"],
)
def test_vectors_that_are_none_are_our_error(make, fake, document):
    fake.malformed(json.dumps(document))

    with pytest.raises(AIServiceError) as caught:
        make(max_attempts=1).embed(["a"])

    assert caught.value.details["reason"] == "malformed"


def test_packed_vectors_are_unpacked():
    from shared.integrations.openai._results import parse_embeddings

    document = {"data": [{"index": 0, "embedding": "AACAPwAAAMA="}], "usage": {"prompt_tokens": 1}}

    assert parse_embeddings(document, "m", 1)[0] == [[1.0, -2.0]]


def test_texts_that_share_words_are_close(client):
    red, white, tax = client.embed(["red wine", "white wine", "tax return"]).vectors

    assert cosine_similarity(red, white) > cosine_similarity(red, tax)


VECTORS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=n, max_size=n)] * 2
    )
)


@given(VECTORS)
def test_similarity_is_between_minus_one_and_one_and_has_no_direction(pair):
    a, b = pair

    found = cosine_similarity(a, b)

    assert -1.0 <= found <= 1.0
    assert found == cosine_similarity(b, a)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1).filter(any))
def test_a_vector_is_the_same_as_itself(vector):
    assert math.isclose(cosine_similarity(vector, vector), 1.0)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([1.0], [1.0, 2.0]),
        ([float("nan")], [1.0]),
        ([float("inf")], [1.0]),
        ("ab", "cd"),
        ([None], [1]),
        (7, 8),
    ],
    ids=["empty", "lengths", "nan", "inf", "text", "none", "numbers"],
)
def test_what_is_no_vector_is_refused(a, b):
    with pytest.raises(ValidationError):
        cosine_similarity(a, b)


# --- models ---------------------------------------------------------------------------------------


def test_a_model_that_is_served_is_available_and_is_asked_for_once(client, fake):
    assert [client.validate_model("gpt-4o") for _ in range(3)] == [ModelStatus.AVAILABLE] * 3
    assert len(fake.requests) == 1


def test_a_model_that_is_not_served_is_false(client):
    status = client.validate_model("gpt-99")

    assert (status, bool(status)) == (ModelStatus.UNAVAILABLE, False)


def test_a_model_nobody_can_ask_about_is_unknown_and_true(client, fake):
    fake.fail(500, times=3)

    status = client.validate_model("gpt-4o")

    assert (status, bool(status)) == (ModelStatus.UNKNOWN, True)
    assert client.validate_model("gpt-4o") is ModelStatus.AVAILABLE  # it was asked again


@pytest.mark.parametrize("model", ["../../etc/passwd", "", "a b", None, "x" * 300], ids=repr)
def test_what_is_no_name_is_no_model_and_is_not_asked_for(client, fake, model):
    assert client.validate_model(model) is ModelStatus.UNAVAILABLE
    assert fake.requests == []


def test_a_name_with_slashes_is_one_segment_of_the_path(client, fake):
    client.validate_model("org/model:free")

    assert fake.requests[0].path == "/v1/models/org%2Fmodel%3Afree"


def test_well_known_models_of_openai_need_no_question_and_no_key():
    with OpenAIClient() as client:
        assert client.validate_model("gpt-4") is ModelStatus.AVAILABLE
        assert client.validate_model("brand-new") is ModelStatus.UNKNOWN


def test_models_are_listed(client, fake):
    assert "gpt-4o" in client.list_models()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "id",
                    "usage",
                    "data",
                    "index",
                    "embedding",
                    "prompt_tokens",
                    "delta",
                    "finish_reason",
                    "refusal",
                    "error",
                    "model",
                ]
            ),  # fmt: skip
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@hypothesis_settings(deadline=None)
@given(JSON, st.integers(0, 3))
def test_hostile_answers_raise_only_our_error(document, count):
    from shared.integrations.openai._results import parse_chat, parse_embeddings
    from shared.integrations.openai._stream import _Parts

    parts = _Parts("m")
    for read in (
        lambda: parse_chat(document, "m"),
        lambda: parse_chat({"choices": [{"message": document}]}, "m"),
        lambda: parse_embeddings(document, "m", count),
        lambda: parse_embeddings({"data": [document]}, "m", 1),
        lambda: parts.take(document),
        lambda: parts.take({"choices": [{"delta": document}]}),
        lambda: parts.result("", complete=True),
    ):
        with contextlib.suppress(AIServiceError):
            read()


@hypothesis_settings(deadline=None)
@given(st.lists(st.sampled_from([b"data: ", b"{", b"}", b"\n", b"\r\n", b"\n\n", b"[DONE]", b'{"a":1}', b":", b"\xff"])
                | st.binary(max_size=8), max_size=30))  # fmt: skip
def test_hostile_streams_raise_only_our_error(chunks):
    from shared.integrations.openai._sse import EventStream

    stream = EventStream("m", max_bytes=200)

    with contextlib.suppress(AIServiceError):
        for chunk in chunks:
            stream.feed(chunk)


@given(st.integers(1, 40))
def test_a_stream_may_be_cut_into_pieces_anywhere(size):
    from shared.integrations.openai._sse import EventStream

    text = b': hello\r\n\r\nevent: x\ndata: {"a": "\xc3\xa4"}\r\n\r\ndata: {"b":\ndata: 2}\n\ndata: [DONE]\n\ndata: {"c": 3}\n\n'
    stream = EventStream("m", max_bytes=1000)

    found = [document for n in range(0, len(text), size) for document in stream.feed(text[n : n + size])]

    assert found == [{"a": "ä"}, {"b": 2}]
    assert stream.done
