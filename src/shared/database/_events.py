"""What the database tells, as frozen objects for ``runtime.events``."""

from dataclasses import dataclass

__all__ = [
    "DatabaseEvent",
    "PoolWaited",
    "QueryFinished",
    "ReplicaEjected",
    "SlowQuery",
    "TransactionRetried",
]


@dataclass(frozen=True, slots=True)
class DatabaseEvent:
    """The parent of the room's events; subscribe to it to hear all of them.

    Attributes:
        database: Name of the :class:`Database` it is about.

    Example:
        >>> from shared.runtime import Events
        >>> heard, events = [], Events()
        >>> _ = events.subscribe(DatabaseEvent, heard.append)
        >>> events.emit(PoolWaited("main", seconds=0.5, timed_out=False))
        >>> heard[0].seconds
        0.5
    """

    database: str


@dataclass(frozen=True, slots=True)
class QueryFinished(DatabaseEvent):
    """A statement ended. Sent only while somebody listens.

    Attributes:
        system: ``postgresql`` or ``sqlite``.
        operation: The verb, such as ``SELECT``.
        seconds: How long it took, without fetching.
        statement: The text as sent; it holds no bind values.
        error_type: Class of the driver's exception, empty when it went well.
        slow: Whether it took longer than the limit.
        many: Whether it was sent with many sets of values.

    Example:
        >>> QueryFinished("main", "sqlite", "SELECT", 0.01, "SELECT 1").operation
        'SELECT'
    """

    system: str
    operation: str
    seconds: float
    statement: str
    error_type: str = ""
    slow: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class SlowQuery(DatabaseEvent):
    """A statement took longer than ``slow_query_seconds``; also a line in the log.

    Attributes:
        system: ``postgresql`` or ``sqlite``.
        operation: The verb.
        seconds: How long it took.
        threshold: The limit.
        fingerprint: The same for statements that differ in their values only.
        statement: The text with every literal replaced by ``?``.
        caller: ``file:line function`` that sent it, or empty.

    Example:
        >>> SlowQuery("main", "sqlite", "SELECT", 2.5, 1.0, "a1b2", "SELECT ?", "").seconds
        2.5
    """

    system: str
    operation: str
    seconds: float
    threshold: float
    fingerprint: str
    statement: str
    caller: str


@dataclass(frozen=True, slots=True)
class PoolWaited(DatabaseEvent):
    """A connection was asked for.

    Attributes:
        seconds: How long it took to get one; opening a new one is included.
        timed_out: Whether none came free in time.

    Example:
        >>> PoolWaited("main", 5.0, timed_out=True).timed_out
        True
    """

    seconds: float
    timed_out: bool


@dataclass(frozen=True, slots=True)
class TransactionRetried(DatabaseEvent):
    """A transaction lost against another and will be run again.

    Attributes:
        attempt: Runs made so far.
        wait: Seconds until the next.
        reason: ``serialization``, ``deadlock``, ``busy``, ``stale`` or ``connection``.

    Example:
        >>> TransactionRetried("main", attempt=1, wait=0.02, reason="deadlock").reason
        'deadlock'
    """

    attempt: int
    wait: float
    reason: str


@dataclass(frozen=True, slots=True)
class ReplicaEjected(DatabaseEvent):
    """A read replica failed and is left alone for a while.

    Attributes:
        replica: Its number, from 1.
        seconds: For how long.

    Example:
        >>> ReplicaEjected("main", replica=2, seconds=10.0).replica
        2
    """

    replica: int
    seconds: float
