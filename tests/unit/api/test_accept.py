import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api import prefers_problem
from shared.api._accept import accepts, quality

P = "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/*", False),
        (P, True),
        (f"{P};q=1.0", True),
        (f"application/json, {P}", True),
        (f"{P};q=0.1, application/json", False),
        (f"{P};q=0.9, */*;q=0.1", True),
        (f"{P};q=0.1, */*", False),
        (f"{P};q=0", False),
        (f"{P};q=nonsense", False),
        (f"{P};q=2", False),
        ("APPLICATION/Problem+JSON", True),
        (f"text/html, {P} ; q = 0.5 ", True),
        (f"{P};charset=utf-8;q=0.5", True),
        ("text/html", False),
    ],
)
def test_accept_chooses_problem_details_over_the_envelope(accept, expected):
    assert prefers_problem(accept) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, True),
        ("*/*", True),
        ("application/json, text/plain, */*", True),
        ("application/json", False),
        (f"application/json, {P}", True),
        (f"application/json, {P};q=0.1", False),
        ("text/html", True),
    ],
)
def test_accept_chooses_the_envelope_over_problem_details(accept, expected):
    assert prefers_problem(accept, default=True) is expected


@pytest.mark.parametrize(
    ("accept", "weight"),
    [
        ("text/html;q=0.5", 0.5),
        ("text/*;q=0.4, text/html;q=0.5", 0.5),
        ("text/html;q=0.5, text/*;q=0.9", 0.5),
        ("*/*;q=0.3, text/*;q=0.4", 0.4),
        ("text/html;q=0", 0.0),
        ("text/html;q=0.1234", 0.0),
        ("text/html;q=", 0.0),
        ("text/html;q=.", 0.0),
        ("text/html;q=\u0661", 0.0),
        ("image/png", 0.0),
    ],
)
def test_quality_follows_the_most_specific_range(accept, weight):
    assert quality(accept, "text/html") == weight


def test_naming_a_type_is_more_than_a_wildcard():
    assert accepts(f"text/html, {P}", P)
    assert not accepts("*/*, application/*", P)
    assert not accepts(None, P)


def test_absurdly_many_ranges_are_not_read():
    assert quality("a/b," * 1000 + "text/html", "text/html") == 0.0


@given(st.text() | st.from_regex(r"([a-z*]+/[a-z*+]+(;q=[0-9.]*)?,? ?)*", fullmatch=True))
def test_any_header_gives_a_weight(accept):
    assert 0.0 <= quality(accept, "application/json") <= 1.0
    assert prefers_problem(accept) in (True, False)
