import pytest

from shared.errors import OrderNotFoundError
from shared.logging import get_logger
from shared.logging._exceptions import describe_exception, render_lines


def caught(raiser):
    try:
        raiser()
    except BaseException as exc:
        return exc
    raise AssertionError("nothing raised")


def describe(exc):
    return describe_exception(exc, lambda text: text)


def fail():
    secret = "local value"  # noqa: F841
    raise ValueError("wrong")


def test_an_exception_has_type_message_and_frames():
    found = describe(caught(fail))

    assert found["type"] == "ValueError"
    assert found["message"] == "wrong"
    assert [frame["func"] for frame in found["frames"]] == ["caught", "fail"]
    assert found["frames"][0]["file"] == __file__
    assert isinstance(found["frames"][0]["line"], int)


def test_no_local_value_is_shown():
    assert "local value" not in str(describe(caught(fail)))


def test_an_error_of_ours_shows_its_code():
    assert describe(OrderNotFoundError("gone"))["code"] == "NOT_FOUND"


def test_the_stated_cause_is_described():
    def chained():
        try:
            fail()
        except ValueError as exc:
            raise KeyError("k") from exc

    found = describe(caught(chained))

    assert found["type"] == "KeyError"
    assert found["cause"]["type"] == "ValueError"
    assert "context" not in found


def test_what_was_being_handled_is_described_as_context():
    def nested():
        try:
            fail()
        except ValueError:
            raise KeyError("k")  # noqa: B904 - no cause is stated here on purpose

    assert describe(caught(nested))["context"]["type"] == "ValueError"


def test_a_suppressed_context_stays_out():
    def nested():
        try:
            fail()
        except ValueError:
            raise KeyError("k") from None

    found = describe(caught(nested))
    assert "context" not in found
    assert "cause" not in found


def test_a_circle_of_causes_ends():
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first

    found = describe(first)

    assert "cause" not in found["cause"]


def test_a_long_chain_is_cut():
    exc = ValueError("0")
    for number in range(100):
        outer = ValueError(str(number))
        outer.__cause__ = exc
        exc = outer

    assert str(describe(exc)).count("'type'") == 9


def test_a_deep_recursion_shows_both_ends():
    def recurse(depth):
        if depth:
            recurse(depth - 1)
        raise RuntimeError("deep")

    frames = describe(caught(lambda: recurse(200)))["frames"]

    assert len(frames) == 41
    assert frames[20] == {"omitted": 163}


def test_notes_are_shown():
    exc = ValueError("x")
    exc.add_note("tried twice")

    assert describe(exc)["notes"] == ["tried twice"]


def test_the_members_of_a_group_are_described():
    group = ExceptionGroup("many", [ValueError(str(n)) for n in range(15)])

    found = describe(group)

    assert len(found["exceptions"]) == 10
    assert found["exceptions_omitted"] == 5


def test_a_hostile_message_is_contained():
    class Hostile(Exception):
        def __str__(self):
            raise RuntimeError("no")

    assert "RuntimeError in __str__" in describe(Hostile())["message"]


def test_a_validation_error_of_an_unknown_version_keeps_its_type():
    class Odd(Exception):
        def errors(self, **kwargs):
            raise TypeError("other arguments")

    Odd.__module__ = "pydantic_core.odd"

    assert describe(Odd("input"))["message"].endswith("Odd")


def test_the_exception_may_be_given_in_three_forms(handle, memory):
    exc = caught(fail)
    log = get_logger()
    log.error("a", exc_info=exc)
    log.error("b", exc_info=(type(exc), exc, exc.__traceback__))
    try:
        raise exc
    except ValueError:
        log.error("c", exc_info=True)  # noqa: G201 - this spelling is tested

    assert [event["exception"]["type"] for event in memory.events] == ["ValueError"] * 3


@pytest.mark.parametrize("nothing", [True, False, None, (None, None, None), (), 0])
def test_without_an_exception_there_is_none_on_the_line(handle, memory, nothing):
    get_logger().error("a", exc_info=nothing)

    assert "exception" not in memory.events[0]
    assert "exc_info" not in memory.events[0]


def test_a_field_named_exception_gives_way_to_the_real_one(handle, memory):
    get_logger().error("a", exc_info=ValueError("real"), exception="mine")
    get_logger().error("b", exception="mine")

    assert memory.events[0]["extra.exception"] == "mine"
    assert memory.events[1]["exception"] == "mine"


def test_an_exception_becomes_lines_for_people():
    def chained():
        try:
            fail()
        except ValueError as exc:
            raise ExceptionGroup("g", [KeyError("k")]) from exc

    exc = caught(chained)
    exc.add_note("a note")
    lines = render_lines(describe(exc))

    assert lines[0] == "ExceptionGroup: g (1 sub-exception)"
    assert "  note: a note" in lines
    assert any(line.startswith("  [1] KeyError") for line in lines)
    assert "caused by ValueError: wrong" in lines


def test_omitted_frames_are_named_in_the_lines():
    assert "  ... 7 frames omitted" in render_lines({"type": "E", "message": "m", "frames": [{"omitted": 7}]})
