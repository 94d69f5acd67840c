"""The journal for threads."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from shared.commerce import _ledger_work as work
from shared.commerce._entities_ledger import AssetTransactionEntity, LedgerFault, NewTrade
from shared.commerce._ledger_dao import Details
from shared.constants import FieldLimit
from shared.database import DAO, KeysetPage

__all__ = ["AssetTransactionDAO"]


class AssetTransactionDAO(DAO):
    """The journal: every movement, written once, never changed.

    Args:
        database: Where; ``get_database()`` when None.

    Example:
        >>> from shared.commerce import AssetBalanceDAO, AssetDAO, BalanceDAO
        >>> from shared.database import Base, Database, tables_of
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("commerce"))
        ...     _ = AssetDAO(db).create_asset({"symbol": "BTC", "name": "Bitcoin"})
        ...     _ = BalanceDAO(db).deposit("ada", 100, "EUR")
        ...     _ = AssetBalanceDAO(db).deposit_asset("bob", 1, "BTC")
        ...     journal = AssetTransactionDAO(db)
        ...     trade = journal.create_transaction({"buyer_id": "ada", "seller_id": "bob", "asset": "BTC",
        ...         "quantity": "0.5", "amount": 80, "currency": "EUR", "reference": "t-1"})
        ...     _ = journal.reverse_transaction(trade.id)
        ...     BalanceDAO(db).get_balance("ada", "EUR").amount, journal.find_faults()
        (Decimal('100.0000'), [])
    """

    def create_transaction(
        self, transaction_data: NewTrade | Mapping[str, Any], *, session: Session | None = None
    ) -> AssetTransactionEntity:
        """Trade an asset against money, both or neither; see :meth:`BalanceDAO.transfer` for the errors."""
        return self.write(work.trade, NewTrade.parse(transaction_data), session=session)

    def get_transaction(
        self, transaction_id: Any, *, session: Session | None = None
    ) -> AssetTransactionEntity:
        """Return a movement with its entries.

        Raises:
            ResourceNotFoundError: There is none.
        """
        return self.read(work.get_transaction, transaction_id, session=session)

    def get_transaction_by_reference(
        self, reference: str, *, session: Session | None = None
    ) -> AssetTransactionEntity:
        """Return the movement under a reference.

        Raises:
            ResourceNotFoundError: There is none.
        """
        return self.read(work.get_by_reference, reference, session=session)

    def list_transactions(
        self,
        *,
        user_id: str | None = None,
        after: str | None = None,
        size: int = FieldLimit.PAGE_SIZE_DEFAULT,
        session: Session | None = None,
    ) -> KeysetPage[AssetTransactionEntity]:
        """Return movements, the newest first; of one owner or of all.

        Raises:
            ValidationError: An argument is out of range.
        """
        return self.read(work.list_transactions, user_id, after, size, session=session)

    def reverse_transaction(
        self,
        transaction_id: Any,
        *,
        reference: str | None = None,
        details: Details = None,
        session: Session | None = None,
    ) -> AssetTransactionEntity:
        """Post the opposite of a movement, once: a second call returns the first reversal.

        Raises:
            InsufficientBalanceError: Who got something has spent it.
            InvalidStateError: It is a reversal itself.
            ResourceNotFoundError: There is no such movement.
        """
        checked = work.checked_details(details)
        return self.write(work.reverse, transaction_id, reference, checked, session=session)

    def find_faults(self, *, session: Session | None = None) -> list[LedgerFault]:
        """Return every balance that is not the sum of its entries, and every movement that is not zero.

        Reads the whole journal: for a nightly check, on a replica.
        """
        return self.read(work.find_faults, session=session)
