"""Agents and what they do as values: free of any session, frozen. What was said is not in the repr."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from shared.database import Entity

__all__ = [
    "AgentConfigEntity",
    "AgentEntity",
    "AgentInteractionEntity",
    "ConversationEntity",
    "MessageEntity",
    "TaskEntity",
    "TaskExecutionEntity",
]

System = Literal["simple", "enhanced"]


class AgentEntity(Entity):
    """An agent as it is now.

    Example:
        >>> AgentEntity.model_fields["system"].annotation.__args__
        ('simple', 'enhanced')
    """

    id: uuid.UUID
    user_id: str
    name: str
    description: str | None
    system: System
    status: Literal["active", "paused", "retired"]
    details: dict[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


class AgentConfigEntity(Entity):
    """The configuration of an agent or of a whole system; what is None is taken from the settings.

    Example:
        >>> AgentConfigEntity.model_fields["instructions"].repr
        False
    """

    id: uuid.UUID
    agent_id: uuid.UUID | None
    system: System
    model: str | None
    temperature: float | None
    max_tokens: int | None
    task_timeout: float | None
    max_attempts: int | None
    retry_delay: float | None
    max_iterations: int | None
    memory_enabled: bool | None
    memory_max_messages: int | None
    tools: tuple[str, ...] | None
    tool_timeout: float | None
    instructions: str | None = Field(repr=False)
    is_active: bool
    version: int


class TaskEntity(Entity):
    """A task as it is now.

    Example:
        >>> TaskEntity.model_fields["payload"].repr
        False
    """

    id: uuid.UUID
    agent_id: uuid.UUID | None
    user_id: str
    name: str
    status: Literal["pending", "running", "succeeded", "failed", "cancelled"]
    priority: int
    payload: Any = Field(repr=False)
    result: Any = Field(repr=False)
    error: str | None
    available_at: datetime
    finished_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class TaskExecutionEntity(Entity):
    """One run of a task.

    Example:
        >>> "attempt" in TaskExecutionEntity.model_fields
        True
    """

    id: uuid.UUID
    task_id: uuid.UUID
    attempt: int
    status: Literal["running", "succeeded", "failed", "cancelled"]
    started_at: datetime
    finished_at: datetime | None
    duration_ms: float | None
    tokens: int | None
    output: Any = Field(repr=False)
    error: str | None


class AgentInteractionEntity(Entity):
    """One exchange with an agent.

    Example:
        >>> AgentInteractionEntity.model_fields["request"].repr
        False
    """

    id: uuid.UUID
    agent_id: uuid.UUID | None
    user_id: str
    kind: str
    request: Any = Field(repr=False)
    response: Any = Field(repr=False)
    is_success: bool
    duration_ms: float | None
    tokens: int | None
    created_at: datetime


class ConversationEntity(Entity):
    """A conversation, without its messages.

    Example:
        >>> ConversationEntity.model_fields["title"].repr
        False
    """

    id: uuid.UUID
    agent_id: uuid.UUID | None
    user_id: str
    title: str | None = Field(repr=False)
    summary: str | None = Field(repr=False)
    version: int
    created_at: datetime
    updated_at: datetime


class MessageEntity(Entity):
    """Something that was said.

    Example:
        >>> MessageEntity.model_fields["content"].repr
        False
    """

    id: uuid.UUID
    conversation_id: uuid.UUID
    position: int
    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field(repr=False)
    tokens: int | None
    details: dict[str, Any] | None = Field(repr=False)
    created_at: datetime
