"""Regular expressions from a document."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.feature_flags._regex import compile_bounded

PATTERNS = (
    r"^[a-z]+@[a-z]+\.com$",
    r"(a|b)*c",
    r"^(a+)+$",
    r"x{2,3}y?",
    r"a|b|^c$",
    r"[^a-c]d",
    r"\d{3}-\d+",
    r"(?i)hello",
    r"",
    r"^$",
    r"(ab|a)(c|bcd)(d*)",
    r"a{0}b",
    r"[]a]",
    r"[a\-z]",
    r"(?:ab)+?c",
    r".*b.*b",
    r"[\w.]+@x",
    r"\S\s\W\D",
    r"a{2}",
    r"a{,x}",
)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="abcdxyz@. com123-HELlo]{,}", max_size=14))
@settings(deadline=None, max_examples=30)
def test_a_pattern_finds_what_re_finds(pattern, text):
    assert compile_bounded(pattern)(text) is (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param(r"^(a+)+$", "a" * 999 + "b", id="nested"),
        pytest.param(r"(x+x+)+y", "x" * 1000, id="double"),
        pytest.param(r"^(a|a)*$", "a" * 999 + "b", id="alike"),
        pytest.param(r"(.*)(.*)(.*)(.*)(.*)[^a]$", "a" * 1000, id="many"),
    ],
)
def test_a_hostile_pattern_takes_no_longer_than_another(pattern, text):
    begin = time.perf_counter()

    found = compile_bounded(pattern)(text)

    assert found is False
    assert time.perf_counter() - begin < 10  # with backtracking it would be years


def test_what_is_remembered_is_bounded():
    matches = compile_bounded(r"[^z]$")

    answers = {matches("".join(map(chr, range(start, start + 900)))) for start in range(1000, 50_000, 900)}

    assert answers == {True}


@pytest.mark.parametrize(
    "pattern",
    ["(a", "a)", "*a", "a**", "(?=a)", r"(a)\1", "[a", "[z-a]", "a{600}", "(a{100}){100}", "(" * 100,
     "a\\", r"\bfoo", "a{3}{4}", "a++", "(?P<n>a)", "a{3,2}", "x" * 501, None, 5, ["a"]],
    ids=lambda pattern: str(pattern)[:14],
)  # fmt: skip
def test_what_cannot_be_searched_in_linear_time_is_refused(pattern):
    with pytest.raises(ValueError, match="pattern"):
        compile_bounded(pattern)


def test_a_text_that_is_too_long_never_matches():
    assert compile_bounded("a")("a" * 1000) is True
    assert compile_bounded("a")("a" * 1001) is False


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_text_is_a_pattern_or_refused(pattern):
    try:
        matches = compile_bounded(pattern)
    except ValueError:
        return

    assert matches("some text") in (True, False)
