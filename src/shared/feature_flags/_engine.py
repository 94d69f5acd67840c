"""From a key and a context to an outcome, here and now: blocks, sources, exposures, unknown keys."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from shared.context import current_context
from shared.errors import FlagDocumentError, FlagUnavailableError, UnknownFlagError
from shared.feature_flags._detail import NOT_FOUND, TYPE_MISMATCH, Detail
from shared.feature_flags._exposure import Exposures
from shared.feature_flags._model import fits_flag
from shared.feature_flags._outcome import Entry, Outcome, Outcomes
from shared.feature_flags._scope import BlockState, ambient, block_of, current_block
from shared.feature_flags._snapshot import Snapshot, context_of, evaluate, missing
from shared.feature_flags._usage import Counters
from shared.runtime import Events

__all__ = ["Engine", "FlagSource"]

_log: Final = logging.getLogger("shared.feature_flags")
_MOST_WARNED: Final = 1000
_UNKNOWN: Final = "(unknown)"


class FlagSource(Protocol):
    """Somebody else who knows flags: asked for those that no document of the store holds.

    Example:
        >>> class Legacy:
        ...     def detail(self, key, context):
        ...         return Detail(key, True, "on", "STATIC") if key == "old_flag" else None
        >>> source: FlagSource = Legacy()
    """

    def detail(self, key: str, context: Mapping[str, Any]) -> Detail | None:
        """Return what *key* comes to, or None where it is not known; must not block."""


class Engine:
    """What a ``Flags`` evaluates with. Holds the snapshot in force and knows the block at hand."""

    def __init__(
        self,
        *,
        strict: bool,
        sources: tuple[FlagSource, ...],
        clock: Callable[[], float],
        events: Events,
    ) -> None:
        self.counters = Counters()
        self.sources = sources
        self.watch: Callable[[], object] | None = None  # called with every evaluation
        self.pulse: Callable[[], object] | None = None  # called with every scope
        self._strict = strict
        self._clock = clock
        self.exposures = Exposures(events)
        self._warned: set[str] = set()
        self.local: frozenset[str] = frozenset()

    def install(self, snapshot: Snapshot, local: frozenset[str], mismatched: list[str]) -> None:
        """Put *snapshot* in force.

        Args:
            snapshot: The flags.
            local: Keys that no store holds: of those, sources know better.
            mismatched: Keys that the store holds with another type than the code.
        """
        self.snapshot = snapshot
        self.local = local if self.sources else frozenset()
        for key in mismatched:
            self._warn_once(
                f"flag {key!r} has another type in the store than in the code: the code's is used", key
            )

    @property
    def is_careful(self) -> bool:
        """Whether every evaluation must come by here."""
        return self.watch is not None or bool(self.sources)

    def now(self) -> float:
        """Return the time for schedules: in a scope the same from its first use on."""
        block = block_of(self.counters)
        if block is None or block.snapshot is None:
            return self._clock()
        if block.now is None:
            block.now = self._clock()
        return block.now

    def all(self, context: Any) -> dict[str, Any]:
        """Return the value of every flag for one context."""
        watch = self.watch  # read once: a thread that begins to look ends it
        if watch is not None:
            watch()
        block = block_of(self.counters)
        snapshot = self.snapshot if block is None or block.snapshot is None else block.snapshot
        ctx = self.attributes(context, block)
        found: dict[str, Any] = {}
        for key, entry in snapshot.entries.items():
            outcome = entry.static
            if outcome is None:
                try:
                    outcome = evaluate(entry, ctx)
                except FlagUnavailableError:
                    continue
            found[key] = outcome.copy_of_value() if outcome.is_fresh else outcome.value
        for key in self.local:
            told = self.foreign(key, context)
            if told is not None:
                found[key] = told.value
        if block is not None:
            found |= {key: outcome.copy_of_value() for key, outcome in block.overrides.items()}
        return found

    def details(self, context: Any, keys: Iterable[str]) -> dict[str, Detail]:
        """Return the answers of *keys* that a document or a source holds, for one context; not counted."""
        watch = self.watch
        if watch is not None:
            watch()
        block = block_of(self.counters)
        snapshot = self.snapshot if block is None or block.snapshot is None else block.snapshot
        overrides = {} if block is None else block.overrides
        ctx = self.attributes(context, block)
        found: dict[str, Detail] = {}
        for key in keys:
            outcome = overrides.get(key)
            if outcome is None and key in self.local:
                told = self.foreign(key, context)
                if told is not None:
                    found[key] = told
                    continue
            entry = snapshot.entries.get(key)
            if outcome is None and entry is not None:
                try:
                    outcome = entry.static or evaluate(entry, ctx)
                except FlagUnavailableError:
                    outcome = entry.error
            if outcome is not None:
                found[key] = outcome.copy_of_detail()
        return found

    def outcome(self, key: str, context: Any) -> Outcome | None:
        """Return what *key* comes to, or None where no document holds it."""
        watch = self.watch  # read once: a thread that begins to look ends it
        if watch is not None:
            watch()
        block = block_of(self.counters)
        if block is None:
            return self._evaluate(self.snapshot.entries.get(key), key, context, None)
        forced = block.overrides.get(key)
        if forced is not None:
            return forced
        entry = (block.snapshot or self.snapshot).entries.get(key)
        if context is not None or block.snapshot is None or entry is None or entry.static is not None:
            return self._evaluate(entry, key, context, block)
        return self.remembered(entry, key, block)

    def remembered(self, entry: Entry, key: str, block: BlockState) -> Outcome | None:
        """Evaluate once for each scope and principal: a login within a request asks anew."""
        request = current_context()
        who = None if request is None else request.principal
        if who is not block.who:
            block.who, block.memo = who, {}
        memo = block.memo
        found = memo.get(key)
        if found is None:
            evaluated = self._evaluate(entry, key, None, block)
            if evaluated is None:
                return None
            found = memo.setdefault(key, evaluated)
        return found

    def _evaluate(
        self, entry: Entry | None, key: str, context: Any, block: BlockState | None
    ) -> Outcome | None:
        if entry is None or (key in self.local and self.foreign(key, context) is not None):
            return None
        if entry.static is not None:
            return entry.static
        ctx = self.attributes(context, block)
        outcome = evaluate(entry, ctx)
        if outcome.split is not None:
            self.exposures.note(outcome, ctx)
        return outcome

    def attributes(self, given: Any, block: BlockState | None) -> Mapping[str, Any]:
        """Return the attributes for an evaluation: what is given, over what the scope knows.

        The principal and tenant of the request count where the caller gives nothing.
        """
        around = None if block is None else block.context
        if given is None:
            return ambient() if around is None else {**ambient(), **around}
        ctx = context_of(given)
        return ctx if around is None else {**around, **ctx}

    # -- what is not held by a document ----------------------------------------------------

    def foreign(self, key: str, context: Any) -> Detail | None:
        """Return what a source says about *key*, or None where none knows it."""
        block = block_of(self.counters)
        for source in self.sources:
            try:
                found = source.detail(key, self.attributes(context, block))
            except Exception:  # noqa: BLE001 - a source is a stranger's code; the next one may know
                self._warn_once(f"a source failed for flag {key!r}", key)
                continue
            if found is not None and found.error_code != NOT_FOUND:
                return found
        return None

    def elsewhere(self, key: str, context: Any, default: Any) -> Detail:
        """Return what a source says about a flag that no document holds, or the default.

        Raises:
            UnknownFlagError: Nobody knows it, and that is an error here.
        """
        found = self.foreign(key, context)
        if found is not None:
            self.counters.tick(
                _UNKNOWN if key not in self.local else key, found.variant or "", found.reason
            )()
            return found
        if self._strict:
            msg = f"flag {key!r} is not declared: declare it, or correct the key"
            raise UnknownFlagError(msg, details={"flag": str(key)})
        self.counters.tick(_UNKNOWN, "", "ERROR")()
        self._warn_once(f"flag {key!r} is not declared: the default is used", key)
        return missing(key, default, self.snapshot.revision)

    def mismatch(self, key: str, outcome: Outcome, wanted: str, default: Any) -> Detail:
        """Return the default for a flag of another type than was asked for."""
        have = self.snapshot.flag(key)
        error = f"flag {key!r} is of type {have.type if have else 'another'}, {wanted} was asked for"
        self._warn_once(error, key)
        revision = outcome.detail.revision
        return Detail(key, default, None, "ERROR", None, revision, error, TYPE_MISMATCH)

    def _warn_once(self, message: str, key: str) -> None:
        if key not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(key)
            _log.warning(message, extra={"flag": str(key)})

    # -- blocks ----------------------------------------------------------------------------

    def scope_state(self, context: Any = None) -> BlockState:
        """Return what holds in a scope that begins here; for request layers."""
        pulse = self.pulse
        if pulse is not None:
            pulse()
        owner, around = self.counters, block_of(self.counters)
        parent = current_block()
        if around is None:
            known = None if context is None else context_of(context)
            return BlockState(owner, parent, self.snapshot, known, {})
        known = around.context if context is None else self.attributes(context, around)
        state = BlockState(owner, parent, around.snapshot or self.snapshot, known, around.overrides)
        state.now = around.now
        return state

    def request_state(self, flags: Any) -> BlockState:
        """Return what holds in a request that begins here: nothing of an earlier one on this thread.

        Args:
            flags: Whose engine this is; the functions of the room then need not look for it.
        """
        pulse = self.pulse
        if pulse is not None:
            pulse()
        around = current_block()
        while around is not None and around.flags is not None:
            around = around.parent
        enclosing = around
        while enclosing is not None and enclosing.owner is not self.counters:
            enclosing = enclosing.parent
        forced = {} if enclosing is None else enclosing.overrides
        context = None if enclosing is None else enclosing.context
        state = BlockState(self.counters, around, self.snapshot, context, forced)
        state.flags = flags
        return state

    def override_state(self, forced: Mapping[str, Outcome]) -> BlockState:
        """Return what holds in a block that forces values and begins here."""
        owner, around = self.counters, block_of(self.counters)
        if around is None:
            return BlockState(owner, current_block(), None, None, forced)
        both = {**around.overrides, **forced}
        state = BlockState(owner, current_block(), around.snapshot, around.context, both)
        state.now = around.now
        return state

    def forced(self, key: str, value: Any) -> Outcome:
        """Return *value* as the outcome of *key* in a block.

        Raises:
            UnknownFlagError: It is not declared; a misspelt override would test nothing.
            FlagDocumentError: The value does not fit the type of the flag.
        """
        flag = self.snapshot.flag(key)
        if flag is None:
            msg = f"flag {key!r} is not declared and cannot be overridden: declare it, or correct the key"
            raise UnknownFlagError(msg, details={"flag": str(key)})
        if not fits_flag(value, flag.type):
            msg = f"a value of type {flag.type} expected, got {type(value).__name__}"
            raise FlagDocumentError([msg], subject=f"override of flag {key!r}")
        made = Outcomes(flag, self.snapshot.revision, self.counters, is_stale=False)
        return made.of_value(flag.variant_of(value) or "override", value, "OVERRIDE")
