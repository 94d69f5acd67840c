import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, SharedError
from shared.utils import chunk_text, clean_text, extract_hashtags, extract_mentions, truncate_text
from shared.utils._unicode import grapheme_ends
from tests.unit.utils.hostile import HUGE, MEGABYTES, any_text, anything

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"


def ends(text):
    return set(grapheme_ends(text)) | {0}


# --- truncate --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length", "result"),
    [
        ("Long text...", 50, "Long text..."),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("abc defg", 7, "abc..."),
        ("abcdef", 3, "abc"),
        ("abcdef", 0, ""),
        ("", 0, ""),
        (FAMILY * 3, 9, FAMILY + "..."),
        (FLAG * 5, 6, FLAG + "..."),
        ("e\u0301" * 10, 8, "e\u0301e\u0301..."),
        (FAMILY * 2, 6, "..."),
    ],
)
def test_truncate_text_counts_the_suffix_and_tears_no_character(text, length, result):
    assert truncate_text(text, length) == result


@pytest.mark.parametrize(
    ("length", "result"),
    [(9, "The…"), (10, "The quick…"), (11, "The quick…"), (14, "The quick…"), (3, "Th…")],
)
def test_truncate_text_cuts_before_a_word_that_does_not_fit(length, result):
    assert truncate_text("The quick brown fox", length, suffix="…", whole_words=True) == result


@given(any_text, st.integers(0, 50), st.sampled_from(["...", "…", "", " (more)"]), st.booleans())
def test_truncated_text_is_never_longer_than_asked(text, length, suffix, whole_words):
    assert len(truncate_text(text, length, suffix=suffix, whole_words=whole_words)) <= length


@given(any_text, st.integers(0, 50))
def test_truncated_text_begins_as_the_text_and_ends_between_two_characters(text, length):
    result = truncate_text(text, length, suffix="")

    assert text.startswith(result)
    assert any(text[:end].rstrip() == result.rstrip() for end in ends(text))


@pytest.mark.parametrize("length", [-1, 1.5, None, "5", True, HUGE])
def test_truncate_text_refuses_a_hostile_length(length):
    with pytest.raises(InvalidArgumentError, match="max_length must be"):
        truncate_text("text", length)


@pytest.mark.parametrize("arguments", [(None, 5), (b"x", 5)])
def test_truncate_text_refuses_what_is_not_text(arguments):
    with pytest.raises(InvalidArgumentError, match="text must be text"):
        truncate_text(*arguments)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_truncate_text_takes_a_megabyte_in_bounded_time(name):
    assert len(truncate_text(MEGABYTES[name], 900_000)) <= 900_000


# --- chunk -----------------------------------------------------------------------------------


def joined(chunks, overlap):
    return "".join(chunks[:1]) + "".join(chunk[overlap:] for chunk in chunks[1:])


def test_chunk_text_of_a_short_text_is_the_text():
    assert chunk_text("Long text", 100, overlap=10) == ["Long text"]


def test_chunk_text_of_nothing_is_nothing():
    assert chunk_text("", 5) == []


def test_chunk_text_ends_when_the_last_chunk_is_full():
    assert chunk_text("abcdefgh", 4) == ["abcd", "efgh"]


@given(any_text, st.integers(1, 30), st.data())
def test_the_chunks_without_their_overlap_are_the_text(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))

    assert joined(chunk_text(text, size, overlap), overlap) == text


@given(any_text, st.integers(1, 30), st.data())
def test_a_chunk_is_never_longer_than_asked_and_never_only_overlap(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))

    chunks = chunk_text(text, size, overlap)

    assert all(0 < len(chunk) <= size for chunk in chunks)
    assert all(len(chunk) > overlap for chunk in chunks[1:])


@given(st.lists(st.sampled_from([FAMILY, FLAG, "e\u0301", "a", "\r\n"])).map("".join), st.integers(8, 30))
def test_chunks_without_overlap_tear_no_character(text, size):
    boundaries, position = ends(text), 0

    for chunk in chunk_text(text, size):
        position += len(chunk)

        assert position in boundaries


def test_chunks_with_overlap_begin_and_end_between_two_characters_where_they_can():
    text = "ab" + "e\u0301" * 20

    chunks = chunk_text(text, 7, overlap=2)

    assert not any(chunk.startswith("\u0301") for chunk in chunks)


def test_the_end_of_a_chunk_matters_more_than_the_start_of_the_next():
    text = "e\u0301" * 12  # boundaries are two apart, the overlap is odd

    chunks = chunk_text(text, 8, overlap=3)

    assert joined(chunks, 3) == text
    assert [len(chunk) for chunk in chunks] == [8, 7, 7, 7, 7]


def test_a_character_longer_than_a_chunk_is_torn():
    assert chunk_text(FAMILY * 2, 2) == [FAMILY[i : i + 2] for i in (0, 2)] + [FAMILY[4:]] + [
        FAMILY[i : i + 2] for i in (0, 2)
    ] + [FAMILY[4:]]


@pytest.mark.parametrize(("size", "overlap"), [(5, 5), (5, 6), (1, 1)])
def test_chunk_text_refuses_an_overlap_that_leaves_nothing_new(size, overlap):
    with pytest.raises(
        InvalidArgumentError, match=f"overlap must be below size, got overlap {overlap} and size {size}"
    ):
        chunk_text("some text", size, overlap)


@pytest.mark.parametrize(
    ("size", "overlap"),
    [(0, 0), (-1, 0), (5, -1), (True, 0), (2.0, 0), (5, None), pytest.param(10**5000, 0, id="huge")],
)
def test_chunk_text_refuses_hostile_numbers(size, overlap):
    with pytest.raises(InvalidArgumentError, match="must be"):
        chunk_text("some text", size, overlap)


def test_chunk_text_refuses_to_fill_the_memory():
    with pytest.raises(InvalidArgumentError, match="lower overlap or size"):
        chunk_text("a" * 1_000_000, 500_000, 499_999)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_chunk_text_takes_a_megabyte_in_bounded_time(name):
    text = MEGABYTES[name]

    assert joined(chunk_text(text, 1000, 100), 100) == text


# --- clean -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a \t b\n\nc  ", "a b c"),
        ("cafe\u0301", "café"),
        ("a\u200bb\u202ec\u00add\ufeff", "abcd"),
        ("a\0b\x1bc", "abc"),
        ("a\u00a0\u3000b\u2028c", "a b c"),
        (FAMILY, FAMILY),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("x\ud800y", "xy"),
        ("\ufffe\U0001ffff", ""),
        ("", ""),
    ],
)
def test_clean_text_leaves_what_people_read(text, clean):
    assert clean_text(text) == clean


def test_clean_text_keeps_lines_when_asked():
    assert clean_text(" a  b \r\n\r\n\r\n\r\n c\rd ", keep_lines=True) == "a b\n\nc\nd"


def test_clean_text_drops_towers_of_accents():
    assert clean_text("z" + "\u0337" * 500) == "z" + "\u0337" * 30


@pytest.mark.parametrize("keep_lines", [True, False])
@given(text=any_text)
def test_cleaning_twice_is_cleaning_once(keep_lines, text):
    once = clean_text(text, keep_lines=keep_lines)

    assert clean_text(once, keep_lines=keep_lines) == once


@given(any_text)
def test_clean_text_can_be_encoded_and_is_composed(text):
    clean = clean_text(text)

    assert clean.encode().decode() == clean == unicodedata.normalize("NFC", clean)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_clean_text_takes_a_megabyte_in_bounded_time(name):
    assert len(clean_text(MEGABYTES[name], keep_lines=True)) <= len(MEGABYTES[name])


# --- tags and mentions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#python and #AI.", ["python", "AI"]),
        ("#größe #日本語 #हिन्दी", ["größe", "日本語", "हिन्दी"]),
        ("＃全角 ﹟small", ["全角", "small"]),
        ("#Tag #tag #TAG", ["Tag"]),
        ("#1 #2nd #_x", ["2nd", "_x"]),
        ("a#b &#39; https://x.io/#top https://x.io/a#b ##c", []),
        ("(#in) [#brackets],#comma", ["in", "brackets", "comma"]),
        ("#می\u200cخواهم", ["می\u200cخواهم"]),
        ("#", []),
    ],
)
def test_extract_hashtags_finds_the_words_of_every_script(text, tags):
    assert extract_hashtags(text) == tags


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@ada and @grace_h.", ["ada", "grace_h"]),
        ("@jean-luc @ada.l, @x.", ["jean-luc", "ada.l", "x"]),
        ("mail ada@example.com or @ada", ["ada"]),
        ("@Ada @ADA", ["Ada"]),
        ("＠全角 @größe", ["全角", "größe"]),
        ("@@x a.@y /@z https://x.io/@w", []),
        ("(@in)", ["in"]),
        ("@", []),
    ],
)
def test_extract_mentions_finds_names_and_not_addresses(text, names):
    assert extract_mentions(text) == names


@pytest.mark.parametrize(
    "function", [clean_text, extract_hashtags, extract_mentions], ids=lambda function: function.__name__
)
@given(value=anything)
def test_a_text_function_never_raises_a_foreign_error(function, value):
    try:
        function(value)
    except SharedError:
        pass


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "function", [extract_hashtags, extract_mentions], ids=lambda function: function.__name__
)
@pytest.mark.parametrize("name", MEGABYTES)
def test_extraction_takes_a_megabyte_in_bounded_time(function, name):
    assert len(function(MEGABYTES[name])) <= 1
