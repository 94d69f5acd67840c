"""Money and assets: balances, and the journal of every movement between them."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, Uuid, event
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.database import Base, Money, Timestamps, UUIDKey, Versioned, utc_now
from shared.errors import InvalidStateError

__all__ = ["Asset", "AssetBalance", "AssetEntry", "AssetTransaction", "Balance", "BalanceEntry"]

#: Digits of a quantity of an asset: 10 before the point, 8 after.
QUANTITY: Final = Money(18, 8)
KINDS: Final = ("transfer", "deposit", "withdrawal", "trade", "reversal")
_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)


class Asset(UUIDKey, Timestamps, Versioned, Base):
    """Something that can be held in quantities: a coin, a share, points.

    Example:
        >>> Asset(symbol="BTC", name="Bitcoin").symbol
        'BTC'
    """

    __tablename__ = "commerce_assets"
    __room__: ClassVar[str] = "commerce"

    symbol: Mapped[str] = mapped_column(String(20), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)


class Balance(UUIDKey, Timestamps, Versioned, Base):
    """The money of one owner in one currency; the sum of its entries.

    Never below zero unless *allow_negative* is set: a rule of the database.

    Example:
        >>> Balance(user_id="u-1", currency="EUR").currency
        'EUR'
    """

    __tablename__ = "commerce_balances"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        UniqueConstraint("user_id", "currency"),
        CheckConstraint("amount >= 0 OR allow_negative", name="amount"),
    )

    user_id: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    allow_negative: Mapped[bool] = mapped_column(default=False)


class AssetBalance(UUIDKey, Timestamps, Versioned, Base):
    """How much of an asset one owner holds; the sum of its entries.

    Example:
        >>> AssetBalance(user_id="u-1", amount=3).amount
        3
    """

    __tablename__ = "commerce_asset_balances"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        UniqueConstraint("user_id", "asset_id"),
        CheckConstraint("amount >= 0 OR allow_negative", name="amount"),
    )

    user_id: Mapped[str] = mapped_column(String(64))
    asset_id: Mapped[uuid.UUID] = mapped_column(Uuid(), ForeignKey("commerce_assets.id"), index=True)
    amount: Mapped[Decimal] = mapped_column(QUANTITY, default=Decimal(0))
    allow_negative: Mapped[bool] = mapped_column(default=False)


class AssetTransaction(UUIDKey, Base):
    """One movement: entries that add up to zero for every currency and every asset.

    Written once and never changed; a mistake is undone by a reversal. *reference* is
    the caller's own number: a second posting under it is the first one.

    Example:
        >>> AssetTransaction(reference="r-1", kind="transfer").kind
        'transfer'
    """

    __tablename__ = "commerce_asset_transactions"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (CheckConstraint(f"kind IN ({_KINDS})", name="kind"),)

    reference: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    fingerprint: Mapped[str] = mapped_column(String(64))
    reverses_id: Mapped[uuid.UUID | None] = mapped_column(
        Uuid(), ForeignKey("commerce_asset_transactions.id"), unique=True
    )
    details: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    money: Mapped[list["BalanceEntry"]] = relationship(
        lambda: BalanceEntry, lazy="selectin", viewonly=True, order_by=lambda: BalanceEntry.id
    )
    assets: Mapped[list["AssetEntry"]] = relationship(
        lambda: AssetEntry, lazy="selectin", viewonly=True, order_by=lambda: AssetEntry.id
    )


class BalanceEntry(UUIDKey, Base):
    """What one movement did to one balance.

    Example:
        >>> BalanceEntry(user_id="u-1", currency="EUR", amount=-5).amount
        -5
    """

    __tablename__ = "commerce_balance_entries"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_commerce_balance_entries_user_id_id", "user_id", "id"),
    )

    transaction_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), ForeignKey("commerce_asset_transactions.id"), index=True
    )
    balance_id: Mapped[uuid.UUID] = mapped_column(Uuid(), ForeignKey("commerce_balances.id"), index=True)
    user_id: Mapped[str] = mapped_column(String(64))
    currency: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal]
    amount_after: Mapped[Decimal]


class AssetEntry(UUIDKey, Base):
    """What one movement did to one holding of an asset.

    Example:
        >>> AssetEntry(user_id="u-1", amount=5).amount
        5
    """

    __tablename__ = "commerce_asset_entries"
    __room__: ClassVar[str] = "commerce"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_commerce_asset_entries_user_id_id", "user_id", "id"),
    )

    transaction_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), ForeignKey("commerce_asset_transactions.id"), index=True
    )
    asset_balance_id: Mapped[uuid.UUID] = mapped_column(
        Uuid(), ForeignKey("commerce_asset_balances.id"), index=True
    )
    user_id: Mapped[str] = mapped_column(String(64))
    asset_id: Mapped[uuid.UUID] = mapped_column(Uuid(), ForeignKey("commerce_assets.id"))
    amount: Mapped[Decimal] = mapped_column(QUANTITY)
    amount_after: Mapped[Decimal] = mapped_column(QUANTITY)


def _refuse(_mapper: Any, _connection: Any, target: Any) -> None:
    msg = f"{type(target).__name__.lower()}: the journal is written once; post a reversal"
    raise InvalidStateError(msg)


for _model in (AssetTransaction, BalanceEntry, AssetEntry):
    event.listen(_model, "before_update", _refuse)
    event.listen(_model, "before_delete", _refuse)
