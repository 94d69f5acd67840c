"""``shared flags``: the commands that change; each is one revision with who and why."""

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared._cli._flags import parts_of
from shared._cli._flags_foreign import read_foreign
from shared._cli._flags_read import shown_changes
from shared._cli._flags_store import Desk, opened, read_file
from shared._cli._main import FOUND, OK
from shared._cli._output import answer
from shared.errors import ConfigurationError, MissingDependencyError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.feature_flags import FlagAdmin

__all__ = ["run_import", "run_kill", "run_ramp", "run_rollback", "run_rollout", "run_set", "run_unkill"]


def run_set(args: argparse.Namespace) -> int:
    """Define a flag, or change fields of one."""
    from shared.feature_flags import Flag

    fields = dict(parts_of(each, "a field") for each in args.fields)
    known = sorted(set(Flag.model_fields) - {"key", "ramp"})
    for name in fields:
        if name not in known:
            msg = f"a flag has no field {name[:40]!r} (known: {', '.join(known)})"
            raise ValidationError(msg)
    return _change(
        args,
        f"set {', '.join(fields)}",
        lambda admin, who: admin.set(args.key, **who, expected=args.expected, **fields),
    )


def run_rollout(args: argparse.Namespace) -> int:
    """Change the percentage."""
    if not math.isfinite(args.percent):
        raise ValidationError("PERCENT is a number from 0 to 100")
    return _change(
        args,
        f"rolled out to {args.percent:g} %",
        lambda admin, who: admin.rollout(
            args.key, args.percent, **who, environment=args.environment, expected=args.expected
        ),
    )


def run_ramp(args: argparse.Namespace) -> int:
    """Begin a rollout in steps, or pause, resume, stop or show the one under way."""
    if args.step is not None:
        verbs: dict[str, tuple[str, str]] = {
            "pause": ("rollout paused", "pause"),
            "resume": ("rollout goes on", "resume"),
            "stop": ("rollout plan forgotten", "stop"),
        }
        done, name = verbs[args.step]
        return _change(args, done, lambda admin, who: getattr(admin, name)(args.key, **who))
    if args.plan is None:
        return _show_ramp(args)
    from shared.feature_flags import RolloutPlan

    plan = RolloutPlan.from_dict(_plan_data(args.plan))
    steps = " -> ".join(f"{step.percent:g} %" for step in plan.steps)
    done = f"rollout {steps} begins; a controller takes the steps"
    return _change(args, done, lambda admin, who: admin.ramp(args.key, plan, **who, expected=args.expected))


def _show_ramp(args: argparse.Namespace) -> int:
    with opened(args) as desk:
        flag = desk.merged().flags.get(args.key)
    if flag is None or flag.ramp is None:
        answer(args, {"ramp": None}, f"flag {args.key!r} has no rollout plan")
        return FOUND
    state, plan = flag.ramp.state, flag.ramp.plan
    text = f"{args.key}: {state.status.replace('_', ' ')} at {state.percent:g} %, "
    text += f"step {state.step + 1} of {len(plan.steps)}" + (f": {state.reason}" if state.reason else "")
    answer(args, {"ramp": flag.ramp.to_dict()}, text)
    return OK


def _plan_data(path: str) -> dict[str, Any]:
    """Return what a file of a plan says, by its ending: JSON, TOML or YAML.

    Raises:
        ConfigurationError: It cannot be read.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        data = _parser(file.suffix.lower())(text)
    except (OSError, MissingDependencyError):
        raise
    except Exception as exc:  # parsers raise what they like
        msg = f"{path}: cannot be read as a plan: {type(exc).__name__}"
        raise ConfigurationError(msg) from exc
    if not isinstance(data, dict):
        msg = f"{path}: a plan is a mapping with steps"
        raise ConfigurationError(msg)
    return data


def _parser(ending: str) -> "Callable[[str], Any]":
    if ending == ".json":
        return json.loads
    if ending == ".toml":
        import tomllib

        return tomllib.loads
    try:
        import yaml
    except ImportError as exc:
        raise MissingDependencyError("yaml", extra="yaml") from exc
    found: Callable[[str], Any] = yaml.safe_load
    return found


def run_kill(args: argparse.Namespace) -> int:
    """Switch it off everywhere."""
    return _change(args, "killed", lambda admin, who: admin.kill(args.key, **who))


def run_unkill(args: argparse.Namespace) -> int:
    """Switch it on again."""
    return _change(args, "switched on again", lambda admin, who: admin.unkill(args.key, **who))


def run_rollback(args: argparse.Namespace) -> int:
    """Go back to a revision."""
    with opened(args) as desk:
        before = desk.revision()
        revision = desk.admin().rollback(
            args.revision, keys=args.keys, expected=args.expected, **_who(args, desk)
        )
    same = f"nothing to do: the flags are as they were at revision {args.revision}"
    text = same if revision == before else f"back to revision {args.revision}, as revision {revision}"
    answer(args, {"revision": revision, "changed": revision != before}, text)
    return OK


def run_import(args: argparse.Namespace) -> int:
    """Write the flags of a file into the store, or tell what that would change."""
    document, notes = read_foreign(args.file, args.source) if args.source else (read_file(args.file), ())
    with opened(args) as desk:
        stored = desk.store.load()
        named = [key for key, flag in document.flags.items() if stored.flags.get(key) != flag]
        gone = sorted(set(stored.flags) - set(document.flags)) if args.replace else []
        data: dict[str, Any] = {"written": sorted(named), "removed": gone}
        if args.source:
            data["notes"] = list(notes)
        if args.dry_run:
            text = f"would write {shown_changes(named)}; would remove {shown_changes(gone)}"
            text = "\n".join([text, *notes])
            answer(args, {**data, "revision": stored.revision, "dry_run": True}, text)
            return OK
        revision = desk.admin().import_document(
            document, replace=args.replace, expected=args.expected, **_who(args, desk)
        )
    text = f"revision {revision}: wrote {shown_changes(named)}; removed {shown_changes(gone)}"
    answer(args, {**data, "revision": revision}, "\n".join([text, *notes]))
    return OK


def _change(args: argparse.Namespace, done: str, work: "Callable[[FlagAdmin, dict[str, str]], int]") -> int:
    with opened(args) as desk:
        before = desk.revision()
        revision = work(desk.admin(), _who(args, desk))
        overrides = desk.overrides(desk.merged())
    text = f"{args.key}: {done}, revision {revision}"
    if revision == before:
        text = f"{args.key}: nothing to do, revision {revision}"
    if args.key in overrides:
        # The kill switch of somebody with a forgotten variable does nothing.
        forced = json.dumps(overrides[args.key])
        text += f"\nwarning: a variable of this process forces {forced}, whatever the store says"
    answer(
        args,
        {
            "key": args.key,
            "revision": revision,
            "changed": revision != before,
            "overridden": args.key in overrides,
        },
        text,
    )
    return OK


def _who(args: argparse.Namespace, desk: Desk) -> dict[str, str]:
    """Return who writes and why.

    Raises:
        ValidationError: It is production, and nobody says why.
    """
    if desk.settings.app.is_production and not args.reason.strip():
        raise ValidationError("in production a change of flags says why: give --reason TEXT")
    return {"actor": args.actor or _user(), "reason": args.reason.strip()}


def _user() -> str:
    """Return the user of this machine; not what variables claim."""
    import os

    try:
        import pwd

        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except (ImportError, KeyError, AttributeError):  # no such users here, or none with this number
        return "cli"
