"""Flags that need other flags: in which order they are compiled, and whether the others allow it."""

from collections.abc import Mapping
from typing import Final

from shared.feature_flags._model import Flag
from shared.feature_flags._operators import Context, Test
from shared.feature_flags._outcome import Entry
from shared.feature_flags._rules import Prerequisite
from shared.feature_flags._scope import override_of

__all__ = ["order_flags", "requires"]

_DEEPEST: Final = 10


def order_flags(flags: Mapping[str, Flag], faults: list[str]) -> list[str]:
    """Return the keys so that a flag comes after those it needs; circles go to *faults*."""
    depths: dict[str, int] = {}

    def visit(key: str, path: tuple[str, ...]) -> int:
        if key in depths:
            return depths[key]
        if key in path:
            faults.append(
                f"flags.{key}.prerequisites: a circle: {' -> '.join((*path[path.index(key) :], key))}"
            )
            return 0
        if len(path) > _DEEPEST:
            faults.append(f"flags.{path[0]}.prerequisites: more than {_DEEPEST} levels deep")
            return 0
        needed = [need.flag for need in flags[key].prerequisites if need.flag in flags]
        depth = max((visit(other, (*path, key)) + 1 for other in needed), default=0)
        if depth > _DEEPEST:
            faults.append(f"flags.{key}.prerequisites: more than {_DEEPEST} levels deep")
            depth = 0
        return depths.setdefault(key, depth)

    for key in flags:
        visit(key, ())
    return sorted(flags, key=lambda key: depths.get(key, 0))


def requires(
    need: Prerequisite, entries: Mapping[str, Entry], key: str, owner: object, faults: list[str]
) -> Test:
    """Return whether *need* is met, as a function of the context.

    Args:
        need: What is needed.
        entries: The flags compiled so far.
        key: Whose need it is.
        owner: Whose overrides in a block count.
        faults: Where to note what is wrong.
    """
    entry, wanted = entries.get(need.flag), frozenset(need.variants)
    if entry is None:
        faults.append(f"flags.{key}.prerequisites: flag {need.flag!r} does not exist, or is part of a circle")
        return lambda _: False
    unknown = sorted(wanted - set(entry.flag.variants))
    faults += [f"flags.{key}.prerequisites: flag {need.flag!r} has no variant {name!r}" for name in unknown]
    other = need.flag

    def holds(ctx: Context) -> bool:
        forced = override_of(owner, other)
        if forced is not None:
            return forced.variant in wanted
        outcome = entry.static or entry.decide(ctx)
        return outcome.variant in wanted

    return holds
