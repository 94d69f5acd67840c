"""The configuration of agents in the current runtime."""

from typing import Any

from shared.agents._config import AgentSystemConfig
from shared.agents._source import AgentConfigs
from shared.runtime import Runtime, current

__all__ = [
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
]


def get_agent_configs() -> AgentConfigs:
    """Return the current runtime's configurations of agents.

    Example:
        >>> get_agent_configs() is get_agent_configs()
        True
    """
    return current().get(AgentConfigs, _configs)


def get_agent_system(agent_id: Any = None) -> str:
    """Return which system runs tasks, or those of an agent: ``"simple"`` or ``"enhanced"``.

    ``AGENT_SYSTEM`` and the agent's row decide, in the order of ``AGENT_CONFIG_ORDER``.

    Raises:
        ValidationError: *agent_id* is no UUID.
        AgentNotFoundError: The database knows no such agent.

    Example:
        >>> get_agent_system()
        'simple'
    """
    return get_agent_configs().system(agent_id)


async def aget_agent_system(agent_id: Any = None) -> str:
    """As :func:`get_agent_system`, without blocking the event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_agent_system())
        'simple'
    """
    return await get_agent_configs().asystem(agent_id)


def should_use_enhanced_agent(agent_id: Any = None) -> bool:
    """Tell whether tasks, or those of an agent, are run by the enhanced system.

    Raises:
        ValidationError: *agent_id* is no UUID.
        AgentNotFoundError: The database knows no such agent.

    Example:
        >>> should_use_enhanced_agent()
        False
    """
    return get_agent_system(agent_id) == "enhanced"


async def ashould_use_enhanced_agent(agent_id: Any = None) -> bool:
    """As :func:`should_use_enhanced_agent`, without blocking the event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(ashould_use_enhanced_agent())
        False
    """
    return await aget_agent_system(agent_id) == "enhanced"


def get_agent_config_for_system(system: str | None = None, agent_id: Any = None) -> AgentSystemConfig:
    """Return how agents of *system*, or one agent, run; ``.source(key)`` says where a value came from.

    Args:
        system: ``"simple"`` or ``"enhanced"``; :func:`get_agent_system` decides when None.
        agent_id: UUID of an agent, whose own row comes before that of the system.

    Raises:
        ValidationError: There is no such system, or *agent_id* is no UUID.
        AgentNotFoundError: The database knows no such agent.

    Example:
        >>> config = get_agent_config_for_system("enhanced")
        >>> config["model"], config["temperature"], config.source("model")
        ('gpt-4o-mini', 0.7, 'default')
    """
    return get_agent_configs().get(system, agent_id)


async def aget_agent_config_for_system(system: str | None = None, agent_id: Any = None) -> AgentSystemConfig:
    """As :func:`get_agent_config_for_system`, without blocking the event loop.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_agent_config_for_system("simple"))["max_attempts"]
        3
    """
    return await get_agent_configs().aget(system, agent_id)


def get_agent_model(system: str | None = None, agent_id: Any = None) -> str:
    """Return the name of the model that agents of *system* ask.

    Example:
        >>> get_agent_model("enhanced")
        'gpt-4o-mini'
    """
    return str(get_agent_config_for_system(system, agent_id)["model"])


def get_agent_model_config(system: str | None = None, agent_id: Any = None) -> dict[str, Any]:
    """Return how the model is asked, as keywords of ``create_chat_completion``.

    Returns:
        ``{"model": str, "temperature": float, "max_tokens": int | None}``.

    Example:
        >>> get_agent_model_config("simple")
        {'model': 'gpt-4o-mini', 'temperature': 0.7, 'max_tokens': None}
    """
    return _part(system, agent_id, "model", "temperature", "max_tokens")


def get_agent_timeouts(system: str | None = None, agent_id: Any = None) -> dict[str, Any]:
    """Return how long tasks and tools may run, and how often a failing task is run; seconds.

    Returns:
        ``{"task_timeout": float, "tool_timeout": float, "max_attempts": int,
        "retry_delay": float}``.

    Example:
        >>> get_agent_timeouts("simple")["task_timeout"]
        300.0
    """
    return _part(system, agent_id, "task_timeout", "tool_timeout", "max_attempts", "retry_delay")


def get_agent_memory_config(system: str | None = None, agent_id: Any = None) -> dict[str, Any]:
    """Return whether agents remember the conversation, and how much of it.

    Returns:
        ``{"memory_enabled": bool, "memory_max_messages": int}``.

    Example:
        >>> get_agent_memory_config()
        {'memory_enabled': True, 'memory_max_messages': 20}
    """
    return _part(system, agent_id, "memory_enabled", "memory_max_messages")


def get_agent_tools_config(system: str | None = None, agent_id: Any = None) -> dict[str, Any]:
    """Return which tools agents may use, how long, and how many steps a task may take.

    Returns:
        ``{"tools": list[str], "tool_timeout": float, "max_iterations": int}``.

    Example:
        >>> get_agent_tools_config()
        {'tools': [], 'tool_timeout': 30.0, 'max_iterations': 10}
    """
    return _part(system, agent_id, "tools", "tool_timeout", "max_iterations")


def _part(system: str | None, agent_id: Any, *keys: str) -> dict[str, Any]:
    config = get_agent_config_for_system(system, agent_id)
    return {key: config[key] for key in keys}


def _configs(_: Runtime) -> AgentConfigs:
    return AgentConfigs()
