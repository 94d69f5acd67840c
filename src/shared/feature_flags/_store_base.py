"""What all stores share: a write is read, decided and then put in place only if nothing came between."""

import asyncio
from typing import Final

from shared.errors import ConflictError, InvalidArgumentError, ResourceNotFoundError
from shared.feature_flags._forms import (
    Form,
    Steps,
    check_author,
    check_form,
    document_of,
    patched,
    steps_of,
)
from shared.feature_flags._model import FlagDocument
from shared.feature_flags._store import FlagChange, FlagChanges

__all__ = ["StoreBase"]

_TRIES: Final = 20
_HISTORY_MAX: Final = 10_000


class StoreBase:
    """Turns four steps of an engine into a :class:`FlagStore`.

    An engine says how to :meth:`_read` the newest document with its revision, how to
    :meth:`_commit` steps on top of exactly that revision, how to list :meth:`_changes`,
    and how to give the form :meth:`_form_at` a revision.
    """

    shown: str = "flags"

    def _read(self) -> tuple[int, Form]:
        raise NotImplementedError

    def _commit(self, revision: int, steps: Steps, actor: str, reason: str) -> int | None:
        """Make *steps* the revision after *revision*; None when the store is not at it any more."""
        raise NotImplementedError

    def _changes(self, key: str | None, limit: int) -> list[FlagChange]:
        raise NotImplementedError

    def _form_at(self, revision: int) -> Form | None:
        """Return the document at *revision*, None when there was no such revision."""
        raise NotImplementedError

    def load(self) -> FlagDocument:
        """See :meth:`FlagStore.load`."""
        revision, form = self._read()
        return document_of(form, revision, where=self.shown)

    def apply(
        self, changes: FlagChanges, *, expected: int | None = None, actor: str, reason: str = ""
    ) -> int:
        """See :meth:`FlagStore.apply`."""
        check_author(actor, reason)
        revision = 0
        for _ in range(_TRIES):
            revision, form = self._read()
            if expected is not None and revision != expected:
                why = f"at revision {revision}, not {expected}: read them again"
                raise _conflict(revision, why)
            steps = steps_of(form, changes)
            if not steps:
                return revision
            check_form(patched(form, steps), revision + 1)
            written = self._commit(revision, steps, actor, reason)
            if written is not None:
                return written
        why = f"written by others {_TRIES} times in a row: try again"
        raise _conflict(revision, why)

    def history(self, key: str | None = None, *, limit: int = 100) -> list[FlagChange]:
        """See :meth:`FlagStore.history`."""
        if not (type(limit) is int and 1 <= limit <= _HISTORY_MAX):
            msg = f"limit is 1 to {_HISTORY_MAX}, got {limit!r}"
            raise InvalidArgumentError(msg)
        return self._changes(key, limit)

    def at(self, revision: int) -> FlagDocument:
        """See :meth:`FlagStore.at`."""
        if not (type(revision) is int and revision >= 0):
            msg = f"a revision is a number from 0, got {revision!r}"
            raise InvalidArgumentError(msg)
        form = self._form_at(revision)
        if form is None:
            msg = f"flags have no revision {revision}"
            raise ResourceNotFoundError(msg)
        return document_of(form, revision, where=f"revision {revision} of {self.shown}")

    def wait_hint(self, timeout: float) -> bool:
        """See :meth:`FlagStore.wait_hint`; here there is none."""
        del timeout
        return False

    def close(self) -> None:
        """See :meth:`FlagStore.close`."""

    def revision(self) -> int:
        """See :meth:`FlagStore.revision`."""
        return self._read()[0]

    async def arevision(self) -> int:
        """See :meth:`FlagStore.arevision`."""
        return await asyncio.to_thread(self.revision)

    async def aload(self) -> FlagDocument:
        """See :meth:`FlagStore.aload`."""
        return await asyncio.to_thread(self.load)

    async def aapply(
        self, changes: FlagChanges, *, expected: int | None = None, actor: str, reason: str = ""
    ) -> int:
        """See :meth:`FlagStore.aapply`."""
        return await asyncio.to_thread(self.apply, changes, expected=expected, actor=actor, reason=reason)

    async def ahistory(self, key: str | None = None, *, limit: int = 100) -> list[FlagChange]:
        """See :meth:`FlagStore.ahistory`."""
        return await asyncio.to_thread(self.history, key, limit=limit)

    async def aat(self, revision: int) -> FlagDocument:
        """See :meth:`FlagStore.aat`."""
        return await asyncio.to_thread(self.at, revision)


def _conflict(revision: int, why: str) -> ConflictError:
    msg = f"flags are {why}"
    return ConflictError(msg, details={"revision": revision})
