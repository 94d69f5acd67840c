"""Regular expressions from a document: bounded, because a document is somebody's input."""

import re
from collections.abc import Callable
from typing import Final

__all__ = ["compile_bounded"]

_LONGEST_PATTERN: Final = 500
_LONGEST_TEXT: Final = 1000
_RISKY: Final = re.compile(r"\(\?[^:]|\\[1-9]|[*+}?]\s*[*+{]|\)[*+{]")


def compile_bounded(pattern: object) -> Callable[[str], bool]:
    """Return whether *pattern* is found somewhere in a text, as a function.

    A longer text than 1000 characters never matches.

    Raises:
        ValueError: It is no pattern, longer than 500 characters, or could take for ever:
            groups that repeat, look-around, references, and more than two repetitions.
    """
    if not isinstance(pattern, str) or len(pattern) > _LONGEST_PATTERN:
        msg = f"a pattern of at most {_LONGEST_PATTERN} characters expected"
        raise ValueError(msg)
    if _RISKY.search(pattern) or sum(map(pattern.count, "*+{")) > 2:
        msg = "a pattern without repeated groups, look-around and references, with at most two repetitions"
        raise ValueError(msg)
    try:
        search = re.compile(pattern).search
    except (re.error, OverflowError, RecursionError) as exc:
        msg = "a regular expression expected"
        raise ValueError(msg) from exc
    return lambda text: len(text) <= _LONGEST_TEXT and search(text) is not None
