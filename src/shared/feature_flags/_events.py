"""What flags tell: a change, a failing store, an exposure, something a user did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FlagExposed", "FlagStoreFailed", "FlagTracked", "FlagsChanged"]


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """Definitions are in force that were not before.

    Attributes:
        revision: Of the document now in force.
        keys: Flags that were added, changed or removed, sorted.
        actor: Who changed them, where it is known.
        reason: Why, where it is known.

    Example:
        >>> FlagsChanged(7, ("new_menu",)).keys
        ('new_menu',)
    """

    revision: int
    keys: tuple[str, ...]
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class FlagStoreFailed:
    """The store could not be read, or what it holds was refused; the old flags stay in force.

    Attributes:
        error: What happened, in words.
        refused: Whether a document was read and refused.

    Example:
        >>> FlagStoreFailed("the connection was refused").refused
        False
    """

    error: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class FlagExposed:
    """A unit met a variant that a split gave it; told once per unit, variant and phase.

    Attributes:
        key: Of the flag.
        variant: What the unit got.
        unit: Its id. May be personal: keep it out of logs and labels.
        rule_id: The rule with the split.
        phase: Of the split.

    Example:
        >>> FlagExposed("new_menu", "blue", "u-1", "rule-1", 1).variant
        'blue'
    """

    key: str
    variant: str
    unit: str
    rule_id: str | None
    phase: int


@dataclass(frozen=True, slots=True)
class FlagTracked:
    """Something happened that experiments count: an order, a click, an error.

    Attributes:
        event: Its name.
        unit: Who did it, where the context says so.
        value: How much, where it is a quantity.
        fields: Anything else.

    Example:
        >>> FlagTracked("order_placed", "u-1", 12.5).value
        12.5
    """

    event: str
    unit: str | None = None
    value: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
