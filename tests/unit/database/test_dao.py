"""Data access objects: where a verb runs, and what is left when it fails."""

from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.database import DAO, AsyncDAO, Database, Entity, ExactAmount, exact_amount
from shared.errors import ConfigurationError, InvalidArgumentError, SharedError, ValidationError
from shared.runtime import Runtime, use


@pytest.fixture
def db(tmp_path):
    with Database(f"sqlite:///{tmp_path}/x.db") as database:
        with database.transaction() as session:
            session.execute(text("create table notes (body text unique)"))
        yield database


@pytest.fixture
async def adb(tmp_path):
    async with Database(f"sqlite:///{tmp_path}/x.db") as database:
        with database.transaction() as session:
            session.execute(text("create table notes (body text unique)"))
        yield database


def add(session, *bodies, fail=False):
    for body in bodies:
        session.execute(text("insert into notes values (:body)"), {"body": body})
    if fail:
        raise ValidationError("in the middle")
    return len(bodies)


def notes(session):
    return session.scalars(text("select body from notes order by body")).all()


# -- where a verb runs ---------------------------------------------------------------


def test_without_a_session_a_verb_has_a_transaction_of_its_own(db):
    dao = DAO(db)

    assert dao.write(add, "a", "b") == 2
    with pytest.raises(ValidationError):
        dao.write(add, "c", fail=True)

    assert dao.read(notes) == ["a", "b"]


def test_with_a_session_a_verb_ends_with_the_callers_transaction(db):
    dao = DAO(db)

    with pytest.raises(RuntimeError), db.transaction() as session:
        dao.write(add, "a", session=session)
        assert dao.read(notes, session=session) == ["a"]
        raise RuntimeError

    assert dao.read(notes) == []


@pytest.mark.parametrize("bodies", [("b", "c"), ("b", "a")], ids=["rule", "constraint"])
def test_a_verb_that_fails_takes_only_its_own_writes_with_it(db, bodies):
    dao = DAO(db)

    with db.transaction() as session:
        dao.write(add, "a", session=session)
        with pytest.raises(SharedError):
            dao.write(add, *bodies, fail=True, session=session)

    assert dao.read(notes) == ["a"]


def test_without_a_database_that_of_the_runtime_is_used(db):
    runtime = Runtime("test")

    with use(runtime), runtime.override(Database, db):
        assert DAO().write(add, "a") == 1
        assert (DAO().database, AsyncDAO().database) == (db, db)
    runtime.close()


def test_a_session_that_only_reads_takes_no_writes(db):
    with db.read() as session:
        with pytest.raises(ConfigurationError, match="only reads"):
            DAO(db).write(add, "a", session=session)
        assert DAO(db).read(notes, session=session) == []


@pytest.mark.parametrize("session", ["session", 7, object], ids=["text", "int", "type"])
async def test_what_is_no_session_is_refused(db, session):
    for call in (DAO(db).write, DAO(db).read):
        with pytest.raises(InvalidArgumentError, match="session"):
            call(notes, session=session)
    for call in (AsyncDAO(db).write, AsyncDAO(db).read):
        with pytest.raises(InvalidArgumentError, match="session"):
            await call(notes, session=session)


async def test_the_same_verbs_are_awaited(adb):
    dao = AsyncDAO(adb)

    assert await dao.write(add, "a") == 1
    async with adb.aio.transaction() as session:
        await dao.write(add, "b", session=session)
        with pytest.raises(SharedError):
            await dao.write(add, "c", "a", session=session)
        assert await dao.read(notes, session=session) == ["a", "b"]

    assert await dao.read(notes) == ["a", "b"]


# -- entities ------------------------------------------------------------------------


class NewPrice(Entity, extra="forbid"):
    amount: ExactAmount
    weight: Annotated[Decimal, exact_amount(6, 3)] = Decimal(0)


def test_an_entity_is_frozen_and_made_of_a_mapping_or_of_itself():
    price = NewPrice.parse({"amount": "19.90", "weight": 2})

    assert (price.amount, price.weight, NewPrice.parse(price)) == (
        Decimal("19.9000"),
        Decimal("2.000"),
        price,
    )
    with pytest.raises(Exception, match="frozen"):
        price.amount = Decimal(0)


@pytest.mark.parametrize(
    "amount", [1.5, True, None, "x", "", "NaN", "1e400", "0.00001", 10**15, "9" * 50, [], b"1"], ids=str
)
def test_an_amount_that_is_not_exact_is_refused(amount):
    with pytest.raises(ValidationError) as caught:
        NewPrice.parse({"amount": amount})

    assert [error["field"] for error in caught.value.details["errors"]] == ["amount"]


def test_a_float_in_json_is_refused_too():
    with pytest.raises(Exception, match="got float"):
        NewPrice.model_validate_json('{"amount": 19.9}')


def test_an_error_names_fields_and_never_what_was_given():
    with pytest.raises(ValidationError) as caught:
        NewPrice.parse({"amount": "secret", "weight": "secret", "other\n" + "x" * 100: "secret"})

    assert str(caught.value).startswith("newprice: amount, weight, other")
    assert "secret" not in f"{caught.value} {caught.value.details}"
    assert max(len(error["field"]) for error in caught.value.details["errors"]) <= 64


@pytest.mark.parametrize("data", [None, 7, "x", [("amount", 1)]], ids=["none", "int", "text", "pairs"])
def test_what_is_no_mapping_is_refused(data):
    with pytest.raises(ValidationError, match="mapping"):
        NewPrice.parse(data)


@settings(deadline=None, max_examples=100)
@given(st.decimals(allow_nan=True, allow_infinity=True) | st.text(max_size=60) | st.integers() | st.floats())
def test_an_amount_is_kept_to_the_last_digit_or_refused(value):
    try:
        found = NewPrice.parse({"amount": value}).amount
    except ValidationError:
        return
    assert found == Decimal(value)
