"""The flags of a service: what is declared, what the store says, and what holds right here."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from shared.feature_flags._compile import SnapshotState, compile_flags
from shared.feature_flags._declare import (
    Declared,
    Overrides,
    always,
    changed_keys,
    declared,
    is_like,
    merged,
    mismatched,
)
from shared.feature_flags._detail import Detail, Explanation
from shared.feature_flags._engine import Engine, FlagSource
from shared.feature_flags._events import FlagExposed, FlagsChanged
from shared.feature_flags._explain import explain
from shared.feature_flags._model import Flag, FlagDocument, type_of
from shared.feature_flags._refreshing import Refreshing
from shared.feature_flags._scope import block_of, current_block
from shared.feature_flags._scoping import Scoping
from shared.feature_flags._snapshot import Snapshot
from shared.feature_flags._telling import Telling
from shared.runtime import Events, after_fork_in_child, current

if TYPE_CHECKING:
    from shared.feature_flags._assignments import FlagAssignments
    from shared.feature_flags._last_known_good import LastKnownGood
    from shared.feature_flags._outcome import Outcome
    from shared.feature_flags._store import FlagStore

__all__ = ["Flags"]


class Flags(Scoping, Telling, Refreshing):
    """The flags of a service, ready to ask. Thread-safe, fork-safe; asking does no I/O.

    What decides, the strongest first: an :meth:`override` in the block at hand, an override
    of the process (a variable), the document of the store, a source, what the code declares.

    Args:
        flags: What the code declares: :class:`Flag` objects, a mapping of keys to default
            values, a document, or the path of a file that holds one (YAML, JSON or TOML).
        defaults: Further flags as ``{key: default}``, such as :data:`FEATURE_FLAGS`; those in
            *flags* win.
        environment: Whose overlays apply: ``settings.app.ENVIRONMENT``.
        overrides: Values that win over every document, by key; or a function that returns
            them for the declared flags.
        store: Where the newest flags are, over those declared: a store, or a URL for
            :func:`flag_store`. It is asked first with the first evaluation, then in the
            background. Close the flags when done.
        refresh_seconds: How often it is asked at least; hints of the store come sooner.
        last_known_good: A file that keeps what was last in force, for a start while the store
            is down.
        owns_store: Whether :meth:`close` closes the store; it does where a URL was given.
        threads: Whether a thread may ask it; without, evaluation does when it is time.
        strict: Whether an unknown key raises; else it is logged once and yields the default.
        sources: Asked in order for flags that no document of a store holds.
        assignments: What sticky splits remember.
        clock: Seconds since 1970, for schedules.
        events: Who hears of changes and exposures; those of the current runtime when None.

    Raises:
        FlagDocumentError: What is declared contradicts itself.

    Example:
        >>> flags = Flags([Flag("new_menu"), Flag("page_size", default=20)])
        >>> flags.is_enabled("new_menu"), flags.value("page_size")
        (False, 20)
    """

    def __init__(
        self,
        flags: Declared = (),
        *,
        defaults: Mapping[str, Any] | None = None,
        environment: str | None = None,
        overrides: Mapping[str, Any] | Overrides | None = None,
        store: "FlagStore | str | None" = None,
        refresh_seconds: float = 15.0,
        last_known_good: "LastKnownGood | str | None" = None,
        owns_store: bool = False,
        threads: bool = True,
        strict: bool = False,
        sources: Iterable[FlagSource] = (),
        assignments: "FlagAssignments | None" = None,
        clock: Callable[[], float] = time.time,
        events: Events | None = None,
    ) -> None:
        self.environment: str | None = None if environment is None else str(environment)
        self.events: Events = events if events is not None else current().events
        self._declared = merged(declared(defaults or {}), declared(flags))
        self._stored: FlagDocument | None = None
        self._state: SnapshotState = "live" if store is None else "defaults"
        self._find_overrides = overrides if callable(overrides) else always(overrides or {})
        self._assignments = assignments
        self._engine = Engine(strict=strict, sources=tuple(sources), clock=clock, events=self.events)
        self._owner = self._engine.counters
        self._hears = self.events.has_listeners
        self._lock = threading.Lock()
        self._stops: list[Callable[[], object]] = []
        after_fork_in_child(self)
        self._put()
        if store is not None:
            found = self._opened(store, owned=owns_store)
            self._follow(found, every=refresh_seconds, kept=last_known_good, threads=threads)

    # -- asking ----------------------------------------------------------------------------

    def is_enabled(self, key: str, context: Any = None, *, default: bool | None = None) -> bool:
        """Return whether a bool flag is on.

        Args:
            key: Of the flag.
            context: Attributes by name, or the id of a user; what the scope and the request
                know, when None.
            default: The answer where the flag is unknown or no bool flag; False when None.

        Raises:
            FlagUnavailableError: The flag is required and cannot be evaluated.
            UnknownFlagError: It is not declared, and ``strict`` is set.

        Example:
            >>> Flags([Flag("new_menu", default=True)]).is_enabled("new_menu")
            True
        """
        block = current_block()
        if block is None:
            entry = self._fast.get(key)
        else:
            entry = block.fast.get(key) if block.owner is self._owner else None
        outcome: Outcome | None = None
        if entry is not None:
            outcome = entry.static
            if outcome is not None:
                outcome.tick()
                return outcome.is_on
            if type(context) is dict and (block is None or block.context is None):
                try:
                    outcome = entry.decide(context)
                    if outcome.split is not None and self._hears(FlagExposed):
                        self._engine.exposures.note(outcome, context)
                except Exception:  # noqa: BLE001 - tried again with care, below
                    outcome = None
            elif context is None and block is not None:
                outcome = self._engine.remembered(entry, key, block)
        if outcome is None:
            outcome = self._engine.outcome(key, context)
        if outcome is None:
            found = self._engine.elsewhere(key, context, default).value
            return found if type(found) is bool else bool(default)
        outcome.tick()
        if outcome.enabled is None:
            return bool(self._engine.mismatch(key, outcome, "bool", default).value)
        return outcome.enabled

    def variant(self, key: str, context: Any = None, *, default: str | None = None) -> str | None:
        """Return the name of the variant a flag comes to, *default* where it is unknown.

        Example:
            >>> colours = Flag("button", default="blue", variants={"b": "blue", "g": "green"})
            >>> Flags([colours]).variant("button")
            'b'
        """
        outcome = self._engine.outcome(key, context)
        if outcome is None:
            return self._engine.elsewhere(key, context, None).variant or default
        outcome.tick()
        return outcome.variant

    def value(self, key: str, context: Any = None, *, default: Any = None) -> Any:
        """Return the value of a flag; a list or a mapping is the caller's own.

        Args:
            key: Of the flag.
            context: As :meth:`is_enabled`.
            default: The value where the flag is unknown, or of another type than this.

        Raises:
            FlagUnavailableError: The flag is required and cannot be evaluated.
            UnknownFlagError: It is not declared, and ``strict`` is set.

        Example:
            >>> flags = Flags([Flag("page_size", default=20)])
            >>> flags.value("page_size"), flags.value("page_size", default="large")
            (20, 'large')
        """
        outcome = self._engine.outcome(key, context)
        if outcome is None:
            return self._engine.elsewhere(key, context, default).value
        outcome.tick()
        if default is not None and not is_like(outcome.value, default):
            return self._engine.mismatch(key, outcome, type_of(default), default).value
        return outcome.copy_of_value()

    def detail(self, key: str, context: Any = None, *, default: Any = None) -> Detail:
        """Return the value of a flag with its variant, reason, rule and revision.

        Args:
            key: Of the flag.
            context: As :meth:`is_enabled`.
            default: The value where the flag is unknown, or of another type than this.

        Raises:
            FlagUnavailableError: The flag is required and cannot be evaluated.
            UnknownFlagError: It is not declared, and ``strict`` is set.

        Example:
            >>> Flags([Flag("new_menu", enabled=False)]).detail("new_menu").reason
            'DISABLED'
        """
        outcome = self._engine.outcome(key, context)
        if outcome is None:
            return self._engine.elsewhere(key, context, default)
        outcome.tick()
        if default is not None and not is_like(outcome.value, default):
            return self._engine.mismatch(key, outcome, type_of(default), default)
        return outcome.copy_of_detail()

    def explain(self, key: str, context: Any = None) -> Explanation:
        """Return the detail with everything that was looked at; for people, and not counted.

        Example:
            >>> flags = Flags([Flag("new_menu")], overrides={"new_menu": True})
            >>> flags.explain("new_menu").detail.reason
            'OVERRIDE'
        """
        block = block_of(self._owner)
        snapshot = (block.snapshot if block else None) or self.snapshot
        forced = None if block is None else block.overrides.get(key)
        if forced is None and (key not in snapshot or key in self._engine.local):
            found = self._engine.foreign(key, context)
            if found is not None:
                return Explanation(found, (), self.environment)
        ctx = self._engine.attributes(context, block)
        return explain(snapshot, key, ctx, None if forced is None else forced.copy_of_detail())

    def all(self, context: Any = None) -> dict[str, Any]:
        """Return the value of every flag for one context; not counted as evaluations.

        Required flags that cannot be evaluated are left out.

        Example:
            >>> Flags({"beta": True, "page_size": 20}).all()
            {'beta': True, 'page_size': 20}
        """
        return self._engine.all(context)

    # -- what is in force ------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot in force; inside of a scope, evaluation may use an older one."""
        return self._engine.snapshot

    @property
    def declared(self) -> FlagDocument:
        """What the code declares."""
        return self._declared

    def flag(self, key: str) -> Flag | None:
        """Return the definition in force, as it is in this environment, or None.

        Example:
            >>> Flags([Flag("new_menu", owner="web")]).flag("new_menu").owner
            'web'
        """
        return self.snapshot.flag(key)

    def declare(self, flags: Declared, *, replace: bool = False) -> None:
        """Add flags to those the code declares; one with a known key replaces it.

        Args:
            flags: As in the constructor.
            replace: Whether all that was declared before is forgotten.

        Raises:
            FlagDocumentError: Something contradicts itself; nothing is changed then.

        Example:
            >>> flags = Flags({"beta": True})
            >>> flags.declare([Flag("new_menu", owner="web")])
            >>> sorted(flags.all())
            ['beta', 'new_menu']
        """
        added = declared(flags)
        with self._lock:
            before = FlagDocument() if replace else self._declared
            self._put(code=merged(before, added))

    def reload(self) -> tuple[str, ...]:
        """Read the overrides again, and the store; return the keys of flags that changed.

        Raises:
            ConfigurationError: A variable for a flag cannot be read; nothing is changed then.

        Example:
            >>> values = {"beta": True}
            >>> flags = Flags([Flag("beta")], overrides=lambda _: values)
            >>> values["beta"] = False
            >>> flags.reload(), flags.is_enabled("beta")
            (('beta',), False)
        """
        before = self.snapshot
        with self._lock:
            self._put()
        self.refresh()
        keys = {*changed_keys(before, self.snapshot)}
        keys |= {key for key in self.snapshot if before.forced(key) != self.snapshot.forced(key)}
        return tuple(sorted(keys))

    def swap(
        self,
        document: FlagDocument,
        *,
        state: SnapshotState = "live",
        actor: str | None = None,
        reason: str | None = None,
    ) -> tuple[str, ...]:
        """Put the document of a store in force and return the keys that changed.

        Evaluations under way end with the old one. Listeners hear ``FlagsChanged``.

        Args:
            document: Over what the code declares.
            state: ``stale`` when it is only the last known good one.
            actor: Who changed it, for the event.
            reason: Why, for the event.

        Raises:
            FlagDocumentError: It contradicts itself; the old one stays in force.

        Example:
            >>> flags = Flags([Flag("beta")])
            >>> flags.swap(FlagDocument({"beta": Flag("beta", default=True)}, revision=1))
            ('beta',)
            >>> flags.is_enabled("beta")
            True
        """
        with self._lock:
            before = self.snapshot
            self._put(stored=document, state=state)
            after = self.snapshot
        keys = changed_keys(before, after)
        if keys or before.revision != after.revision:
            self.events.emit(FlagsChanged(after.revision, keys, actor, reason))
        return keys

    def after_fork(self) -> None:
        """Replace a lock that may have been held; called in a forked child."""
        self._lock = threading.Lock()

    def _put(
        self,
        *,
        code: FlagDocument | None = None,
        stored: FlagDocument | None = None,
        state: SnapshotState | None = None,
    ) -> None:
        """Compile what is new with what stays, and put it in force; the caller holds the lock."""
        code, stored = code or self._declared, stored or self._stored
        state = state or self._state
        overrides = self._find_overrides(code.flags.values())
        snapshot = compile_flags(
            merged(code, stored),
            environment=self.environment,
            overrides=overrides,
            clock=self._engine.now,
            state=state,
            counters=self._owner,
            assignments=self._assignments,
        )
        self._declared, self._stored, self._state = code, stored, state
        wrong = mismatched(code, stored)
        held = set(overrides) | (set(stored.flags) - set(wrong) if stored else set())
        self._engine.install(snapshot, frozenset(code.flags) - held, wrong)
        self._fast = {} if self._engine.is_careful else snapshot.fast
