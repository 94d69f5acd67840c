"""Agents: how they run, what they do, and what was said.

Which system runs tasks and with which model, from the environment with the database
behind it; agents, tasks with their runs, exchanges and conversations in tables. Importing
the room loads SQLAlchemy and pydantic and connects to nothing.

Example:
    >>> get_agent_system(), get_agent_config_for_system("enhanced")["model"]
    ('simple', 'gpt-4o-mini')
"""

from shared.agents._accessors import (
    aget_agent_config_for_system,
    aget_agent_system,
    ashould_use_enhanced_agent,
    get_agent_config_for_system,
    get_agent_configs,
    get_agent_memory_config,
    get_agent_model,
    get_agent_model_config,
    get_agent_system,
    get_agent_timeouts,
    get_agent_tools_config,
    should_use_enhanced_agent,
)
from shared.agents._config import AgentSystemConfig
from shared.agents._dao import AgentDAO, AgentInteractionDAO, ConversationDAO, TaskDAO
from shared.agents._dao_async import (
    AsyncAgentDAO,
    AsyncAgentInteractionDAO,
    AsyncConversationDAO,
    AsyncTaskDAO,
)
from shared.agents._entities import (
    AgentConfigEntity,
    AgentEntity,
    AgentInteractionEntity,
    ConversationEntity,
    MessageEntity,
    TaskEntity,
    TaskExecutionEntity,
)
from shared.agents._new import NewAgent, NewConversation, NewInteraction, NewMessage, NewTask
from shared.agents._rules import validate_agent_config
from shared.agents._source import AgentConfigs
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
    "AgentConfigs",
    "AgentDAO",
    "AgentEntity",
    "AgentInteraction",
    "AgentInteractionDAO",
    "AgentInteractionEntity",
    "AgentSystemConfig",
    "AsyncAgentDAO",
    "AsyncAgentInteractionDAO",
    "AsyncConversationDAO",
    "AsyncTaskDAO",
    "Conversation",
    "ConversationDAO",
    "ConversationEntity",
    "Message",
    "MessageEntity",
    "NewAgent",
    "NewConversation",
    "NewInteraction",
    "NewMessage",
    "NewTask",
    "Task",
    "TaskDAO",
    "TaskEntity",
    "TaskExecution",
    "TaskExecutionEntity",
    "aget_agent_config_for_system",
    "aget_agent_system",
    "ashould_use_enhanced_agent",
    "get_agent_config_for_system",
    "get_agent_configs",
    "get_agent_memory_config",
    "get_agent_model",
    "get_agent_model_config",
    "get_agent_system",
    "get_agent_timeouts",
    "get_agent_tools_config",
    "should_use_enhanced_agent",
    "validate_agent_config",
]
