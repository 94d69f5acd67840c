"""What must be brought back to life in a forked child."""

import os
import weakref
from typing import Any, Final, Protocol

from shared.errors import ConfigurationError

__all__ = ["ForkAware", "after_fork_in_child"]


class ForkAware(Protocol):
    """Something that must be re-armed in a forked child: locks, threads, sockets.

    Example:
        >>> import threading
        >>> class Counter:
        ...     def after_fork(self) -> None:
        ...         self.lock = threading.Lock()
        >>> counter: ForkAware = Counter()
    """

    def after_fork(self) -> None:
        """Bring the object into a working state; runs in the child, must not log or block."""


# By identity: objects that compare equal are still two objects to re-arm. In
# order of registration.
_targets: Final[dict[int, "weakref.ref[Any]"]] = {}


def after_fork_in_child(target: ForkAware) -> None:
    """Call ``target.after_fork()`` in every forked child for as long as *target* lives.

    Targets are called in order of registration; one that raises does not keep the
    others from being called. Registering again changes nothing.

    Raises:
        ConfigurationError: *target* cannot be referenced weakly; add
            ``"__weakref__"`` to its ``__slots__``.

    Example:
        >>> class Pool:
        ...     def after_fork(self) -> None:
        ...         self.connections = []
        >>> pool = Pool()
        >>> after_fork_in_child(pool)
    """
    key = id(target)
    try:
        _targets[key] = weakref.ref(target, lambda ref: _forget(key, ref))
    except TypeError as exc:
        kind = type(target).__name__
        msg = f"{kind} cannot be re-armed after a fork: add '__weakref__' to its __slots__"
        raise ConfigurationError(msg, cause=exc) from exc


def _forget(key: int, ref: "weakref.ref[Any]") -> None:
    if _targets.get(key) is ref:  # the id may have been given to another object meanwhile
        _targets.pop(key, None)


def rearm() -> None:
    """Call every living target; runs in the child."""
    failure: Exception | None = None
    for ref in list(_targets.values()):
        target = ref()
        if target is None:
            continue
        try:
            target.after_fork()
        except Exception as exc:  # noqa: BLE001 - the others must be re-armed too
            failure = failure or exc
    if failure is not None:
        raise failure  # the interpreter reports it as unraisable and goes on


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=rearm)
