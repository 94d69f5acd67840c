"""Our flags behind an OpenFeature client, and OpenFeature providers behind our flags."""

import asyncio
import builtins
import importlib
import queue
import sys

import pytest
from hypothesis import given, settings
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagType, Reason
from openfeature.provider import AbstractProvider, Metadata, ProviderStatus
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from openfeature.track import TrackingEventDetails

from shared.errors import MissingDependencyError, ServiceUnavailableError
from shared.feature_flags import (
    Flag,
    FlagDocument,
    Flags,
    FlagStoreFailed,
    FlagTracked,
    Rule,
    Split,
    is_feature_enabled,
)
from shared.feature_flags.openfeature import OpenFeatureSource, SharedFlagsProvider
from shared.runtime import Events, Runtime, use
from shared.testing import flag_contexts

KINDS = {"boolean": False, "string": "x", "integer": 7, "float": 0.5, "object": {"x": 1}}


def all_flags():
    return [
        Flag("boolean", default=True, owner="web"),
        Flag("string", default="blue"),
        Flag("integer", default=20),
        Flag("float", default=2.5),
        Flag("object", default={"a": [1]}),
        Flag("list", default=[1, 2]),
        Flag("killed", default=True, enabled=False),
        Flag("split", rollout=100),
        Flag("pro", rules=[Rule("on", when={"attr": "plan", "op": "eq", "value": "pro"}, id="pros")]),
        Flag("after", prerequisites=[{"flag": "killed", "variants": ["on"]}], default=True),
    ]


@pytest.fixture
def flags():
    return Flags(all_flags(), events=Events(), overrides={"string": "red"})


@pytest.fixture
def client(flags, request):
    """A client of its own domain: other tests have theirs."""
    domain = request.node.nodeid
    provider = SharedFlagsProvider(flags)
    api.set_provider_and_wait(provider, domain)
    yield api.get_client(domain)
    provider.shutdown()


def ask(client, kind, key, default, context=None):
    return getattr(client, f"get_{kind}_details")(key, default, context)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_through_the_client(client, flags, kind):
    found = ask(client, kind, kind, KINDS[kind])

    assert found.value == flags.value(kind)
    assert type(found.value) is type(flags.value(kind))
    assert found.error_code is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_asynchronous_client_answers_the_same(client, kind):
    found = asyncio.run(getattr(client, f"get_{kind}_details_async")(kind, KINDS[kind]))

    assert found == ask(client, kind, kind, KINDS[kind])


REASONS = {
    "boolean": (None, Reason.STATIC, "on"),
    "killed": (None, Reason.DISABLED, "off"),
    "split": ({"user_id": "u-1"}, Reason.SPLIT, "on"),
    "pro": ({"plan": "pro"}, Reason.TARGETING_MATCH, "on"),
    "after": (None, Reason.DISABLED, "off"),
}


@pytest.mark.parametrize(
    ("key", "context", "reason", "variant"), [(key, *rest) for key, rest in REASONS.items()], ids=REASONS
)
def test_reason_and_variant_are_told(client, key, context, reason, variant):
    given = None if context is None else EvaluationContext(attributes=context)

    found = client.get_boolean_details(key, False, given)

    assert (found.reason, found.variant) == (reason, variant)


def test_no_rule_is_the_reason_default(client):
    assert client.get_boolean_details("pro", True).reason is Reason.DEFAULT


def test_an_override_is_told_in_the_metadata(client):
    found = client.get_string_details("string", "x")

    assert (found.value, found.reason, found.flag_metadata["reason"]) == ("red", Reason.STATIC, "OVERRIDE")


def test_metadata_hold_what_the_flag_is(client):
    found = client.get_boolean_details("pro", False, EvaluationContext(attributes={"plan": "pro"}))

    assert found.flag_metadata == {"revision": 0, "rule_id": "pros", "kind": "release"}
    assert client.get_boolean_details("boolean", False).flag_metadata["owner"] == "web"


def test_an_unknown_flag_is_the_default_with_its_code(client):
    found = client.get_boolean_details("misspelt", True)

    assert (found.value, found.reason, found.error_code) == (True, Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)


def test_an_unknown_flag_that_is_an_error_for_us_is_a_code_for_the_client():
    provider = SharedFlagsProvider(Flags([], strict=True, events=Events()))

    assert provider.resolve_boolean_details("x", True).error_code is ErrorCode.FLAG_NOT_FOUND


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", KINDS)
def test_another_type_is_the_default_with_its_code(client, kind, key):
    if kind == key or (kind, key) == ("float", "integer"):
        return

    found = ask(client, kind, key, KINDS[kind])

    assert (found.value, found.error_code) == (KINDS[kind], ErrorCode.TYPE_MISMATCH)


def test_a_whole_number_is_a_number_too(client):
    found = client.get_float_value("integer", 1.5)

    assert (found, type(found)) == (20.0, float)


def test_a_list_is_an_object(client):
    assert client.get_object_value("list", []) == [1, 2]


def test_a_value_that_is_changed_by_the_caller_stays_ours(client):
    client.get_object_value("object", {})["a"].append(2)

    assert client.get_object_value("object", {}) == {"a": [1]}


def test_the_resolvers_take_their_arguments_by_name_and_by_place(flags):
    provider = SharedFlagsProvider(flags)

    by_name = provider.resolve_boolean_details(
        flag_key="boolean", default_value=False, evaluation_context=None
    )

    assert by_name == provider.resolve_boolean_details("boolean", False)


def test_the_targeting_key_is_the_unit():
    half = Flags([Flag("half", salt="s", rules=[Rule(split=Split({"on": 1, "off": 1}))])], events=Events())
    provider = SharedFlagsProvider(half)

    for number in range(50):
        found = provider.resolve_boolean_details("half", False, EvaluationContext(f"u-{number}"))
        assert found.value is half.is_enabled("half", {"user_id": f"u-{number}"})


def test_an_attribute_user_id_wins_over_the_targeting_key():
    seen = Flags([Flag("f", rules=[Rule("on", when={"attr": "user_id", "op": "eq", "value": "a"})])])
    provider = SharedFlagsProvider(seen)

    found = provider.resolve_boolean_details("f", False, EvaluationContext("b", {"user_id": "a"}))

    assert found.value is True


def test_without_flags_those_of_the_runtime_are_asked():
    with use(Runtime("test")) as runtime:
        provider = SharedFlagsProvider()
        with runtime.override(Flags, Flags([Flag("f", default=True)])):
            assert provider.resolve_boolean_details("f", False).value is True
        runtime.close()


def test_a_test_override_reaches_the_client(client, flags):
    with flags.override(boolean=False):
        assert client.get_boolean_value("boolean", True) is False


@settings(deadline=None, max_examples=60)
@given(context=flag_contexts(Flags(all_flags(), events=Events())))
def test_no_context_makes_a_resolver_raise(context):
    provider = SharedFlagsProvider(Flags(all_flags(), events=Events()))
    given = EvaluationContext(None, {str(name): value for name, value in context.items()})

    for key in ("pro", "split", "after"):
        found = provider.resolve_boolean_details(key, False, given)
        assert isinstance(found.value, bool)


# --- events ---------------------------------------------------------------------------------


@pytest.fixture
def heard(client):
    """Events of the client, as they come in from OpenFeature's threads."""
    found = queue.Queue()
    handlers = {event: (lambda details, event=event: found.put((event, details))) for event in ProviderEvent}
    for event, handler in handlers.items():
        client.add_handler(event, handler)
    assert found.get(timeout=30)[0] is ProviderEvent.PROVIDER_READY  # told to whom asks late
    yield found
    for event, handler in handlers.items():
        client.remove_handler(event, handler)


def test_a_change_is_told_with_its_keys(flags, heard):
    flags.swap(FlagDocument({"boolean": Flag("boolean", default=False)}, revision=1))

    event, details = heard.get(timeout=30)

    assert event is ProviderEvent.PROVIDER_CONFIGURATION_CHANGED
    assert details.flags_changed == ["boolean"]


def test_a_failing_store_makes_the_provider_stale_until_it_is_back(client, flags, heard):
    flags.events.emit(FlagStoreFailed("the connection was refused"))
    assert heard.get(timeout=30)[0] is ProviderEvent.PROVIDER_STALE
    assert client.get_provider_status() is ProviderStatus.STALE

    client.get_boolean_value("boolean", False)

    assert heard.get(timeout=30)[0] is ProviderEvent.PROVIDER_READY
    assert client.get_provider_status() is ProviderStatus.READY


def test_a_store_that_was_never_reached_is_an_error_and_defaults_go_on(client, flags, heard):
    flags.swap(FlagDocument(), state="defaults")
    while not heard.empty():
        heard.get()
    flags.events.emit(FlagStoreFailed("the connection was refused"))

    event, details = heard.get(timeout=30)

    assert event is ProviderEvent.PROVIDER_ERROR
    assert "refused" in details.message
    assert client.get_boolean_value("boolean", False) is True


def test_after_shutdown_nothing_is_told(flags):
    provider = SharedFlagsProvider(flags)
    told = []
    provider.attach(lambda *event: told.append(event))
    provider.initialize(EvaluationContext())

    provider.shutdown()
    flags.swap(FlagDocument({"boolean": Flag("boolean")}, revision=1))

    assert told == []


def test_initialising_twice_tells_once(flags):
    provider = SharedFlagsProvider(flags)
    told = []
    provider.attach(lambda *event: told.append(event))

    provider.initialize(EvaluationContext())
    provider.initialize(EvaluationContext())
    flags.swap(FlagDocument({"boolean": Flag("boolean")}, revision=1))

    assert len(told) == 1


def test_tracking_reaches_our_listeners(client, flags):
    heard = []
    flags.events.subscribe(FlagTracked, heard.append)

    details = TrackingEventDetails(12.5, {"currency": "EUR", "value": "odd", "event": 1})
    client.track("order_placed", EvaluationContext("u-1"), details)
    client.track("seen")

    assert heard[0] == FlagTracked(
        "order_placed", "u-1", 12.5, {"currency": "EUR", "value_": "odd", "event_": 1}
    )
    assert (heard[1].event, heard[1].value) == ("seen", None)


def test_metadata_name_the_provider(flags):
    assert SharedFlagsProvider(flags, name="orders").get_metadata().name == "orders"


# --- the other way ----------------------------------------------------------------------------


def legacy():
    return InMemoryProvider(
        {
            "boolean": InMemoryFlag("on", {"on": True, "off": False}),
            "string": InMemoryFlag("b", {"b": "blue"}),
            "integer": InMemoryFlag("n", {"n": 3}),
            "float": InMemoryFlag("n", {"n": 2.5}),
            "object": InMemoryFlag("o", {"o": {"a": 1}}),
        }
    )


@pytest.mark.parametrize(
    ("key", "value"), [("string", "blue"), ("integer", 3), ("float", 2.5), ("object", {"a": 1})]
)
def test_a_provider_answers_for_flags_that_nobody_declared(key, value):
    flags = Flags(sources=[OpenFeatureSource(legacy())])

    first, second = flags.value(key), flags.value(key)

    assert first == second == value


def test_is_feature_enabled_delegates_to_a_provider():
    with use(Runtime("test")) as runtime:
        with runtime.override(Flags, Flags(sources=[OpenFeatureSource(legacy())])):
            assert is_feature_enabled("boolean") is True
            assert is_feature_enabled("nobody_knows", default=True) is True
        runtime.close()


def test_variant_and_reason_are_the_providers():
    found = Flags(sources=[OpenFeatureSource(legacy())]).detail("boolean")

    assert (found.variant, found.reason) == ("on", "STATIC")


def test_overrides_of_tests_win_over_a_provider():
    flags = Flags([Flag("boolean")], sources=[OpenFeatureSource(legacy())])

    with flags.override(boolean=False):
        assert flags.is_enabled("boolean") is False
    assert flags.is_enabled("boolean") is True


def test_evaluations_of_a_provider_are_counted_by_us():
    flags = Flags([Flag("boolean")], sources=[OpenFeatureSource(legacy())])

    flags.is_enabled("boolean")

    assert [(use.key, use.variant, use.count) for use in flags.usage()] == [("boolean", "on", 1)]


class Recorder(AbstractProvider):
    """A provider that keeps what it is asked and answers as it is told."""

    def __init__(self, answer):
        super().__init__()
        self.asked = []
        self.answer = answer

    def get_metadata(self):
        return Metadata("recorder")

    def _resolve(self, kind, flag_key, default_value, evaluation_context=None):
        self.asked.append((kind, flag_key, evaluation_context))
        return self.answer(kind, default_value)

    def resolve_boolean_details(self, flag_key, default_value, evaluation_context=None):
        return self._resolve(FlagType.BOOLEAN, flag_key, default_value, evaluation_context)

    def resolve_string_details(self, flag_key, default_value, evaluation_context=None):
        return self._resolve(FlagType.STRING, flag_key, default_value, evaluation_context)

    def resolve_integer_details(self, flag_key, default_value, evaluation_context=None):
        return self._resolve(FlagType.INTEGER, flag_key, default_value, evaluation_context)

    def resolve_float_details(self, flag_key, default_value, evaluation_context=None):
        return self._resolve(FlagType.FLOAT, flag_key, default_value, evaluation_context)

    def resolve_object_details(self, flag_key, default_value, evaluation_context=None):
        return self._resolve(FlagType.OBJECT, flag_key, default_value, evaluation_context)


def strings_only(kind, default):
    if kind is FlagType.STRING:
        return FlagResolutionDetails("blue", reason="SPLIT", variant="b")
    return FlagResolutionDetails(default, error_code=ErrorCode.TYPE_MISMATCH)


def test_the_type_is_found_once():
    provider = Recorder(strings_only)
    source = OpenFeatureSource(provider)

    for _ in range(3):
        found = source.detail("menu", {"user_id": "u-1"})

    assert (found.value, found.reason) == ("blue", "SPLIT")
    assert [kind for kind, _, _ in provider.asked] == [FlagType.BOOLEAN, *[FlagType.STRING] * 3]


def test_a_known_type_asks_for_nothing_else():
    provider = Recorder(strings_only)

    OpenFeatureSource(provider, types={"menu": "x"}).detail("menu", {})

    assert [kind for kind, _, _ in provider.asked] == [FlagType.STRING]


def test_the_user_is_the_targeting_key():
    provider = Recorder(strings_only)

    OpenFeatureSource(provider).detail("menu", {"user_id": 7, "plan": "pro"})

    assert provider.asked[0][2] == EvaluationContext("7", {"user_id": 7, "plan": "pro"})


def test_a_client_runs_its_hooks(request):
    domain = request.node.nodeid
    api.set_provider_and_wait(legacy(), domain)
    source = OpenFeatureSource(api.get_client(domain))

    assert source.detail("string", {}).value == "blue"
    assert source.detail("nobody_knows", {}) is None


@pytest.mark.parametrize("code", [ErrorCode.PROVIDER_NOT_READY, ErrorCode.GENERAL, ErrorCode.PARSE_ERROR])
def test_a_provider_in_trouble_leaves_the_default_of_the_code(code, log_capture):
    broken = OpenFeatureSource(
        Recorder(lambda kind, default: FlagResolutionDetails(default, error_code=code))
    )
    flags = Flags([Flag("menu", default=True)], sources=[broken])

    assert flags.is_enabled("menu") is True
    with pytest.raises(ServiceUnavailableError, match=code.value):
        broken.detail("menu", {})


def test_a_provider_that_raises_leaves_the_default_of_the_code_and_its_words_unsaid():
    def boom(kind, default):
        raise ValueError("password=hunter2")

    broken = OpenFeatureSource(Recorder(boom))
    flags = Flags([Flag("menu", default=True)], sources=[broken])

    assert flags.is_enabled("menu") is True
    with pytest.raises(ServiceUnavailableError, match="raised ValueError") as caught:
        broken.detail("menu", {})
    assert "hunter2" not in str(caught.value)


def test_a_value_of_no_type_at_all_is_unknown():
    odd = Recorder(lambda kind, default: FlagResolutionDetails(None))

    assert OpenFeatureSource(odd).detail("menu", {}) is None


def test_true_is_no_number():
    true = Recorder(
        lambda kind, default: FlagResolutionDetails(
            True, error_code=ErrorCode.TYPE_MISMATCH if kind is FlagType.BOOLEAN else None
        )
    )

    assert OpenFeatureSource(true).detail("menu", {}) is None


def test_a_known_type_with_another_value_is_trouble():
    odd = Recorder(lambda kind, default: FlagResolutionDetails(3))

    with pytest.raises(ServiceUnavailableError, match="TYPE_MISMATCH"):
        OpenFeatureSource(odd, types={"menu": "x"}).detail("menu", {})


def test_our_own_provider_as_our_source_ends():
    flags = Flags([Flag("declared", default=True)], sources=())
    provider = SharedFlagsProvider(flags)
    circle = Flags([Flag("own")], sources=[OpenFeatureSource(provider)])
    provider._given = circle

    assert circle.is_enabled("nobody_knows", default=True) is True
    assert circle.is_enabled("own") is False


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "openfeature":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "shared.feature_flags.openfeature")
    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingDependencyError, match=r"libs-shared\[openfeature\]"):
        importlib.import_module("shared.feature_flags.openfeature")
