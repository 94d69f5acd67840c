"""Money and assets as values: what goes in, checked, and what comes out."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from shared.commerce._checks import Currency, Details, Reference, Symbol, UserId
from shared.database import Entity, ExactAmount, exact_amount

__all__ = [
    "AssetBalanceEntity",
    "AssetEntity",
    "AssetEntryEntity",
    "AssetTransactionEntity",
    "BalanceEntity",
    "BalanceEntryEntity",
    "LedgerFault",
    "NewAsset",
    "NewAssetTransfer",
    "NewTrade",
    "NewTransfer",
]

PositiveAmount = Annotated[ExactAmount, Field(gt=0)]
PositiveQuantity = Annotated[Decimal, exact_amount(18, 8), Field(gt=0)]
AssetRef = uuid.UUID | Symbol


class NewAsset(Entity, extra="forbid"):
    """An asset to be made.

    Example:
        >>> NewAsset.parse({"symbol": "BTC", "name": "Bitcoin"}).symbol
        'BTC'
    """

    symbol: Symbol
    name: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)


class AssetChanges(Entity, extra="forbid"):
    """What may be changed of an asset; what is None stays."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    is_active: bool | None = None


class AssetEntity(Entity):
    """An asset as it is now.

    Example:
        >>> AssetEntity.model_fields["symbol"].annotation
        <class 'str'>
    """

    id: uuid.UUID
    symbol: str
    name: str
    description: str | None
    is_active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class BalanceEntity(Entity):
    """The money of one owner in one currency.

    Example:
        >>> BalanceEntity.model_fields["amount"].annotation.__name__
        'Decimal'
    """

    id: uuid.UUID
    user_id: str
    currency: str
    amount: Decimal
    allow_negative: bool
    version: int
    updated_at: datetime


class AssetBalanceEntity(Entity):
    """How much of an asset one owner holds.

    Example:
        >>> AssetBalanceEntity.model_fields["asset_id"].annotation.__name__
        'UUID'
    """

    id: uuid.UUID
    user_id: str
    asset_id: uuid.UUID
    amount: Decimal
    allow_negative: bool
    version: int
    updated_at: datetime


class _Pair(Entity, extra="forbid"):
    from_user: UserId
    to_user: UserId
    reference: Reference | None = None
    details: Details | None = None

    @model_validator(mode="after")
    def _two_owners(self) -> Self:
        if self.from_user == self.to_user:
            raise ValueError("a transfer needs two owners")
        return self


class NewTransfer(_Pair):
    """Money to be moved from one owner to another.

    Attributes:
        from_user: Who gives.
        to_user: Who gets; a balance is opened when there is none.
        amount: Above 0; ``Decimal``, ``int`` or text, never ``float``.
        currency: Such as ``"EUR"``.
        reference: The caller's own number: a second transfer under it is the first one.
        details: Anything as JSON.

    Example:
        >>> NewTransfer.parse({"from_user": "a", "to_user": "b", "amount": "5", "currency": "EUR"}).amount
        Decimal('5.0000')
    """

    amount: PositiveAmount
    currency: Currency


class NewAssetTransfer(_Pair):
    """A quantity of an asset to be moved from one owner to another.

    Attributes:
        from_user: Who gives.
        to_user: Who gets.
        quantity: Above 0, at most 8 digits after the point.
        asset: Its id or symbol.
        reference: As of :class:`NewTransfer`.
        details: Anything as JSON.

    Example:
        >>> NewAssetTransfer.parse(
        ...     {"from_user": "a", "to_user": "b", "quantity": "0.5", "asset": "BTC"}
        ... ).asset
        'BTC'
    """

    quantity: PositiveQuantity
    asset: AssetRef


class NewTrade(Entity, extra="forbid"):
    """An asset against money, in one movement.

    Attributes:
        buyer_id: Who gets the asset and gives the money.
        seller_id: Who gives the asset and gets the money.
        asset: Its id or symbol.
        quantity: Of the asset.
        amount: Of money, for all of it.
        currency: Of the money.
        reference: As of :class:`NewTransfer`.
        details: Anything as JSON.

    Example:
        >>> NewTrade.parse({"buyer_id": "a", "seller_id": "b", "asset": "BTC", "quantity": "0.5",
        ...     "amount": "100", "currency": "EUR"}).amount
        Decimal('100.0000')
    """

    buyer_id: UserId
    seller_id: UserId
    asset: AssetRef
    quantity: PositiveQuantity
    amount: PositiveAmount
    currency: Currency
    reference: Reference | None = None
    details: Details | None = None

    @model_validator(mode="after")
    def _two_owners(self) -> Self:
        if self.buyer_id == self.seller_id:
            raise ValueError("a trade needs two owners")
        return self


class Movement(Entity, extra="forbid"):
    """Money that comes in or goes out."""

    user_id: UserId
    amount: PositiveAmount
    currency: Currency
    reference: Reference | None = None
    details: Details | None = None


class AssetMovement(Entity, extra="forbid"):
    """A quantity of an asset that comes in or goes out."""

    user_id: UserId
    quantity: PositiveQuantity
    asset: AssetRef
    reference: Reference | None = None
    details: Details | None = None


class BalanceEntryEntity(Entity):
    """What one movement did to one balance.

    Example:
        >>> BalanceEntryEntity(
        ...     user_id="a", currency="EUR", amount=Decimal(-5), amount_after=Decimal(0)
        ... ).amount
        Decimal('-5')
    """

    user_id: str
    currency: str
    amount: Decimal
    amount_after: Decimal


class AssetEntryEntity(Entity):
    """What one movement did to one holding of an asset.

    Example:
        >>> AssetEntryEntity.model_fields["amount"].annotation.__name__
        'Decimal'
    """

    user_id: str
    asset_id: uuid.UUID
    amount: Decimal
    amount_after: Decimal


class AssetTransactionEntity(Entity):
    """One movement with its entries, which add up to zero.

    Attributes:
        kind: ``transfer``, ``deposit``, ``withdrawal``, ``trade`` or ``reversal``.
        money: Entries of balances.
        assets: Entries of holdings.

    Example:
        >>> AssetTransactionEntity.model_fields["kind"].annotation.__args__[0]
        'transfer'
    """

    id: uuid.UUID
    reference: str
    kind: Literal["transfer", "deposit", "withdrawal", "trade", "reversal"]
    reverses_id: uuid.UUID | None
    details: dict[str, Any] | None
    created_at: AwareDatetime
    money: tuple[BalanceEntryEntity, ...]
    assets: tuple[AssetEntryEntity, ...]


class LedgerFault(Entity):
    """Something that does not add up; there is none unless somebody wrote past the ledger.

    Attributes:
        what: ``balance`` or ``asset_balance``: it is not the sum of its entries;
            ``transaction``: its entries do not add up to zero.
        id: Of the row.
        unit: The currency, or the id of the asset.
        found: What is there.
        expected: What the entries say.

    Example:
        >>> LedgerFault(
        ...     what="balance", id=uuid.UUID(int=1), unit="EUR", found=Decimal(5), expected=Decimal(4)
        ... ).what
        'balance'
    """

    what: Literal["balance", "asset_balance", "transaction"]
    id: uuid.UUID
    unit: str
    found: Decimal
    expected: Decimal
