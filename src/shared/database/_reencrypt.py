"""Bring encrypted columns under the active key, while the service runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, inspect, select, type_coerce, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.database._encrypted import EncryptedString
from shared.errors import DecryptionError, InvalidArgumentError

if TYPE_CHECKING:
    from shared.database._database import Database

__all__ = ["Reencryption", "areencrypt_column", "reencrypt_column"]

_MAX_BATCH: Final = 10_000

Also = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Reencryption:
    """How far it has come.

    Attributes:
        changed: Values that are under the active key now.
        skipped: Values that somebody else changed meanwhile.
        failed: Values that could not be decrypted and were left: their key is gone, or
            they were damaged.
        after: Primary key of the last row that was looked at.

    Example:
        >>> Reencryption(changed=3).failed
        0
    """

    changed: int = 0
    skipped: int = 0
    failed: int = 0
    after: Any = None


def reencrypt_column(
    database: "Database",
    column: Any,
    *,
    also: Also | None = None,
    batch: int = 500,
    on_progress: Callable[[Reencryption], object] | None = None,
) -> Reencryption:
    """Encrypt every value of *column* anew that is not under the active key.

    Each batch is a transaction, and a row that the service changes meanwhile is left to
    the service, so this runs beside it. Begin again as often as you like: what is under
    the active key is not touched. When nothing has failed, the old key can be taken out.

    Args:
        database: Where the rows are.
        column: A mapped attribute of the type :class:`EncryptedString`, such as
            ``User.phone``, of a model with one primary key column.
        also: From the plain text to other columns of the row, such as the blind index.
        batch: Rows of one transaction, 1 to 10000.
        on_progress: Called after each batch, outside of the transaction.

    Raises:
        InvalidArgumentError: *column* is none of these, or *batch* out of range.

    Example:
        >>> from sqlalchemy.orm import Mapped, mapped_column
        >>> from shared.database import Base, Database, EncryptedString
        >>> from shared.security import EncryptionKeys, new_encryption_key
        >>> old, new = new_encryption_key(), new_encryption_key()
        >>> ring = [EncryptionKeys({"2025": old})]
        >>> class Visitor(Base):
        ...     __tablename__ = "docs_visitors"
        ...     id: Mapped[int] = mapped_column(primary_key=True)
        ...     phone: Mapped[str] = mapped_column(EncryptedString("visitors.phone", keys=lambda: ring[0]))
        >>> with Database("sqlite://") as db:
        ...     Visitor.__table__.create(db.engine)
        ...     with db.transaction() as session:
        ...         session.add(Visitor(id=1, phone="+49 30 1234"))
        ...     ring[0] = EncryptionKeys({"2026": new, "2025": old})
        ...     reencrypt_column(db, Visitor.phone).changed, reencrypt_column(db, Visitor.phone).changed
        (1, 0)
    """
    work = _Work(column, also, batch)
    total = Reencryption()
    while True:
        with database.transaction() as session:
            total, is_done = work.step(session, total)
        if on_progress is not None:
            on_progress(total)
        if is_done:
            return total


async def areencrypt_column(
    database: "Database",
    column: Any,
    *,
    also: Also | None = None,
    batch: int = 500,
    on_progress: Callable[[Reencryption], object] | None = None,
) -> Reencryption:
    """Do the same as :func:`reencrypt_column` without blocking the event loop for longer than a batch.

    Example:
        >>> import asyncio
        >>> from shared.database import Base, Database
        >>> async def main() -> None:
        ...     async with Database("sqlite://") as db:
        ...         await areencrypt_column(db, Base)
        >>> asyncio.run(main())
        Traceback (most recent call last):
            ...
        shared.errors.InvalidArgumentError: column must be an attribute of the type EncryptedString, ...
    """
    work = _Work(column, also, batch)
    total = Reencryption()
    while True:
        async with database.aio.transaction() as session:
            total, is_done = await session.run_sync(work.step, total)
        if on_progress is not None:
            on_progress(total)
        if is_done:
            return total


class _Work:
    """The statements for one column, made once."""

    def __init__(self, column: Any, also: Also | None, batch: int) -> None:
        if not isinstance(column, InstrumentedAttribute) or not isinstance(column.type, EncryptedString):
            msg = "column must be an attribute of the type EncryptedString, such as User.phone"
            raise InvalidArgumentError(msg)
        if not 1 <= batch <= _MAX_BATCH:
            msg = f"batch must be 1 to {_MAX_BATCH} rows, got {batch!r}"
            raise InvalidArgumentError(msg)
        self._model = column.class_
        mapper = inspect(self._model)
        if len(mapper.primary_key) != 1:
            msg = f"{self._model.__name__} must have a primary key of one column"
            raise InvalidArgumentError(msg)
        self._id = getattr(self._model, mapper.get_property_by_column(mapper.primary_key[0]).key)
        self._column = column
        self._type: EncryptedString = column.type
        # As it is stored: read as a value, it would be decrypted.
        self._stored = type_coerce(column, Text())
        self._also = also
        self._batch = batch

    def step(self, session: Session, total: Reencryption) -> tuple[Reencryption, bool]:
        """Deal with the next batch; tell whether it was the last."""
        active = self._type.keys_in_force().active
        statement = select(self._id, self._stored).where(
            self._stored.is_not(None), ~self._stored.startswith(f"v1.{active}.", autoescape=True)
        )
        if total.after is not None:
            statement = statement.where(self._id > total.after)
        rows = session.execute(statement.order_by(self._id).limit(self._batch)).all()
        changed, skipped, failed = total.changed, total.skipped, total.failed
        for row_id, stored in rows:
            try:
                values = self._values(stored)
            except DecryptionError:
                failed += 1
                continue
            if self._changed(session, row_id, stored, values):
                changed += 1
            else:
                skipped += 1
        after = rows[-1][0] if rows else total.after
        return Reencryption(changed, skipped, failed, after), len(rows) < self._batch

    def _values(self, stored: str) -> dict[str, Any]:
        from shared.security import decrypt_text

        plain = decrypt_text(stored, self._type.keys_in_force(), purpose=self._type.purpose)
        return {**(self._also(plain) if self._also else {}), self._column.key: plain}

    def _changed(self, session: Session, row_id: Any, stored: str, values: dict[str, Any]) -> bool:
        # Only if it is still what was read: a value of the service's own is newer.
        statement = update(self._model).where(self._id == row_id, self._stored == stored)
        statement = statement.values(**values).execution_options(synchronize_session=False)
        return session.execute(statement.returning(self._id)).first() is not None
