"""``shared doctor``: what is wrong with this installation, and what to do about it."""

import argparse
import platform
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from shared._cli import _installation, _practice
from shared._cli._config import settings_class
from shared._cli._finding import Finding
from shared._cli._main import FOUND, OK, add_json
from shared._cli._output import answer, counted
from shared._version import __version__

if TYPE_CHECKING:
    from shared.config import SettingsReport

_ORDER: Final = {"error": 0, "warning": 1, "info": 2}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to *parser*."""
    add_json(parser)
    parser.add_argument("--prod", action="store_true", help="judge by the rules of production")
    parser.add_argument(
        "--imports", action="store_true", help="also import every room in a fresh interpreter"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")
    parser.add_argument("--settings", metavar="MODULE:CLASS", help="the service's own settings class")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at everything and answer with the findings, the worst first."""
    from shared.config import check_settings

    cls = settings_class(args.settings)
    overrides: dict[str, Any] = {"ENVIRONMENT": "production"} if args.prod else {}
    report = check_settings(cls, **overrides)
    found = sorted(_findings(report, imports=args.imports), key=lambda item: (_ORDER[item.severity], item.id))
    errors = sum(item.severity == "error" for item in found)
    warnings = sum(item.severity == "warning" for item in found)
    ok = not errors and not (args.strict and warnings)
    data = {
        "ok": ok,
        "environment": report.environment,
        "versions": _installation.versions(),
        "findings": [item.to_dict() for item in found],
    }
    head = f"shared {__version__}, Python {platform.python_version()}, profile {report.environment}"
    answer(
        args,
        data,
        "\n".join([head, *map(str, found), f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"]),
    )
    return OK if ok else FOUND


def _findings(report: "SettingsReport", *, imports: bool) -> Iterator[Finding]:
    yield from _installation.python_findings()
    yield from _installation.package_findings()
    yield from _installation.shadow_findings()
    for problem in report.problems:
        yield Finding(problem.id, problem.severity, str(problem), problem.fix or _installation.EXPLAIN)
    if report.settings is not None:
        checks: tuple[Callable[..., Iterator[Finding]], ...] = _practice.CHECKS
        for check in checks:
            yield from check(report.settings)
    if imports:
        yield from _installation.import_findings()
