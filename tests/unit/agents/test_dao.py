"""Agents, tasks, exchanges and conversations, by threads and by coroutines."""

import asyncio
import contextlib
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared import agents as room
from shared.database import Base, Database, tables_of
from shared.errors import (
    AgentNotFoundError,
    InvalidStateError,
    ResourceNotFoundError,
    SharedError,
    ValidationError,
)
from shared.logging import capture_logs


class Clock:
    now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self):
        return self.now


class Both:
    """Calls a DAO of either kind."""

    def __init__(self, dao, runner):
        self._dao = dao
        self._runner = runner

    def __getattr__(self, name):
        method = getattr(self._dao, name)
        if self._runner is None:
            return method
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sync", "async"])
def make(request, clock):
    runner = asyncio.Runner() if request.param == "async" else None
    db = Database("sqlite://")
    Base.metadata.create_all(db.engine, tables=tables_of("agents"))

    def build(name):
        kind = getattr(room, name if runner is None else f"Async{name}")
        return Both(kind(db, clock=clock), runner)

    yield build
    if runner is None:
        db.close()
    else:
        runner.run(db.aclose())
        runner.close()


@pytest.fixture
def agents(make):
    return make("AgentDAO")


@pytest.fixture
def tasks(make):
    return make("TaskDAO")


CLERK = {"user_id": "u-1", "name": "clerk"}
TASK = {"user_id": "u-1", "name": "summarise", "payload": {"text": "long"}}


def test_an_agent_is_made_and_found(agents):
    made = agents.create_agent({**CLERK, "system": "enhanced", "details": {"team": "sales"}})

    assert agents.get_agent(str(made.id)) == made
    assert (made.system, made.status, made.details) == ("enhanced", "active", {"team": "sales"})


def test_an_agent_is_changed(agents):
    made = agents.create_agent(CLERK)

    changed = agents.update_agent(made.id, {"status": "paused", "system": "enhanced"})

    assert (changed.status, changed.system, changed.name) == ("paused", "enhanced", "clerk")


@pytest.mark.parametrize(
    "changes",
    [{}, {"user_id": "u-2"}, {"id": 1}, {"status": "gone"}, {"system": "fast"}, {"name": ""}, {"name": None}],
    ids=["nothing", "owner", "id", "status", "system", "empty", "none"],
)
def test_a_change_that_does_not_fit_is_refused(agents, changes):
    made = agents.create_agent(CLERK)

    with pytest.raises(ValidationError):
        agents.update_agent(made.id, changes)

    assert agents.get_agent(made.id) == made


def test_a_deleted_agent_is_not_found(agents):
    made = agents.create_agent(CLERK)

    assert agents.delete_agent(made.id)
    with pytest.raises(AgentNotFoundError):
        agents.get_agent(made.id)


def test_agents_are_listed_by_page_the_newest_first(agents):
    made = [agents.create_agent({**CLERK, "name": f"a{n}"}) for n in range(3)]
    agents.create_agent({**CLERK, "user_id": "u-2"})

    first = agents.list_agents(user_id="u-1", size=2)
    rest = agents.list_agents(user_id="u-1", size=2, after=first.next_cursor)

    assert [a.name for a in (*first.items, *rest.items)] == [a.name for a in reversed(made)]


def test_a_configuration_is_written_and_written_again(agents):
    first = agents.set_agent_config("simple", {"model": "a", "temperature": 0.1})
    second = agents.set_agent_config("simple", {"temperature": None})

    assert (first.id, second.model, second.temperature) == (second.id, "a", None)


def test_a_configuration_out_of_range_is_refused(agents):
    with pytest.raises(ValidationError):
        agents.set_agent_config("simple", {"temperature": 9})


def test_a_configuration_of_nobodys_agent_is_refused(agents):
    with pytest.raises(AgentNotFoundError):
        agents.set_agent_config("simple", {}, agent_id=uuid.uuid4())


def test_a_task_runs_and_succeeds(tasks, clock):
    task = tasks.create_task(TASK)
    run = tasks.start_task(task.id)
    clock.now += timedelta(seconds=2)

    done = tasks.succeed_task(task.id, output={"lines": 3}, tokens=40)

    assert (run.attempt, run.status) == (1, "running")
    assert (done.status, done.result, done.finished_at) == ("succeeded", {"lines": 3}, clock.now)
    [kept] = tasks.list_executions(task.id)
    assert (kept.status, kept.duration_ms, kept.tokens, kept.output) == (
        "succeeded",
        2000.0,
        40,
        {"lines": 3},
    )


def test_a_failed_run_may_be_tried_again(tasks, clock):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)

    waiting = tasks.fail_task(task.id, ValueError("no connection"), retry_in=30)
    tasks.start_task(task.id)
    failed = tasks.fail_task(task.id, "gave up")

    assert (waiting.status, waiting.available_at) == ("pending", clock.now + timedelta(seconds=30))
    assert (failed.status, failed.error) == ("failed", "gave up")
    assert [(run.attempt, run.error) for run in tasks.list_executions(task.id)] == [
        (1, "ValueError: no connection"),
        (2, "gave up"),
    ]


def test_a_waiting_task_and_a_running_one_can_be_cancelled(tasks):
    waiting, running = tasks.create_task(TASK), tasks.create_task(TASK)
    tasks.start_task(running.id)

    assert tasks.cancel_task(waiting.id).status == "cancelled"
    assert tasks.cancel_task(running.id).status == "cancelled"
    assert [run.status for run in tasks.list_executions(running.id)] == ["cancelled"]


@pytest.mark.parametrize("verb", ["start_task", "succeed_task", "cancel_task"])
def test_a_task_that_has_ended_stays_as_it_is(tasks, verb):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)
    tasks.succeed_task(task.id)

    with pytest.raises(InvalidStateError):
        getattr(tasks, verb)(task.id)


def test_a_task_that_runs_is_not_started_again(tasks):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)

    with pytest.raises(InvalidStateError):
        tasks.start_task(task.id)


def test_a_secret_in_an_error_is_masked_before_it_is_stored(tasks):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)

    failed = tasks.fail_task(task.id, "401 for Bearer abcdefghijklmnop1234567890")

    assert "abcdefghijklmnop" not in failed.error


def test_the_end_of_a_run_is_logged_without_its_content(tasks, clock):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)
    clock.now += timedelta(milliseconds=500)

    with capture_logs() as lines:
        tasks.succeed_task(task.id, output={"secret": "plan"}, tokens=4)

    line = lines[0]
    assert (line["event"], line["task"], line["status"], line["duration_ms"], line["user_id"]) == (
        "task_execution",
        "summarise",
        "succeeded",
        500.0,
        "u-1",
    )
    assert "plan" not in repr(lines)


def test_a_run_that_is_tried_again_is_a_warning(tasks):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)

    with capture_logs() as lines:
        tasks.fail_task(task.id, "later", retry_in=1)

    assert (lines[0]["level"], lines[0]["status"]) == ("warning", "retrying")


def test_tasks_are_listed_by_state(tasks):
    waiting = tasks.create_task(TASK)
    tasks.start_task(tasks.create_task(TASK).id)

    assert [task.id for task in tasks.list_tasks(user_id="u-1", status="pending").items] == [waiting.id]
    with pytest.raises(ValidationError):
        tasks.list_tasks(status="sleeping")


@pytest.mark.parametrize(
    "outcome",
    [{"output": object()}, {"output": float("nan")}, {"output": "\x00"}, {"tokens": -1}, {"tokens": True}],
    ids=["object", "nan", "zero", "negative", "bool"],
)
def test_an_outcome_that_cannot_be_stored_is_refused_and_nothing_is_written(tasks, outcome):
    task = tasks.create_task(TASK)
    tasks.start_task(task.id)

    with pytest.raises(ValidationError):
        tasks.succeed_task(task.id, **outcome)

    assert tasks.get_task(task.id).status == "running"


def test_a_task_of_nobodys_agent_is_refused(tasks):
    with pytest.raises(AgentNotFoundError):
        tasks.create_task({**TASK, "agent_id": uuid.uuid4()})


def test_a_task_nobody_knows_is_not_found(tasks):
    for verb in ("get_task", "start_task", "cancel_task", "list_executions"):
        with pytest.raises(ResourceNotFoundError):
            getattr(tasks, verb)(uuid.uuid4())


def test_an_exchange_is_written_down_and_logged_without_what_was_said(make):
    exchanges = make("AgentInteractionDAO")
    new = {
        "user_id": "u-1",
        "kind": "chat",
        "request": "the plan",
        "response": "a secret",
        "duration_ms": 12.5,
        "tokens": 9,
    }

    with capture_logs() as lines:
        made = exchanges.create_interaction(new)

    assert exchanges.list_interactions(user_id="u-1").items == [made]
    assert (lines[0]["event"], lines[0]["interaction"], lines[0]["tokens"]) == (
        "agent_interaction",
        "chat",
        9,
    )
    assert "plan" not in repr(lines) + repr(made)
    assert "secret" not in repr(lines) + repr(made)


def test_what_was_said_keeps_its_order_and_the_last_messages_are_found(make):
    talks = make("ConversationDAO")
    talk = talks.create_conversation({"user_id": "u-1", "title": "the invoice"})
    for n in range(5):
        talks.create_message(talk.id, {"role": "user", "content": f"m{n}"})

    last = talks.list_messages(talk.id, last=2)

    assert [(message.position, message.content) for message in last] == [(4, "m3"), (5, "m4")]


def test_a_deleted_conversation_is_not_found(make):
    talks = make("ConversationDAO")
    talk = talks.create_conversation({"user_id": "u-1"})

    assert talks.get_conversation(talk.id) == talk
    assert talks.delete_conversation(talk.id)
    with pytest.raises(ResourceNotFoundError):
        talks.create_message(talk.id, {"role": "user", "content": "too late"})


@pytest.mark.parametrize("last", [0, -1, True, "2", 10_001], ids=str)
def test_a_number_of_messages_out_of_range_is_refused(make, last):
    talks = make("ConversationDAO")
    talk = talks.create_conversation({"user_id": "u-1"})

    with pytest.raises(ValidationError):
        talks.list_messages(talk.id, last=last)


def test_a_verb_joins_the_transaction_of_its_caller():
    with Database("sqlite://") as db:
        Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        agents = room.AgentDAO(db)
        with contextlib.suppress(KeyError), db.transaction() as session:
            agents.create_agent(CLERK, session=session)
            raise KeyError

        assert agents.list_agents().items == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["user_id", "name", "system", "details", "agent_id", "payload", "kind", "request", "role", "content", "title",
     "priority", "available_at", "tokens", "duration_ms"]
)  # fmt: skip


@pytest.fixture(scope="module")
def database():
    with Database("sqlite://") as db:
        Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        yield db


@hypothesis_settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.dictionaries(FIELDS, ANYTHING, max_size=6) | ANYTHING)
def test_hostile_data_raises_only_our_errors(database, data):
    agents, tasks = room.AgentDAO(database), room.TaskDAO(database)
    exchanges, talks = room.AgentInteractionDAO(database), room.ConversationDAO(database)
    talk = talks.create_conversation({"user_id": "u-1"})

    for verb in (
        agents.create_agent,
        tasks.create_task,
        exchanges.create_interaction,
        talks.create_conversation,
        lambda new: talks.create_message(talk.id, new),
        agents.get_agent,
        tasks.start_task,
    ):
        with contextlib.suppress(SharedError):
            verb(data)
