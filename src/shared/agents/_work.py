"""What happens to agents, tasks and conversations, written once as functions of a session."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.agents._entities import (
    AgentConfigEntity,
    AgentEntity,
    AgentInteractionEntity,
    ConversationEntity,
    MessageEntity,
    TaskEntity,
    TaskExecutionEntity,
)
from shared.agents._new import (
    NewAgent,
    NewConversation,
    NewInteraction,
    NewMessage,
    NewTask,
    error_text,
    moment,
    user_of,
    uuid_of,
)
from shared.agents._rules import system_of, validate_agent_config
from shared.agents._tables import (
    Agent,
    AgentConfig,
    AgentInteraction,
    Conversation,
    Message,
    Task,
    TaskExecution,
)
from shared.database import Entity, KeysetPage, Repository
from shared.errors import AgentNotFoundError, InvalidStateError, ValidationError

__all__ = ["ENDED", "AgentWork"]

agents: Final = Repository(Agent, not_found=AgentNotFoundError)
tasks: Final = Repository(Task)
interactions: Final = Repository(AgentInteraction)
conversations: Final = Repository(Conversation)

ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
_STATUSES: Final = ("pending", "running", "succeeded", "failed", "cancelled")
_CHANGES: Final = frozenset({"name", "description", "system", "status", "details"})
_MOST_MESSAGES: Final = 10_000
E = TypeVar("E", bound=Entity)


class AgentWork:
    """What the DAOs of this room do with a session; *clock* gives the moment."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock

    # -- agents -----------------------------------------------------------------------------

    def create_agent(self, session: Session, new: NewAgent) -> AgentEntity:
        """Make an agent."""
        return AgentEntity.of(agents.add(session, Agent(**new.model_dump())))

    def get_agent(self, session: Session, agent_id: Any) -> AgentEntity:
        """Return an agent."""
        return AgentEntity.of(agents.get(session, uuid_of(agent_id, "agent_id")))

    def update_agent(self, session: Session, agent_id: Any, changes: Mapping[str, Any]) -> AgentEntity:
        """Change an agent."""
        unknown = sorted(set(changes) - _CHANGES)
        if unknown or not changes:
            given = ", ".join(map(repr, unknown)) or "nothing"
            msg = f"an agent's {', '.join(sorted(_CHANGES))} can be changed, got {given[:200]}"
            raise ValidationError(msg)
        row = agents.get(session, uuid_of(agent_id, "agent_id"))
        checked = AgentEntity.parse({**AgentEntity.of(row).model_dump(), **changes})
        NewAgent.parse(checked.model_dump(include={"user_id", "name", "description", "system", "details"}))
        return AgentEntity.of(agents.update(session, row.id, {key: getattr(checked, key) for key in changes}))

    def delete_agent(self, session: Session, agent_id: Any) -> bool:
        """Delete an agent, softly."""
        return agents.delete(session, uuid_of(agent_id, "agent_id"))

    def list_agents(
        self, session: Session, user_id: str | None, after: str | None, size: int
    ) -> KeysetPage[AgentEntity]:
        """Return agents, the newest first."""
        where = {} if user_id is None else {"user_id": user_of(user_id)}
        return _page(AgentEntity, agents.keyset(session, after=after, size=size, where=where, order_by="-id"))

    def set_config(
        self, session: Session, system: str, values: Mapping[str, Any], agent_id: Any
    ) -> AgentConfigEntity:
        """Write the configuration of a system, or of an agent; keys left out stay."""
        system = system_of(system)
        checked = validate_agent_config(values)
        if checked.pop("system", system) != system:
            raise ValidationError("system: another one in the values than is to be configured")
        owner = None
        if agent_id is not None:
            owner = agents.lock(session, uuid_of(agent_id, "agent_id")).id
        of = AgentConfig.agent_id.is_(None) if owner is None else AgentConfig.agent_id == owner
        row = session.scalar(select(AgentConfig).where(AgentConfig.system == system, of).with_for_update())
        if row is None:
            row = AgentConfig(agent_id=owner, system=system)
            session.add(row)
        for key, value in checked.items():
            setattr(row, key, value)
        session.flush()
        session.refresh(row)
        return AgentConfigEntity.of(row)

    # -- tasks ------------------------------------------------------------------------------

    def create_task(self, session: Session, new: NewTask) -> TaskEntity:
        """Make a task that waits."""
        if new.agent_id is not None:
            agents.get(session, new.agent_id)
        values = new.model_dump()
        values["available_at"] = moment(new.available_at, self.clock())
        return TaskEntity.of(tasks.add(session, Task(**values)))

    def get_task(self, session: Session, task_id: Any) -> TaskEntity:
        """Return a task."""
        return TaskEntity.of(tasks.get(session, uuid_of(task_id, "task_id")))

    def list_tasks(
        self, session: Session, user_id: str | None, status: str | None, after: str | None, size: int
    ) -> KeysetPage[TaskEntity]:
        """Return tasks, the newest first."""
        where: dict[str, Any] = {} if user_id is None else {"user_id": user_of(user_id)}
        if status is not None:
            if status not in _STATUSES:
                msg = f"unknown task status {str(status)[:40]!r}; known: {', '.join(_STATUSES)}"
                raise ValidationError(msg, details={"field": "status"})
            where["status"] = str(status)
        return _page(TaskEntity, tasks.keyset(session, after=after, size=size, where=where, order_by="-id"))

    def start(self, session: Session, task_id: Any) -> tuple[TaskEntity, TaskExecutionEntity]:
        """Begin a run of a waiting task."""
        row = tasks.lock(session, uuid_of(task_id, "task_id"))
        if row.status != "pending":
            msg = f"a task that is {row.status} cannot be started: only a pending one can"
            raise InvalidStateError(msg, details={"status": row.status})
        last = session.scalar(select(func.max(TaskExecution.attempt)).where(TaskExecution.task_id == row.id))
        run = TaskExecution(
            task_id=row.id, attempt=(last or 0) + 1, status="running", started_at=self.clock()
        )
        row.status = "running"
        session.add(run)
        session.flush()
        session.refresh(row)
        return TaskEntity.of(row), TaskExecutionEntity.of(run)

    def finish(
        self,
        session: Session,
        task_id: Any,
        status: str,
        *,
        output: Any = None,
        error: object = None,
        tokens: int | None = None,
        retry_in: float | None = None,
    ) -> tuple[TaskEntity, TaskExecutionEntity | None]:
        """End the run of a task, and the task unless it is to run again in *retry_in* seconds."""
        row = tasks.lock(session, uuid_of(task_id, "task_id"))
        allowed = ("pending", "running") if status == "cancelled" else ("running",)
        if row.status not in allowed:
            msg = f"a task that is {row.status} cannot become {status}"
            raise InvalidStateError(msg, details={"status": row.status})
        now, text = self.clock(), None if error is None else error_text(error)
        output = _json(output)
        run = session.scalar(
            select(TaskExecution)
            .where(TaskExecution.task_id == row.id, TaskExecution.status == "running")
            .order_by(TaskExecution.attempt.desc())
            .limit(1)
        )
        if run is not None:
            run.status, run.finished_at = status, now
            run.duration_ms = max(0.0, (now - run.started_at).total_seconds() * 1000)
            run.output, run.error, run.tokens = output, text, _tokens(tokens)
        if retry_in is not None:
            row.status, row.error = "pending", text
            row.available_at = now + timedelta(seconds=_delay(retry_in))
        else:
            row.status, row.result, row.error, row.finished_at = status, output, text, now
        session.flush()
        session.refresh(row)
        return TaskEntity.of(row), None if run is None else TaskExecutionEntity.of(run)

    def list_executions(self, session: Session, task_id: Any) -> list[TaskExecutionEntity]:
        """Return the runs of a task, the first one first."""
        key = uuid_of(task_id, "task_id")
        tasks.get(session, key)
        query = select(TaskExecution).where(TaskExecution.task_id == key).order_by(TaskExecution.attempt)
        return [TaskExecutionEntity.of(row) for row in session.scalars(query)]

    # -- interactions -----------------------------------------------------------------------

    def create_interaction(self, session: Session, new: NewInteraction) -> AgentInteractionEntity:
        """Write down an exchange."""
        row = AgentInteraction(**new.model_dump(), created_at=self.clock())
        return AgentInteractionEntity.of(interactions.add(session, row))

    def list_interactions(
        self, session: Session, user_id: str | None, after: str | None, size: int
    ) -> KeysetPage[AgentInteractionEntity]:
        """Return exchanges, the newest first."""
        where = {} if user_id is None else {"user_id": user_of(user_id)}
        page = interactions.keyset(session, after=after, size=size, where=where, order_by="-id")
        return _page(AgentInteractionEntity, page)

    # -- conversations ----------------------------------------------------------------------

    def create_conversation(self, session: Session, new: NewConversation) -> ConversationEntity:
        """Begin a conversation."""
        return ConversationEntity.of(conversations.add(session, Conversation(**new.model_dump())))

    def get_conversation(self, session: Session, conversation_id: Any) -> ConversationEntity:
        """Return a conversation, without its messages."""
        key = uuid_of(conversation_id, "conversation_id")
        return ConversationEntity.of(conversations.get(session, key))

    def delete_conversation(self, session: Session, conversation_id: Any) -> bool:
        """Delete a conversation, softly."""
        return conversations.delete(session, uuid_of(conversation_id, "conversation_id"))

    def create_message(self, session: Session, conversation_id: Any, new: NewMessage) -> MessageEntity:
        """Add something that was said at the end of a conversation."""
        # Locked, so that two speakers at once do not take the same place.
        talk = conversations.lock(session, uuid_of(conversation_id, "conversation_id"))
        last = session.scalar(select(func.max(Message.position)).where(Message.conversation_id == talk.id))
        row = Message(
            conversation_id=talk.id, position=(last or 0) + 1, created_at=self.clock(), **new.model_dump()
        )
        session.add(row)
        session.flush()
        return MessageEntity.of(row)

    def list_messages(self, session: Session, conversation_id: Any, last: Any) -> list[MessageEntity]:
        """Return the *last* messages of a conversation, the oldest of them first."""
        if isinstance(last, bool) or not isinstance(last, int) or not 1 <= last <= _MOST_MESSAGES:
            msg = f"last: a whole number from 1 to {_MOST_MESSAGES} expected"
            raise ValidationError(msg, details={"field": "last"})
        key = uuid_of(conversation_id, "conversation_id")
        conversations.get(session, key)
        query = select(Message).where(Message.conversation_id == key)
        rows = list(session.scalars(query.order_by(Message.position.desc()).limit(last)))
        return [MessageEntity.of(row) for row in reversed(rows)]


def _page(kind: type[E], page: KeysetPage[Any]) -> KeysetPage[E]:
    return KeysetPage([kind.of(row) for row in page.items], page.next_cursor)


def _json(value: Any) -> Any:
    """Return *value* when it can be stored as JSON.

    Raises:
        ValidationError: It cannot.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        text = "\x00"
    if "\\u0000" in text or "\x00" in text:
        raise ValidationError("output: JSON expected, without zero bytes", details={"field": "output"})
    return value


def _tokens(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2**31 - 1:
        raise ValidationError("tokens: a whole number >= 0 expected", details={"field": "tokens"})
    return value


def _delay(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 31_536_000:
        raise ValidationError("retry_in: seconds >= 0 expected", details={"field": "retry_in"})
    return float(value)
