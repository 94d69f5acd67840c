import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.monitoring._yaml import to_yaml

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(
            codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"], exclude_characters="\ufeff\x85"
        )
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcXYZ_-0 :#", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(values)
def test_what_is_written_is_read(value):
    assert yaml.safe_load(to_yaml(value)) == value


@pytest.mark.parametrize(
    "word",
    [
        "yes",
        "No",
        "on",
        "off",
        "null",
        "~",
        "1",
        "1.0",
        "1e3",
        "0x1",
        "12:30",
        "a: b",
        "- a",
        "#",
        "",
        " a",
        "2024-01-01",
        "{a}",
        "*a",
        "!x",
        "%",
    ],
)
def test_text_that_looks_like_something_else_stays_text(word):
    assert yaml.safe_load(to_yaml({"key": word, word or "k": 1}))["key"] == word


def test_several_lines_become_a_literal_block():
    text = to_yaml({"expr": "a\n/\nb > 0", "next": 1})

    assert "expr: |-\n  a\n  /\n  b > 0\n" in text
    assert yaml.safe_load(text) == {"expr": "a\n/\nb > 0", "next": 1}
