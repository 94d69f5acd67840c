"""Several stores, one above the other."""

import threading
from collections.abc import Sequence

from shared.errors import ConfigurationError, InvalidArgumentError, ServiceUnavailableError
from shared.feature_flags._forms import empty_form, form_of
from shared.feature_flags._model import FlagDocument
from shared.feature_flags._store import FlagChange, FlagChanges, FlagStore
from shared.feature_flags._store_base import StoreBase
from shared.feature_flags._store_memory import CodeFlagStore
from shared.runtime import after_fork_in_child

__all__ = ["LayeredFlagStore"]


class LayeredFlagStore(StoreBase):
    """Reads through several stores, the first that has a flag decides; writes go to the first writable.

    For a database above the file that ships with the service, above the flags in code. A
    layer that does not answer, or comes back empty, makes reading fail, for leaving it out
    could undo a kill switch; readers then keep what they know. Numbers of revisions in
    :meth:`apply`, :meth:`history` and :meth:`at` are those of the store that is written
    to; a flag removed there shows again what is below.

    Args:
        stores: The topmost first; :class:`CodeFlagStore` is at the bottom.

    Raises:
        InvalidArgumentError: There are none.

    Example:
        >>> from shared.feature_flags import Flag, FlagChanges, MemoryFlagStore
        >>> code = CodeFlagStore([Flag("beta"), Flag("gamma", default=True)])
        >>> store = LayeredFlagStore([MemoryFlagStore(), code])
        >>> store.apply(FlagChanges({"beta": Flag("beta", default=True)}), actor="ada")
        1
        >>> {key: flag.default for key, flag in store.load().flags.items()}
        {'beta': True, 'gamma': True}
    """

    def __init__(self, stores: Sequence[FlagStore]) -> None:
        if not stores:
            raise InvalidArgumentError("a layered store needs at least one store")
        self._stores = tuple(stores)
        self._writable = next((each for each in stores if not isinstance(each, CodeFlagStore)), None)
        self.shown: str = " over ".join(each.shown for each in stores)
        self._numbers: tuple[int, ...] = ()
        self._revision = 0
        self._lock = threading.Lock()
        after_fork_in_child(self)

    def revision(self) -> int:
        """See :meth:`FlagStore.revision`; it grows with every layer's."""
        return self._counted(tuple(store.revision() for store in self._stores))

    def load(self) -> FlagDocument:
        """See :meth:`FlagStore.load`."""
        documents = [store.load() for store in self._stores]
        return _merged(documents, self._counted(tuple(document.revision for document in documents)))

    def below(self) -> FlagDocument:
        """Return what the layers below the one that is written to hold together."""
        place = self._stores.index(self.writable)
        return _merged([store.load() for store in self._stores[place + 1 :]], 0)

    def apply(
        self, changes: FlagChanges, *, expected: int | None = None, actor: str, reason: str = ""
    ) -> int:
        """See :meth:`FlagStore.apply`."""
        return self.writable.apply(changes, expected=expected, actor=actor, reason=reason)

    def history(self, key: str | None = None, *, limit: int = 100) -> list[FlagChange]:
        """See :meth:`FlagStore.history`."""
        return self.writable.history(key, limit=limit)

    def at(self, revision: int) -> FlagDocument:
        """See :meth:`FlagStore.at`."""
        return self.writable.at(revision)

    def now(self) -> float:
        """See :meth:`FlagStore.now`."""
        return (self._writable or self._stores[0]).now()

    def wait_hint(self, timeout: float) -> bool:
        """See :meth:`FlagStore.wait_hint`; listens to the topmost store."""
        return self._stores[0].wait_hint(timeout)

    def close(self) -> None:
        """Close every layer."""
        for store in self._stores:
            store.close()

    def after_fork(self) -> None:
        """Begin with a lock of its own; called in a forked child."""
        self._lock = threading.Lock()

    def _counted(self, numbers: tuple[int, ...]) -> int:
        """Return one number that grows whenever one of *numbers* does."""
        with self._lock:
            for store, old, new in zip(self._stores, self._numbers, numbers, strict=False):
                if new == 0 < old:
                    msg = f"{store.shown} came back empty"
                    raise ServiceUnavailableError(msg)
            if numbers != self._numbers:
                self._numbers = numbers
                self._revision = max(sum(numbers), self._revision + 1) if self._revision else sum(numbers)
            return self._revision

    @property
    def writable(self) -> FlagStore:
        """The store that is written to.

        Raises:
            ConfigurationError: There is none.
        """
        if self._writable is None:
            raise ConfigurationError("flags in code cannot be written to: put a store above them")
        return self._writable


def _merged(documents: Sequence[FlagDocument], revision: int) -> FlagDocument:
    form = empty_form()
    for document in reversed(documents):
        for name, part in form_of(document).items():
            form[name] |= part
    return FlagDocument.from_dict({"schema": 1, **form, "revision": revision})
