"""What a plan asks its shell to do.

A plan is a generator: it decides, yields one of these, and is sent the outcome. The
same plan serves :class:`Cache` and :class:`AsyncCache`, which differ in how they do it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from shared.cache._flight import Flight

T = TypeVar("T")
Command: TypeAlias = tuple[Any, ...]
Plan: TypeAlias = Generator[Any, Any, T]


@dataclass(frozen=True, slots=True)
class Send:
    """Send commands to Redis in one round trip; the outcome is the list of replies."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class RunScript:
    """Run a script on keys of one hash slot; the outcome is its reply."""

    text: str
    keys: tuple[str, ...]
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Call the caller's loader; the outcome is what it returns."""

    loader: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Follow:
    """Wait for somebody else's load; the outcome is its :class:`Landing`, or None after *seconds*."""

    flight: Flight
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Aside:
    """Carry out another plan; nobody waits for it when *behind*, and its failure is nobody's."""

    plan: Callable[[], Plan[Any]]
    behind: bool


@dataclass(frozen=True, slots=True)
class Landing:
    """How a load ended for those who followed it."""

    kept: Any  # the Entry or Frame; None: nothing was loaded, try yourself
