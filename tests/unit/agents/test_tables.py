"""The tables of agents: their rules are the database's, and every row has its entity."""

import pytest
from sqlalchemy import select, text

from shared.agents import (
    Agent,
    AgentConfig,
    AgentConfigEntity,
    AgentEntity,
    AgentInteraction,
    AgentInteractionEntity,
    Conversation,
    ConversationEntity,
    Message,
    MessageEntity,
    Task,
    TaskEntity,
    TaskExecution,
    TaskExecutionEntity,
)
from shared.config import AgentSettings
from shared.database import Base, Database, Repository, tables_of
from shared.errors import ConflictError, ValidationError

agents = Repository(Agent)


@pytest.fixture
def db():
    with Database("sqlite://") as database:
        Base.metadata.create_all(database.engine, tables=tables_of("agents"))
        yield database


def rows():
    agent = Agent(user_id="u-1", name="clerk")
    return {
        "agent": (agent, AgentEntity),
        "config": (AgentConfig(system="simple", tools=["search"], temperature=0.5), AgentConfigEntity),
        "task": (Task(user_id="u-1", name="sum", payload={"a": 1}), TaskEntity),
        "conversation": (Conversation(user_id="u-1", title="secret"), ConversationEntity),
        "interaction": (
            AgentInteraction(user_id="u-1", kind="chat", request="secret"),
            AgentInteractionEntity,
        ),
    }


@pytest.mark.parametrize("name", ["agent", "config", "task", "conversation", "interaction"])
def test_a_row_is_kept_and_has_an_entity(db, name):
    row, entity = rows()[name]

    with db.transaction() as session:
        session.add(row)
        session.flush()
        made = entity.of(row)

    with db.read() as session:
        found = entity.of(session.scalars(select(type(row))).one())
    assert found == made
    assert "secret" not in repr(found)
    assert entity.model_validate_json(made.model_dump_json()) == made


def test_runs_of_a_task_and_messages_of_a_conversation_go_with_it(db):
    task = Task(user_id="u-1", name="sum", executions=[TaskExecution(attempt=n) for n in (1, 2)])
    talk = Conversation(
        user_id="u-1", messages=[Message(position=n, role="user", content="secret") for n in (1, 2)]
    )
    with db.transaction() as session:
        session.add_all([task, talk])
        session.flush()
        assert TaskExecutionEntity.of(task.executions[0]).attempt == 1
        assert "secret" not in repr(MessageEntity.of(talk.messages[0]))

    with db.transaction() as session:
        session.execute(text("delete from agents_tasks"))
        session.execute(text("delete from agents_conversations"))

    with db.read() as session:
        assert session.scalars(select(TaskExecution)).all() == session.scalars(select(Message)).all() == []


def test_a_deleted_agent_leaves_its_tasks(db):
    agent = Agent(user_id="u-1", name="clerk")
    with db.transaction() as session:
        session.add(agent)
        session.flush()
        session.add(Task(user_id="u-1", name="sum", agent_id=agent.id))
        session.add(AgentConfig(agent_id=agent.id, system="simple"))

    with db.transaction() as session:
        agents.delete(session, agent.id, hard=True)

    with db.read() as session:
        assert session.scalars(select(Task)).one().agent_id is None
        assert session.scalars(select(AgentConfig)).all() == []


@pytest.mark.parametrize("of_agent", [True, False], ids=["agent", "system"])
def test_there_is_one_configuration_of_a_system(db, of_agent):
    agent = Agent(user_id="u-1", name="clerk")
    with db.transaction() as session:
        session.add(agent)
        session.flush()
        key = agent.id if of_agent else None
        session.add(AgentConfig(agent_id=key, system="simple"))

    with pytest.raises(ConflictError), db.transaction() as session:
        session.add(AgentConfig(agent_id=key, system="simple"))
        session.flush()


@pytest.mark.parametrize(
    "row",
    [
        lambda: Agent(user_id="u", name="n", system="clever"),
        lambda: Agent(user_id="u", name="n", status="lost"),
        lambda: AgentConfig(system="simple", temperature=2.1),
        lambda: AgentConfig(system="simple", max_tokens=0),
        lambda: AgentConfig(system="simple", max_attempts=0),
        lambda: AgentConfig(system="simple", task_timeout=-1.0, tool_timeout=1.0),
        lambda: Task(user_id="u", name="n", status="lost"),
        lambda: TaskExecution(status="lost"),
        lambda: Message(position=0, role="user", content=""),
        lambda: Message(position=1, role="boss", content=""),
    ],
    ids=["system", "status", "hot", "tokens", "attempts", "timeout", "task", "run", "position", "role"],
)
def test_the_database_refuses_what_is_wrong(db, row):
    with pytest.raises((ValidationError, ConflictError)), db.transaction() as session:
        session.add(row())
        session.flush()


def test_a_configuration_has_a_column_for_every_setting_of_agents():
    columns = set(AgentConfig.__table__.columns.keys())
    elsewhere = {"config_order", "config_ttl"}  # say where to look, not what is found

    names = {name.removeprefix("AGENT_").lower() for name in AgentSettings.model_fields}

    assert names - elsewhere <= columns
