"""The documented spelling of :mod:`shared.agents`, for code that was written against it."""

from shared.agents import (
    AgentSystemConfig,
    aget_agent_config_for_system,
    aget_agent_system,
    ashould_use_enhanced_agent,
    get_agent_config_for_system,
    get_agent_memory_config,
    get_agent_model,
    get_agent_model_config,
    get_agent_system,
    get_agent_timeouts,
    get_agent_tools_config,
    should_use_enhanced_agent,
    validate_agent_config,
)
from shared.config import get_agent_settings

__all__ = [
    "AgentSystemConfig",
    "aget_agent_config_for_system",
    "aget_agent_system",
    "ashould_use_enhanced_agent",
    "get_agent_config_for_system",
    "get_agent_memory_config",
    "get_agent_model",
    "get_agent_model_config",
    "get_agent_settings",
    "get_agent_system",
    "get_agent_timeouts",
    "get_agent_tools_config",
    "should_use_enhanced_agent",
    "validate_agent_config",
]
