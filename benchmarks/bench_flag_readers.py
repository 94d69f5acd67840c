"""What a reader of a foreign document costs beside the SDK that document was made for."""

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks import bench_flags as flags
from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import looped

UNLEASH, FLAGD, GROWTHBOOK = "readers.unleash", "readers.flagd", "readers.growthbook"


def _growthbook_features() -> dict[str, Any]:
    half = {"force": True, "coverage": 0.5, "hashAttribute": "user_id"}
    rule = {"force": True, "condition": {"plan": "pro", "country": {"$in": ["DE", "AT"]}}}
    return {
        flags.STATIC: {"defaultValue": True},
        flags.HALF: {"defaultValue": False, "rules": [half]},
        flags.RULE: {"defaultValue": False, "rules": [rule]},
    }


def _documents() -> dict[str, dict[str, Any]]:
    return {
        "unleash": flags._unleash_document(),
        "flagd": flags._flagd_flags(),
        "growthbook": {"features": _growthbook_features()},
    }


def _load(name: str) -> Any:
    from importlib import import_module

    module = import_module(f"shared.feature_flags.readers.{name}")
    return module.load(_documents()[name])


@contextlib.contextmanager
def reader(name: str, flag: str) -> Iterator[Run]:
    """The reader, asked with the context that every other row gets."""
    is_enabled = _load(name).is_enabled
    flags._judge(flag, is_enabled)
    yield looped(partial(is_enabled, flag, flags.CONTEXT))


@contextlib.contextmanager
def loaded(name: str) -> Iterator[Run]:
    """A document of a thousand flags, from JSON to the reader."""
    from importlib import import_module

    document = _documents()[name]
    if name == "unleash":
        kinds = document["features"]
        text = json.dumps({"features": [{**kinds[n % 3], "name": f"flag_{n}"} for n in range(1_000)]})
    else:
        key = "flags" if name == "flagd" else "features"
        kinds = list(document[key].values())
        text = json.dumps({key: {f"flag_{n}": kinds[n % 3] for n in range(1_000)}})
    yield looped(partial(import_module(f"shared.feature_flags.readers.{name}").load, text))


def _cases(flag: str) -> tuple[Case, ...]:
    peers: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
        ("GrowthBook", flags.growthbook, ("growthbook",)),
        ("flagd-core", flags.flagd, ("openfeature.contrib.tools.flagd.core",)),
        ("yggdrasil", flags.yggdrasil, ("yggdrasil_engine",)),
        ("UnleashClient, offline", flags.unleash, ("UnleashClient",)),
    )
    return (
        Case(flags.FLOOR, partial(flags.floor, flag), "floor"),
        Case(UNLEASH, partial(reader, "unleash", flag), "ours"),
        Case(FLAGD, partial(reader, "flagd", flag), "ours"),
        Case(GROWTHBOOK, partial(reader, "growthbook", flag), "ours"),
        *(Case(name, partial(make, flag), requires=requires) for name, make, requires in peers),
    )


def _goals(unleash: float, flagd: float, growthbook: float) -> tuple[Goal, ...]:
    return (
        Goal(UNLEASH, "yggdrasil", at_least=unleash),
        Goal(UNLEASH, "UnleashClient, offline", at_least=unleash),
        Goal(FLAGD, "flagd-core", at_least=flagd),
        Goal(GROWTHBOOK, "GrowthBook", at_least=growthbook),
    )


TABLES = (
    Table(
        "flag-readers",
        "A foreign flag that is the same for everybody",
        flags.FLOOR,
        _cases(flags.STATIC),
        _goals(10, 10, 10),
    ),
    Table(
        "flag-readers-split",
        "Half of the users, by the hash of the format",
        flags.FLOOR,
        _cases(flags.HALF),
        _goals(10, 5, 2),
    ),
    Table(
        "flag-readers-rule",
        "A foreign rule of two clauses",
        flags.FLOOR,
        _cases(flags.RULE),
        _goals(10, 5, 2),
    ),
    Table(
        "flag-readers-load",
        "1000 foreign flags, from JSON to the reader",
        "json.loads of 1000 flags",
        (
            Case("json.loads of 1000 flags", flags.read_json, "floor"),
            Case(UNLEASH, partial(loaded, "unleash"), "ours"),
            Case(FLAGD, partial(loaded, "flagd"), "ours"),
            Case(GROWTHBOOK, partial(loaded, "growthbook"), "ours"),
        ),
        (),
        rounds=(20, 5),
    ),
)
