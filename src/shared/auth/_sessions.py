"""Start, load, rotate and end sessions that live on the server."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from shared.auth._principal import Principal
from shared.auth._record_store import AsyncRecordStore, Record, RecordStore
from shared.auth._session import (
    NewSession,
    Session,
    checked_data,
    id_of,
    new_token,
    session_of,
    session_record,
)
from shared.errors import AuthenticationError, InvalidArgumentError, SharedError, TransactionConflictError
from shared.logging import get_logger

__all__ = ["AsyncSessions", "Sessions"]

_ENDED = "the session has ended"


class _Core:
    """What both twins know: how long sessions live."""

    def __init__(
        self, idle: float, absolute: float, most: int | None, every: float, clock: Callable[[], float]
    ) -> None:
        if not 0 < idle <= absolute < float("inf") or not 0 <= every < idle:
            msg = (
                "timeouts are seconds: 0 < idle_timeout <= absolute_timeout, touch_every below idle_timeout, "
                f"got {idle!r}, {absolute!r}, {every!r}"
            )
            raise InvalidArgumentError(msg)
        if most is not None and most < 1:
            msg = f"max_per_user is >= 1 or None, got {most}"
            raise InvalidArgumentError(msg)
        self.idle, self.absolute, self.most, self.every, self.clock = idle, absolute, most, every, clock

    def new(
        self, principal: Principal, data: Mapping[str, Any], client: str | None, user_agent: str | None
    ) -> tuple[Record, SecretStr]:
        token, now = new_token(), self.clock()
        record = session_record(
            token,
            principal,
            data=data,
            created_at=now,
            expires_at=now + self.absolute,
            now=now,
            client=client,
            user_agent=user_agent,
        )
        return record, SecretStr(token)

    def is_alive(self, record: Record | None, now: float) -> bool:
        if record is None:
            return False
        seen = record.touched_at if record.touched_at is not None else record.created_at
        return now - seen < self.idle  # the end of its whole life is the store's to know

    def is_due(self, session: Session, now: float) -> bool:
        return now - session.last_seen_at >= self.every

    def surplus(self, records: Iterable[Record], now: float) -> list[str]:
        """Return the ids of the sessions to end before one more is started: the oldest."""
        alive = [record for record in records if self.is_alive(record, now)]
        return (
            [] if self.most is None else [record.id for record in alive[: max(0, len(alive) - self.most + 1)]]
        )

    def moved(self, record: Record, now: float) -> tuple[Record, SecretStr]:
        token = new_token()
        return replace(record, id=id_of(token) or "", touched_at=now, version=1), SecretStr(token)

    def changed(self, session: Session, record: Record | None, data: Mapping[str, Any]) -> Record:
        if record is None:
            raise AuthenticationError(_ENDED, challenge="Cookie")
        return replace(record, version=session.version, data={**record.data, "data": checked_data(data)})


class Sessions:
    """Sessions whose cookie is a random value and whose content stays on the server.

    The store knows the hash of the cookie only, so a copy of the store opens nothing.
    Login gives a new cookie always (:meth:`start`), so a planted one is worth nothing; a
    session that was ended cannot come back by a late write. Thread-safe.

    Args:
        store: Where sessions are kept.
        idle_timeout: Seconds without a request after which one ends.
        absolute_timeout: Seconds after which one ends however much it is used.
        max_per_user: Sessions a user may have; the oldest gives way. Unlimited when None.
        touch_every: Seconds between two notes of a session's last use.
        clock: Seconds since 1970.

    Raises:
        InvalidArgumentError: A time is out of range.

    Example:
        >>> from shared.auth import MemoryRecordStore
        >>> sessions = Sessions(MemoryRecordStore())
        >>> token, session = sessions.start(Principal(user_id="u-1", roles={"admin"}))
        >>> sessions.load(token.get_secret_value()).principal()
        Principal(user_id='u-1', roles=['admin'], method='session')
        >>> sessions.end(token.get_secret_value()), sessions.load(token.get_secret_value())
        (True, None)
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        idle_timeout: float = 1800.0,
        absolute_timeout: float = 43_200.0,
        max_per_user: int | None = None,
        touch_every: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._core = _Core(idle_timeout, absolute_timeout, max_per_user, touch_every, clock)

    def start(
        self,
        principal: Principal,
        *,
        previous: str | None = None,
        data: Mapping[str, Any] | None = None,
        client: str | None = None,
        user_agent: str | None = None,
    ) -> NewSession:
        """Begin a session after a login, with a cookie nobody has seen before.

        Args:
            principal: Who logged in; its roles and permissions stay as they are until
                the session is rotated or ends.
            previous: Value of the cookie the request came with; that session ends.
            data: What to keep in it; JSON, at most 16 KiB.
            client: Address, for the list of sessions.
            user_agent: Browser, for the list of sessions.

        Raises:
            ValidationError: *data* is no JSON, or too large.
        """
        record, token = self._core.new(principal, data or {}, client, user_agent)
        if previous is not None:
            self.end(previous)
        if self._core.most is not None:
            known = self._store.of_owner(principal.user_id, now=record.created_at)
            for surplus in self._core.surplus(known, record.created_at):
                self._store.delete(surplus)
        self._store.insert(record, now=record.created_at)
        return NewSession(token, session_of(record))

    def load(self, token: str) -> Session | None:
        """Return the session that *token* opens, or None; a use is noted at times."""
        now, session_id = self._core.clock(), id_of(token)
        record = None if session_id is None else self._store.get(session_id, now=now)
        if record is None or not self._core.is_alive(record, now):
            return None
        session = session_of(record)
        if self._core.is_due(session, now):
            try:
                self._store.touch({session.id: now})
            except SharedError as exc:
                _lost(exc)
        return session

    def rotate(self, token: str, *, principal: Principal | None = None) -> NewSession:
        """Give the session a new cookie, after its user gained or lost rights.

        Its content and its end stay.

        Args:
            token: Value of the present cookie, which opens nothing from now on.
            principal: Who acts from now on; the same user with other rights.

        Raises:
            AuthenticationError: The session has ended.
            InvalidArgumentError: *principal* is another user.
        """
        now, session_id = self._core.clock(), id_of(token)
        record = None if session_id is None else self._store.get(session_id, now=now)
        if record is None or not self._core.is_alive(record, now) or not self._store.delete(record.id):
            raise AuthenticationError(_ENDED, challenge="Cookie")
        moved, fresh = self._core.moved(_with_identity(record, principal), now)
        self._store.insert(moved, now=now)
        return NewSession(fresh, session_of(moved))

    def save(self, session: Session, data: Mapping[str, Any]) -> Session:
        """Keep *data* in the session, unless somebody changed it since it was loaded.

        Raises:
            AuthenticationError: The session has ended; nothing brings it back.
            TransactionConflictError: Another request changed it: load it again.
            ValidationError: *data* is no JSON, or too large.
        """
        now = self._core.clock()
        record = self._core.changed(session, self._store.get(session.id, now=now), data)
        return _saved(record, self._store.change(record, now=now))

    def end(self, token: str) -> bool:
        """End the session that *token* opens: log out. Tell whether there was one."""
        session_id = id_of(token)
        return session_id is not None and self._store.delete(session_id)

    def end_by_id(self, session_id: str, *, user_id: str) -> bool:
        """End one session of *user_id* out of the list; tell whether there was one."""
        found = self._store.get(session_id, now=self._core.clock())
        return found is not None and found.owner == user_id and self._store.delete(session_id)

    def end_all(self, user_id: str, *, keep: str | None = None) -> int:
        """End every session of a user, but the one with the id *keep*; return how many."""
        return self._store.delete_of_owner(user_id, keep=keep)

    def of_user(self, user_id: str) -> list[Session]:
        """Return the sessions of a user, the oldest first."""
        now = self._core.clock()
        found = self._store.of_owner(user_id, now=now)
        return [session_of(record) for record in found if self._core.is_alive(record, now)]

    def close(self) -> None:
        """Close the store where there is something to close."""
        close = getattr(self._store, "close", None)
        if close is not None:
            close()


class AsyncSessions:
    """The :class:`Sessions` of asynchronous code; both know the same.

    Args:
        store: Where sessions are kept.
        idle_timeout: As :class:`Sessions`.
        absolute_timeout: As :class:`Sessions`.
        max_per_user: As :class:`Sessions`.
        touch_every: As :class:`Sessions`.
        clock: As :class:`Sessions`.

    Example:
        >>> import asyncio
        >>> from shared.auth import AsyncMemoryRecordStore
        >>> async def main() -> None:
        ...     sessions = AsyncSessions(AsyncMemoryRecordStore())
        ...     token, _ = await sessions.start(Principal(user_id="u-1"))
        ...     print((await sessions.load(token.get_secret_value())).user_id)
        >>> asyncio.run(main())
        u-1
    """

    def __init__(
        self,
        store: AsyncRecordStore,
        *,
        idle_timeout: float = 1800.0,
        absolute_timeout: float = 43_200.0,
        max_per_user: int | None = None,
        touch_every: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._core = _Core(idle_timeout, absolute_timeout, max_per_user, touch_every, clock)

    async def start(
        self,
        principal: Principal,
        *,
        previous: str | None = None,
        data: Mapping[str, Any] | None = None,
        client: str | None = None,
        user_agent: str | None = None,
    ) -> NewSession:
        """See :meth:`Sessions.start`."""
        record, token = self._core.new(principal, data or {}, client, user_agent)
        if previous is not None:
            await self.end(previous)
        if self._core.most is not None:
            known = await self._store.of_owner(principal.user_id, now=record.created_at)
            for surplus in self._core.surplus(known, record.created_at):
                await self._store.delete(surplus)
        await self._store.insert(record, now=record.created_at)
        return NewSession(token, session_of(record))

    async def load(self, token: str) -> Session | None:
        """See :meth:`Sessions.load`."""
        now, session_id = self._core.clock(), id_of(token)
        record = None if session_id is None else await self._store.get(session_id, now=now)
        if record is None or not self._core.is_alive(record, now):
            return None
        session = session_of(record)
        if self._core.is_due(session, now):
            try:
                await self._store.touch({session.id: now})
            except SharedError as exc:
                _lost(exc)
        return session

    async def rotate(self, token: str, *, principal: Principal | None = None) -> NewSession:
        """See :meth:`Sessions.rotate`."""
        now, session_id = self._core.clock(), id_of(token)
        record = None if session_id is None else await self._store.get(session_id, now=now)
        if record is None or not self._core.is_alive(record, now) or not await self._store.delete(record.id):
            raise AuthenticationError(_ENDED, challenge="Cookie")
        moved, fresh = self._core.moved(_with_identity(record, principal), now)
        await self._store.insert(moved, now=now)
        return NewSession(fresh, session_of(moved))

    async def save(self, session: Session, data: Mapping[str, Any]) -> Session:
        """See :meth:`Sessions.save`."""
        now = self._core.clock()
        record = self._core.changed(session, await self._store.get(session.id, now=now), data)
        return _saved(record, await self._store.change(record, now=now))

    async def end(self, token: str) -> bool:
        """See :meth:`Sessions.end`."""
        session_id = id_of(token)
        return session_id is not None and await self._store.delete(session_id)

    async def end_by_id(self, session_id: str, *, user_id: str) -> bool:
        """See :meth:`Sessions.end_by_id`."""
        found = await self._store.get(session_id, now=self._core.clock())
        return found is not None and found.owner == user_id and await self._store.delete(session_id)

    async def end_all(self, user_id: str, *, keep: str | None = None) -> int:
        """See :meth:`Sessions.end_all`."""
        return await self._store.delete_of_owner(user_id, keep=keep)

    async def of_user(self, user_id: str) -> list[Session]:
        """See :meth:`Sessions.of_user`."""
        now = self._core.clock()
        found = await self._store.of_owner(user_id, now=now)
        return [session_of(record) for record in found if self._core.is_alive(record, now)]

    async def close(self) -> None:
        """See :meth:`Sessions.close`."""
        close = getattr(self._store, "close", None)
        if close is not None:
            await close()


def _with_identity(record: Record, principal: Principal | None) -> Record:
    if principal is None:
        return record
    if principal.user_id != record.owner:
        raise InvalidArgumentError("a session is not rotated to another user: start a new one")
    identity = {
        "email": principal.email,
        "roles": sorted(principal.roles),
        "permissions": sorted(principal.permissions),
        "tenant": principal.tenant,
    }
    kept = {name: value for name, value in identity.items() if value}
    return replace(record, data={**record.data, "identity": kept})


def _saved(record: Record, kept: bool) -> Session:
    if not kept:
        raise TransactionConflictError("the session was changed or ended meanwhile: load it again")
    return session_of(replace(record, version=record.version + 1))


def _lost(exc: SharedError) -> None:
    # The session was read, so its user goes on; only the note is lost.
    get_logger("shared.auth").warning("the last use of a session was not noted", error=str(exc.code))
