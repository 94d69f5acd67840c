"""What a store of locks is asked, and what it answers."""

from typing import Any, Final, Protocol

from shared.errors import InvalidArgumentError

__all__ = ["LockStore", "check_name"]

_LONGEST: Final = 512  # bytes


class LockStore(Protocol):
    """Where locks are kept. A lock is held by one owner until it gives it back or its time is over.

    Every time it is taken it carries a number that is higher than all before it for this
    name: the fencing token.

    Example:
        >>> from shared.cache import MemoryLocks
        >>> store: LockStore = MemoryLocks()
        >>> first = store.take("reports", "me", 30.0)
        >>> store.take("reports", "you", 30.0) is None, store.give_back("reports", "me")
        (True, True)
        >>> store.take("reports", "you", 30.0) > first
        True
    """

    shown: str
    """Kind of store and where it is, without secrets."""

    def take(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """Take the lock, or stand in line for it.

        Args:
            name: Of the lock.
            owner: A text nobody else uses.
            ttl: Seconds until it is free again by itself.
            patience: Seconds for which the place in the line is kept until *owner* asks
                again; 0 does not stand in line.

        Returns:
            The fencing token, or None while somebody else holds it or is before *owner*.

        Raises:
            SharedError: The store did not answer.
        """

    def renew(self, name: str, owner: str, ttl: float) -> bool:
        """Hold it for *ttl* seconds from now; False when it is not held by *owner* any more."""

    def give_back(self, name: str, owner: str) -> bool:
        """Give it back, and leave the line; False when it was not held by *owner* any more."""

    async def atake(self, name: str, owner: str, ttl: float, patience: float = 0.0) -> int | None:
        """As :meth:`take`, without blocking the event loop."""

    async def arenew(self, name: str, owner: str, ttl: float) -> bool:
        """As :meth:`renew`, without blocking the event loop."""

    async def agive_back(self, name: str, owner: str) -> bool:
        """As :meth:`give_back`, without blocking the event loop."""

    def close(self) -> None:
        """Give back what is held open."""

    async def aclose(self) -> None:
        """Give back what is held open, also what belongs to the event loop."""


def check_name(name: Any) -> str:
    """Return the name of a lock.

    Raises:
        InvalidArgumentError: It is not a text of 1 to 512 bytes, or has a NUL, which databases do not keep.
    """
    try:
        if isinstance(name, str) and 0 < len(name.encode()) <= _LONGEST and "\0" not in name:
            return name
    except UnicodeEncodeError:
        pass
    msg = f"the name of a lock is a text of 1 to {_LONGEST} bytes without NUL, got a {type(name).__name__}"
    raise InvalidArgumentError(msg)
