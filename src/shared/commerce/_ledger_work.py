"""The verbs of money and assets as functions of a session."""

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from shared.commerce._checks import Details, currency_of, reference_of, user_of, uuid_of
from shared.commerce._entities_ledger import (
    AssetBalanceEntity,
    AssetChanges,
    AssetEntity,
    AssetMovement,
    AssetTransactionEntity,
    BalanceEntity,
    LedgerFault,
    Movement,
    NewAsset,
    NewAssetTransfer,
    NewTrade,
    NewTransfer,
)
from shared.commerce._ledger import (
    Journal,
    Leg,
    asset,
    asset_balances,
    balances,
    money,
    post,
    system_owner,
    transactions,
)
from shared.commerce._tables_ledger import (
    Asset,
    AssetBalance,
    AssetEntry,
    AssetTransaction,
    Balance,
    BalanceEntry,
)
from shared.constants import FieldLimit
from shared.database import Entity, KeysetPage, Repository, uuid7
from shared.errors import (
    AssetNotFoundError,
    BalanceNotFoundError,
    ConflictError,
    InvalidStateError,
    ResourceNotFoundError,
    ValidationError,
)

__all__ = ["create_asset", "find_faults", "post", "trade", "transfer"]

_MAX_BATCH: Final = 1000

assets: Final = Repository(Asset, not_found=AssetNotFoundError)


# -- assets --------------------------------------------------------------------------


def create_asset(session: Session, new: NewAsset) -> AssetEntity:
    """Make an asset."""
    return AssetEntity.of(assets.add(session, Asset(**new.model_dump())))


def find_asset(session: Session, ref: Any) -> Asset:
    """Return an asset by id or symbol."""
    if isinstance(ref, uuid.UUID):
        return assets.get(session, ref)
    if not isinstance(ref, str):
        msg = f"asset: an id or a symbol expected, got {type(ref).__name__}"
        raise ValidationError(msg, details={"field": "asset"})
    try:
        return assets.get(session, uuid.UUID(ref))
    except ValueError:
        found = assets.find_by(session, symbol=ref)
    if found is None:
        raise AssetNotFoundError(resource_id=ref[:20])
    return found


def get_asset(session: Session, ref: Any) -> AssetEntity:
    """Return an asset."""
    return AssetEntity.of(find_asset(session, ref))


def list_assets(session: Session, after: str | None, size: int, active: bool | None) -> Any:
    """Return assets by their symbol."""
    where = {} if active is None else {"is_active": active}
    page = assets.keyset(session, after=after, size=size, where=where, order_by="symbol")
    return KeysetPage([AssetEntity.of(row) for row in page.items], page.next_cursor)


def update_asset(session: Session, ref: Any, new: AssetChanges, version: int | None) -> AssetEntity:
    """Change the name, the description or whether it may be moved."""
    row, changes = find_asset(session, ref), new.model_dump(exclude_none=True)
    if not changes:
        raise ValidationError("nothing is to be changed: give a name, a description or is_active")
    return AssetEntity.of(assets.update(session, row.id, changes, version=version))


def movable(session: Session, ref: Any) -> uuid.UUID:
    """Return the id of an asset that may be moved.

    Raises:
        InvalidStateError: It is not active.
    """
    row = find_asset(session, ref)
    if not row.is_active:
        msg = f"asset {row.symbol!r} is not active: nothing of it can be moved"
        raise InvalidStateError(msg, details={"asset": row.symbol})
    return row.id


# -- balances ------------------------------------------------------------------------


def create_balance(session: Session, user_id: Any, currency: Any, allow_negative: bool) -> BalanceEntity:
    """Open a balance."""
    values = {"user_id": user_of(user_id), "currency": currency_of(currency)}
    return BalanceEntity.of(balances.add(session, Balance(**values, allow_negative=allow_negative is True)))


def get_balance(session: Session, user_id: Any, currency: Any) -> BalanceEntity:
    """Return a balance."""
    row = balances.find_by(session, user_id=user_of(user_id), currency=currency_of(currency))
    if row is None:
        raise BalanceNotFoundError(details={"unit": currency})
    return BalanceEntity.of(row)


def list_balances(session: Session, user_id: Any) -> list[BalanceEntity]:
    """Return the balances of a user by currency."""
    rows = balances.list(session, where={"user_id": user_of(user_id)}, order_by="currency")
    return [BalanceEntity.of(row) for row in rows]


def create_asset_balance(
    session: Session, user_id: Any, ref: Any, allow_negative: bool
) -> AssetBalanceEntity:
    """Open a holding."""
    values = {"user_id": user_of(user_id), "asset_id": find_asset(session, ref).id}
    row = AssetBalance(**values, allow_negative=allow_negative is True)
    return AssetBalanceEntity.of(asset_balances.add(session, row))


def get_asset_balance(session: Session, user_id: Any, ref: Any) -> AssetBalanceEntity:
    """Return a holding."""
    asset_id = find_asset(session, ref).id
    row = asset_balances.find_by(session, user_id=user_of(user_id), asset_id=asset_id)
    if row is None:
        raise BalanceNotFoundError(details={"unit": str(asset_id)})
    return AssetBalanceEntity.of(row)


def list_asset_balances(session: Session, user_id: Any) -> list[AssetBalanceEntity]:
    """Return the holdings of a user."""
    rows = asset_balances.list(session, where={"user_id": user_of(user_id)}, order_by="asset_id")
    return [AssetBalanceEntity.of(row) for row in rows]


# -- movements -----------------------------------------------------------------------


def transfer(session: Session, news: Sequence[NewTransfer]) -> list[AssetTransactionEntity]:
    """Move money, all of it or none."""
    return post(session, [_journal("transfer", new, _money_legs(new)) for new in news])


def transfer_assets(session: Session, news: Sequence[NewAssetTransfer]) -> list[AssetTransactionEntity]:
    """Move assets, all of them or none."""
    ids = {new.asset: movable(session, new.asset) for new in news}
    return post(session, [_journal("transfer", new, _asset_legs(new, ids[new.asset])) for new in news])


def external(session: Session, new: Movement, kind: str) -> AssetTransactionEntity:
    """Bring money in, or take it out; the other side is the system's."""
    sign = 1 if kind == "deposit" else -1
    system = system_owner(new.user_id)
    legs = (
        money(new.user_id, new.currency, sign * new.amount),
        money(system, new.currency, -sign * new.amount),
    )
    return post(session, [_journal(kind, new, legs)])[0]


def external_asset(session: Session, new: AssetMovement, kind: str) -> AssetTransactionEntity:
    """Bring a quantity of an asset in, or take it out."""
    sign = 1 if kind == "deposit" else -1
    system, asset_id = system_owner(new.user_id), movable(session, new.asset)
    legs = (
        asset(new.user_id, asset_id, sign * new.quantity),
        asset(system, asset_id, -sign * new.quantity),
    )
    return post(session, [_journal(kind, new, legs)])[0]


def trade(session: Session, new: NewTrade) -> AssetTransactionEntity:
    """Move an asset one way and money the other."""
    asset_id = movable(session, new.asset)
    legs = (
        asset(new.buyer_id, asset_id, new.quantity),
        asset(new.seller_id, asset_id, -new.quantity),
        money(new.buyer_id, new.currency, -new.amount),
        money(new.seller_id, new.currency, new.amount),
    )
    return post(session, [_journal("trade", new, legs)])[0]


def reverse(
    session: Session, transaction_id: Any, reference: Any, details: dict[str, Any] | None
) -> AssetTransactionEntity:
    """Post the opposite of a movement, once."""
    row = transactions.get(session, uuid_of(transaction_id, "transaction_id"))
    if row.kind == "reversal":
        raise InvalidStateError("a reversal is not reversed: post the movement again")
    legs = [money(entry.user_id, entry.currency, -entry.amount) for entry in row.money]
    legs += [asset(entry.user_id, entry.asset_id, -entry.amount) for entry in row.assets]
    name = reference_of(reference) if reference is not None else f"reversal:{row.id}"
    journal = Journal("reversal", tuple(legs), name, details, reverses_id=row.id)
    return post(session, [journal])[0]


def get_transaction(session: Session, transaction_id: Any) -> AssetTransactionEntity:
    """Return a movement."""
    return AssetTransactionEntity.of(transactions.get(session, uuid_of(transaction_id, "transaction_id")))


def get_by_reference(session: Session, reference: Any) -> AssetTransactionEntity:
    """Return the movement under a reference."""
    row = transactions.find_by(session, reference=reference_of(reference))
    if row is None:
        raise ResourceNotFoundError(resource="assettransaction")
    return AssetTransactionEntity.of(row)


def list_transactions(session: Session, user_id: Any, after: Any, size: Any) -> Any:
    """Return movements, the newest first."""
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= FieldLimit.PAGE_SIZE_MAX:
        msg = f"a page holds 1 to {FieldLimit.PAGE_SIZE_MAX} rows, got {str(size)[:20]}"
        raise ValidationError(msg)
    statement = select(AssetTransaction).order_by(AssetTransaction.id.desc()).limit(size + 1)
    if after is not None:
        statement = statement.where(AssetTransaction.id < uuid_of(after, "cursor"))
    if user_id is not None:
        owner = user_of(user_id)
        of_money = select(BalanceEntry.transaction_id).where(BalanceEntry.user_id == owner)
        of_assets = select(AssetEntry.transaction_id).where(AssetEntry.user_id == owner)
        statement = statement.where(
            or_(AssetTransaction.id.in_(of_money), AssetTransaction.id.in_(of_assets))
        )
    rows = session.scalars(statement).all()
    cursor = str(rows[size - 1].id) if len(rows) > size else None
    return KeysetPage([AssetTransactionEntity.of(row) for row in rows[:size]], cursor)


def find_faults(session: Session) -> list[LedgerFault]:
    """Return everything that does not add up."""
    found = [
        LedgerFault(what="balance", id=row.id, unit=row.unit, found=row.found, expected=row.expected)
        for row in session.execute(_unequal(Balance, Balance.currency, BalanceEntry, BalanceEntry.balance_id))
    ]
    holdings = _unequal(AssetBalance, AssetBalance.asset_id, AssetEntry, AssetEntry.asset_balance_id)
    found += [
        LedgerFault(
            what="asset_balance", id=row.id, unit=str(row.unit), found=row.found, expected=row.expected
        )
        for row in session.execute(holdings)
    ]
    for entry, unit in ((BalanceEntry, BalanceEntry.currency), (AssetEntry, AssetEntry.asset_id)):
        total = func.sum(entry.amount)
        statement = (
            select(entry.transaction_id.label("id"), unit.label("unit"), total.label("found"))
            .group_by(entry.transaction_id, unit)
            .having(total != 0)
        )
        found += [
            LedgerFault(
                what="transaction", id=row.id, unit=str(row.unit), found=row.found, expected=Decimal(0)
            )
            for row in session.execute(statement)
        ]
    return found


# -- parts ---------------------------------------------------------------------------


def checked_batch(data: Any, entity: Any) -> list[Any]:
    """Return transfers to be posted.

    Raises:
        ValidationError: There is none, or too many, or one does not fit.
    """
    given = list(data) if isinstance(data, (list, tuple)) else []
    if not 1 <= len(given) <= _MAX_BATCH:
        msg = f"a list of 1 to {_MAX_BATCH} transfers expected"
        raise ValidationError(msg)
    found = [entity.parse(each) for each in given]
    named = [each.reference for each in found if each.reference is not None]
    if len(set(named)) != len(named):
        raise ConflictError("two transfers of one list have the same reference")
    return found


class _WithDetails(Entity, extra="forbid"):
    details: Details | None


def checked_details(details: Any) -> dict[str, Any] | None:
    """Return JSON of the caller's.

    Raises:
        ValidationError: It is none.
    """
    return _WithDetails.parse({"details": details}).details


def _journal(kind: str, new: Any, legs: tuple[Leg, ...]) -> Journal:
    return Journal(kind, legs, new.reference or f"{kind}:{uuid7()}", new.details)


def _money_legs(new: NewTransfer) -> tuple[Leg, ...]:
    return money(new.from_user, new.currency, -new.amount), money(new.to_user, new.currency, new.amount)


def _asset_legs(new: NewAssetTransfer, asset_id: uuid.UUID) -> tuple[Leg, ...]:
    return asset(new.from_user, asset_id, -new.quantity), asset(new.to_user, asset_id, new.quantity)


def _unequal(model: Any, unit: Any, entry: Any, key: Any) -> Any:
    expected = func.coalesce(func.sum(entry.amount), 0)
    return (
        select(
            model.id.label("id"),
            unit.label("unit"),
            model.amount.label("found"),
            expected.label("expected"),
        )
        .outerjoin(entry, key == model.id)
        .group_by(model.id, unit, model.amount)
        .having(model.amount != expected)
    )
