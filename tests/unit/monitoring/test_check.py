import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigurationError
from shared.monitoring import HealthCheck, HealthStatus
from shared.monitoring._check import failure, result_of


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (None, "healthy"),
        (True, "healthy"),
        (False, "unhealthy"),
        ("healthy", "healthy"),
        ("PASS", "healthy"),
        ("degraded", "degraded"),
        ("warn", "degraded"),
        ("unhealthy", "unhealthy"),
        ("down", "unhealthy"),
        ({}, "healthy"),
        ({"status": "degraded", "lag": 3}, "degraded"),
    ],
)
def test_an_outcome_is_read_as_its_status(outcome, status):
    assert result_of(outcome, 0.1).status == status


@pytest.mark.parametrize("outcome", ["fine, thanks", 7, object(), {"status": 3}, {"status": "so so"}])
def test_an_outcome_that_means_nothing_is_unhealthy_and_says_so(outcome):
    result = result_of(outcome, 0.1)

    assert result.status is HealthStatus.UNHEALTHY
    assert "no status" in result.error or "no outcome" in result.error


def test_a_bare_result_is_shown_as_its_status():
    assert result_of(True, 0.1).public() == "healthy"


def test_a_result_with_facts_is_shown_as_an_object():
    shown = result_of({"status": "healthy", "rss": 150, "heapUsed": 80}, 0.1).public()

    assert shown == {"status": "healthy", "rss": 150, "heapUsed": 80}


def test_a_failure_names_the_exception_and_masks_what_it_says():
    error = ConnectionError("cannot reach postgresql://app:s3cr3t-pass@db:5432/orders")

    result = failure(error, 0.1)

    assert result.error.startswith("ConnectionError: cannot reach postgresql://")
    assert "s3cr3t-pass" not in result.error


def test_a_password_in_a_fact_is_masked():
    result = result_of({"url": "redis://:hunter2-secret@cache:6379/0"}, 0.1)

    assert "hunter2-secret" not in str(result.public())


def test_a_long_error_is_cut():
    assert len(failure("x" * 5000, 0.1).error) == 300


def test_an_exception_that_cannot_be_printed_still_fails_the_check():
    class Hostile(Exception):
        def __str__(self):
            raise RuntimeError

    assert failure(Hostile(), 0.1).error == "Hostile: <Hostile>"


@given(
    st.dictionaries(
        st.text() | st.integers(),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats()
            | st.integers()
            | st.text()
            | st.binary()
            | st.builds(object),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=20,
        ),
        max_size=6,
    )
)
def test_whatever_a_check_returns_becomes_plain_json(outcome):
    import json

    json.dumps(result_of(outcome, 0.1).public(), allow_nan=False)


def test_a_fact_that_is_not_a_number_becomes_null():
    assert result_of({"lag": math.nan}, 0.1).public() == {"status": "healthy", "lag": None}


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä", "a/b", "-"])
def test_a_name_that_does_not_fit_is_refused(name):
    with pytest.raises(ConfigurationError, match="not usable"):
        HealthCheck(name, bool)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_is_no_duration_is_refused(timeout):
    with pytest.raises(ConfigurationError, match="timeout is seconds above 0"):
        HealthCheck("db", bool, timeout=timeout)


def test_a_check_that_cannot_be_called_is_refused():
    with pytest.raises(ConfigurationError, match="a function is needed, got str"):
        HealthCheck("db", "SELECT 1")


@pytest.mark.parametrize(
    ("status", "word"), [("healthy", "pass"), ("degraded", "warn"), ("unhealthy", "fail")]
)
def test_a_status_has_its_word_in_health_json(status, word):
    assert HealthStatus(status).as_health_json == word
