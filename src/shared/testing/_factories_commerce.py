"""Factories of the room ``commerce``."""

from decimal import Decimal
from typing import Any

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
from shared.database import utc_now, uuid7
from shared.testing._factory_base import ModelFactory, declared, factory

__all__ = [
    "AssetBalanceFactory",
    "AssetEntryFactory",
    "AssetFactory",
    "AssetTransactionFactory",
    "BalanceEntryFactory",
    "BalanceFactory",
    "InventoryItemFactory",
    "InventoryReservationFactory",
    "OrderFactory",
    "OrderItemFactory",
    "PaymentEventFactory",
    "PaymentFactory",
]


@declared
class InventoryItemFactory(ModelFactory):
    """Stock of a variant: 100 pieces, none reserved.

    Example:
        >>> InventoryItemFactory.build(on_hand=3, reserved=1).available
        2
    """

    class Meta:
        model = InventoryItem

    id = factory.LazyFunction(uuid7)
    variant_id = factory.Sequence(lambda n: f"variant-{n}")
    on_hand = 100
    reserved = 0


@declared
class InventoryReservationFactory(ModelFactory):
    """A reservation of one piece, with the item, whose ``reserved`` it is part of.

    Example:
        >>> InventoryReservationFactory.build(quantity=2).quantity
        2
    """

    class Meta:
        model = InventoryReservation

    class Params:
        item = factory.SubFactory(
            InventoryItemFactory,
            reserved=factory.LazyAttribute(
                lambda item: item.factory_parent.quantity if item.factory_parent.state == "active" else 0
            ),
        )

    id = factory.LazyFunction(uuid7)
    item_id = factory.SelfAttribute("item.id")
    variant_id = factory.SelfAttribute("item.variant_id")
    quantity = 1
    state = "active"


@declared
class OrderItemFactory(ModelFactory):
    """A line of two pieces for 9.95; made by :class:`OrderFactory`, or with ``order=``.

    Example:
        >>> OrderItemFactory.build(quantity=3, order=None).subtotal
        Decimal('29.85')
    """

    class Meta:
        model = OrderItem

    id = factory.LazyFunction(uuid7)
    order = factory.SubFactory("shared.testing._factories_commerce.OrderFactory", items=[])
    position = factory.Sequence(lambda n: n + 1)
    variant_id = factory.Sequence(lambda n: f"variant-{n}")
    quantity = 2
    unit_price = Decimal("9.95")


def _line(**values: Any) -> Any:
    return OrderItemFactory.build(order=None, **values)


@declared
class OrderFactory(ModelFactory):
    """A pending order with one line; its total is that of the lines. It reserves nothing.

    Example:
        >>> OrderFactory.build(status="paid").total
        Decimal('19.90')
    """

    class Meta:
        model = Order

    id = factory.LazyFunction(uuid7)
    user_id = factory.Sequence(lambda n: f"user-{n}")
    status = "pending"
    currency = "EUR"
    items = factory.LazyFunction(lambda: [_line(position=1)])
    total = factory.LazyAttribute(
        lambda order: sum((item.unit_price * item.quantity for item in order.items), Decimal(0))
    )


@declared
class AssetFactory(ModelFactory):
    """An active asset.

    Example:
        >>> AssetFactory.build(symbol="BTC").symbol
        'BTC'
    """

    class Meta:
        model = Asset

    id = factory.LazyFunction(uuid7)
    symbol = factory.Sequence(lambda n: f"AST{n}")
    name = factory.LazyAttribute(lambda asset: f"Asset {asset.symbol}")


@declared
class BalanceFactory(ModelFactory):
    """An empty balance in EUR. Money comes in by ``BalanceDAO.deposit``, which keeps the journal.

    Example:
        >>> BalanceFactory.build(user_id="ada").currency
        'EUR'
    """

    class Meta:
        model = Balance

    id = factory.LazyFunction(uuid7)
    user_id = factory.Sequence(lambda n: f"user-{n}")
    currency = "EUR"
    amount = Decimal(0)


@declared
class AssetBalanceFactory(ModelFactory):
    """An empty holding, with its asset.

    Example:
        >>> AssetBalanceFactory.build(user_id="ada").amount
        Decimal('0')
    """

    class Meta:
        model = AssetBalance

    class Params:
        asset = factory.SubFactory(AssetFactory)

    id = factory.LazyFunction(uuid7)
    user_id = factory.Sequence(lambda n: f"user-{n}")
    asset_id = factory.SelfAttribute("asset.id")
    amount = Decimal(0)


@declared
class AssetTransactionFactory(ModelFactory):
    """The head of a movement without entries.

    Example:
        >>> AssetTransactionFactory.build().kind
        'transfer'
    """

    class Meta:
        model = AssetTransaction

    id = factory.LazyFunction(uuid7)
    reference = factory.Sequence(lambda n: f"reference-{n}")
    kind = "transfer"
    fingerprint = ""


@declared
class BalanceEntryFactory(ModelFactory):
    """One entry of a movement, with the movement and the balance it changed.

    Example:
        >>> BalanceEntryFactory.build(amount=Decimal(5)).amount_after
        Decimal('5')
    """

    class Meta:
        model = BalanceEntry

    class Params:
        transaction = factory.SubFactory(AssetTransactionFactory)
        balance = factory.SubFactory(
            BalanceFactory, amount=factory.LazyAttribute(lambda balance: balance.factory_parent.amount)
        )

    id = factory.LazyFunction(uuid7)
    transaction_id = factory.SelfAttribute("transaction.id")
    balance_id = factory.SelfAttribute("balance.id")
    user_id = factory.SelfAttribute("balance.user_id")
    currency = factory.SelfAttribute("balance.currency")
    amount = Decimal(1)
    amount_after = factory.SelfAttribute("balance.amount")


@declared
class AssetEntryFactory(ModelFactory):
    """One entry of a movement of an asset, with the movement and the holding it changed.

    Example:
        >>> AssetEntryFactory.build(amount=Decimal(5)).amount_after
        Decimal('5')
    """

    class Meta:
        model = AssetEntry

    class Params:
        transaction = factory.SubFactory(AssetTransactionFactory)
        holding = factory.SubFactory(
            AssetBalanceFactory, amount=factory.LazyAttribute(lambda holding: holding.factory_parent.amount)
        )

    id = factory.LazyFunction(uuid7)
    transaction_id = factory.SelfAttribute("transaction.id")
    asset_balance_id = factory.SelfAttribute("holding.id")
    user_id = factory.SelfAttribute("holding.user_id")
    asset_id = factory.SelfAttribute("holding.asset_id")
    amount = Decimal(1)
    amount_after = factory.SelfAttribute("holding.amount")


@declared
class PaymentFactory(ModelFactory):
    """A pending payment of 19.90 EUR through Stripe; no event tells of it.

    Example:
        >>> PaymentFactory.build(status="succeeded").provider
        'stripe'
    """

    class Meta:
        model = Payment

    id = factory.LazyFunction(uuid7)
    provider = "stripe"
    provider_id = factory.Sequence(lambda n: f"pi_{n}")
    reference = factory.Sequence(lambda n: f"payment-{n}")
    status = "pending"
    currency = "EUR"
    amount = Decimal("19.90")
    refunded = Decimal(0)


@declared
class PaymentEventFactory(ModelFactory):
    """A message that was noted, with the payment it is about.

    Example:
        >>> PaymentEventFactory.build(outcome="stale").outcome
        'stale'
    """

    class Meta:
        model = PaymentEvent

    class Params:
        payment = factory.SubFactory(PaymentFactory)

    id = factory.LazyFunction(uuid7)
    payment_id = factory.SelfAttribute("payment.id")
    provider = factory.SelfAttribute("payment.provider")
    event_id = factory.Sequence(lambda n: f"evt_{n}")
    type = "payment_intent.created"
    outcome = "noted"
    occurred_at = factory.LazyFunction(utc_now)
