"""Values for flags from variables, and the flags of a runtime."""

import json

import pytest

from shared.config import Settings, reload_settings, use_settings
from shared.errors import ConfigurationError, UnknownFlagError
from shared.feature_flags import (
    FEATURE_FLAGS,
    Flag,
    Flags,
    declare_flags,
    detail,
    environment_overrides,
    explain,
    flags_from_settings,
    get_flags,
    is_feature_enabled,
    on_change,
    scope,
    track,
    value,
    variant,
)
from shared.monitoring import get_metrics
from shared.runtime import Runtime, use
from shared.utils import is_feature_enabled as from_utils
from shared.utils.feature_flags import is_feature_enabled as from_utils_module


@pytest.fixture
def runtime():
    with use(Runtime("flags")) as found:
        yield found
        found.close()


def configure(environment="testing", **variables):
    use_settings(Settings(environ={"ENVIRONMENT": environment, **variables}, env_file=None))


# --- variables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on", "T", " true "])
def test_a_bare_variable_turns_a_declared_flag_on(runtime, word):
    configure(ANALYTICS_ENABLED=word)

    assert is_feature_enabled("analytics_enabled") is True


@pytest.mark.parametrize("word", ["false", "0", "no", "off", "F"])
def test_a_variable_turns_a_flag_off_that_is_on(word):
    assert environment_overrides([Flag("x", default=True)], {"X": word}.get) == {"x": False}


def test_the_prefixed_variable_wins():
    variables = {"FLAG_BETA": "false", "BETA": "true"}

    assert environment_overrides([Flag("beta")], variables.get) == {"beta": False}


def test_environments_differ_by_their_variables():
    answers = {}
    for environment, word in (("development", "true"), ("staging", "false")):
        with use(Runtime(environment)) as runtime:
            configure(environment="testing", ANALYTICS_ENABLED=word)
            answers[environment] = is_feature_enabled("analytics_enabled")
            runtime.close()

    assert answers == {"development": True, "staging": False}


def test_a_variable_of_the_env_file_counts(runtime, tmp_path):
    path = tmp_path / ".env"
    path.write_text("ANALYTICS_ENABLED=true\nML_FORECASTING=false\n")
    use_settings(Settings(environ={"ENVIRONMENT": "testing"}, env_file=path))

    assert is_feature_enabled("analytics_enabled") is True
    assert is_feature_enabled("ml_forecasting") is False


@pytest.mark.parametrize("text", ["ja", "enabled", "2", "wahr", "https://public.example.com/api?key=s3cret"])
def test_a_variable_that_cannot_be_read_stops_the_start_and_shows_no_value(runtime, text):
    configure(PUBLIC_API=text)

    with pytest.raises(ConfigurationError, match="PUBLIC_API") as caught:
        get_flags()

    assert text not in str(caught.value)


def test_all_variables_that_cannot_be_read_are_in_one_error():
    variables = {"A": "x", "FLAG_B": "z"}

    with pytest.raises(ConfigurationError, match="A: .*FLAG_B: "):
        environment_overrides([Flag("a"), Flag("b")], variables.get)


def test_two_flags_cannot_have_one_variable():
    with pytest.raises(ConfigurationError, match=r"flag 'a\.b' and flag 'a-b'"):
        environment_overrides([Flag("a.b"), Flag("a-b")], {"A_B": "1"}.get)


def test_an_empty_variable_is_not_set():
    assert environment_overrides([Flag("a")], {"A": "  "}.get) == {}


def test_a_variable_of_a_flag_that_nobody_declared_does_nothing(runtime):
    configure(NEW_MENU="true", FLAG_NEW_MENU="true")

    assert is_feature_enabled("new_menu") is False


def test_a_flag_with_the_name_of_a_setting_needs_the_prefix(runtime):
    declare_flags([Flag("debug")])
    configure(DEBUG="true", FLAG_DEBUG="false")

    assert is_feature_enabled("debug") is False


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        (Flag("x", default=1), "5", 5),
        (Flag("x", default=1.5), "2", 2),
        (Flag("x", default="a"), "anything", "anything"),
        (Flag("x", default="#00f", variants={"blue": "#00f", "red": "#f00"}), "red", "#f00"),
        (Flag("x", default={}), '{"a": [1]}', {"a": [1]}),
    ],
    ids=["int", "float", "str", "variant", "json"],
)
def test_the_text_is_read_by_the_type_of_the_flag(flag, text, expected):
    assert environment_overrides([flag], {"X": text}.get) == {"x": expected}


@pytest.mark.parametrize(("default", "text"), [(1, "1.5"), (1, "true"), (1.5, "NaN"), ({}, "{"), (1, "[" * 100_000)], ids=["float", "bool", "nan", "json", "deep"])  # fmt: skip
def test_a_text_of_another_type_is_refused(default, text):
    with pytest.raises(ConfigurationError, match="X: expected"):
        environment_overrides([Flag("x", default=default)], {"X": text}.get)


def test_an_override_is_told_in_the_explanation(runtime):
    configure(ANALYTICS_ENABLED="true")

    assert explain("analytics_enabled").detail.reason == "OVERRIDE"
    assert "variable" in str(explain("analytics_enabled"))


def test_variables_can_be_switched_off(runtime):
    configure(ANALYTICS_ENABLED="true", FLAGS_ENV_OVERRIDES="false")

    assert is_feature_enabled("analytics_enabled") is False


# --- declaring --------------------------------------------------------------------------------------


def test_there_are_twenty_flags_until_a_service_declares_its_own(runtime):
    configure()
    assert len(FEATURE_FLAGS) == len(get_flags().all()) == 20

    declare_flags([Flag("new_menu")])

    assert list(get_flags().all()) == ["new_menu"]


def test_declarations_add_up_before_and_after_the_first_use(runtime):
    declare_flags({"a": True})
    declare_flags([Flag("b")])
    configure(FLAG_C="true")
    assert sorted(get_flags().all()) == ["a", "b"]

    declare_flags([Flag("c")])

    assert get_flags().all() == {"a": True, "b": False, "c": True}


@pytest.mark.parametrize("ending", ["json", "toml", "yaml"])
def test_a_file_declares_flags_and_variables_override_them(runtime, tmp_path, ending):
    path = tmp_path / f"flags.{ending}"
    texts = {
        "json": json.dumps({"flags": {"new_menu": True, "size": 20}}),
        "toml": "[flags]\nnew_menu = true\nsize = 20\n",
        "yaml": "flags:\n  new_menu: true\n  size: 20\n",
    }
    path.write_text(texts[ending])
    configure(FLAGS_FILE=str(path), FLAG_SIZE="50")

    assert is_feature_enabled("new_menu") is True
    assert value("size") == 50
    assert is_feature_enabled("analytics_enabled") is False


def test_a_file_can_be_declared_in_code(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text('{"flags": {"beta": true}}')

    assert Flags(path).is_enabled("beta") is True


def test_a_file_that_is_broken_leaves_the_defaults(runtime, tmp_path):
    path = tmp_path / "flags.json"
    path.write_text("{")
    configure(FLAGS_FILE=str(path))

    assert is_feature_enabled("analytics_enabled") is False


def test_strict_flags_refuse_unknown_keys(runtime):
    configure(FLAGS_STRICT="true")

    with pytest.raises(UnknownFlagError, match="misspelt"):
        is_feature_enabled("misspelt")


def test_two_runtimes_do_not_see_each_other():
    with use(Runtime("one")) as one:
        configure(ANALYTICS_ENABLED="true")
        first = is_feature_enabled("analytics_enabled")
        one.close()
    with use(Runtime("two")) as two:
        configure()
        second = is_feature_enabled("analytics_enabled")
        two.close()

    assert (first, second) == (True, False)


def test_evaluations_appear_in_the_metrics_of_the_runtime(runtime):
    configure(METRICS_ENABLED="true")
    for _ in range(3):
        is_feature_enabled("analytics_enabled")
    is_feature_enabled("misspelt")

    get_metrics().collect()
    labels = {"feature_flag_key": "analytics_enabled", "feature_flag_result_variant": "off",
              "feature_flag_result_reason": "STATIC"}  # fmt: skip

    assert get_metrics().value("feature_flag_evaluations_total", labels) == 3
    assert "misspelt" not in get_metrics().expose().body.decode()


def test_utils_offers_the_same_function():
    assert from_utils is is_feature_enabled
    assert from_utils_module is is_feature_enabled


def test_flags_from_settings_are_new_ones():
    settings = Settings(environ={"FLAG_BETA": "1"}, env_file=None)
    flags = flags_from_settings(settings, flags=[Flag("beta")])

    assert flags.environment == "development"
    assert flags.is_enabled("beta") is True


def test_settings_that_are_read_again_bring_new_variables(runtime):
    variables = {"ENVIRONMENT": "testing", "ANALYTICS_ENABLED": "true"}
    use_settings(Settings(environ=variables, env_file=None))
    before = is_feature_enabled("analytics_enabled")

    variables["ANALYTICS_ENABLED"] = "false"
    variables["DB_POOL_SIZE"] = "7"
    reload_settings()

    assert (before, is_feature_enabled("analytics_enabled")) == (True, False)


def test_a_variable_that_became_wrong_leaves_the_flags_as_they_are(runtime):
    variables = {"ENVIRONMENT": "testing", "ANALYTICS_ENABLED": "true"}
    use_settings(Settings(environ=variables, env_file=None))
    before = is_feature_enabled("analytics_enabled")

    variables["ANALYTICS_ENABLED"] = "perhaps"
    variables["DB_POOL_SIZE"] = "7"
    reload_settings()

    assert (before, is_feature_enabled("analytics_enabled")) == (True, True)
    with pytest.raises(ConfigurationError, match="ANALYTICS_ENABLED"):
        get_flags().reload()


def test_the_functions_of_the_room_ask_the_flags_of_the_runtime(runtime):
    configure()
    heard = []

    stop = on_change(heard.append)
    track("order_placed", "u-1")
    with scope({"user_id": "u-1"}):
        found = variant("analytics_enabled"), detail("analytics_enabled").reason

    assert found == ("off", "STATIC")
    assert heard == []
    stop()


def test_closed_flags_tell_the_metrics_no_more(runtime):
    configure(METRICS_ENABLED="true")
    flags, metrics = get_flags(), get_metrics()
    labels = {"feature_flag_key": "ar_menu", "feature_flag_result_variant": "off",
              "feature_flag_result_reason": "STATIC"}  # fmt: skip
    flags.is_enabled("ar_menu")

    flags.close()
    flags.is_enabled("ar_menu")
    metrics.collect()

    assert metrics.value("feature_flag_evaluations_total", labels) == 1
