"""What a test suite of a service needs, with nothing to set up.

The pytest plugin registers itself: after ``pip install 'libs-shared[testing]'`` the
fixtures are there, and with ``libs-shared[test-engines]`` a real PostgreSQL and a real
Redis, too. Importing this room loads the standard library only; a fixture loads what
it needs when a test asks for it.
"""

from typing import TYPE_CHECKING

from shared.testing._client import ApiClient, ApiResponse
from shared.testing._clock import FrozenClock

if TYPE_CHECKING:
    from shared.testing._factories_agents import (
        AgentConfigFactory,
        AgentFactory,
        AgentInteractionFactory,
        ConversationFactory,
        MessageFactory,
        TaskExecutionFactory,
        TaskFactory,
    )
    from shared.testing._factories_auth import (
        StoredRoleFactory,
        UserFactory,
        UserRoleFactory,
    )
    from shared.testing._factories_commerce import (
        AssetBalanceFactory,
        AssetEntryFactory,
        AssetFactory,
        AssetTransactionFactory,
        BalanceEntryFactory,
        BalanceFactory,
        InventoryItemFactory,
        InventoryReservationFactory,
        OrderFactory,
        OrderItemFactory,
        PaymentEventFactory,
        PaymentFactory,
    )
    from shared.testing._factories_database import (
        DatabaseLockFactory,
        DatabaseLockWaiterFactory,
        IdempotencyKeyFactory,
        InboxMessageFactory,
        OutboxMessageFactory,
    )
    from shared.testing._factories_flags import (
        FlagExposureFactory,
        FlagFeedbackFactory,
        FlagHistoryRecordFactory,
        FlagRecordFactory,
        FlagRevisionFactory,
        FlagUsageFactory,
    )
    from shared.testing._factory_base import (
        ModelFactory,
        factory_session,
    )
    from shared.testing._factory_for import factory_for
    from shared.testing._fake_openai import FakeOpenAI, FakeOpenAIRequest
    from shared.testing._fake_stripe import FakeStripe
    from shared.testing._fake_supplier import FakeAnswer, FakeSendGrid, FakeSupplier, SupplierRequest
    from shared.testing._flags import FlagOverrides, assert_variants_reachable, flag_contexts
    from shared.testing._migrations import assert_migrations_ok
    from shared.testing._postgres import PostgresServer
    from shared.testing._redis import RedisServer

__all__ = [
    "AgentConfigFactory",
    "AgentFactory",
    "AgentInteractionFactory",
    "ApiClient",
    "ApiResponse",
    "AssetBalanceFactory",
    "AssetEntryFactory",
    "AssetFactory",
    "AssetTransactionFactory",
    "BalanceEntryFactory",
    "BalanceFactory",
    "ConversationFactory",
    "DatabaseLockFactory",
    "DatabaseLockWaiterFactory",
    "FakeAnswer",
    "FakeOpenAI",
    "FakeOpenAIRequest",
    "FakeSendGrid",
    "FakeStripe",
    "FakeSupplier",
    "FlagExposureFactory",
    "FlagFeedbackFactory",
    "FlagHistoryRecordFactory",
    "FlagOverrides",
    "FlagRecordFactory",
    "FlagRevisionFactory",
    "FlagUsageFactory",
    "FrozenClock",
    "IdempotencyKeyFactory",
    "InboxMessageFactory",
    "InventoryItemFactory",
    "InventoryReservationFactory",
    "MessageFactory",
    "ModelFactory",
    "OrderFactory",
    "OrderItemFactory",
    "OutboxMessageFactory",
    "PaymentEventFactory",
    "PaymentFactory",
    "PostgresServer",
    "RedisServer",
    "StoredRoleFactory",
    "SupplierRequest",
    "TaskExecutionFactory",
    "TaskFactory",
    "UserFactory",
    "UserRoleFactory",
    "assert_migrations_ok",
    "assert_variants_reachable",
    "factory_for",
    "factory_session",
    "flag_contexts",
]

# What starts servers is loaded when it is asked for. Guarded: an unguarded module
# __getattr__ makes type checkers accept every misspelt name of this package.
if not TYPE_CHECKING:
    _LAZY = {
        "AgentConfigFactory": "_factories_agents",
        "AgentFactory": "_factories_agents",
        "AgentInteractionFactory": "_factories_agents",
        "AssetBalanceFactory": "_factories_commerce",
        "AssetEntryFactory": "_factories_commerce",
        "AssetFactory": "_factories_commerce",
        "AssetTransactionFactory": "_factories_commerce",
        "BalanceEntryFactory": "_factories_commerce",
        "BalanceFactory": "_factories_commerce",
        "ConversationFactory": "_factories_agents",
        "DatabaseLockFactory": "_factories_database",
        "DatabaseLockWaiterFactory": "_factories_database",
        "FakeAnswer": "_fake_supplier",
        "FakeOpenAI": "_fake_openai",
        "FakeOpenAIRequest": "_fake_openai",
        "FakeSendGrid": "_fake_supplier",
        "FakeStripe": "_fake_stripe",
        "FakeSupplier": "_fake_supplier",
        "FlagExposureFactory": "_factories_flags",
        "FlagFeedbackFactory": "_factories_flags",
        "FlagHistoryRecordFactory": "_factories_flags",
        "FlagRecordFactory": "_factories_flags",
        "FlagRevisionFactory": "_factories_flags",
        "FlagOverrides": "_flags",
        "FlagUsageFactory": "_factories_flags",
        "IdempotencyKeyFactory": "_factories_database",
        "InboxMessageFactory": "_factories_database",
        "InventoryItemFactory": "_factories_commerce",
        "InventoryReservationFactory": "_factories_commerce",
        "MessageFactory": "_factories_agents",
        "ModelFactory": "_factory_base",
        "OrderFactory": "_factories_commerce",
        "OrderItemFactory": "_factories_commerce",
        "OutboxMessageFactory": "_factories_database",
        "PaymentEventFactory": "_factories_commerce",
        "PaymentFactory": "_factories_commerce",
        "PostgresServer": "_postgres",
        "RedisServer": "_redis",
        "StoredRoleFactory": "_factories_auth",
        "SupplierRequest": "_fake_supplier",
        "TaskExecutionFactory": "_factories_agents",
        "TaskFactory": "_factories_agents",
        "UserFactory": "_factories_auth",
        "UserRoleFactory": "_factories_auth",
        "assert_migrations_ok": "_migrations",
        "assert_variants_reachable": "_flags",
        "factory_for": "_factory_for",
        "factory_session": "_factory_base",
        "flag_contexts": "_flags",
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
