"""Cutting, cleaning and reading text that people wrote."""

import re
from collections.abc import Iterable
from typing import Final

from shared.errors import InvalidArgumentError
from shared.utils._checks import text_argument, whole_argument
from shared.utils._unicode import compiled, composed, cut, grapheme_ends

__all__ = ["chunk_text", "clean_text", "extract_hashtags", "extract_mentions", "truncate_text"]

_LONGEST: Final = 1 << 40
# Characters all chunks together may hold: a small step between large overlapping
# chunks would turn one megabyte into gigabytes.
_CHUNKED_LIMIT: Final = 100_000_000


def truncate_text(text: str, max_length: int, *, suffix: str = "...", whole_words: bool = False) -> str:
    """Return *text* in at most *max_length* characters, *suffix* included.

    ``len(result) <= max_length`` holds always; the cut is between two characters as
    a reader counts them, so an emoji or an accented letter is kept or dropped as a whole. White
    space before the suffix goes. A *suffix* that leaves no room for text is left out.

    Args:
        text: What to shorten; returned unchanged when it fits.
        max_length: Most characters (code points), >= 0.
        suffix: Put at the end of shortened text.
        whole_words: Cut before a word that does not fit, when one does.

    Raises:
        InvalidArgumentError: An argument has the wrong type, or *max_length* is negative.

    Example:
        >>> truncate_text("The quick brown fox", 12), truncate_text("short", 12)
        ('The quick...', 'short')
        >>> truncate_text("The quick brown fox", 14, suffix="…", whole_words=True)
        'The quick…'
    """
    source, ending = text_argument("text", text), text_argument("suffix", suffix)
    limit = whole_argument("max_length", max_length, low=0, high=_LONGEST)
    if len(source) <= limit:
        return source
    if len(ending) >= limit:
        ending = ""
    room = limit - len(ending)
    kept = cut(source[: room + 1], room)
    if whole_words and kept and not (kept[-1].isspace() or source[len(kept)].isspace()):
        kept = _without_last_word(kept)
    return kept.rstrip() + ending


def _without_last_word(text: str) -> str:
    words = text.rsplit(maxsplit=1)
    return text[: text.rindex(words[1])] if len(words) == 2 else text


def chunk_text(text: str, size: int, overlap: int = 0) -> list[str]:
    """Split *text* into pieces of at most *size* characters that share *overlap* characters.

    The law: the first chunk and every further chunk without its first *overlap*
    characters, joined, are *text*. Every chunk but the last is full, or a little
    shorter so that no character as a reader counts them is torn at its end.

    Args:
        text: What to split; empty text gives no chunks.
        size: Most characters (code points) of a chunk, >= 1.
        overlap: Characters each chunk repeats from the one before, ``0 <= overlap < size``.

    Raises:
        InvalidArgumentError: An argument is outside of that, or all chunks together
            would exceed 100 million characters.

    Example:
        >>> chunk_text("abcdefghij", 4), chunk_text("abcdefghij", 4, overlap=1)
        (['abcd', 'efgh', 'ij'], ['abcd', 'defg', 'ghij'])
    """
    source = text_argument("text", text)
    width = whole_argument("size", size, low=1, high=_LONGEST)
    shared_part = whole_argument("overlap", overlap, low=0, high=_LONGEST)
    if shared_part >= width:
        msg = f"overlap must be below size, got overlap {shared_part} and size {width}"
        raise InvalidArgumentError(msg)
    steps = len(source) // (width - shared_part)
    if steps * width > _CHUNKED_LIMIT:
        msg = f"{steps} chunks of {width} characters are over {_CHUNKED_LIMIT} in all: lower overlap or size"
        raise InvalidArgumentError(msg)
    if source.isascii() and "\r" not in source:  # every code point is a character of its own
        return _chunks(source, width, shared_part, None)
    return _chunks(source, width, shared_part, _boundaries(source))


def _boundaries(text: str) -> bytearray:
    marks = bytearray(len(text) + 1)
    marks[0] = 1
    for end in grapheme_ends(text):
        marks[end] = 1
    return marks


def _chunks(text: str, width: int, overlap: int, marks: bytearray | None) -> list[str]:
    chunks: list[str] = []
    start, total = 0, len(text)
    while start + width < total:
        end = start + width
        if marks is not None:
            end = _clean_end(marks, start + overlap, end, overlap)
        chunks.append(text[start:end])
        start = end - overlap
    if text:
        chunks.append(text[start:])
    return chunks


def _clean_end(marks: bytearray, low: int, high: int, overlap: int) -> int:
    """Return the last index in ``(low, high]`` that tears no character, here and *overlap* before.

    The start of the next chunk matters less than the end of this one; a character
    longer than the space between is torn.
    """
    best = marks.rfind(1, low + 1, high + 1)
    if best < 0:
        return high
    # A few steps back at most: the wish must not make the chunks short.
    end = best
    for _ in range(8):
        if marks[end - overlap]:
            return end
        end = marks.rfind(1, low + 1, end)
        if end < 0:
            break
    return best


# Joiners stay: they write Persian, Hindi and family emoji. So do the tag letters of
# flags and private use. What goes are controls, noncharacters and surrogates,
# zero-width spaces, soft hyphens and direction marks.
_INVISIBLE: Final = (
    r"[[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb]--[\t-\r\x1c-\x1f\x85]]+"
)


def clean_text(text: str, *, keep_lines: bool = False) -> str:
    r"""Return *text* in composed form, with single spaces and without invisible characters.

    Controls, zero-width spaces, direction overrides, lone surrogates and the 31st
    and further combining marks in a row go; runs of white space become one space.
    The result can always be encoded. Cleaning twice is cleaning once.

    Args:
        text: What people typed or pasted.
        keep_lines: Keep line breaks, as ``\n``; more than one empty line becomes one.

    Raises:
        InvalidArgumentError: *text* is not text.

    Example:
        >>> clean_text("  Hello,\u200b \t wörld\u202e \r\n")
        'Hello, wörld'
        >>> clean_text("one \r\n\r\n\r\n two", keep_lines=True)
        'one\n\ntwo'
    """
    source = composed(compiled(_INVISIBLE).sub("", text_argument("text", text)))
    if not keep_lines:
        return " ".join(source.split())
    lines = "\n".join([" ".join(line.split()) for line in source.splitlines()])
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


_WORD: Final = r"[\p{L}\p{N}\p{M}_]"
# Not inside a word, an entity or the fragment of a URL; not digits alone. The marks
# have a small and a full-width form.
_HASHTAG: Final = (
    r"(?<![\p{L}\p{N}\p{M}_&/#\uFF03\uFE5F])[#\uFF03\uFE5F](?=\p{N}*+[\p{L}_])"
    rf"({_WORD}++(?:[\u200c\u200d\u00b7\u30fb]{_WORD}++)*+)"
)
# Not inside an e-mail address; a dot or a dash only between two words.
_MENTION: Final = r"(?<![\p{L}\p{N}\p{M}_.@\uFF20\uFE6B/-])[@\uFF20\uFE6B]" rf"({_WORD}++(?:[.-]{_WORD}++)*+)"


def extract_hashtags(text: str) -> list[str]:
    """Return the hashtags of *text* without ``#``, in order, each once.

    Tags are words in any script with at least one letter; ``#1`` is a number and
    ``page#part`` a fragment. Two spellings that differ in case only are one, the first.

    Raises:
        InvalidArgumentError: *text* is not text.

    Example:
        >>> extract_hashtags("#Python und #größe, #python! item #1, a.html#top")
        ['Python', 'größe']

    Source: UAX #31, section 2.6 (hashtag identifiers).
    """
    return _once(compiled(_HASHTAG).findall(text_argument("text", text)))


def extract_mentions(text: str) -> list[str]:
    """Return the names mentioned in *text* without ``@``, in order, each once.

    Names are words in any script, with single dots and dashes inside; e-mail
    addresses mention nobody. Two spellings that differ in case only are one, the first.

    Raises:
        InvalidArgumentError: *text* is not text.

    Example:
        >>> extract_mentions("@ada, ask @grace.hopper (not team@example.com). @ADA!")
        ['ada', 'grace.hopper']
    """
    return _once(compiled(_MENTION).findall(text_argument("text", text)))


def _once(words: Iterable[str]) -> list[str]:
    seen: dict[str, str] = {}
    for word in words:
        seen.setdefault(word.casefold(), word)
    return list(seen.values())
