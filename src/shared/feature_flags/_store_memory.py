"""Flags in this process alone, and flags that nobody can change."""

import threading
import time
from collections.abc import Callable, Iterable

from shared.errors import ConfigurationError
from shared.feature_flags._forms import Form, Step, Steps, empty_form, form_of, patched, steps_between
from shared.feature_flags._model import Flag, FlagDocument
from shared.feature_flags._store import FlagChange
from shared.feature_flags._store_base import StoreBase
from shared.runtime import after_fork_in_child

__all__ = ["CodeFlagStore", "MemoryFlagStore", "document_from"]


class MemoryFlagStore(StoreBase):
    """A store of this process alone, for tests, development and services of one process.

    Args:
        document: What it holds from the beginning, as revision 1.
        clock: Seconds since 1970.

    Example:
        >>> from shared.feature_flags import Flag, FlagChanges
        >>> store = MemoryFlagStore()
        >>> store.apply(FlagChanges({"beta": Flag("beta", default=True)}), actor="ada", reason="try it")
        1
        >>> [(change.key, change.actor) for change in store.history()]
        [('beta', 'ada')]
    """

    def __init__(
        self, document: FlagDocument | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.shown: str = "memory"
        self._clock = clock
        self._state: tuple[int, Form] = (0, empty_form())
        self._log: list[tuple[int, float, str, str, Steps]] = []
        self._told = 0  # the newest revision somebody asked for
        self._changed = threading.Condition()
        after_fork_in_child(self)
        if document is not None:
            self._commit(
                0, steps_between(empty_form(), form_of(document)), "system:start", "given at the start"
            )

    def revision(self) -> int:
        """See :meth:`FlagStore.revision`."""
        self._told = self._state[0]
        return self._told

    def now(self) -> float:
        """See :meth:`FlagStore.now`."""
        return self._clock()

    def wait_hint(self, timeout: float) -> bool:
        """See :meth:`FlagStore.wait_hint`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state[0] != self._told, timeout)

    def after_fork(self) -> None:
        """Begin with a lock of its own; called in a forked child."""
        self._changed = threading.Condition()

    def _read(self) -> tuple[int, Form]:
        return self._state

    def _commit(self, revision: int, steps: Steps, actor: str, reason: str) -> int | None:
        with self._changed:
            if self._state[0] != revision:
                return None
            new = revision + 1
            self._log.append((new, self._clock(), actor, reason, steps))
            self._state = (new, patched(self._state[1], steps))
            self._changed.notify_all()
            return new

    def _changes(self, key: str | None, limit: int) -> list[FlagChange]:
        found: list[FlagChange] = []
        for revision, at, actor, reason, steps in reversed(self._log.copy()):
            wanted = [step for step in steps if key is None or step.key == key]
            found += [_change(revision, at, actor, reason, step) for step in wanted]
            if len(found) >= limit:
                break
        return found[:limit]

    def _form_at(self, revision: int) -> Form | None:
        newest, form = self._state
        if revision > newest:
            return None
        for number, _, _, _, steps in reversed(self._log[:newest]):
            if number > revision:
                form = patched(form, steps, back=True)
        return form


class CodeFlagStore(StoreBase):
    """Flags that are written in code; the bottom of a :class:`LayeredFlagStore`.

    Args:
        flags: The flags, or a whole document.

    Example:
        >>> from shared.feature_flags import Flag
        >>> store = CodeFlagStore([Flag("beta", default=True)])
        >>> store.revision(), sorted(store.load().flags)
        (0, ['beta'])
    """

    def __init__(self, flags: Iterable[Flag] | FlagDocument = ()) -> None:
        self.shown: str = "code"
        self._form = form_of(document_from(flags))

    def now(self) -> float:
        """See :meth:`FlagStore.now`."""
        return time.time()

    def _read(self) -> tuple[int, Form]:
        return 0, self._form

    def _commit(self, revision: int, steps: Steps, actor: str, reason: str) -> int | None:
        del revision, steps, actor, reason
        raise ConfigurationError("flags in code cannot be written to: put a store above them")

    def _changes(self, key: str | None, limit: int) -> list[FlagChange]:
        del key, limit
        return []

    def _form_at(self, revision: int) -> Form | None:
        return self._form if revision == 0 else None


def document_from(flags: Iterable[Flag] | FlagDocument) -> FlagDocument:
    """Return the document of *flags*."""
    if isinstance(flags, FlagDocument):
        return flags
    return FlagDocument(flags={flag.key: flag for flag in flags})


def _change(revision: int, at: float, actor: str, reason: str, step: Step) -> FlagChange:
    return FlagChange(revision, step.key, actor, reason, at, step.before, step.after, step.kind)
