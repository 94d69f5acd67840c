"""``shared db``: change the schema of a database, the library's part or a service's own."""

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Any

from shared._cli._config import settings_class
from shared._cli._db_arguments import chain_of, command, teller, url_of
from shared._cli._db_judge import configure as judge
from shared._cli._main import FOUND, OK, add_json
from shared._cli._output import answer, counted, write
from shared.errors import ValidationError

if TYPE_CHECKING:
    from shared.database import Seed
    from shared.database.migrations import AppliedRevision, Migrations

_PHASES = ("expand", "migrate", "contract")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _changing(commands)
    _asking(commands)
    _writing(commands)
    judge(commands)


def _changing(commands: Any) -> None:
    upgrade = command(commands, "upgrade", _upgrade, "apply revisions")
    upgrade.add_argument("revision", nargs="?", default="heads", help="up to which (default: heads)")
    upgrade.add_argument("--phase", choices=_PHASES, help="only this phase and those before it")
    downgrade = command(commands, "downgrade", _downgrade, "take revisions back")
    downgrade.add_argument("revision", help="down to which, such as -1, orders@-1 or base")
    for each in (upgrade, downgrade):
        each.add_argument("--sql", action="store_true", help="print the SQL instead of running it")
        _limits(each)
    stamp = command(commands, "stamp", _stamp, "say what a database is at without running anything")
    stamp.add_argument("revision", help="an id, heads or base")
    stamp.add_argument("--purge", action="store_true", help="forget first what the database says")
    seed = command(commands, "seed", _seed, "put in the data a service starts with")
    seed.add_argument("seeds", metavar="MODULE:NAME", help="a list of Seed objects, or a function")
    seed.add_argument("--allow", action="append", default=[], metavar="ENVIRONMENT", help="run there, too")


def _asking(commands: Any) -> None:
    command(commands, "current", _current, "print the revisions a database is at")
    command(commands, "history", _history, "print all revisions and which are applied")
    command(commands, "check", _check, "compare a database with the revisions and the models")


def _writing(commands: Any) -> None:
    revision = command(commands, "revision", _revision, "write a new revision")
    revision.add_argument("-m", "--message", required=True, help="what it does")
    revision.add_argument(
        "--autogenerate", action="store_true", help="fill it with what the models have more"
    )
    revision.add_argument("--phase", choices=_PHASES, default="expand", help="when it may be applied")
    revision.add_argument("--room", help="whose revision, in the library's chain")
    revision.add_argument("--rev-id", help="its id")
    revision.add_argument("--depends-on", help="a revision that must be applied before")


def _limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock-timeout", type=float, default=2.0, metavar="SECONDS", help="wait for a table's lock"
    )
    parser.add_argument(
        "--lock-attempts", type=int, default=10, metavar="N", help="tries in total (default 10)"
    )
    parser.add_argument(
        "--statement-timeout",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="longest statement; 0 is no limit",
    )


# --- what the commands are given -------------------------------------------------------


def _migrations(args: argparse.Namespace) -> "Migrations":
    from shared.database.migrations import MigrationOptions, Migrations

    options = MigrationOptions()
    if hasattr(args, "lock_timeout"):
        options = MigrationOptions(
            lock_timeout=args.lock_timeout,
            lock_attempts=args.lock_attempts,
            statement_timeout=args.statement_timeout,
        )
    return Migrations(
        url_of(args), chain_of(args), options=options, schema=args.schema, progress=teller(args)
    )


# --- the commands ----------------------------------------------------------------------


def _upgrade(args: argparse.Namespace) -> int:
    migrations = _migrations(args)
    if args.sql:
        if args.phase:
            msg = "--sql and --phase do not go together: name the revisions, as START:END"
            raise ValidationError(msg)
        return _print_sql(args, migrations.sql(args.revision))
    return _tell_steps(args, migrations.upgrade(args.revision, phase=args.phase), "applied")


def _downgrade(args: argparse.Namespace) -> int:
    migrations = _migrations(args)
    if args.sql:
        return _print_sql(args, migrations.sql(args.revision, down=True))
    return _tell_steps(args, migrations.downgrade(args.revision), "taken back")


def _print_sql(args: argparse.Namespace, sql: str) -> int:
    answer(args, {"sql": sql}, sql)
    return OK


def _tell_steps(args: argparse.Namespace, steps: "list[AppliedRevision]", done: str) -> int:
    lines = [
        f"{step.revision}  {step.phase.value:<8}  {step.seconds:6.2f} s  {step.message}" for step in steps
    ]
    text = "\n".join([*lines, f"{counted(len(steps), 'revision')} {done}"])
    answer(args, {"revisions": [step.to_dict() for step in steps]}, text)
    return OK


def _stamp(args: argparse.Namespace) -> int:
    migrations = _migrations(args)
    migrations.stamp(args.revision, purge=args.purge)
    return _current(args)


def _current(args: argparse.Namespace) -> int:
    heads = _migrations(args).current()
    answer(args, {"current": list(heads)}, "\n".join(heads) or "no revision is applied")
    return OK


def _history(args: argparse.Namespace) -> int:
    states = _migrations(args).history()
    lines = [
        f"{'x' if state.is_applied else ' '} {state.revision}  {state.phase.value:<8}  {state.message}"
        f"{'  (head)' if state.is_head else ''}"
        for state in states
    ]
    answer(
        args, {"revisions": [state.to_dict() for state in states]}, "\n".join(lines) or "there is no revision"
    )
    return OK


def _check(args: argparse.Namespace) -> int:
    check = _migrations(args).check()
    lines = [
        *(f"pending     {each}" for each in check.pending),
        *(f"unknown     {each}: the database is at a revision no file has" for each in check.unknown),
        *(f"edited      {each}: its file was changed after it was applied" for each in check.edited),
        *(f"difference  {each}" for each in check.differences),
    ]
    if check.ok:
        lines.append("the database is what the revisions and the models say")
    answer(args, check.to_dict(), "\n".join(lines))
    return OK if check.ok else FOUND


def _revision(args: argparse.Namespace) -> int:
    from shared.database.migrations import write_revision

    path = write_revision(
        chain_of(args),
        args.message,
        target=url_of(args) if args.autogenerate else None,
        room=args.room,
        phase=args.phase,
        revision=args.rev_id,
        depends_on=args.depends_on,
    )
    answer(args, {"path": str(path)}, f"wrote {path}")
    return OK


def _seeds(name: str) -> "list[Seed]":
    from shared.database import Seed

    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute or "SEEDS")
        found = list(found() if callable(found) else found)
    except Exception as exc:  # a module of the service may raise anything while it is imported
        msg = f"cannot load {name!r}, expected MODULE:NAME of a list of seeds: {type(exc).__name__}: {exc}"
        raise ValidationError(msg) from exc
    for each in found:
        if not isinstance(each, Seed):
            msg = f"{name!r} holds a {type(each).__name__}, which is no Seed"
            raise ValidationError(msg)
    return list(found)


def _seed(args: argparse.Namespace) -> int:
    from shared.config import get_settings
    from shared.database import Database, seed

    settings = settings_class(args.settings)() if args.settings else get_settings()
    environment = str(settings.app.ENVIRONMENT)
    if "" not in sys.path:
        sys.path.insert(0, "")
    seeds = _seeds(args.seeds)
    allow = ("development", "testing", "staging", *args.allow)
    with Database(url_of(args)) as database, database.transaction() as session:
        rows = seed(
            session,
            seeds,
            environment=environment,
            allow=allow,
            progress=lambda step: None if args.json else write(f"{step.table}: {step.rows}", sys.stderr),
        )
    answer(args, {"rows": rows}, f"{counted(rows, 'row')} put in or brought up to date")
    return OK
