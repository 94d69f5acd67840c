"""What a breaker's configuration accepts, and what an error says about a dependency."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    BulkheadFullError,
    CircuitOpenError,
    DeadlineExceededError,
    ExternalServiceError,
    InvalidArgumentError,
    RateLimitError,
    ResourceNotFoundError,
    ValidationError,
)
from shared.resilience import BreakerConfig
from shared.resilience._windows import ConsecutiveWindow, CountWindow, TimeWindow


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, ConsecutiveWindow),
        ({"failure_rate": 0.5}, CountWindow),
        ({"failure_rate": 0.5, "window_seconds": 10.0}, TimeWindow),
        ({"slow_call_seconds": 1.0}, CountWindow),
        ({"failure_threshold": None, "failure_rate": 0.5}, CountWindow),
    ],
)
def test_the_thresholds_choose_the_window(options, kind):
    assert type(BreakerConfig(**options).new_window()) is kind


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"failure_threshold": 2.5},
        {"failure_threshold": None},
        {"recovery_timeout": -1.0},
        {"recovery_timeout": float("nan")},
        {"success_threshold": 0},
        {"half_open_max_calls": 0},
        {"failure_rate": 0.0},
        {"failure_rate": 1.5},
        {"failure_rate": 50},
        {"failure_rate": 0.5, "window_calls": 10, "minimum_calls": 20},
        {"window_calls": 0},
        {"window_seconds": 0.0},
        {"minimum_calls": 0},
        {"slow_call_seconds": 0.0},
        {"slow_call_rate": 0.0},
        {"half_open_timeout": 0.0},
        {"recovery_multiplier": 0.5},
        {"max_recovery_timeout": -1.0},
        {"recovery_jitter": 1.5},
        {"record": "OSError"},
        {"record": BaseException},
        {"ignore": (KeyboardInterrupt,)},
    ],
)
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        BreakerConfig(**wrong)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (OSError(), True),
        (ExternalServiceError(), True),
        (DeadlineExceededError(), True),
        (TimeoutError(), True),
        (RateLimitError(), True),
        (ResourceNotFoundError(), False),
        (ValidationError(), False),
        (DeadlineExceededError(retryable=False), None),
        (CircuitOpenError(), None),
        (BulkheadFullError(), None),
        (asyncio.CancelledError(), None),
        (KeyboardInterrupt(), None),
        (GeneratorExit(), None),
    ],
)
def test_by_default_an_error_says_whether_the_dependency_failed(error, verdict):
    assert BreakerConfig().judge(error) is verdict


@pytest.mark.parametrize(
    ("options", "error", "verdict"),
    [
        ({"record": OSError}, KeyError(), False),
        ({"record": [OSError, KeyError]}, KeyError(), True),
        ({"record": lambda e: "down" in str(e)}, OSError("down"), True),
        ({"record": lambda e: "down" in str(e)}, OSError("up"), False),
        ({"record": ResourceNotFoundError}, ResourceNotFoundError(), True),
        ({"ignore": KeyError}, KeyError(), None),
        ({"ignore": KeyError}, OSError(), True),
        ({"ignore": lambda e: e.args == (1,)}, OSError(1), None),
        ({"record": OSError, "ignore": ConnectionError}, ConnectionResetError(), None),
        ({"record": Exception}, CircuitOpenError(), None),
    ],
)
def test_record_and_ignore_are_classes_or_predicates(options, error, verdict):
    assert BreakerConfig(**options).judge(error) is verdict


@given(st.integers(0, 10_000), st.floats(0, 100), st.floats(1, 10), st.floats(0, 500))
def test_the_open_time_is_bounded(reopened, recovery, multiplier, cap):
    config = BreakerConfig(
        recovery_timeout=recovery, recovery_multiplier=multiplier, max_recovery_timeout=cap
    )

    assert recovery <= config.open_seconds(reopened, lambda: 0.5) <= max(cap, recovery)
