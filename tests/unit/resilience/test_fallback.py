"""Fallbacks: another answer, for what was asked, and never for a cancellation."""

import asyncio

import pytest

from shared.errors import InvalidArgumentError, UnsupportedCallableError
from shared.resilience import FallbackUsed, fallback
from shared.runtime import Events


def fail(*_, **__):
    raise OSError("down")


async def afail(*_, **__):
    raise OSError("down")


def test_a_value_is_answered_when_the_call_fails():
    assert fallback("cached")(fail)() == "cached"


def test_a_good_call_keeps_its_answer():
    assert fallback("cached")(len)("abc") == 3


def test_a_callable_receives_the_error_and_the_arguments():
    answer = fallback(lambda error, *args, **kwargs: (str(error), args, kwargs))(fail)(1, b=2)

    assert answer == ("down", (1,), {"b": 2})


async def test_an_async_call_takes_values_and_both_kinds_of_callables():
    async def later(error):
        return "later"

    assert await fallback("cached")(afail)() == "cached"
    assert await fallback(lambda error: "now")(afail)() == "now"
    assert await fallback(later)(afail)() == "later"


def test_only_the_classes_named_are_answered():
    with pytest.raises(OSError):
        fallback("cached", on=KeyError)(fail)()


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_cancellation_is_never_answered(error):
    @fallback("cached")
    def cancelled():
        raise error

    with pytest.raises(error):
        cancelled()


def test_what_the_fallback_raises_leaves_with_the_error_chained():
    with pytest.raises(ZeroDivisionError) as caught:
        fallback(lambda error: 1 / 0)(fail)()

    assert isinstance(caught.value.__context__, OSError)


def test_the_use_is_told():
    events, heard = Events(), []
    events.subscribe(FallbackUsed, heard.append)

    fallback("cached", name="prices", events=events)(fail)()

    assert [(event.name, str(event.error)) for event in heard] == [("prices", "down")]


def test_an_async_answer_for_a_synchronous_call_is_refused():
    with pytest.raises(UnsupportedCallableError, match="nothing would await"):
        fallback(afail)(fail)


def test_on_refuses_what_must_always_pass():
    with pytest.raises(InvalidArgumentError):
        fallback("cached", on=BaseException)
