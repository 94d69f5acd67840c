"""Versions in order, as semantic versioning has them, and a little more forgiving."""

import re
from typing import Any, Final, TypeAlias

__all__ = ["Version", "parse_version"]

Version: TypeAlias = tuple[int, int, int, tuple[Any, ...]]

_LONGEST: Final = 200
_NUMBER: Final = r"(0|[1-9][0-9]{0,17})"
_FORM: Final = re.compile(
    rf"[vV=]?{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER})?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_RELEASE: Final = (1,)  # above every pre-release, whose order begins with 0


def parse_version(text: Any) -> Version | None:
    """Return *text* as something to compare, or None where it is no version.

    ``v1.2``, ``1`` and ``1.2.3+build`` are read as 1.2.0, 1.0.0 and 1.2.3. A pre-release is
    below its release; its parts compare as numbers where both are numbers, and numbers are
    below words.

    Source: Semantic Versioning 2.0.0, section 11.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    major, minor, patch, pre = found.groups()
    order = _RELEASE if pre is None else _pre_release(pre)
    return None if order is None else (int(major), int(minor or 0), int(patch or 0), order)


def _pre_release(text: str) -> tuple[Any, ...] | None:
    parts: list[tuple[int, int, str]] = []
    for part in text.split("."):
        if not part or (part.isdigit() and len(part) > 1 and part[0] == "0"):
            return None
        parts.append((0, int(part), "") if part.isdigit() else (1, 0, part))
    return (0, tuple(parts))
