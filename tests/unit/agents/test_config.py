"""Which configuration is in force, where it came from, and what happens without a database."""

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.agents import (
    Agent,
    AgentConfigs,
    AgentDAO,
    aget_agent_config_for_system,
    aget_agent_system,
    ashould_use_enhanced_agent,
    get_agent_config_for_system,
    get_agent_memory_config,
    get_agent_model,
    get_agent_model_config,
    get_agent_system,
    get_agent_timeouts,
    get_agent_tools_config,
    should_use_enhanced_agent,
    validate_agent_config,
)
from shared.config import Settings
from shared.database import Base, Database, tables_of
from shared.errors import AgentNotFoundError, InvalidArgumentError, SharedError, ValidationError
from shared.logging import capture_logs
from shared.runtime import Runtime, use


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def settings(**environ):
    return Settings(environ=environ, env_file=None)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def db():
    with Database("sqlite://") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("agents"))
        yield database


@pytest.fixture
def agents(db):
    return AgentDAO(db)


def test_the_defaults_are_those_of_the_settings():
    config = AgentConfigs(settings()).get("simple")

    assert (config["system"], config["model"], config["temperature"]) == ("simple", "gpt-4o-mini", 0.7)
    assert set(config.sources.values()) == {"default"}


def test_a_variable_is_taken_and_named_as_the_source(db):
    config = AgentConfigs(settings(AGENT_MODEL="gpt-4o"), database=db).get("simple")

    assert (config["model"], config.source("model"), config.source("max_tokens")) == (
        "gpt-4o",
        "environment",
        "default",
    )


def test_the_database_stands_in_for_what_the_environment_does_not_say(db, agents):
    agents.set_agent_config("enhanced", {"model": "from-db", "temperature": 0.1, "tools": ["search"]})

    config = AgentConfigs(settings(AGENT_MODEL="from-env"), database=db).get("enhanced")

    assert (config["model"], config.source("model")) == ("from-env", "environment")
    assert (config["temperature"], config.source("temperature")) == (0.1, "database")
    assert (config["tools"], config.source("tools")) == (["search"], "database")


def test_the_order_can_be_turned_around(db, agents):
    agents.set_agent_config("simple", {"model": "from-db"})
    found = settings(AGENT_MODEL="from-env", AGENT_CONFIG_ORDER="database,environment", AGENT_MAX_TOKENS="7")

    config = AgentConfigs(found, database=db).get("simple")

    assert (config["model"], config.source("model")) == ("from-db", "database")
    assert (config["max_tokens"], config.source("max_tokens")) == (7, "environment")


def test_a_source_that_is_not_in_the_order_is_not_asked(db, agents):
    agents.set_agent_config("simple", {"model": "from-db"})

    config = AgentConfigs(settings(AGENT_CONFIG_ORDER="environment"), database=db).get("simple")

    assert config["model"] == "gpt-4o-mini"


def test_the_row_of_an_agent_comes_before_that_of_its_system(db, agents):
    clerk = agents.create_agent({"user_id": "u-1", "name": "clerk", "system": "enhanced"})
    agents.set_agent_config("enhanced", {"model": "of-all", "max_attempts": 5})
    agents.set_agent_config("enhanced", {"model": "of-clerk"}, agent_id=clerk.id)
    configs = AgentConfigs(settings(), database=db)

    config = configs.get("enhanced", clerk.id)

    assert (config["model"], config["max_attempts"]) == ("of-clerk", 5)
    assert configs.get("enhanced")["model"] == "of-all"


def test_a_row_that_is_switched_off_says_nothing(db, agents):
    row = agents.set_agent_config("simple", {"model": "off"})
    with db.transaction() as session:
        from shared.agents import AgentConfig

        session.get(AgentConfig, row.id).is_active = False

    assert AgentConfigs(settings(), database=db).get("simple")["model"] == "gpt-4o-mini"


def test_the_system_of_an_agent_is_that_of_its_row_unless_the_environment_says(db, agents):
    clerk = agents.create_agent({"user_id": "u-1", "name": "clerk", "system": "enhanced"})

    assert AgentConfigs(settings(), database=db).system(clerk.id) == "enhanced"
    assert AgentConfigs(settings(), database=db).system() == "simple"
    assert AgentConfigs(settings(AGENT_SYSTEM="simple"), database=db).system(str(clerk.id)) == "simple"


def test_the_rows_are_those_of_the_system_that_was_chosen(db, agents):
    clerk = agents.create_agent({"user_id": "u-1", "name": "clerk", "system": "enhanced"})
    agents.set_agent_config("simple", {"model": "of-simple"})
    agents.set_agent_config("enhanced", {"model": "of-enhanced"})
    found = {
        "row": AgentConfigs(settings(), database=db).get(None, clerk.id),
        "variable": AgentConfigs(settings(AGENT_SYSTEM="simple"), database=db).get(None, clerk.id),
        "turned": AgentConfigs(
            settings(AGENT_SYSTEM="simple", AGENT_CONFIG_ORDER="database,environment"), database=db
        ).get(None, clerk.id),
        "all": AgentConfigs(settings(AGENT_SYSTEM="enhanced"), database=db).get(),
    }

    assert {name: (c.system, c["model"], c.source("system")) for name, c in found.items()} == {
        "row": ("enhanced", "of-enhanced", "database"),
        "variable": ("simple", "of-simple", "environment"),
        "turned": ("enhanced", "of-enhanced", "database"),
        "all": ("enhanced", "of-enhanced", "environment"),
    }


async def test_the_async_way_finds_the_same(db, agents):
    clerk = agents.create_agent({"user_id": "u-1", "name": "clerk", "system": "enhanced"})
    agents.set_agent_config("enhanced", {"model": "from-db"})
    configs = AgentConfigs(settings(), database=db)

    assert (await configs.aget("enhanced"))["model"] == "from-db"
    assert await configs.asystem(clerk.id) == "enhanced"
    await db.aclose()


def test_what_the_database_said_is_reused_for_the_ttl(db, agents, clock):
    configs = AgentConfigs(settings(AGENT_CONFIG_TTL="60"), database=db, clock=clock)
    configs.get("simple")
    agents.set_agent_config("simple", {"model": "new"})

    before = configs.get("simple")["model"]
    clock.now += 61
    after = configs.get("simple")["model"]

    assert (before, after) == ("gpt-4o-mini", "new")


def test_reload_asks_again_at_once(db, agents, clock):
    configs = AgentConfigs(settings(), database=db, clock=clock)
    configs.get("simple")
    agents.set_agent_config("simple", {"model": "new"})

    configs.reload()

    assert configs.get("simple")["model"] == "new"


def drop_tables(db):
    Base.metadata.drop_all(db.engine, tables=tables_of("agents"))


def test_the_last_good_values_stay_in_force_when_the_database_fails(db, agents, clock):
    agents.set_agent_config("simple", {"model": "good"})
    configs = AgentConfigs(settings(), database=db, ttl=60.0, clock=clock)
    configs.get("simple")
    drop_tables(db)
    clock.now += 61

    with capture_logs() as lines:
        found = [configs.get("simple") for _ in range(3)]

    assert {(config["model"], config.is_stale) for config in found} == {("good", True)}
    warnings = [line for line in lines if line["event"] == "agent_config_stale"]
    assert [(line["level"], line["has_last_good"]) for line in warnings] == [("warning", True)]


def test_without_last_good_values_the_environment_answers_and_says_so(db, clock):
    drop_tables(db)
    configs = AgentConfigs(settings(AGENT_MODEL="from-env"), database=db, clock=clock)

    config = configs.get("simple")

    assert (config["model"], config.is_stale) == ("from-env", True)
    assert config.explain()[-1] == "the database could not be asked"


def test_a_database_that_is_back_is_asked_after_the_pause(db, clock):
    drop_tables(db)
    configs = AgentConfigs(settings(), database=db, clock=clock)
    configs.get("simple")
    Base.metadata.create_all(db.engine, tables=tables_of("agents"))
    AgentDAO(db).set_agent_config("simple", {"model": "back"})

    during = configs.get("simple").is_stale
    clock.now += 6
    with capture_logs() as lines:
        after = configs.get("simple")

    assert (during, after.is_stale, after["model"]) == (True, False, "back")
    assert [line["event"] for line in lines] == ["agent_config_recovered"]


async def test_the_async_way_keeps_the_last_good_values_too(db, agents, clock):
    agents.set_agent_config("simple", {"model": "good"})
    configs = AgentConfigs(settings(), database=db, ttl=60.0, clock=clock)
    await configs.aget("simple")
    drop_tables(db)
    clock.now += 61

    config = await configs.aget("simple")

    assert (config["model"], config.is_stale) == ("good", True)
    await db.aclose()


def test_a_stored_value_that_does_not_fit_is_told_and_left_out(db, agents):
    agents.set_agent_config("simple", {"temperature": 0.1})
    with db.transaction() as session:
        from sqlalchemy import text

        session.execute(text("update agents_configs set tools = '{\"a\": 1}', model = ''"))

    with capture_logs() as lines:
        config = AgentConfigs(settings(), database=db).get("simple")

    assert (config["tools"], config["model"], config["temperature"]) == ([], "gpt-4o-mini", 0.1)
    assert sorted(line["field"] for line in lines) == ["model", "tools"]


def test_an_agent_nobody_knows_is_an_error(db):
    with pytest.raises(AgentNotFoundError):
        AgentConfigs(settings(), database=db).get("simple", uuid.uuid4())


def test_a_deleted_agent_is_an_error(db, agents):
    clerk = agents.create_agent({"user_id": "u-1", "name": "clerk"})
    agents.delete_agent(clerk.id)

    with pytest.raises(AgentNotFoundError):
        AgentConfigs(settings(), database=db).system(clerk.id)


@pytest.mark.parametrize("system", ["", "fast", 7, "Simple\x00"], ids=["empty", "unknown", "number", "zero"])
def test_an_unknown_system_is_refused(system):
    with pytest.raises(ValidationError):
        AgentConfigs(settings()).get(system)


@pytest.mark.parametrize("agent_id", ["", "7", 7, "'; drop table agents_agents"], ids=str)
def test_an_agent_id_that_is_no_uuid_is_refused(agent_id):
    with pytest.raises(ValidationError):
        AgentConfigs(settings()).get("simple", agent_id)


@pytest.mark.parametrize("order", [[], ["file"], ["database", "vault"]], ids=["empty", "file", "vault"])
def test_an_order_of_other_sources_is_refused(order):
    with pytest.raises(InvalidArgumentError):
        AgentConfigs(settings(), order=order)


def test_instructions_are_in_no_repr_and_no_explanation(db, agents):
    agents.set_agent_config("simple", {"instructions": "the secret plan"})

    config = AgentConfigs(settings(), database=db).get("simple")

    assert config["instructions"] == "the secret plan"
    assert "plan" not in repr(config) + "".join(config.explain())


def test_what_a_caller_does_to_a_list_stays_with_the_caller(db, agents):
    agents.set_agent_config("simple", {"tools": ["search"]})
    configs = AgentConfigs(settings(), database=db)

    configs.get("simple")["tools"].append("shell")

    assert configs.get("simple")["tools"] == ["search"]


# --- the functions of the current runtime ---------------------------------------------------


@pytest.fixture
def runtime(db):
    from shared.config import use_settings

    made = Runtime("test")
    use_settings(settings(AGENT_SYSTEM="enhanced", AGENT_TOOLS="search"), runtime=made)
    with use(made), made.override(Database, db):
        yield made
    made.close()


def test_the_documented_functions_answer(runtime):
    config = get_agent_config_for_system("enhanced")

    assert (get_agent_system(), should_use_enhanced_agent()) == ("enhanced", True)
    assert (config["model"], config["temperature"]) == ("gpt-4o-mini", 0.7)
    assert get_agent_model() == "gpt-4o-mini"
    assert get_agent_model_config() == {"model": "gpt-4o-mini", "temperature": 0.7, "max_tokens": None}
    assert get_agent_timeouts()["max_attempts"] == 3
    assert get_agent_memory_config()["memory_enabled"] is True
    assert get_agent_tools_config()["tools"] == ["search"]


async def test_the_documented_functions_answer_in_coroutines(runtime, db):
    assert await aget_agent_system() == "enhanced"
    assert await ashould_use_enhanced_agent()
    assert (await aget_agent_config_for_system("simple"))["max_iterations"] == 10
    await db.aclose()


def test_the_documented_module_is_a_spelling_of_the_room():
    import shared.agent_config as spelling
    import shared.agents as room
    import shared.config

    same = {name: getattr(spelling, name) for name in spelling.__all__}
    assert same.pop("get_agent_settings") is shared.config.get_agent_settings
    assert all(value is getattr(room, name) for name, value in same.items())


def test_no_database_is_opened_that_nobody_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Runtime("test")

    with use(made):
        AgentConfigs(settings()).get("simple")
    made.close()

    assert list(tmp_path.iterdir()) == []


# --- validation ---------------------------------------------------------------------------------


def test_a_right_configuration_comes_back_checked():
    given_ = {
        "system": "Enhanced",
        "model": "gpt-4o",
        "tools": ("a", "b"),
        "task_timeout": 10,
        "memory_enabled": False,
    }

    assert validate_agent_config(given_) == {
        "system": "enhanced",
        "model": "gpt-4o",
        "tools": ["a", "b"],
        "task_timeout": 10.0,
        "memory_enabled": False,
    }


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(ValidationError) as caught:
        validate_agent_config(
            {"system": "fast", "temperature": 3, "max_tokens": True, "tools": "search", "colour": "red"}
        )

    fields = [error["field"] for error in caught.value.details["errors"]]
    assert fields == ["system", "temperature", "max_tokens", "tools", "colour"]


def test_a_tool_may_not_run_longer_than_its_task():
    with pytest.raises(ValidationError, match="at most task_timeout"):
        validate_agent_config({"task_timeout": 5, "tool_timeout": 6})


def test_a_wrong_value_is_not_in_the_message():
    with pytest.raises(ValidationError) as caught:
        validate_agent_config({"model": "sécret"})

    assert "sécret" not in caught.value.message + repr(caught.value.details)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["system", "model", "temperature", "max_tokens", "task_timeout", "max_attempts", "retry_delay",
     "max_iterations", "memory_enabled", "memory_max_messages", "tools", "tool_timeout", "instructions"]
)  # fmt: skip


@hypothesis_settings(deadline=None)
@given(st.dictionaries(KEYS | st.text(max_size=8), ANYTHING, max_size=6) | ANYTHING)
def test_hostile_configurations_raise_only_our_error(config):
    with contextlib.suppress(ValidationError):
        checked = validate_agent_config(config)
        assert validate_agent_config(checked) == checked


@hypothesis_settings(deadline=None)
@given(ANYTHING, ANYTHING)
def test_hostile_arguments_raise_only_our_errors(system, agent_id):
    configs = AgentConfigs(settings_once())

    with contextlib.suppress(SharedError):
        configs.get(system, agent_id)


def settings_once(kept=[]):  # noqa: B006 - built once for many examples
    if not kept:
        kept.append(settings())
    return kept[0]


def test_an_agent_is_a_row():
    assert Agent(user_id="u-1", name="x", system="simple").name == "x"
