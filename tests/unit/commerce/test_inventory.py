"""The inventory: what it refuses to take."""

import asyncio
import threading
import uuid
from datetime import datetime

import pytest

from shared.commerce import AsyncInventory, Inventory, OrderDAO
from shared.database import Database
from shared.errors import (
    InvalidArgumentError,
    InventoryItemNotFoundError,
    ReservationNotFoundError,
    ValidationError,
)


@pytest.fixture
def stock(db):
    return Inventory(db)


def test_the_loop_of_a_worker_outlives_a_database_that_fails(log_capture):
    stop = threading.Event()
    with Database("sqlite://") as empty:  # without the tables
        worker = threading.Thread(target=Inventory(empty).run, args=(stop,), kwargs={"poll": 0.01})
        worker.start()
        for _ in range(2000):
            if len(log_capture) > 1:
                break
            stop.wait(0.01)
        stop.set()
        worker.join(60)

    assert {event["error_code"] for event in log_capture} == {"DATABASE_ERROR"}


async def test_the_loop_of_a_task_outlives_a_database_that_fails(log_capture):
    stop = asyncio.Event()
    async with Database("sqlite://") as empty:
        worker = asyncio.create_task(AsyncInventory(empty).run(stop, poll=0.01))
        for _ in range(2000):
            if len(log_capture) > 1:
                break
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.wait_for(worker, 60)

    assert {event["error_code"] for event in log_capture} == {"DATABASE_ERROR"}


QUANTITIES = {
    "zero": 0, "negative": -1, "huge": 10**30, "above_the_limit": 1_000_001, "float": 1.0, "nan": float("nan"),
    "bool": True, "text": "1", "none": None,
}  # fmt: skip
VARIANTS = {"empty": "", "long": "x" * 101, "null": "a\x00b", "newline": "a\n", "none": None, "bool": True,
            "surrogate": "\ud800", "list": ["a"], "float": 1.5}  # fmt: skip


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES.keys())
def test_a_quantity_that_is_none_is_refused(stock, quantity):
    stock.add_stock({"ticket": 3})

    for call in (
        lambda: stock.reserve("ticket", quantity),
        lambda: stock.add_stock({"ticket": quantity}),
        lambda: stock.remove_stock("ticket", quantity),
        lambda: stock.reserve_many({"ticket": quantity}),
    ):
        with pytest.raises(ValidationError, match="a quantity is"):
            call()

    item = stock.get_item("ticket")
    assert (item.on_hand, item.reserved) == (3, 0)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_variant_that_is_none_is_refused(stock, variant):
    with pytest.raises(ValidationError, match="variant_id"):
        stock.reserve(variant, 1)
    with pytest.raises(ValidationError, match="variant_id"):
        stock.get_item(variant)


@pytest.mark.parametrize("lines", [{}, None, [("a", 1)], "a"], ids=["empty", "none", "list", "text"])
def test_lines_that_are_none_are_refused(stock, lines):
    with pytest.raises(ValidationError, match="lines"):
        stock.reserve_many(lines)


def test_unknown_things_are_not_found(stock):
    with pytest.raises(InventoryItemNotFoundError):
        stock.reserve("nothing", 1)
    with pytest.raises(ReservationNotFoundError):
        stock.release(uuid.uuid4())
    with pytest.raises(ValidationError, match="reservation_id"):
        stock.confirm("'; drop table x")


def test_variants_may_be_uuids_and_whole_numbers(stock):
    variant = uuid.UUID(int=7)
    stock.add_stock({variant: 1, 42: 2})

    assert stock.reserve(variant, 1).variant_id == str(variant)
    assert stock.reserve("42", 2).quantity == 2


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), True, "60", 10**9], ids=str)
def test_a_time_that_is_none_is_refused(db, stock, ttl):
    with pytest.raises(InvalidArgumentError, match="ttl"):
        Inventory(db, ttl=ttl)
    with pytest.raises(InvalidArgumentError, match="ttl"):
        stock.reserve("ticket", 1, ttl=ttl)


@pytest.mark.parametrize("batch", [0, True, 10_001, 1.0, None], ids=str)
def test_a_batch_that_is_none_is_refused(stock, batch):
    with pytest.raises(InvalidArgumentError, match="batch"):
        stock.expire(batch=batch)


def test_a_clock_without_a_time_zone_is_refused(db, stock):
    stock.add_stock({"ticket": 1})
    naive = Inventory(db, clock=lambda: datetime(2026, 11, 20, 12))  # noqa: DTZ001

    with pytest.raises(ValidationError, match="time zone"):
        naive.reserve("ticket", 1)
    with pytest.raises(ValidationError, match="time zone"):
        naive.expire()

    assert stock.get_item("ticket").reserved == 0


def test_a_reference_that_is_none_is_refused(db):
    with pytest.raises(ValidationError, match="reference"):
        OrderDAO(db).find_order("u-1", "")
