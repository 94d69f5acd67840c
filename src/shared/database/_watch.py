"""Times every statement, logs the slow ones, keeps to deadlines, refuses writes where one only reads."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from sqlalchemy import Select, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from shared.context import get_deadline
from shared.database._events import QueryFinished, SlowQuery
from shared.database._faults import hide_values, sqlstate
from shared.database._fingerprint import caller, fingerprint, normalise, operation_of
from shared.database._limits import StatementLimits, forget
from shared.errors import ConfigurationError
from shared.logging import get_logger
from shared.runtime import Events

__all__ = ["READ_ONLY", "QueryWatch", "refusal"]

#: Execution option of an engine whose statements may only read.
READ_ONLY: Final = "shared_read_only"
_READS: Final = frozenset(
    {"BEGIN", "COMMIT", "DEALLOCATE", "DESCRIBE", "EXPLAIN", "FETCH", "PRAGMA", "RELEASE", "ROLLBACK",
     "SAVEPOINT", "SELECT", "SET", "SHOW", "TABLE", "VALUES", "WITH"}
)  # fmt: skip


def refusal(operation: str) -> ConfigurationError:
    """Return the error for a write in a session that only reads."""
    return ConfigurationError(
        f"{operation} in a session that only reads: use db.session() or db.transaction() to write"
    )


def _refuse_writes(statement: str, context: Any) -> None:
    compiled = context.compiled
    if compiled is not None and type(compiled.statement) is Select:
        return
    operation = operation_of(statement)
    if context.isinsert or context.isupdate or context.isdelete or operation not in _READS:
        raise refusal(operation)


class QueryWatch:
    """Listens to the statements of the engines of one database.

    Args:
        database: Its name.
        system: ``postgresql`` or ``sqlite``.
        events: Who is told.
        threshold: Seconds from which a statement is slow.
        echo: Whether every statement is logged.
        limits: Holds the statements to the deadline of the request.
    """

    def __init__(
        self,
        database: str,
        system: str,
        events: Events,
        *,
        threshold: float,
        echo: bool,
        limits: StatementLimits,
    ) -> None:
        self.database = database
        self.system = system
        self.events = events
        self.threshold = threshold
        self.echo = echo
        self.limits = limits

    def attach(self, engine: Engine) -> None:
        """Watch the statements of *engine*.

        At the driver's door: a listener of the engine would cost every connection several
        times as much as the watch itself.
        """
        dialect: Any = engine.dialect
        for name in ("do_execute", "do_executemany"):
            setattr(dialect, name, self._watched(getattr(dialect, name), many=name == "do_executemany"))
        bare = dialect.do_execute_no_params
        watched = self._watched(
            lambda cursor, statement, _values, context: bare(cursor, statement, context), many=False
        )
        dialect.do_execute_no_params = lambda cursor, statement, context=None: watched(
            cursor, statement, None, context
        )
        go_back = dialect.do_rollback_to_savepoint

        def rollback_to_savepoint(connection: Any, name: str) -> None:
            go_back(connection, name)
            forget(connection)

        dialect.do_rollback_to_savepoint = rollback_to_savepoint
        event.listen(engine, "handle_error", self._failed)

    def _watched(self, send: Callable[..., None], *, many: bool) -> Callable[..., None]:
        limits, events = self.limits, self.events

        def execute(cursor: Any, statement: str, values: Any, context: Any = None) -> None:
            connection: Any = None if context is None else context.root_connection
            if not getattr(connection, "_allow_autobegin", connection is not None):
                send(cursor, statement, values, context)  # SQLAlchemy looks at the server for the first time
                return
            if connection._execution_options.get(READ_ONLY):  # noqa: SLF001 - once per statement
                _refuse_writes(statement, context)
            deadline = get_deadline()
            if deadline is not None or limits.used:
                limits.apply(connection, statement, deadline)
            context.shared_begin = begin = perf_counter()
            send(cursor, statement, values, context)
            seconds = perf_counter() - begin
            if seconds >= self.threshold or self.echo or events.has_listeners(QueryFinished):
                self._finished(statement, seconds, many)

        return execute

    def _finished(self, statement: str, seconds: float, many: bool) -> None:
        slow = seconds >= self.threshold
        if slow:
            self._slow(statement, seconds)
        if self.echo:
            get_logger("shared.database").info(
                "statement", statement=normalise(statement), seconds=round(seconds, 6), database=self.database
            )
        if self.events.has_listeners(QueryFinished):
            self._tell(statement, seconds, "", slow, many)

    def _failed(self, context: Any) -> None:
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError):
            hide_values(error)
        execution = context.execution_context
        if execution is None or context.statement is None:
            return
        if self.events.has_listeners(QueryFinished):
            seconds = perf_counter() - getattr(execution, "shared_begin", perf_counter())
            kind = type(context.original_exception).__name__
            self._tell(context.statement, seconds, kind, seconds >= self.threshold, many=False)
        if self.limits.used:
            late = self.limits.explain(get_deadline(), sqlstate(error))
            if late is not None:
                raise late from context.original_exception

    def _tell(self, statement: str, seconds: float, error: str, slow: bool, many: bool) -> None:
        self.events.emit(
            QueryFinished(
                self.database, self.system, operation_of(statement), seconds, statement, error, slow, many
            )
        )

    def _slow(self, statement: str, seconds: float) -> None:
        found = SlowQuery(
            self.database, self.system, operation_of(statement), seconds, self.threshold,
            fingerprint(statement), normalise(statement), caller(),
        )  # fmt: skip
        get_logger("shared.database").warning(
            "slow query",
            database=found.database,
            operation=found.operation,
            seconds=round(seconds, 4),
            threshold=self.threshold,
            fingerprint=found.fingerprint,
            statement=found.statement,
            caller=found.caller,
        )
        self.events.emit(found)
