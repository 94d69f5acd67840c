"""``shared flags``: look at feature flags, change them, and find those that have had their day."""

import argparse
import importlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from shared._cli._main import add_json

_READ: Final = "shared._cli._flags_read"
_WRITE: Final = "shared._cli._flags_write"
_CHECK: Final = "shared._cli._flags_check"


class _Command(NamedTuple):
    """A command: the module whose function of that name does it, its help and its arguments."""

    module: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], object]
    epilog: str | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in _COMMANDS.items():
        child = commands.add_parser(
            name, help=command.help, description=command.help.capitalize() + ".", epilog=command.epilog
        )
        add_json(child)
        _common(child)
        if command.module == _WRITE:
            _writing(child)
        command.arguments(child)
        child.set_defaults(run=_runner(command.module, name))


def _runner(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        found: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(module), f"run_{name.replace('-', '_')}"
        )
        return found(args)

    return run


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="where flags are kept; default FLAGS_STORE_URL")
    parser.add_argument(
        "--declared",
        metavar="MODULE:NAME",
        help="the flags that the service's code declares; default: the catalogue",
    )
    own = "the service's own settings class, such as orders.config:Settings"
    parser.add_argument("--settings", metavar="MODULE:CLASS", help=own)


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; needed in production")
    parser.add_argument("--actor", metavar="WHO", help="who changes it; default: the user of this machine")


def _expecting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--expected", type=int, metavar="REV", help="fail when the store is at another revision"
    )


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="the flag")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", help="only flags of this kind")
    parser.add_argument("--tag", help="only flags with this tag")
    parser.add_argument("--owner", help="only flags of this owner")


def _explain(parser: argparse.ArgumentParser) -> None:
    _key(parser)
    parser.add_argument(
        "--ctx",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an attribute, as JSON or text; repeatable",
    )
    parser.add_argument("--user", metavar="ID", help="short for --ctx user_id=ID, always a text")
    parser.add_argument("--environment", metavar="NAME", help="whose overlays apply; default ENVIRONMENT")


def _set(parser: argparse.ArgumentParser) -> None:
    _key(parser)
    parser.add_argument(
        "fields", nargs="+", metavar="FIELD=VALUE", help="a field of the flag, as JSON or text"
    )
    _expecting(parser)


def _rollout(parser: argparse.ArgumentParser) -> None:
    _key(parser)
    parser.add_argument("percent", type=float, metavar="PERCENT", help="how many get it, 0 to 100")
    parser.add_argument("--environment", metavar="NAME", help="only in this one")
    _expecting(parser)


def _ramp(parser: argparse.ArgumentParser) -> None:
    _key(parser)
    parser.add_argument(
        "plan", nargs="?", metavar="PLAN", help="file with the plan: .json, .yaml or .toml; none: show it"
    )
    steps = parser.add_mutually_exclusive_group()
    for name, text in (
        ("pause", "let it stand where it is"),
        ("resume", "go on with it"),
        ("stop", "forget the plan; the percentage stays"),
    ):
        steps.add_argument(f"--{name}", dest="step", action="store_const", const=name, help=text)
    _expecting(parser)


def _history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="?", metavar="KEY", help="only of this flag")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many changes (50)")


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", type=int, metavar="REV", help="the one revision")
    parser.add_argument("after", type=int, nargs="?", metavar="REV", help="the other; default: the newest")


def _rollback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", type=int, metavar="REV", help="where to go back to")
    parser.add_argument(
        "--key", action="append", dest="keys", metavar="KEY", help="only this flag; repeatable"
    )
    _expecting(parser)


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".json, .yaml or .toml")
    parser.add_argument("--replace", action="store_true", help="what is not in the file goes")
    parser.add_argument(
        "--from",
        dest="source",
        choices=("flagd", "growthbook", "unleash"),
        help="the file is of that service; what cannot be said is told",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would change")
    _expecting(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="write it to FILE, .json or .yaml")
    parser.add_argument(
        "--code", action="store_true", help="what the code declares instead, for 'doctor --compare'"
    )


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help=".json, .yaml or .toml; default: the store")


def _stale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="folders of the code to look through; none: leave it out"
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN", help="paths to leave out; repeatable"
    )
    parser.add_argument("--unused-days", type=float, default=30.0, metavar="DAYS", help="(30)")
    parser.add_argument("--settled-days", type=float, default=30.0, metavar="DAYS", help="(30)")
    parser.add_argument(
        "--usage", metavar="URL", help="database with the table of usage; default: nobody counted"
    )


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="FILE",
        help="what another service declares, from 'export --code'; repeatable",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")


def _adoption(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", nargs="?", metavar="KEY", help="only this flag")
    parser.add_argument("--days", type=float, default=30.0, metavar="DAYS", help="how far back (30)")
    parser.add_argument(
        "--database", metavar="URL", help="where exposures and feedback are; default DATABASE_URL"
    )


_YES_NO: Final = "Exit code: 0 all is well, 1 something was found, 2 it could not be looked at."

_COMMANDS: Final[dict[str, _Command]] = {
    "list": _Command(_READ, "list the flags", _list),
    "show": _Command(_READ, "show the definition of a flag", _key),
    "explain": _Command(_READ, "tell step by step what a flag comes to, and why", _explain),
    "set": _Command(_WRITE, "define a flag, or change fields of one", _set),
    "rollout": _Command(_WRITE, "change the percentage of a flag", _rollout),
    "ramp": _Command(_WRITE, "begin a rollout in steps, with guardrails, or look at one", _ramp),
    "kill": _Command(_WRITE, "switch a flag off everywhere", _key),
    "unkill": _Command(_WRITE, "switch a killed flag on again", _key),
    "history": _Command(_READ, "list what was changed, by whom and why", _history),
    "diff": _Command(_READ, "show what differs between two revisions", _diff),
    "rollback": _Command(_WRITE, "go back to a revision, by a new one", _rollback),
    "import": _Command(_WRITE, "write the flags of a file into the store", _import),
    "export": _Command(_READ, "print all flags of the store", _export),
    "validate": _Command(_CHECK, "check files of flags, or the store", _validate, _YES_NO),
    "stale": _Command(_CHECK, "find flags that have had their day", _stale, _YES_NO),
    "adoption": _Command(_CHECK, "tell how far features have come, and what people think", _adoption),
    "doctor": _Command(_CHECK, "look for what is wrong with flags", _doctor, _YES_NO),
}


def parts_of(text: str, option: str) -> tuple[str, Any]:
    """Return name and value of ``NAME=VALUE``; the value is JSON, or else text.

    Raises:
        ValidationError: There is no name, or the value is absurdly long.
    """
    import json

    from shared.errors import ValidationError

    name, found, value = text.partition("=")
    if not found or not name.strip() or len(text) > 1_000_000:
        msg = f"{option} is NAME=VALUE, got {text[:40]!r}"
        raise ValidationError(msg)
    try:
        return name.strip(), json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return name.strip(), value


def _no_number(text: str) -> Any:
    raise ValueError(text)  # NaN and the infinities are no JSON: they stay texts
