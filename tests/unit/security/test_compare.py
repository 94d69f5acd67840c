"""Comparison of secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security import constant_time_equals

anything = st.none() | st.text() | st.binary() | st.integers() | st.floats() | st.booleans()


@given(st.text())
def test_equals_holds_for_text_and_its_bytes(text):
    same = text.encode("utf-8", "surrogatepass")

    assert constant_time_equals(text, same)
    assert constant_time_equals(bytearray(same), memoryview(same))


@given(st.text(), st.text())
def test_equals_agrees_with_the_operator(a, b):
    assert constant_time_equals(a, b) is (a == b)


@given(anything, anything)
def test_equals_never_raises_and_is_symmetric(a, b):
    assert constant_time_equals(a, b) is constant_time_equals(b, a)


@pytest.mark.parametrize("value", [None, 7, object(), ["a"]], ids=lambda value: type(value).__name__)
def test_equals_is_false_for_what_is_no_text_even_with_itself(value):
    assert constant_time_equals(value, value) is False


def test_equals_is_false_for_a_released_memoryview():
    view = memoryview(b"secret")
    view.release()

    assert constant_time_equals(view, b"secret") is False


def test_equals_is_not_fooled_by_a_subclass_of_str():
    class Liar(str):
        __slots__ = ()

        def encode(self, *_):
            return b"secret"

        def __eq__(self, other):
            return True

        __hash__ = str.__hash__

    assert constant_time_equals(Liar("wrong"), "secret") is False
