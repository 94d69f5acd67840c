"""Characters as a reader counts them, and normal forms in bounded time."""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from re import Pattern
from typing import Final, cast

__all__ = ["compiled", "composed", "cut", "grapheme_ends"]

# One cluster at a time is asked of the library on a window of this size: on a long
# run of regional indicators its work grows with the square of the text.
_WINDOW: Final = 256


@cache
def compiled(expression: str) -> Pattern[str]:
    """Return *expression* compiled, on first use, by the library that knows Unicode properties."""
    import regex  # type: ignore[import-untyped,unused-ignore]

    # Version 1 has set operations: [\p{C}--\n].
    return cast("Pattern[str]", regex.compile(expression, regex.VERSION1))


def composed(text: str) -> str:
    """Return *text* in normal form C, with at most 30 combining marks in a row.

    The sort of marks inside the normalisation is quadratic; without the limit one
    megabyte of alternating accents takes minutes. No language needs that many.

    Source: UAX #15, section 13 (Stream-Safe Text Format).
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", compiled(r"(\p{M}{30})\p{M}+").sub(r"\1", text))


def grapheme_ends(text: str, start: int = 0) -> Iterator[int]:
    """Yield the index after each user-perceived character from *start* on, in linear time.

    *start* is taken as a boundary.

    Source: UAX #29, section 3 (extended grapheme clusters, through ``regex``).
    """
    find = compiled(r"\X").finditer
    total = len(text)
    while start < total:
        width = _WINDOW
        ends = [match.end() for match in find(text[start : start + width])]
        while len(ends) == 1 and start + width < total:
            width *= 4
            ends = [match.end() for match in find(text[start : start + width])]
        if start + width < total:
            ends.pop()  # the last cluster of the window may go on behind it
        for end in ends:
            yield start + end
        start += ends[-1]


def cut(text: str, limit: int, measure: Callable[[str], int] = len) -> str:
    """Return the longest beginning of *text* that ends between two user-perceived characters.

    Args:
        text: What to cut.
        limit: Most the result may measure, >= 0.
        measure: Length of a piece; additive.
    """
    used = begin = 0
    for end in grapheme_ends(text):
        used += measure(text[begin:end])
        if used > limit:
            return text[:begin]
        begin = end
    return text
