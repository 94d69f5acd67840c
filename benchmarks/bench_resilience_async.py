"""Guards of awaited calls under eight event loops, and when they refuse or fail."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks import bench_resilience as sync
from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import check

THREADS = sync.THREADS


async def afail(_value: int) -> int:
    raise OSError


@contextlib.contextmanager
def athreaded(make: sync.Make) -> Iterator[Run]:
    """Eight threads, each with an event loop, through one guard; the CPU time of all of them for one call."""
    guarded = make(sync.awork)

    def run(loops: int) -> tuple[float, ...]:
        each, spent = max(1, loops // THREADS), []
        gate = threading.Barrier(THREADS)

        async def calls() -> None:
            before = time.thread_time()
            for _ in range(each):
                await guarded(7)
            spent.append(time.thread_time() - before)

        def loop() -> None:
            with asyncio.Runner() as runner:
                runner.get_loop()
                gate.wait()
                runner.run(calls())

        threads = [threading.Thread(target=loop) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(len(spent) == THREADS, "a thread failed")
        return (sum(spent) / (each * THREADS),)

    yield run


@contextlib.contextmanager
def _repeated(operation: Any, failures: int) -> Iterator[Run]:
    """Run *operation* that always raises, awaited and caught; *failures* come before."""
    loop = asyncio.new_event_loop()

    async def repeat(loops: int) -> None:
        for _ in range(loops):
            try:
                await operation(7)
            except Exception:  # noqa: BLE001 - each peer has its own
                continue
            raise AssertionError("no error left")

    try:
        loop.run_until_complete(repeat(failures))
        yield lambda loops: loop.run_until_complete(repeat(loops))
    finally:
        loop.close()


@contextlib.contextmanager
def arefusing(make: sync.Make) -> Iterator[Run]:
    """A call that an open breaker refuses, awaited and caught."""
    with _repeated(make(afail), 20) as run:
        yield run


@contextlib.contextmanager
def afailing(make: sync.Make) -> Iterator[Run]:
    """A call that fails and is not worth a retry, awaited and caught."""
    with _repeated(make(afail), 1) as run:
        yield run


RAISE = "floor: raise and catch"

ATHREADED = Table(
    name="guard-async-threads",
    title=f"a good awaited call through one guard shared by {THREADS} event loops, CPU time of all",
    base=sync.WRAPPER,
    cases=(
        Case(sync.WRAPPER, partial(athreaded, sync.awrapper), kind="floor"),
        sync.our_case(sync.ABOTH, athreaded, sync.our_policy),
        sync.peer_case("circuitbreaker", athreaded, sync.circuitbreaker_breaker),
        sync.peer_case("aiobreaker", athreaded, sync.aiobreaker_breaker),
        sync.peer_case("purgatory", athreaded, sync.purgatory_abreaker),
        sync.peer_case("hyx breaker", athreaded, sync.hyx_breaker),
        sync.peer_case("interlock", athreaded, sync.interlock_breaker),
        sync.peer_case("backoff", athreaded, sync.backoff_retry),
        sync.peer_case("stamina", athreaded, sync.stamina_retry),
        sync.peer_case("tenacity", athreaded, sync.tenacity_retry),
    ),
    goals=(Goal(sync.ABOTH, sync.WRAPPER, at_most=1.5),),
)

AREFUSED = Table(
    name="guard-async-open",
    title="an awaited call that an open breaker refuses, caught",
    base=RAISE,
    cases=(
        Case(RAISE, partial(arefusing, sync.bare), kind="floor"),
        sync.our_case("ours", arefusing, sync.our_breaker),
        sync.peer_case("circuitbreaker", arefusing, sync.circuitbreaker_breaker),
        sync.peer_case("aiobreaker", arefusing, sync.aiobreaker_breaker),
        sync.peer_case("purgatory", arefusing, sync.purgatory_abreaker),
        sync.peer_case("hyx breaker", arefusing, sync.hyx_breaker),
    ),
)

AFAILED = Table(
    name="guard-async-failed",
    title="an awaited call that fails and is not retried, caught",
    base=RAISE,
    cases=(
        Case(RAISE, partial(afailing, sync.bare), kind="floor"),
        sync.our_case(sync.ABOTH, afailing, sync.never_retried),
        sync.peer_case("tenacity", afailing, sync.tenacity_never),
    ),
)

TABLES = (ATHREADED, AREFUSED, AFAILED)
