import json
from enum import Enum
from typing import Annotated, Literal, Union
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic import ValidationError as Refused
from pydantic_core import PydanticCustomError

from shared.api import load_model, validation_error
from shared.errors import BadRequestError, SharedError, ValidationError

SECRET = "hunter2-hunter2"


def quotes(value):
    msg = f"{value!r} is not allowed"
    raise ValueError(msg)


def breaks_rule(value):
    raise PydanticCustomError("own_rule", "value {value} breaks the rule", {"value": value})


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Order(BaseModel):
    qty: int = 1
    id: UUID | None = None
    colour: Colour = Colour.RED
    price: Annotated[float, Field(gt=0)] = 1.0
    code: Annotated[str, Field(pattern="^[a-z]+$", max_length=5)] = "a"
    quoted: Annotated[str, AfterValidator(quotes)] | None = None
    custom: Annotated[str, AfterValidator(breaks_rule)] | None = None
    secret: SecretStr | None = None
    pet: Annotated[Cat | Dog, Discriminator("kind")] | None = None
    nested: list[dict[str, int]] = []

    @field_validator("qty")
    @classmethod
    def positive(cls, value):
        if value < 1:
            raise ValueError("must be at least 1")
        return value


def error_of(model, data):
    try:
        load_model(model, data)
    except SharedError as error:
        return error
    return None


def refuse(data, model=Order):
    with pytest.raises(ValidationError) as caught:
        load_model(model, data)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        {"qty": SECRET},
        {"id": SECRET},
        {"colour": SECRET},
        {"price": SECRET},
        {"code": SECRET},
        {"quoted": SECRET},
        {"custom": SECRET},
        {"secret": {"a": SECRET}},
        {"pet": {"kind": SECRET}},
        {"pet": SECRET},
        {"nested": [{"a": SECRET}]},
        SECRET,
        [SECRET],
    ],
    ids=str,
)
def test_input_is_never_told(data):
    error = refuse(data)

    assert SECRET not in json.dumps(error.to_dict())
    assert SECRET not in str(error) + repr(error)
    assert error.__cause__ is None
    assert [sorted(item) for item in error.details["errors"]] == [["field", "message", "type"]]


def test_message_of_the_services_own_validator_is_kept():
    (item,) = refuse({"qty": 0}).details["errors"]

    assert item == {"field": "qty", "message": "Value error, must be at least 1", "type": "value_error"}


def test_message_that_quotes_a_nested_input_is_replaced():
    class Login(BaseModel):
        user: str
        tries: list[int]

        @model_validator(mode="after")
        def check(self):
            msg = f"bad login {self}"
            raise ValueError(msg)

    (item,) = refuse({"user": SECRET, "tries": [12345]}, Login).details["errors"]

    assert item == {"field": "", "message": "Invalid value", "type": "value_error"}


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        1234567,
        0.123456,
        SECRET.encode(),
        [SECRET],
        {SECRET},
        {"a": [SECRET]},
        Cat.model_construct(kind=SECRET),
    ],
    ids=repr,
)
def test_quoted_input_is_found_wherever_it_is(value):
    leaf = {int: "1234567", float: "0.123456"}.get(type(value), SECRET)

    class Report:
        def errors(self):
            return [{"type": "value_error", "loc": ("a",), "msg": f"no {leaf}", "input": value}]

    assert validation_error(Report()).details["errors"][0]["message"] == "Invalid value"


def test_path_of_the_field_is_dotted():
    error = refuse({"nested": [{}, {"a": "x"}]})

    assert error.details["errors"][0]["field"] == "nested.1.a"


def test_path_with_the_callers_own_keys_is_short_and_printable():
    error = refuse({"nested": [{"k\n\x1b" + "x" * 10_000: "y"}]})

    field = error.details["errors"][0]["field"]
    assert len(field) < 80
    assert field.isprintable()


def test_at_most_50_errors_are_told_and_the_rest_counted():
    error = refuse({"nested": [{"a": "x"}] * 1000})

    assert len(error.details["errors"]) == 50
    assert error.details["total"] == 1000


@pytest.mark.parametrize("body", [b"{", b"", b'{"qty": \xff}', b"[" * 100_000, b"nope"])
def test_body_that_is_no_json_is_400(body):
    with pytest.raises(BadRequestError) as caught:
        load_model(Order, body)

    assert caught.value.details["reason"] == "json_invalid"


def test_body_that_fits_is_the_model():
    assert load_model(Order, b'{"qty": 3}').qty == 3
    assert load_model(Order, bytearray(b'{"qty": 3}')).qty == 3
    assert load_model(list[int], [1, "2"]) == [1, 2]


def test_broken_json_in_a_framework_report_is_400_with_the_position():
    class Report:
        def errors(self):
            return [{"type": "json_invalid", "loc": ("body", 7), "msg": "JSON decode error", "input": SECRET}]

    error = validation_error(Report())

    assert (error.status, error.details) == (400, {"reason": "json_invalid", "position": 7})


def test_union_with_a_callable_discriminator_does_not_tell_the_tag():
    shape = TypeAdapter(
        Annotated[
            Union[Annotated[Cat, Tag("cat")], Annotated[Dog, Tag("dog")]],
            Discriminator(lambda value: value["kind"]),
        ]
    )
    with pytest.raises(Refused) as caught:
        shape.validate_python({"kind": SECRET})

    assert SECRET not in str(validation_error(caught.value).details)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(list(Order.model_fields)) | st.text(), inner, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_any_input_is_a_model_or_our_error(data):
    error = error_of(Order, data)

    assert error is None or SECRET not in json.dumps(error.details)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_our_error(body):
    error = error_of(dict[str, int], body)

    assert error is None or error.status in (400, 422)
