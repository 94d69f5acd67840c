"""What the relays of an outbox send and decide, synchronous and asynchronous alike."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from shared.database._tables import OutboxMessage
from shared.errors import InvalidArgumentError
from shared.resilience import Backoff
from shared.security import mask_text

__all__ = ["PublishedMessage", "RelayRound", "RelayWork"]

_MAX_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """What a publisher is given.

    Attributes:
        id: The same at every delivery: the consumer's :class:`Inbox` knows it by this.
        topic: Where to.
        payload: What, as JSON.
        headers: Correlation and trace of the request it came from, and the sender's own.
        aggregate: What it is about; messages about one thing come in order.
        attempt: Delivery, counted from 1.

    Example:
        >>> import uuid
        >>> PublishedMessage(uuid.UUID(int=1), "orders", {}, {}, None, attempt=1).topic
        'orders'
    """

    id: uuid.UUID
    topic: str
    payload: Any
    headers: Mapping[str, Any]
    aggregate: str | None
    attempt: int


class RelayWork:
    """The relay's statements; each in a transaction of its own that lasts for moments."""

    def __init__(
        self, *, batch: int, max_attempts: int, lease: float, backoff: Backoff, clock: Callable[[], datetime]
    ) -> None:
        if batch < 1 or max_attempts < 1 or not lease > 0:
            given = f"{batch}, {max_attempts}, {lease}"
            msg = f"batch and max_attempts are 1 or more, lease is seconds above 0: got {given}"
            raise InvalidArgumentError(msg)
        self.batch = batch
        self.max_attempts = max_attempts
        self.lease = lease
        self.backoff = backoff
        self.clock = clock
        self.owner = uuid.uuid4().hex

    def claim(self, session: Session) -> list[tuple[int, PublishedMessage]]:
        """Take the oldest messages nobody holds, and what follows on them."""
        now = self.clock()
        heads = session.execute(self._heads(now)).all()
        aggregates = [row.aggregate for row in heads if row.aggregate is not None]
        numbers = [row.seq for row in heads]
        if aggregates and len(numbers) < self.batch:
            numbers += self._followers(session, aggregates, set(numbers), now)[: self.batch - len(numbers)]
        if not numbers:
            return []
        until = now + timedelta(seconds=self.lease)
        claimed = (
            update(OutboxMessage)
            .where(OutboxMessage.seq.in_(numbers), OutboxMessage.state == "pending")
            .values(claimed_by=self.owner, claimed_until=until, attempts=OutboxMessage.attempts + 1)
            .returning(OutboxMessage)
            .execution_options(synchronize_session=False)
        )
        rows = sorted(session.scalars(claimed).all(), key=lambda row: row.seq)
        return [(row.seq, _published(row)) for row in rows]

    def _followers(
        self, session: Session, aggregates: list[str], heads: set[int], now: datetime
    ) -> list[int]:
        """Return what comes after the heads: who holds the first of an aggregate holds the rest too."""
        statement = (
            select(OutboxMessage.seq, OutboxMessage.aggregate, OutboxMessage.available_at)
            .where(OutboxMessage.state == "pending", OutboxMessage.aggregate.in_(aggregates))
            .order_by(OutboxMessage.seq)
            .limit(self.batch + len(heads))
        )
        found: list[int] = []
        waiting: set[str | None] = set()
        for seq, aggregate, available_at in session.execute(statement):
            if seq in heads or aggregate in waiting:
                continue
            if available_at > now:  # and what follows on it waits too
                waiting.add(aggregate)
            else:
                found.append(seq)
        return found

    def _heads(self, now: datetime) -> Any:
        """Return the query of messages without an earlier one of the same aggregate."""
        earlier = aliased(OutboxMessage)
        blocked = (
            select(earlier.seq)
            .where(
                earlier.aggregate == OutboxMessage.aggregate,
                earlier.state == "pending",
                earlier.seq < OutboxMessage.seq,
            )
            .exists()
        )
        free = or_(OutboxMessage.claimed_until.is_(None), OutboxMessage.claimed_until <= now)
        return (
            select(OutboxMessage.seq, OutboxMessage.aggregate)
            .where(OutboxMessage.state == "pending", OutboxMessage.available_at <= now, free, ~blocked)
            .order_by(OutboxMessage.seq)
            .limit(self.batch)
            .with_for_update(skip_locked=True)
        )

    def settle(
        self, session: Session, sent: list[int], failed: list[tuple[int, int, str]], left: list[int]
    ) -> None:
        """Note what was sent, what failed, and what was not come to."""
        mine = OutboxMessage.claimed_by == self.owner
        now = self.clock()
        free = {"claimed_by": None, "claimed_until": None}
        if sent:
            _change(
                session, and_(mine, OutboxMessage.seq.in_(sent)), {**free, "state": "sent", "sent_at": now}
            )
        if left:
            again = {**free, "attempts": OutboxMessage.attempts - 1}
            _change(session, and_(mine, OutboxMessage.seq.in_(left)), again)
        for seq, attempt, error in failed:
            values: dict[str, Any] = {**free, "last_error": error}
            if attempt >= self.max_attempts:
                values["state"] = "dead"
            else:
                values["available_at"] = now + timedelta(seconds=self.backoff.wait(attempt))
            _change(session, and_(mine, OutboxMessage.seq == seq), values)

    def redrive(self, session: Session, message_id: uuid.UUID | None) -> int:
        """Make dead letters pending again."""
        dead = OutboxMessage.state == "dead"
        which = dead if message_id is None else and_(dead, OutboxMessage.id == message_id)
        return _change(session, which, {"state": "pending", "attempts": 0, "available_at": self.clock()})

    def purge(self, session: Session, older_than: float) -> int:
        """Delete what was sent long ago."""
        before = self.clock() - timedelta(seconds=older_than)
        statement = delete(OutboxMessage).where(OutboxMessage.state == "sent", OutboxMessage.sent_at < before)
        return session.execute(statement).rowcount  # type: ignore[attr-defined, no-any-return]

    def counts(self, session: Session) -> dict[str, int]:
        """Return how many messages are in which state."""
        statement = select(OutboxMessage.state, func.count()).group_by(OutboxMessage.state)
        found = {"pending": 0, "sent": 0, "dead": 0}
        return found | {row[0]: row[1] for row in session.execute(statement)}


class RelayRound:
    """Sorts the messages of one round by what came of them. Pure."""

    def __init__(self, messages: list[tuple[int, PublishedMessage]]) -> None:
        self.messages = messages
        self.sent: list[int] = []
        self.failed: list[tuple[int, int, str]] = []
        self.left: list[int] = []
        self._stopped: set[str] = set()

    def wants(self, seq: int, message: PublishedMessage, *, in_time: bool) -> bool:
        """Tell whether to publish it: not after an earlier one failed, not when the claim has run out."""
        if in_time and message.aggregate not in self._stopped:
            return True
        self.left.append(seq)
        if message.aggregate is not None:
            self._stopped.add(message.aggregate)
        return False

    def fail(self, seq: int, message: PublishedMessage, error: Exception) -> None:
        """Note a failure; what follows on it waits."""
        text = mask_text(f"{type(error).__name__}: {error}")[:_MAX_ERROR]
        self.failed.append((seq, message.attempt, text))
        if message.aggregate is not None:
            self._stopped.add(message.aggregate)

    def outcome(self) -> tuple[list[int], list[tuple[int, int, str]], list[int]]:
        """Return what to write down."""
        return self.sent, self.failed, self.left


def _published(row: OutboxMessage) -> PublishedMessage:
    return PublishedMessage(row.id, row.topic, row.payload, row.headers, row.aggregate, row.attempts)


def _change(session: Session, which: Any, values: dict[str, Any]) -> int:
    statement = update(OutboxMessage).where(which).values(**values)
    result: Any = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)
