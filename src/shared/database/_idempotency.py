"""Work that is carried out once per key, and messages that are taken once."""

import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.constants import FieldLimit
from shared.database._reads import ours
from shared.database._tables import IdempotencyKey, InboxMessage
from shared.database._types import utc_now
from shared.database._uuid7 import uuid7
from shared.errors import ConflictError, InvalidArgumentError, ValidationError

__all__ = ["AsyncIdempotencyStore", "AsyncInbox", "IdempotencyStore", "Idempotent", "Inbox"]

_DAY: Final = 86_400.0


def _insert(session: Session, table: Any) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return make(table)


@dataclass(frozen=True, slots=True)
class Idempotent:
    """What a call under a key came to.

    Attributes:
        value: What the work returned, as JSON gives it back.
        replayed: Whether it was carried out before and *value* was stored.

    Example:
        >>> Idempotent({"id": 7}, replayed=True).value["id"]
        7
    """

    value: Any
    replayed: bool


class IdempotencyStore:
    """Runs work once per key, in the transaction of the work itself.

    The key is inserted first, so a second call waits for the first one's commit and
    then gets its result; when the first is rolled back, the second runs. Needs the
    table :class:`IdempotencyKey`.

    Args:
        ttl: Seconds for which a result is kept.
        clock: The moment.

    Example:
        >>> from shared.database import Base, Database, IdempotencyKey
        >>> store = IdempotencyStore()
        >>> with Database("sqlite://") as db:
        ...     IdempotencyKey.__table__.create(db.engine)
        ...     for _ in range(2):
        ...         with db.transaction() as session:
        ...             store.run(session, "k-1", lambda: {"charged": 5}, scope="u-1", request={"amount": 5})
        Idempotent(value={'charged': 5}, replayed=False)
        Idempotent(value={'charged': 5}, replayed=True)
    """

    def __init__(self, *, ttl: float = _DAY, clock: Callable[[], datetime] = utc_now) -> None:
        if not ttl > 0:
            msg = f"ttl is seconds above 0, got {ttl!r}"
            raise InvalidArgumentError(msg)
        self._ttl = ttl
        self._clock = clock

    def run(
        self, session: Session, key: str, work: Callable[[], Any], *, scope: str = "", request: Any = None
    ) -> Idempotent:
        """Return what *work* returns; under a key that is known, what it returned then.

        Args:
            session: Of the caller, who commits.
            key: Of the caller's choice, 1 to 256 characters.
            work: Called without arguments; it writes with *session*. Its result must be JSON.
            scope: Who calls and what: one key is not that of somebody else.
            request: What is asked for; under one key always the same.

        Raises:
            ValidationError: The key was used with another *request*, or is malformed.
        """
        found = self._begin(session, key, scope, request)
        if isinstance(found, Idempotent):
            return found
        value = work()
        return self._finish(session, key, scope, found, value)

    @ours
    def purge(self, session: Session) -> int:
        """Delete what has expired; return how many."""
        statement = delete(IdempotencyKey).where(IdempotencyKey.expires_at <= self._clock())
        return session.execute(statement).rowcount  # type: ignore[attr-defined, no-any-return]

    @ours
    def _begin(self, session: Session, key: str, scope: str, request: Any) -> "Idempotent | uuid.UUID":
        _check(key, scope)
        now, token, mark = self._clock(), uuid7(), _mark(request)
        values = {
            "scope": scope,
            "key": key,
            "fingerprint": mark,
            "token": token,
            "is_done": False,
            "response": None,
            "created_at": now,
            "expires_at": now + timedelta(seconds=self._ttl),
        }
        statement = _insert(session, IdempotencyKey).values(**values)
        again = {name: value for name, value in values.items() if name not in {"scope", "key"}}
        statement = statement.on_conflict_do_update(
            index_elements=["scope", "key"], set_=again, where=IdempotencyKey.expires_at <= now
        ).returning(IdempotencyKey.token)
        if session.execute(statement).scalar() is not None:
            return token
        columns = (IdempotencyKey.fingerprint, IdempotencyKey.is_done, IdempotencyKey.response)
        row = session.execute(
            select(*columns).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)
        ).first()
        if row is not None and row.fingerprint != mark:
            raise ValidationError("the idempotency key was used for another request: choose a new one")
        if row is None or not row.is_done:
            raise ConflictError("a request with this idempotency key is under way", retryable=True)
        return Idempotent(row.response, replayed=True)

    @ours
    def _finish(self, session: Session, key: str, scope: str, token: uuid.UUID, value: Any) -> Idempotent:
        try:
            stored = json.loads(json.dumps(value))
        except (TypeError, ValueError) as exc:
            msg = f"the result under an idempotency key must be JSON, got {type(value).__name__}"
            raise InvalidArgumentError(msg) from exc
        statement = update(IdempotencyKey).where(
            IdempotencyKey.scope == scope, IdempotencyKey.key == key, IdempotencyKey.token == token
        )
        session.flush()
        session.execute(statement.values(is_done=True, response=stored))
        return Idempotent(stored, replayed=False)


class AsyncIdempotencyStore:
    """An :class:`IdempotencyStore` for asynchronous sessions; *work* is a coroutine function.

    Args:
        ttl: As :class:`IdempotencyStore`.
        clock: As :class:`IdempotencyStore`.

    Example:
        >>> import asyncio
        >>> from shared.database import Database, IdempotencyKey
        >>> async def charge():
        ...     return {"charged": 5}
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         IdempotencyKey.__table__.create(db.engine)
        ...         async with db.aio.transaction() as session:
        ...             print(await AsyncIdempotencyStore().run(session, "k-1", charge))
        >>> asyncio.run(main())
        Idempotent(value={'charged': 5}, replayed=False)
    """

    def __init__(self, *, ttl: float = _DAY, clock: Callable[[], datetime] = utc_now) -> None:
        self._sync = IdempotencyStore(ttl=ttl, clock=clock)

    async def run(
        self,
        session: AsyncSession,
        key: str,
        work: Callable[[], Awaitable[Any]],
        *,
        scope: str = "",
        request: Any = None,
    ) -> Idempotent:
        """See :meth:`IdempotencyStore.run`."""
        found = await session.run_sync(self._sync._begin, key, scope, request)  # noqa: SLF001 - its other half
        if isinstance(found, Idempotent):
            return found
        value = await work()
        return await session.run_sync(self._sync._finish, key, scope, found, value)  # noqa: SLF001

    async def purge(self, session: AsyncSession) -> int:
        """See :meth:`IdempotencyStore.purge`."""
        return await session.run_sync(self._sync.purge)


class Inbox:
    """Tells a consumer whether it sees a message for the first time.

    The note is written in the consumer's own transaction: when that is rolled back, the
    message counts as not seen. Needs the table :class:`InboxMessage`.

    Args:
        consumer: Name of the consumer, 1 to 100 characters.

    Example:
        >>> from shared.database import Database, InboxMessage
        >>> inbox = Inbox("billing")
        >>> with Database("sqlite://") as db:
        ...     InboxMessage.__table__.create(db.engine)
        ...     with db.transaction() as session:
        ...         inbox.is_new(session, "m-1"), inbox.is_new(session, "m-1")
        (True, False)
    """

    def __init__(self, consumer: str) -> None:
        if not 1 <= len(consumer) <= 100:
            msg = f"consumer is 1 to 100 characters, got {len(consumer)}"
            raise InvalidArgumentError(msg)
        self.consumer = consumer

    @ours
    def is_new(self, session: Session, message_id: Any) -> bool:
        """Note the message; tell whether it was not noted before."""
        values = {"consumer": self.consumer, "message_id": str(message_id)[:200], "created_at": utc_now()}
        statement = _insert(session, InboxMessage).values(**values).on_conflict_do_nothing()
        # The row count of the driver is no answer: psycopg gives -1 here.
        return session.execute(statement.returning(InboxMessage.message_id)).scalar() is not None

    @ours
    def purge(self, session: Session, *, older_than: float) -> int:
        """Forget messages noted more than *older_than* seconds ago; return how many."""
        before = utc_now() - timedelta(seconds=older_than)
        statement = delete(InboxMessage).where(
            InboxMessage.consumer == self.consumer, InboxMessage.created_at < before
        )
        return session.execute(statement).rowcount  # type: ignore[attr-defined, no-any-return]


class AsyncInbox:
    """An :class:`Inbox` for asynchronous sessions.

    Args:
        consumer: Name of the consumer.

    Example:
        >>> AsyncInbox("billing").consumer
        'billing'
    """

    def __init__(self, consumer: str) -> None:
        self._sync = Inbox(consumer)
        self.consumer = consumer

    async def is_new(self, session: AsyncSession, message_id: Any) -> bool:
        """See :meth:`Inbox.is_new`."""
        return await session.run_sync(self._sync.is_new, message_id)

    async def purge(self, session: AsyncSession, *, older_than: float) -> int:
        """See :meth:`Inbox.purge`."""
        return await session.run_sync(self._sync.purge, older_than=older_than)


def _check(key: Any, scope: str) -> None:
    if (
        not isinstance(key, str)
        or not 1 <= len(key) <= FieldLimit.IDEMPOTENCY_KEY_MAX
        or not key.isprintable()
    ):
        msg = f"an idempotency key is 1 to {FieldLimit.IDEMPOTENCY_KEY_MAX} printable characters"
        raise ValidationError(msg)
    if len(scope) > 200:
        raise InvalidArgumentError("the scope of an idempotency key has at most 200 characters")


def _mark(request: Any) -> str:
    """Return the same for requests that ask for the same."""
    data = (
        request if isinstance(request, bytes) else json.dumps(request, sort_keys=True, default=str).encode()
    )
    return hashlib.sha256(data).hexdigest()
