"""From the arguments to the verb and its exit code."""

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

OK: Final = 0
FOUND: Final = 1
FAILED: Final = 2
WRONG_SETTINGS: Final = 78  # EX_CONFIG of sysexits.h
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count


class Verb(NamedTuple):
    """A verb: the module that does it and the line in the help."""

    module: str
    help: str


#: Only the module of the verb that is asked for is imported. It has a function
#: ``configure(parser)`` that adds its arguments and sets the default ``run``, a
#: function that takes the parsed arguments and returns the exit code.
VERBS: Final[Mapping[str, Verb]] = MappingProxyType(
    {
        "alerts": Verb("shared._cli._alerts", "generate alert rules, routes and a dashboard from the SLOs"),
        "api": Verb("shared._cli._api", "write the migration guide of an API"),
        "api-key": Verb("shared._cli._api_key", "make, list, rotate and revoke API keys"),
        "config": Verb("shared._cli._config", "check, explain and document the settings"),
        "db": Verb("shared._cli._db", "change, check and judge the schema of a database"),
        "doctor": Verb("shared._cli._doctor", "look for what is wrong with an installation and its settings"),
        "flags": Verb("shared._cli._flags", "look at, change and clean up feature flags"),
        "health": Verb("shared._cli._health", "ask a health probe and answer by the exit code"),
        "keys": Verb("shared._cli._keys", "make, rotate and list the keys that sign tokens"),
        "token": Verb("shared._cli._token", "make a token, and look into one"),
    }
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises for what the user typed.

    Args:
        argv: The arguments without the program's name; default those of the process.

    Example:
        >>> main(["--version"])  # doctest: +ELLIPSIS
        shared ...
        0
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(_parser(arguments).parse_args(arguments))
    except SystemExit as exc:  # argparse: 0 after --help, 2 after a wrong argument
        return exc.code if isinstance(exc.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (``shared config docs | head``). Python would write
        # again at exit and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OK


def _run(args: argparse.Namespace) -> int:
    from shared._cli._output import complain
    from shared.errors import SharedError

    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except SharedError as exc:
        complain(args, exc.message, exc.to_dict())
        return FAILED
    except OSError as exc:
        if isinstance(exc, BrokenPipeError):
            raise
        complain(args, f"{exc.strerror or exc}: {exc.filename}" if exc.filename else str(exc))
        return FAILED
    return code


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shared", description="Tools for services that are built on the shared library."
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("--json", action="store_true", help="answer with JSON")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    chosen = next((word for word in arguments if word in VERBS), None)
    for name, verb in VERBS.items():
        child = verbs.add_parser(name, help=verb.help, description=verb.help.capitalize() + ".")
        if name == chosen:
            importlib.import_module(verb.module).configure(child)
    return parser


def _version() -> str:
    from shared._version import __version__

    return f"shared {__version__}"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let *parser* understand ``--json`` after the verb, too."""
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer with JSON")
