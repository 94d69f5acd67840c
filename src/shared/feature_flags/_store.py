"""What a store of flags is asked, what it is given and what it tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from shared.feature_flags._model import Flag, FlagDocument
    from shared.feature_flags._rules import Condition

__all__ = ["FlagChange", "FlagChanges", "FlagStore"]

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FlagChanges:
    """What one write changes: all of it becomes one revision, or nothing does.

    Args:
        flags: Definitions by key; None removes the flag.
        segments: Named conditions; None removes the segment.

    Example:
        >>> FlagChanges({"old_checkout": None}).is_empty
        False
    """

    flags: "Mapping[str, Flag | None]" = field(default_factory=lambda: _NONE)
    segments: "Mapping[str, Condition | None]" = field(default_factory=lambda: _NONE)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to change."""
        return not self.flags and not self.segments


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One flag or segment in one revision, as the history keeps it: it is never changed or deleted.

    Attributes:
        revision: Of the store, after the write.
        key: Of the flag, or name of the segment.
        actor: Who wrote.
        reason: Why.
        at: When, by the store's clock, in seconds since 1970.
        before: The definition before as JSON, variant values included; None when there was none.
        after: The definition after; None when it was removed.
        kind: ``flag`` or ``segment``.

    Example:
        >>> change = FlagChange(3, "new_checkout", "ada", "too slow", 0.0, {"enabled": True}, None)
        >>> change.revision, change.kind, change.is_removal
        (3, 'flag', True)
    """

    revision: int
    key: str
    actor: str
    reason: str
    at: float
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    kind: Literal["flag", "segment"] = "flag"

    @property
    def is_removal(self) -> bool:
        """Whether there is no such flag or segment any more."""
        return self.after is None

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON.

        Example:
            >>> FlagChange(1, "k", "ada", "", 0.0, None, {"default": True}).to_dict()["after"]
            {'default': True}
        """
        return {
            "revision": self.revision,
            "kind": self.kind,
            "key": self.key,
            "actor": self.actor,
            "reason": self.reason,
            "at": self.at,
            "before": None if self.before is None else dict(self.before),
            "after": None if self.after is None else dict(self.after),
        }


class FlagStore(Protocol):
    """Keeps flag definitions, one revision after the other.

    Safe for threads, and across a fork. Each method has a twin for asynchronous code with
    an ``a`` in front, which does the same on a worker thread. Evaluation never asks a
    store: it reads a compiled snapshot.

    Example:
        >>> from shared.feature_flags import Flag, MemoryFlagStore
        >>> store: FlagStore = MemoryFlagStore()
        >>> store.apply(FlagChanges({"beta": Flag("beta", default=True)}), actor="ada")
        1
    """

    shown: str
    """Kind of store and where it is, without secrets."""

    def revision(self) -> int:
        """Return the number of the newest revision; 0 while the store holds nothing.

        Raises:
            SharedError: The store did not answer.
        """

    def load(self) -> "FlagDocument":
        """Return everything, of one revision.

        Raises:
            SharedError: The store did not answer.
            ConfigurationError: What it holds is no valid document.
        """

    def apply(
        self, changes: FlagChanges, *, expected: int | None = None, actor: str, reason: str = ""
    ) -> int:
        """Make one revision of *changes*, whole or not at all, and return its number.

        What changes nothing makes no revision.

        Args:
            changes: What to write.
            expected: The revision the caller has seen; None writes on top of any.
            actor: Who writes, 1 to 200 characters.
            reason: Why, up to 2000 characters.

        Raises:
            ConflictError: The store is at another revision than *expected*.
            ConfigurationError: The result would be no valid document, such as one with a
                prerequisite that is not there; or the store cannot be written to.
            SharedError: The store did not answer.
        """

    def history(self, key: str | None = None, *, limit: int = 100) -> list[FlagChange]:
        """Return the newest *limit* changes, of *key* or of all, the newest first."""

    def at(self, revision: int) -> "FlagDocument":
        """Return the document as it was at *revision*.

        Raises:
            ResourceNotFoundError: There is no such revision.
        """

    def now(self) -> float:
        """Return the store's time in seconds since 1970, the same for all who use it."""

    def wait_hint(self, timeout: float) -> bool:
        """Wait up to *timeout* seconds for a sign that something changed.

        A hint may be late, missing or wrong: :meth:`revision` is what counts. Returns at
        once when the store has no way to give one.
        """

    def close(self) -> None:
        """Give back what is held open; safe to call twice."""

    async def arevision(self) -> int:
        """As :meth:`revision`."""

    async def aload(self) -> "FlagDocument":
        """As :meth:`load`."""

    async def aapply(
        self, changes: FlagChanges, *, expected: int | None = None, actor: str, reason: str = ""
    ) -> int:
        """As :meth:`apply`."""

    async def ahistory(self, key: str | None = None, *, limit: int = 100) -> list[FlagChange]:
        """As :meth:`history`."""

    async def aat(self, revision: int) -> "FlagDocument":
        """As :meth:`at`."""
