"""Which ``with`` blocks of shared objects this task is in.

A breaker, a timeout or a policy is one object used by many threads and tasks at
once, so what one block must remember until its end cannot live on the object.
"""

from contextvars import ContextVar
from typing import Any, Final

__all__ = ["enter_block", "leave_block"]

_Entry = tuple[object, Any, Any]
_entries: Final[ContextVar[_Entry | None]] = ContextVar("shared_blocks", default=None)


def enter_block(owner: object, memory: object) -> None:
    """Remember *memory* for the block of *owner* that begins here."""
    _entries.set((owner, memory, _entries.get()))


def leave_block(owner: object) -> Any:
    """Return what the innermost block of *owner* remembered, and forget it; None when there is none."""
    entry, inner = _entries.get(), []
    while entry is not None and entry[0] is not owner:
        inner.append(entry)  # a suspended generator may hold a block of another object
        entry = entry[2]
    if entry is None:
        return None
    rest = entry[2]
    for other in reversed(inner):
        rest = (other[0], other[1], rest)
    _entries.set(rest)
    return entry[1]
