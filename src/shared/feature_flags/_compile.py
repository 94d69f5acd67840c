"""From a document to a snapshot: everything that can be done once is done here."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from shared.errors import FlagDocumentError, FlagUnavailableError
from shared.feature_flags._assignments import FlagAssignments
from shared.feature_flags._compile_rule import RuleBuilder
from shared.feature_flags._conditions import compile_segments
from shared.feature_flags._detail import NOT_READY
from shared.feature_flags._model import Flag, FlagDocument, fits_flag
from shared.feature_flags._operators import Context, Test
from shared.feature_flags._outcome import Decide, Entry, Outcome, Outcomes
from shared.feature_flags._prerequisites import order_flags, requires
from shared.feature_flags._snapshot import Snapshot
from shared.feature_flags._usage import Counters

__all__ = ["compile_flags"]

SnapshotState = Literal["live", "stale", "defaults"]
_MOST_FAULTS = 100


def compile_flags(
    document: FlagDocument,
    *,
    environment: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
    state: SnapshotState = "live",
    counters: Counters | None = None,
    assignments: FlagAssignments | None = None,
) -> Snapshot:
    """Return *document* ready to be evaluated; nothing of it can change any more.

    Args:
        document: The flags and segments.
        environment: Whose overlays apply.
        overrides: Values that win over everything in the document, by key.
        clock: Seconds since 1970, for schedules.
        state: ``stale`` when it is the last known good and the store cannot be reached:
            reasons are ``STALE``. ``defaults`` when the store was never reached: flags that
            are required then raise.
        counters: Where evaluations are counted.
        assignments: What sticky splits remember; they hash only, when None.

    Raises:
        FlagDocumentError: Something in it cannot work: a circle or more than ten levels of
            prerequisites, an unknown variant, flag or segment, a value that does not fit its
            comparison, a pattern that is refused, an override of another type. ``faults``
            lists everything.

    Example:
        >>> document = FlagDocument.from_dict({"flags": {"new_menu": {"rollout": 100}}, "revision": 3})
        >>> compile_flags(document).detail("new_menu", {"user_id": "u-1"}).reason
        'SPLIT'
    """
    faults: list[str] = []
    flags = _in_environment(document, environment, faults)
    segments = compile_segments(document.segments, faults)
    order = order_flags(flags, faults)
    compiler = _Compiler(document.revision, clock, state, counters or Counters(), assignments)
    entries: dict[str, Entry] = {}
    for key in order:
        entries[key] = compiler.entry(flags[key], segments, entries, faults)
    for key, value in (overrides or {}).items():
        compiler.override(key, value, entries, faults)
    if faults:
        raise FlagDocumentError(faults[:_MOST_FAULTS])
    ordered = {key: entries[key] for key in flags}
    return Snapshot(document, ordered, environment=environment, overrides=overrides or {}, state=state)


def _in_environment(document: FlagDocument, environment: str | None, faults: list[str]) -> dict[str, Flag]:
    flags = {}
    for key, flag in document.flags.items():
        try:
            flags[key] = flag.in_environment(environment)
        except FlagDocumentError as exc:
            faults += [f"flags.{key}.environments.{environment}: {fault}" for fault in exc.faults]
            flags[key] = flag
    return flags


class _Compiler:
    def __init__(
        self,
        revision: int,
        clock: Callable[[], float],
        state: SnapshotState,
        counters: Counters,
        assignments: FlagAssignments | None,
    ) -> None:
        self._revision = revision
        self._state = state
        self._counters = counters
        self._rules = RuleBuilder(clock, assignments)

    def entry(
        self, flag: Flag, segments: Mapping[str, Test], entries: Mapping[str, Entry], faults: list[str]
    ) -> Entry:
        made = Outcomes(flag, self._revision, self._counters, is_stale=self._state != "live")
        if flag.required and self._state == "defaults":
            error = made.failed("the store was never reached", NOT_READY)
            return Entry(flag, _unavailable(flag.key), None, error)
        error = made.failed("the evaluation failed")
        if not flag.enabled:
            off = made.make(flag.off_variant, "DISABLED")
            return Entry(flag, _always(off), off, error)
        default = made.make(flag.default_variant, "DEFAULT")
        rules = self._rules.build(flag, made, default, segments, faults)
        needed = [requires(p, entries, flag.key, self._counters, faults) for p in flag.prerequisites]
        if not rules and not needed:
            only = made.make(flag.default_variant, "STATIC")
            return Entry(flag, _always(only), only, error)
        decide = _first(rules, default)
        if needed:
            decide = _after(needed, made.make(flag.off_variant, "PREREQUISITE_FAILED"), decide)
        return Entry(flag, decide, None, error)

    def override(self, key: str, value: Any, entries: dict[str, Entry], faults: list[str]) -> None:
        before = entries.get(key)
        if before is None:
            faults.append(f"override of {key!r}: no such flag")
            return
        flag = before.flag
        if not fits_flag(value, flag.type):
            faults.append(f"override of {key!r}: a value of type {flag.type} expected")
            return
        made = Outcomes(flag, self._revision, self._counters, is_stale=False)
        outcome = made.of_value(flag.variant_of(value) or "override", value, "OVERRIDE")
        # In place: flags that need this one hold the entry.
        before.decide, before.static = _always(outcome), outcome


def _always(outcome: Outcome) -> Decide:
    return lambda _: outcome


def _unavailable(key: str) -> Decide:
    def refuse(_: Context) -> Outcome:
        msg = f"flag {key!r} is required, and the store of flags was never reached: restore it"
        raise FlagUnavailableError(msg, details={"flag": key})

    return refuse


def _first(rules: list[Callable[[Context], Outcome | None]], default: Outcome) -> Decide:
    """Return what finds the first rule with an outcome."""
    if not rules:
        return _always(default)
    if len(rules) == 1:
        return cast("Decide", rules[0])  # the last one always answers

    def decide(ctx: Context) -> Outcome:
        for rule in rules:
            found = rule(ctx)
            if found is not None:
                return found
        return default

    return decide


def _after(needed: list[Test], off: Outcome, decide: Decide) -> Decide:
    def check(ctx: Context) -> Outcome:
        for holds in needed:
            if not holds(ctx):
                return off
        return decide(ctx)

    return check
