"""Loggers with the calls that every service makes: API calls, tasks, agents, security, database."""

from typing import Any, Final

from shared.logging._levels import CRITICAL, ERROR, INFO, NUMBERS, WARNING, level_or_info
from shared.logging._logger import BoundLogger
from shared.logging._names import LogAction, LoggerName

__all__ = [
    "BaseLogger",
    "ServiceLogger",
    "get_agent_logger",
    "get_api_logger",
    "get_shared_logger",
    "get_web_logger",
]

_GOOD: Final = frozenset(
    {"ok", "success", "succeeded", "completed", "complete", "done", "started", "running"}
)
_UNFINISHED: Final = frozenset(
    {
        "cancelled",
        "canceled",
        "degraded",
        "partial",
        "pending",
        "queued",
        "rejected",
        "retry",
        "retrying",
        "skipped",
    }
)
_SLOW_QUERY_MS: Final = 1000.0


class ServiceLogger(BoundLogger):
    """A logger that also knows the events common to all services.

    Each method writes one line under a fixed event name with fixed field names, at
    the level that the outcome calls for, and takes any further fields as keywords.
    What is None is left out.

    Example:
        >>> from shared.logging import ServiceLogger, capture_logs
        >>> log = ServiceLogger("billing").bind(region="eu")
        >>> with capture_logs() as events:
        ...     log.log_task_execution("close_month", "retrying", attempt=2)
        >>> events[0]["level"], events[0]["region"], events[0]["attempt"]
        ('warning', 'eu', 2)
    """

    __slots__ = ()

    def log_api_call(
        self,
        endpoint: str,
        method: str,
        status: int | str,
        duration_ms: float | None = None,
        user_id: Any = None,
        **fields: Any,
    ) -> None:
        """Log a call of an API: error from status 500 on, warning from 400 on, else info.

        Args:
            endpoint: Path or route template.
            method: HTTP method.
            status: HTTP status.
            duration_ms: Time taken, in milliseconds.
            user_id: For whom.
            **fields: Whatever else is known.

        Example:
            >>> from shared.logging import capture_logs, get_api_logger
            >>> with capture_logs() as events:
            ...     get_api_logger().log_api_call("/users", "GET", 503, 150, "user-123")
            >>> events[0]["event"], events[0]["level"], events[0]["status"], events[0]["duration_ms"]
            ('api_call', 'error', 503, 150)
        """
        self._outcome(
            _level_of_status(status),
            LogAction.API_CALL,
            {
                "endpoint": endpoint,
                "method": method,
                "status": status,
                "duration_ms": duration_ms,
                "user_id": user_id,
            },
            fields,
        )

    def log_task_execution(
        self,
        task: str,
        status: str,
        duration_ms: float | None = None,
        user_id: Any = None,
        **fields: Any,
    ) -> None:
        """Log the run of a task: info when it went well, warning when unfinished, else error.

        Args:
            task: Name of the task.
            status: ``"success"``, ``"retrying"``, ``"failed"`` …
            duration_ms: Time taken, in milliseconds.
            user_id: For whom.
            **fields: Whatever else is known.

        Example:
            >>> from shared.logging import capture_logs, get_agent_logger
            >>> with capture_logs() as events:
            ...     get_agent_logger().log_task_execution("process_data", "success", 500, "user-123")
            >>> events[0]["event"], events[0]["level"], events[0]["task"], events[0]["user_id"]
            ('task_execution', 'info', 'process_data', 'user-123')
        """
        self._outcome(
            _level_of_word(status),
            LogAction.TASK_EXECUTION,
            {"task": task, "status": status, "duration_ms": duration_ms, "user_id": user_id},
            fields,
        )

    def log_agent_interaction(
        self,
        agent_id: str,
        interaction: str,
        status: str = "success",
        duration_ms: float | None = None,
        user_id: Any = None,
        **fields: Any,
    ) -> None:
        """Log what an agent did with or for somebody; levels as :meth:`log_task_execution`.

        Args:
            agent_id: Which agent.
            interaction: Kind: ``"message"``, ``"tool_call"``, ``"handover"`` …
            status: How it went.
            duration_ms: Time taken, in milliseconds.
            user_id: With or for whom.
            **fields: Whatever else is known: ``model=``, ``prompt_tokens=`` …

        Example:
            >>> from shared.logging import capture_logs, get_agent_logger
            >>> with capture_logs() as events:
            ...     get_agent_logger().log_agent_interaction("a-1", "tool_call", "failed", tool="search")
            >>> events[0]["level"], events[0]["agent_id"], events[0]["tool"]
            ('error', 'a-1', 'search')
        """
        self._outcome(
            _level_of_word(status),
            LogAction.AGENT_INTERACTION,
            {
                "agent_id": agent_id,
                "interaction": interaction,
                "status": status,
                "duration_ms": duration_ms,
                "user_id": user_id,
            },
            fields,
        )

    def log_security_event(
        self,
        event_type: str,
        user_id: Any = None,
        *,
        severity: str = "warning",
        success: bool | None = None,
        ip_address: str | None = None,
        **fields: Any,
    ) -> None:
        """Log something that matters to who guards the service.

        Args:
            event_type: What: ``"login_failed"``, ``"permission_denied"`` …
            user_id: Who.
            severity: Level of the line, ``"info"`` to ``"critical"``.
            success: Whether the attempt got through.
            ip_address: From where.
            **fields: Whatever else is known.

        Example:
            >>> from shared.logging import capture_logs, get_api_logger
            >>> with capture_logs() as events:
            ...     get_api_logger().log_security_event("login_failed", "u-1", ip_address="203.0.113.9")
            >>> events[0]["level"], events[0]["event_type"], events[0]["ip_address"]
            ('warning', 'login_failed', '203.0.113.9')
        """
        self._outcome(
            NUMBERS.get(severity) or level_or_info(severity),
            LogAction.SECURITY_EVENT,
            {"event_type": event_type, "user_id": user_id, "success": success, "ip_address": ip_address},
            fields,
        )

    def log_database_operation(
        self,
        operation: str,
        table: str,
        duration_ms: float | None = None,
        rows: int | None = None,
        *,
        error: BaseException | str | None = None,
        slow_ms: float = _SLOW_QUERY_MS,
        **fields: Any,
    ) -> None:
        """Log a database operation: error when it failed, warning when slow, else info.

        Args:
            operation: ``"select"``, ``"insert"`` …
            table: On what.
            duration_ms: Time taken, in milliseconds.
            rows: Rows read or changed.
            error: What went wrong; an exception comes with its frames.
            slow_ms: From this many milliseconds on it counts as slow.
            **fields: Whatever else is known.

        Example:
            >>> from shared.logging import capture_logs, get_shared_logger
            >>> with capture_logs() as events:
            ...     get_shared_logger().log_database_operation("select", "users", 1250.0, rows=3)
            >>> events[0]["level"], events[0]["slow"], events[0]["rows"]
            ('warning', True, 3)
        """
        slow = isinstance(duration_ms, int | float) and duration_ms >= slow_ms
        known: dict[str, Any] = {
            "operation": operation,
            "table": table,
            "duration_ms": duration_ms,
            "rows": rows,
            "slow": True if slow else None,
        }
        if isinstance(error, BaseException):
            known["exc_info"] = error
        else:
            known["error"] = error
        level = ERROR if error is not None else WARNING if slow else INFO
        self._outcome(level, LogAction.DATABASE_OPERATION, known, fields)

    def _outcome(self, level: int, event: str, known: dict[str, Any], fields: dict[str, Any]) -> None:
        if self._logger.threshold > level:
            return
        named = {key: value for key, value in known.items() if value is not None}
        for key, value in fields.items():
            named[f"extra.{key}" if key in known else key] = value
        self.log(level, str(event), **named)


class BaseLogger(ServiceLogger):
    """A logger made from a :class:`LoggerName`, for calls with ``action=`` and ``message=``.

    Example:
        >>> from shared.logging import BaseLogger, LogAction, LoggerName, capture_logs
        >>> logger = BaseLogger(LoggerName.USER)
        >>> with capture_logs() as events:
        ...     logger.info(action=LogAction.USER_REGISTRATION_SUCCESS, message="User created")
        >>> events[0]["event"], events[0]["action"], events[0]["logger"]
        ('User created', <LogAction.USER_REGISTRATION_SUCCESS: 'user_registration_success'>, 'user')
    """

    __slots__ = ()


def _level_of_status(status: int | str) -> int:
    try:
        number = int(status)
    except (TypeError, ValueError):
        return INFO
    return ERROR if number >= 500 else WARNING if number >= 400 else INFO


def _level_of_word(status: Any) -> int:
    word = str(status).strip().lower() if isinstance(status, str) else ""
    if word in _GOOD or not word:
        return INFO
    if word in _UNFINISHED:
        return WARNING
    return CRITICAL if word == "critical" else ERROR


def get_api_logger() -> ServiceLogger:
    """Return the logger ``api``, for the API service.

    Example:
        >>> from shared.logging import get_api_logger
        >>> get_api_logger().name
        'api'
    """
    return ServiceLogger(LoggerName.API.value)


def get_agent_logger() -> ServiceLogger:
    """Return the logger ``agent``, for the agent service.

    Example:
        >>> from shared.logging import get_agent_logger
        >>> get_agent_logger().name
        'agent'
    """
    return ServiceLogger(LoggerName.AGENT.value)


def get_web_logger() -> ServiceLogger:
    """Return the logger ``web``, for the web service.

    Example:
        >>> from shared.logging import get_web_logger
        >>> get_web_logger().name
        'web'
    """
    return ServiceLogger(LoggerName.WEB.value)


def get_shared_logger() -> ServiceLogger:
    """Return the logger ``shared``, for code that several services use.

    Example:
        >>> from shared.logging import get_shared_logger
        >>> get_shared_logger().name
        'shared'
    """
    return ServiceLogger(LoggerName.SHARED.value)
