"""The rules of money and assets, written once: every movement is entries that add up to zero.

Locks are taken in one order everywhere: references, then accounts by kind, owner and
unit, so two callers never wait for each other.
"""

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zlib import crc32

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from shared.commerce._checks import SYSTEM
from shared.commerce._entities_ledger import AssetTransactionEntity
from shared.commerce._tables_ledger import (
    QUANTITY,
    AssetBalance,
    AssetEntry,
    AssetTransaction,
    Balance,
    BalanceEntry,
)
from shared.database import Money, Repository, utc_now, uuid7
from shared.errors import (
    BalanceNotFoundError,
    ConflictError,
    InsufficientBalanceError,
    ResourceNotFoundError,
    ValidationError,
)

__all__ = ["Account", "Journal", "Leg", "post", "system_owner"]

_MONEY: Final = Money()
_SHARDS: Final = 16
_HEAD: Final = ("id", "reference", "kind", "reverses_id", "details", "created_at")
_OPTIONS: Final = {"synchronize_session": False, "populate_existing": True}

balances: Final = Repository(Balance, not_found=BalanceNotFoundError)
asset_balances: Final = Repository(AssetBalance, not_found=BalanceNotFoundError)
transactions: Final = Repository(AssetTransaction, not_found=ResourceNotFoundError)


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """Whose, and of what: the order is that of the locks."""

    kind: str  # "asset" or "money"
    owner: str
    unit: str  # the id of the asset, or the currency


@dataclass(frozen=True, slots=True)
class Leg:
    """What a movement does to one account."""

    account: Account
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Journal:
    """One movement to be posted."""

    kind: str
    legs: tuple[Leg, ...]
    reference: str
    details: dict[str, Any] | None = None
    reverses_id: uuid.UUID | None = None
    id: uuid.UUID = field(default_factory=uuid7)
    created_at: datetime = field(default_factory=utc_now)

    @property
    def mark(self) -> str:
        """The same for movements that ask for the same."""
        legs = sorted((*_key(leg.account), str(leg.amount)) for leg in self.legs)
        text = json.dumps([self.kind, legs, self.details], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _key(account: Account) -> tuple[str, str, str]:
    return account.kind, account.owner, account.unit


def system_owner(user_id: str) -> str:
    """Return the owner of the other side of what *user_id* brings in or takes out.

    There are several, so that the deposits of all users do not wait for one row.
    """
    return f"{SYSTEM}:{crc32(user_id.encode()) % _SHARDS:02}"


def money(owner: str, currency: str, amount: Decimal) -> Leg:
    """Return the leg of a balance."""
    return Leg(Account("money", owner, currency), amount)


def asset(owner: str, asset_id: uuid.UUID, amount: Decimal) -> Leg:
    """Return the leg of a holding."""
    return Leg(Account("asset", owner, str(asset_id)), amount)


# -- statements ----------------------------------------------------------------------


def _move(model: Any, unit: Any, digits: Money) -> Any:
    most = Decimal(10**digits.precision - 1).scaleb(-digits.scale)
    after = model.amount + bindparam("d", type_=digits)
    statement = update(model).where(model.user_id == bindparam("u"), unit == bindparam("c"))
    statement = statement.where(or_(model.allow_negative, after >= 0), after <= most, after >= -most)
    statement = statement.values(amount=after, version=model.version + 1)
    return statement.returning(model).execution_options(**_OPTIONS)


def _find(model: Any, unit: Any) -> Any:
    statement = select(model).where(model.user_id == bindparam("u"), unit == bindparam("c"))
    return statement.execution_options(populate_existing=True)


_MOVE: Final = {
    "money": _move(Balance, Balance.currency, _MONEY),
    "asset": _move(AssetBalance, AssetBalance.asset_id, QUANTITY),
}
_FIND: Final = {
    "money": _find(Balance, Balance.currency),
    "asset": _find(AssetBalance, AssetBalance.asset_id),
}


def _values(account: Account) -> dict[str, Any]:
    unit: Any = uuid.UUID(account.unit) if account.kind == "asset" else account.unit
    return {"u": account.owner, "c": unit}


def open_account(session: Session, account: Account, *, allow_negative: bool = False) -> Any:
    """Return the row of *account*, which is made when there is none."""
    values = _values(account)
    unit = "currency" if account.kind == "money" else "asset_id"
    new = {
        "user_id": account.owner,
        unit: values["c"],
        "amount": Decimal(0),
        "allow_negative": allow_negative,
    }
    rows: Repository[Any] = balances if account.kind == "money" else asset_balances
    return rows.upsert(session, new, on=["user_id", unit], update=())


# -- posting -------------------------------------------------------------------------


def post(session: Session, journals: Sequence[Journal]) -> list[AssetTransactionEntity]:
    """Post all of *journals* or nothing; those posted before under their reference are returned."""
    found: dict[uuid.UUID, AssetTransactionEntity] = {}
    for journal in sorted(journals, key=lambda each: each.reference):
        if not _begin(session, journal):
            found[journal.id] = _posted(session, journal)
    fresh = [journal for journal in journals if journal.id not in found]
    if len(fresh) > 1:
        _lock(session, fresh)
    for journal in fresh:
        found[journal.id] = _apply(session, journal)
    return [found[journal.id] for journal in journals]


def _begin(session: Session, journal: Journal) -> bool:
    """Write the head of *journal*; tell whether its reference is new."""
    from sqlalchemy.dialects import postgresql, sqlite

    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement: Any = make(AssetTransaction).values(
        id=journal.id,
        reference=journal.reference,
        kind=journal.kind,
        fingerprint=journal.mark,
        reverses_id=journal.reverses_id,
        details=journal.details,
        created_at=journal.created_at,
    )
    # Waits for whoever is posting under the same reference. The row count is no answer.
    statement = statement.on_conflict_do_nothing().returning(AssetTransaction.id)
    return session.execute(statement).scalar() is not None


def _posted(session: Session, journal: Journal) -> AssetTransactionEntity:
    row = transactions.find_by(session, reference=journal.reference)
    if row is None and journal.reverses_id is not None:
        row = transactions.find_by(session, reverses_id=journal.reverses_id)
    if row is None or row.fingerprint != journal.mark:
        msg = "another movement was posted under this reference: choose a new one"
        raise ConflictError(msg, details={"field": "reference"})
    return AssetTransactionEntity.of(row)


def _lock(session: Session, journals: Iterable[Journal]) -> None:
    """Lock all accounts in their order before the first is changed; open those that only get."""
    gets: dict[Account, bool] = {}
    for journal in journals:
        for leg in journal.legs:
            gets[leg.account] = gets.get(leg.account, False) or leg.amount > 0
    for account in sorted(gets):
        locked = _FIND[account.kind].with_for_update()
        if session.execute(locked, _values(account)).scalar() is None and gets[account]:
            open_account(session, account, allow_negative=account.owner.startswith(SYSTEM))


def _apply(session: Session, journal: Journal) -> AssetTransactionEntity:
    entries: dict[str, list[Any]] = {"money": [], "assets": []}
    for leg in sorted(journal.legs, key=lambda each: each.account):
        row = _change(session, leg)
        made: Any
        if leg.account.kind == "money":
            made = BalanceEntry(balance_id=row.id, currency=row.currency)
            entries["money"].append(made)
        else:
            made = AssetEntry(asset_balance_id=row.id, asset_id=row.asset_id)
            entries["assets"].append(made)
        made.id, made.transaction_id, made.user_id = uuid7(), journal.id, row.user_id
        made.amount, made.amount_after = leg.amount, row.amount
    session.add_all([*entries["money"], *entries["assets"]])
    session.flush()
    head = {name: getattr(journal, name) for name in _HEAD}
    return AssetTransactionEntity.of({**head, **entries})


def _change(session: Session, leg: Leg) -> Any:
    account = leg.account
    values = {**_values(account), "d": leg.amount}
    row = session.execute(_MOVE[account.kind], values).scalar()
    if row is not None:
        return row
    there = session.execute(_FIND[account.kind], _values(account)).scalar()
    is_system = account.owner.startswith(SYSTEM)
    if there is None and (leg.amount > 0 or is_system):
        open_account(session, account, allow_negative=is_system)
        row = session.execute(_MOVE[account.kind], values).scalar()
        if row is not None:
            return row
        there = session.execute(_FIND[account.kind], _values(account)).scalar()
    if there is None:
        raise BalanceNotFoundError(details={"unit": account.unit})
    if leg.amount < 0 and not there.allow_negative:
        details = {"unit": account.unit, "asked": str(-leg.amount), "available": str(there.amount)}
        raise InsufficientBalanceError(details=details)
    msg = "the balance would have more digits than fit"
    raise ValidationError(msg, details={"unit": account.unit})
