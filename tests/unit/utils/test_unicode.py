import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from shared.utils._unicode import composed, cut, grapheme_ends
from tests.unit.utils.hostile import MEGABYTES, any_text


@given(
    any_text
    | st.text(
        st.sampled_from(["\U0001f1e6", "\u200d", "\U0001f468", "\u0301", "a", "\r", "\n", "\u1100"]),
        max_size=900,
    )
)
def test_grapheme_ends_agrees_with_one_pass_over_the_whole_text(text):
    assert list(grapheme_ends(text)) == [match.end() for match in regex.finditer(r"\X", text)]


@pytest.mark.parametrize("length", [255, 256, 257, 511, 513, 2000])
def test_grapheme_ends_keeps_a_character_together_across_windows(length):
    text = "e" + "\u0301" * length + "x"

    assert list(grapheme_ends(text)) == [length + 1, length + 2]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_grapheme_ends_takes_a_megabyte_in_bounded_time(name):
    *_, last = grapheme_ends(MEGABYTES[name])

    assert last == len(MEGABYTES[name])


def test_cut_measures_as_told():
    assert cut("aéb", 3, lambda piece: len(piece.encode())) == "aé"


def test_cut_keeps_what_fits():
    assert cut("aéb", 4, lambda piece: len(piece.encode())) == "aéb"


def test_composed_keeps_thirty_marks_in_a_row():
    assert composed("e" + "\u0323" * 40) == "ẹ" + "\u0323" * 29
