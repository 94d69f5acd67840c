from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import ErrorRenderer, NotModified, check_preconditions, entity_tag
from shared.errors import InvalidArgumentError, PreconditionFailedError

V1, V2 = '"v1"', '"v2"'
THEN = datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)


def outcome(headers, etag, **more):
    try:
        check_preconditions(headers, etag, **more)
    except NotModified:
        return 304
    except PreconditionFailedError:
        return 412
    return None


def date(moment):
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("wanted", "etag", "expected"),
    [
        (V1, V1, 304),
        (V2, V1, None),
        (f"{V2}, {V1}", V1, 304),
        (f"W/{V1}", V1, 304),
        (V1, f"W/{V1}", 304),
        ("*", V1, 304),
        ("*", None, None),
        (V1, None, None),
        ("v1", V1, None),
        (f"junk, {V1}", V1, None),
        ('"a,b"', '"a,b"', 304),
        ("", V1, None),
    ],
)
def test_if_none_match_spares_the_answer_that_the_client_has(wanted, etag, expected):
    assert outcome({"If-None-Match": wanted}, etag) == expected


@pytest.mark.parametrize(("etag", "expected"), [(V1, 412), (None, None)], ids=["there", "absent"])
def test_if_none_match_on_a_change_means_only_when_it_is_not_there(etag, expected):
    assert outcome({"If-None-Match": "*"}, etag, method="PUT") == expected


@pytest.mark.parametrize(
    ("wanted", "etag", "expected"),
    [
        (V1, V1, None),
        (V2, V1, 412),
        (f"{V2},{V1}", V1, None),
        ("*", V1, None),
        ("*", None, 412),
        (V1, None, 412),
        (f"W/{V1}", f"W/{V1}", 412),
        ("junk", V1, 412),
    ],
)
def test_if_match_refuses_a_change_of_something_else(wanted, etag, expected):
    assert outcome({"If-Match": wanted}, etag, method="PUT") == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [(THEN - timedelta(days=1), None), (THEN, 304), (THEN + timedelta(days=1), 304)],
    ids=["older", "same-second", "newer"],
)
def test_if_modified_since_compares_whole_seconds(since, expected):
    assert outcome({"If-Modified-Since": date(since)}, None, last_modified=THEN) == expected


def test_if_modified_since_means_nothing_beside_a_tag_or_on_a_change():
    headers = {"If-Modified-Since": date(THEN)}

    assert outcome(headers | {"If-None-Match": V2}, V1, last_modified=THEN) is None
    assert outcome(headers, V1, method="PUT", last_modified=THEN) is None


@pytest.mark.parametrize(
    ("since", "expected"), [(THEN - timedelta(days=1), 412), (THEN, None)], ids=["older", "same-second"]
)
def test_if_unmodified_since_refuses_a_change_of_something_newer(since, expected):
    headers = {"If-Unmodified-Since": date(since)}

    assert outcome(headers, V1, method="PUT", last_modified=THEN) == expected


@pytest.mark.parametrize("wrong", ["v1", '"v1', '"v1" ', "W/v1", '"a"b"', '"\u00e4"', ""])
def test_tag_of_another_form_is_a_mistake_of_the_caller(wrong):
    with pytest.raises(InvalidArgumentError, match="entity tag"):
        check_preconditions({}, wrong)


def test_moment_without_a_time_zone_is_a_mistake_of_the_caller():
    with pytest.raises(InvalidArgumentError, match="time zone"):
        check_preconditions({}, V1, last_modified=datetime(2026, 5, 1))  # noqa: DTZ001


def test_answer_for_what_the_client_has_tells_tag_and_date_and_has_no_body():
    reply = ErrorRenderer().render(NotModified(V1, last_modified=THEN))

    assert (reply.status, reply.body) == (304, b"")
    assert dict(reply.headers) == {"ETag": V1, "Last-Modified": "Fri, 01 May 2026 12:00:00 GMT"}


@given(st.lists(st.integers() | st.text() | st.none(), max_size=4))
def test_tags_that_are_made_can_be_sent_back(parts):
    tag = entity_tag(*parts)

    assert outcome({"If-None-Match": f'"other", {tag}'}, tag) == 304
    assert outcome({"If-Match": tag}, tag, method="PUT") is None


@given(
    st.dictionaries(
        st.sampled_from(["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]),
        st.text(max_size=80) | st.just('"' * 10_000),
    ),
    st.sampled_from(["GET", "PUT", "\u00e4"]),
)
def test_hostile_conditions_end_in_an_answer(headers, method):
    assert outcome(headers, V1, method=method, last_modified=THEN) in (None, 304, 412)
