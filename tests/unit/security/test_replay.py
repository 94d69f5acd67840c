"""Memory of the deliveries that were accepted."""

import os
import threading

import pytest

from shared.errors import InvalidArgumentError
from shared.security import MemoryReplayStore


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def test_claim_is_granted_once_until_it_expires(clock):
    store = MemoryReplayStore(clock=clock)
    granted = []

    for now in (0.0, 59.9, 60.0, 60.1):
        clock.now = now
        granted.append(store.claim(["a"], ttl=60.0))

    assert granted == [True, False, True, False]


def test_claim_of_several_keys_is_all_or_nothing(clock):
    store = MemoryReplayStore(clock=clock)
    store.claim(["b"], ttl=60.0)

    assert store.claim(["a", "b", "c"], ttl=60.0) is False
    assert store.claim(["a", "c"], ttl=60.0) is True


def test_claim_with_a_shorter_time_ends_sooner(clock):
    store = MemoryReplayStore(clock=clock)
    store.claim(["long"], ttl=600.0)
    store.claim(["short"], ttl=6.0)
    clock.now = 10.0

    assert (store.claim(["short"], ttl=6.0), store.claim(["long"], ttl=6.0)) == (True, False)


def test_release_forgets_and_does_not_mind_the_unknown(clock):
    store = MemoryReplayStore(clock=clock)
    store.claim(["a"], ttl=60.0)

    store.release(["a", "unknown"])

    assert store.claim(["a"], ttl=60.0)


def test_expired_keys_do_not_pile_up(clock):
    store = MemoryReplayStore(clock=clock)

    for n in range(1000):
        clock.now = float(n)
        store.claim([f"k{n}"], ttl=10.0)

    assert len(store) <= 11


def test_the_oldest_key_is_forgotten_when_full(clock):
    store = MemoryReplayStore(3, clock=clock)

    for n in range(5):
        store.claim([f"k{n}"], ttl=60.0)

    assert [store.claim([f"k{n}"], ttl=60.0) for n in (4, 3, 0)] == [False, False, True]
    assert len(store) == 3


def test_a_store_for_one_key_remembers_the_last(clock):
    store = MemoryReplayStore(1, clock=clock)

    granted = [store.claim([key], ttl=60.0) for key in ("a", "b", "b", "a")]

    assert granted == [True, True, False, True]


@pytest.mark.parametrize("size", [0, -1])
def test_a_store_without_room_is_refused(size):
    with pytest.raises(InvalidArgumentError, match="max_entries"):
        MemoryReplayStore(size)


def test_one_of_many_threads_gets_the_claim():
    store, barrier, granted = MemoryReplayStore(), threading.Barrier(16), []

    def work():
        barrier.wait(10)
        for n in range(50):
            if store.claim([f"k{n}"], ttl=60.0):
                granted.append(n)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(granted) == list(range(50))


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_child_forked_while_the_lock_was_held_can_claim():
    store = MemoryReplayStore()

    with store._lock:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if store.claim(["a"], ttl=60.0) else 1)
        status = os.waitpid(pid, 0)[1]

    assert os.waitstatus_to_exitcode(status) == 0
