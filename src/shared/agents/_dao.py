"""Agents, tasks and conversations for threads."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

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
from shared.agents._log import log_interaction, log_run
from shared.agents._new import NewAgent, NewConversation, NewInteraction, NewMessage, NewTask
from shared.agents._work import AgentWork
from shared.constants import FieldLimit
from shared.database import DAO, KeysetPage, utc_now

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AgentDAO", "AgentInteractionDAO", "ConversationDAO", "TaskDAO"]

_PAGE = FieldLimit.PAGE_SIZE_DEFAULT


class _Base(DAO):
    def __init__(
        self, database: "Database | None" = None, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(database)
        self._work = AgentWork(clock)


class AgentDAO(_Base):
    """Agents, and the configurations of agents and systems.

    Args:
        database: Where; ``get_database()`` when None.
        clock: The moment.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...     agents = AgentDAO(db)
        ...     clerk = agents.create_agent({"user_id": "u-1", "name": "clerk"})
        ...     _ = agents.set_agent_config("simple", {"temperature": 0.2}, agent_id=clerk.id)
        ...     print(agents.get_agent(clerk.id).name)
        clerk
    """

    def create_agent(
        self, agent_data: NewAgent | Mapping[str, Any], *, session: Session | None = None
    ) -> AgentEntity:
        """Make an agent.

        Raises:
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
        """
        return self.write(self._work.create_agent, NewAgent.parse(agent_data), session=session)

    def get_agent(self, agent_id: Any, *, session: Session | None = None) -> AgentEntity:
        """Return an agent.

        Raises:
            AgentNotFoundError: There is none.
            ValidationError: *agent_id* is no UUID.
        """
        return self.read(self._work.get_agent, agent_id, session=session)

    def update_agent(
        self, agent_id: Any, changes: Mapping[str, Any], *, session: Session | None = None
    ) -> AgentEntity:
        """Change ``name``, ``description``, ``system``, ``status`` or ``details`` of an agent.

        Raises:
            AgentNotFoundError: There is none.
            ValidationError: A change does not fit.
        """
        return self.write(self._work.update_agent, agent_id, changes, session=session)

    def delete_agent(self, agent_id: Any, *, session: Session | None = None) -> bool:
        """Delete an agent, softly; tell whether there was one."""
        return self.write(self._work.delete_agent, agent_id, session=session)

    def list_agents(
        self,
        *,
        user_id: str | None = None,
        after: str | None = None,
        size: int = _PAGE,
        session: Session | None = None,
    ) -> KeysetPage[AgentEntity]:
        """Return agents, the newest first; *after* is ``next_cursor`` of the page before.

        Raises:
            ValidationError: An argument is out of range.
        """
        return self.read(self._work.list_agents, user_id, after, size, session=session)

    def set_agent_config(
        self, system: str, values: Mapping[str, Any], *, agent_id: Any = None, session: Session | None = None
    ) -> AgentConfigEntity:
        """Write the configuration of a system, or of one agent; keys left out stay, None clears one.

        Raises:
            ValidationError: A value does not fit, see :func:`validate_agent_config`.
            AgentNotFoundError: There is no such agent.
        """
        return self.write(self._work.set_config, system, values, agent_id, session=session)


class TaskDAO(_Base):
    """Tasks and their runs; the end of each run is logged.

    A task is ``pending``, then ``running``, then ``succeeded``, ``failed`` or ``cancelled``;
    a failed run may put it back to ``pending``.

    Args:
        database: Where; ``get_database()`` when None.
        clock: The moment.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...     tasks = TaskDAO(db)
        ...     task = tasks.create_task({"user_id": "u-1", "name": "summarise"})
        ...     run = tasks.start_task(task.id)
        ...     print(run.attempt, tasks.succeed_task(task.id, output={"lines": 3}).status)
        1 succeeded
    """

    def create_task(
        self, task_data: NewTask | Mapping[str, Any], *, session: Session | None = None
    ) -> TaskEntity:
        """Make a task that waits.

        Raises:
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
            AgentNotFoundError: There is no such agent.
        """
        return self.write(self._work.create_task, NewTask.parse(task_data), session=session)

    def get_task(self, task_id: Any, *, session: Session | None = None) -> TaskEntity:
        """Return a task.

        Raises:
            ResourceNotFoundError: There is none.
            ValidationError: *task_id* is no UUID.
        """
        return self.read(self._work.get_task, task_id, session=session)

    def list_tasks(
        self,
        *,
        user_id: str | None = None,
        status: str | None = None,
        after: str | None = None,
        size: int = _PAGE,
        session: Session | None = None,
    ) -> KeysetPage[TaskEntity]:
        """Return tasks, the newest first; *after* is ``next_cursor`` of the page before.

        Raises:
            ValidationError: An argument is out of range.
        """
        return self.read(self._work.list_tasks, user_id, status, after, size, session=session)

    def start_task(self, task_id: Any, *, session: Session | None = None) -> TaskExecutionEntity:
        """Begin a run of a waiting task and return it.

        Raises:
            InvalidStateError: It is not pending.
            ResourceNotFoundError: There is none.
        """
        _, run = self.write(self._work.start, task_id, session=session)
        return run

    def succeed_task(
        self, task_id: Any, *, output: Any = None, tokens: int | None = None, session: Session | None = None
    ) -> TaskEntity:
        """End the run of a task well; *output* becomes its result.

        Raises:
            InvalidStateError: It is not running.
            ValidationError: *output* is no JSON.
            ResourceNotFoundError: There is none.
        """
        task, run = self.write(
            self._work.finish, task_id, "succeeded", output=output, tokens=tokens, session=session
        )
        log_run(task, run)
        return task

    def fail_task(
        self,
        task_id: Any,
        error: object,
        *,
        retry_in: float | None = None,
        tokens: int | None = None,
        session: Session | None = None,
    ) -> TaskEntity:
        """End the run of a task badly, for good or until it is tried again.

        Args:
            task_id: Which.
            error: What went wrong; stored cut, with secrets masked.
            retry_in: Seconds after which it may run again; None ends it.
            tokens: Tokens that the run took.
            session: Of the caller.

        Raises:
            InvalidStateError: It is not running.
            ResourceNotFoundError: There is none.
        """
        task, run = self.write(
            self._work.finish,
            task_id,
            "failed",
            error=error,
            tokens=tokens,
            retry_in=retry_in,
            session=session,
        )
        log_run(task, run)
        return task

    def cancel_task(self, task_id: Any, *, session: Session | None = None) -> TaskEntity:
        """End a task that waits or runs.

        Raises:
            InvalidStateError: It has ended.
            ResourceNotFoundError: There is none.
        """
        task, run = self.write(self._work.finish, task_id, "cancelled", session=session)
        log_run(task, run)
        return task

    def list_executions(self, task_id: Any, *, session: Session | None = None) -> list[TaskExecutionEntity]:
        """Return the runs of a task, the first one first.

        Raises:
            ResourceNotFoundError: There is none.
        """
        return self.read(self._work.list_executions, task_id, session=session)


class AgentInteractionDAO(_Base):
    """Exchanges with agents, for statistics and support; each is logged, without what was said.

    Args:
        database: Where; ``get_database()`` when None.
        clock: The moment.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...     exchanges = AgentInteractionDAO(db)
        ...     new = {"user_id": "u-1", "kind": "chat", "request": "hello", "tokens": 9}
        ...     print(exchanges.create_interaction(new).tokens)
        9
    """

    def create_interaction(
        self, interaction_data: NewInteraction | Mapping[str, Any], *, session: Session | None = None
    ) -> AgentInteractionEntity:
        """Write down an exchange.

        Raises:
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
        """
        new = NewInteraction.parse(interaction_data)
        made = self.write(self._work.create_interaction, new, session=session)
        log_interaction(made)
        return made

    def list_interactions(
        self,
        *,
        user_id: str | None = None,
        after: str | None = None,
        size: int = _PAGE,
        session: Session | None = None,
    ) -> KeysetPage[AgentInteractionEntity]:
        """Return exchanges, the newest first; *after* is ``next_cursor`` of the page before.

        Raises:
            ValidationError: An argument is out of range.
        """
        return self.read(self._work.list_interactions, user_id, after, size, session=session)


class ConversationDAO(_Base):
    """Conversations and what was said in them, in order.

    Args:
        database: Where; ``get_database()`` when None.
        clock: The moment.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...     talks = ConversationDAO(db)
        ...     talk = talks.create_conversation({"user_id": "u-1"})
        ...     _ = talks.create_message(talk.id, {"role": "user", "content": "hello"})
        ...     print([message.content for message in talks.list_messages(talk.id)])
        ['hello']
    """

    def create_conversation(
        self, conversation_data: NewConversation | Mapping[str, Any], *, session: Session | None = None
    ) -> ConversationEntity:
        """Begin a conversation.

        Raises:
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
        """
        return self.write(
            self._work.create_conversation, NewConversation.parse(conversation_data), session=session
        )

    def get_conversation(self, conversation_id: Any, *, session: Session | None = None) -> ConversationEntity:
        """Return a conversation, without its messages.

        Raises:
            ResourceNotFoundError: There is none.
            ValidationError: *conversation_id* is no UUID.
        """
        return self.read(self._work.get_conversation, conversation_id, session=session)

    def delete_conversation(self, conversation_id: Any, *, session: Session | None = None) -> bool:
        """Delete a conversation, softly; tell whether there was one."""
        return self.write(self._work.delete_conversation, conversation_id, session=session)

    def create_message(
        self,
        conversation_id: Any,
        message_data: NewMessage | Mapping[str, Any],
        *,
        session: Session | None = None,
    ) -> MessageEntity:
        """Add something that was said at the end of a conversation.

        Raises:
            ResourceNotFoundError: There is no such conversation.
            ValidationError: The data does not fit; ``details["errors"]`` list the fields.
        """
        return self.write(
            self._work.create_message, conversation_id, NewMessage.parse(message_data), session=session
        )

    def list_messages(
        self, conversation_id: Any, *, last: int = 20, session: Session | None = None
    ) -> list[MessageEntity]:
        """Return the *last* messages of a conversation, the oldest of them first.

        Raises:
            ResourceNotFoundError: There is no such conversation.
            ValidationError: *last* is not between 1 and 10000.
        """
        return self.read(self._work.list_messages, conversation_id, last, session=session)
