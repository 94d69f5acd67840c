"""``shared keys``: make, rotate and list the keys of a file."""

import argparse
import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from shared._cli._main import OK, add_json
from shared._cli._output import answer
from shared.errors import ValidationError

if TYPE_CHECKING:
    from shared.auth import KeyFile

_DAY: Final = 86_400.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    new = _command(commands, "new", _new, "add a key: the first one signs, later ones wait as 'next'")
    new.add_argument(
        "--algorithm", default="ES256", help="such as ES256, EdDSA, RS256 or HS256 (default ES256)"
    )
    new.add_argument("--kid", help="its id; derived from the key when it is not given")
    new.add_argument("--bits", type=int, default=2048, help="size of an RSA key (default 2048)")
    rotate = _command(commands, "rotate", _rotate, "let the 'next' key sign; the one before verifies only")
    rotate.add_argument("--kid", help="which; the first that is 'next' when it is not given")
    rotate.add_argument(
        "--retire-after",
        type=float,
        metavar="DAYS",
        help="remove keys that have only verified for so many days",
    )
    retire = _command(commands, "retire", _retire, "remove a key at once: what it signed is refused")
    retire.add_argument("kid", help="which")
    _command(commands, "list", _list, "list the keys, without anything secret")
    _command(commands, "jwks", _jwks, "print the public keys as a JWK Set")


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text.capitalize() + "."
    )
    parser.set_defaults(run=run)
    parser.add_argument("--file", metavar="PATH", help="the file of keys; default: JWT_KEYS_FILE")
    add_json(parser)
    return parser


def _file(args: argparse.Namespace) -> "KeyFile":
    from shared.auth import KeyFile
    from shared.config import get_settings

    path = args.file or get_settings().security.JWT_KEYS_FILE
    if not path:
        raise ValidationError("no file of keys: give --file PATH, or set JWT_KEYS_FILE")
    return KeyFile(path)


def _new(args: argparse.Namespace) -> int:
    key = _file(args).new(args.algorithm, kid=args.kid, bits=args.bits)
    data = {"kid": key.kid, "alg": key.algorithm, "status": key.status.value}
    hint = "" if key.status.value == "active" else "; when every service has seen it: shared keys rotate"
    answer(args, data, f"{key.kid}  {key.algorithm}  {key.status.value}{hint}")
    return OK


def _rotate(args: argparse.Namespace) -> int:
    if args.retire_after is not None and not args.retire_after > 0:
        msg = f"--retire-after is days above 0, got {args.retire_after:g}"
        raise ValidationError(msg)
    after = None if args.retire_after is None else args.retire_after * _DAY
    file = _file(args)
    file.rotate(args.kid, retire_after=after)
    return _told(args, file)


def _retire(args: argparse.Namespace) -> int:
    file = _file(args)
    file.retire(args.kid)
    return _told(args, file)


def _list(args: argparse.Namespace) -> int:
    return _told(args, _file(args))


def _told(args: argparse.Namespace, file: "KeyFile") -> int:
    found = file.describe()
    answer(args, {"keys": found}, "\n".join(map(_line, found)))
    return OK


def _line(key: dict[str, Any]) -> str:
    since = dt.datetime.fromtimestamp(key["since"], dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{key['kid']}  {key['alg']}  {key['status']}  since {since}"


def _jwks(args: argparse.Namespace) -> int:
    import json

    published = _file(args).current().jwks()
    answer(args, published, json.dumps(published, indent=2))
    return OK
