"""``shared api``: pages for the callers of an API, from what its code declares."""

import argparse
import difflib
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared._cli._main import FOUND, OK, add_json
from shared._cli._output import answer
from shared.errors import ValidationError

if TYPE_CHECKING:
    from shared.api import Deprecation, Versions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands to *parser*."""
    add_json(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    guide = commands.add_parser(
        "guide",
        help="print or write the migration guide",
        description="Print or write the guide from one version of an API to the next, as Markdown.",
    )
    add_json(guide)
    guide.add_argument("source", metavar="MODULE:NAME", help="an application with versions, or its Versions")
    guide.add_argument("--title", default="Migration guide", help="of the page (default: Migration guide)")
    where = guide.add_mutually_exclusive_group()
    where.add_argument("--output", metavar="FILE", help="write it there")
    where.add_argument("--check", metavar="FILE", help="exit with 1 when the file there differs")
    guide.set_defaults(run=_guide)


def _guide(args: argparse.Namespace) -> int:
    from shared.api import migration_guide
    from shared.api._guide import described_versions

    versions, routes = _declared(args.source)
    page = migration_guide(versions, title=args.title, routes=routes)
    if args.check is not None:
        return _check(args, page)
    if args.output is not None:
        Path(args.output).write_text(page, encoding="utf-8")
        answer(args, {"written": args.output}, f"wrote {args.output}")
        return OK
    found = {"versions": described_versions(versions), "deprecated_routes": sorted(routes), "page": page}
    answer(args, found, page.rstrip())
    return OK


def _check(args: argparse.Namespace, page: str) -> int:
    path = Path(args.check)
    present = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = difflib.unified_diff(
        present.splitlines(), page.splitlines(), str(path), "generated", lineterm="", n=1
    )
    difference = "\n".join(lines)
    same = present == page
    answer(args, {"up_to_date": same, "difference": difference}, difference or "the guide is up to date")
    return OK if same else FOUND


def _declared(source: str) -> "tuple[Versions, dict[str, Deprecation]]":
    """Return the versions, and the routes that go away, of what *source* names."""
    from shared.api import Versions
    from shared.api._declared import deprecated_routes
    from shared.api._installed import installation

    found = _loaded(source)
    if isinstance(found, Versions):
        return found, {}
    if not (hasattr(found, "router") or hasattr(found, "url_map")):
        msg = f"{source!r} is no application and no Versions, but {type(found).__name__}"
        raise ValidationError(msg)
    versions = installation(found).find("versions", None)
    if versions is None:
        msg = f"{source!r} has no versions: call add_versions(app, Versions([...]))"
        raise ValidationError(msg)
    return versions, deprecated_routes(found)


def _loaded(source: str) -> Any:
    """Import what *source* names, with the folder of the call on the path, as Python itself does."""
    module, _, attribute = source.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), attribute or "app")
    except (ImportError, AttributeError, ValueError) as exc:
        msg = f"cannot load {source!r}, expected MODULE:NAME: {exc}"
        raise ValidationError(msg) from exc
