"""What a service declares: flag objects, a plain mapping, or a document."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from shared.errors import FlagDocumentError
from shared.feature_flags._model import Flag, FlagDocument, type_of
from shared.feature_flags._snapshot import Snapshot

__all__ = ["Declared", "Overrides", "always", "changed_keys", "declared", "is_like", "merged", "mismatched"]

Declared: TypeAlias = Iterable[Any] | Mapping[str, Any] | FlagDocument | PathLike[str]
Overrides: TypeAlias = Callable[[Iterable[Flag]], Mapping[str, Any]]


def declared(flags: Declared) -> FlagDocument:
    """Return *flags* as a document.

    Raises:
        FlagDocumentError: Two have one key, something in it does not fit, or the file cannot
            be read.
    """
    if isinstance(flags, FlagDocument):
        return flags
    if isinstance(flags, (str, PathLike)):
        return _from_file(Path(flags))
    if isinstance(flags, Mapping):
        return FlagDocument.from_dict({"flags": dict(flags)})
    found: dict[str, Flag] = {}
    for flag in flags:
        if not isinstance(flag, Flag):  # plain code is not checked
            msg = f"a Flag expected, got {type(flag).__name__}"
            raise FlagDocumentError([msg], subject="declared flags")
        if flag.key in found:
            raise FlagDocumentError([f"flag {flag.key!r} is declared twice"], subject="declared flags")
        found[flag.key] = flag
    return _document(found, {}, 0)


def _from_file(path: Path) -> FlagDocument:
    from shared.feature_flags._file_formats import MAX_FILE_BYTES, parse_file

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        msg = f"the file cannot be read: {type(exc).__name__}"
        raise FlagDocumentError([msg], subject=path.name) from exc
    return parse_file(path, raw)


def merged(code: FlagDocument, stored: FlagDocument | None) -> FlagDocument:
    """Return what is stored over what the code declares.

    A stored flag of another type than the code declares is left out: the code could do
    nothing with its values. A flag that the code requires stays required.
    """
    if stored is None:
        return code
    flags = dict(code.flags)
    for key, flag in stored.flags.items():
        ours = flags.get(key)
        if ours is None or ours.type == flag.type:
            flags[key] = flag.evolve(required=True) if ours and ours.required and not flag.required else flag
    return _document(flags, {**code.segments, **stored.segments}, stored.revision)


def mismatched(code: FlagDocument, stored: FlagDocument | None) -> list[str]:
    """Return the keys of stored flags that the code declares with another type."""
    if stored is None:
        return []
    return sorted(
        k for k, flag in stored.flags.items() if k in code.flags and code.flags[k].type != flag.type
    )


def _document(flags: dict[str, Flag], segments: dict[str, Any], revision: int) -> FlagDocument:
    """Put together what is checked already."""
    return FlagDocument().model_copy(update={"flags": flags, "segments": segments, "revision": revision})


def always(values: Mapping[str, Any]) -> Overrides:
    """Return *values* as a function of the declared flags."""
    return lambda _: values


def is_like(value: Any, default: Any) -> bool:
    """Tell whether *value* is of the type the caller expects, by its default."""
    kind, wanted = type_of(value), type_of(default)
    return kind == wanted or (wanted == "float" and kind == "int")


def changed_keys(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the keys of flags that are not the same in both, sorted."""
    keys = {*before, *after}
    return tuple(sorted(key for key in keys if before.flag(key) != after.flag(key)))
