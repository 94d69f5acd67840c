"""``shared api-key``: make, list, rotate and revoke API keys where the service keeps them."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shared._cli._config import settings_class
from shared._cli._main import FOUND, OK, add_json
from shared._cli._output import answer
from shared.errors import ConfigurationError, ResourceNotFoundError

if TYPE_CHECKING:
    from shared.auth import ApiKey, ApiKeys

_HOUR: Final = 3600.0
_DAY: Final = 86_400.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    create = _command(commands, "create", _create, "make a key and print it, this once")
    create.add_argument("owner", help="the user or service it acts for")
    create.add_argument(
        "--scope", action="append", default=[], metavar="SCOPE", help="what it may do; repeatable"
    )
    create.add_argument(
        "--network", action="append", default=[], metavar="CIDR", help="from where it may be used; repeatable"
    )
    create.add_argument("--name", default="", help="for people")
    create.add_argument("--tenant", help="for whom it acts")
    create.add_argument(
        "--days", type=float, metavar="DAYS", help="how long it is good for; without end by default"
    )
    create.add_argument("--by", metavar="WHO", help="who makes it")
    rotate = _command(commands, "rotate", _rotate, "give a key a new secret and print it, this once")
    rotate.add_argument("id", help="the part after sk_live_")
    grace = "how long the old secret works on (24)"
    rotate.add_argument("--grace-hours", type=float, default=24.0, metavar="HOURS", help=grace)
    revoke = _command(commands, "revoke", _revoke, "end a key at once")
    revoke.add_argument("id", help="the part after sk_live_")
    listed = _command(commands, "list", _list, "list the keys of an owner, without their secrets")
    listed.add_argument("owner", help="the user or service")


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text.capitalize() + "."
    )
    parser.set_defaults(run=run)
    own = "the service's own settings class, such as orders.config:Settings"
    parser.add_argument("--settings", metavar="MODULE:CLASS", help=own)
    add_json(parser)
    return parser


def _create(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        new = keys.create(
            args.owner,
            scopes=args.scope,
            networks=args.network,
            name=args.name,
            tenant=args.tenant,
            expires_in=None if args.days is None else args.days * _DAY,
            created_by=args.by,
        )
    _answer_new(args, new.secret.get_secret_value(), new.key)
    return OK


def _rotate(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        try:
            new = keys.rotate(args.id, grace=args.grace_hours * _HOUR)
        except ResourceNotFoundError:
            return _unknown(args)
    _answer_new(args, new.secret.get_secret_value(), new.key)
    return OK


def _revoke(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        try:
            key = keys.revoke(args.id)
        except ResourceNotFoundError:
            return _unknown(args)
    answer(args, {"key": _shown(key)}, f"revoked {key.id} of {key.owner}")
    return OK


def _list(args: argparse.Namespace) -> int:
    with _keys(args) as keys:
        found = keys.of_owner(args.owner)
    text = "\n".join(map(_line, found)) or f"no keys of {args.owner}"
    answer(args, {"keys": [_shown(key) for key in found]}, text)
    return OK


def _unknown(args: argparse.Namespace) -> int:
    answer(args, {"key": None}, f"there is no key {args.id}")
    return FOUND


@contextmanager
def _keys(args: argparse.Namespace) -> "Iterator[ApiKeys]":
    """Open the service's API keys, and close them again.

    Raises:
        ConfigurationError: Keys made here would be known to nobody else.
    """
    from shared.auth import get_api_keys
    from shared.config import explain, use_settings
    from shared.runtime import Runtime, use

    runtime = Runtime("api-key")
    with use(runtime):
        try:
            settings = use_settings(settings_class(args.settings))
            if settings.security.AUTH_STORE == "memory":
                msg = (
                    "AUTH_STORE is memory: a key made here would end with this command; "
                    "set it to database or redis, where the service keeps its keys"
                )
                raise ConfigurationError(msg)
            if explain("API_KEY_PEPPER", settings).origin.startswith("generated"):
                msg = "API_KEY_PEPPER is not set: a key hashed here would be unknown to the service"
                raise ConfigurationError(msg)
            yield get_api_keys()
        finally:
            runtime.close()


def _answer_new(args: argparse.Namespace, secret: str, key: "ApiKey") -> None:
    text = f"{secret}\n{_line(key)}\nstore the first line now: it is not kept anywhere"
    answer(args, {"secret": secret, "key": _shown(key)}, text)


def _shown(key: "ApiKey") -> dict[str, Any]:
    found = asdict(key)
    return {name: _date(value) if name.endswith("_at") else value for name, value in found.items()}


def _date(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _line(key: "ApiKey") -> str:
    facts = [key.id, key.owner, key.name or "-", " ".join(key.scopes) or "no scopes"]
    if key.networks:
        facts.append(f"from {' '.join(key.networks)}")
    for label, moment in (
        ("revoked", key.revoked_at),
        ("expires", key.expires_at),
        ("used", key.last_used_at),
    ):
        if moment is not None:
            facts.append(f"{label} {_date(moment)}")
    return "  ".join(facts)
