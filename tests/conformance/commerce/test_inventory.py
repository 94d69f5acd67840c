"""Stock: never more than there is, never twice, never half."""

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from shared.commerce import (
    AsyncInventory,
    Inventory,
    InventoryItem,
    InventoryReservation,
    aconfirm_inventory,
    alock_and_reserve_inventory,
    arelease_inventory,
    confirm_inventory,
    lock_and_reserve_inventory,
    release_inventory,
)
from shared.database import Database, InboxMessage, query_log
from shared.errors import (
    ConfigurationError,
    InsufficientStockError,
    InvalidArgumentError,
    InvalidStateError,
    InventoryItemNotFoundError,
    ReservationNotFoundError,
    ValidationError,
)
from shared.runtime import Runtime, use
from tests.conformance.commerce.buyers import buy

BUYERS = Path(__file__).with_name("buyers.py")
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


def levels(db, variant="ticket"):
    """On hand and reserved, and what the reservations say of the latter."""
    with db.read() as session:
        item = session.scalars(select(InventoryItem).where(InventoryItem.variant_id == variant)).one()
        active = session.scalar(
            select(func.coalesce(func.sum(InventoryReservation.quantity), 0)).where(
                InventoryReservation.variant_id == variant, InventoryReservation.state == "active"
            )
        )
        assert item.reserved == active
        return item.on_hand, item.reserved


# -- 200 buyers, 100 tickets ---------------------------------------------------------


def test_200_buyers_in_threads_get_exactly_100_pieces(db, stock):
    stock.add_stock({"ticket": 100})

    with ThreadPoolExecutor(200) as pool:
        sold = sum(pool.map(lambda n: buy(stock, n), range(200)))

    assert (sold, levels(db)) == (100, (0, 0))


async def test_200_buyers_in_tasks_get_exactly_100_pieces(adb):
    stock = AsyncInventory(adb)
    await stock.add_stock({"ticket": 100})

    async def buy_one():
        try:
            kept = await stock.reserve("ticket", 1)
        except InsufficientStockError:
            return 0
        return (await stock.confirm(kept.id)).quantity

    sold = sum(await asyncio.gather(*(buy_one() for _ in range(200))))

    assert (sold, levels(adb)) == (100, (0, 0))


def test_200_buyers_in_four_processes_get_exactly_100_pieces(db, stock, url):
    stock.add_stock({"ticket": 100})
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(BUYERS), url, "4", "50"]

    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)

    assert done.returncode == 0, done.stderr
    assert (int(done.stdout.split()[-1]), levels(db)) == (100, (0, 0))


def test_carts_that_name_the_same_variants_in_any_order_neither_oversell_nor_wait_for_each_other(db, stock):
    stock.add_stock({"a": 30, "b": 30, "c": 30})
    orders = [{"a": 1, "b": 1, "c": 1}, {"c": 1, "b": 1, "a": 1}, {"b": 1, "a": 1}]

    def buy_cart(number):
        try:
            kept = stock.reserve_many(orders[number % 3])
        except InsufficientStockError:
            return 0
        if number % 2:
            for each in kept:
                stock.release(each.id)
            return 0
        return len(kept)

    with query_log(db) as log, ThreadPoolExecutor(16) as pool:
        kept = sum(pool.map(buy_cart, range(60)))

    assert len(log.queries) > 60
    assert sum(levels(db, variant)[1] for variant in "abc") == kept
    assert all(0 <= levels(db, variant)[1] <= 30 for variant in "abc")


# -- what a reservation does ---------------------------------------------------------


def test_a_reservation_keeps_pieces_and_nobody_else_gets_them(db, stock):
    stock.add_stock({"ticket": 3})

    kept = stock.reserve("ticket", 2)

    assert (kept.quantity, kept.state, kept.variant_id) == (2, "active", "ticket")
    assert stock.get_reservation(str(kept.id)) == kept
    with pytest.raises(InsufficientStockError, match="2 pieces of 'ticket' were asked for, 1 are") as caught:
        stock.reserve("ticket", 2)
    assert caught.value.details == {"variant_id": "ticket", "asked": 2, "available": 1}
    assert levels(db) == (3, 2)


def test_releasing_twice_gives_the_pieces_back_once(db, stock):
    stock.add_stock({"ticket": 3})
    kept = stock.reserve("ticket", 2)

    states = [stock.release(kept.id).state for _ in range(3)]

    assert (states, levels(db)) == (["released"] * 3, (3, 0))


def test_releases_at_the_same_time_give_the_pieces_back_once(db, stock):
    stock.add_stock({"ticket": 3})
    kept = stock.reserve("ticket", 2)

    with ThreadPoolExecutor(8) as pool:
        states = {state.state for state in pool.map(lambda _: stock.release(kept.id), range(8))}

    assert (states, levels(db)) == ({"released"}, (3, 0))


def test_confirming_twice_sells_the_pieces_once(db, stock):
    stock.add_stock({"ticket": 3})
    kept = stock.reserve("ticket", 2)

    states = [stock.confirm(kept.id).state for _ in range(2)]

    assert (states, levels(db)) == (["confirmed"] * 2, (1, 0))


def test_what_was_sold_comes_back_once_and_only_by_taking_back(db, stock):
    stock.add_stock({"ticket": 3})
    kept = stock.reserve("ticket", 2)
    stock.confirm(kept.id)

    with pytest.raises(InvalidStateError, match="confirmed and cannot become released"):
        stock.release(kept.id)
    states = [stock.take_back(kept.id).state for _ in range(2)]

    assert (states, levels(db)) == (["returned"] * 2, (3, 0))


@pytest.mark.parametrize("end", ["release", "expire"])
def test_what_has_ended_cannot_be_confirmed(db, clock, end):
    stock = Inventory(db, ttl=60, clock=clock)
    stock.add_stock({"ticket": 1})
    kept = stock.reserve("ticket", 1)
    clock.advance(61)
    stock.release(kept.id) if end == "release" else stock.expire()

    with pytest.raises(InvalidStateError, match="cannot become confirmed"):
        stock.confirm(kept.id)
    with pytest.raises(InvalidStateError, match="cannot become returned"):
        stock.take_back(kept.id)

    assert levels(db) == (1, 0)


def test_release_and_confirm_at_the_same_time_agree_on_one_end(db, stock):
    stock.add_stock({"ticket": 20})
    kept = [stock.reserve("ticket", 1) for _ in range(20)]

    def end(number):
        try:
            return (stock.release if number % 2 else stock.confirm)(kept[number // 2].id).state
        except InvalidStateError:
            return "late"

    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(end, range(40)))

    sold = ends.count("confirmed")
    assert (ends.count("released"), ends.count("late")) == (20 - sold, 20)
    assert levels(db) == (20 - sold, 0)


# -- the end of the time -------------------------------------------------------------


def test_the_sweeper_gives_back_what_is_due_in_batches_and_leaves_the_rest(db, clock):
    stock = Inventory(db, ttl=60, clock=clock)
    stock.add_stock({"ticket": 20})
    due = [stock.reserve("ticket", 1) for _ in range(7)]
    stock.confirm(due[0].id)
    stock.reserve("ticket", 2, ttl=600)
    clock.advance(60)

    done = stock.expire(batch=2)

    assert (done, stock.expire(), levels(db)) == (6, 0, (19, 2))
    assert stock.get_reservation(due[1].id).state == "expired"
    assert stock.release(due[1].id).state == "expired"


def test_a_reservation_without_an_end_is_never_swept(db, clock):
    stock = Inventory(db, ttl=None, clock=clock)
    stock.add_stock({"ticket": 1})
    kept = stock.reserve("ticket", 1)
    clock.advance(10**9)

    assert (kept.expires_at, stock.expire(), levels(db)) == (None, 0, (1, 1))


def test_sweepers_at_the_same_time_give_back_each_piece_once(db, clock):
    stock = Inventory(db, ttl=60, clock=clock)
    stock.add_stock({"a": 30, "b": 30})
    for _ in range(20):
        stock.reserve_many({"a": 1, "b": 1})
    clock.advance(61)

    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(lambda _: stock.expire(batch=3), range(4)))
    done += stock.expire()

    assert (done, levels(db, "a"), levels(db, "b")) == (40, (30, 0), (30, 0))


def test_the_sweeper_passes_by_what_somebody_holds(db, clock, shared_engine):
    if shared_engine == "sqlite":
        return  # one writer: nobody can hold a row meanwhile
    stock = Inventory(db, ttl=60, clock=clock)
    stock.add_stock({"ticket": 2})
    first = stock.reserve("ticket", 1)
    stock.reserve("ticket", 1)
    clock.advance(61)

    with db.transaction() as session:
        stock.confirm(first.id, session=session)
        # Its item is locked, too, so the sweeper may end the other one only afterwards.
        locked = select(InventoryReservation.id).with_for_update(skip_locked=True)
        with db.transaction() as other:
            free = other.scalars(locked).all()

    assert first.id not in free
    assert (stock.expire(), levels(db)) == (1, (1, 0))


def test_the_loop_of_a_worker_ends_when_it_is_told_to(db, clock):
    stock = Inventory(db, ttl=60, clock=clock)
    stock.add_stock({"ticket": 1})
    stock.reserve("ticket", 1)
    clock.advance(61)
    stop = threading.Event()
    worker = threading.Thread(target=stock.run, args=(stop,), kwargs={"poll": 0.01})

    worker.start()
    for _ in range(1000):
        if stock.get_item("ticket").reserved == 0:
            break
        stop.wait(0.01)
    stop.set()
    worker.join(60)

    assert (worker.is_alive(), levels(db)) == (False, (1, 0))


async def test_the_loop_of_a_task_ends_when_it_is_told_to(adb):
    clock = Clock()
    stock = AsyncInventory(adb, ttl=60, clock=clock)
    await stock.add_stock({"ticket": 1})
    await stock.reserve("ticket", 1)
    clock.advance(61)
    stop = asyncio.Event()
    worker = asyncio.create_task(stock.run(stop, poll=0.01))

    for _ in range(1000):
        if (await stock.get_item("ticket")).reserved == 0:
            break
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(worker, 60)

    assert levels(adb) == (1, 0)


# -- stock ---------------------------------------------------------------------------


def test_stock_is_added_to_what_is_there_also_from_many_threads(db, stock):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stock.add_stock({"a": 2, "ticket": 1}), range(16)))

    assert (levels(db, "a"), levels(db)) == ((32, 0), (16, 0))


def test_only_pieces_that_nobody_reserved_can_be_removed(db, stock):
    stock.add_stock({"ticket": 3})
    stock.reserve("ticket", 2)

    assert stock.remove_stock("ticket", 1).available == 0
    with pytest.raises(InsufficientStockError):
        stock.remove_stock("ticket", 1)
    with pytest.raises(InventoryItemNotFoundError):
        stock.remove_stock("nothing", 1)

    assert levels(db) == (2, 2)


def test_more_than_a_column_holds_is_refused(db, stock):
    with pytest.raises(ValidationError, match="at most 2000000000"):
        for _ in range(2001):
            stock.add_stock({"ticket": 1_000_000})
            with db.transaction() as session:
                session.execute(text("update commerce_inventory_items set on_hand = 1999999999"))

    assert levels(db) == (1_999_999_999, 0)


def test_a_change_is_counted_in_the_version(db, stock):
    first = stock.add_stock({"ticket": 3})[0]
    stock.reserve("ticket", 1)

    assert stock.get_item("ticket").version == first.version + 1


@pytest.mark.parametrize(
    "statement",
    [
        "update commerce_inventory_items set reserved = on_hand + 1",
        "update commerce_inventory_items set reserved = -1",
        "update commerce_inventory_items set on_hand = -1",
        "update commerce_inventory_reservations set quantity = 0",
        "update commerce_inventory_reservations set state = 'lost'",
    ],
)
def test_the_database_itself_refuses_what_is_wrong(db, stock, statement):
    stock.add_stock({"ticket": 3})
    stock.reserve("ticket", 1)

    with pytest.raises(ValidationError), db.transaction() as session:
        session.execute(text(statement))

    assert levels(db) == (3, 1)


# -- in the caller's transaction -----------------------------------------------------


def test_a_reservation_in_the_callers_transaction_ends_with_it(db, stock):
    stock.add_stock({"ticket": 3})

    with pytest.raises(RuntimeError), db.transaction() as session:
        kept = stock.reserve("ticket", 2, session=session)
        assert stock.get_item("ticket", session=session).available == 1
        raise RuntimeError

    assert levels(db) == (3, 0)
    with pytest.raises(ReservationNotFoundError):
        stock.release(kept.id)


def test_a_verb_that_fails_in_the_middle_leaves_the_callers_transaction_as_it_was(db, stock):
    stock.add_stock({"a": 3, "ticket": 1})

    with db.transaction() as session:
        session.add(InboxMessage(consumer="c", message_id="1"))
        with pytest.raises(InsufficientStockError):
            stock.reserve_many({"a": 2, "ticket": 2}, session=session)

    assert (levels(db, "a"), levels(db)) == ((3, 0), (1, 0))
    with db.read() as session:
        assert session.scalar(select(func.count()).select_from(InboxMessage)) == 1


def test_a_serializable_transaction_is_repeated_as_a_whole(db, stock):
    stock.add_stock({"ticket": 8})

    def buy_two(session):
        if stock.get_item("ticket", session=session).available < 2:
            return 0
        kept = [stock.reserve("ticket", 1, session=session) for _ in range(2)]
        return sum(stock.confirm(each.id, session=session).quantity for each in kept)

    with ThreadPoolExecutor(6) as pool:
        runs = [
            pool.submit(db.transaction(isolation="SERIALIZABLE", retry=50).run, buy_two) for _ in range(8)
        ]
        sold = sum(run.result() for run in runs)

    assert (sold, levels(db)) == (8, (0, 0))


def test_objects_of_the_callers_session_are_kept_up_to_date(db, stock):
    with db.transaction() as session:
        item = InventoryItem(variant_id="ticket", on_hand=5)
        session.add(item)  # not yet sent
        kept = stock.reserve("ticket", 2, session=session)
        seen = [item.reserved]
        stock.confirm(kept.id, session=session)
        seen.append((item.on_hand, item.reserved))
        item.on_hand += 1

    assert seen == [2, (3, 0)]
    assert levels(db) == (4, 0)


def test_a_list_that_fails_in_the_middle_reserves_nothing(db, stock):
    stock.add_stock({"a": 3})

    with pytest.raises(InventoryItemNotFoundError):
        stock.reserve_many({"a": 2, "b": 1})

    assert levels(db, "a") == (3, 0)


def test_a_session_that_only_reads_cannot_reserve(db, stock):
    stock.add_stock({"ticket": 1})

    with db.read() as session, pytest.raises(ConfigurationError, match="only reads"):
        stock.reserve("ticket", 1, session=session)


async def test_a_session_of_the_other_kind_is_refused(adb):
    async with adb.aio.transaction() as session:
        with pytest.raises(InvalidArgumentError, match="synchronous session"):
            Inventory(adb).reserve("ticket", 1, session=session)
    with adb.transaction() as session, pytest.raises(InvalidArgumentError, match="asynchronous session"):
        await AsyncInventory(adb).reserve("ticket", 1, session=session)


async def test_coroutines_join_the_callers_transaction(adb):
    stock = AsyncInventory(adb)
    await stock.add_stock({"ticket": 3})

    with pytest.raises(InsufficientStockError):
        async with adb.aio.transaction() as session:
            await stock.reserve("ticket", 2, session=session)
            assert (await stock.get_item("ticket", session=session)).available == 1
            await stock.reserve("ticket", 2, session=session)

    assert levels(adb) == (3, 0)


async def test_coroutines_have_every_verb(adb):
    stock = AsyncInventory(adb)
    await stock.add_stock({"a": 3, "ticket": 3})
    first, second = await stock.reserve_many({"a": 1, "ticket": 2})
    assert (await stock.confirm(first.id)).state == "confirmed"
    assert (await stock.take_back(first.id)).state == "returned"
    assert (await stock.release(second.id)).state == "released"
    assert (await stock.get_reservation(second.id)).state == "released"
    assert (await stock.remove_stock("a", 1)).on_hand == 2

    assert (levels(adb, "a"), levels(adb)) == ((2, 0), (3, 0))


# -- the functions -------------------------------------------------------------------


def test_the_functions_work_on_the_database_of_the_runtime(db):
    Inventory(db).add_stock({"ticket": 2})
    runtime = Runtime("test")

    with use(runtime), runtime.override(Database, db):
        kept = lock_and_reserve_inventory("ticket", 1)
        other = lock_and_reserve_inventory("ticket", 1, ttl=5)
        assert release_inventory(kept.id).state == "released"
        assert confirm_inventory(other.id).state == "confirmed"
    runtime.close()

    assert levels(db) == (1, 0)


async def test_the_functions_for_coroutines_work_on_the_database_of_the_runtime(adb):
    await AsyncInventory(adb).add_stock({"ticket": 2})
    runtime = Runtime("test")

    with use(runtime), runtime.override(Database, adb):
        kept = await alock_and_reserve_inventory("ticket", 1)
        other = await alock_and_reserve_inventory("ticket", 1, ttl=5)
        assert (await arelease_inventory(kept.id)).state == "released"
        assert (await aconfirm_inventory(other.id)).state == "confirmed"
    runtime.close()

    assert levels(adb) == (1, 0)
