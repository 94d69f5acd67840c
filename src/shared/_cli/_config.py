"""``shared config``: check, explain and document the settings."""

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared._cli._main import FOUND, OK, WRONG_SETTINGS, add_json
from shared._cli._output import answer, counted
from shared.errors import ValidationError

if TYPE_CHECKING:
    from shared.config import Problem, Settings, SettingsReport

#: What stands between these lines of a page is generated.
BEGIN: Final = "<!-- settings: begin -->"
END: Final = "<!-- settings: end -->"

_DOCUMENTS: Final = {
    "env-example": (".env.example", "every setting as a commented .env file"),
    "docs": ("docs/reference/config.md", f"the tables of settings, between {BEGIN} and {END} of a page"),
    "schema": ("docs/reference/config.schema.json", "the JSON schema of a settings file"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = _command(commands, "check", _check, "read all sources and report everything that is wrong")
    check.add_argument("--prod", action="store_true", help="judge by the rules of production")
    check.add_argument("--strict", action="store_true", help="unknown names are errors, warnings count")
    explain = _command(commands, "explain", _explain, "tell which source won, and which were shadowed")
    explain.add_argument("name", nargs="*", help="a setting; default: all that are set somewhere")
    for name, (path, text) in _DOCUMENTS.items():
        command = _command(commands, name, _document, f"print {text}")
        command.set_defaults(document=name)
        group = command.add_mutually_exclusive_group()
        group.add_argument("--output", metavar="FILE", help="write it to FILE")
        group.add_argument(
            "--check",
            metavar="FILE",
            nargs="?",
            const=path,
            help=f"exit with 1 when FILE differs (default {path})",
        )


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text.capitalize() + "."
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--settings",
        metavar="MODULE:CLASS",
        help="the service's own settings class, such as orders.config:Settings",
    )
    add_json(parser)
    return parser


def settings_class(name: str | None) -> "type[Settings]":
    """Import the class that ``--settings`` names; without one the library's own.

    Raises:
        ValidationError: It cannot be imported or is no settings class.
    """
    from shared.config import Settings

    if name is None:
        return Settings
    module, _, attribute = name.partition(":")
    found = _attribute(module, attribute or "Settings")
    if not (isinstance(found, type) and issubclass(found, Settings)):
        msg = f"{name!r} is not a subclass of shared.config.Settings: name it as MODULE:CLASS"
        raise ValidationError(msg)
    return found


def _attribute(module: str, name: str) -> Any:
    import importlib

    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a script's own folder is where it is installed
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as exc:  # a module of the service may raise anything while it is imported
        msg = f"cannot import {name!r} from {module!r}: {type(exc).__name__}: {exc}"
        raise ValidationError(msg) from exc


# --- check -----------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    from shared.config import check_settings

    overrides: dict[str, Any] = {"ENVIRONMENT": "production"} if args.prod else {}
    if args.strict:
        overrides["SETTINGS_STRICT"] = True
    report = check_settings(settings_class(args.settings), **overrides)
    answer(args, report.to_dict(), _report_text(report))
    if not report.ok:
        return WRONG_SETTINGS
    return FOUND if args.strict and report.warnings else OK


def _report_text(report: "SettingsReport") -> str:
    lines = [line for problem in report.problems for line in _problem_lines(problem)]
    counts = f"{counted(len(report.errors), 'error')}, {counted(len(report.warnings), 'warning')}"
    return "\n".join([*lines, f"profile {report.environment}: {counts}"])


def _problem_lines(problem: "Problem") -> list[str]:
    lines = [f"{problem.severity:<8} {problem}"]
    return [*lines, f"{'':<8} fix: {problem.fix}"] if problem.fix else lines


# --- explain ----------------------------------------------------------------------------------------


def _explain(args: argparse.Namespace) -> int:
    from shared.config import check_settings, explain

    report = check_settings(settings_class(args.settings))
    if report.settings is None:
        answer(args, report.to_dict(), _report_text(report))
        return WRONG_SETTINGS
    settings = report.settings
    every = [name for section in settings.to_dict().values() for name in section]
    found = [explain(name, settings) for name in args.name or every]
    if not args.name:
        found = [item for item in found if not item.origin.startswith(("default", "generated"))]
    text = "\n\n".join(map(str, found)) or "every setting has its default"
    answer(args, [item.to_dict() for item in found], text)
    return OK


# --- documents -----------------------------------------------------------------------------------------


def _document(args: argparse.Namespace) -> int:
    from shared.config import render_env_example, render_json_schema, render_settings_table

    render = {"env-example": render_env_example, "docs": render_settings_table, "schema": render_json_schema}
    text = render[args.document](settings_class(args.settings))
    if args.output is not None:
        path = Path(args.output)
        path.write_text(_placed(args.document, path, text), encoding="utf-8")
        answer(args, {"written": str(path)}, f"wrote {path}")
        return OK
    if args.check is not None:
        return _compare(args, Path(args.check), text)
    answer(args, {"document": args.document, "text": text}, text)
    return OK


def _placed(document: str, path: Path, text: str) -> str:
    """Return the new text of *path*: the generated one, or the page around it."""
    if document != "docs":
        return text
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"{path} has no lines {BEGIN} and {END} to write between"
        raise ValidationError(msg)
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _compare(args: argparse.Namespace, path: Path, text: str) -> int:
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    wanted = _placed(args.document, path, text) if path.exists() else text
    if present == wanted:
        answer(args, {"ok": True, "path": str(path)}, f"{path} is up to date")
        return OK
    again = f"shared config {args.document} --output {path}"
    diff = "".join(
        difflib.unified_diff(
            present.splitlines(keepends=True), wanted.splitlines(keepends=True), str(path), "generated", n=1
        )
    )
    answer(
        args,
        {"ok": False, "path": str(path), "diff": diff, "fix": again},
        f"{diff}\n{path} is out of date; run: {again}",
    )
    return FOUND
