"""Agents, tasks and conversations on a real PostgreSQL: what SQLite cannot show."""

import asyncio
import threading

import pytest

from shared.agents import AgentConfigs, AgentDAO, AsyncTaskDAO, ConversationDAO, TaskDAO
from shared.config import Settings
from shared.database import Base, Database, tables_of
from shared.errors import InvalidStateError

PEOPLE = 8


@pytest.fixture
def db(shared_postgres_database):
    with Database(str(shared_postgres_database())) as database:
        Base.metadata.create_all(database.engine, tables=tables_of("agents"))
        yield database


def at_once(work):
    """Run *work* in several threads that begin together; return what each gave or raised."""
    found, gate = [], threading.Barrier(PEOPLE)

    def run():
        gate.wait(30)
        try:
            found.append(work())
        except InvalidStateError as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_speakers_at_once_take_places_of_their_own(db):
    talks = ConversationDAO(db)
    talk = talks.create_conversation({"user_id": "u-1"})

    at_once(lambda: talks.create_message(talk.id, {"role": "user", "content": "hello"}))

    places = [message.position for message in talks.list_messages(talk.id, last=100)]
    assert places == list(range(1, PEOPLE + 1))


def test_a_task_is_started_once(db):
    tasks = TaskDAO(db)
    task = tasks.create_task({"user_id": "u-1", "name": "summarise"})

    found = at_once(lambda: tasks.start_task(task.id))

    assert sum(isinstance(each, InvalidStateError) for each in found) == PEOPLE - 1
    assert [run.attempt for run in tasks.list_executions(task.id)] == [1]


def test_the_configuration_of_an_agent_is_found(db):
    agents = AgentDAO(db)
    clerk = agents.create_agent({"user_id": "u-1", "name": "clerk", "system": "enhanced"})
    agents.set_agent_config("enhanced", {"model": "of-all", "tools": ["search"]})
    agents.set_agent_config("enhanced", {"model": "of-clerk"}, agent_id=clerk.id)

    config = AgentConfigs(Settings(environ={}, env_file=None), database=db).get(None, clerk.id)

    assert (config.system, config["model"], config["tools"]) == ("enhanced", "of-clerk", ["search"])


def test_coroutines_do_the_same_work(shared_postgres_database):
    async def main():
        async with Database(str(shared_postgres_database())) as database:
            Base.metadata.create_all(database.engine, tables=tables_of("agents"))
            tasks = AsyncTaskDAO(database)
            task = await tasks.create_task(
                {"user_id": "u-1", "name": "summarise", "payload": {"a": [1, None]}}
            )
            await tasks.start_task(task.id)
            return await tasks.succeed_task(task.id, output={"ok": True}, tokens=3)

    done = asyncio.run(main())

    assert (done.status, done.result, done.payload) == ("succeeded", {"ok": True}, {"a": [1, None]})
