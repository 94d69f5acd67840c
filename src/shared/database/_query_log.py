"""What was sent inside a block, and what was sent far too often."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.database._events import QueryFinished
from shared.database._fingerprint import caller, fingerprint, normalise
from shared.errors import DatabaseError

if TYPE_CHECKING:
    from shared.database._database import Database

__all__ = ["LoggedQuery", "QueryLog", "assert_max_queries", "query_log"]


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """One statement.

    Attributes:
        statement: The text without values.
        fingerprint: The same for statements that differ in values only.
        caller: ``file:line function`` that sent it.
        seconds: How long it took.

    Example:
        >>> LoggedQuery("SELECT ?", "ab", "app/orders.py:7 show", 0.001).caller
        'app/orders.py:7 show'
    """

    statement: str
    fingerprint: str
    caller: str
    seconds: float


@dataclass
class QueryLog:
    """The statements of a block, in order.

    Attributes:
        queries: What was sent.

    Example:
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db, query_log(db) as log, db.read() as session:
        ...     for number in range(6):
        ...         _ = session.execute(text("select :n"), {"n": number})
        >>> len(log.queries), [(query.statement, count) for query, count in log.repeated()]
        (6, [('select ?', 6)])
    """

    queries: list[LoggedQuery] = field(default_factory=list)

    def repeated(self, times: int = 5) -> list[tuple[LoggedQuery, int]]:
        """Return the statements sent at least *times* times from one place: "N+1".

        Loops over ``session.get`` count as well as lazily loaded relationships.
        """
        counts = Counter((query.fingerprint, query.caller) for query in self.queries)
        first: dict[tuple[str, str], LoggedQuery] = {}
        for query in self.queries:
            first.setdefault((query.fingerprint, query.caller), query)
        return [(first[key], count) for key, count in counts.most_common() if count >= times]

    def assert_not_repeated(self, times: int = 5) -> None:
        """Fail when a statement was sent at least *times* times from one place; the message names it.

        Raises:
            DatabaseError: One was; also an ``AssertionError``.
        """
        found = self.repeated(times)
        if found:
            lines = "; ".join(f"{count}x {query.statement[:200]} ({query.caller})" for query, count in found)
            msg = (
                f"the same statement again and again: {lines}: load the rows with one query "
                "(get_many, selectinload)"
            )
            raise TooManyQueriesError(msg)


@contextmanager
def query_log(database: "Database") -> Iterator[QueryLog]:
    """Collect the statements of *database* inside the block, from every thread and task.

    Example:
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db, query_log(db) as log, db.read() as session:
        ...     _ = session.execute(text("select 1"))
        >>> [query.statement for query in log.queries]
        ['select ?']
    """
    log = QueryLog()
    name = database.name

    def note(event: QueryFinished) -> None:
        if event.database == name:
            statement = event.statement
            log.queries.append(
                LoggedQuery(normalise(statement), fingerprint(statement), caller(), event.seconds)
            )

    stop = database.events.subscribe(QueryFinished, note)
    try:
        yield log
    finally:
        stop()


@contextmanager
def assert_max_queries(database: "Database", limit: int) -> Iterator[QueryLog]:
    """Fail when the block sends more than *limit* statements; the message lists them.

    Raises:
        DatabaseError: It did; also an ``AssertionError``.

    Example:
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db, assert_max_queries(db, 0), db.read() as session:
        ...     _ = session.execute(text("select 1"))
        Traceback (most recent call last):
            ...
        shared.database._query_log.TooManyQueriesError: 1 statements were sent, at most 0 are allowed: ...
    """
    with query_log(database) as log:
        yield log
    if len(log.queries) > limit:
        sent = Counter(f"{query.statement[:200]} ({query.caller})" for query in log.queries)
        lines = "; ".join(f"{count}x {text}" for text, count in sent.most_common(10))
        msg = f"{len(log.queries)} statements were sent, at most {limit} are allowed: {lines}"
        raise TooManyQueriesError(msg)


class TooManyQueriesError(DatabaseError, AssertionError):
    """A block sent more statements than a test allows."""
