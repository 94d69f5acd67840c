"""Agents, tasks and conversations for coroutines: the same work."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

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
from shared.database import AsyncDAO, KeysetPage, utc_now

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["AsyncAgentDAO", "AsyncAgentInteractionDAO", "AsyncConversationDAO", "AsyncTaskDAO"]

_PAGE = FieldLimit.PAGE_SIZE_DEFAULT


class _Base(AsyncDAO):
    def __init__(
        self, database: "Database | None" = None, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__(database)
        self._work = AgentWork(clock)


class AsyncAgentDAO(_Base):
    """An :class:`AgentDAO` for coroutines.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...         agents = AsyncAgentDAO(db)
        ...         clerk = await agents.create_agent({"user_id": "u-1", "name": "clerk"})
        ...         print((await agents.get_agent(clerk.id)).name)
        >>> asyncio.run(main())
        clerk
    """

    async def create_agent(
        self, agent_data: NewAgent | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> AgentEntity:
        """Make an agent."""
        return await self.write(self._work.create_agent, NewAgent.parse(agent_data), session=session)

    async def get_agent(self, agent_id: Any, *, session: AsyncSession | None = None) -> AgentEntity:
        """Return an agent."""
        return await self.read(self._work.get_agent, agent_id, session=session)

    async def update_agent(
        self, agent_id: Any, changes: Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> AgentEntity:
        """Change ``name``, ``description``, ``system``, ``status`` or ``details`` of an agent."""
        return await self.write(self._work.update_agent, agent_id, changes, session=session)

    async def delete_agent(self, agent_id: Any, *, session: AsyncSession | None = None) -> bool:
        """Delete an agent, softly; tell whether there was one."""
        return await self.write(self._work.delete_agent, agent_id, session=session)

    async def list_agents(
        self,
        *,
        user_id: str | None = None,
        after: str | None = None,
        size: int = _PAGE,
        session: AsyncSession | None = None,
    ) -> KeysetPage[AgentEntity]:
        """Return agents, the newest first; *after* is ``next_cursor`` of the page before."""
        return await self.read(self._work.list_agents, user_id, after, size, session=session)

    async def set_agent_config(
        self,
        system: str,
        values: Mapping[str, Any],
        *,
        agent_id: Any = None,
        session: AsyncSession | None = None,
    ) -> AgentConfigEntity:
        """Write the configuration of a system, or of one agent; keys left out stay, None clears one."""
        return await self.write(self._work.set_config, system, values, agent_id, session=session)


class AsyncTaskDAO(_Base):
    """A :class:`TaskDAO` for coroutines.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...         tasks = AsyncTaskDAO(db)
        ...         task = await tasks.create_task({"user_id": "u-1", "name": "summarise"})
        ...         run = await tasks.start_task(task.id)
        ...         print(run.attempt, (await tasks.cancel_task(task.id)).status)
        >>> asyncio.run(main())
        1 cancelled
    """

    async def create_task(
        self, task_data: NewTask | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> TaskEntity:
        """Make a task that waits."""
        return await self.write(self._work.create_task, NewTask.parse(task_data), session=session)

    async def get_task(self, task_id: Any, *, session: AsyncSession | None = None) -> TaskEntity:
        """Return a task."""
        return await self.read(self._work.get_task, task_id, session=session)

    async def list_tasks(
        self,
        *,
        user_id: str | None = None,
        status: str | None = None,
        after: str | None = None,
        size: int = _PAGE,
        session: AsyncSession | None = None,
    ) -> KeysetPage[TaskEntity]:
        """Return tasks, the newest first; *after* is ``next_cursor`` of the page before."""
        return await self.read(self._work.list_tasks, user_id, status, after, size, session=session)

    async def start_task(self, task_id: Any, *, session: AsyncSession | None = None) -> TaskExecutionEntity:
        """Begin a run of a waiting task and return it."""
        _, run = await self.write(self._work.start, task_id, session=session)
        return run

    async def succeed_task(
        self,
        task_id: Any,
        *,
        output: Any = None,
        tokens: int | None = None,
        session: AsyncSession | None = None,
    ) -> TaskEntity:
        """End the run of a task well; *output* becomes its result."""
        task, run = await self.write(
            self._work.finish, task_id, "succeeded", output=output, tokens=tokens, session=session
        )
        log_run(task, run)
        return task

    async def fail_task(
        self,
        task_id: Any,
        error: object,
        *,
        retry_in: float | None = None,
        tokens: int | None = None,
        session: AsyncSession | None = None,
    ) -> TaskEntity:
        """End the run of a task badly, for good or until it is tried again."""
        task, run = await self.write(
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

    async def cancel_task(self, task_id: Any, *, session: AsyncSession | None = None) -> TaskEntity:
        """End a task that waits or runs."""
        task, run = await self.write(self._work.finish, task_id, "cancelled", session=session)
        log_run(task, run)
        return task

    async def list_executions(
        self, task_id: Any, *, session: AsyncSession | None = None
    ) -> list[TaskExecutionEntity]:
        """Return the runs of a task, the first one first."""
        return await self.read(self._work.list_executions, task_id, session=session)


class AsyncAgentInteractionDAO(_Base):
    """An :class:`AgentInteractionDAO` for coroutines.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...         exchanges = AsyncAgentInteractionDAO(db)
        ...         new = {"user_id": "u-1", "kind": "chat", "request": "hello", "tokens": 9}
        ...         print((await exchanges.create_interaction(new)).tokens)
        >>> asyncio.run(main())
        9
    """

    async def create_interaction(
        self, interaction_data: NewInteraction | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> AgentInteractionEntity:
        """Write down an exchange."""
        new = NewInteraction.parse(interaction_data)
        made = await self.write(self._work.create_interaction, new, session=session)
        log_interaction(made)
        return made

    async def list_interactions(
        self,
        *,
        user_id: str | None = None,
        after: str | None = None,
        size: int = _PAGE,
        session: AsyncSession | None = None,
    ) -> KeysetPage[AgentInteractionEntity]:
        """Return exchanges, the newest first; *after* is ``next_cursor`` of the page before."""
        return await self.read(self._work.list_interactions, user_id, after, size, session=session)


class AsyncConversationDAO(_Base):
    """A :class:`ConversationDAO` for coroutines.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("agents"))
        ...         talks = AsyncConversationDAO(db)
        ...         talk = await talks.create_conversation({"user_id": "u-1"})
        ...         _ = await talks.create_message(talk.id, {"role": "user", "content": "hello"})
        ...         print([message.content for message in await talks.list_messages(talk.id)])
        >>> asyncio.run(main())
        ['hello']
    """

    async def create_conversation(
        self, conversation_data: NewConversation | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> ConversationEntity:
        """Begin a conversation."""
        return await self.write(
            self._work.create_conversation, NewConversation.parse(conversation_data), session=session
        )

    async def get_conversation(
        self, conversation_id: Any, *, session: AsyncSession | None = None
    ) -> ConversationEntity:
        """Return a conversation, without its messages."""
        return await self.read(self._work.get_conversation, conversation_id, session=session)

    async def delete_conversation(self, conversation_id: Any, *, session: AsyncSession | None = None) -> bool:
        """Delete a conversation, softly; tell whether there was one."""
        return await self.write(self._work.delete_conversation, conversation_id, session=session)

    async def create_message(
        self,
        conversation_id: Any,
        message_data: NewMessage | Mapping[str, Any],
        *,
        session: AsyncSession | None = None,
    ) -> MessageEntity:
        """Add something that was said at the end of a conversation."""
        return await self.write(
            self._work.create_message, conversation_id, NewMessage.parse(message_data), session=session
        )

    async def list_messages(
        self, conversation_id: Any, *, last: int = 20, session: AsyncSession | None = None
    ) -> list[MessageEntity]:
        """Return the *last* messages of a conversation, the oldest of them first."""
        return await self.read(self._work.list_messages, conversation_id, last, session=session)
