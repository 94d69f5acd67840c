"""Sessions that cannot lose work silently, cannot write where they only read, and run hooks after commit."""

import inspect
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from shared.context import current_context
from shared.database._watch import refusal
from shared.errors import ConfigurationError, InvalidStateError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["SharedSession", "Stickiness", "Write", "count_listeners", "on_commit"]

Hook: TypeAlias = "Callable[[], object | Awaitable[object]]"


class SharedSession(Session):
    """The session class of the room; SQLAlchemy's, with what :mod:`shared.database` adds.

    Made by :class:`Database`; annotate with ``sqlalchemy.orm.Session``.

    Example:
        >>> from shared.database import Database
        >>> with Database("sqlite://") as db, db.session() as session:
        ...     isinstance(session, SharedSession), session.read_only
        (True, False)
    """

    def __init__(
        self, bind: Any = None, *, read_only: bool = False, sticky: "Stickiness | None" = None, **kwargs: Any
    ) -> None:
        kwargs["expire_on_commit"] = False  # what was read stays readable, also in a coroutine
        super().__init__(bind=bind, **kwargs)
        self.read_only = read_only
        self._sticky = sticky
        self._wrote = False  # in the transaction under way
        self._hooks: list[tuple[Any, Hook]] = []
        self._due: list[Hook] | None = None

    def select_prebuilt(self, statement: Any, values: dict[str, Any]) -> Any:
        """Execute a query that carries all its conditions, past the listeners that would add them.

        Calling listeners doubles a part of SQLAlchemy's work; those of others are called.
        """
        if len(self.dispatch.do_orm_execute) == _listeners_of_ours:
            return self.execute(statement, values, _parent_execute_state=_NO_LISTENERS)
        return self.execute(statement, values)

    @property
    def has_uncommitted_work(self) -> bool:
        """Whether leaving now would lose something."""
        return bool(self._wrote or self.new or self.dirty or self.deleted)

    def refuse_to_lose_work(self) -> None:
        """Raise when there is work that nobody committed or rolled back.

        Raises:
            InvalidStateError: There is.
        """
        if self.has_uncommitted_work:
            msg = (
                "the session ends with changes that were not committed: call session.commit() "
                "(or session.rollback() to drop them), or use db.transaction()"
            )
            raise InvalidStateError(msg)


class _NoListeners:
    """Stands where SQLAlchemy asks which listeners are left to call."""

    def _remaining_events(self) -> tuple[()]:
        return ()


_NO_LISTENERS: Final = _NoListeners()
#: How many listeners to queries are this room's own; counted when all are there.
_listeners_of_ours = 0


def count_listeners() -> None:
    """Note how many listeners are this room's; called once, when the last was added."""
    global _listeners_of_ours  # noqa: PLW0603 - a constant that is known late
    _listeners_of_ours = len(SharedSession().dispatch.do_orm_execute)


class Write:
    """A write of a request, and who has it already.

    Attributes:
        when: Monotonic seconds of its commit.
        position: Position in the log of the primary by which it is written; None before
            anybody asked.
        seen: Numbers of the replicas that have replayed it.
    """

    __slots__ = ("position", "seen", "when")

    def __init__(self, when: float) -> None:
        self.when: float = when
        self.position: str | None = None
        self.seen: set[int] = set()


class Stickiness:
    """Remembers which request wrote lately, so that it reads its own writes.

    Args:
        seconds: How long a write counts.
        clock: Monotonic seconds.
    """

    __slots__ = ("_clock", "_requests", "_seconds", "_tasks")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        from contextvars import ContextVar

        self._seconds = seconds
        self._clock = clock
        self._requests: weakref.WeakKeyDictionary[Any, Write] = weakref.WeakKeyDictionary()
        self._tasks: ContextVar[Write] = ContextVar("shared_database_wrote")

    def wrote(self) -> None:
        """Note a committed write of the request at hand; outside of one, of the task."""
        context = current_context()
        if context is None:
            self._tasks.set(Write(self._clock()))
        else:
            # The object all tasks and threads of the request share.
            self._requests[context.root or context] = Write(self._clock())

    def last(self) -> Write | None:
        """Return the write of the request at hand that it must read, or None."""
        context = current_context()
        write = self._tasks.get(None) if context is None else self._requests.get(context.root or context)
        return write if write is not None and self._clock() - write.when < self._seconds else None


def on_commit(session: "Session | AsyncSession", hook: Hook) -> None:
    """Call *hook* once, after the transaction of *session* is committed.

    For what must not happen when the transaction is rolled back: invalidating a cache,
    sending a mail, waking a worker. Hooks of a savepoint that is rolled back are
    dropped, and so are those of a run that is repeated. A hook that fails is logged
    and does not undo the commit; the other hooks run. A coroutine function is awaited
    when the session is asynchronous.

    Args:
        session: Of a :class:`Database`.
        hook: Called without arguments; it must not use *session*, which is about to close.

    Raises:
        ConfigurationError: The session is not one of a ``Database``, or *hook* is a
            coroutine function and the session is synchronous.

    Example:
        >>> from shared.database import Database, on_commit
        >>> with Database("sqlite://") as db:
        ...     with db.transaction() as session:
        ...         on_commit(session, lambda: print("committed"))
        committed
    """
    ours = getattr(session, "sync_session", session)
    if not isinstance(ours, SharedSession):
        msg = f"on_commit needs a session of shared.database.Database, got {type(session).__name__}"
        raise ConfigurationError(msg)
    if inspect.iscoroutinefunction(hook) and ours is session:
        msg = "on_commit: a coroutine function needs an asynchronous session (db.aio)"
        raise ConfigurationError(msg)
    if not ours.in_transaction():
        ours.begin()
    ours._hooks.append((ours.get_nested_transaction() or ours.get_transaction(), hook))  # noqa: SLF001


_WRITES: Final = ("is_insert", "is_update", "is_delete")


@event.listens_for(SharedSession, "do_orm_execute")
def _note_statement(state: ORMExecuteState) -> None:
    session = state.session
    if state.is_select or not any(getattr(state, kind) for kind in _WRITES):
        return
    if session.read_only:  # type: ignore[attr-defined]
        raise refusal("a write")
    session._wrote = True  # type: ignore[attr-defined]  # noqa: SLF001


@event.listens_for(SharedSession, "before_flush")
def _note_flush(session: Any, _context: Any, _instances: Any) -> None:
    if session.read_only and (session.new or session.dirty or session.deleted):
        raise refusal("a flush")


@event.listens_for(SharedSession, "after_flush")
def _note_flushed(session: Any, _context: Any) -> None:
    session._wrote = True  # noqa: SLF001


@event.listens_for(SharedSession, "after_rollback")
def _drop_hooks(session: Any) -> None:
    ended = session.get_nested_transaction() or session.get_transaction()
    session._hooks = [each for each in session._hooks if each[0] is not ended]  # noqa: SLF001


@event.listens_for(SharedSession, "after_commit")
def _commit_hooks(session: Any) -> None:
    transaction = session.get_nested_transaction()
    if transaction is not None:
        return  # a savepoint: the hooks go to its parent, below
    if session._wrote and session._sticky is not None:  # noqa: SLF001
        session._sticky.wrote()  # noqa: SLF001
    session._wrote = False  # noqa: SLF001
    session._due = [hook for _, hook in session._hooks]  # noqa: SLF001
    session._hooks = []  # noqa: SLF001


@event.listens_for(SharedSession, "after_transaction_end")
def _run_hooks(session: Any, transaction: SessionTransaction) -> None:
    parent = transaction.parent
    if parent is not None:
        if session._hooks:  # noqa: SLF001
            session._hooks = [  # noqa: SLF001
                (parent if owner is transaction else owner, hook)
                for owner, hook in session._hooks  # noqa: SLF001
            ]
        return
    due, session._due = session._due, None  # noqa: SLF001
    if due is None:  # rolled back
        session._hooks, session._wrote = [], False  # noqa: SLF001
        return
    for hook in due:
        _call(hook)


def _call(hook: Hook) -> None:
    try:
        outcome = hook()
        if inspect.isawaitable(outcome):
            from sqlalchemy.util import await_only

            await_only(outcome)
    except Exception:  # noqa: BLE001 - the commit stands, and the other hooks run
        from shared.logging import get_logger

        get_logger("shared.database").exception("a hook after commit failed", hook=repr(hook))
