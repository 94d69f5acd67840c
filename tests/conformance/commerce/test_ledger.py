"""Money and assets: every movement adds up to zero, once, and never takes what is not there."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from shared.commerce import (
    AssetBalanceDAO,
    AssetDAO,
    AssetTransaction,
    AssetTransactionDAO,
    AsyncAssetBalanceDAO,
    AsyncAssetDAO,
    AsyncAssetTransactionDAO,
    AsyncBalanceDAO,
    Balance,
    BalanceDAO,
    BalanceEntry,
)
from shared.database import InboxMessage, TransactionRetried
from shared.errors import (
    AssetNotFoundError,
    BalanceNotFoundError,
    ConflictError,
    InsufficientBalanceError,
    InvalidStateError,
    ResourceNotFoundError,
    TransactionConflictError,
    ValidationError,
)

TRADE = {
    "buyer_id": "ada", "seller_id": "bob", "asset": "BTC", "quantity": "0.5", "amount": "80.25", "currency": "EUR",
}  # fmt: skip


@pytest.fixture
def balances(db):
    return BalanceDAO(db)


@pytest.fixture
def holdings(db):
    AssetDAO(db).create_asset({"symbol": "BTC", "name": "Bitcoin"})
    return AssetBalanceDAO(db)


@pytest.fixture
def journal(db):
    return AssetTransactionDAO(db)


def amounts(db, currency="EUR"):
    """What everybody has; the system's owners are left out. All of them add up to zero."""
    with db.read() as session:
        rows = session.execute(
            select(Balance.user_id, Balance.amount).where(Balance.currency == currency)
        ).all()
    assert sum((amount for _, amount in rows), Decimal(0)) == 0
    return {user: amount for user, amount in rows if not user.startswith("system:")}


def posted(db):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(AssetTransaction))


# -- moving --------------------------------------------------------------------------


def test_a_transfer_takes_from_one_and_gives_to_the_other(db, balances, journal):
    balances.deposit("ada", 100, "EUR")

    moved = balances.transfer("ada", "bob", "30.50", "EUR", reference="rent", details={"month": 11})

    assert amounts(db) == {"ada": Decimal("69.5"), "bob": Decimal("30.5")}
    assert (moved.kind, moved.reference, moved.details, moved.assets) == (
        "transfer",
        "rent",
        {"month": 11},
        (),
    )
    assert [(e.user_id, e.amount, e.amount_after) for e in moved.money] == [
        ("ada", Decimal("-30.5"), Decimal("69.5")),
        ("bob", Decimal("30.5"), Decimal("30.5")),
    ]
    assert journal.get_transaction(moved.id) == moved
    assert journal.get_transaction_by_reference("rent") == moved


def test_what_comes_in_and_goes_out_has_its_other_side(db, balances, journal):
    balances.deposit("ada", "100.0001", "EUR")
    balances.withdraw("ada", "0.0001", "EUR")

    assert amounts(db) == {"ada": Decimal(100)}
    assert [t.kind for t in journal.list_transactions(user_id="ada").items] == ["withdrawal", "deposit"]


@pytest.mark.parametrize("verb", ["transfer", "withdraw"])
def test_more_than_there_is_cannot_be_moved(db, balances, verb):
    balances.deposit("ada", 10, "EUR")
    arguments = ("ada", "bob", "10.0001", "EUR") if verb == "transfer" else ("ada", "10.0001", "EUR")

    with pytest.raises(InsufficientBalanceError) as caught:
        getattr(balances, verb)(*arguments)

    assert caught.value.details == {"unit": "EUR", "asked": "10.0001", "available": "10.0000"}
    assert (amounts(db), posted(db)) == ({"ada": Decimal(10)}, 1)


def test_a_balance_that_may_go_below_zero_does(db, balances):
    balances.create_balance("ada", "EUR", allow_negative=True)

    balances.transfer("ada", "bob", 5, "EUR")

    assert amounts(db) == {"ada": Decimal(-5), "bob": Decimal(5)}
    assert balances.get_balance("ada", "EUR").allow_negative
    with pytest.raises(ConflictError):
        balances.create_balance("ada", "EUR")


def test_nobody_gives_from_a_balance_that_is_not_there(db, balances):
    with pytest.raises(BalanceNotFoundError):
        balances.transfer("ada", "bob", 5, "EUR")
    with pytest.raises(BalanceNotFoundError):
        balances.get_balance("bob", "EUR")

    assert (amounts(db), posted(db)) == ({}, 0)


def test_a_second_call_under_a_reference_is_the_first(db, balances):
    first = balances.deposit("ada", 10, "EUR", reference="r")

    again = balances.deposit("ada", "10.00", "EUR", reference="r")

    assert (again, amounts(db)) == (first, {"ada": Decimal(10)})
    for call in (
        lambda: balances.deposit("ada", 11, "EUR", reference="r"),
        lambda: balances.deposit("bob", 10, "EUR", reference="r"),
        lambda: balances.withdraw("ada", 10, "EUR", reference="r"),
        lambda: balances.deposit("ada", 10, "EUR", reference="r", details={"a": 1}),
    ):
        with pytest.raises(ConflictError, match="another movement"):
            call()


def test_calls_at_the_same_time_under_one_reference_move_once(db, balances):
    balances.deposit("ada", 100, "EUR")

    with ThreadPoolExecutor(8) as pool:
        ids = {
            moved.id
            for moved in pool.map(
                lambda _: balances.transfer("ada", "bob", 7, "EUR", reference="r"), range(24)
            )
        }

    assert (len(ids), amounts(db)) == (1, {"ada": Decimal(93), "bob": Decimal(7)})


def test_a_call_that_failed_may_be_repeated_under_its_reference(db, balances):
    with pytest.raises(BalanceNotFoundError):
        balances.transfer("ada", "bob", 5, "EUR", reference="r")
    balances.deposit("ada", 5, "EUR")

    balances.transfer("ada", "bob", 5, "EUR", reference="r")

    assert amounts(db) == {"ada": Decimal(0), "bob": Decimal(5)}


def test_a_list_is_posted_in_its_order_or_not_at_all(db, balances):
    balances.deposit("ada", 10, "EUR")
    chain = [
        {"from_user": "ada", "to_user": "bob", "amount": 10, "currency": "EUR", "reference": "z"},
        {"from_user": "bob", "to_user": "eve", "amount": 10, "currency": "EUR", "reference": "a"},
    ]

    with pytest.raises(InsufficientBalanceError):
        balances.transfer_many([*chain, {**chain[0], "reference": "b"}])
    nothing = amounts(db)
    moved = balances.transfer_many(chain)
    again = balances.transfer_many(chain)

    assert nothing == {"ada": Decimal(10)}
    assert ([each.reference for each in moved], again) == (["z", "a"], moved)
    assert amounts(db) == {"ada": Decimal(0), "bob": Decimal(0), "eve": Decimal(10)}


def test_a_movement_that_fails_leaves_the_callers_transaction_alive(db, balances):
    balances.deposit("ada", 10, "EUR")

    with db.transaction() as session:
        session.add(InboxMessage(consumer="c", message_id="1"))
        balances.transfer("ada", "bob", 4, "EUR", session=session)
        with pytest.raises(InsufficientBalanceError):
            balances.transfer("ada", "bob", 7, "EUR", session=session)
        assert balances.get_balance("bob", "EUR", session=session).amount == 4

    assert amounts(db) == {"ada": Decimal(6), "bob": Decimal(4)}


def test_a_balance_holds_no_more_digits_than_fit(db, balances):
    balances.deposit("ada", "99999999999999.9999", "EUR")

    with pytest.raises(ValidationError, match="more digits"):
        balances.deposit("ada", "0.0001", "EUR")

    assert amounts(db) == {"ada": Decimal("99999999999999.9999")}


# -- under contention ----------------------------------------------------------------


def test_transfers_at_the_same_time_keep_the_sum_and_do_not_deadlock(db, balances, journal):
    users = ["a", "b", "c", "d"]
    for user in users:
        balances.deposit(user, 50, "EUR")
    ways = list(permutations(users, 2)) * 10

    def move(number):
        giver, getter = ways[number]
        try:
            if number % 5:
                balances.transfer(giver, getter, 1 + number % 7, "EUR")
            else:
                balances.transfer_many(
                    [
                        {"from_user": x, "to_user": y, "amount": 1, "currency": "EUR"}
                        for x, y in ((giver, getter), (getter, giver))
                    ]
                )
        except InsufficientBalanceError:
            return 0
        return 1

    conflicts = []
    stop = db.events.subscribe(TransactionRetried, conflicts.append)
    with ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(move, range(len(ways))))
    stop()

    assert sum(amounts(db).values()) == 200
    assert (done > 60, journal.find_faults()) == (True, [])
    assert [event.reason for event in conflicts if event.reason == "deadlock"] == []


async def test_transfers_of_tasks_keep_the_sum(adb):
    balances = AsyncBalanceDAO(adb)
    users = ["a", "b", "c"]
    await asyncio.gather(*(balances.deposit(user, 50, "EUR") for user in users))

    await asyncio.gather(*(balances.transfer(x, y, 2, "EUR") for x, y in list(permutations(users, 2)) * 4))

    assert sum(amounts(adb).values()) == 150
    assert await AsyncAssetTransactionDAO(adb).find_faults() == []


def test_withdrawals_at_the_same_time_never_take_more_than_there_is(db, balances):
    balances.deposit("ada", 10, "EUR")

    def withdraw(_):
        try:
            balances.withdraw("ada", 3, "EUR")
        except InsufficientBalanceError:
            return 0
        return 3

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(withdraw, range(16)))

    assert (taken, amounts(db)) == (9, {"ada": Decimal(1)})


# -- assets --------------------------------------------------------------------------


def test_holdings_move_with_eight_digits(db, holdings):
    holdings.deposit_asset("ada", "1.00000001", "BTC")

    holdings.transfer_asset("ada", "bob", "0.00000001", "BTC")
    holdings.withdraw_asset("ada", "0.5", "BTC")

    assert holdings.get_asset_balance("ada", "BTC").amount == Decimal("0.50000000")
    assert [each.amount for each in holdings.list_asset_balances("bob")] == [Decimal("0.00000001")]
    with pytest.raises(InsufficientBalanceError):
        holdings.transfer_asset("bob", "ada", "0.00000002", "BTC")


def test_a_trade_moves_both_or_neither(db, balances, holdings, journal):
    balances.deposit("ada", 100, "EUR")
    holdings.deposit_asset("bob", 1, "BTC")

    trade = journal.create_transaction({**TRADE, "reference": "t"})
    again = journal.create_transaction({**TRADE, "reference": "t"})
    with pytest.raises(InsufficientBalanceError):
        journal.create_transaction(TRADE)

    assert (trade, again.kind) == (again, "trade")
    assert amounts(db) == {"ada": Decimal("19.75"), "bob": Decimal("80.25")}
    assert holdings.get_asset_balance("ada", "BTC").amount == Decimal("0.5")
    assert holdings.get_asset_balance("bob", "BTC").amount == Decimal("0.5")


def test_a_reversal_undoes_a_movement_once(db, balances, holdings, journal):
    balances.deposit("ada", 100, "EUR")
    holdings.deposit_asset("bob", 1, "BTC")
    trade = journal.create_transaction(TRADE)

    undone = journal.reverse_transaction(trade.id, details={"why": "typo"})
    again = journal.reverse_transaction(trade.id, reference="other", details={"why": "typo"})

    assert (undone, undone.reverses_id) == (again, trade.id)
    assert amounts(db) == {"ada": Decimal(100), "bob": Decimal(0)}
    assert holdings.get_asset_balance("bob", "BTC").amount == 1
    with pytest.raises(InvalidStateError):
        journal.reverse_transaction(undone.id)
    with pytest.raises(ConflictError):
        journal.reverse_transaction(trade.id)


def test_what_was_spent_cannot_be_reversed(db, balances, journal):
    deposit = balances.deposit("ada", 10, "EUR")
    balances.transfer("ada", "bob", 5, "EUR")

    with pytest.raises(InsufficientBalanceError):
        journal.reverse_transaction(deposit.id)

    assert amounts(db) == {"ada": Decimal(5), "bob": Decimal(5)}


def test_nothing_of_an_inactive_asset_is_moved(db, holdings, journal):
    assets = AssetDAO(db)
    moved = holdings.deposit_asset("ada", 1, "BTC")
    changed = assets.update_asset("BTC", {"is_active": False}, version=1)

    with pytest.raises(InvalidStateError, match="not active"):
        holdings.transfer_asset("ada", "bob", 1, "BTC")
    with pytest.raises(TransactionConflictError):
        assets.update_asset("BTC", {"name": "x"}, version=1)
    journal.reverse_transaction(moved.id)

    assert (changed.is_active, changed.version) == (False, 2)
    assert holdings.get_asset_balance("ada", "BTC").amount == 0


def test_a_list_of_assets_is_moved_or_not_at_all(db, holdings):
    holdings.deposit_asset("ada", 1, "BTC")
    one = {"from_user": "ada", "to_user": "bob", "quantity": "0.6", "asset": "BTC"}

    with pytest.raises(InsufficientBalanceError):
        holdings.transfer_assets([one, one])
    moved = holdings.transfer_assets([one, {**one, "quantity": "0.4"}])

    assert [each.kind for each in moved] == ["transfer"] * 2
    assert holdings.get_asset_balance("bob", "BTC").amount == 1


def test_assets_are_found_by_id_and_symbol(db, holdings):
    assets = AssetDAO(db)
    made = assets.create_asset({"symbol": "ETH", "name": "Ether", "description": "second"})

    assert assets.get_asset(made.id) == assets.get_asset(str(made.id)) == assets.get_asset("ETH") == made
    assert [each.symbol for each in assets.list_assets(is_active=True).items] == ["BTC", "ETH"]
    assert holdings.create_asset_balance("ada", made.id, allow_negative=True).allow_negative
    for call in (
        lambda: assets.get_asset("nothing"),
        lambda: holdings.deposit_asset("ada", 1, "nothing"),
        lambda: assets.update_asset("nothing", {"name": "x"}),
    ):
        with pytest.raises(AssetNotFoundError):
            call()
    with pytest.raises(BalanceNotFoundError):
        holdings.get_asset_balance("bob", "ETH")
    with pytest.raises(ConflictError):
        assets.create_asset({"symbol": "ETH", "name": "Ether"})


# -- the journal ---------------------------------------------------------------------


def test_movements_are_listed_newest_first_in_pages(db, balances, journal):
    made = [balances.deposit("ada" if n % 2 else "bob", 1, "EUR") for n in range(6)]

    first = journal.list_transactions(user_id="ada", size=2)
    second = journal.list_transactions(user_id="ada", size=2, after=first.next_cursor)

    assert [each.id for each in first.items] == [made[5].id, made[3].id]
    assert ([each.id for each in second.items], second.next_cursor) == ([made[1].id], None)
    assert len(journal.list_transactions().items) == 6


def test_the_journal_is_written_once(db, balances):
    balances.deposit("ada", 10, "EUR")

    for model in (AssetTransaction, BalanceEntry):
        with pytest.raises(InvalidStateError, match="written once"), db.transaction() as session:
            row = session.scalars(select(model).limit(1)).one()
            setattr(row, "kind" if model is AssetTransaction else "currency", "trade")
            session.flush()
        with pytest.raises(InvalidStateError, match="written once"), db.transaction() as session:
            session.delete(session.scalars(select(model).limit(1)).one())
            session.flush()


def test_what_somebody_wrote_past_the_ledger_is_found(db, balances, holdings, journal):
    balances.deposit("ada", 10, "EUR")
    holdings.deposit_asset("ada", 10, "BTC")
    assert journal.find_faults() == []

    with db.transaction() as session:
        session.execute(text("update commerce_balances set amount = amount + amount where user_id = 'ada'"))
        session.execute(
            text("update commerce_asset_entries set amount = amount + amount where user_id = 'ada'")
        )

    faults = {(fault.what, fault.found, fault.expected) for fault in journal.find_faults()}
    assert faults == {
        ("balance", Decimal(20), Decimal(10)),
        ("asset_balance", Decimal(10), Decimal(20)),
        ("transaction", Decimal(10), Decimal(0)),
    }


@pytest.mark.parametrize(
    "statement",
    [
        "update commerce_balances set amount = -1 where user_id = 'ada'",
        "update commerce_balance_entries set amount = 0",
        "update commerce_asset_transactions set kind = 'gift'",
    ],
)
def test_the_database_itself_refuses_what_is_wrong(db, balances, statement):
    balances.deposit("ada", 10, "EUR")

    with pytest.raises(ValidationError), db.transaction() as session:
        session.execute(text(statement))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "withdraw", "transfer"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["a", "b", "c"]),
        st.decimals("0.0001", "1000", places=4),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_balances_are_the_sums_of_their_entries_and_never_below_zero(db, balances, journal, steps):
    for verb, one, other, amount in steps:
        arguments = (one, other, amount, "EUR") if verb == "transfer" else (one, amount, "EUR")
        try:
            getattr(balances, verb)(*arguments)
        except (InsufficientBalanceError, BalanceNotFoundError, ValidationError):
            continue

    assert journal.find_faults() == []
    assert all(amount >= 0 for amount in amounts(db).values())


# -- coroutines ----------------------------------------------------------------------


async def test_coroutines_have_every_verb(adb):
    assets, balances = AsyncAssetDAO(adb), AsyncBalanceDAO(adb)
    holdings, journal = AsyncAssetBalanceDAO(adb), AsyncAssetTransactionDAO(adb)
    made = await assets.create_asset({"symbol": "BTC", "name": "Bitcoin"})
    assert await assets.get_asset("BTC") == made
    assert (await assets.update_asset(made.id, {"name": "B"})).name == "B"
    assert len((await assets.list_assets()).items) == 1
    await balances.create_balance("ada", "EUR")
    await balances.deposit("ada", 300, "EUR")
    await balances.withdraw("ada", 50, "EUR")
    await balances.transfer("ada", "bob", 50, "EUR")
    one = {"from_user": "ada", "to_user": "bob", "amount": 50, "currency": "EUR"}
    await balances.transfer_many([one])
    assert (await balances.get_balance("ada", "EUR")).amount == 150
    assert [each.amount for each in await balances.list_balances("bob")] == [100]
    await holdings.create_asset_balance("bob", "BTC")
    await holdings.deposit_asset("bob", 3, "BTC")
    await holdings.withdraw_asset("bob", 1, "BTC")
    await holdings.transfer_asset("bob", "eve", "0.25", "BTC")
    await holdings.transfer_assets(
        [{"from_user": "bob", "to_user": "eve", "quantity": "0.25", "asset": "BTC"}]
    )
    assert (await holdings.get_asset_balance("bob", "BTC")).amount == Decimal("1.5")
    assert len(await holdings.list_asset_balances("eve")) == 1
    async with adb.aio.transaction() as session:
        trade = await journal.create_transaction({**TRADE, "reference": "t"}, session=session)
    assert await journal.get_transaction(trade.id) == trade
    assert await journal.get_transaction_by_reference("t") == trade
    assert (await journal.list_transactions(user_id="eve", size=1)).next_cursor is not None
    assert (await journal.reverse_transaction(trade.id)).kind == "reversal"
    assert await journal.find_faults() == []
    with pytest.raises(ResourceNotFoundError):
        await journal.get_transaction_by_reference("nothing")
