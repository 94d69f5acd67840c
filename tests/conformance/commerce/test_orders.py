"""Orders: pieces and states change together, once, and tell of it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from shared.commerce import AsyncInventory, AsyncOrderDAO, Inventory, Order, OrderDAO, OrderStatus
from shared.database import OutboxMessage, OutboxRelay, assert_max_queries
from shared.errors import (
    ConflictError,
    ExternalServiceError,
    InsufficientStockError,
    InvalidStateError,
    InventoryItemNotFoundError,
    OrderNotFoundError,
    ValidationError,
)


def cart(user="u-1", *, reference=None, **lines):
    items = [
        {"variant_id": variant, "quantity": quantity, "unit_price": "2.40"}
        for variant, quantity in (lines or {"ticket": 1}).items()
    ]
    return {"user_id": user, "currency": "EUR", "items": items, "reference": reference}


@pytest.fixture
def orders(db, stock):
    stock.add_stock({"ticket": 10, "a": 5})
    return OrderDAO(db)


def messages(db):
    """Topics of the outbox, in order, with the states they tell of."""
    with db.read() as session:
        rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.seq)).all()
        return [(row.topic, row.payload["from"], row.payload["to"]) for row in rows]


def level(stock, variant="ticket"):
    item = stock.get_item(variant)
    return item.on_hand, item.reserved


def number_of(db, model):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(model))


# -- making --------------------------------------------------------------------------


def test_an_order_reserves_its_pieces_and_says_what_it_costs(orders, stock, db):
    order = orders.create_order(cart(ticket=3, a=1))

    assert (order.status, order.total, order.version) == (OrderStatus.PENDING, Decimal("9.6000"), 1)
    assert [(i.variant_id, i.quantity, i.subtotal) for i in order.items] == [
        ("ticket", 3, Decimal("7.2000")),
        ("a", 1, Decimal("2.4000")),
    ]
    assert (level(stock), level(stock, "a")) == ((10, 3), (5, 1))
    assert orders.get_order(str(order.id)) == order
    assert messages(db) == [("commerce.order.created", None, "pending")]


@pytest.mark.parametrize(
    ("lines", "error"),
    [({"a": 2, "ticket": 11}, InsufficientStockError), ({"a": 2, "zzz": 1}, InventoryItemNotFoundError)],
    ids=["too_few", "unknown"],
)
def test_an_order_that_cannot_be_served_leaves_nothing_behind(orders, stock, db, lines, error):
    with pytest.raises(error):
        orders.create_order(cart(**lines))

    assert (level(stock), level(stock, "a")) == ((10, 0), (5, 0))
    assert (number_of(db, Order), messages(db)) == (0, [])


def test_an_order_that_cannot_be_served_leaves_the_callers_transaction_alive(orders, stock, db):
    with db.transaction() as session:
        first = orders.create_order(cart(), session=session)
        with pytest.raises(InsufficientStockError):
            orders.create_order(cart(a=1, ticket=99), session=session)

    assert orders.get_order(first.id) == first
    assert (level(stock), level(stock, "a"), len(messages(db))) == ((10, 1), (5, 0), 1)


def test_what_has_no_stock_is_not_reserved(orders, stock):
    data = cart()
    data["items"][0] |= {"is_stocked": False, "variant_id": "download"}

    order = orders.pay_order(orders.create_order(data).id)

    assert (order.status, level(stock)) == ("paid", (10, 0))


def test_lines_of_one_variant_add_up(orders, stock):
    data = cart(ticket=2)
    data["items"] *= 3

    orders.create_order(data)

    assert level(stock) == (10, 6)


def test_a_second_order_under_a_reference_is_the_first(orders, stock, db):
    first = orders.create_order(cart(reference="r-1"))

    again = orders.create_order(cart(reference="r-1"))
    of_another = orders.create_order(cart("u-2", reference="r-1"))

    assert (again.id, of_another.id != first.id) == (first.id, True)
    assert (level(stock), len(messages(db))) == ((10, 2), 2)
    assert orders.find_order("u-1", "r-1") == again
    assert orders.find_order("u-1", "r-2") is None


def test_another_order_under_the_same_reference_is_refused(orders, stock):
    orders.create_order(cart(reference="r-1"))

    with pytest.raises(ConflictError, match="another order"):
        orders.create_order(cart(reference="r-1", ticket=2))

    assert level(stock) == (10, 1)


def test_calls_at_the_same_time_under_one_reference_make_one_order(orders, stock, db):
    with ThreadPoolExecutor(8) as pool:
        ids = {order.id for order in pool.map(lambda _: orders.create_order(cart(reference="r")), range(16))}

    assert (len(ids), level(stock), number_of(db, Order)) == (1, (10, 1), 1)


def test_many_orders_are_made_or_none(orders, stock, db):
    made = orders.create_orders([cart(ticket=2, reference="b"), cart(a=1), cart(reference="a")])
    with pytest.raises(InsufficientStockError):
        orders.create_orders([cart(ticket=7), cart(ticket=1)])

    assert [order.reference for order in made] == ["b", None, "a"]
    assert (level(stock), number_of(db, Order)) == ((10, 3), 3)


def test_orders_at_the_same_time_never_take_more_than_there_is(orders, stock, db):
    def order(number):
        lines = {"ticket": 1, "a": 1} if number % 2 else {"a": 1, "ticket": 1}
        try:
            orders.create_order(cart(f"u-{number}", **lines))
        except InsufficientStockError:
            return 0
        return 1

    with ThreadPoolExecutor(12) as pool:
        made = sum(pool.map(order, range(24)))

    assert (made, level(stock, "a"), number_of(db, Order)) == (5, (5, 5), 5)
    assert level(stock) == (10, 5)


# -- the states ----------------------------------------------------------------------


def test_a_paid_order_has_sold_its_pieces(orders, stock, db):
    order = orders.create_order(cart(ticket=3))

    paid = orders.pay_order(order.id)
    again = orders.pay_order(order.id)

    assert (paid.status, paid.version, again) == ("paid", 2, paid)
    assert level(stock) == (7, 0)
    assert messages(db)[1:] == [("commerce.order.paid", "pending", "paid")]


@pytest.mark.parametrize(
    "steps", [[], ["paid"], ["paid", "processing"]], ids=["pending", "paid", "processing"]
)
@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_an_order_that_ends_in_the_house_gives_its_pieces_back_once(orders, stock, db, steps, end):
    order = orders.create_order(cart(ticket=3, a=2))
    for step in steps:
        orders.update_order_status(order.id, step)

    ended = [orders.update_order_status(order.id, end, reason="no") for _ in range(2)]

    assert [(each.status, each.reason) for each in ended] == [(end, "no")] * 2
    assert (level(stock), level(stock, "a")) == ((10, 0), (5, 0))
    assert messages(db)[-1] == (f"commerce.order.{end}", ([*steps] or ["pending"])[-1], end)
    assert len(messages(db)) == len(steps) + 2


def test_pieces_that_were_shipped_do_not_come_back_by_a_refund(orders, stock):
    order = orders.create_order(cart(ticket=3))
    for step in ("paid", "processing", "shipped", "delivered", "refunded"):
        order = orders.update_order_status(order.id, step)

    assert (order.status, level(stock)) == ("refunded", (7, 0))


def test_a_step_that_the_machine_does_not_have_changes_nothing(orders, stock, db):
    order = orders.create_order(cart())

    with pytest.raises(InvalidStateError, match="pending cannot become shipped") as caught:
        orders.update_order_status(order.id, "shipped")

    assert caught.value.details == {
        "from": "pending",
        "to": "shipped",
        "allowed": ["cancelled", "failed", "paid"],
    }
    assert (orders.get_order(order.id), level(stock), len(messages(db))) == (order, (10, 1), 1)


def test_payment_and_cancellation_at_the_same_time_agree_on_one(orders, stock, db):
    made = orders.create_orders([cart() for _ in range(8)])

    def end(number):
        try:
            verb = orders.pay_order if number % 2 else orders.cancel_order
            return verb(made[number // 2].id).status.value
        except InvalidStateError:
            return "late"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, range(16)))

    # A paid order may still be cancelled afterwards; what counts is that pieces and states agree.
    with db.read() as session:
        states = session.scalars(select(Order.status)).all()
    assert set(states) <= {"paid", "cancelled"}
    assert level(stock) == (10 - states.count("paid"), 0)


def test_a_version_that_is_not_the_present_one_is_refused(orders):
    order = orders.create_order(cart())
    orders.pay_order(order.id)

    with pytest.raises(ConflictError, match="version 1"):
        orders.update_order_status(order.id, "processing", version=1)

    assert orders.update_order_status(order.id, "processing", version=2).version == 3


def test_many_orders_change_or_none(orders, db):
    made = orders.create_orders([cart() for _ in range(3)])
    orders.pay_order(made[0].id)
    ids = [order.id for order in made]

    with pytest.raises(InvalidStateError):
        orders.update_orders_status(ids, "processing")
    unpaid = orders.get_order(made[1].id)
    paid = orders.update_orders_status([*ids, ids[0]], "paid")

    assert unpaid.status == "pending"
    assert [order.status for order in paid] == ["paid"] * 3
    assert len(messages(db)) == 6


def test_a_late_payment_takes_the_pieces_again_when_there_are_any(db, stock, orders):
    now = [datetime(2026, 11, 20, tzinfo=UTC)]
    orders = OrderDAO(db, ttl=60, clock=lambda: now[0])
    sweeper = Inventory(db, clock=lambda: now[0])
    order, other = orders.create_orders([cart(ticket=6), cart(a=1)])
    now[0] += timedelta(seconds=61)
    sweeper.expire()

    paid = orders.pay_order(order.id)
    stock.reserve("a", 5)
    with pytest.raises(InsufficientStockError):
        orders.pay_order(other.id)
    still_pending = orders.get_order(other.id)
    back = orders.cancel_order(order.id)

    assert (paid.status, still_pending.status, back.status) == ("paid", "pending", "cancelled")
    assert (level(stock), level(stock, "a")) == ((10, 0), (5, 5))


def test_messages_of_an_order_are_published_in_their_order(orders, db):
    order = orders.create_order(cart())
    orders.pay_order(order.id)
    orders.cancel_order(order.id)
    seen = []

    relay = OutboxRelay(db, lambda message: seen.append((message.topic, message.aggregate)))
    while relay.run_once():
        pass

    assert seen == [
        (f"commerce.order.{what}", f"order:{order.id}") for what in ("created", "paid", "cancelled")
    ]


def test_without_an_outbox_nobody_is_told(db, stock):
    stock.add_stock({"ticket": 1})
    orders = OrderDAO(db, outbox=None)

    orders.cancel_order(orders.create_order(cart()).id)

    assert messages(db) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update commerce_orders set status = 'lost'",
        "update commerce_orders set total = -1",
        "update commerce_order_items set quantity = 0",
        "update commerce_order_items set unit_price = -1",
    ],
)
def test_the_database_itself_refuses_what_is_wrong(orders, db, statement):
    orders.create_order(cart())

    with pytest.raises(ValidationError), db.transaction() as session:
        session.execute(text(statement))


# -- finding -------------------------------------------------------------------------


def test_orders_are_listed_newest_first_in_pages_with_two_queries_each(orders, db):
    made = [orders.create_order(cart("u-1" if n % 2 else "u-2", ticket=1)) for n in range(6)]
    orders.pay_order(made[5].id)

    with assert_max_queries(db, 2):
        first = orders.list_orders(user_id="u-1", size=2)
    second = orders.list_orders(user_id="u-1", size=2, after=first.next_cursor)

    assert [order.id for order in first.items] == [made[5].id, made[3].id]
    assert ([order.id for order in second.items], second.next_cursor) == ([made[1].id], None)
    assert [order.id for order in orders.list_orders(status="paid").items] == [made[5].id]
    assert all(order.items for order in first.items)


# -- checkout ------------------------------------------------------------------------


def test_checkout_pays_and_sells(orders, stock):
    seen = []

    order = orders.checkout(cart(ticket=2, reference="r"), seen.append)
    again = orders.checkout(cart(ticket=2, reference="r"), seen.append)

    assert (order.status, again, len(seen)) == ("paid", order, 1)
    assert (seen[0].status, level(stock)) == ("pending", (8, 0))


def test_checkout_gives_the_pieces_back_when_the_payment_fails(orders, stock):
    def pay(order):
        assert level(stock) == (10, 2)
        raise ExternalServiceError("declined")

    with pytest.raises(ExternalServiceError):
        orders.checkout(cart(ticket=2, reference="r"), pay)

    found = orders.find_order("u-1", "r")
    assert (found.status, found.reason, level(stock)) == ("failed", "ExternalServiceError", (10, 0))
    with pytest.raises(InvalidStateError):
        orders.checkout(cart(ticket=2, reference="r"), pay)


def test_checkout_says_so_when_the_pieces_cannot_be_given_back(orders, stock, db, log_capture):
    def pay(order):
        orders.cancel_order(order.id)
        raise RuntimeError("declined")

    with pytest.raises(RuntimeError, match="declined"):
        orders.checkout(cart(), pay)

    assert log_capture[-1]["error_code"] == "INVALID_STATE"


# -- coroutines ----------------------------------------------------------------------


async def test_coroutines_have_every_verb(adb):
    stock, orders = AsyncInventory(adb), AsyncOrderDAO(adb)
    await stock.add_stock({"ticket": 10})
    first, second = await orders.create_orders([cart(reference="r"), cart()])
    third = await orders.create_order(cart())
    assert await orders.get_order(first.id) == first
    assert await orders.find_order("u-1", "r") == first
    assert len((await orders.list_orders()).items) == 3
    assert (await orders.update_order_status(first.id, "paid")).status == "paid"
    assert [o.status for o in await orders.update_orders_status([second.id], "paid")] == ["paid"]
    assert (await orders.cancel_order(first.id, reason="x")).reason == "x"
    assert (await orders.fail_order(third.id)).status == "failed"
    async with adb.aio.transaction() as session:
        fourth = await orders.create_order(cart(), session=session)
        assert (await orders.pay_order(fourth.id, session=session)).status == "paid"
    with pytest.raises(OrderNotFoundError):
        await orders.get_order(stock_id := (await stock.get_item("ticket")).id)
    assert stock_id
    item = await stock.get_item("ticket")
    assert (item.on_hand, item.reserved) == (8, 0)


async def test_checkout_of_a_coroutine_gives_back_when_it_fails_and_when_it_is_cancelled(adb):
    stock, orders = AsyncInventory(adb), AsyncOrderDAO(adb)
    await stock.add_stock({"ticket": 10})
    waiting = asyncio.Event()

    async def pay(_order):
        pass

    async def decline(_order):
        raise ExternalServiceError("declined")

    async def hang(_order):
        waiting.set()
        await asyncio.sleep(600)

    assert (await orders.checkout(cart(reference="r"), pay)).status == "paid"
    assert (await orders.checkout(cart(reference="r"), decline)).status == "paid"
    with pytest.raises(ExternalServiceError):
        await orders.checkout(cart(), decline)
    task = asyncio.create_task(orders.checkout(cart(), hang))
    await asyncio.wait_for(waiting.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    item = await stock.get_item("ticket")
    assert (item.on_hand, item.reserved) == (9, 0)
    assert [o.reason for o in (await orders.list_orders(status="failed")).items] == [
        "CancelledError",
        "ExternalServiceError",
    ]


async def test_checkout_of_a_coroutine_says_so_when_the_pieces_cannot_be_given_back(adb, log_capture):
    stock, orders = AsyncInventory(adb), AsyncOrderDAO(adb)
    await stock.add_stock({"ticket": 1})

    async def pay(order):
        await orders.cancel_order(order.id)
        raise RuntimeError("declined")

    with pytest.raises(RuntimeError, match="declined"):
        await orders.checkout(cart(), pay)

    assert log_capture[-1]["error_code"] == "INVALID_STATE"
