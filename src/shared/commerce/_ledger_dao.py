"""Money and assets for threads."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from shared.commerce import _ledger_work as work
from shared.commerce._entities_ledger import (
    AssetBalanceEntity,
    AssetChanges,
    AssetEntity,
    AssetMovement,
    AssetTransactionEntity,
    BalanceEntity,
    Movement,
    NewAsset,
    NewAssetTransfer,
    NewTransfer,
)
from shared.constants import FieldLimit
from shared.database import DAO, KeysetPage

__all__ = ["AssetBalanceDAO", "AssetDAO", "BalanceDAO"]

Details = Mapping[str, Any] | None


def movement(user_id: Any, amount: Any, currency: Any, reference: Any, details: Any) -> Movement:
    """Return checked money that comes in or goes out."""
    given = {"user_id": user_id, "amount": amount, "currency": currency}
    return Movement.parse({**given, "reference": reference, "details": details})


def asset_movement(user_id: Any, quantity: Any, asset: Any, reference: Any, details: Any) -> AssetMovement:
    """Return a checked quantity that comes in or goes out."""
    given = {"user_id": user_id, "quantity": quantity, "asset": asset}
    return AssetMovement.parse({**given, "reference": reference, "details": details})


class AssetDAO(DAO):
    """Assets: what can be held and moved in quantities.

    Args:
        database: Where; ``get_database()`` when None.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     assets = AssetDAO(db)
        ...     _ = assets.create_asset({"symbol": "BTC", "name": "Bitcoin"})
        ...     assets.get_asset("BTC").name
        'Bitcoin'
    """

    def create_asset(
        self, asset_data: NewAsset | Mapping[str, Any], *, session: Session | None = None
    ) -> AssetEntity:
        """Make an asset.

        Raises:
            ConflictError: There is one with the symbol.
            ValidationError: The data does not fit.
        """
        return self.write(work.create_asset, NewAsset.parse(asset_data), session=session)

    def get_asset(self, asset: uuid.UUID | str, *, session: Session | None = None) -> AssetEntity:
        """Return an asset by its id or symbol.

        Raises:
            AssetNotFoundError: There is none.
        """
        return self.read(work.get_asset, asset, session=session)

    def list_assets(
        self,
        *,
        is_active: bool | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: Session | None = None,
    ) -> KeysetPage[AssetEntity]:
        """Return assets in the order of their symbols, all or only those that are (not) active."""
        return self.read(work.list_assets, after, size, is_active, session=session)

    def update_asset(
        self,
        asset: uuid.UUID | str,
        changes: Mapping[str, Any],
        *,
        version: int | None = None,
        session: Session | None = None,
    ) -> AssetEntity:
        """Change ``name``, ``description`` or ``is_active``; nothing of an inactive asset can be moved.

        Raises:
            AssetNotFoundError: There is none.
            TransactionConflictError: It does not have *version* any more.
            ValidationError: The changes do not fit.
        """
        return self.write(work.update_asset, asset, AssetChanges.parse(changes), version, session=session)


class BalanceDAO(DAO):
    """Money of owners, moved in double entry: nothing is made and nothing is lost.

    A balance never goes below zero unless it was opened to. What comes in and goes out
    has its other side with owners called ``system:external:…``, so that all balances
    of a currency add up to zero.

    Args:
        database: Where; ``get_database()`` when None.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     balances = BalanceDAO(db)
        ...     _ = balances.deposit("ada", 100, "EUR", reference="payment-1")
        ...     for _ in range(2):  # the second call under a reference is the first one
        ...         _ = balances.transfer("ada", "bob", "30.50", "EUR", reference="rent-11")
        ...     balances.get_balance("ada", "EUR").amount, balances.get_balance("bob", "EUR").amount
        (Decimal('69.5000'), Decimal('30.5000'))
    """

    def create_balance(
        self, user_id: str, currency: str, *, allow_negative: bool = False, session: Session | None = None
    ) -> BalanceEntity:
        """Open a balance at zero; a deposit and a transfer open one by themselves.

        Raises:
            ConflictError: There is one.
        """
        return self.write(work.create_balance, user_id, currency, allow_negative, session=session)

    def get_balance(self, user_id: str, currency: str, *, session: Session | None = None) -> BalanceEntity:
        """Return a balance.

        Raises:
            BalanceNotFoundError: There is none.
        """
        return self.read(work.get_balance, user_id, currency, session=session)

    def list_balances(self, user_id: str, *, session: Session | None = None) -> list[BalanceEntity]:
        """Return the balances of a user by currency."""
        return self.read(work.list_balances, user_id, session=session)

    def deposit(
        self,
        user_id: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Bring money in; see :meth:`transfer`."""
        new = movement(user_id, amount, currency, reference, details)
        return self.write(work.external, new, "deposit", session=session)

    def withdraw(
        self,
        user_id: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Take money out; see :meth:`transfer`."""
        new = movement(user_id, amount, currency, reference, details)
        return self.write(work.external, new, "withdrawal", session=session)

    def transfer(
        self,
        from_user: str,
        to_user: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Move money from one owner to another.

        Args:
            from_user: Who gives.
            to_user: Who gets; a balance is opened when there is none.
            amount: Above 0, at most 4 digits after the point; never a ``float``.
            currency: Such as ``"EUR"``.
            reference: The caller's own number. A second call under it returns the
                first movement; without, each call moves.
            details: Anything as JSON.
            session: Of the caller.

        Raises:
            InsufficientBalanceError: It does not cover the amount; nothing is moved.
            BalanceNotFoundError: The giver has none.
            ConflictError: Another movement was posted under the reference.
            ValidationError: An argument does not fit.
        """
        given = {"from_user": from_user, "to_user": to_user, "amount": amount, "currency": currency}
        new = NewTransfer.parse({**given, "reference": reference, "details": details})
        return self.write(work.transfer, [new], session=session)[0]

    def transfer_many(
        self, transfers: Sequence[NewTransfer | Mapping[str, Any]], *, session: Session | None = None
    ) -> list[AssetTransactionEntity]:
        """Move up to 1000 amounts in the order given, all or none; see :meth:`transfer`."""
        return self.write(work.transfer, work.checked_batch(transfers, NewTransfer), session=session)


class AssetBalanceDAO(DAO):
    """Holdings of assets, moved in double entry as money is.

    Args:
        database: Where; ``get_database()`` when None.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     _ = AssetDAO(db).create_asset({"symbol": "BTC", "name": "Bitcoin"})
        ...     holdings = AssetBalanceDAO(db)
        ...     _ = holdings.deposit_asset("ada", "0.5", "BTC")
        ...     _ = holdings.transfer_asset("ada", "bob", "0.2", "BTC")
        ...     holdings.get_asset_balance("ada", "BTC").amount
        Decimal('0.30000000')
    """

    def create_asset_balance(
        self,
        user_id: str,
        asset: uuid.UUID | str,
        *,
        allow_negative: bool = False,
        session: Session | None = None,
    ) -> AssetBalanceEntity:
        """Open a holding at zero.

        Raises:
            ConflictError: There is one.
            AssetNotFoundError: There is no such asset.
        """
        return self.write(work.create_asset_balance, user_id, asset, allow_negative, session=session)

    def get_asset_balance(
        self, user_id: str, asset: uuid.UUID | str, *, session: Session | None = None
    ) -> AssetBalanceEntity:
        """Return a holding.

        Raises:
            BalanceNotFoundError: There is none.
        """
        return self.read(work.get_asset_balance, user_id, asset, session=session)

    def list_asset_balances(
        self, user_id: str, *, session: Session | None = None
    ) -> list[AssetBalanceEntity]:
        """Return the holdings of a user."""
        return self.read(work.list_asset_balances, user_id, session=session)

    def deposit_asset(
        self,
        user_id: str,
        quantity: Decimal | int | str,
        asset: uuid.UUID | str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Bring a quantity in; see :meth:`BalanceDAO.transfer`."""
        new = asset_movement(user_id, quantity, asset, reference, details)
        return self.write(work.external_asset, new, "deposit", session=session)

    def withdraw_asset(
        self,
        user_id: str,
        quantity: Decimal | int | str,
        asset: uuid.UUID | str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Take a quantity out; see :meth:`BalanceDAO.transfer`."""
        new = asset_movement(user_id, quantity, asset, reference, details)
        return self.write(work.external_asset, new, "withdrawal", session=session)

    def transfer_asset(
        self,
        from_user: str,
        to_user: str,
        quantity: Decimal | int | str,
        asset: uuid.UUID | str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Move a quantity from one owner to another; see :meth:`BalanceDAO.transfer`."""
        given = {"from_user": from_user, "to_user": to_user, "quantity": quantity, "asset": asset}
        new = NewAssetTransfer.parse({**given, "reference": reference, "details": details})
        return self.write(work.transfer_assets, [new], session=session)[0]

    def transfer_assets(
        self, transfers: Sequence[NewAssetTransfer | Mapping[str, Any]], *, session: Session | None = None
    ) -> list[AssetTransactionEntity]:
        """Move up to 1000 quantities in the order given, all or none."""
        checked = work.checked_batch(transfers, NewAssetTransfer)
        return self.write(work.transfer_assets, checked, session=session)
