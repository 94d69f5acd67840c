"""Documents as plain JSON, which is what stores keep, and the steps from one to the next."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from shared.errors import FlagDocumentError, InvalidArgumentError
from shared.feature_flags._compile import compile_flags
from shared.feature_flags._model import Flag, FlagDocument

if TYPE_CHECKING:
    from shared.feature_flags._store import FlagChanges

__all__ = [
    "Form",
    "Step",
    "Steps",
    "check_author",
    "check_document",
    "check_form",
    "document_of",
    "empty_form",
    "form_of",
    "from_text",
    "patched",
    "steps_between",
    "steps_of",
    "to_text",
]

Form: TypeAlias = dict[str, dict[str, Any]]
"""``{"flags": {key: definition}, "segments": {name: condition}}``."""

_KINDS: Final[tuple[Literal["flag", "segment"], ...]] = ("flag", "segment")
_ACTOR_MAX: Final = 200
_REASON_MAX: Final = 2000
_KEY_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Step:
    """What one revision does to one flag or segment."""

    kind: Literal["flag", "segment"]
    key: str
    before: Any
    after: Any


Steps: TypeAlias = tuple[Step, ...]


def empty_form() -> Form:
    """Return the document that holds nothing."""
    return {"flags": {}, "segments": {}}


def form_of(document: FlagDocument) -> Form:
    """Return *document* as plain JSON."""
    found = document.to_dict()
    return {"flags": dict(found.get("flags") or {}), "segments": dict(found.get("segments") or {})}


def document_of(form: Mapping[str, Any], revision: int, *, where: str) -> FlagDocument:
    """Return the document that *form* says.

    Raises:
        FlagDocumentError: It is none; *where* is named.
    """
    body = {key: form[key] for key in ("flags", "segments") if key in form}
    try:
        return FlagDocument.from_dict({"schema": 1, **body, "revision": revision})
    except FlagDocumentError as exc:
        raise FlagDocumentError(exc.faults, subject=where) from exc


def steps_of(form: Form, changes: "FlagChanges") -> Steps:
    """Return what *changes* would really change, each with what was there before."""
    wanted = FlagDocument(
        {key: flag for key, flag in changes.flags.items() if flag is not None},
        {name: condition for name, condition in changes.segments.items() if condition is not None},
    )
    after = form_of(wanted)
    keys = [("flag", key) for key in changes.flags] + [("segment", name) for name in changes.segments]
    return _real(
        Step(_kind(kind), _checked_key(key), form[f"{kind}s"].get(key), after[f"{kind}s"].get(key))
        for kind, key in keys
    )


def steps_between(before: Form, after: Form) -> Steps:
    """Return what leads from one document to the other."""
    found: list[Step] = []
    for kind in _KINDS:
        old, new = before[f"{kind}s"], after[f"{kind}s"]
        keys = [*old, *(key for key in new if key not in old)]
        found += [Step(kind, key, old.get(key), new.get(key)) for key in keys]
    return _real(found)


def patched(form: Form, steps: Iterable[Step], *, back: bool = False) -> Form:
    """Return *form* after *steps*, or with *back* before them."""
    result = {name: dict(part) for name, part in form.items()}
    for step in steps:
        part = result[f"{step.kind}s"]
        value = step.before if back else step.after
        if value is None:
            part.pop(step.key, None)
        else:
            part[step.key] = value
    return result


def check_form(form: Form, revision: int) -> None:
    """Refuse what could not be put in force, in any of its environments.

    A prerequisite that is not in the document may be declared in code: taken to be there.

    Raises:
        FlagDocumentError: Every fault is listed.
    """
    document = document_of(form, revision, where="the result")
    check_document(_with_outsiders(document))


def check_document(document: FlagDocument) -> None:
    """Refuse a document that cannot be put in force, in any of its environments.

    Raises:
        FlagDocumentError: Every fault is listed.
    """
    environments = {name for flag in document.flags.values() for name in flag.environments}
    for environment in (None, *sorted(environments)):
        compile_flags(document, environment=environment)


def _with_outsiders(document: FlagDocument) -> FlagDocument:
    """Return *document* with a stand-in for each flag it needs and does not hold."""
    wanted: dict[str, dict[str, str]] = {}
    for flag in document.flags.values():
        overlays = [overlay.prerequisites or () for overlay in flag.environments.values()]
        for need in (*flag.prerequisites, *(need for needs in overlays for need in needs)):
            if need.flag not in document.flags:
                wanted.setdefault(need.flag, {}).update({name: name for name in need.variants})
    if not wanted:
        return document
    outsiders = {
        key: Flag(key, default=next(iter(variants)), variants=variants) for key, variants in wanted.items()
    }
    return FlagDocument({**document.flags, **outsiders}, document.segments, revision=document.revision)


def check_author(actor: Any, reason: Any) -> None:
    """Refuse a write nobody stands behind.

    Raises:
        InvalidArgumentError: *actor* or *reason* is not usable.
    """
    if not isinstance(actor, str) or not 1 <= len(actor) <= _ACTOR_MAX or not actor.isprintable():
        msg = f"actor is who writes, 1 to {_ACTOR_MAX} printable characters"
        raise InvalidArgumentError(msg)
    if not isinstance(reason, str) or len(reason) > _REASON_MAX or not _is_clean(reason):
        msg = f"reason is a text of up to {_REASON_MAX} characters without control characters"
        raise InvalidArgumentError(msg)


def to_text(value: Any) -> str:
    """Return JSON on one line; the order of keys is kept, for it decides who is where in a split."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_text(text: str | bytes, *, where: str) -> Any:
    """Return what JSON says.

    Raises:
        FlagDocumentError: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise FlagDocumentError([f"no JSON: {type(exc).__name__}"], subject=where) from exc


def _real(steps: Iterable[Step]) -> Steps:
    return tuple(step for step in steps if to_text(step.before) != to_text(step.after))


def _kind(name: str) -> Literal["flag", "segment"]:
    return "flag" if name == "flag" else "segment"


def _checked_key(key: Any) -> str:
    if isinstance(key, str) and 1 <= len(key) <= _KEY_MAX and key.isprintable():
        return key
    msg = f"the key of a flag is 1 to {_KEY_MAX} printable characters"
    raise InvalidArgumentError(msg)


def _is_clean(text: str) -> bool:
    return all(each.isprintable() or each in "\n\t" for each in text)
