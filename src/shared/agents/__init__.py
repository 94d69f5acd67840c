"""The tables of agents: what they are told, what they do and what was said, each with its entity.

Importing the room loads SQLAlchemy and pydantic and connects to nothing.
"""

from shared.agents._entities import (
    AgentConfigEntity,
    AgentEntity,
    AgentInteractionEntity,
    ConversationEntity,
    MessageEntity,
    TaskEntity,
    TaskExecutionEntity,
)
from shared.agents._tables import (
    Agent,
    AgentConfig,
    AgentInteraction,
    Conversation,
    Message,
    Task,
    TaskExecution,
)

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentConfigEntity",
    "AgentEntity",
    "AgentInteraction",
    "AgentInteractionEntity",
    "Conversation",
    "ConversationEntity",
    "Message",
    "MessageEntity",
    "Task",
    "TaskEntity",
    "TaskExecution",
    "TaskExecutionEntity",
]
