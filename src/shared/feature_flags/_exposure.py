"""Who met which variant: told once, remembered in bounded space."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.feature_flags._compile_rule import unit_finder
from shared.feature_flags._events import FlagExposed

if TYPE_CHECKING:
    from shared.feature_flags._outcome import Outcome
    from shared.runtime import Events

__all__ = ["Exposures"]

_MOST: Final = 50_000


class Exposures:
    """Tells of each unit, variant and phase once, for as long as it is remembered.

    The least recent are forgotten first and may be told again: whoever stores exposures
    needs a unique key of its own. Nothing blocks; nothing is done while nobody listens.
    """

    def __init__(self, events: "Events", *, most: int = _MOST) -> None:
        self._events = events
        self._most = most
        self._seen: OrderedDict[tuple[str, str, str, int], None] = OrderedDict()

    def note(self, outcome: "Outcome", ctx: Mapping[str, Any]) -> None:
        """Tell of *outcome*, which a split gave to the unit of *ctx*, unless it is known."""
        split = outcome.split
        if split is None or not self._events.has_listeners(FlagExposed):
            return
        unit = unit_finder(split)(ctx)
        if unit is None:
            return
        detail = outcome.detail
        name = (detail.key, outcome.variant, unit, split.phase)
        try:
            self._seen.move_to_end(name)
        except KeyError:
            self._remember(name)
            self._events.emit(FlagExposed(detail.key, outcome.variant, unit, detail.rule_id, split.phase))

    def _remember(self, name: tuple[str, str, str, int]) -> None:
        self._seen[name] = None
        while len(self._seen) > self._most:
            try:
                self._seen.popitem(last=False)
            except KeyError:  # another thread was faster
                return

    def __len__(self) -> int:
        return len(self._seen)
