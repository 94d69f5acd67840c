"""A lock manager of the database room that holds locks of this one around its transactions."""

import pytest
from sqlalchemy import text

from shared.cache import AsyncLock, Lock, MemoryLocks
from shared.database import AsyncLockManager, Database, LockManager
from shared.errors import InvalidArgumentError, LockLostError, LockTimeoutError
from tests.conformance.cache._face import Hand


class Seen(MemoryLocks):
    """Notes the order in which locks are taken."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def take(self, name, owner, ttl, patience=0.0):
        self.taken.append(name)
        return super().take(name, owner, ttl, patience)


def test_the_locks_are_held_around_the_transaction_in_one_order():
    store = Seen()
    with Database("sqlite://") as db:
        locks = LockManager(db, namespace="shop", lock=lambda name: Lock(name, store=store, timeout=0))

        with locks.transaction("b", "a", "b"):
            with pytest.raises(LockTimeoutError), locks.transaction("a"):
                pass
        with locks.transaction("a"):
            pass

    assert store.taken == ["shop:a", "shop:b", "shop:a", "shop:a"]


async def test_the_asynchronous_one_does_the_same():
    store = Seen()
    async with Database("sqlite://") as db:
        locks = AsyncLockManager(db.aio, lock=lambda name: AsyncLock(name, store=store, timeout=0))

        async with locks.transaction("b", "a"):
            with pytest.raises(LockTimeoutError):
                async with locks.transaction("a"):
                    pass

    assert store.taken == ["a", "b", "a"]


def test_a_lock_that_was_lost_rolls_the_work_back(tmp_path):
    with Database(f"sqlite:///{tmp_path}/app.db") as db:
        with db.transaction() as session:
            session.execute(text("CREATE TABLE things (id INTEGER)"))
        clock = Hand()
        store = MemoryLocks(clock=clock)
        locks = LockManager(db, lock=lambda name: Lock(name, store=store, ttl=1.0, renew=False, clock=clock))
        with pytest.raises(LockLostError), locks.transaction("a") as session:
            session.execute(text("INSERT INTO things VALUES (1)"))
            clock.wait(1.0)

        with db.read() as session:
            assert session.execute(text("SELECT count(*) FROM things")).scalar_one() == 0


def test_a_lock_without_a_name_is_refused():
    with Database("sqlite://") as db, pytest.raises(InvalidArgumentError):
        with LockManager(db, lock=lambda name: Lock(name, store=MemoryLocks())).transaction():
            pass
