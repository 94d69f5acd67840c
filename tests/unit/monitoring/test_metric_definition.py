import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.monitoring import DURATION_BUCKETS, MetricDefinition
from shared.monitoring._metric_definition import define, label_text


def test_a_counter_loses_its_total_and_gains_its_unit():
    assert define("counter", "upload_total", "Help.", unit="bytes").name == "upload_bytes"


def test_a_unit_that_is_there_is_not_added_twice():
    assert define("gauge", "wait_seconds", "Help.", unit="seconds").name == "wait_seconds"


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "ä", "a\n"])
def test_a_name_that_prometheus_would_refuse_is_refused(name):
    with pytest.raises(InvalidArgumentError, match="is not usable"):
        define("gauge", name, "Help.")


@pytest.mark.parametrize("labels", [["__meta"], ["a b"], ["1"], [""], ["a", "a"], [7]])
def test_a_label_that_prometheus_would_refuse_is_refused(labels):
    with pytest.raises(InvalidArgumentError):
        define("gauge", "g", "Help.", labels)


def test_a_histogram_may_not_have_a_label_le():
    with pytest.raises(InvalidArgumentError, match="'le' is not usable"):
        define("histogram", "h", "Help.", ["le"], bounds=[1])


def test_more_labels_than_anyone_needs_are_refused():
    with pytest.raises(InvalidArgumentError, match="21 labels, the limit is 20"):
        define("gauge", "g", "Help.", [f"l{n}" for n in range(21)])


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([], "at least one"),
        ([math.inf], "at least one"),
        ([1, math.nan], "at least one"),
        ([-math.inf, 1], "at least one"),
        ([2, 1], "must grow"),
        ([1, 1], "must grow"),
        (range(201), "the limit is 200"),
    ],
)
def test_bounds_that_are_no_buckets_are_refused(bounds, message):
    with pytest.raises(InvalidArgumentError, match=message):
        define("histogram", "h", "Help.", bounds=bounds)


def test_an_unknown_mode_is_refused():
    with pytest.raises(InvalidArgumentError, match="'all' is unknown"):
        define("gauge", "g", "Help.", mode="all")


def test_the_objective_of_200_ms_is_a_bucket():
    assert 0.2 in DURATION_BUCKETS


def test_the_last_bucket_is_infinite_also_when_it_was_given():
    assert define("histogram", "h", "Help.", bounds=[1, math.inf]).bounds == (1.0, math.inf)


def test_the_key_depends_on_what_must_agree_and_not_on_the_help():
    base = define("histogram", "h", "One.", ["a"], bounds=[1, 2])

    assert define("histogram", "h", "Two.", ["a"], bounds=[1, 2]).key == base.key
    assert define("histogram", "h", "One.", ["a"], bounds=[1, 3]).key != base.key
    assert define("histogram", "h", "One.", ["b"], bounds=[1, 2]).key != base.key
    assert define("gauge", "g", "One.", mode="max").key != define("gauge", "g", "One.", mode="min").key


@pytest.mark.parametrize(
    "made",
    [
        define("counter", "c", "Help."),
        define("gauge", "g", "Help.", ["a"], mode="latest"),
        define("histogram", "h", "Help.", ["a"], unit="seconds", bounds=[0.5, 1]),
    ],
    ids=lambda made: made.kind,
)
def test_a_definition_survives_the_way_through_json(made):
    import json

    again = MetricDefinition.from_json(json.loads(json.dumps(made.to_json())))

    assert (again, again.key) == (made, made.key)


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (False, "false"), (200, "200"), ("x", "x")]
)
def test_a_label_value_becomes_text(value, text):
    assert label_text(value) == text


@given(st.text())
def test_any_label_value_encodes_and_is_short(value):
    assert len(label_text(value).encode()) <= 4 * 200
