"""The definition of flagd, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from shared.feature_flags.readers._document import Faults, kind_of, read_document

_STATES: Final = frozenset({"ENABLED", "DISABLED"})


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition with nothing wrong in its shape.

    Attributes:
        flags: Key → flag.
        evaluators: Name → rule that others refer to.
        metadata: Key → merged metadata; that of the whole set under the empty key.
    """

    flags: Mapping[str, Mapping[str, Any]]
    evaluators: Mapping[str, Any]
    metadata: Mapping[str, Mapping[str, Any]]


def checked(source: Any) -> Definition:
    """Return the parts of a definition.

    Raises:
        FlagDocumentError: Something does not fit; everything that does not is listed.
    """
    faults = Faults("flagd document")
    document = read_document(source, faults)
    flags = _flags(document.get("flags"), faults)
    evaluators = faults.mapping("$evaluators", document.get("$evaluators") or {})
    common = _metadata("metadata", document.get("metadata"), faults)
    metadata: dict[str, Mapping[str, Any]] = {"": MappingProxyType(dict(common))}
    for key, flag in flags.items():
        own = _flag(f"flags.{key}", flag, faults)
        metadata[key] = MappingProxyType({**common, **own})
    faults.settle()
    return Definition(flags, evaluators, metadata)


def _flags(value: Any, faults: Faults) -> dict[str, Mapping[str, Any]]:
    """Return the flags by key: an object of them, or a list of flags that name their own key."""
    if isinstance(value, list):
        listed = faults.objects("flags", value)
        return {faults.text(f"flags[{n}].key", flag.get("key")): flag for n, flag in enumerate(listed)}
    return {key: faults.mapping(f"flags.{key}", flag) for key, flag in faults.mapping("flags", value).items()}


def _flag(where: str, flag: Mapping[str, Any], faults: Faults) -> Mapping[str, Any]:
    if flag.get("state") not in _STATES:
        faults.add(f"{where}.state", f"ENABLED or DISABLED expected, got {kind_of(flag.get('state'))}")
    if not faults.mapping(f"{where}.variants", flag.get("variants")):
        faults.add(f"{where}.variants", "at least one variant expected")
    default = flag.get("defaultVariant")
    if default is not None and not isinstance(default, str | bool):
        faults.add(f"{where}.defaultVariant", f"a text or null expected, got {kind_of(default)}")
    targeting = flag.get("targeting")
    if targeting is not None:
        faults.mapping(f"{where}.targeting", targeting)
    return _metadata(f"{where}.metadata", flag.get("metadata"), faults)


def _metadata(where: str, value: Any, faults: Faults) -> Mapping[str, Any]:
    metadata = faults.mapping(where, {} if value is None else value)
    for key, item in metadata.items():
        if not key:
            faults.add(where, "a name expected, got an empty text")
        if not isinstance(item, str | int | float | bool):
            faults.add(f"{where}.{key}", f"a text, a number or a boolean expected, got {kind_of(item)}")
    return metadata
