"""Requests that are answered once, in transactions of their own beside the work."""

import uuid
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Interval, delete, func, literal, select
from sqlalchemy.orm import Session

from shared.database._idempotency import _check, _insert
from shared.database._reads import ours
from shared.database._tables import IdempotencyKey
from shared.database._types import UTCDateTime, utc_now
from shared.database._uuid7 import uuid7

__all__ = ["IdempotencyLease", "IdempotencyLeases"]


class IdempotencyLease(NamedTuple):
    """What a key is to somebody who comes with it.

    Attributes:
        state: ``"started"``: carry it out. ``"done"``: it was, see *response*.
            ``"busy"``: somebody is at it. ``"other"``: the key was used for something else.
        token: Proof of who carries it out; None unless started.
        response: What was kept, when done.
        retry_after: Seconds until the lease of whoever is at it ends, when busy.

    Example:
        >>> IdempotencyLease("busy", retry_after=2.5).token is None
        True
    """

    state: Literal["started", "done", "busy", "other"]
    token: uuid.UUID | None = None
    response: Any = None
    retry_after: float = 0.0


class IdempotencyLeases:
    """Claims keys for a time, for whoever answers requests before and after the work.

    Where :class:`IdempotencyStore` writes the key in the transaction of the work, this
    one needs transactions of its own: commit after each call. When a worker dies the
    lease ends, and the next one begins. On PostgreSQL the time is the server's. Needs
    the table :class:`IdempotencyKey`. Asynchronous code calls it with
    ``await session.run_sync(leases.begin, ...)``.

    Example:
        >>> from shared.database import Database, IdempotencyKey
        >>> leases = IdempotencyLeases()
        >>> with Database("sqlite://") as db:
        ...     IdempotencyKey.__table__.create(db.engine)
        ...     with db.transaction() as session:
        ...         first = leases.begin(session, "k-1", "f", scope="u-1", lease=60.0)
        ...     with db.transaction() as session:
        ...         leases.finish(session, "k-1", "f", first.token, {"id": 7}, scope="u-1", ttl=3600.0)
        ...     with db.transaction() as session:
        ...         leases.begin(session, "k-1", "f", scope="u-1", lease=60.0).response
        True
        {'id': 7}
    """

    @ours
    def begin(
        self, session: Session, key: str, fingerprint: str, *, scope: str = "", lease: float
    ) -> IdempotencyLease:
        """Claim *key* for *lease* seconds, or learn what became of it.

        Args:
            session: Commit it at once.
            key: 1 to 256 printable characters.
            fingerprint: Of what is asked for; up to 64 characters.
            scope: Who asks and for what, up to 200 characters.
            lease: Seconds.

        Raises:
            ValidationError: The key is malformed.
        """
        _check(key, scope)
        now, token = _now(session), uuid7()
        values = {
            "scope": scope,
            "key": key,
            "fingerprint": fingerprint,
            "token": token,
            "is_done": False,
            "response": None,
            "created_at": now,
            "expires_at": _after(session, lease),
        }
        again = {name: value for name, value in values.items() if name not in {"scope", "key"}}
        statement = (
            _insert(session, IdempotencyKey)
            .values(**values)
            .on_conflict_do_update(
                index_elements=["scope", "key"], set_=again, where=IdempotencyKey.expires_at <= now
            )
            .returning(IdempotencyKey.token)
        )
        if session.execute(statement).scalar() is not None:
            return IdempotencyLease("started", token)
        row = session.execute(
            select(
                IdempotencyKey.fingerprint,
                IdempotencyKey.is_done,
                IdempotencyKey.response,
                IdempotencyKey.expires_at,
                _as_column(session, now),
            ).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)
        ).first()
        if row is None:  # given back in between
            return IdempotencyLease("busy", retry_after=1.0)
        if row[0] != fingerprint:
            return IdempotencyLease("other")
        if row[1]:
            return IdempotencyLease("done", response=row[2])
        return IdempotencyLease("busy", retry_after=max(0.0, (row[3] - row[4]).total_seconds()))

    @ours
    def finish(
        self,
        session: Session,
        key: str,
        fingerprint: str,
        token: uuid.UUID,
        response: Any,
        *,
        scope: str = "",
        ttl: float,
    ) -> bool:
        """Keep *response*, which is JSON, for *ttl* seconds; False when the lease went to somebody else."""
        values = {
            "scope": scope,
            "key": key,
            "fingerprint": fingerprint,
            "token": token,
            "is_done": True,
            "response": response,
            "created_at": _now(session),
            "expires_at": _after(session, ttl),
        }
        # Without a row the lease ended, was purged, and nobody came since.
        statement = _insert(session, IdempotencyKey).values(**values)
        again = {name: values[name] for name in ("is_done", "response", "expires_at")}
        mine = (IdempotencyKey.token == token) & (IdempotencyKey.is_done.is_(False))
        statement = statement.on_conflict_do_update(
            index_elements=["scope", "key"], set_=again, where=mine
        ).returning(IdempotencyKey.token)
        return session.execute(statement).scalar() is not None

    @ours
    def abandon(self, session: Session, key: str, token: uuid.UUID, *, scope: str = "") -> None:
        """Give the key back: nothing was carried out, or it may be carried out again."""
        session.execute(
            delete(IdempotencyKey).where(
                IdempotencyKey.scope == scope,
                IdempotencyKey.key == key,
                IdempotencyKey.token == token,
                IdempotencyKey.is_done.is_(False),
            )
        )


def _is_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _now(session: Session) -> Any:
    # The clocks of several machines differ; that of an embedded database is the caller's.
    return func.clock_timestamp() if _is_postgres(session) else utc_now()


def _after(session: Session, seconds: float) -> Any:
    later = timedelta(seconds=seconds)
    return _now(session) + (literal(later, Interval()) if _is_postgres(session) else later)


def _as_column(session: Session, now: Any) -> Any:
    if _is_postgres(session):
        return now.label("now")
    return literal(now, UTCDateTime()).label("now")
