"""Money and assets for coroutines: the same work."""

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from shared.commerce import _ledger_work as work
from shared.commerce._entities_ledger import (
    AssetBalanceEntity,
    AssetChanges,
    AssetEntity,
    AssetTransactionEntity,
    BalanceEntity,
    LedgerFault,
    NewAsset,
    NewAssetTransfer,
    NewTrade,
    NewTransfer,
)
from shared.commerce._ledger_dao import Details, asset_movement, movement
from shared.constants import FieldLimit
from shared.database import AsyncDAO, KeysetPage

__all__ = ["AsyncAssetBalanceDAO", "AsyncAssetDAO", "AsyncAssetTransactionDAO", "AsyncBalanceDAO"]


class AsyncAssetDAO(AsyncDAO):
    """A :class:`AssetDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...         assets = AsyncAssetDAO(db)
        ...         await assets.create_asset({"symbol": "BTC", "name": "Bitcoin"})
        ...         print((await assets.get_asset("BTC")).name)
        >>> asyncio.run(main())
        Bitcoin
    """

    async def create_asset(
        self, asset_data: NewAsset | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> AssetEntity:
        """See :meth:`AssetDAO.create_asset`."""
        return await self.write(work.create_asset, NewAsset.parse(asset_data), session=session)

    async def get_asset(self, asset: uuid.UUID | str, *, session: AsyncSession | None = None) -> AssetEntity:
        """See :meth:`AssetDAO.get_asset`."""
        return await self.read(work.get_asset, asset, session=session)

    async def list_assets(
        self,
        *,
        is_active: bool | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: AsyncSession | None = None,
    ) -> KeysetPage[AssetEntity]:
        """See :meth:`AssetDAO.list_assets`."""
        return await self.read(work.list_assets, after, size, is_active, session=session)

    async def update_asset(
        self,
        asset: uuid.UUID | str,
        changes: Mapping[str, Any],
        *,
        version: int | None = None,
        session: AsyncSession | None = None,
    ) -> AssetEntity:
        """See :meth:`AssetDAO.update_asset`."""
        return await self.write(
            work.update_asset, asset, AssetChanges.parse(changes), version, session=session
        )


class AsyncBalanceDAO(AsyncDAO):
    """A :class:`BalanceDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...         balances = AsyncBalanceDAO(db)
        ...         await balances.deposit("ada", 100, "EUR")
        ...         await balances.transfer("ada", "bob", "30.50", "EUR")
        ...         print((await balances.get_balance("ada", "EUR")).amount)
        >>> asyncio.run(main())
        69.5000
    """

    async def create_balance(
        self,
        user_id: str,
        currency: str,
        *,
        allow_negative: bool = False,
        session: AsyncSession | None = None,
    ) -> BalanceEntity:
        """See :meth:`BalanceDAO.create_balance`."""
        return await self.write(work.create_balance, user_id, currency, allow_negative, session=session)

    async def get_balance(
        self, user_id: str, currency: str, *, session: AsyncSession | None = None
    ) -> BalanceEntity:
        """See :meth:`BalanceDAO.get_balance`."""
        return await self.read(work.get_balance, user_id, currency, session=session)

    async def list_balances(
        self, user_id: str, *, session: AsyncSession | None = None
    ) -> list[BalanceEntity]:
        """See :meth:`BalanceDAO.list_balances`."""
        return await self.read(work.list_balances, user_id, session=session)

    async def deposit(
        self,
        user_id: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`BalanceDAO.deposit`."""
        new = movement(user_id, amount, currency, reference, details)
        return await self.write(work.external, new, "deposit", session=session)

    async def withdraw(
        self,
        user_id: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`BalanceDAO.withdraw`."""
        new = movement(user_id, amount, currency, reference, details)
        return await self.write(work.external, new, "withdrawal", session=session)

    async def transfer(
        self,
        from_user: str,
        to_user: str,
        amount: Decimal | int | str,
        currency: str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`BalanceDAO.transfer`."""
        given = {"from_user": from_user, "to_user": to_user, "amount": amount, "currency": currency}
        new = NewTransfer.parse({**given, "reference": reference, "details": details})
        return (await self.write(work.transfer, [new], session=session))[0]

    async def transfer_many(
        self, transfers: Sequence[NewTransfer | Mapping[str, Any]], *, session: AsyncSession | None = None
    ) -> list[AssetTransactionEntity]:
        """See :meth:`BalanceDAO.transfer_many`."""
        return await self.write(work.transfer, work.checked_batch(transfers, NewTransfer), session=session)


class AsyncAssetBalanceDAO(AsyncDAO):
    """A :class:`AssetBalanceDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...         await AsyncAssetDAO(db).create_asset({"symbol": "BTC", "name": "Bitcoin"})
        ...         moved = await AsyncAssetBalanceDAO(db).deposit_asset("ada", "0.5", "BTC")
        ...         print(moved.kind)
        >>> asyncio.run(main())
        deposit
    """

    async def create_asset_balance(
        self,
        user_id: str,
        asset: uuid.UUID | str,
        *,
        allow_negative: bool = False,
        session: AsyncSession | None = None,
    ) -> AssetBalanceEntity:
        """See :meth:`AssetBalanceDAO.create_asset_balance`."""
        return await self.write(work.create_asset_balance, user_id, asset, allow_negative, session=session)

    async def get_asset_balance(
        self, user_id: str, asset: uuid.UUID | str, *, session: AsyncSession | None = None
    ) -> AssetBalanceEntity:
        """See :meth:`AssetBalanceDAO.get_asset_balance`."""
        return await self.read(work.get_asset_balance, user_id, asset, session=session)

    async def list_asset_balances(
        self, user_id: str, *, session: AsyncSession | None = None
    ) -> list[AssetBalanceEntity]:
        """See :meth:`AssetBalanceDAO.list_asset_balances`."""
        return await self.read(work.list_asset_balances, user_id, session=session)

    async def deposit_asset(
        self,
        user_id: str,
        quantity: Decimal | int | str,
        asset: uuid.UUID | str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`AssetBalanceDAO.deposit_asset`."""
        new = asset_movement(user_id, quantity, asset, reference, details)
        return await self.write(work.external_asset, new, "deposit", session=session)

    async def withdraw_asset(
        self,
        user_id: str,
        quantity: Decimal | int | str,
        asset: uuid.UUID | str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`AssetBalanceDAO.withdraw_asset`."""
        new = asset_movement(user_id, quantity, asset, reference, details)
        return await self.write(work.external_asset, new, "withdrawal", session=session)

    async def transfer_asset(
        self,
        from_user: str,
        to_user: str,
        quantity: Decimal | int | str,
        asset: uuid.UUID | str,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`AssetBalanceDAO.transfer_asset`."""
        given = {"from_user": from_user, "to_user": to_user, "quantity": quantity, "asset": asset}
        new = NewAssetTransfer.parse({**given, "reference": reference, "details": details})
        return (await self.write(work.transfer_assets, [new], session=session))[0]

    async def transfer_assets(
        self,
        transfers: Sequence[NewAssetTransfer | Mapping[str, Any]],
        *,
        session: AsyncSession | None = None,
    ) -> list[AssetTransactionEntity]:
        """See :meth:`AssetBalanceDAO.transfer_assets`."""
        checked = work.checked_batch(transfers, NewAssetTransfer)
        return await self.write(work.transfer_assets, checked, session=session)


class AsyncAssetTransactionDAO(AsyncDAO):
    """A :class:`AssetTransactionDAO` for coroutines.

    Args:
        database: The :class:`~shared.database.Database`; ``get_database()`` when None.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database, tables_of
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...         await AsyncBalanceDAO(db).deposit("ada", 100, "EUR")
        ...         print(await AsyncAssetTransactionDAO(db).find_faults())
        >>> asyncio.run(main())
        []
    """

    async def create_transaction(
        self, transaction_data: NewTrade | Mapping[str, Any], *, session: AsyncSession | None = None
    ) -> AssetTransactionEntity:
        """See :meth:`AssetTransactionDAO.create_transaction`."""
        return await self.write(work.trade, NewTrade.parse(transaction_data), session=session)

    async def get_transaction(
        self, transaction_id: Any, *, session: AsyncSession | None = None
    ) -> AssetTransactionEntity:
        """See :meth:`AssetTransactionDAO.get_transaction`."""
        return await self.read(work.get_transaction, transaction_id, session=session)

    async def get_transaction_by_reference(
        self, reference: str, *, session: AsyncSession | None = None
    ) -> AssetTransactionEntity:
        """See :meth:`AssetTransactionDAO.get_transaction_by_reference`."""
        return await self.read(work.get_by_reference, reference, session=session)

    async def list_transactions(
        self,
        *,
        user_id: str | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: AsyncSession | None = None,
    ) -> KeysetPage[AssetTransactionEntity]:
        """See :meth:`AssetTransactionDAO.list_transactions`."""
        return await self.read(work.list_transactions, user_id, after, size, session=session)

    async def reverse_transaction(
        self,
        transaction_id: Any,
        *,
        reference: str | None = None,
        details: Details = None,
        session: AsyncSession | None = None,
    ) -> AssetTransactionEntity:
        """See :meth:`AssetTransactionDAO.reverse_transaction`."""
        checked = work.checked_details(details)
        return await self.write(work.reverse, transaction_id, reference, checked, session=session)

    async def find_faults(self, *, session: AsyncSession | None = None) -> list[LedgerFault]:
        """See :meth:`AssetTransactionDAO.find_faults`."""
        return await self.read(work.find_faults, session=session)
