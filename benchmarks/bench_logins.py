"""How long the event loop stands still while many log in at once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from benchmarks._model import Case, Run, Table
from benchmarks._tools import check

_LOGINS = 40
_ROUNDS = 10  # of bcrypt: about 60 ms of work for each login
_PASSWORD = "correct horse"

Login = Callable[[], Awaitable[object]]


async def _longest_stall(login: Login) -> float:
    """Return the longest time, in seconds, between two turns of a task beside the logins."""
    worst, last = 0.0, time.perf_counter()
    logins = asyncio.gather(*(login() for _ in range(_LOGINS)))
    while not logins.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    await logins
    return worst


def _run(login: Login) -> Run:
    def run(_loops: int) -> tuple[float, ...]:
        return (asyncio.run(_longest_stall(login)),)

    return run


@contextlib.contextmanager
def nothing() -> Iterator[Run]:
    """Forty tasks that sleep: what the loop and the machine do by themselves."""
    yield _run(partial(asyncio.sleep, 0.02))


@contextlib.contextmanager
def ours() -> Iterator[Run]:
    from shared.auth import PasswordManager

    manager = PasswordManager(rounds=_ROUNDS)
    hashed = manager.hash_password(_PASSWORD)

    async def login() -> None:
        check(await manager.averify_password(_PASSWORD, hashed), "refused")

    yield _run(login)


def _bcrypt() -> Callable[[], object]:
    import bcrypt

    hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(_ROUNDS))

    def verify() -> None:
        check(bcrypt.checkpw(_PASSWORD.encode(), hashed), "refused")

    return verify


@contextlib.contextmanager
def in_threads() -> Iterator[Run]:
    yield _run(partial(asyncio.to_thread, _bcrypt()))


@contextlib.contextmanager
def in_the_loop() -> Iterator[Run]:
    verify = _bcrypt()

    async def login() -> None:
        verify()

    yield _run(login)


LOGINS = Table(
    name="login-storm",
    title=f"longest stall of the event loop while {_LOGINS} log in at once, bcrypt of {_ROUNDS} rounds",
    base="nobody logs in",
    metrics=("stall",),
    unit="ms",
    rounds=(10, 3),
    cases=(
        Case("nobody logs in", nothing, kind="floor"),
        Case("ours, averify_password", ours, kind="ours", requires=("bcrypt",)),
        Case("bcrypt by asyncio.to_thread", in_threads, requires=("bcrypt",)),
        Case("bcrypt in the coroutine", in_the_loop, requires=("bcrypt",)),
    ),
    notes=("Promised: 50 ms at most.",),
)

TABLES = (LOGINS,)
