"""Connections that open a fresh database at the same moment."""

import asyncio
import threading

from sqlalchemy import text

from shared.database import Database


def test_pools_that_open_a_fresh_file_together_all_get_in(tmp_path):
    failures = []
    for turn in range(60):  # each is a chance of a few per cent
        gate = threading.Barrier(4)

        def look(turn=turn, gate=gate):
            with Database(f"sqlite:///{tmp_path}/fresh-{turn}.db") as database:
                assert database.engine
                gate.wait(30)
                try:
                    with database.engine.connect() as connection:
                        connection.execute(text("select 1"))
                except Exception as exc:
                    failures.append(exc)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failures == []


async def test_tasks_that_open_a_fresh_file_together_all_get_in(tmp_path):
    async def look(database):
        async with database.aio.read() as session:
            return await session.scalar(text("select 1"))

    for turn in range(10):
        async with Database(f"sqlite:///{tmp_path}/fresh-{turn}.db") as database:
            assert await asyncio.gather(*(look(database) for _ in range(4))) == [1] * 4
