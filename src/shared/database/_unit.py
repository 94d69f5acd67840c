"""A transaction: a block, or a callable that is run again when it loses."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from sqlalchemy.orm import Session

from shared.database._events import TransactionRetried
from shared.database._faults import is_lost, translate
from shared.database._transaction import TransactionRetry, enter, running
from shared.errors import ConfigurationError, ServiceUnavailableError, SharedError, UnsupportedCallableError

if TYPE_CHECKING:
    from shared.database._core import Core

__all__ = ["Attempt", "Transaction", "outcome_of", "refuse_block", "tell_retry"]

P = ParamSpec("P")
R = TypeVar("R")

_CO_COROUTINE: Final = 0x80


class Opener(Protocol):
    """What a transaction needs of its database."""

    _core: "Core"

    def _open(self, isolation: str | None, *, read_only: bool) -> Session: ...


class Attempt:
    """How far one run came."""

    __slots__ = ("committing",)

    def __init__(self) -> None:
        self.committing = False


class Transaction:
    """One transaction, or one description of many: see :meth:`Database.transaction`.

    Example:
        >>> from sqlalchemy import text
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db:
        ...     @db.transaction(retry=3)
        ...     def count(session, start):
        ...         return session.scalar(text("select :start + 1"), {"start": start})
        ...     count(41)
        42
    """

    __slots__ = ("_blocks", "_database", "_isolation", "_policy", "_read_only", "_sleep")

    def __init__(
        self,
        database: Opener,
        isolation: str | None,
        policy: TransactionRetry,
        *,
        read_only: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._isolation = isolation
        self._policy = policy
        self._read_only = read_only
        self._sleep = sleep
        self._blocks: list[AbstractContextManager[Session]] = []

    def run(self, work: "Callable[Concatenate[Session, P], R]", /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call ``work(session, *args, **kwargs)`` in a transaction and return what it returns.

        When it loses against another transaction, all of it is rolled back and *work*
        is called again with a fresh session, so it must not have effects outside of
        the database; use :func:`on_commit` for those.

        Raises:
            TransactionConflictError: It lost every time.
            ConfigurationError: A run is under way in this task and this one may repeat.

        Example:
            >>> from shared.database import Database
            >>> with Database("sqlite://") as db:
            ...     db.transaction().run(lambda session, x: x * 2, 21)
            42
        """
        refuse_coroutine(work, "db.aio.transaction().run")
        token = enter(self._database._core, self._policy)  # noqa: SLF001 - its other half
        try:
            attempt = 0
            while True:
                attempt += 1
                state = Attempt()
                try:
                    with self._once(state) as session:
                        return work(session, *args, **kwargs)
                except Exception as exc:
                    reason = self._policy.reason(exc, attempt=attempt, committing=state.committing)
                    if reason is None:
                        raise
                wait = self._policy.wait(attempt)
                tell_retry(self._database._core, attempt, wait, reason)  # noqa: SLF001 - its other half
                self._sleep(wait)
        finally:
            running.reset(token)

    def __call__(self, function: "Callable[Concatenate[Session, P], R]") -> "Callable[P, R]":
        refuse_coroutine(function, "@db.aio.transaction()")

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            return self.run(function, *args, **kwargs)

        return run

    def __enter__(self) -> Session:
        refuse_block(self._policy, "db.transaction(retry=…).run(work)")
        block = self._once(Attempt())
        session = block.__enter__()
        self._blocks.append(block)
        return session

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._blocks.pop().__exit__(kind, exc, trace)

    @contextmanager
    def _once(self, state: Attempt) -> Iterator[Session]:
        database = self._database
        session = database._open(self._isolation, read_only=self._read_only)  # noqa: SLF001
        try:
            with session:
                yield session
                session.flush()  # what fails here was rolled back for certain
                state.committing = True
                session.commit()
        except Exception as exc:
            ours = outcome_of(exc, state, where=database._core.where())  # noqa: SLF001
            if ours is None or ours is exc:
                raise
            raise ours from exc


def refuse_coroutine(function: Any, instead: str) -> None:
    """Raise for a coroutine function, which nothing would await.

    Raises:
        UnsupportedCallableError: *function* is one.
    """
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & _CO_COROUTINE:
        msg = f"a coroutine function needs the asynchronous database: {instead}"
        raise UnsupportedCallableError(msg)


def refuse_block(policy: TransactionRetry, instead: str) -> None:
    """Raise when the body of a ``with`` would have to be run again.

    Raises:
        ConfigurationError: *policy* allows more than one run.
    """
    if policy.max_attempts > 1:
        msg = f"the body of a with block cannot be run again: use {instead}"
        raise ConfigurationError(msg)


def outcome_of(error: BaseException, state: Attempt, *, where: str) -> SharedError | None:
    """Return the error of ours, saying so when nobody knows whether the commit was carried out."""
    if state.committing and is_lost(error):
        return ServiceUnavailableError(
            f"the connection to {where} was lost during the commit: whether it was carried out is not "
            "known; repeat it only under an idempotency key",
            details={"connection": "lost", "outcome": "unknown"},
            retryable=False,
        )
    return translate(error, where=where)


def tell_retry(core: "Core", attempt: int, wait: float, reason: str) -> None:
    """Tell the listeners that a run will be repeated."""
    if core.events.has_listeners(TransactionRetried):
        core.events.emit(TransactionRetried(core.name, attempt, wait, reason))
