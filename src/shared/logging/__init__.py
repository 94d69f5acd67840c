"""Structured logs: one pipeline, one line each, no secrets, never in the way.

structlog is the interface; behind it one terminal step adds the request's ids,
the time and the service, masks secrets, and writes JSON (or Elastic's names, or
text for people) in one system call. stdlib logging, servers, SQLAlchemy,
warnings and crashes land in the same stream.

Example:
    >>> from shared.logging import capture_logs, get_logger
    >>> log = get_logger("orders")
    >>> with capture_logs() as events:
    ...     log.info("order placed", order_id=7, api_key="k-1")
    >>> events[0]["event"], events[0]["order_id"], events[0]["api_key"]
    ('order placed', 7, '***')
"""

# With the folder "shared" itself on sys.path, "import logging" anywhere in the
# process finds this package instead of the standard library's.
if __name__ != "shared.logging":
    raise ImportError(
        "shared/logging hides the standard library's logging: the folder 'shared' itself is on sys.path; "
        "put the folder above it there instead, or install libs-shared"
    )

from shared.context import bind, bound, unbind
from shared.logging._access import AccessLog
from shared.logging._capture import capture_logs
from shared.logging._configure import LoggingHandle, configure_logging, log_stats
from shared.logging._fd import FdSink
from shared.logging._file import FileSink
from shared.logging._hooks import log_loop_errors
from shared.logging._logger import BoundLogger, get_logger
from shared.logging._names import LogAction, LoggerName
from shared.logging._service_loggers import (
    BaseLogger,
    ServiceLogger,
    get_agent_logger,
    get_api_logger,
    get_shared_logger,
    get_web_logger,
)
from shared.logging._sinks import MemorySink, Sink, StreamSink
from shared.logging._thread import ThreadSink

__all__ = [
    "AccessLog",
    "BaseLogger",
    "BoundLogger",
    "FdSink",
    "FileSink",
    "LogAction",
    "LoggerName",
    "LoggingHandle",
    "MemorySink",
    "ServiceLogger",
    "Sink",
    "StreamSink",
    "ThreadSink",
    "bind",
    "bound",
    "capture_logs",
    "configure_logging",
    "get_agent_logger",
    "get_api_logger",
    "get_logger",
    "get_shared_logger",
    "get_web_logger",
    "log_loop_errors",
    "log_stats",
    "unbind",
]
