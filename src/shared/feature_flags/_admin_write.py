"""How a change of flags is decided and written, whoever else writes at the same time."""

import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

from shared.errors import (
    ConflictError,
    FlagDocumentError,
    InvalidArgumentError,
    ResourceNotFoundError,
)
from shared.feature_flags._forms import check_document
from shared.feature_flags._model import Flag, FlagDocument
from shared.feature_flags._rules import Condition
from shared.feature_flags._store import FlagChanges, FlagStore
from shared.feature_flags._store_layered import LayeredFlagStore

__all__ = ["AdminWrites", "unknown_flag"]

_TRIES: Final = 20


class AdminWrites:
    """What the verbs of :class:`FlagAdmin` stand on."""

    def __init__(
        self,
        store: FlagStore,
        *,
        declared: Iterable[Flag] = (),
        make_salt: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._store = store
        self._target = store.writable if isinstance(store, LayeredFlagStore) else store
        self._declared = {flag.key: flag for flag in declared}
        self._make_salt = make_salt

    def flag(self, key: str) -> Flag:
        """Return the flag as it is in the store, else as it was declared.

        Raises:
            ResourceNotFoundError: Nobody knows it.
        """
        return self._found(key, self._target.load())

    def _write(
        self,
        change: Callable[[FlagDocument], FlagChanges],
        *,
        actor: str,
        reason: str,
        expected: int | None = None,
        checked: bool = True,
    ) -> int:
        for _ in range(_TRIES):
            document = self._target.load()
            if expected is not None and document.revision != expected:
                msg = f"flags are at revision {document.revision}, not {expected}: read them again"
                raise ConflictError(msg, details={"revision": document.revision})
            changes = change(document)
            if checked:
                self._check(document, changes)
            try:
                return self._target.apply(changes, expected=document.revision, actor=actor, reason=reason)
            except ConflictError:
                if expected is not None:
                    raise
        msg = f"others wrote flags {_TRIES} times in a row: try again"
        raise ConflictError(msg)

    def _check(self, document: FlagDocument, changes: FlagChanges) -> None:
        """Refuse faults that *changes* bring; what was wrong before does not stop a repair."""
        after = FlagDocument(
            {key: flag for key, flag in {**document.flags, **changes.flags}.items() if flag is not None},
            {
                name: each
                for name, each in {**document.segments, **changes.segments}.items()
                if each is not None
            },
        )
        faults = self._faults(after)
        if faults and (new := [fault for fault in faults if fault not in self._faults(document)]):
            raise FlagDocumentError(new, subject="the result")

    def _faults(self, document: FlagDocument) -> tuple[str, ...]:
        """Return what is wrong with *document* on top of what is below it."""
        flags: dict[str, Flag] = dict(self._declared)
        segments: dict[str, Condition] = {}
        if isinstance(self._store, LayeredFlagStore):
            below = self._store.below()
            flags |= below.flags
            segments |= below.segments
        whole = FlagDocument({**flags, **document.flags}, {**segments, **document.segments})
        try:
            check_document(whole)
        except FlagDocumentError as exc:
            return exc.faults
        return ()

    def _below(self, key: str) -> Flag | None:
        below = self._store.below().flags if isinstance(self._store, LayeredFlagStore) else {}
        return below.get(key) or self._declared.get(key)

    def _found(self, key: str, document: FlagDocument) -> Flag:
        found = document.flags.get(key) or self._below(key)
        if found is None:
            raise unknown_flag(key)
        return found

    def _salted(self, new: Flag, known: Flag | None, *, fresh: bool = True) -> Flag:
        """Return *new* with the salt that is in use, or a fresh one for a flag nobody knew."""
        if new.salt is not None:
            return new
        if known is not None:
            return new if known.salt is None else new.evolve(salt=known.salt)
        return new.evolve(salt=self._make_salt()) if fresh else new


def unknown_flag(key: Any) -> ResourceNotFoundError:
    """Return the error for a flag nobody knows."""
    if not isinstance(key, str):
        msg = f"the key of a flag is a text, got {type(key).__name__}"
        raise InvalidArgumentError(msg)
    msg = f"nobody declared a flag {key!r}, and the store holds none"
    return ResourceNotFoundError(msg)
