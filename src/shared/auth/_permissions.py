"""Permissions and what grants them: segments between colons, wildcards that do not leak."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from shared.errors import InvalidArgumentError

__all__ = ["Grants", "check_permission", "check_role", "grants_of", "is_grant"]

_SEGMENT: Final = r"[A-Za-z0-9_.\-]{1,64}"
_PERMISSION: Final = re.compile(rf"{_SEGMENT}(?::{_SEGMENT}){{0,7}}\Z").match
_GRANT: Final = re.compile(rf"(?:(?:{_SEGMENT}|\*):){{0,7}}(?:{_SEGMENT}|\*|\*\*)\Z").match
_ROLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:\-]{0,63}\Z").match


def check_permission(permission: object) -> str:
    """Return *permission* when it may be asked for.

    Raises:
        InvalidArgumentError: It is malformed, or has a wildcard: those are for grants.
    """
    if isinstance(permission, str) and _PERMISSION(permission):
        return permission
    msg = f"a permission reads like 'orders:read', without wildcards, got {_shown(permission)}"
    raise InvalidArgumentError(msg)


def check_role(role: object) -> str:
    """Return *role* when it may be asked for.

    Raises:
        InvalidArgumentError: It is malformed: ``"ADMIN "`` with a space is another role.
    """
    if isinstance(role, str) and _ROLE(role):
        return role
    msg = f"a role is a letter and up to 63 of A-Z a-z 0-9 _ . : -, got {_shown(role)}"
    raise InvalidArgumentError(msg)


def is_grant(text: object) -> bool:
    """Tell whether *text* can grant anything: a permission, perhaps with wildcards."""
    return isinstance(text, str) and _GRANT(text) is not None


def _shown(value: object) -> str:
    return repr(value[:80]) if isinstance(value, str) else type(value).__name__


class Grants:
    """A compiled set of grants. Immutable.

    ``*`` stands for exactly one segment and ``**``, at the end only, for one or more:
    ``orders:*`` grants ``orders:read`` and not ``orders:read:all``; ``**`` grants
    everything. What is malformed grants nothing.
    """

    __slots__ = ("_exact", "_patterns")

    def __init__(self, grants: Iterable[str]) -> None:
        valid = [grant for grant in grants if is_grant(grant)]
        self._exact = frozenset(grant for grant in valid if "*" not in grant)
        self._patterns = tuple(tuple(grant.split(":")) for grant in valid if "*" in grant)

    def allow(self, permission: str) -> bool:
        """Tell whether *permission* is granted."""
        if permission in self._exact:
            return True
        if not self._patterns or not _PERMISSION(permission):
            return False
        asked = permission.split(":")
        return any(_fits(pattern, asked) for pattern in self._patterns)


def _fits(pattern: tuple[str, ...], asked: list[str]) -> bool:
    if pattern[-1] == "**":
        if len(asked) < len(pattern):
            return False
        pattern, asked = pattern[:-1], asked[: len(pattern) - 1]
    return len(pattern) == len(asked) and all(p in ("*", a) for p, a in zip(pattern, asked, strict=True))


@lru_cache(maxsize=1024)
def grants_of(grants: frozenset[str]) -> Grants:
    """Return the compiled set; the same object for the same grants."""
    return Grants(grants)
