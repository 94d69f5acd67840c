"""What asking for a flag costs: one that is the same for all, half of the users, a rule of two clauses."""

import contextlib
import itertools
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check, looped

Ask = Callable[[], bool]

CONTEXT = {"user_id": "user-123", "plan": "pro", "country": "DE"}
OUTSIDER = {"user_id": "user-123", "plan": "free", "country": "DE"}
# (name of the flag, contexts that must get True, contexts that must get False)
STATIC, HALF, RULE = "static", "half", "rule"
FLOOR = "function with dict.get"
OURS = "shared.feature_flags"


# --- ours -----------------------------------------------------------------------------------


def _document() -> dict[str, Any]:
    clauses = [
        {"attr": "plan", "op": "eq", "value": "pro"},
        {"attr": "country", "op": "in", "value": ["DE", "AT"]},
    ]
    return {
        "flags": {
            STATIC: True,
            HALF: {"rollout": 50},
            RULE: {"rules": [{"serve": "on", "when": {"all": clauses}}]},
        }
    }


@contextlib.contextmanager
def floor(_flag: str) -> Iterator[Run]:
    values = {STATIC: True, HALF: True, RULE: True}

    def is_enabled(key: str) -> bool | None:
        return values.get(key)

    yield looped(partial(is_enabled, STATIC))


@contextlib.contextmanager
def ours(flag: str) -> Iterator[Run]:
    """The method, with the snapshot in force and with counting."""
    from shared.feature_flags import FlagDocument, Flags

    flags = Flags(FlagDocument.from_dict(_document()))
    _judge(flag, flags.is_enabled)
    yield looped(partial(flags.is_enabled, flag, CONTEXT))


@contextlib.contextmanager
def ours_in_a_request(flag: str) -> Iterator[Run]:
    """The function of the room, in the scope that ``install()`` puts around a request."""
    from shared.feature_flags import FlagDocument, Flags, is_feature_enabled
    from shared.runtime import Runtime, use

    runtime = Runtime("bench")
    flags = Flags(FlagDocument.from_dict(_document()))
    with use(runtime), runtime.override(Flags, flags), flags.request_scope():
        _judge(flag, is_feature_enabled)
        yield looped(partial(is_feature_enabled, flag, CONTEXT))
    runtime.close()


def _judge(flag: str, is_enabled: Callable[[str, dict[str, str]], bool]) -> None:
    """Stop a row that answers something else than it should."""
    if flag == HALF:
        on = sum(is_enabled(flag, {"user_id": f"user-{n}"}) for n in range(400))
        check(120 < on < 280, f"{on} of 400 are half of the users")
        return
    check(is_enabled(flag, CONTEXT) is True, "the flag is not on")
    check(is_enabled(flag, OUTSIDER) is (flag == STATIC), "the rule does not rule")


# --- peers ----------------------------------------------------------------------------------


@contextlib.contextmanager
def growthbook(flag: str) -> Iterator[Run]:
    """One instance, used again."""
    from growthbook import GrowthBook

    features = {
        STATIC: {"defaultValue": True},
        HALF: {
            "defaultValue": False,
            "rules": [{"force": True, "coverage": 0.5, "hashAttribute": "user_id"}],
        },
        RULE: {
            "defaultValue": False,
            "rules": [{"force": True, "condition": {"plan": "pro", "country": {"$in": ["DE", "AT"]}}}],
        },
    }
    book = GrowthBook(features=features)

    def is_enabled(key: str, context: dict[str, str]) -> bool:
        book.set_attributes(context)
        return bool(book.is_on(key))

    _judge(flag, is_enabled)
    book.set_attributes(CONTEXT)
    yield looped(partial(book.is_on, flag))


def _flagd_flags() -> dict[str, Any]:
    common = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    matches = {"and": [{"==": [{"var": "plan"}, "pro"]}, {"in": [{"var": "country"}, ["DE", "AT"]]}]}
    return {
        "flags": {
            STATIC: {**common, "defaultVariant": "on"},
            HALF: {**common, "targeting": {"fractional": [{"var": "user_id"}, ["on", 50], ["off", 50]]}},
            RULE: {**common, "targeting": {"if": [matches, "on", "off"]}},
        }
    }


@contextlib.contextmanager
def flagd(flag: str) -> Iterator[Run]:
    """The evaluator alone, without the OpenFeature client over it."""
    from openfeature.contrib.tools.flagd.core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext

    core = FlagdCore()
    core.set_flags(_flagd_flags())

    def is_enabled(key: str, context: dict[str, str]) -> bool:
        found = core.resolve_boolean_value(key, False, EvaluationContext(context["user_id"], dict(context)))
        return bool(found.value)

    _judge(flag, is_enabled)
    context = EvaluationContext(CONTEXT["user_id"], dict(CONTEXT))
    yield looped(lambda: core.resolve_boolean_value(flag, False, context))


@contextlib.contextmanager
def openfeature(flag: str) -> Iterator[Run]:
    """The client of the SDK over its provider in memory, which has no rules: a function decides."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    def by(rule: Callable[[dict[str, Any]], bool]) -> Any:
        def decide(_flag: Any, context: Any) -> Any:
            return FlagResolutionDetails(value=rule(context.attributes))

        return InMemoryFlag("off", {"on": True, "off": False}, context_evaluator=decide)

    flags = {
        STATIC: InMemoryFlag("on", {"on": True, "off": False}),
        HALF: by(lambda found: int(str(found["user_id"]).rpartition("-")[2]) % 2 == 0),
        RULE: by(lambda found: found["plan"] == "pro" and found["country"] in ("DE", "AT")),
    }
    api.set_provider(InMemoryProvider(flags), "bench")
    client = api.get_client("bench")

    def is_enabled(key: str, context: dict[str, str]) -> bool:
        return client.get_boolean_value(key, False, EvaluationContext(context["user_id"], dict(context)))

    _judge(flag, is_enabled)
    context = EvaluationContext(CONTEXT["user_id"], dict(CONTEXT))
    yield looped(lambda: client.get_boolean_value(flag, False, context))


def _unleash_document() -> dict[str, Any]:
    def strategy(name: str, parameters: dict[str, str], constraints: list[Any]) -> list[Any]:
        return [{"name": name, "parameters": parameters, "constraints": constraints}]

    half = {"rollout": "50", "stickiness": "userId", "groupId": HALF}
    both = [
        {"contextName": "plan", "operator": "IN", "values": ["pro"]},
        {"contextName": "country", "operator": "IN", "values": ["DE", "AT"]},
    ]
    strategies = {
        STATIC: strategy("default", {}, []),
        HALF: strategy("flexibleRollout", half, []),
        RULE: strategy("default", {}, both),
    }
    features = [{"name": name, "enabled": True, "strategies": list_} for name, list_ in strategies.items()]
    return {"version": 2, "features": features}


def _unleash_context(context: dict[str, str]) -> dict[str, Any]:
    properties = {name: value for name, value in context.items() if name != "user_id"}
    return {"userId": context["user_id"], "properties": properties}


@contextlib.contextmanager
def unleash(flag: str) -> Iterator[Run]:
    """The client without a server, its document given at the start."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    logging.getLogger("UnleashClient").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        cache = FileCache("bench", directory=folder)
        cache.bootstrap_from_dict(_unleash_document())
        client = UnleashClient(
            url="http://127.0.0.1:9/api",
            app_name="bench",
            cache=cache,
            disable_metrics=True,
            disable_registration=True,
        )
        client.initialize_client(fetch_toggles=False)
        try:
            _judge(flag, lambda key, context: client.is_enabled(key, _unleash_context(context)))
            context = _unleash_context(CONTEXT)
            yield looped(lambda: client.is_enabled(flag, context))
        finally:
            client.destroy()


@contextlib.contextmanager
def yggdrasil(flag: str) -> Iterator[Run]:
    """The engine of the Unleash clients, in Rust."""
    from yggdrasil_engine.engine import UnleashEngine

    engine = UnleashEngine()
    engine.take_state(json.dumps(_unleash_document()))
    _judge(flag, lambda key, context: engine.is_enabled(key, _unleash_context(context)).is_enabled)
    context = _unleash_context(CONTEXT)
    yield looped(lambda: engine.is_enabled(flag, context))


@contextlib.contextmanager
def launchdarkly(flag: str) -> Iterator[Run]:
    """The client over a file, events off."""
    import ldclient
    from ldclient.config import Config
    from ldclient.integrations import Files

    logging.getLogger("ldclient").setLevel(logging.CRITICAL)
    clauses = [
        {"attribute": "plan", "op": "in", "values": ["pro"]},
        {"attribute": "country", "op": "in", "values": ["DE", "AT"]},
    ]
    weights = [{"variation": 0, "weight": 50_000}, {"variation": 1, "weight": 50_000}]
    flags: dict[str, dict[str, Any]] = {
        STATIC: {"fallthrough": {"variation": 0}},
        HALF: {"fallthrough": {"rollout": {"variations": weights}}},
        RULE: {"fallthrough": {"variation": 1}, "rules": [{"id": "r", "variation": 0, "clauses": clauses}]},
    }
    usual = {"on": True, "variations": [True, False], "offVariation": 1, "version": 1, "salt": "s"}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "flags.json"
        path.write_text(json.dumps({"flags": {key: {"key": key, **usual, **flags[key]} for key in flags}}))
        source = Files.new_data_source(paths=[str(path)])
        client = ldclient.LDClient(
            config=Config("bench", update_processor_class=source, send_events=False), start_wait=10
        )
        try:

            def context_of(context: dict[str, str]) -> Any:
                return ldclient.Context.from_dict({"kind": "user", "key": context["user_id"], **context})

            _judge(flag, lambda key, context: client.variation(key, context_of(context), False))
            context = context_of(CONTEXT)
            yield looped(lambda: client.variation(flag, context, False))
        finally:
            client.close()


# --- many at once ---------------------------------------------------------------------------


def _many(count: int) -> dict[str, Any]:
    kinds = itertools.cycle(_document()["flags"].values())
    return {"flags": {f"flag_{n}": kind for n, kind in zip(range(count), kinds, strict=False)}}


@contextlib.contextmanager
def everything(_: str = "") -> Iterator[Run]:
    from shared.feature_flags import FlagDocument, Flags

    flags = Flags(FlagDocument.from_dict(_many(200)))
    check(len(flags.all(CONTEXT)) == 200, "not all flags were told")
    yield looped(partial(flags.all, CONTEXT))


@contextlib.contextmanager
def read_json(_: str = "") -> Iterator[Run]:
    text = json.dumps(_many(1000))
    yield looped(partial(json.loads, text))


@contextlib.contextmanager
def compiled(_: str = "") -> Iterator[Run]:
    from shared.feature_flags import FlagDocument, compile_flags

    document = FlagDocument.from_dict(_many(1000))
    check(len(compile_flags(document)) == 1000, "not all flags were compiled")
    yield looped(partial(compile_flags, document))


@contextlib.contextmanager
def validated(_: str = "") -> Iterator[Run]:
    from shared.feature_flags import FlagDocument

    form = _many(1000)
    yield looped(partial(FlagDocument.from_dict, form))


@contextlib.contextmanager
def growthbook_everything(_: str = "") -> Iterator[Run]:
    from growthbook import GrowthBook

    rule = {"force": True, "condition": {"plan": "pro", "country": {"$in": ["DE", "AT"]}}}
    half = {"force": True, "coverage": 0.5, "hashAttribute": "user_id"}
    kinds = itertools.cycle(
        [
            {"defaultValue": True},
            {"defaultValue": False, "rules": [half]},
            {"defaultValue": False, "rules": [rule]},
        ]
    )
    features = {f"flag_{n}": kind for n, kind in zip(range(200), kinds, strict=False)}
    book = GrowthBook(features=features, attributes=CONTEXT)
    yield looped(lambda: {key: book.is_on(key) for key in features})


# --- tables ---------------------------------------------------------------------------------


def _cases(flag: str) -> tuple[Case, ...]:
    peers: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
        ("GrowthBook", growthbook, ("growthbook",)),
        ("flagd-core", flagd, ("openfeature.contrib.tools.flagd.core",)),
        ("OpenFeature SDK, in memory", openfeature, ("openfeature",)),
        ("LaunchDarkly, from a file", launchdarkly, ("ldclient",)),
        ("yggdrasil", yggdrasil, ("yggdrasil_engine",)),
        ("UnleashClient, offline", unleash, ("UnleashClient",)),
    )
    return (
        Case(FLOOR, partial(floor, flag), "floor"),
        Case(OURS, partial(ours, flag), "ours"),
        Case("is_feature_enabled in a request", partial(ours_in_a_request, flag), "ours"),
        *(Case(name, partial(make, flag), requires=requires) for name, make, requires in peers),
    )


def _goals(at_most: float, fast: float, client: float, medium: float, slow: float) -> tuple[Goal, ...]:
    return (
        Goal(OURS, FLOOR, at_most=at_most),
        Goal(OURS, "GrowthBook", at_least=fast),
        Goal(OURS, "flagd-core", at_least=fast),
        Goal(OURS, "OpenFeature SDK, in memory", at_least=client),
        Goal(OURS, "LaunchDarkly, from a file", at_least=medium),
        Goal(OURS, "UnleashClient, offline", at_least=slow),
    )


_COUNTED = ("Ours is measured with the snapshot in force, the block at hand looked up and use counted.",)

TABLES = (
    Table(
        "flags",
        "A flag that is the same for everybody",
        FLOOR,
        _cases(STATIC),
        _goals(4, 10, 50, 50, 100),
        notes=_COUNTED,
    ),
    Table("flags-split", "Half of the users", FLOOR, _cases(HALF), _goals(16, 5, 10, 15, 40), notes=_COUNTED),
    Table(
        "flags-rule", "A rule of two clauses", FLOOR, _cases(RULE), _goals(7, 5, 15, 20, 50), notes=_COUNTED
    ),
    Table(
        "flags-many",
        "200 flags for one context; 1000 flags read, checked and compiled",
        "json.loads of 1000 flags",
        (
            Case("json.loads of 1000 flags", read_json, "floor"),
            Case("all() of 200 flags", everything, "ours"),
            Case("compile_flags of 1000", compiled, "ours"),
            Case("FlagDocument.from_dict of 1000", validated, "ours"),
            Case("GrowthBook, 200 flags one by one", growthbook_everything, requires=("growthbook",)),
        ),
        (Goal("all() of 200 flags", "GrowthBook, 200 flags one by one", at_least=5),),
        rounds=(20, 5),
    ),
)
