"""``shared flags``: the commands that judge."""

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shared._cli._finding import Finding
from shared._cli._flags_store import Desk, opened, read_file
from shared._cli._main import FOUND, OK
from shared._cli._output import answer, counted
from shared.errors import ConfigurationError, FlagDocumentError, SharedError

if TYPE_CHECKING:
    from shared.feature_flags import Adoption, Flag, FlagDocument, StaleFlag, StaleReport

__all__ = ["run_adoption", "run_doctor", "run_stale", "run_validate"]

_LOOK_BACK: Final = 10_000  # changes in which creation and last change of flags are looked for
_ORDER: Final = {"error": 0, "warning": 1, "info": 2}


# --- validate -----------------------------------------------------------------------------------


def run_validate(args: argparse.Namespace) -> int:
    """Check documents: their form, and whether they can be put in force in every environment."""
    results = {name: _faults_of_file(name) for name in args.files}
    if not args.files:
        with opened(args) as desk:
            results = {desk.store.shown: _faults_of_store(desk)}
    faults = sum(map(len, results.values()))
    lines = [f"{name}: {fault}" for name, found in results.items() for fault in found]
    answer(
        args,
        {"ok": not faults, "documents": [{"name": name, "faults": f} for name, f in results.items()]},
        "\n".join([*lines, f"{counted(len(results), 'document')}, {counted(faults, 'fault')}"]),
    )
    return FOUND if faults else OK


def _faults_of_file(path: str) -> list[str]:
    try:
        return faults_of(read_file(path))
    except FlagDocumentError as exc:
        return list(exc.faults)


def _faults_of_store(desk: Desk) -> list[str]:
    try:
        return faults_of(desk.merged())
    except FlagDocumentError as exc:
        return list(exc.faults)


def faults_of(document: "FlagDocument") -> list[str]:
    """Return everything that keeps *document* from being put in force anywhere."""
    from shared.feature_flags import compile_flags

    places = {name for flag in document.flags.values() for name in flag.environments}
    found: dict[str, None] = {}
    for environment in (None, *sorted(places)):
        try:
            compile_flags(document, environment=environment)
        except FlagDocumentError as exc:
            found.update(dict.fromkeys(exc.faults))
    return list(found)


# --- stale --------------------------------------------------------------------------------------


def run_stale(args: argparse.Namespace) -> int:
    """Find flags that have had their day; exit with 1 when there are any."""
    from shared.feature_flags import scan_code, stale_flags

    with opened(args) as desk:
        document = desk.merged()
        created, changed = _moments(desk)
        moment = datetime.fromtimestamp(desk.store.now(), UTC)
    scan = None
    if args.paths:
        scan = scan_code(args.paths, known=document.flags, exclude=args.exclude)
    report = stale_flags(
        document.flags,
        now=moment,
        scan=scan,
        last_used=None if args.usage is None else _last_used(args.usage),
        created=created,
        changed=changed,
        unused_days=args.unused_days,
        settled_days=args.settled_days,
    )
    answer(args, report.to_dict(), _stale_text(report))
    return FOUND if report.stale else OK


def _moments(desk: Desk) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """Return when flags came into the store, and when they were last changed."""
    created: dict[str, datetime] = {}
    changed: dict[str, datetime] = {}
    for change in reversed(desk.store.history(limit=_LOOK_BACK)):
        moment = datetime.fromtimestamp(change.at, UTC)
        if change.before is None:
            created[change.key] = moment
        changed[change.key] = moment
    return created, changed


def _last_used(url: str) -> dict[str, datetime]:
    from shared.database import Database
    from shared.feature_flags import last_used

    with Database(url, name="flag usage") as database:
        return last_used(database)


def _stale_text(report: "StaleReport") -> str:
    lines = [line for flag in report.stale for line in _stale_lines(flag)]
    unsure = [flag.key for flag in report.flags if not flag.is_stale and flag.code == "cannot tell"]
    if unsure:
        lines.append(f"cannot tell whether the code asks for: {', '.join(unsure)}")
    lines += [f"keys known when running only: {place}" for place in report.dynamic]
    lines += [f"not read: {path}: {reason}" for path, reason in report.unread]
    lines += [f"asked for and not defined: {key} ({', '.join(places)})" for key, places in report.unknown]
    lines.append(f"{len(report.stale)} of {counted(len(report.flags), 'flag')} stale")
    return "\n".join(lines)


def _stale_lines(flag: "StaleFlag") -> list[str]:
    owner = f", {flag.owner}" if flag.owner else ""
    head = f"{flag.key} ({flag.kind}{owner}): {', '.join(flag.reasons)}"
    where = [f"  code: {flag.code}" + (f", {', '.join(flag.places)}" if flag.places else "")]
    return [head, *(where if flag.code != "not looked at" else []), f"  {flag.advice}"]


# --- adoption -----------------------------------------------------------------------------------


def run_adoption(args: argparse.Namespace) -> int:
    """Tell how far features have come."""
    from shared.database import Database
    from shared.feature_flags import adoption_report

    with opened(args) as desk:
        url = args.database or desk.settings.database.DATABASE_URL
        if url is None:
            msg = "no database: give --database URL or set DATABASE_URL, where exposures are kept"
            raise ConfigurationError(msg)
        with Database(str(url), name="flag adoption") as database:
            found = adoption_report(database, desk.merged().flags, days=args.days)
    chosen = [each for each in found if args.key in (None, each.flag)]
    data = {"days": args.days, "flags": [each.to_dict() for each in chosen]}
    text = "\n".join(line for each in chosen for line in _adoption_lines(each)) or "no such flag"
    answer(args, data, text)
    return OK if chosen or args.key is None else FOUND


def _adoption_lines(found: "Adoption") -> list[str]:
    rate = "" if found.rate in (None, 1.0) else f" ({found.rate:.1%})"
    share = (
        "" if found.share is None else f", {found.share:.1%} of {counted(found.evaluations, 'evaluation')}"
    )
    liked = "" if found.score is None else f", score {found.score:.2f} of {counted(found.answers, 'answer')}"
    head = f"{found.flag}: {found.enabled} of {counted(found.exposed, 'unit')} have it{rate}{share}{liked}"
    return [
        head,
        *(
            f"  {each.variant}: {counted(each.units, 'unit')}, {counted(each.evaluations, 'evaluation')}"
            + ("" if each.feedback is None else f", {counted(each.feedback.answers, 'answer')}")
            for each in found.variants
        ),
    ]


# --- doctor -------------------------------------------------------------------------------------


def run_doctor(args: argparse.Namespace) -> int:
    """Look for what is wrong with flags, the worst first."""
    with opened(args) as desk:
        found = sorted(_findings(args, desk), key=lambda item: (_ORDER[item.severity], item.id))
    errors = sum(item.severity == "error" for item in found)
    warnings = sum(item.severity == "warning" for item in found)
    ok = not errors and not (args.strict and warnings)
    counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    answer(
        args,
        {"ok": ok, "findings": [item.to_dict() for item in found]},
        "\n".join([*map(str, found), counts]),
    )
    return OK if ok else FOUND


def _findings(args: argparse.Namespace, desk: Desk) -> Iterator[Finding]:
    if desk.is_memory and desk.settings.app.is_production:
        yield Finding(
            "flags.memory",
            "warning",
            "flags are kept in memory: nobody can change one without a deployment",
            "set FLAGS_STORE_URL to a file, a database or Redis",
        )
    try:
        document, stored = desk.merged(), desk.store.load()
    except SharedError as exc:
        fix = "see that the store runs and FLAGS_STORE_URL is right"
        yield Finding("flags.store", "error", f"the flags cannot be loaded: {exc.message}", fix)
        return
    faults = faults_of(document)
    for fault in faults:
        yield Finding("flags.document", "error", fault, "put it right: the old flags stay in force")
    yield from _type_findings(desk.declared, stored)
    if not faults:
        yield from _override_findings(desk, document)
    for path in args.compare:
        yield from _drift_findings(path, desk.declared)


def _override_findings(desk: Desk, document: "FlagDocument") -> Iterator[Finding]:
    """Find variables that win over the store: a kill switch does nothing where they are set."""
    try:
        overrides = desk.overrides(document)
    except ConfigurationError as exc:
        yield Finding("flags.variable", "error", exc.message, "correct or unset the variable")
        return
    for key, value in sorted(overrides.items()):
        flag = document.flags[key]
        is_killed = not flag.enabled
        message = f"flag {key!r} is forced to {value!r} by a variable of this process"
        if is_killed:
            message += ", although it is killed"
        elif desk.is_memory:
            continue  # nothing else could decide
        yield Finding(
            "flags.killed-but-forced" if is_killed else "flags.forced",
            "error" if is_killed else "warning",
            message if is_killed else f"{message}: the kill switch has no effect here",
            "unset the variable, and change the flag in the store",
        )


def _type_findings(declared: "FlagDocument", stored: "FlagDocument") -> Iterator[Finding]:
    for key in sorted(set(declared.flags) & set(stored.flags)):
        ours, theirs = declared.flags[key], stored.flags[key]
        if ours.type != theirs.type:
            yield Finding(
                "flags.type",
                "error",
                f"flag {key!r} is {theirs.type} in the store and {ours.type} in the code, which wins",
                "define it anew in the store with the type of the code",
            )


def _drift_findings(path: str, declared: "FlagDocument") -> Iterator[Finding]:
    """Find defaults that differ between services: one flag would mean two things in an outage."""
    other: Mapping[str, Flag] = read_file(path).flags
    for key in sorted(set(other) & set(declared.flags)):
        ours, theirs = declared.flags[key], other[key]
        differing = [
            name
            for name in ("type", "default", "required")
            if _same(getattr(ours, name), getattr(theirs, name)) is False
        ]
        if differing:
            pairs = ", ".join(
                f"{n} {getattr(ours, n)!r} here, {getattr(theirs, n)!r} there" for n in differing
            )
            yield Finding(
                "flags.drift",
                "warning",
                f"flag {key!r} is declared differently in {path}: {pairs}",
                "declare it once, in a package that both services import",
            )


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)
