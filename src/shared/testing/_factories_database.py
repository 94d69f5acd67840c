"""Factories of the room ``database``."""

from datetime import timedelta

from shared.database import (
    DatabaseLock,
    DatabaseLockWaiter,
    IdempotencyKey,
    InboxMessage,
    OutboxMessage,
    utc_now,
    uuid7,
)
from shared.testing._factory_base import ModelFactory, declared, factory

__all__ = [
    "DatabaseLockFactory",
    "DatabaseLockWaiterFactory",
    "IdempotencyKeyFactory",
    "InboxMessageFactory",
    "OutboxMessageFactory",
]


@declared
class OutboxMessageFactory(ModelFactory):
    """A message that waits to be published.

    Example:
        >>> OutboxMessageFactory.build(topic="orders.paid").topic
        'orders.paid'
    """

    class Meta:
        model = OutboxMessage

    id = factory.LazyFunction(uuid7)
    topic = "test.topic"
    payload = factory.LazyFunction(dict)


@declared
class InboxMessageFactory(ModelFactory):
    """A message that a consumer has dealt with.

    Example:
        >>> InboxMessageFactory.build().consumer
        'consumer'
    """

    class Meta:
        model = InboxMessage

    consumer = "consumer"
    message_id = factory.Sequence(lambda n: f"message-{n}")


@declared
class IdempotencyKeyFactory(ModelFactory):
    """A request that was carried out; kept for a day.

    Example:
        >>> IdempotencyKeyFactory.build().is_done
        True
    """

    class Meta:
        model = IdempotencyKey

    scope = "test"
    key = factory.Sequence(lambda n: f"key-{n}")
    fingerprint = "0" * 64
    token = factory.LazyFunction(uuid7)
    is_done = True
    response = factory.LazyFunction(dict)
    expires_at = factory.LazyFunction(lambda: utc_now() + timedelta(days=1))


@declared
class DatabaseLockFactory(ModelFactory):
    """A lock that somebody holds for a minute.

    Example:
        >>> DatabaseLockFactory.build().token
        1
    """

    class Meta:
        model = DatabaseLock

    name = factory.Sequence(lambda n: f"lock-{n}")
    owner = "test"
    until = factory.LazyFunction(lambda: int((utc_now() + timedelta(minutes=1)).timestamp() * 1e6))
    token = 1


@declared
class DatabaseLockWaiterFactory(ModelFactory):
    """Somebody in the line for a lock.

    Example:
        >>> DatabaseLockWaiterFactory.build(name="lock-7").name
        'lock-7'
    """

    class Meta:
        model = DatabaseLockWaiter

    name = factory.Sequence(lambda n: f"lock-{n}")
    owner = factory.Sequence(lambda n: f"owner-{n}")
    until = factory.LazyFunction(lambda: int((utc_now() + timedelta(seconds=3)).timestamp() * 1e6))
