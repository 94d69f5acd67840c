"""``shared alerts``: rules for Prometheus, routes for Alertmanager, a board for Grafana, from the SLOs."""

import argparse
import difflib
import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared._cli._main import FOUND, OK, add_json
from shared._cli._output import answer, counted
from shared.errors import ValidationError

if TYPE_CHECKING:
    from shared.monitoring import SLO, Alert

#: What the documents ask of a service that declares nothing: 99.9 % of requests
#: answered, 95 % of them within 200 ms.
_OBJECTIVE: Final = "99.9"
_LATENCY: Final = "0.2=95"
_FILES: Final = {"rules": "rules.yml", "alertmanager": "alertmanager.yml", "grafana": "dashboard.json"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    render = commands.add_parser(
        "render",
        help="print or write the generated files",
        description="Print or write Prometheus rules, an Alertmanager configuration and a Grafana dashboard.",
    )
    add_json(render)
    render.add_argument("--service", help="name of the service; default SERVICE_NAME")
    render.add_argument("--selector", default="", help='what selects its series; default job="SERVICE"')
    render.add_argument(
        "--slos", metavar="MODULE:NAME", help="a list of SLO and Alert objects, or a function"
    )
    render.add_argument(
        "--objective", default=_OBJECTIVE, help=f"availability in per cent (default {_OBJECTIVE})"
    )
    render.add_argument(
        "--latency",
        action="append",
        metavar="SECONDS=PERCENT",
        help=f"such as 0.2=95, which is the default; may be repeated (now {_LATENCY})",
    )
    render.add_argument("--window", default="30d", help="over which time the objectives hold (default 30d)")
    render.add_argument("--only", choices=sorted(_FILES), help="one of the files; default: all")
    for name in ("page", "ticket", "info", "dead-man"):
        render.add_argument(f"--{name}-url", default="", metavar="URL", help=f"webhook for {name} alerts")
    where = render.add_mutually_exclusive_group()
    where.add_argument("--output", metavar="FOLDER", help="write the files there")
    where.add_argument("--check", metavar="FOLDER", help="exit with 1 when the files there differ")
    render.set_defaults(run=_render)


def _render(args: argparse.Namespace) -> int:
    documents = _documents(args)
    if args.check is not None:
        return _check(args, documents)
    if args.output is not None:
        return _write(args, documents)
    text = "\n".join(documents.values()) if len(documents) == 1 else _joined(documents)
    answer(args, documents, text)
    return OK


def _documents(args: argparse.Namespace) -> dict[str, str]:
    from shared.monitoring import SLO, render_alertmanager, render_dashboard, render_rules

    service = args.service or _service_name()
    found = _loaded(args.slos) if args.slos else _declared(args)
    slos: list[SLO] = [each for each in found if isinstance(each, SLO)]
    alerts: list[Alert] = [each for each in found if not isinstance(each, SLO)]
    # Without addresses the file is a template that goes nowhere by itself.
    page = args.page_url or "https://alerts.invalid/page"
    ticket = args.ticket_url or "https://alerts.invalid/ticket"
    makers: dict[str, Callable[[], str]] = {
        "rules": lambda: render_rules(slos, service=service, selector=args.selector, alerts=alerts),
        "alertmanager": lambda: render_alertmanager(
            page_url=page,
            ticket_url=ticket,
            info_url=args.info_url,
            dead_man_url=args.dead_man_url,
            service=service,
        ),
        "grafana": lambda: render_dashboard(slos, service=service, selector=args.selector),
    }
    wanted = [args.only] if args.only else list(_FILES)
    return {_FILES[name]: makers[name]() for name in wanted}


def _declared(args: argparse.Namespace) -> "list[SLO]":
    from shared.monitoring import SLO, availability, latency

    slos = [SLO("availability", objective=args.objective, sli=availability(), window=args.window)]
    for text in args.latency or [_LATENCY]:
        seconds, sign, percent = text.partition("=")
        try:
            threshold = float(seconds)
        except ValueError:
            sign = ""
            threshold = 0.0
        if not sign:
            msg = f"--latency needs SECONDS=PERCENT, such as 0.2=95, got {text!r}"
            raise ValidationError(msg)
        name = f"latency-{threshold * 1000:g}ms".replace(".", "-")
        slos.append(SLO(name, objective=percent, sli=latency(threshold), window=args.window))
    return slos


def _loaded(name: str) -> list[Any]:
    """Import what ``--slos`` names, with the folder of the call on the path, as Python itself does."""
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), attribute or "SLOS")
    except (ImportError, AttributeError, ValueError) as exc:
        msg = f"cannot load {name!r}, expected MODULE:NAME: {exc}"
        raise ValidationError(msg) from exc
    if callable(found):
        found = found()
    if not isinstance(found, Iterable) or isinstance(found, str | bytes):
        msg = f"{name!r} is no list of SLO and Alert objects, but {type(found).__name__}"
        raise ValidationError(msg)
    objects = list(found)
    for each in objects:
        if not (hasattr(each, "budget") or hasattr(each, "look")):
            msg = f"{name!r} holds {type(each).__name__}, which is neither an SLO nor an Alert"
            raise ValidationError(msg)
    return objects


def _service_name() -> str:
    from shared.config import get_settings

    return str(get_settings().app.SERVICE_NAME)


def _write(args: argparse.Namespace, documents: dict[str, str]) -> int:
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        (folder / name).write_text(text, encoding="utf-8")
    written = [str(folder / name) for name in documents]
    answer(args, {"written": written}, "\n".join(f"wrote {path}" for path in written))
    return OK


def _check(args: argparse.Namespace, documents: dict[str, str]) -> int:
    folder = Path(args.check)
    differences: list[str] = []
    for name, text in documents.items():
        path = folder / name
        present = path.read_text(encoding="utf-8") if path.is_file() else ""
        if present != text:
            lines = difflib.unified_diff(
                present.splitlines(), text.splitlines(), str(path), "generated", lineterm="", n=1
            )
            differences.append("\n".join(lines))
    summary = "all files are up to date" if not differences else f"{counted(len(differences), 'file')} differ"
    answer(
        args, {"up_to_date": not differences, "differences": differences}, "\n".join([*differences, summary])
    )
    return FOUND if differences else OK


def _joined(documents: dict[str, str]) -> str:
    return "\n".join(f"# ---- {name}\n{text}" for name, text in documents.items())
