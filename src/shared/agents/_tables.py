"""Agents, what they are told, what they do and what was said."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.database import Base, Json, SoftDelete, Timestamps, UUIDKey, Versioned, utc_now

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentInteraction",
    "Conversation",
    "Message",
    "Task",
    "TaskExecution",
]

_SYSTEMS: Final = "system IN ('simple', 'enhanced')"
_OF_ALL = text("agent_id IS NULL")


class Agent(UUIDKey, Timestamps, SoftDelete, Versioned, Base):
    """Somebody's agent: a name, a system that runs it, and what it is for.

    ``user_id`` is no foreign key: users may live in another service.

    Example:
        >>> Agent(user_id="u-1", name="clerk", system="simple").system
        'simple'
    """

    __tablename__ = "agents_agents"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (
        CheckConstraint(_SYSTEMS, name="system"),
        CheckConstraint("status IN ('active', 'paused', 'retired')", name="status"),
        Index("ix_agents_agents_user_id_id", "user_id", "id"),
    )

    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    system: Mapped[str] = mapped_column(String(20), default="simple")
    status: Mapped[str] = mapped_column(String(20), default="active")
    details: Mapped[dict[str, Any] | None]


class AgentConfig(UUIDKey, Timestamps, Versioned, Base):
    """The configuration of one agent, or of a whole system when ``agent_id`` is None.

    What is None is taken from the settings; the columns are named as the ``AGENT_…``
    variables are. Times are seconds.

    Example:
        >>> AgentConfig(system="enhanced", temperature=0.2).temperature
        0.2
    """

    __tablename__ = "agents_configs"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (
        UniqueConstraint("agent_id", "system"),
        Index(
            "uq_agents_configs_of_all", "system", unique=True, postgresql_where=_OF_ALL, sqlite_where=_OF_ALL
        ),
        CheckConstraint(_SYSTEMS, name="system"),
        CheckConstraint("temperature >= 0 AND temperature <= 2", name="temperature"),
        CheckConstraint("max_tokens > 0", name="max_tokens"),
        CheckConstraint("max_attempts > 0", name="max_attempts"),
        CheckConstraint("max_iterations > 0", name="max_iterations"),
        CheckConstraint("task_timeout > 0 AND tool_timeout > 0", name="timeouts"),
        CheckConstraint("retry_delay >= 0", name="retry_delay"),
        CheckConstraint("memory_max_messages > 0", name="memory_max_messages"),
    )

    agent_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("agents_agents.id", ondelete="CASCADE")
    )
    system: Mapped[str] = mapped_column(String(20))
    model: Mapped[str | None] = mapped_column(String(100))
    temperature: Mapped[float | None]
    max_tokens: Mapped[int | None]
    task_timeout: Mapped[float | None]
    max_attempts: Mapped[int | None]
    retry_delay: Mapped[float | None]
    max_iterations: Mapped[int | None]
    memory_enabled: Mapped[bool | None]
    memory_max_messages: Mapped[int | None]
    tools: Mapped[list[str] | None] = mapped_column(Json())
    tool_timeout: Mapped[float | None]
    instructions: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)


class Task(UUIDKey, Timestamps, Versioned, Base):
    """Something an agent is to do.

    Example:
        >>> Task(user_id="u-1", name="summarise", status="pending").status
        'pending'
    """

    __tablename__ = "agents_tasks"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')", name="status"
        ),
        Index("ix_agents_tasks_user_id_id", "user_id", "id"),
        Index("ix_agents_tasks_status_available_at", "status", "available_at"),
    )

    agent_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("agents_agents.id", ondelete="SET NULL"), index=True
    )
    user_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20), default="pending")
    priority: Mapped[int] = mapped_column(default=0)
    payload: Mapped[Any] = mapped_column(Json(), nullable=True)
    result: Mapped[Any] = mapped_column(Json(), nullable=True)
    error: Mapped[str | None] = mapped_column(Text)
    available_at: Mapped[datetime] = mapped_column(default=utc_now)
    finished_at: Mapped[datetime | None]
    executions: Mapped[list["TaskExecution"]] = relationship(
        lambda: TaskExecution,
        lazy="raise",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by=lambda: TaskExecution.attempt,
    )


class TaskExecution(UUIDKey, Base):
    """One run of a task.

    Example:
        >>> TaskExecution(attempt=1, status="running").attempt
        1
    """

    __tablename__ = "agents_task_executions"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (
        UniqueConstraint("task_id", "attempt"),
        CheckConstraint("status IN ('running', 'succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint("attempt > 0", name="attempt"),
        CheckConstraint("duration_ms >= 0 AND tokens >= 0", name="measures"),
    )

    task_id: Mapped[uuid.UUID] = mapped_column(Uuid(), ForeignKey("agents_tasks.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(default=1)
    status: Mapped[str] = mapped_column(String(20), default="running")
    started_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    finished_at: Mapped[datetime | None]
    duration_ms: Mapped[float | None]
    tokens: Mapped[int | None]
    output: Mapped[Any] = mapped_column(Json(), nullable=True)
    error: Mapped[str | None] = mapped_column(Text)


class AgentInteraction(UUIDKey, Base):
    """One exchange with an agent, for statistics and support.

    Example:
        >>> AgentInteraction(user_id="u-1", kind="chat").kind
        'chat'
    """

    __tablename__ = "agents_interactions"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (
        Index("ix_agents_interactions_user_id_id", "user_id", "id"),
        CheckConstraint("duration_ms >= 0 AND tokens >= 0", name="measures"),
    )

    agent_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("agents_agents.id", ondelete="SET NULL"), index=True
    )
    user_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(40))
    request: Mapped[Any] = mapped_column(Json(), nullable=True)
    response: Mapped[Any] = mapped_column(Json(), nullable=True)
    is_success: Mapped[bool] = mapped_column(default=True)
    duration_ms: Mapped[float | None]
    tokens: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class Conversation(UUIDKey, Timestamps, SoftDelete, Versioned, Base):
    """Messages that belong together.

    Example:
        >>> Conversation(user_id="u-1", title="the invoice").title
        'the invoice'
    """

    __tablename__ = "agents_conversations"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (Index("ix_agents_conversations_user_id_id", "user_id", "id"),)

    agent_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("agents_agents.id", ondelete="SET NULL"), index=True
    )
    user_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str | None] = mapped_column(String(255))
    summary: Mapped[str | None] = mapped_column(Text)
    messages: Mapped[list["Message"]] = relationship(
        lambda: Message,
        lazy="raise",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by=lambda: Message.position,
    )


class Message(UUIDKey, Base):
    """Something that was said in a conversation.

    Example:
        >>> Message(position=1, role="user", content="hello").role
        'user'
    """

    __tablename__ = "agents_messages"
    __room__: ClassVar[str] = "agents"
    __table_args__ = (
        UniqueConstraint("conversation_id", "position"),
        CheckConstraint("role IN ('system', 'user', 'assistant', 'tool')", name="role"),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("tokens >= 0", name="tokens"),
    )

    conversation_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), ForeignKey("agents_conversations.id", ondelete="CASCADE")
    )
    position: Mapped[int]
    role: Mapped[str] = mapped_column(String(20))
    content: Mapped[str] = mapped_column(Text)
    tokens: Mapped[int | None]
    details: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
