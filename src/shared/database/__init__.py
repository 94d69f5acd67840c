"""Keep data: SQL databases for threads and tasks, embedded by default, servers by URL.

Importing the room loads SQLAlchemy and connects to nothing.
"""

from typing import TYPE_CHECKING

from shared.database._accessors import database_from_settings, get_database, measure_database
from shared.database._base import Base, tables_of
from shared.database._dao import DAO, AsyncDAO
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
from shared.database._health import operation_checks, outbox_check
from shared.database._health_migrations import migrations_check
from shared.database._idempotency import (
    AsyncIdempotencyStore,
    AsyncInbox,
    IdempotencyStore,
    Idempotent,
    Inbox,
)
from shared.database._idempotency_leases import IdempotencyLease, IdempotencyLeases
from shared.database._lock_leases import SQLLocks
from shared.database._locks import AsyncLockManager, LockManager
from shared.database._manager import AsyncTransactionManager, TransactionManager
from shared.database._mixins import SoftDelete, TenantScoped, Timestamps, UUIDKey, Versioned
from shared.database._money import Money
from shared.database._options import DatabaseOptions
from shared.database._outbox import AsyncOutboxRelay, Outbox, OutboxRelay
from shared.database._outbox_work import PublishedMessage
from shared.database._pages import KeysetPage, Page
from shared.database._pool import PoolSnapshot
from shared.database._query_log import LoggedQuery, QueryLog, assert_max_queries, query_log
from shared.database._reencrypt import Reencryption, areencrypt_column, reencrypt_column
from shared.database._repository import Repository
from shared.database._repository_async import AsyncRepository
from shared.database._rollup import DatabaseRollupStore, PerformanceRollup
from shared.database._saga import AsyncSaga, Saga
from shared.database._seeding import Seed, SeedProgress, seed
from shared.database._session import SharedSession, on_commit
from shared.database._tables import (
    DatabaseLock,
    DatabaseLockWaiter,
    IdempotencyKey,
    InboxMessage,
    OutboxMessage,
)
from shared.database._transaction import TransactionRetry
from shared.database._types import Json, UTCDateTime, utc_now
from shared.database._unit import Transaction
from shared.database._unit_async import AsyncTransaction
from shared.database._uuid7 import uuid7

if TYPE_CHECKING:
    from shared.database._entity import Entity, ExactAmount, exact_amount
    from shared.database.migrations import MigrationChain, Migrations, include_name, requires

__all__ = [
    "DAO",
    "AsyncDAO",
    "AsyncDatabase",
    "AsyncIdempotencyStore",
    "AsyncInbox",
    "AsyncLockManager",
    "AsyncOutboxRelay",
    "AsyncRepository",
    "AsyncSaga",
    "AsyncTransaction",
    "AsyncTransactionManager",
    "Base",
    "Database",
    "DatabaseEvent",
    "DatabaseLock",
    "DatabaseLockWaiter",
    "DatabaseOptions",
    "DatabaseRollupStore",
    "EncryptedString",
    "Entity",
    "ExactAmount",
    "IdempotencyKey",
    "IdempotencyLease",
    "IdempotencyLeases",
    "IdempotencyStore",
    "Idempotent",
    "Inbox",
    "InboxMessage",
    "Json",
    "KeysetPage",
    "LockManager",
    "LoggedQuery",
    "MigrationChain",
    "Migrations",
    "Money",
    "Outbox",
    "OutboxMessage",
    "OutboxRelay",
    "Page",
    "PerformanceRollup",
    "PoolSnapshot",
    "PoolWaited",
    "PublishedMessage",
    "QueryFinished",
    "QueryLog",
    "Reencryption",
    "ReplicaEjected",
    "Repository",
    "SQLLocks",
    "Saga",
    "Seed",
    "SeedProgress",
    "SharedSession",
    "SlowQuery",
    "SoftDelete",
    "TenantScoped",
    "Timestamps",
    "Transaction",
    "TransactionManager",
    "TransactionRetried",
    "TransactionRetry",
    "UTCDateTime",
    "UUIDKey",
    "Versioned",
    "areencrypt_column",
    "assert_max_queries",
    "database_from_settings",
    "exact_amount",
    "get_database",
    "include_name",
    "measure_database",
    "migrations_check",
    "on_commit",
    "operation_checks",
    "outbox_check",
    "query_log",
    "reencrypt_column",
    "requires",
    "seed",
    "tables_of",
    "translated",
    "utc_now",
    "uuid7",
]

# Alembic is loaded when the migration tools are asked for, pydantic with the first entity.
# Guarded: an unguarded module __getattr__ makes type checkers accept every misspelt name of
# this package.
if not TYPE_CHECKING:
    _LAZY = {
        "Entity": "_entity",
        "ExactAmount": "_entity",
        "MigrationChain": "migrations",
        "Migrations": "migrations",
        "exact_amount": "_entity",
        "include_name": "migrations",
        "requires": "migrations",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _LAZY:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
