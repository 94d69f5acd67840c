"""Types that lose nothing."""

import decimal
import os
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite

from shared.database import Database, EncryptedString, Json, Money, UTCDateTime, tables_of, uuid7
from shared.errors import ConfigurationError, InvalidArgumentError, ValidationError
from shared.runtime import Runtime, use

SQLITE, POSTGRES = sqlite.dialect(), postgresql.dialect()
AMOUNTS = st.decimals(min_value=Decimal("-9e13"), max_value=Decimal("9e13"), places=4)


@given(AMOUNTS, st.sampled_from([SQLITE, POSTGRES]))
def test_an_amount_comes_back_as_it_was(amount, dialect):
    column = Money()

    assert column.process_result_value(column.process_bind_param(amount, dialect), dialect) == amount


@given(AMOUNTS)
def test_an_amount_is_not_rounded_by_the_context_of_the_service(amount):
    with decimal.localcontext() as context:
        context.prec = 3
        column = Money()
        back = column.process_result_value(column.process_bind_param(amount, SQLITE), SQLITE)

    assert back == amount


@pytest.mark.parametrize(
    "wrong",
    [
        0.1,
        float("nan"),
        "1.5",
        True,
        b"1",
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("0.00001"),
        Decimal(10) ** 14,
        10**14,
    ],
    ids=repr,
)
def test_what_is_not_exact_or_does_not_fit_is_refused(wrong):
    with pytest.raises(ValidationError):
        Money().exact(wrong)


@pytest.mark.parametrize(
    ("given_", "exact"), [(5, "5.0000"), (Decimal("1.50000000"), "1.5000"), (Decimal("1E+3"), "1000.0000")]
)
def test_trailing_zeros_are_not_digits(given_, exact):
    assert str(Money().exact(given_)) == exact


@pytest.mark.parametrize("digits", [(0, 0), (19, 4), (4, 5), (5, -1)])
def test_money_with_impossible_digits_is_refused(digits):
    with pytest.raises(InvalidArgumentError):
        Money(*digits)


def test_sums_and_comparisons_stay_exact_on_sqlite():
    table = Table("t", MetaData(), Column("id", Integer), Column("amount", Money(18, 2)))
    with Database("sqlite://") as db:
        table.create(db.engine)
        with db.transaction() as session:
            rows = [{"id": n, "amount": Decimal("9007199254740993.01")} for n in range(3)]
            session.execute(insert(table), rows)
        with db.read() as session:
            assert session.scalar(select(func.sum(table.c.amount))) == Decimal("27021597764222979.03") - 0
            assert session.scalar(select(table.c.amount * 2)) == Decimal("18014398509481986.02")
            assert (
                session.scalar(select(func.count()).where(table.c.amount > Decimal("9007199254740993.00")))
                == 3
            )


@pytest.mark.parametrize(
    "expression", [lambda c: c / 2, lambda c: c * Decimal("1.5"), lambda c: c % 2], ids=["div", "mul", "mod"]
)
def test_arithmetic_that_would_not_be_exact_is_refused(expression):
    column = Column("amount", Money())

    with pytest.raises(InvalidArgumentError):
        expression(column)


def test_a_naive_moment_is_refused():
    with pytest.raises(ValidationError, match="time zone"):
        UTCDateTime().process_bind_param(datetime(2026, 1, 1), POSTGRES)


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=5))), min_value=datetime(1, 1, 2)))
def test_a_moment_of_another_zone_is_the_same_moment_afterwards(moment):
    column = UTCDateTime()

    back = column.process_result_value(column.process_bind_param(moment, SQLITE), SQLITE)

    assert (back, back.tzinfo) == (moment, UTC)


def test_none_in_a_document_column_is_null_in_sql():
    table = Table("t", MetaData(), Column("doc", Json()))
    with Database("sqlite://") as db:
        table.create(db.engine)
        with db.transaction() as session:
            session.execute(insert(table), [{"doc": None}, {"doc": {"a": None}}])
        with db.read() as session:
            assert session.scalar(text("select count(*) from t where doc is null")) == 1


def test_identifiers_are_unique_and_in_order():
    made = [uuid7() for _ in range(5000)]

    assert made == sorted(set(made))
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}


def test_a_forked_child_makes_other_identifiers():
    uuid7()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, uuid7().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs = uuid.UUID(bytes=os.read(read, 16))
    os.close(read)
    os.close(write)

    assert theirs != uuid7()


def test_encrypted_text_needs_keys_of_the_runtime():
    from shared.security import EncryptionKeys, new_encryption_key

    column = EncryptedString("users.phone")
    with use(Runtime("a")) as runtime:
        with pytest.raises(ConfigurationError):
            column.process_bind_param("x", None)
        runtime.provide(EncryptionKeys, lambda rt: EncryptionKeys({"k": new_encryption_key()}))
        token = column.process_bind_param("x", None)
        assert (column.process_result_value(token, None), column.process_result_value(None, None)) == (
            "x",
            None,
        )
        with pytest.raises(ValidationError):
            column.process_bind_param(7, None)
        runtime.close()


def test_a_room_without_tables_is_refused():
    with pytest.raises(InvalidArgumentError, match="'nothing'"):
        tables_of("nothing")
