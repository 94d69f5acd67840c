"""Keep data: SQL databases for threads and tasks, embedded by default, servers by URL.

Importing the room loads SQLAlchemy and connects to nothing.
"""

from shared.database._accessors import database_from_settings, get_database, measure_database
from shared.database._base import Base, tables_of
from shared.database._database import Database
from shared.database._database_async import AsyncDatabase
from shared.database._encrypted import EncryptedString
from shared.database._events import (
    DatabaseEvent,
    PoolWaited,
    QueryFinished,
    ReplicaEjected,
    SlowQuery,
    TransactionRetried,
)
from shared.database._faults import translated
from shared.database._mixins import SoftDelete, TenantScoped, Timestamps, UUIDKey, Versioned
from shared.database._money import Money
from shared.database._options import DatabaseOptions
from shared.database._pages import KeysetPage, Page
from shared.database._pool import PoolSnapshot
from shared.database._repository import Repository
from shared.database._repository_async import AsyncRepository
from shared.database._session import SharedSession, on_commit
from shared.database._transaction import TransactionRetry
from shared.database._types import Json, UTCDateTime, utc_now
from shared.database._unit import Transaction
from shared.database._unit_async import AsyncTransaction
from shared.database._uuid7 import uuid7

__all__ = [
    "AsyncDatabase",
    "AsyncRepository",
    "AsyncTransaction",
    "Base",
    "Database",
    "DatabaseEvent",
    "DatabaseOptions",
    "EncryptedString",
    "Json",
    "KeysetPage",
    "Money",
    "Page",
    "PoolSnapshot",
    "PoolWaited",
    "QueryFinished",
    "ReplicaEjected",
    "Repository",
    "SharedSession",
    "SlowQuery",
    "SoftDelete",
    "TenantScoped",
    "Timestamps",
    "Transaction",
    "TransactionRetried",
    "TransactionRetry",
    "UTCDateTime",
    "UUIDKey",
    "Versioned",
    "database_from_settings",
    "get_database",
    "measure_database",
    "on_commit",
    "tables_of",
    "translated",
    "utc_now",
    "uuid7",
]
