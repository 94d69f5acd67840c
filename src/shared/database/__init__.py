"""Keep data: SQL databases for threads and tasks, embedded by default, servers by URL.

Importing the room loads SQLAlchemy and connects to nothing.
"""

from shared.database._accessors import database_from_settings, get_database, measure_database
from shared.database._database import Database
from shared.database._database_async import AsyncDatabase
from shared.database._events import (
    DatabaseEvent,
    PoolWaited,
    QueryFinished,
    ReplicaEjected,
    SlowQuery,
    TransactionRetried,
)
from shared.database._faults import translated
from shared.database._options import DatabaseOptions
from shared.database._pool import PoolSnapshot
from shared.database._session import SharedSession, on_commit
from shared.database._transaction import TransactionRetry
from shared.database._unit import Transaction
from shared.database._unit_async import AsyncTransaction

__all__ = [
    "AsyncDatabase",
    "AsyncTransaction",
    "Database",
    "DatabaseEvent",
    "DatabaseOptions",
    "PoolSnapshot",
    "PoolWaited",
    "QueryFinished",
    "ReplicaEjected",
    "SharedSession",
    "SlowQuery",
    "Transaction",
    "TransactionRetried",
    "TransactionRetry",
    "database_from_settings",
    "get_database",
    "measure_database",
    "on_commit",
    "translated",
]
