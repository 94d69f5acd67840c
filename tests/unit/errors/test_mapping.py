"""From statuses and foreign exceptions to ours."""

import asyncio
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    BusinessError,
    ConflictError,
    DeadlineExceededError,
    ErrorMap,
    InfrastructureError,
    InvalidArgumentError,
    MissingDependencyError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    SharedError,
    ValidationError,
    error_for_status,
)


@given(st.integers(400, 599))
def test_error_for_status_keeps_the_status_and_the_branch(status):
    error = error_for_status(status)

    assert error.status == status
    if status != 500:
        assert isinstance(error, BusinessError if status < 500 else InfrastructureError)


@given(st.integers(400, 599))
def test_error_for_status_takes_message_and_headers(status):
    error = error_for_status(status, "why", headers={"X-A": "1"})

    assert str(error) == "why"
    assert error.headers["X-A"] == "1"


@pytest.mark.parametrize(
    ("status", "code"), [(418, "HTTP_ERROR"), (505, "INFRASTRUCTURE_ERROR"), (500, "INTERNAL_ERROR")]
)
def test_error_for_status_without_a_class_has_a_general_code(status, code):
    assert str(error_for_status(status).code) == code


def test_error_for_status_410_does_not_speak_of_api_versions():
    assert error_for_status(410).to_dict()["message"] == "The resource has been removed"


class Base(Exception):
    pass


class Middle(Base):
    pass


class Leaf(Middle):
    pass


def test_translate_prefers_the_nearest_class_of_the_mro():
    errors = ErrorMap()
    errors.register(Base, ConflictError)
    errors.register(Middle, ValidationError)

    assert type(errors.translate(Leaf())) is ValidationError
    assert type(errors.translate(Base())) is ConflictError


def test_translate_follows_the_order_of_several_bases():
    class Both(Middle, KeyError):
        pass

    errors = ErrorMap()
    errors.register(KeyError, ResourceNotFoundError)
    errors.register(Base, ConflictError)

    assert type(errors.translate(Both())) is ConflictError


@pytest.mark.parametrize("name", [f"{__name__}.Middle", "builtins.LookupError"])
def test_translate_finds_a_rule_by_name_without_an_import(name):
    errors = ErrorMap()
    errors.register(name, ConflictError)

    assert {type(errors.translate(exc)) for exc in (Leaf(), KeyError()) if errors.translate(exc)} == {
        ConflictError
    }


def test_translate_prefers_a_class_over_its_name():
    errors = ErrorMap()
    errors.register(f"{__name__}.Leaf", ConflictError)
    errors.register(Leaf, ValidationError)

    assert type(errors.translate(Leaf())) is ValidationError


def test_translate_chains_the_cause_and_hides_its_text():
    errors = ErrorMap()
    errors.register(Base, ConflictError)
    exc = Leaf("password=hunter2")

    error = errors.translate(exc)

    assert error.__cause__ is exc
    assert "hunter2" not in str(error)


def test_translate_calls_a_rule_with_the_exception():
    errors = ErrorMap()
    errors.register(Base, lambda exc: ConflictError(f"because of {exc}"))

    assert str(errors.translate(Leaf("x"))) == "because of x"


def test_translate_returns_our_own_error_itself():
    error = DeadlineExceededError()

    assert ErrorMap().translate(error) is error


def test_translate_returns_none_when_no_rule_fits():
    assert ErrorMap().translate(ValueError()) is None


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (ConnectionRefusedError(), ServiceUnavailableError),
        (BrokenPipeError(), ServiceUnavailableError),
        (TimeoutError(), DeadlineExceededError),
        (asyncio.TimeoutError(), DeadlineExceededError),
        (socket.timeout(), DeadlineExceededError),
    ],
    ids=repr,
)
def test_translate_knows_connections_and_timeouts_from_the_start(exc, expected):
    assert type(ErrorMap().translate(exc)) is expected


def test_a_later_rule_replaces_the_earlier_also_after_use():
    errors = ErrorMap()
    errors.register(Base, ConflictError)
    errors.translate(Leaf())

    errors.register(Base, ValidationError)

    assert type(errors.translate(Leaf())) is ValidationError


def test_rules_of_two_maps_are_apart():
    ErrorMap().register(Base, ConflictError)

    assert ErrorMap().translate(Leaf()) is None


@pytest.mark.parametrize("foreign", ["KeyError", "", "a..b", "a b.c", 7, None, int, KeyError()], ids=repr)
def test_register_refuses_what_is_no_exception_class_or_name(foreign):
    with pytest.raises(InvalidArgumentError, match="exception class or its dotted name"):
        ErrorMap().register(foreign, ConflictError)


@pytest.mark.parametrize("to", [MissingDependencyError, KeyError, dict], ids=lambda cls: cls.__name__)
def test_register_refuses_a_class_that_could_not_be_raised_later(to):
    with pytest.raises(InvalidArgumentError, match=to.__name__):
        ErrorMap().register(Base, to)


def test_memory_of_classes_made_at_run_time_is_bounded():
    errors = ErrorMap()

    for n in range(2_500):
        errors.translate(type(f"Made{n}", (Exception,), {})())

    assert len(errors._memo) <= 1024


def test_translate_serves_many_threads():
    errors = ErrorMap()
    errors.register(Base, ConflictError)
    wrong = []

    def work():
        for n in range(300):
            if not isinstance(errors.translate(type(f"L{n}", (Leaf,), {})()), ConflictError):
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@given(st.sampled_from([OSError, KeyError, ValueError, RuntimeError, EOFError]), st.text(max_size=20))
def test_translate_gives_ours_or_nothing(cls, text):
    assert isinstance(ErrorMap().translate(cls(text)), SharedError | None)
