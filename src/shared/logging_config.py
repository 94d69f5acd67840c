"""The documented spelling of :mod:`shared.logging`, for code that was written against it."""

from shared.logging import (
    BaseLogger,
    LogAction,
    LoggerName,
    ServiceLogger,
    bind,
    bound,
    configure_logging,
    get_agent_logger,
    get_api_logger,
    get_logger,
    get_shared_logger,
    get_web_logger,
    unbind,
)

__all__ = [
    "BaseLogger",
    "LogAction",
    "LoggerName",
    "ServiceLogger",
    "bind",
    "bound",
    "configure_logging",
    "get_agent_logger",
    "get_api_logger",
    "get_logger",
    "get_shared_logger",
    "get_web_logger",
    "unbind",
]
