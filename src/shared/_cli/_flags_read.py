"""``shared flags``: the commands that look."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared._cli._flags import parts_of
from shared._cli._flags_store import opened
from shared._cli._main import FOUND, OK
from shared._cli._output import answer, counted
from shared.errors import ConfigurationError, MissingDependencyError, ValidationError

if TYPE_CHECKING:
    from shared.feature_flags import Flag, FlagChange, FlagDocument

__all__ = [
    "document_text",
    "flag_line",
    "run_diff",
    "run_explain",
    "run_export",
    "run_history",
    "run_list",
    "run_show",
]

_MOST_CHANGES: Final = 10_000


def run_list(args: argparse.Namespace) -> int:
    """List the flags of the store and of the code."""
    with opened(args) as desk:
        stored = desk.store.load()
        document = desk.merged()
        overrides = desk.overrides(document)
    chosen = [flag for _, flag in sorted(document.flags.items()) if _is_wanted(flag, args)]
    rows = [
        {**_summary(flag), "stored": flag.key in stored.flags, "override": overrides.get(flag.key)}
        for flag in chosen
    ]
    lines = [flag_line(flag, flag.key in stored.flags, overrides) for flag in chosen]
    text = "\n".join([*_columns(lines), counted(len(rows), "flag")])
    answer(args, {"revision": stored.revision, "flags": rows}, text)
    return OK


def _is_wanted(flag: "Flag", args: argparse.Namespace) -> bool:
    return (
        args.kind in (None, flag.kind)
        and args.owner in (None, flag.owner)
        and (args.tag is None or args.tag in flag.tags)
    )


def _summary(flag: "Flag") -> dict[str, Any]:
    return {
        "key": flag.key,
        "kind": flag.kind,
        "type": flag.type,
        "state": _state(flag),
        "owner": flag.owner,
        "tags": list(flag.tags),
        "expires": None if flag.expires is None else flag.expires.isoformat(),
        "environments": sorted(flag.environments),
    }


def _state(flag: "Flag") -> str:
    """Return what most people get, in a word or two."""
    if not flag.enabled:
        return "killed"
    parts = [counted(len(flag.rules), "rule")] if flag.rules else []
    if flag.rollout is not None:
        parts.append(f"{flag.rollout:g} %")
    return " + ".join(parts) or str(flag.default_variant)


def flag_line(flag: "Flag", stored: bool, overrides: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of one flag."""
    forced = f"forced to {json.dumps(overrides[flag.key])}" if flag.key in overrides else ""
    where = "store" if stored else "code"
    return (flag.key, flag.kind, _state(flag), where, flag.owner or "-", forced)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def run_show(args: argparse.Namespace) -> int:
    """Show one definition, or exit with 1."""
    with opened(args) as desk:
        document, stored = desk.merged(), desk.store.load()
        overrides = desk.overrides(document)
    flag = document.flags.get(args.key)
    if flag is None:
        answer(args, {"flag": None}, f"there is no flag {args.key!r}")
        return FOUND
    data = {
        "flag": flag.to_dict(),
        "stored": args.key in stored.flags,
        "revision": stored.revision,
        "override": overrides.get(args.key),
        "overridden": args.key in overrides,
    }
    lines = [json.dumps(flag.to_dict(), indent=2, ensure_ascii=False)]
    lines.append(f"from the store, revision {stored.revision}" if data["stored"] else "declared in code")
    if args.key in overrides:
        lines.append(f"a variable of this process forces {json.dumps(overrides[args.key])}")
    answer(args, data, "\n".join(lines))
    return OK


def run_explain(args: argparse.Namespace) -> int:
    """Explain what a flag comes to for a context; exit with 1 for an unknown flag."""
    context = dict(parts_of(each, "--ctx") for each in args.ctx)
    if args.user is not None:
        context["user_id"] = args.user
    with opened(args) as desk:
        explained = desk.flags(args.environment).explain(args.key, context)
    answer(args, explained.to_dict(), str(explained))
    return FOUND if explained.detail.error_code is not None else OK


def run_history(args: argparse.Namespace) -> int:
    """List changes, the newest first."""
    if not 1 <= args.limit <= _MOST_CHANGES:
        msg = f"--limit is 1 to {_MOST_CHANGES}, got {args.limit}"
        raise ValidationError(msg)
    with opened(args) as desk:
        found = desk.store.history(args.key, limit=args.limit)
    text = "\n".join(map(_change_line, found)) or "no changes"
    answer(args, {"changes": [change.to_dict() for change in found]}, text)
    return OK


def _change_line(change: "FlagChange") -> str:
    moment = datetime.fromtimestamp(change.at, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
    what = "added" if change.before is None else "removed" if change.after is None else "changed"
    fields = _changed_fields(change.before, change.after) if what == "changed" else ""
    why = f": {change.reason}" if change.reason else ""
    return f"{change.revision:>5}  {moment}  {what} {change.key}{fields} by {change.actor}{why}"


def _changed_fields(before: Any, after: Any) -> str:
    names = sorted({*before, *after})
    return f" ({', '.join(name for name in names if before.get(name) != after.get(name))})"


def run_diff(args: argparse.Namespace) -> int:
    """Show what differs; exit with 1 when anything does, as ``diff`` does."""
    from shared.feature_flags import FlagAdmin

    with opened(args) as desk:
        found = FlagAdmin(desk.store).diff(args.before, args.after)
    data = [
        {
            "kind": each.kind,
            "key": each.key,
            "fields": {name: {"before": old, "after": new} for name, (old, new) in each.fields.items()},
        }
        for each in found
    ]
    lines = [
        f"{each.kind} {each.key}: {name}: {json.dumps(old)} -> {json.dumps(new)}"
        for each in found
        for name, (old, new) in each.fields.items()
    ]
    answer(args, {"differences": data}, "\n".join(lines) or "no difference")
    return FOUND if found else OK


def run_export(args: argparse.Namespace) -> int:
    """Print the document of the store, or what the code declares."""
    with opened(args) as desk:
        document = desk.declared if args.code else desk.store.load()
    if args.output is None:
        print(document_text(document, ".json"))
        return OK
    path = Path(args.output)
    path.write_text(document_text(document, path.suffix.lower()) + "\n", encoding="utf-8")
    answer(args, {"written": args.output}, f"{counted(len(document.flags), 'flag')} written to {args.output}")
    return OK


def document_text(document: "FlagDocument", ending: str) -> str:
    """Return the document as a file with *ending* holds it.

    Raises:
        ConfigurationError: The ending is none of those that are written.
        MissingDependencyError: PyYAML is not installed.
    """
    data = document.to_dict()
    if ending == ".json":
        return json.dumps(data, indent=2, ensure_ascii=False)
    if ending not in (".yaml", ".yml"):
        msg = f"--output: a file that ends in .json, .yaml or .yml expected, got {ending or 'no ending'!r}"
        raise ConfigurationError(msg)
    try:
        import yaml
    except ImportError as exc:
        raise MissingDependencyError("yaml", extra="yaml") from exc
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)).rstrip("\n")


def shown_changes(changes: Iterable[str]) -> str:
    """Return names for a sentence; of many only the first."""
    names = sorted(changes)
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) or "nothing") + rest
