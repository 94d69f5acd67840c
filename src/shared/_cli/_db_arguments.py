"""What every command of ``shared db`` understands."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared._cli._config import settings_class
from shared._cli._main import add_json
from shared._cli._output import write
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.database.migrations import MigrationChain, MigrationProgress


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command with what all of them understand, and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text.capitalize() + "."
    )
    parser.set_defaults(run=run)
    add_json(parser)
    parser.add_argument("--url", help="the database; default DATABASE_URL")
    parser.add_argument("--schema", help="PostgreSQL schema to work in")
    parser.add_argument("--settings", metavar="MODULE:CLASS", help="the service's own settings class")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--service",
        metavar="FOLDER",
        nargs="?",
        const="migrations",
        help="the service's own revisions instead of the library's (default folder: migrations)",
    )
    which.add_argument("--rooms", metavar="NAMES", help="only these rooms of the library, with commas")
    return parser


def chain_of(args: argparse.Namespace) -> "MigrationChain":
    """Return the chain that was asked for; the folder of the call is importable, as for Python itself."""
    from shared.database.migrations import MigrationChain

    if "" not in sys.path:
        sys.path.insert(0, "")
    if args.service is not None:
        return MigrationChain.service(args.service)
    rooms = None if args.rooms is None else [name.strip() for name in args.rooms.split(",") if name.strip()]
    return MigrationChain.library(rooms)


def url_of(args: argparse.Namespace) -> str:
    """Return the database that was asked for.

    Raises:
        ConfigurationError: None is named.
    """
    if args.url:
        return str(args.url)
    from shared.config import get_settings

    settings = settings_class(args.settings)() if args.settings else get_settings()
    found = settings.database.DATABASE_URL
    if found is None:
        msg = "no database is named: set DATABASE_URL, or give --url"
        raise ConfigurationError(msg)
    return str(found)


def teller(args: argparse.Namespace) -> "Callable[[MigrationProgress], object]":
    """Write progress to the error stream: the answer is on the other one."""
    if args.json:
        return lambda _progress: None
    return lambda progress: write(str(progress), sys.stderr)
