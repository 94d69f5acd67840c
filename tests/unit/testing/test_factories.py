"""Factories: a row of every table, for threads and for coroutines."""

import shutil
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import JSON, Enum, ForeignKey, Interval, MetaData, func, select
from sqlalchemy.orm import Mapped, mapped_column

from shared import models
from shared.auth import PasswordManager
from shared.commerce import AssetTransactionDAO, Inventory
from shared.database import Base, Database, UUIDKey, tables_of
from shared.errors import ConfigurationError, InvalidArgumentError
from shared.runtime import Runtime, use
from shared.testing import (
    BalanceEntryFactory,
    ConversationFactory,
    InventoryItemFactory,
    InventoryReservationFactory,
    MessageFactory,
    ModelFactory,
    OrderFactory,
    OrderItemFactory,
    UserFactory,
    factory_for,
    factory_session,
)

ROOMS = ("agents", "auth", "commerce", "database", "feature_flags")
MODELS = [
    pytest.param(model, id=name)
    for name in models.__all__
    if (model := getattr(models, name)) is not Base and model.__table__.info["room"] in ROOMS
]


class OwnBase(Base):
    __abstract__ = True
    __room__ = "tests"
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Shop(UUIDKey, OwnBase):
    __tablename__ = "shops"

    name: Mapped[str] = mapped_column(unique=True)
    opened: Mapped[date]
    seen: Mapped[datetime]
    rent: Mapped[Decimal]
    size: Mapped[float]
    is_open: Mapped[bool]
    tags: Mapped[list[str]]
    logo: Mapped[bytes]
    other: Mapped[uuid.UUID]
    note: Mapped[str | None]


class Shelf(OwnBase):
    __tablename__ = "shelves"

    number: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("shops.id"))


class Odd(OwnBase):
    __tablename__ = "odd"

    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Enum("a", "b", name="odd_kind"))
    what: Mapped[dict] = mapped_column(JSON())


class Unknown(OwnBase):
    __tablename__ = "unknown"

    number: Mapped[int] = mapped_column(primary_key=True)
    what: Mapped[timedelta] = mapped_column(Interval())


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The tables, made once; every test has a copy."""
    path = tmp_path_factory.mktemp("factories") / "template.db"
    with Database(f"sqlite:///{path}") as database:
        Base.metadata.create_all(database.engine, tables=tables_of(*ROOMS))
        OwnBase.metadata.create_all(database.engine, tables=[m.__table__ for m in (Shop, Shelf, Odd)])
    return path


@pytest.fixture
def db(template, tmp_path):
    with Database(f"sqlite:///{shutil.copy(template, tmp_path / 'test.db')}") as database:
        yield database


@pytest.fixture
async def adb(template, tmp_path):
    async with Database(f"sqlite:///{shutil.copy(template, tmp_path / 'test.db')}") as database:
        yield database


@pytest.fixture
def runtime(db):
    made = Runtime("test")
    with use(made), made.override(Database, db):
        yield made
    made.close()


def number_of(db, model):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(model))


# -- every table ---------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_every_table_has_a_factory_whose_rows_are_accepted(db, model):
    factory = factory_for(model)

    with db.transaction() as session, factory_session(session):
        made = factory.create_batch(3)

    assert [type(row) for row in made] == [model] * 3
    assert number_of(db, model) >= 3
    assert isinstance(factory.build(), model)


@pytest.mark.parametrize("model", MODELS)
async def test_every_factory_makes_rows_for_coroutines(adb, model):
    async with adb.aio.transaction() as session:
        with factory_session(session):
            made = await factory_for(model).acreate()

    assert (type(made), number_of(adb, model) >= 1) == (model, True)


# -- sessions ------------------------------------------------------------------------


def test_without_a_session_the_database_of_the_runtime_is_used(db, runtime):
    OrderFactory()
    OrderFactory.create_batch(2)

    assert number_of(db, models.Order) == 3


async def test_without_a_session_coroutines_use_the_database_of_the_runtime(adb):
    runtime = Runtime("test")
    with use(runtime), runtime.override(Database, adb):
        await OrderFactory.acreate()
        await OrderFactory.acreate_batch(2, currency="USD")
    runtime.close()

    assert number_of(adb, models.Order) == 3


async def test_a_session_of_the_other_kind_is_refused(adb):
    with adb.transaction() as session, factory_session(session):
        with pytest.raises(ConfigurationError, match="asynchronous session"):
            await OrderFactory.acreate()
    async with adb.aio.transaction() as session:
        with factory_session(session), pytest.raises(ConfigurationError, match="acreate"):
            OrderFactory()


def test_what_is_rolled_back_is_gone(db):
    with pytest.raises(RuntimeError), db.transaction() as session, factory_session(session):
        OrderFactory()
        raise RuntimeError

    assert number_of(db, models.Order) == 0


def test_building_touches_no_database():
    order = OrderFactory.build(user_id="u-1")

    assert (order.user_id, order.total, [item.position for item in order.items]) == (
        "u-1",
        Decimal("19.90"),
        [1],
    )


# -- rows that agree with each other -------------------------------------------------


def test_a_reservation_is_part_of_what_its_item_holds(db):
    with db.transaction() as session, factory_session(session):
        held = InventoryReservationFactory(quantity=3)
        ended = InventoryReservationFactory(quantity=3, state="released")
        stock = Inventory(db)
        assert stock.get_item(held.variant_id, session=session).reserved == 3
        assert stock.get_item(ended.variant_id, session=session).reserved == 0
        assert stock.release(held.id, session=session).state == "released"


def test_an_order_has_lines_and_a_line_an_order(db):
    with db.transaction() as session, factory_session(session):
        order = OrderFactory(items=[OrderItemFactory.build(order=None, unit_price=Decimal(2), quantity=3)])
        line = OrderItemFactory()

    assert (order.total, len(order.items), line.order.id) == (Decimal(6), 1, line.order_id)


def test_an_entry_agrees_with_its_balance(db):
    with db.transaction() as session, factory_session(session):
        entry = BalanceEntryFactory(amount=Decimal(5))
        faults = AssetTransactionDAO(db).find_faults(session=session)

    assert entry.amount_after == 5
    assert [fault.what for fault in faults] == ["transaction"]  # one entry alone adds up to nothing


def test_a_user_has_the_password_and_the_roles_that_are_given(db):
    with db.transaction() as session, factory_session(session):
        user = UserFactory(password="correct horse", role_names=["b", "a"])
        nobody = UserFactory()

    assert PasswordManager(rounds=4).verify_password("correct horse", user.password_hash)
    assert (user.role_names, nobody.password_hash, user.email != nobody.email) == (("a", "b"), None, True)


def test_a_conversation_takes_messages(db):
    with db.transaction() as session, factory_session(session):
        talk = ConversationFactory(
            messages=[
                MessageFactory.build(conversation_id=None, position=n, conversation=None) for n in (1, 2)
            ]
        )

    assert [message.conversation_id for message in talk.messages] == [talk.id] * 2


# -- tables of a service -------------------------------------------------------------


def test_a_table_of_a_service_gets_a_factory_from_its_columns(db):
    assert factory_for(Shop) is factory_for(Shop)

    with db.transaction() as session, factory_session(session):
        first, second = factory_for(Shop).create_batch(2)
        shelf = factory_for(Shelf)(number=7)
        counted = factory_for(Shelf)()
        odd = factory_for(Odd)()

    assert (first.name != second.name, first.note, isinstance(first.rent, Decimal)) == (True, None, True)
    assert (shelf.number, number_of(db, Shop), counted.number) == (7, 4, 8)
    assert (odd.kind, odd.what) == ("a", {})


def test_a_service_declares_its_own(db):
    class ShopFactory(ModelFactory):
        class Meta:
            model = Shop

        name = "north"
        opened = date(2026, 11, 20)

    assert ShopFactory.build(size=2.5).size == 2.5


@pytest.mark.parametrize("model", [dict, 7, "Shop"], ids=str)
def test_what_is_no_table_has_no_factory(model):
    with pytest.raises(InvalidArgumentError, match="mapped class"):
        factory_for(model)


def test_a_type_without_a_natural_value_is_named():
    with pytest.raises(InvalidArgumentError, match=r"Unknown\.what: no natural value"):
        factory_for(Unknown)


def test_an_item_may_be_used_up():
    assert InventoryItemFactory.build(on_hand=0).available == 0
