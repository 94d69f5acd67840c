"""What every error carries."""

import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.constants import ErrorCode
from shared.errors import (
    AuthenticationError,
    ConflictError,
    MethodNotAllowedError,
    MissingDependencyError,
    RateLimitError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    SharedError,
    UserNotFoundError,
)


def test_message_defaults_to_the_standard_message_of_the_code():
    assert str(SharedError(code=ErrorCode.CONFLICT)) == "The resource is in a conflicting state"


def test_message_of_an_own_code_defaults_to_that_of_the_class_above():
    class BasketEmptyError(ConflictError):
        code = "BASKET_EMPTY"

    assert BasketEmptyError().to_dict() == {
        "code": "BASKET_EMPTY",
        "message": "The resource is in a conflicting state",
        "details": {},
    }


def test_details_and_headers_are_copied():
    details, headers = {"a": 1}, {"X-A": "1"}
    error = SharedError("m", details=details, headers=headers)

    details["a"], headers["X-A"] = 2, "2"

    assert (error.details, error.headers) == ({"a": 1}, {"X-A": "1"})


def test_to_dict_hands_out_a_copy_of_the_details():
    error = SharedError("m", details={"a": 1})

    error.to_dict()["details"]["a"] = 2

    assert error.details == {"a": 1}


def test_to_dict_has_the_keys_of_the_envelope_in_order():
    assert list(SharedError("m").to_dict()) == ["code", "message", "details"]


def test_cause_is_chained_and_shown_instead_of_the_context():
    cause = KeyError("x")

    error = SharedError("m", cause=cause)

    assert (error.__cause__, error.__suppress_context__) == (cause, True)


def test_retryable_can_be_overridden_for_one_error():
    assert (SharedError().retryable, SharedError(retryable=True).retryable) == (False, True)
    assert ServiceUnavailableError(retryable=False).retryable is False


def test_repr_shows_no_details():
    assert repr(SharedError("m", details={"a": "private"})) == "SharedError('m', code='INTERNAL_ERROR')"


class Unpicklable(Exception):
    def __init__(self):
        super().__init__("holds a lock")
        self.lock = threading.Lock()


class Unloadable(Exception):
    def __init__(self, one, two):
        super().__init__("pickles, but does not load")


@pytest.mark.parametrize("cause", [Unpicklable(), Unloadable(1, 2)], ids=lambda c: type(c).__name__)
def test_a_cause_that_cannot_travel_is_replaced_by_a_note(cause):
    error = SharedError("m", cause=cause)
    error.add_note("first")

    twin = pickle.loads(pickle.dumps(error))

    assert twin.__cause__ is None
    assert twin.__notes__ == ["first", f"caused by {__name__}.{type(cause).__name__}"]
    assert error.__notes__ == ["first"]


@given(st.floats() | st.none() | st.integers(-(10**6), 10**9))
def test_retry_after_is_a_whole_number_of_seconds_that_suffices(seconds):
    error = RateLimitError(retry_after=seconds)

    assert error.retry_after is seconds
    if "Retry-After" in error.headers:
        sent = int(error.headers["Retry-After"])
        assert sent >= max(1, seconds)
        assert sent - 1 < max(1, seconds)
        assert error.details == {"retry_after": sent}


@pytest.mark.parametrize("seconds", [None, float("inf"), float("nan")])
def test_retry_after_that_is_no_time_is_not_sent(seconds):
    error = RateLimitError(retry_after=seconds)

    assert (error.headers, error.details) == ({}, {})


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_retry_after_given_as_a_header_wins_in_any_case(name):
    assert RateLimitError(retry_after=5, headers={name: "9"}).headers == {name: "9"}


def test_retry_after_given_as_a_detail_wins():
    assert RateLimitError(retry_after=5, details={"retry_after": 9}).details == {"retry_after": 9}


@pytest.mark.parametrize("name", ["WWW-Authenticate", "www-authenticate"])
def test_authentication_error_keeps_a_challenge_given_in_any_case(name):
    assert AuthenticationError(headers={name: "Basic"}).headers == {name: "Basic"}


def test_authentication_error_always_carries_a_challenge():
    assert AuthenticationError(challenge='Bearer realm="orders"').headers == {
        "WWW-Authenticate": 'Bearer realm="orders"'
    }


def test_method_not_allowed_names_the_allowed_methods_in_order():
    assert MethodNotAllowedError(allowed=("PUT", "GET")).headers == {"Allow": "GET, PUT"}
    assert MethodNotAllowedError().headers == {}


def test_resource_not_found_names_the_resource_but_not_its_id():
    error = ResourceNotFoundError(resource="order", resource_id=7)

    assert (str(error), error.details) == ("order not found", {"resource": "order", "id": "7"})


def test_resource_not_found_keeps_what_is_given():
    error = UserNotFoundError("no such person", resource_id=7, details={"id": "u-7"})

    assert (str(error), error.details) == ("no such person", {"id": "u-7", "resource": "user"})


def test_resource_not_found_without_a_kind_has_the_standard_message():
    assert ResourceNotFoundError().to_dict() == {
        "code": "NOT_FOUND",
        "message": "Resource not found",
        "details": {},
    }


def test_missing_dependency_prints_the_line_that_installs_it():
    error = MissingDependencyError("nh3", extra="html")

    assert str(error) == "'nh3' is not installed; run: pip install 'libs-shared[html]'"
    assert error.name == "nh3"
