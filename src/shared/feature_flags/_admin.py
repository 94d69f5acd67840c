"""What people and pipelines do to flags: every write says who and why, and is one revision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.feature_flags._admin_ramp import RampVerbs
from shared.feature_flags._admin_write import unknown_flag
from shared.feature_flags._forms import form_of, steps_between
from shared.feature_flags._model import Flag, FlagDocument, Overlay
from shared.feature_flags._plan import Ramp
from shared.feature_flags._rules import Condition
from shared.feature_flags._store import FlagChange, FlagChanges

__all__ = ["FlagAdmin", "FlagDifference"]

_LOOK_BACK: Final = 1000  # changes searched for what a kill switched off


@dataclass(frozen=True, slots=True)
class FlagDifference:
    """One flag or segment that differs between two revisions.

    Attributes:
        kind: ``flag`` or ``segment``.
        key: Of the flag, or name of the segment.
        fields: Field to its value before and after; None where it was not given.

    Example:
        >>> FlagDifference("flag", "beta", {"enabled": (None, False)}).fields
        {'enabled': (None, False)}
    """

    kind: str
    key: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


class FlagAdmin(RampVerbs):
    """Changes the flags of a store.

    A write that meets another one is decided again on what is there then, unless
    *expected* says which revision it was meant for. A definition that nothing else
    changed keeps its salt: nobody is ever drawn again. A result that cannot be put in
    force is refused.

    Args:
        store: Whose flags. Of a :class:`LayeredFlagStore` the first writable is written to.
        declared: Flags declared in code: what the store does not hold yet begins as they are.
        make_salt: Gives salts for flags that nobody declared.

    Example:
        >>> from shared.feature_flags import MemoryFlagStore
        >>> admin = FlagAdmin(MemoryFlagStore(), declared=[Flag("dynamic_pricing")])
        >>> admin.rollout("dynamic_pricing", 25, actor="ada", reason="first quarter")
        1
        >>> admin.kill("dynamic_pricing", actor="ada", reason="wrong prices")
        2
        >>> [(change.revision, change.reason) for change in admin.history()]
        [(2, 'wrong prices'), (1, 'first quarter')]
    """

    # -- looking ---------------------------------------------------------------------------

    def history(self, key: str | None = None, *, limit: int = 100) -> list[FlagChange]:
        """Return the newest *limit* changes, the newest first."""
        return self._target.history(key, limit=limit)

    def diff(self, before: int, after: int | None = None) -> list[FlagDifference]:
        """Return what differs between two revisions.

        Args:
            before: The one.
            after: The other; the newest when None.

        Raises:
            ResourceNotFoundError: There is no such revision.
        """
        old = self._target.at(before)
        new = self._target.load() if after is None else self._target.at(after)
        steps = steps_between(form_of(old), form_of(new))
        return [FlagDifference(step.kind, step.key, _fields(step.before, step.after)) for step in steps]

    def export_document(self) -> FlagDocument:
        """Return everything the store holds, lower layers included."""
        return self._store.load()

    # -- changing --------------------------------------------------------------------------

    def set(
        self,
        flag: Flag | str,
        /,
        *,
        actor: str,
        reason: str = "",
        expected: int | None = None,
        **fields: Any,
    ) -> int:
        """Define a flag, or change fields of one; return the revision.

        Args:
            flag: The whole definition, or the key.
            actor: Who changes it.
            reason: Why.
            expected: The revision that was looked at.
            fields: As for :class:`Flag`; the others stay.

        Raises:
            ConflictError: The store is at another revision than *expected*.
            FlagDocumentError: The result cannot be put in force.
        """
        key = flag if isinstance(flag, str) else flag.key

        def change(document: FlagDocument) -> FlagChanges:
            known = document.flags.get(key) or self._below(key)
            if isinstance(flag, Flag):
                new = flag.evolve(**fields) if fields else flag
            else:
                new = known.evolve(**fields) if known is not None else Flag(key, **fields)
            return FlagChanges({key: self._salted(new, known)})

        return self._write(change, actor=actor, reason=reason, expected=expected)

    def remove(self, key: str, *, actor: str, reason: str = "", expected: int | None = None) -> int:
        """Remove a flag from the store; what is declared in code, or in a lower layer, shows again.

        Raises:
            ResourceNotFoundError: The store does not hold it.
            FlagDocumentError: Another flag needs it.
        """

        def change(document: FlagDocument) -> FlagChanges:
            if key not in document.flags:
                raise unknown_flag(key)
            return FlagChanges({key: None})

        return self._write(change, actor=actor, reason=reason, expected=expected)

    def set_segment(
        self,
        name: str,
        condition: Condition | Mapping[str, Any] | None,
        *,
        actor: str,
        reason: str = "",
        expected: int | None = None,
    ) -> int:
        """Define a segment, or remove it with None; return the revision.

        Raises:
            FlagDocumentError: The result cannot be put in force.
        """
        new = None if condition is None else Condition.from_dict(condition)
        return self._write(
            lambda _: FlagChanges(segments={name: new}), actor=actor, reason=reason, expected=expected
        )

    def rollout(
        self,
        key: str,
        percent: float,
        *,
        actor: str,
        reason: str = "",
        environment: str | None = None,
        expected: int | None = None,
    ) -> int:
        """Give ``on`` to *percent* of the units, 0 to 100; raising it takes it from nobody.

        Args:
            key: Of a flag with a variant ``on``.
            percent: In steps of a thousandth.
            actor: Who changes it.
            reason: Why.
            environment: Only in this one.
            expected: The revision that was looked at.

        Raises:
            ResourceNotFoundError: Nobody knows the flag.
            FlagDocumentError: It has no variant ``on``, or *percent* is out of range.
        """

        def change(document: FlagDocument) -> FlagChanges:
            flag = self._found(key, document)
            if environment is None:
                return FlagChanges({key: flag.evolve(rollout=percent)})
            overlay = flag.environments.get(environment, Overlay()).to_dict() | {"rollout": percent}
            overlays = {**flag.environments, environment: Overlay.from_dict(overlay)}
            return FlagChanges({key: flag.evolve(environments=overlays)})

        return self._write(change, actor=actor, reason=reason, expected=expected)

    def kill(self, key: str, *, actor: str, reason: str = "") -> int:
        """Switch a flag off in every environment: no rule counts until :meth:`unkill`.

        Only an override of a process wins over it.

        Raises:
            ResourceNotFoundError: Nobody knows the flag.
        """

        def change(document: FlagDocument) -> FlagChanges:
            flag = self._found(key, document)
            overlays = {name: _without_switch(overlay) for name, overlay in flag.environments.items()}
            return FlagChanges({key: flag.evolve(enabled=False, environments=overlays or None)})

        return self._write(change, actor=actor, reason=reason, checked=False)

    def unkill(self, key: str, *, actor: str, reason: str = "") -> int:
        """Switch a flag on again where it was on before the newest :meth:`kill`.

        Raises:
            ResourceNotFoundError: Nobody knows the flag.
        """

        def change(document: FlagDocument) -> FlagChanges:
            flag = self._found(key, document)
            before = self._before_kill(key)
            was_on = {
                name for name, overlay in before.get("environments", {}).items() if overlay.get("enabled")
            }
            overlays = {
                name: Overlay.from_dict({**overlay.to_dict(), "enabled": True}) if name in was_on else overlay
                for name, overlay in flag.environments.items()
            }
            enabled = bool(before.get("enabled", True))
            return FlagChanges({key: flag.evolve(enabled=enabled, environments=overlays or None)})

        return self._write(change, actor=actor, reason=reason)

    def rollback(
        self,
        revision: int,
        *,
        actor: str,
        reason: str = "",
        keys: Iterable[str] | None = None,
        expected: int | None = None,
    ) -> int:
        """Make a new revision whose contents are those of *revision*; the history stays.

        A rollout in steps that was under way then comes back paused.

        Args:
            revision: Where to go back to.
            actor: Who does it.
            reason: Why.
            keys: Only these flags and segments; all when None.
            expected: The revision that was looked at.

        Raises:
            ResourceNotFoundError: There is no such revision.
            FlagDocumentError: The result cannot be put in force: a flag that stays would lose
                its prerequisite.
        """
        wanted = self._target.at(revision)
        only = None if keys is None else frozenset(keys)

        def change(document: FlagDocument) -> FlagChanges:
            steps = steps_between(form_of(document), form_of(wanted))
            chosen = [step for step in steps if only is None or step.key in only]
            return FlagChanges(
                {step.key: _at_rest(wanted.flags.get(step.key)) for step in chosen if step.kind == "flag"},
                {step.key: wanted.segments.get(step.key) for step in chosen if step.kind == "segment"},
            )

        why = f"back to revision {revision}" + (f": {reason}" if reason else "")
        return self._write(change, actor=actor, reason=why, expected=expected)

    def import_document(
        self,
        document: FlagDocument | Mapping[str, Any],
        *,
        actor: str,
        reason: str = "",
        replace: bool = False,
        expected: int | None = None,
    ) -> int:
        """Write all flags and segments of *document* in one revision.

        Args:
            document: In our own form.
            actor: Who does it.
            reason: Why.
            replace: Whether what is not in it goes.
            expected: The revision that was looked at.

        Raises:
            FlagDocumentError: It, or the result, cannot be put in force.
        """
        given = FlagDocument.from_dict(document)

        def change(present: FlagDocument) -> FlagChanges:
            flags: dict[str, Flag | None] = {}
            segments: dict[str, Condition | None] = {}
            if replace:
                flags |= dict.fromkeys(present.flags)
                segments |= dict.fromkeys(present.segments)
            for key, flag in given.flags.items():
                flags[key] = self._salted(flag, present.flags.get(key), fresh=False)
            return FlagChanges(flags, {**segments, **given.segments})

        return self._write(change, actor=actor, reason=reason, expected=expected)

    def _before_kill(self, key: str) -> Mapping[str, Any]:
        for change in self._target.history(key, limit=_LOOK_BACK):
            if change.kind == "flag" and change.after is not None and not _is_on(change.after):
                if change.before is None:
                    known = self._below(key)
                    return {} if known is None else known.to_dict()
                if _is_on(change.before):
                    return change.before
        return {}


def _at_rest(flag: Flag | None) -> Flag | None:
    """Return *flag* with its rollout paused: time went on, and its steps would follow at once."""
    if flag is None or flag.ramp is None or not flag.ramp.state.is_active:
        return flag
    state = flag.ramp.state.moved(status="paused", reason="the flag was rolled back to this")
    return flag.evolve(ramp=Ramp(plan=flag.ramp.plan, state=state))


def _is_on(form: Mapping[str, Any]) -> bool:
    """Tell whether a definition is switched on anywhere."""
    overlays = form.get("environments", {}).values()
    return bool(form.get("enabled", True)) or any(overlay.get("enabled") for overlay in overlays)


def _without_switch(overlay: Overlay) -> Overlay:
    if not overlay.enabled:
        return overlay
    return Overlay.from_dict({name: item for name, item in overlay.to_dict().items() if name != "enabled"})


def _fields(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}
