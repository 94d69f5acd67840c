"""Living guards, weakly: whoever must reach them all (a fork, a chaos test) finds them here."""

import threading
import weakref
from typing import Generic, Protocol, TypeVar

from shared.runtime import after_fork_in_child

__all__ = ["Fleet"]


class Member(Protocol):
    """A named object with a lock to renew in a forked child."""

    name: str

    def after_fork(self) -> None:
        """Re-arm in the child."""


M = TypeVar("M", bound=Member)


class Fleet(Generic[M]):
    """All living objects of one kind.

    One entry in the fork hooks stands for all of them, which keeps an object small.
    """

    def __init__(self) -> None:
        self._members: weakref.WeakSet[M] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._hooked = False

    def add(self, member: M) -> None:
        """Know *member* for as long as it lives."""
        with self._lock:
            self._members.add(member)
            if not self._hooked:
                self._hooked = True
                after_fork_in_child(self)

    def named(self, name: str) -> list[M]:
        """Return the members of that name."""
        with self._lock:
            return [member for member in self._members if member.name == name]

    def after_fork(self) -> None:
        """Re-arm every member in the child."""
        self._lock = threading.Lock()
        for member in list(self._members):
            member.after_fork()
