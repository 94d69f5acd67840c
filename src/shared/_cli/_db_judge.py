"""``shared db lint`` and ``assess``: what would hurt, read from the revisions and measured on a copy."""

import argparse
import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared._cli._db_arguments import chain_of, command, teller, url_of
from shared._cli._main import FOUND, OK
from shared._cli._output import answer
from shared.errors import ValidationError

if TYPE_CHECKING:
    from shared.database.migrations import MigrationChain


def configure(commands: Any) -> None:
    """Add the commands that judge to *commands*."""
    lint = command(commands, "lint", _lint, "read the revisions and tell what would hurt")
    lint.add_argument(
        "--dialect",
        action="append",
        choices=("postgresql", "sqlite", "mysql"),
        help="may be repeated; default: postgresql, for the library also sqlite",
    )
    lint.add_argument(
        "--metadata", metavar="MODULE:NAME", help="the models, to find what is dropped and mapped"
    )
    lint.add_argument("--since", metavar="REVISION", help="only revisions after this one")
    lint.add_argument("--baseline", metavar="FILE", help="findings that are known and do not count")
    lint.add_argument("--write-baseline", metavar="FILE", help="write what is found there, and exit with 0")
    lint.add_argument("--applied", action="store_true", help="also look in the database for edited revisions")
    lint.add_argument("--strict", action="store_true", help="exit with 1 for warnings, too")
    lint.add_argument("--squawk", action="store_true", help="ask squawk for a second opinion")

    assess = command(commands, "assess", _assess, "run pending revisions on a copy and tell their cost")
    _copied(assess, 20_000)
    for name, default, text in (
        ("observe", 2.0, "watch the live rates for so long"),
        ("window-after", 1.0, "blocking for longer needs a window"),
        ("forbid-after", 30.0, "blocking for longer is forbidden"),
    ):
        words = f"{text} (default {default:g})"
        assess.add_argument(f"--{name}", type=float, default=default, metavar="SECONDS", help=words)
    rehearse = command(commands, "rehearse", _rehearse, "try upgrade, downgrade, upgrade on a copy with data")
    _copied(rehearse, 100_000)
    rehearse.add_argument("--since", metavar="REVISION", help="begin there, though newer ones are applied")


def _copied(parser: argparse.ArgumentParser, rows: int) -> None:
    parser.add_argument("--shadow", metavar="URL", help="a copy that may be changed; made when not given")
    parser.add_argument("--rows", type=int, default=rows, help=f"most rows of each table copied ({rows})")


def metadata_of(args: argparse.Namespace, chain: "MigrationChain") -> Any:
    """Return the models that were named; the library knows its own.

    Raises:
        ValidationError: They cannot be imported.
    """
    if args.metadata is None:
        from shared.database.migrations import library_metadata

        return library_metadata() if chain.name == "library" else None
    module, _, attribute = args.metadata.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in (attribute or "Base").split("."):
            found = getattr(found, name)
        metadata = getattr(found, "metadata", found)
        _ = metadata.tables
    except Exception as exc:  # a module of the service may raise anything while it is imported
        msg = f"cannot load {args.metadata!r}, expected MODULE:NAME of a base or metadata: {exc}"
        raise ValidationError(msg) from exc
    return metadata


def _lint(args: argparse.Namespace) -> int:
    from shared.database.migrations import lint, read_baseline, second_opinion, write_baseline

    chain = chain_of(args)
    report = lint(
        chain,
        dialects=args.dialect or _dialects(chain),
        metadata=metadata_of(args, chain),
        since=args.since,
        baseline=read_baseline(args.baseline) if args.baseline else (),
        edited=_edited(args, chain) if args.applied else (),
    )
    if args.squawk:
        report = replace(report, findings=(*report.findings, *second_opinion(chain, since=args.since)))
    if args.write_baseline:
        write_baseline(args.write_baseline, report)
        text = f"wrote {len(report.findings)} findings to {Path(args.write_baseline)}"
        answer(args, {"path": args.write_baseline, "findings": len(report.findings)}, text)
        return OK
    answer(args, report.to_dict(), str(report))
    return FOUND if not report.ok or (args.strict and report.findings) else OK


def _dialects(chain: "MigrationChain") -> tuple[str, ...]:
    return ("postgresql", "sqlite") if chain.name == "library" else ("postgresql",)


def _edited(args: argparse.Namespace, chain: "MigrationChain") -> tuple[str, ...]:
    from shared.database.migrations import Migrations

    return Migrations(url_of(args), chain, schema=args.schema).check().edited


def _assess(args: argparse.Namespace) -> int:
    from shared.database.migrations import AssessmentLimits, Verdict, assess

    found = assess(
        url_of(args),
        chain_of(args),
        shadow=args.shadow,
        rows=args.rows,
        schema=args.schema,
        limits=AssessmentLimits(window_after=args.window_after, forbid_after=args.forbid_after),
        observe=args.observe,
        progress=teller(args),
    )
    answer(args, found.to_dict(), str(found))
    return OK if found.verdict is Verdict.SAFE else FOUND


def _rehearse(args: argparse.Namespace) -> int:
    from shared.database.migrations import rehearse

    found = rehearse(
        url_of(args),
        chain_of(args),
        shadow=args.shadow,
        rows=args.rows,
        schema=args.schema,
        since=args.since,
        progress=teller(args),
    )
    answer(args, found.to_dict(), str(found))
    return OK if found.ok else FOUND
