"""Which unknown variables were probably meant for us.

The environment belongs to everybody. A variable is reported only when it is a
slip of the keyboard away from a known name, or when it begins with a prefix that
is ours alone.
"""

import difflib
import functools
from collections.abc import Collection, Iterable
from typing import Final

#: Prefixes under which every variable is expected to be a setting.
NAMESPACES: Final = (
    "AGENT_",
    "BREAKER_",
    "CORS_",
    "DB_",
    "FLAGS_",
    "HEALTH_",
    "JOBS_",
    "JWT_",
    "LOG_",
    "METRICS_",
    "PASSWORD_",
    "RETRY_",
)
_SHORTEST: Final = 6
_LONGEST: Final = 80


def in_namespace(name: str) -> bool:
    """Tell whether *name* begins with a prefix that is the library's own."""
    return name.startswith(NAMESPACES)


def nearest(name: str, known: Collection[str], sections: Iterable[str] = ()) -> str | None:
    """Return the known name that *name* was probably meant to be, or None.

    One edit in a name of up to eight letters, two in a longer one: a letter
    missing, added, wrong, or two exchanged. The spelling of nested settings
    (``DATABASE__DB_POOL_SIZE``) and small letters are understood.
    """
    upper = name.upper().replace("-", "_")
    for section in sections:
        upper = upper.removeprefix(f"{section.upper()}__")
    if upper in known:
        return upper if upper != name else None
    if not _SHORTEST <= len(upper) <= _LONGEST:
        return None
    allowed = 1 if len(upper) <= 8 else 2
    letters = _letters(upper)
    close = [
        (_distance(upper, other, allowed), other)
        for other in known
        if abs(len(other) - len(upper)) <= allowed
        # One edit adds, removes or exchanges one letter: cheap to rule most names out.
        and (letters ^ _letters(other)).bit_count() <= 2 * allowed
    ]
    best = min(close, default=(allowed + 1, ""))
    if best[0] <= allowed:
        return best[1]
    if in_namespace(upper):
        return next(iter(difflib.get_close_matches(upper, known, n=1, cutoff=0.75)), None)
    return None


@functools.lru_cache(maxsize=4096)
def _letters(name: str) -> int:
    """Return the set of characters in *name* as bits; several rare ones share one."""
    bits = 0
    for char in name:
        bits |= 1 << (ord(char) & 63)
    return bits


def _distance(left: str, right: str, limit: int) -> int:
    """Count edits from *left* to *right*, exchanged neighbours as one; stops above *limit*."""
    older: list[int] = []
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            cost = min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (a != b))
            if row > 1 and column > 1 and a == right[column - 2] and left[row - 2] == b:
                cost = min(cost, older[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        older, previous = previous, current
    return previous[-1]
