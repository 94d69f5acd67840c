"""Hypothesis strategies of contexts for flags."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from shared.testing._flag_guesses import leaves, near

if TYPE_CHECKING:
    from shared.feature_flags import Flags

__all__ = ["contexts"]


class _Odd:
    """A value that no rule expects: it compares with nothing and has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("not comparable")

    def __repr__(self) -> str:
        return "odd"


# A few letters of each kind: drawing from all of Unicode makes the first example slow.
_TEXTS = st.text("aZ7 ._-@é😀\u202e\x00\ud800", max_size=12)
_PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | _TEXTS
    | st.binary(max_size=4)
    | st.just(datetime(2026, 1, 1, tzinfo=UTC))
    | st.just(datetime(2026, 1, 1))  # noqa: DTZ001 - a moment without a zone is what callers give, too
)
ANYTHING: "st.SearchStrategy[Any]" = (
    _PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(_TEXTS, _PLAIN, max_size=2) | st.builds(_Odd)
)
_IDS = (
    st.integers(0, 10_000).map("user-{}".format)
    | st.integers()
    | st.uuids().map(str)
    | st.integers(0, 99).map("user{}@example.com".format)
)


def contexts(flags: "Flags | None", units: Sequence[Any] | None) -> "st.SearchStrategy[dict[str, Any]]":
    """Return the strategy; see :func:`shared.testing.flag_contexts`."""
    known = {} if flags is None else _attributes(flags)
    ids = _IDS if units is None else st.sampled_from(list(units))
    optional: dict[str, st.SearchStrategy[Any]] = {"user_id": ids if units is not None else ids | ANYTHING}
    for attr, values in known.items():
        optional.setdefault(attr, st.sampled_from(values) | ANYTHING)
    rules = st.fixed_dictionaries({}, optional=optional)
    others = st.dictionaries(_TEXTS, ANYTHING, max_size=2)
    return st.builds(_together, others, rules)


def _together(others: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {**others, **known}


def _attributes(flags: "Flags") -> Mapping[str, list[Any]]:
    """Return the values that rules compare attributes with, and their neighbours."""
    document = flags.snapshot.document
    found: dict[str, list[Any]] = {}
    for flag in document.flags.values():
        for rule in flag.rules:
            if rule.when is not None:
                for attr, _, value in leaves(rule.when.to_dict(), document.segments):
                    found.setdefault(attr, []).extend(near(value))
            if rule.split is not None and rule.split.unit != "user_id":
                found.setdefault(rule.split.unit, []).append("unit-1")
    return found
