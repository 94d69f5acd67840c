"""Semantic versions as the formats read them; strict, with what each adds around it."""

import re
from typing import Final, TypeAlias

Version: TypeAlias = tuple[int, int, int, tuple[tuple[int, int, str], ...]]

_NUMBER: Final = r"(0|[1-9]\d*)"
_NAME: Final = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_STRICT: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_NAME}(?:\.{_NAME})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_PARTIAL: Final = re.compile(r"(\d+)(?:\.(\d+))?([-+].*)?", re.ASCII | re.DOTALL)
_MAX_TEXT: Final = 256
# A release comes after each of its pre-releases: it has one part that is above every other.
_RELEASE: Final = ((2, 0, ""),)


def parse_version(text: str | None) -> Version | None:
    """Return *text* in a form that compares as versions do, or ``None`` where it is none.

    Build metadata is left out: it takes no part in the order.

    Source: Semantic Versioning 2.0.0, sections 2, 9, 10 and 11.
    """
    if text is None or len(text) > _MAX_TEXT:
        return None
    found = _STRICT.fullmatch(text)
    if found is None:
        return None
    major, minor, patch, prerelease = found.groups()
    return int(major), int(minor), int(patch), _RELEASE if prerelease is None else _parts(prerelease)


def parse_lenient_version(text: str | None) -> Version | None:
    """Return a version as flagd reads it: ``v1.2`` is ``1.2.0``."""
    if text is None:
        return None
    if text[:1] in {"v", "V"}:
        text = text[1:]
    found = _PARTIAL.fullmatch(text[: _MAX_TEXT + 1])
    if found is not None:
        major, minor, rest = found.groups()
        text = f"{major}.{minor or 0}.0{rest or ''}"
    return parse_version(text)


def _parts(prerelease: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in prerelease.split("."))
