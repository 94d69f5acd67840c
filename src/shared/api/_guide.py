"""The page that tells callers of an API how to get from one version to the next."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from shared.api._deprecation import Deprecation
from shared.api._versions import ApiVersion, VersionChange, Versions

__all__ = ["described_versions", "migration_guide"]


def described_versions(versions: Versions) -> list[dict[str, Any]]:
    """Return the versions and their changes as plain data, the newest first."""
    found = []
    for version in reversed(list(versions)):
        changes = [_change(each) for each in versions.changes if each.version == version.name]
        known: dict[str, Any] = {
            "version": version.name,
            "released": version.released,
            "notes": version.notes,
        }
        found.append(known | _dates(version.deprecated) | {"changes": changes})
    return found


def migration_guide(
    versions: Versions,
    *,
    title: str = "Migration guide",
    routes: Mapping[str, Deprecation] | None = None,
) -> str:
    """Return a page that tells callers what changed, and what they have until when.

    ``shared api guide package.module:app`` writes it for a whole application.

    Args:
        versions: The versions and their changes.
        title: Of the page.
        routes: Deprecated routes, by method and template.

    Returns:
        Markdown.

    Example:
        >>> from shared.api import Versions, migration_guide
        >>> print(migration_guide(Versions(["v1", "v2"])).splitlines()[0])
        # Migration guide
    """
    known = list(versions)
    parts = [f"# {title}", _how(versions), _table(known)]
    for before, version in reversed(list(pairwise(known))):
        parts += _step(before, version, [each for each in versions.changes if each.version == version.name])
    if routes:
        parts += ["## Routes that go away", _route_table(routes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _how(versions: Versions) -> str:
    ways = [f"the first segment of the path, `/{versions.newest.name}/...`"]
    if versions.header:
        ways.append(f"the header `{versions.header}: {versions.newest.name}`")
    if versions.media_type:
        ways.append(f"`Accept: {versions.media_type.format(version=versions.newest.name)}`")
    told = f"A request names its version by {', or '.join(ways)}."
    if versions.header or versions.media_type:
        told += f" A request that names none speaks `{versions.default.name}`."
    return told


def _table(known: list[ApiVersion]) -> str:
    rows = ["| version | released | deprecated | switched off | instead |", "|---|---|---|---|---|"]
    for version in reversed(known):
        dates = _dates(version.deprecated)
        cells = (dates["deprecated"], dates["sunset"], dates["successor"])
        shown = " | ".join(_cell(cell or "") for cell in cells)
        rows.append(f"| `{version.name}` | {_cell(version.released)} | {shown} |")
    return "\n".join(rows)


def _step(before: ApiVersion, version: ApiVersion, changes: list[VersionChange]) -> list[str]:
    parts = [f"## From {before.name} to {version.name}"]
    rule = before.deprecated
    if rule is not None:
        parts.append(_until(before.name, rule))
    if version.notes:
        parts.append(version.notes)
    if not changes:
        parts.append("Nothing that callers have to change.")
    for change in changes:
        parts.append(f"### {_cell(change.title)}")
        where = ", ".join(f"`{route}`" for route in change.routes)
        methods = f" ({', '.join(change.methods)})" if change.methods else ""
        parts.append(f"Concerns {where}{methods}.")
        parts += [text for text in (change.description, _kept(before.name, change)) if text]
    return parts


def _until(name: str, rule: Deprecation) -> str:
    told = f"`{name}` is deprecated since {_day(rule.since)}"
    if rule.sunset is not None:
        told += f" and {'is switched off' if rule.retire else 'may be switched off'} on {_day(rule.sunset)}"
    told += "."
    if rule.reason:
        told += f" {rule.reason}"
    if rule.guide:
        told += f" See <{rule.guide}>."
    return told


def _kept(name: str, change: VersionChange) -> str:
    kept = []
    if change.upgrade_request is not None:
        kept.append("requests in the old form are translated")
    if change.downgrade_response is not None:
        kept.append("answers come in the old form")
    return f"Callers of `{name}` notice nothing: {' and '.join(kept)}." if kept else ""


def _route_table(routes: Mapping[str, Deprecation]) -> str:
    rows = ["| route | deprecated | switched off | instead | why |", "|---|---|---|---|---|"]
    for route, rule in sorted(routes.items()):
        dates = _dates(rule)
        cells = (dates["deprecated"], dates["sunset"], dates["successor"], rule.reason)
        rows.append(f"| `{route}` | " + " | ".join(_cell(cell or "") for cell in cells) + " |")
    return "\n".join(rows)


def _change(change: VersionChange) -> dict[str, Any]:
    return {
        "title": change.title,
        "routes": list(change.routes),
        "methods": list(change.methods),
        "description": change.description,
        "upgrades_requests": change.upgrade_request is not None,
        "downgrades_responses": change.downgrade_response is not None,
    }


def _dates(rule: Deprecation | None) -> dict[str, str | None]:
    if rule is None:
        return {"deprecated": None, "sunset": None, "successor": None}
    sunset = None if rule.sunset is None else _day(rule.sunset)
    return {"deprecated": _day(rule.since), "sunset": sunset, "successor": rule.successor}


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
