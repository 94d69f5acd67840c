"""Every table of the library in one place.

Importing the module registers them all on ``Base.metadata``; which of them a service
creates or migrates is its choice, by room: ``tables_of("commerce", "database")``.

Example:
    >>> from shared.database import tables_of
    >>> Order.__table__ in tables_of("commerce")
    True
"""

from shared.agents import (
    Agent,
    AgentConfig,
    AgentInteraction,
    Conversation,
    Message,
    Task,
    TaskExecution,
)
from shared.auth import ApiKeyRecord, SessionRecord, StoredRole, TokenFamily, TokenMark, User, UserRole
from shared.commerce import (
    Asset,
    AssetBalance,
    AssetEntry,
    AssetTransaction,
    Balance,
    BalanceEntry,
    InventoryItem,
    InventoryReservation,
    Order,
    OrderItem,
    Payment,
    PaymentEvent,
)
from shared.database import (
    Base,
    DatabaseLock,
    DatabaseLockWaiter,
    IdempotencyKey,
    InboxMessage,
    OutboxMessage,
    PerformanceRollup,
)
from shared.feature_flags import (
    FlagExposure,
    FlagFeedback,
    FlagHistoryRecord,
    FlagRecord,
    FlagRevision,
    FlagUsage,
)

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentInteraction",
    "ApiKeyRecord",
    "Asset",
    "AssetBalance",
    "AssetEntry",
    "AssetTransaction",
    "Balance",
    "BalanceEntry",
    "Base",
    "Conversation",
    "DatabaseLock",
    "DatabaseLockWaiter",
    "FlagExposure",
    "FlagFeedback",
    "FlagHistoryRecord",
    "FlagRecord",
    "FlagRevision",
    "FlagUsage",
    "IdempotencyKey",
    "InboxMessage",
    "InventoryItem",
    "InventoryReservation",
    "Message",
    "Order",
    "OrderItem",
    "OutboxMessage",
    "Payment",
    "PaymentEvent",
    "PerformanceRollup",
    "SessionRecord",
    "StoredRole",
    "Task",
    "TaskExecution",
    "TokenFamily",
    "TokenMark",
    "User",
    "UserRole",
]
