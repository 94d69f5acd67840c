import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from shared.api import Success, error_bytes, error_response, success_bytes, success_response
from shared.api._envelope import timestamp

SUCCESS_KEYS = ["success", "data", "message", "timestamp", "version"]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")


class Item(BaseModel):
    id: int
    unit_price: float = Field(1.0, serialization_alias="unitPrice")


def test_success_has_the_documented_keys_in_the_documented_order():
    assert list(success_response({"id": 1})) == SUCCESS_KEYS


def test_success_has_the_documented_values():
    envelope = success_response({})

    assert envelope | {"timestamp": ""} == {
        "success": True,
        "data": {},
        "message": "Operation successful",
        "timestamp": "",
        "version": "v1",
    }


def test_error_has_the_documented_shape():
    envelope = error_response("VALIDATION_ERROR", "Invalid input data")

    assert list(envelope) == ["success", "error", "timestamp", "version"]
    assert list(envelope["error"]) == ["code", "message", "details"]
    assert envelope | {"timestamp": ""} == {
        "success": False,
        "error": {"code": "VALIDATION_ERROR", "message": "Invalid input data", "details": {}},
        "timestamp": "",
        "version": "v1",
    }


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (1735689600, "2025-01-01T00:00:00Z"),
        (1735689600.999, "2025-01-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_timestamp_is_whole_seconds_of_utc(now, text):
    assert timestamp(now) == text


def test_timestamp_moves_with_the_clock():
    assert [timestamp(1.0), timestamp(2.0), timestamp(1.0)] == [
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:02Z",
        "1970-01-01T00:00:01Z",
    ]


@pytest.mark.parametrize("make", [success_response, error_response], ids=["success", "error"])
def test_envelopes_carry_the_present_second(make):
    envelope = make("X", "y")

    assert STAMP.match(envelope["timestamp"])


def test_meta_exists_only_when_it_is_given():
    assert "meta" not in success_response([1])
    assert list(success_response([1], meta={"total": 1})) == [*SUCCESS_KEYS, "meta"]


def test_version_can_be_another():
    assert success_response(version="v2")["version"] == "v2"
    assert error_response("X", "y", version="v2")["version"] == "v2"


def shown(raw):
    envelope = json.loads(raw)
    assert STAMP.match(envelope.pop("timestamp"))
    return envelope


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.text(max_size=50),
)
def test_success_bytes_are_the_mapping_as_json(data, message):
    raw = success_bytes(data, message, version="v2", meta={"n": 1})

    expected = success_response(data, message, version="v2", meta={"n": 1})
    assert list(json.loads(raw)) == [*SUCCESS_KEYS, "meta"]
    assert shown(raw) == shown(json.dumps(expected))


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=5), st.integers()))
def test_error_bytes_are_the_mapping_as_json(message, details):
    raw = error_bytes("CODE", message, details, version="v3")

    assert shown(raw) == shown(json.dumps(error_response("CODE", message, details, version="v3")))


def test_models_are_serialised_by_alias_like_fastapi_does():
    assert shown(success_bytes(Item(id=1)))["data"] == {"id": 1, "unitPrice": 1.0}
    assert shown(success_bytes([Item(id=1)]))["data"] == [{"id": 1, "unitPrice": 1.0}]
    assert shown(success_bytes({"item": Item(id=1)}))["data"] == {"item": {"id": 1, "unitPrice": 1.0}}


def test_model_with_not_a_number_is_null():
    broken = Item(id=1, unit_price=float("nan"))

    assert [shown(success_bytes(d))["data"] for d in (broken, [broken])] == [
        {"id": 1, "unitPrice": None},
        [{"id": 1, "unitPrice": None}],
    ]


class Name(BaseModel):
    name: str


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: [m], lambda m: {"m": m}])
def test_model_with_a_lone_surrogate_is_still_sent(wrap):
    raw = success_bytes(wrap(Name.model_construct(name="a\ud800b")))

    assert "a\ufffdb" in raw.decode()


def test_success_object_brings_message_and_meta():
    envelope = shown(success_bytes(Success([1], message="One", meta={"total": 1})))

    assert (envelope["data"], envelope["message"], envelope["meta"]) == ([1], "One", {"total": 1})


def test_bytes_move_with_the_clock(monkeypatch):
    from shared.api import _envelope

    stamps = []
    for now in (1735689600.0, 1735689600.9, 1735689601.0):
        monkeypatch.setattr(_envelope.time, "time", lambda now=now: now)
        stamps.append(json.loads(success_bytes([1], meta={"n": 1}))["timestamp"])

    assert stamps == ["2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "2025-01-01T00:00:01Z"]


def test_changing_messages_do_not_pile_up():
    from shared.api import _envelope

    for n in range(1000):
        success_bytes(None, f"message {n}")

    assert len(_envelope._tails) <= 256
