"""Flags as they are at one revision, ready to be evaluated. Immutable."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from shared.errors import FlagUnavailableError
from shared.feature_flags._detail import NOT_FOUND, Detail
from shared.feature_flags._model import Flag, FlagDocument

if TYPE_CHECKING:
    from shared.feature_flags._outcome import Entry, Outcome

__all__ = ["Snapshot", "context_of"]

_NOBODY: Final[Mapping[str, Any]] = MappingProxyType({})


class Snapshot:
    """Flags at one revision; what :func:`compile_flags` returns. Immutable, thread-safe.

    Attributes:
        document: What it was made from.
        environment: Whose overlays apply.
        overrides: Values that win, by key.
        state: ``live``, ``stale`` or ``defaults``.
        entries: The compiled flags, for the engine.
        fast: Those of them whose value is a bool.

    Example:
        >>> from shared.feature_flags import FlagDocument, compile_flags
        >>> snapshot = compile_flags(FlagDocument.from_dict({"flags": {"beta": True}}))
        >>> "beta" in snapshot, list(snapshot), snapshot.detail("beta").value
        (True, ['beta'], True)
    """

    __slots__ = ("document", "entries", "environment", "fast", "overrides", "state")

    def __init__(
        self,
        document: FlagDocument,
        entries: "dict[str, Entry]",
        *,
        environment: str | None,
        overrides: Mapping[str, Any],
        state: str,
    ) -> None:
        self.document: FlagDocument = document
        self.entries: dict[str, Entry] = entries
        # Those that only bool answers come from: is_enabled needs to know no more.
        self.fast: dict[str, Entry] = {key: e for key, e in entries.items() if e.flag.type == "bool"}
        self.environment: str | None = environment
        self.overrides: Mapping[str, Any] = MappingProxyType(dict(overrides))
        self.state: str = state

    @property
    def revision(self) -> int:
        """Revision of the document."""
        return self.document.revision

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def flag(self, key: str) -> Flag | None:
        """Return the flag as it is in the environment, or None.

        Example:
            >>> from shared.feature_flags import FlagDocument, compile_flags
            >>> compile_flags(FlagDocument({"beta": Flag("beta", owner="web")})).flag("beta").owner
            'web'
        """
        entry = self.entries.get(key)
        return None if entry is None else entry.flag

    def forced(self, key: str) -> tuple[bool, Any]:
        """Return whether an override of the process forces *key*, and to what.

        Example:
            >>> from shared.feature_flags import FlagDocument, compile_flags
            >>> document = FlagDocument({"beta": Flag("beta")})
            >>> compile_flags(document, overrides={"beta": True}).forced("beta")
            (True, True)
        """
        return key in self.overrides, self.overrides.get(key)

    def detail(self, key: str, context: Any = None, *, default: Any = None) -> Detail:
        """Return the value of a flag for *context*, and why; counted as an evaluation.

        Args:
            key: Of the flag.
            context: Attributes by name, or the id of a user.
            default: The value where there is no such flag.

        Raises:
            FlagUnavailableError: The flag is required and cannot be evaluated.

        Example:
            >>> from shared.feature_flags import FlagDocument, compile_flags
            >>> compile_flags(FlagDocument()).detail("misspelt").error_code
            'FLAG_NOT_FOUND'
        """
        entry = self.entries.get(key)
        if entry is None:
            return missing(key, default, self.revision)
        outcome = evaluate(entry, context_of(context))
        outcome.tick()
        return outcome.copy_of_detail()


def missing(key: str, default: Any, revision: int) -> Detail:
    """Return the answer for a flag nobody declared."""
    error = f"flag {key!r} is not declared"
    return Detail(key, default, None, "ERROR", None, revision, error, NOT_FOUND)


def context_of(given: Any) -> Mapping[str, Any]:
    """Return *given* as attributes: None is nobody, a text or a number is the id of a user."""
    if given is None:
        return _NOBODY
    if isinstance(given, Mapping):
        return given
    return {"user_id": given} if isinstance(given, (str, int)) else _NOBODY


def evaluate(entry: "Entry", ctx: Mapping[str, Any]) -> "Outcome":
    """Return what the flag comes to; the default where something fails.

    Raises:
        FlagUnavailableError: It is required, and something fails.
    """
    if entry.static is not None:
        return entry.static
    try:
        return entry.decide(ctx)
    except Exception as exc:
        if not entry.required:
            return entry.error
        if isinstance(exc, FlagUnavailableError):
            raise
        key = entry.flag.key
        msg = f"flag {key!r} is required and its evaluation failed: {type(exc).__name__}"
        raise FlagUnavailableError(msg, details={"flag": key}) from exc
