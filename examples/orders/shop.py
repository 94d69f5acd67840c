"""What is there before the first customer comes: the tables, and something on the shelves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from examples.orders.receipts import publish
from shared.commerce import AsyncInventory
from shared.database import AsyncOutboxRelay, Base, get_database, tables_of
from shared.resilience import Backoff


@asynccontextmanager
async def open_shop(_app: Any) -> AsyncIterator[None]:
    """Make the tables that are missing, fill the shelves, and give back what nobody came for."""
    await asyncio.to_thread(_make_tables)
    stock, stop = AsyncInventory(), asyncio.Event()
    await stock.add_stock({"espresso": 1000, "cortado": 1000})
    relay = AsyncOutboxRelay(get_database().aio, publish, backoff=Backoff(delay=0.2, max_delay=30.0))
    running = [asyncio.create_task(stock.run(stop)), asyncio.create_task(relay.run(stop, poll=0.2))]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


def _make_tables() -> None:
    """Do what `shared db upgrade` does for a service with migrations."""
    Base.metadata.create_all(get_database().engine, tables=tables_of("commerce", "database"))
