"""One of all replicas leads, by the lock of the cache room."""

import pytest

from shared.cache import Lock, MemoryLocks, SQLiteLocks
from shared.errors import ServiceUnavailableError
from shared.monitoring import LeaseLeaderLock


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def replica(store, clock, **options):
    return LeaseLeaderLock(Lock("alerts", store=store, ttl=30.0, renew=False, clock=clock, **options))


def test_one_of_two_leads_and_goes_on_leading(clock):
    store = MemoryLocks()
    first, second = replica(store, clock), replica(store, clock)

    assert [first.acquire(), second.acquire(), first.acquire(), second.acquire()] == [
        True,
        False,
        True,
        False,
    ]


def test_who_steps_back_lets_another_lead(clock):
    store = MemoryLocks()
    first, second = replica(store, clock), replica(store, clock)
    first.acquire()
    first.close()
    first.close()

    assert second.acquire() is True


def test_a_lease_that_ended_is_asked_for_anew(clock):
    store = MemoryLocks()
    first, second = replica(store, clock), replica(store, clock)
    first.acquire()
    clock.now = 31.0
    store.give_back("alerts", first._lease.owner)

    assert [second.acquire(), first.acquire()] == [True, False]


def test_processes_of_one_machine_share_a_file(clock, tmp_path):
    stores = [SQLiteLocks(tmp_path / "locks.db") for _ in range(2)]
    first, second = (replica(store, clock) for store in stores)

    led = [first.acquire(), second.acquire()]
    first.close()
    for store in stores:
        store.close()

    assert led == [True, False]


def test_without_a_store_everybody_leads():
    class Unreachable:
        def try_acquire(self):
            raise ServiceUnavailableError("no")

    assert LeaseLeaderLock(Unreachable()).acquire() is True


def test_a_forked_child_leaves_the_lock_to_its_parent(clock):
    store = MemoryLocks()
    leader = replica(store, clock)
    leader.acquire()
    leader.after_fork()

    assert leader.acquire() is False
