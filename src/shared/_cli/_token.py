"""``shared token``: make a token, and look into one."""

import argparse
import json
import sys
from typing import Any, Final

from shared._cli._main import FOUND, OK, add_json
from shared._cli._output import answer
from shared.errors import ValidationError

_MAX_INPUT: Final = 65_536
#: What has an option of its own.
_OPTIONS: Final = frozenset({"audience", "email", "expires_in", "family", "permissions", "roles", "user_id"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    text = "make an access token with the keys of the settings"
    mint = commands.add_parser("mint", help=text, description=text.capitalize() + ".")
    mint.add_argument("user_id", help="whose it is")
    mint.add_argument("--email", help="their address")
    mint.add_argument("--role", action="append", default=[], metavar="ROLE", help="may be repeated")
    mint.add_argument("--permission", action="append", default=[], metavar="NAME", help="may be repeated")
    mint.add_argument("--audience", help="who accepts it; default: JWT_AUDIENCE")
    mint.add_argument(
        "--expires-in", type=float, metavar="SECONDS", help="its life; default: JWT_EXPIRE_MINUTES"
    )
    mint.add_argument(
        "--claim", action="append", default=[], metavar="NAME=VALUE", help="JSON or text; may be repeated"
    )
    mint.set_defaults(run=_mint)
    add_json(mint)
    text = "show what a token says and whether it is accepted"
    inspect = commands.add_parser("inspect", help=text, description=text.capitalize() + ".")
    inspect.epilog = "Exit code: 0 accepted, 1 refused, 2 no token at all."
    inspect.add_argument(
        "token", nargs="?", default="-", help="the token; default: read from the standard input"
    )
    inspect.set_defaults(run=_inspect)
    add_json(inspect)


def _mint(args: argparse.Namespace) -> int:
    from shared.auth import create_access_token

    token = create_access_token(
        args.user_id,
        args.email,
        roles=args.role,
        permissions=args.permission,
        audience=args.audience,
        expires_in=args.expires_in,
        **dict(map(_claim, args.claim)),
    )
    answer(args, {"token": token}, token)
    return OK


def _claim(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.isidentifier():
        msg = f"--claim is NAME=VALUE, got {text[:40]!r}"
        raise ValidationError(msg)
    if name in _OPTIONS:
        msg = f"--claim {name} cannot be given: there is an option for it, or it is not for hand-made tokens"
        raise ValidationError(msg)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _inspect(args: argparse.Namespace) -> int:
    from shared.auth import inspect_token

    given = sys.stdin.read(_MAX_INPUT) if args.token == "-" else args.token  # noqa: S105 - the usual name of stdin
    found = inspect_token(given.strip().removeprefix("Bearer "))
    answer(args, found, _text(found))
    return OK if found["accepted"] else FOUND


def _text(found: dict[str, Any]) -> str:
    verdict = "accepted" if found["accepted"] else f"refused: {found['reason']}"
    parts = {"header": found["header"], "claims": found["claims"]}
    return f"{verdict}\n{json.dumps(parts, indent=2, ensure_ascii=False)}"
