"""Deadlines: what is left, for this service and the next."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.context import get_deadline, request_context
from shared.errors import DeadlineExceededError, InvalidArgumentError
from shared.resilience import Deadline, time_left
from shared.resilience.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


def test_what_is_left_shrinks_with_time_and_never_below_zero(clock):
    deadline = Deadline.after(5.0, clock=clock)
    left = [deadline.remaining()]

    for _ in range(3):
        clock.advance(2.0)
        left.append(deadline.remaining())

    assert left == [5.0, 3.0, 1.0, 0.0]
    assert deadline.expired


def test_check_passes_in_time_and_raises_a_final_error_after(clock):
    deadline = Deadline.after(5.0, clock=clock)
    deadline.check()
    clock.advance(5.25)

    with pytest.raises(
        DeadlineExceededError, match=r"the deadline for the report passed 0.250 s ago"
    ) as caught:
        deadline.check("the report")

    assert caught.value.retryable is False


def test_a_scope_puts_the_deadline_in_force_and_ends(clock):
    with request_context(), Deadline.after(5.0, clock=clock).scope() as at:
        assert get_deadline() == at == clock() + 5.0
        assert Deadline.current(clock=clock).remaining() == 5.0
    assert Deadline.current() is None


def test_an_inner_scope_never_extends_an_outer_one(clock):
    with Deadline.after(1.0, clock=clock).scope(), Deadline.after(9.0, clock=clock).scope():
        assert Deadline.current(clock=clock).remaining() == 1.0


@given(st.floats(0, 80_000))
def test_a_deadline_crosses_services_as_seconds_left(seconds):
    here, there = FakeClock(5.0), FakeClock(9_999_999.0)

    header = Deadline.after(seconds, clock=here).header()

    assert Deadline.from_header(header, clock=there).remaining() == pytest.approx(seconds, abs=0.002)


@given(st.text(max_size=30))
@example("nan")
@example("inf")
@example("-1")
@example("1e3")
@example("٣")
@example("0x10")
@example("1_000")
@example("9999999.999999999")
def test_any_header_is_a_deadline_within_the_cap_or_none(value):
    clock = FakeClock()

    deadline = Deadline.from_header(value, longest=60.0, clock=clock)

    assert deadline is None or 0.0 <= deadline.remaining() <= 60.0


@pytest.mark.parametrize(
    ("value", "left"), [("1.5", 1.5), (" 2 ", 2.0), (".5", 0.5), ("0", 0.0), ("1.", None), ("", None)]
)
def test_forms_of_the_header(value, left, clock):
    deadline = Deadline.from_header(value, clock=clock)

    assert (deadline and deadline.remaining()) == left


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), "5"])
def test_a_deadline_needs_a_finite_time(wrong):
    with pytest.raises(InvalidArgumentError):
        Deadline.after(wrong)


def test_time_left_is_the_smaller_of_limit_and_deadline(clock):
    assert (time_left(clock=clock), time_left(3.0, clock=clock)) == (None, 3.0)

    with Deadline.after(2.0, clock=clock).scope():
        assert time_left(clock=clock) == 2.0
        assert time_left(1.0, clock=clock) == 1.0
        assert time_left(3.0, margin=0.5, clock=clock) == 1.5
        clock.advance(9.0)
        assert time_left(3.0, clock=clock) == 0.0


def test_the_repr_shows_what_is_left(clock):
    assert repr(Deadline.after(1.5, clock=clock)) == "<Deadline in 1.500 s>"
