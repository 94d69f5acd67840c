"""What a flag can come to: made once when flags are compiled, so that evaluating makes nothing."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeAlias

from shared.feature_flags._detail import GENERAL, Detail, FlagReason
from shared.feature_flags._model import Flag
from shared.feature_flags._operators import Context
from shared.feature_flags._rules import Split
from shared.feature_flags._usage import Counters, Tick

__all__ = ["Decide", "Entry", "Outcome", "Outcomes"]


class Outcome:
    """One value, with its reason and its counter. Immutable."""

    __slots__ = ("detail", "enabled", "is_fresh", "is_on", "split", "tick", "value", "variant")

    def __init__(self, detail: Detail, tick: Tick, split: Split | None = None) -> None:
        self.detail = detail
        self.tick = tick
        self.split = split
        self.variant: str = detail.variant or ""
        self.value: Any = detail.value
        # What is_enabled answers; None where the value is no boolean.
        self.enabled: bool | None = detail.value if type(detail.value) is bool else None
        self.is_on: bool = detail.value is True
        self.is_fresh: bool = isinstance(detail.value, (dict, list))

    def copy_of_value(self) -> Any:
        """Return the value; a list or a mapping is the caller's own."""
        return deepcopy(self.value) if self.is_fresh else self.value

    def copy_of_detail(self) -> Detail:
        """Return the detail; its value is the caller's own."""
        found = self.detail
        if not self.is_fresh:
            return found
        return Detail(
            found.key, deepcopy(found.value), found.variant, found.reason, found.rule_id, found.revision,
            found.error, found.error_code,
        )  # fmt: skip


Decide: TypeAlias = Callable[[Context], Outcome]


class Outcomes:
    """Makes the outcomes of one flag."""

    def __init__(self, flag: Flag, revision: int, counters: Counters, *, is_stale: bool) -> None:
        self._flag = flag
        self._revision = revision
        self._counters = counters
        self._is_stale = is_stale

    def make(
        self, variant: str, reason: FlagReason, rule_id: str | None = None, split: Split | None = None
    ) -> Outcome:
        """Return the outcome of *variant*."""
        return self.of_value(variant, self._flag.variants[variant], reason, rule_id, split)

    def of_value(
        self,
        variant: str,
        value: Any,
        reason: FlagReason,
        rule_id: str | None = None,
        split: Split | None = None,
    ) -> Outcome:
        """Return the outcome of a value that need not be one of the variants."""
        if self._is_stale and reason != "OVERRIDE":
            reason = "STALE"
        if self._flag.type == "float":
            value = float(value)
        detail = Detail(self._flag.key, value, variant, reason, rule_id, self._revision)
        return Outcome(detail, self._counters.tick(self._flag.key, variant, reason), split)

    def failed(self, error: str, code: str = GENERAL) -> Outcome:
        """Return the default of the flag with what went wrong."""
        flag = self._flag
        detail = Detail(
            flag.key, flag.default, flag.default_variant, "ERROR", None, self._revision, error, code
        )
        return Outcome(detail, self._counters.tick(flag.key, flag.default_variant, "ERROR"))


class Entry:
    """A flag, compiled."""

    __slots__ = ("decide", "error", "flag", "required", "static")

    def __init__(self, flag: Flag, decide: Decide, static: Outcome | None, error: Outcome) -> None:
        self.flag = flag
        self.decide = decide
        self.static = static  # where no context makes a difference
        self.error = error
        self.required = flag.required
