"""Wrong arguments are refused with the value and the limit; functions are told apart."""

import functools

import pytest

from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.resilience._checks import (
    at_least,
    call_name,
    error_classes,
    is_async,
    no_coroutine,
    seconds,
    share,
    whole,
)


@pytest.mark.parametrize(
    "wrong", [-0.1, float("nan"), float("inf"), "1", None, True, 10**400], ids=lambda value: str(value)[:9]
)
def test_a_number_must_be_finite_and_large_enough(wrong):
    with pytest.raises(InvalidArgumentError, match="delay must be"):
        at_least("delay", wrong, 0.0)


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        (seconds, 0.0),
        (seconds, -1),
        (whole, 0),
        (whole, 1.0),
        (whole, True),
        (share, 0.0),
        (share, 1.1),
        (share, 50),
    ],
)
def test_the_refusal_shows_name_and_value(check, wrong):
    with pytest.raises(InvalidArgumentError, match=f"^limit must be .* got {wrong!r}$"):
        check("limit", wrong)


def test_good_values_come_back_as_they_should_be():
    assert (at_least("x", 2, 0.0), seconds("x", 2), whole("x", 2), share("x", 1)) == (2.0, 2.0, 2, 1.0)
    assert error_classes("on", [OSError, KeyError]) == (OSError, KeyError)
    assert error_classes("on", OSError) == (OSError,)


class Async:
    async def __call__(self): ...

    async def method(self): ...


async def coroutine(): ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (len, False),
        (lambda: 1, False),
        (dict, False),
        (coroutine, True),
        (Async(), True),
        (Async().method, True),
        (functools.partial(coroutine), True),
        (functools.partial(functools.partial(Async())), True),
        (functools.partial(len), False),
    ],
)
def test_coroutine_functions_are_told_apart(function, expected):
    assert is_async(function) is expected


def test_names_are_those_of_the_function_beneath():
    assert call_name(functools.partial(functools.partial(len))) == "len"
    assert call_name(Async()) == "Async"


def test_what_cannot_be_called_is_refused():
    with pytest.raises(UnsupportedCallableError, match="not callable"):
        is_async(5)


def test_a_coroutine_is_closed_when_it_is_refused():
    made = coroutine()

    with pytest.raises(UnsupportedCallableError, match="use await it"):
        no_coroutine(made, coroutine, "await it")

    assert made.cr_frame is None
