"""Messages that leave with the commit: none is lost, none is sent for what was rolled back."""

import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.context import outgoing_headers
from shared.database._outbox_work import PublishedMessage, RelayRound, RelayWork
from shared.database._tables import OutboxMessage
from shared.database._types import utc_now
from shared.database._uuid7 import uuid7
from shared.errors import InvalidArgumentError
from shared.resilience import Backoff

if TYPE_CHECKING:
    from shared.database._database import Database
    from shared.database._database_async import AsyncDatabase

__all__ = ["AsyncOutboxRelay", "Outbox", "OutboxRelay"]

_BATCH: Final = 100


class Outbox:
    """Writes messages into the caller's transaction; :class:`OutboxRelay` publishes them.

    Needs the table :class:`OutboxMessage`.

    Example:
        >>> from shared.database import Database, OutboxMessage
        >>> outbox = Outbox()
        >>> with Database("sqlite://") as db:
        ...     OutboxMessage.__table__.create(db.engine)
        ...     with db.transaction() as session:
        ...         _ = outbox.add(session, "orders.paid", {"id": 7}, aggregate="order:7")
        ...     OutboxRelay(db, lambda message: print(message.topic, message.payload)).run_once()
        orders.paid {'id': 7}
        1
    """

    def add(
        self,
        session: Session | AsyncSession,
        topic: str,
        payload: Any,
        *,
        aggregate: str | None = None,
        headers: Mapping[str, Any] | None = None,
        delay: float = 0.0,
    ) -> uuid.UUID:
        """Write a message and return its id. No I/O: it is sent to the database with the next flush.

        Args:
            session: Synchronous or asynchronous, of the caller, who commits.
            topic: Where to, 1 to 200 characters.
            payload: What, as JSON.
            aggregate: What it is about, such as ``"order:7"``: messages about one thing are
                published in the order in which they were written.
            headers: Added to those of the request's correlation and trace.
            delay: Seconds to wait before it is published, >= 0.

        Raises:
            InvalidArgumentError: A text is empty or too long.
        """
        for name, value in (("topic", topic), ("aggregate", aggregate)):
            if value is not None and not 1 <= len(value) <= 200:
                msg = f"{name} is 1 to 200 characters, got {len(value)}"
                raise InvalidArgumentError(msg)
        message_id = uuid7()
        now = utc_now()
        session.add(
            OutboxMessage(
                id=message_id,
                topic=topic,
                aggregate=aggregate,
                payload=payload,
                headers={**outgoing_headers(), **(headers or {})},
                created_at=now,
                available_at=now + timedelta(seconds=delay),
            )
        )
        return message_id


class OutboxRelay:
    """Publishes what :class:`Outbox` wrote: at least once, in order for each aggregate.

    Run as many as you like, in any number of processes: each takes other messages. No
    transaction is open while *publish* runs. A message whose relay died is published
    again after *lease* seconds, so consumers need an :class:`Inbox`. One that fails
    *max_attempts* times becomes a dead letter, and those behind it go on.

    Args:
        database: Where the messages are.
        publish: Called with a :class:`PublishedMessage`; raises when it could not.
        batch: Messages taken at once, >= 1.
        max_attempts: Deliveries tried in total, >= 1.
        lease: Seconds for which messages are held; longer than a batch takes.
        backoff: Waits between the deliveries of a message.
        clock: The moment.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> from shared.database import Database, OutboxMessage
        >>> with Database("sqlite://") as db:
        ...     OutboxMessage.__table__.create(db.engine)
        ...     OutboxRelay(db, print).run_once()
        0
    """

    def __init__(
        self,
        database: "Database",
        publish: Callable[[PublishedMessage], Any],
        *,
        batch: int = _BATCH,
        max_attempts: int = 10,
        lease: float = 60.0,
        backoff: Backoff | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        waits = backoff or Backoff(delay=1.0, max_delay=300.0)
        self._database = database
        self._publish = publish
        self._work = RelayWork(
            batch=batch, max_attempts=max_attempts, lease=lease, backoff=waits, clock=clock
        )

    def run_once(self) -> int:
        """Publish one batch; return how many messages were published."""
        work = self._work
        round_ = RelayRound(self._database.transaction(retry=True).run(work.claim))
        until = work.clock() + timedelta(seconds=work.lease / 2)
        for seq, message in round_.messages:
            if not round_.wants(seq, message, in_time=work.clock() < until):
                continue
            try:
                self._publish(message)
            except Exception as exc:  # noqa: BLE001 - noted, and tried again
                round_.fail(seq, message, exc)
            else:
                round_.sent.append(seq)
        if round_.messages:
            self._database.transaction(retry=True).run(work.settle, *round_.outcome())
        return len(round_.sent)

    def run(self, stop: threading.Event, *, poll: float = 1.0) -> None:
        """Publish until *stop* is set, looking every *poll* seconds when there is nothing to do."""
        while not stop.is_set():
            if not self.run_once():
                stop.wait(poll)

    def redrive(self, message_id: uuid.UUID | None = None) -> int:
        """Publish dead letters again: one, or all; return how many."""
        return self._database.transaction(retry=True).run(self._work.redrive, message_id)

    def purge(self, *, older_than: float) -> int:
        """Delete messages sent more than *older_than* seconds ago; return how many."""
        return self._database.transaction(retry=True).run(self._work.purge, older_than)

    def counts(self) -> dict[str, int]:
        """Return how many messages are ``pending``, ``sent`` and ``dead``."""
        with self._database.read() as session:
            return self._work.counts(session)


class AsyncOutboxRelay:
    """An :class:`OutboxRelay` whose *publish* is a coroutine function.

    Args:
        database: ``db.aio``.
        publish: Awaited with a :class:`PublishedMessage`.
        batch: As :class:`OutboxRelay`.
        max_attempts: As :class:`OutboxRelay`.
        lease: As :class:`OutboxRelay`.
        backoff: As :class:`OutboxRelay`.
        clock: As :class:`OutboxRelay`.

    Example:
        >>> import asyncio
        >>> from shared.database import Database, OutboxMessage
        >>> async def publish(message): ...
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         OutboxMessage.__table__.create(db.engine)
        ...         print(await AsyncOutboxRelay(db.aio, publish).run_once())
        >>> asyncio.run(main())
        0
    """

    def __init__(
        self,
        database: "AsyncDatabase",
        publish: Callable[[PublishedMessage], Awaitable[Any]],
        *,
        batch: int = _BATCH,
        max_attempts: int = 10,
        lease: float = 60.0,
        backoff: Backoff | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        waits = backoff or Backoff(delay=1.0, max_delay=300.0)
        self._database = database
        self._publish = publish
        self._work = RelayWork(
            batch=batch, max_attempts=max_attempts, lease=lease, backoff=waits, clock=clock
        )

    async def _write(self, function: Callable[..., Any], *arguments: Any) -> Any:
        async def work(session: AsyncSession) -> Any:
            return await session.run_sync(function, *arguments)

        return await self._database.transaction(retry=True).run(work)

    async def run_once(self) -> int:
        """See :meth:`OutboxRelay.run_once`."""
        work = self._work
        round_ = RelayRound(await self._write(work.claim))
        until = work.clock() + timedelta(seconds=work.lease / 2)
        for seq, message in round_.messages:
            if not round_.wants(seq, message, in_time=work.clock() < until):
                continue
            try:
                await self._publish(message)
            except Exception as exc:  # noqa: BLE001 - noted, and tried again
                round_.fail(seq, message, exc)
            else:
                round_.sent.append(seq)
        if round_.messages:
            await self._write(work.settle, *round_.outcome())
        return len(round_.sent)

    async def run(self, stop: Any, *, poll: float = 1.0) -> None:
        """See :meth:`OutboxRelay.run`; *stop* is an ``asyncio.Event``."""
        import asyncio

        while not stop.is_set():
            if not await self.run_once():
                try:
                    await asyncio.wait_for(stop.wait(), poll)
                except TimeoutError:
                    continue

    async def redrive(self, message_id: uuid.UUID | None = None) -> int:
        """See :meth:`OutboxRelay.redrive`."""
        return int(await self._write(self._work.redrive, message_id))

    async def purge(self, *, older_than: float) -> int:
        """See :meth:`OutboxRelay.purge`."""
        return int(await self._write(self._work.purge, older_than))

    async def counts(self) -> dict[str, int]:
        """See :meth:`OutboxRelay.counts`."""
        async with self._database.read() as session:
            return await session.run_sync(self._work.counts)
