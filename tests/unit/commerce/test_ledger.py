"""Money and assets: what they refuse to take."""

import uuid
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.commerce import (
    AssetBalanceDAO,
    AssetDAO,
    AssetTransactionDAO,
    BalanceDAO,
    NewTrade,
    NewTransfer,
)
from shared.errors import ConflictError, ResourceNotFoundError, SharedError, ValidationError

AMOUNTS = {
    "zero": 0, "negative": -1, "float": 0.1, "nan": Decimal("NaN"), "infinite": "Infinity", "none": None,
    "bool": True, "digits": "0.00001", "huge": 10**15, "enormous": 10**4000, "text": "ten", "empty": "",
    "long": "1" * 5000,
}  # fmt: skip
USERS = {
    "empty": "", "long": "x" * 65, "system": "system:external:01", "null": "a\x00", "none": None, "int": 1,
}  # fmt: skip
CURRENCIES = {
    "lower": "eur",
    "short": "EU",
    "long": "E" * 11,
    "newline": "EUR\n",
    "none": None,
    "sql": "E';--",
}


@pytest.fixture
def balances(db):
    made = BalanceDAO(db)
    made.deposit("ada", 10, "EUR")
    return made


@pytest.fixture
def holdings(db):
    AssetDAO(db).create_asset({"symbol": "BTC", "name": "Bitcoin"})
    return AssetBalanceDAO(db)


@pytest.mark.parametrize("amount", AMOUNTS.values(), ids=AMOUNTS.keys())
def test_an_amount_that_is_none_is_refused(balances, holdings, amount):
    for call in (
        lambda: balances.deposit("ada", amount, "EUR"),
        lambda: balances.withdraw("ada", amount, "EUR"),
        lambda: balances.transfer("ada", "bob", amount, "EUR"),
    ):
        with pytest.raises(ValidationError) as caught:
            call()
        assert [error["field"] for error in caught.value.details["errors"]] == ["amount"]
    if amount != "0.00001":
        with pytest.raises(ValidationError):
            holdings.deposit_asset("ada", amount, "BTC")

    assert balances.get_balance("ada", "EUR").amount == 10


@pytest.mark.parametrize("user", USERS.values(), ids=USERS.keys())
def test_an_owner_that_is_none_is_refused(balances, user):
    for call in (
        lambda: balances.deposit(user, 1, "EUR"),
        lambda: balances.transfer("ada", user, 1, "EUR"),
        lambda: balances.transfer(user, "ada", 1, "EUR"),
    ):
        with pytest.raises(ValidationError):
            call()
    if user != 1:  # a number is a fine id
        with pytest.raises(ValidationError):
            balances.create_balance(user, "EUR")


@pytest.mark.parametrize("currency", CURRENCIES.values(), ids=CURRENCIES.keys())
def test_a_currency_that_is_none_is_refused(balances, currency):
    for call in (
        lambda: balances.deposit("ada", 1, currency),
        lambda: balances.create_balance("ada", currency),
        lambda: balances.get_balance("ada", currency),
    ):
        with pytest.raises(ValidationError):
            call()


def test_nobody_gives_to_himself(balances, db):
    trade = {"buyer_id": "a", "seller_id": "a", "asset": "BTC", "quantity": 1, "amount": 1, "currency": "EUR"}

    with pytest.raises(ValidationError):
        balances.transfer("ada", "ada", 1, "EUR")
    with pytest.raises(ValidationError):
        AssetTransactionDAO(db).create_transaction(trade)


@pytest.mark.parametrize("asset", [None, 1, "", "x" * 21, "a b", object], ids=["none", "int", "empty", "long", "space", "type"])  # fmt: skip
def test_an_asset_that_is_none_is_refused(holdings, asset):
    with pytest.raises(ValidationError):
        holdings.deposit_asset("ada", 1, asset)


@pytest.mark.parametrize("changes", [{}, {"symbol": "X"}, {"name": ""}, {"is_active": "x"}, None], ids=["nothing", "symbol", "empty", "text", "none"])  # fmt: skip
def test_changes_that_are_none_are_refused(db, holdings, changes):
    with pytest.raises(ValidationError):
        AssetDAO(db).update_asset("BTC", changes)


@pytest.mark.parametrize("transfers", [None, [], [{}], "x", [{}] * 1001], ids=["none", "empty", "wrong", "text", "many"])  # fmt: skip
def test_a_list_that_is_none_is_refused(balances, transfers):
    with pytest.raises(ValidationError):
        balances.transfer_many(transfers)


def test_a_list_with_one_reference_twice_is_refused(balances):
    one = {"from_user": "ada", "to_user": "bob", "amount": 1, "currency": "EUR", "reference": "r"}

    with pytest.raises(ConflictError, match="same reference"):
        balances.transfer_many([one, one])


def test_a_journal_asked_for_nonsense_says_so(db):
    journal = AssetTransactionDAO(db)

    with pytest.raises(ResourceNotFoundError):
        journal.get_transaction(uuid.uuid4())
    with pytest.raises(ResourceNotFoundError):
        journal.reverse_transaction(uuid.uuid4())
    for call in (
        lambda: journal.get_transaction("x"),
        lambda: journal.get_transaction_by_reference(""),
        lambda: journal.list_transactions(size=0),
        lambda: journal.list_transactions(size=101),
        lambda: journal.list_transactions(size=True),
        lambda: journal.list_transactions(after="x"),
        lambda: journal.list_transactions(user_id="system:x"),
        lambda: journal.reverse_transaction(uuid.uuid4(), details={"a": float("nan")}),
    ):
        with pytest.raises(ValidationError):
            call()


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary()


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from([*NewTransfer.model_fields, *NewTrade.model_fields, "x"]), ANYTHING))
def test_only_errors_of_ours_come_out_of_any_input(fields):
    transfer = {"from_user": "a", "to_user": "b", "amount": 1, "currency": "EUR"}
    for entity, whole in ((NewTransfer, transfer), (NewTransfer, {}), (NewTrade, {})):
        try:
            new = entity.parse(whole | fields)
        except SharedError:
            continue
        assert new.amount > 0
