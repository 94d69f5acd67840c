"""Sell without overselling: stock, orders, balances and assets, each with the rules that keep them right.

Importing the room loads SQLAlchemy and pydantic and connects to nothing.
"""

from shared.commerce._entities import (
    InventoryItemEntity,
    NewOrder,
    NewOrderItem,
    OrderEntity,
    OrderItemEntity,
    Reservation,
)
from shared.commerce._entities_ledger import (
    AssetBalanceEntity,
    AssetEntity,
    AssetEntryEntity,
    AssetTransactionEntity,
    BalanceEntity,
    BalanceEntryEntity,
    LedgerFault,
    NewAsset,
    NewAssetTransfer,
    NewTrade,
    NewTransfer,
)
from shared.commerce._entities_payments import (
    NewPayment,
    PaymentEntity,
    PaymentEventEntity,
    PaymentUpdate,
)
from shared.commerce._inventory import (
    Inventory,
    confirm_inventory,
    get_inventory,
    lock_and_reserve_inventory,
    release_inventory,
)
from shared.commerce._inventory_async import (
    AsyncInventory,
    aconfirm_inventory,
    alock_and_reserve_inventory,
    arelease_inventory,
    get_async_inventory,
)
from shared.commerce._journal_dao import AssetTransactionDAO
from shared.commerce._ledger_dao import AssetBalanceDAO, AssetDAO, BalanceDAO
from shared.commerce._ledger_dao_async import (
    AsyncAssetBalanceDAO,
    AsyncAssetDAO,
    AsyncAssetTransactionDAO,
    AsyncBalanceDAO,
)
from shared.commerce._order_dao import OrderDAO
from shared.commerce._order_dao_async import AsyncOrderDAO
from shared.commerce._payment_dao import AsyncPaymentDAO, PaymentDAO
from shared.commerce._states import OrderStatus, check_transition, next_statuses
from shared.commerce._tables_ledger import (
    Asset,
    AssetBalance,
    AssetEntry,
    AssetTransaction,
    Balance,
    BalanceEntry,
)
from shared.commerce._tables_orders import Order, OrderItem
from shared.commerce._tables_payments import Payment, PaymentEvent
from shared.commerce._tables_stock import InventoryItem, InventoryReservation

__all__ = [
    "Asset",
    "AssetBalance",
    "AssetBalanceDAO",
    "AssetBalanceEntity",
    "AssetDAO",
    "AssetEntity",
    "AssetEntry",
    "AssetEntryEntity",
    "AssetTransaction",
    "AssetTransactionDAO",
    "AssetTransactionEntity",
    "AsyncAssetBalanceDAO",
    "AsyncAssetDAO",
    "AsyncAssetTransactionDAO",
    "AsyncBalanceDAO",
    "AsyncInventory",
    "AsyncOrderDAO",
    "AsyncPaymentDAO",
    "Balance",
    "BalanceDAO",
    "BalanceEntity",
    "BalanceEntry",
    "BalanceEntryEntity",
    "Inventory",
    "InventoryItem",
    "InventoryItemEntity",
    "InventoryReservation",
    "LedgerFault",
    "NewAsset",
    "NewAssetTransfer",
    "NewOrder",
    "NewOrderItem",
    "NewPayment",
    "NewTrade",
    "NewTransfer",
    "Order",
    "OrderDAO",
    "OrderEntity",
    "OrderItem",
    "OrderItemEntity",
    "OrderStatus",
    "Payment",
    "PaymentDAO",
    "PaymentEntity",
    "PaymentEvent",
    "PaymentEventEntity",
    "PaymentUpdate",
    "Reservation",
    "aconfirm_inventory",
    "alock_and_reserve_inventory",
    "arelease_inventory",
    "check_transition",
    "confirm_inventory",
    "get_async_inventory",
    "get_inventory",
    "lock_and_reserve_inventory",
    "next_statuses",
    "release_inventory",
]
