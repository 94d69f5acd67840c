"""Stored objects given out: conditions, ranges, and nothing that runs."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import NotModified, plan_download
from shared.errors import PreconditionFailedError, SharedError
from shared.integrations.storage import StoredObject

WHEN = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def made(size=10, kind="text/plain", **fields):
    return StoredObject("folder/a.txt", size, kind, '"v1"', WHEN, **fields)


def test_without_conditions_everything_is_sent():
    plan = plan_download(made(), {})

    assert (plan.status, plan.start, plan.stop, plan.has_body) == (200, 0, 10, True)
    assert plan.headers == {
        "Content-Type": "text/plain",
        "Content-Length": "10",
        "Accept-Ranges": "bytes",
        "ETag": '"v1"',
        "Last-Modified": "Fri, 20 Nov 2026 12:00:00 GMT",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": 'inline; filename="a.txt"',
        "X-Content-Type-Options": "nosniff",
    }


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=2-4", 2, 5), ("bytes=7-", 7, 10), ("bytes=-3", 7, 10), ("bytes=5-99", 5, 10),
     ("bytes=-99", 0, 10), ("bytes= 1-2 ", 1, 3)],
)  # fmt: skip
def test_a_range_is_sent_as_a_part(header, start, stop):
    plan = plan_download(made(), {"Range": header})

    assert (plan.status, plan.start, plan.stop) == (206, start, stop)
    assert plan.headers["Content-Range"] == f"bytes {start}-{stop - 1}/10"
    assert plan.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "header",
    [
        "bytes=4-2",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,3-4",
        "lines=0-1",
        "",
        "bytes=٣-4",
        "bytes=0-" + "9" * 40,
    ],
)
def test_what_is_no_single_range_is_answered_with_the_whole(header):
    assert plan_download(made(), {"Range": header}).status == 200


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_outside_is_refused_with_the_size(header, size):
    with pytest.raises(SharedError) as caught:
        plan_download(made(size), {"Range": header})

    assert (caught.value.status, caught.value.headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"v1"', 206),
        ('"v0"', 200),
        ('W/"v1"', 200),
        (format_datetime(WHEN, usegmt=True), 206),
        (format_datetime(WHEN - timedelta(days=1), usegmt=True), 200),
        ("yesterday", 200),
        ("", 200),
    ],
)
def test_a_part_of_another_version_is_not_continued(condition, status):
    assert plan_download(made(), {"Range": "bytes=2-4", "If-Range": condition}).status == status


def test_what_the_client_has_is_not_sent_again():
    with pytest.raises(NotModified):
        plan_download(made(), {"If-None-Match": '"v1"'})
    with pytest.raises(NotModified):
        plan_download(made(), {"If-Modified-Since": format_datetime(WHEN, usegmt=True)})
    with pytest.raises(PreconditionFailedError):
        plan_download(made(), {"If-Match": '"v0"'})


def test_head_sends_headers_alone():
    plan = plan_download(made(), {"Range": "bytes=2-4"}, method="HEAD")

    assert (plan.status, plan.has_body, plan.headers["Content-Length"]) == (200, False, "10")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("image/png", True), ("text/plain; charset=utf-8", True), ("application/pdf", True), ("video/mp4", True),
     ("text/html", False), ("image/svg+xml", False), ("application/xml", False), ("text/javascript", False),
     ("application/octet-stream", False), ("text/plainx", False), ("IMAGE/PNG", True)],
)  # fmt: skip
def test_what_could_run_is_saved_and_not_shown(kind, shown):
    found = plan_download(made(kind=kind), {}).headers["Content-Disposition"]

    assert found.startswith("inline" if shown else "attachment")
    assert (
        plan_download(made(kind=kind), {}, inline=not shown)
        .headers["Content-Disposition"]
        .startswith("attachment" if shown else "inline")
    )


def test_the_name_of_a_download_is_spelt_for_old_and_new_browsers():
    found = plan_download(made(filename='Grüße "7"\r\n.txt'), {}).headers["Content-Disposition"]

    assert (
        found == "inline; filename=\"Gr__e _7___.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%227%22%0D%0A.txt"
    )


def test_what_was_said_about_caching_is_sent():
    assert (
        plan_download(made(cache_control="public, max-age=60"), {}).headers["Cache-Control"]
        == "public, max-age=60"
    )


@given(
    st.dictionaries(
        st.sampled_from(["Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since"]),
        st.text(max_size=30),
    ),
    st.integers(0, 20),
)
def test_any_headers_give_a_plan_or_an_error_of_ours(headers, size):
    try:
        plan = plan_download(made(size), headers)
    except SharedError:
        return

    assert 0 <= plan.start <= plan.stop <= size
