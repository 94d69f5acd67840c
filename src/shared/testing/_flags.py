"""Feature flags in tests: forced values, variants that can be reached, contexts of every kind."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.errors import MissingDependencyError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from shared.feature_flags import Condition, Flag, Flags

__all__ = ["FlagOverrides", "assert_variants_reachable", "flag_contexts"]

_UNITS: Final = 2000  # tried for splits; one of 1 % is missed once in 500 million runs


class FlagOverrides:
    """What the fixture ``flags_override`` gives: ``flags_override(new_menu=True)``.

    The values hold until the test ends, for the test and what it calls and starts from its
    own task or thread; :attr:`flags` are those of the runtime.

    Example:
        >>> from shared.feature_flags import Flag, Flags, is_feature_enabled
        >>> from shared.runtime import Runtime, use
        >>> with use(Runtime("docs")) as runtime, runtime.override(Flags, Flags([Flag("new_menu")])):
        ...     with flag_overrides() as override:
        ...         override(new_menu=True)
        ...         is_feature_enabled("new_menu")
        ...     is_feature_enabled("new_menu")
        True
        False
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    @property
    def flags(self) -> "Flags":
        """The flags whose values are forced."""
        from shared.feature_flags import get_flags

        return get_flags()

    def __call__(self, values: Mapping[str, Any] | None = None, /, **flags: Any) -> None:
        """Force values, by key; *values* takes keys that are no Python names.

        Raises:
            UnknownFlagError: A flag is not declared: a misspelt override would test nothing.
            FlagDocumentError: A value does not fit the type of its flag.
        """
        self._stack.enter_context(self.flags.override(values, **flags))


@contextmanager
def flag_overrides() -> Iterator[FlagOverrides]:
    """Yield what forces values until the block ends, whatever happens in it."""
    with ExitStack() as stack:
        yield FlagOverrides(stack)


def assert_variants_reachable(
    flags: "Flags",
    key: str,
    *,
    variants: Iterable[str] | None = None,
    contexts: Iterable[Mapping[str, Any]] = (),
    units: int = _UNITS,
) -> None:
    """Assert that somebody can get each variant of a flag, or each of *variants*.

    It tries nobody, *contexts*, and for each rule contexts made from its conditions, with
    many units. A rule that stands behind one that always matches, a variant without a
    weight, a condition that contradicts itself are found.

    Args:
        flags: Whose flag, with the overrides in force.
        key: The flag.
        variants: Those that must be reachable; all but the off variant of a flag that is
            enabled when None.
        contexts: Further contexts to try.
        units: How many units each context is tried with; more for splits below 1 %.

    Raises:
        AssertionError: A variant cannot be reached, or there is no such flag.

    Example:
        >>> from shared.feature_flags import Flag, Flags, Rule
        >>> pro = Rule("on", when={"attr": "plan", "op": "eq", "value": "pro"})
        >>> assert_variants_reachable(Flags([Flag("menu", rules=[pro])]), "menu")
        >>> assert_variants_reachable(Flags([Flag("menu")]), "menu", variants=["on"])
        Traceback (most recent call last):
            ...
        AssertionError: flag 'menu': nobody gets 'on'; reached: off
    """
    flag = flags.snapshot.flag(key)
    if flag is None:
        msg = f"there is no flag {key!r} (known: {', '.join(flags.snapshot) or 'none'})"
        raise AssertionError(msg)
    wanted = set(flag.variants if variants is None else variants)
    if variants is None and flag.off_variant != flag.default_variant:
        wanted.discard(flag.off_variant)  # for when the flag is not enabled
    reached: set[str] = set()
    for context in _tried(flags, flag, contexts, units):
        found = flags.explain(key, context).detail.variant
        if found is not None:
            reached.add(found)
        if wanted <= reached:
            return
    missing = sorted(wanted - reached)
    msg = f"flag {key!r}: nobody gets {', '.join(map(repr, missing))}; reached: {', '.join(sorted(reached))}"
    raise AssertionError(msg)


def _tried(
    flags: "Flags", flag: "Flag", contexts: Iterable[Mapping[str, Any]], units: int
) -> Iterator[Mapping[str, Any]]:
    """Yield contexts, the likely ones first; each alone, then with many units."""
    segments = flags.snapshot.document.segments
    given = [dict(each) for each in contexts]
    guessed = [
        made
        for rule in flag.rules
        for made in (_satisfying(rule.when, segments, depth=0) if rule.when is not None else [{}])
    ]
    bases = [{}, *given, *guessed]
    yield from bases
    names = sorted({rule.split.unit for rule in flag.rules if rule.split is not None} | {"user_id"})
    for number in range(units):
        for base in bases:
            yield {**{name: f"unit-{number}" for name in names if "." not in name}, **base}


def _satisfying(
    condition: "Condition", segments: "Mapping[str, Condition]", depth: int
) -> list[dict[str, Any]]:
    """Return contexts that may fulfil *condition*; guesses, which evaluation judges."""
    from shared.testing._flag_guesses import satisfying

    return satisfying(condition, segments, depth)


def flag_contexts(
    flags: "Flags | None" = None, *, units: Iterable[Any] | None = None
) -> "SearchStrategy[dict[str, Any]]":
    """Return a hypothesis strategy of contexts: likely ones, and hostile ones.

    Attributes that rules of *flags* look at get values near those that the rules compare
    with, values of other types, and none at all; others get anything. ``user_id`` is a
    text, a number, missing, or something that is no id.

    Args:
        flags: Whose rules are looked at.
        units: Ids to draw ``user_id`` from; any when None.

    Raises:
        MissingDependencyError: hypothesis is not installed.

    Example:
        >>> from hypothesis import given
        >>> from shared.feature_flags import Flag, Flags
        >>> flags = Flags([Flag("new_menu", rollout=50)])
        >>> @given(context=flag_contexts(flags))
        ... def test_nobody_breaks_the_menu(context):
        ...     assert flags.is_enabled("new_menu", context) in (True, False)
    """
    try:
        from shared.testing._flag_strategies import contexts
    except ImportError as exc:
        raise MissingDependencyError("hypothesis", extra="testing") from exc
    return contexts(flags, None if units is None else list(units))
