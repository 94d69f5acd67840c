"""The access line: the pipeline without the logger in front of it."""

from typing import Any

from shared.logging._levels import NUMBERS, level_name, level_or_info
from shared.logging._state import STATE

__all__ = ["AccessLog"]


class AccessLog:
    """Writes one line per request, for request layers.

    A line has the time, the service, the ids and bound fields of the current
    :class:`~shared.context.RequestContext` and what the caller adds, without
    secrets, in one write.

    Args:
        event: The event of every line.
        logger: The name that ``LOG_LEVELS`` may set a level for.

    Example:
        >>> from shared.logging import AccessLog, capture_logs
        >>> access = AccessLog()
        >>> with capture_logs() as events:
        ...     access.write({"method": "GET", "path": "/orders?token=abc", "status": 200}, level="info")
        >>> events[0]["event"], events[0]["status"], events[0]["path"]
        ('request', 200, '/orders?token=***')
    """

    __slots__ = ("_event", "_target")

    def __init__(self, event: str = "request", *, logger: str = "shared.access") -> None:
        self._event = event
        self._target = STATE.target(logger)

    def write(self, fields: dict[str, Any], *, level: str = "info") -> None:
        """Write the line; never raises.

        Args:
            fields: What is known about the request; read, not changed.
            level: Name of the level: by outcome, usually info, warning or error.
        """
        number = NUMBERS.get(level)
        if number is None:
            number = level_or_info(level)
            level = level_name(number)
        target = self._target
        if target.threshold <= number:
            target.write(level, number, self._event, fields)
