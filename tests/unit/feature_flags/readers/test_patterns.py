"""Patterns of other services: their syntax, and a bound on the time."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.feature_flags.readers._patterns import compile_pattern


def matches(pattern, text, dialect="re2", **options):
    found = compile_pattern(pattern, dialect, **options)
    assert found is not None, pattern
    return found(text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "xxabcxx", True),
        ("^abc$", "abc\n", False),
        ("(?m)^abc$", "x\nabc\ny", True),
        ("^a(?i)bc$", "aBC", True),
        ("^a(?i)bc$", "ABC", False),
        ("^(?:a(?i)b|c)d$", "Cd", True),
        ("^(?:a(?i)b|c)D$", "Cd", False),
        ("(?s)^a.b$", "a\nb", True),
        ("^a.b$", "a\nb", False),
        ("(?s-s:a.b)", "a\nb", False),
        ("^[[:alpha:]_]+$", "ab_", True),
        ("^[[:digit:]]+$", "12a", False),
        ("^[]a]+$", "a]", True),
        (r"^[\d\-x]+$", "1-x", True),
        (r"\bcat\b", "a cat b", True),
        (r"\bcat\b", "concat", False),
        (r"\Bcat\b", "concat", True),
        (r"\Aab\z", "ab", True),
        (r"^\Qa.b\E+$", "a.bb", True),
        (r"^\x41\x{1F600}$", "A\U0001f600", True),
        ("^a{2,3}$", "aaa", True),
        ("^a{2,3}$", "a", False),
        ("^a{2}$", "aaa", False),
        ("^a{2,}$", "aaaaa", True),
        ("^a{,2}$", "a{,2}", True),
        ("^(a*)*$", "aaab", False),
        ("^a+?b??$", "aab", True),
        ("(?P<name>x)(?<other>y)", "xy", True),
        ("|x", "anything", True),
        ("", "anything", True),
        (r"^\w+$", "é", False),
        (r"^\t\.$", "\t.", True),
        ("[--/]", ".", True),
        ("[a&&b]", "&", True),
    ],
)
def test_a_pattern_means_what_re2_says(pattern, text, expected):
    assert matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^[]$", "", False),
        ("^[^]$", "\n", True),
        ("^.$", "\r", False),
        (r"^\/x\u0041$", "/xA", True),
        (r"[\b]", "\b", True),
        ("^a$", "a\n", False),
        ("(?:a|b)+c", "xabac", True),
    ],
)
def test_a_pattern_means_what_javascript_says(pattern, text, expected):
    assert matches(pattern, text, "js") is expected


def test_case_is_ignored_when_it_is_asked_for():
    assert matches("^straße[A-C]$", "STRAßEb", ignore_case=True)


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "[a",
        "*a",
        "a**",
        "a++",
        "a{3,2}",
        "a{1001}",
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        r"(a)\1",
        r"\p{L}",
        "[[:nope:]]",
        "\\",
        "[z-a]",
        "(?U)a",
        "(a{900}){900}",
        "(" * 60 + ")" * 60,
        "a" * 2000,
    ],
    ids=range(21),
)
def test_a_pattern_that_cannot_be_answered_is_refused(pattern):
    assert compile_pattern(pattern, "re2") is None


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "^(.*)*x$", "(.*a){20}$", "([a-z]+)*=", "(a?){100}a{100}"]
)
def test_a_pattern_that_makes_others_hang_is_answered(pattern):
    found = compile_pattern(pattern, "re2")

    began = time.monotonic()
    found("a" * 2_000 + "!")

    assert time.monotonic() - began < 30


def test_a_text_of_any_length_is_answered():
    assert matches("a", "b" * 1_000_000) is False


_PIECES = st.sampled_from(
    [
        "a",
        "b",
        "[ab]",
        "[^a]",
        ".",
        "(a|b)",
        "(?:ab)?",
        "^",
        "$",
        "a*",
        "b+",
        "a?",
        "(a|bc)*",
        "a{1,2}",
        r"\b",
    ]
)


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=6).map("".join), st.text(alphabet="abc", max_size=8))
@example("", "")
def test_a_pattern_is_answered_as_by_re(pattern, text):
    expected = re.search(pattern.replace("$", r"\Z"), text) is not None

    assert matches(pattern, text) is expected


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["re2", "js"]))
def test_no_pattern_raises(pattern, text, dialect):
    found = compile_pattern(pattern, dialect)

    assert found is None or found(text) in {True, False}
