"""Make, check, rotate and revoke API keys."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from pydantic import SecretStr

from shared.auth._api_key import (
    ApiKey,
    NewApiKey,
    judge,
    key_of,
    new_record,
    revoked_record,
    rotated_record,
)
from shared.auth._api_key_format import KeyParts, check_label, new_key, parse_key, peppers_of
from shared.auth._record_store import AsyncRecordStore, Record, RecordStore
from shared.errors import InvalidArgumentError, ResourceNotFoundError, SharedError, TransactionConflictError
from shared.logging import get_logger

__all__ = ["ApiKeys", "AsyncApiKeys"]

_TRIES: Final = 5  # of a change that somebody else's change came before
_DAY: Final = 86_400.0


class _Core:
    """What both twins know: how keys look, who hashes them, and who was seen lately."""

    def __init__(self, pepper: Any, prefix: str, mode: str, clock: Callable[[], float], every: float) -> None:
        self.peppers = peppers_of(pepper)
        self.head = f"{check_label('prefix', prefix)}_{check_label('mode', mode)}"
        self.clock = clock
        if not every >= 0:
            msg = f"touch_every is seconds, 0 or more, got {every!r}"
            raise InvalidArgumentError(msg)
        self.every = every
        self.seen: dict[str, float] = {}
        self.flushed = clock()

    def new(self, now: float, **facts: Any) -> tuple[Record, SecretStr]:
        parts, text = new_key(self.head)
        return new_record(parts, self.peppers[0], now=now, **facts), SecretStr(text)

    def rotated(self, record: Record | None, key_id: str, grace: float) -> tuple[Record, SecretStr]:
        found, now = _existing(record, key_id), self.clock()
        if not key_of(found).is_active(now):
            raise InvalidArgumentError("a key that is revoked or expired is not rotated: make a new one")
        # The id stays, so that what refers to the key goes on.
        parts, text = new_key(self.head, key_id)
        return rotated_record(found, parts, self.peppers[0], now=now, grace=grace), SecretStr(text)

    def parse(self, text: object) -> KeyParts:
        return parse_key(text, self.head)

    def judge(self, record: Record | None, parts: KeyParts, client: str | None) -> tuple[ApiKey, bool]:
        """Return the key, and whether it is time to write down who was seen."""
        now = self.clock()
        key = judge(record, parts, self.peppers, now=now, client=client)
        if key.last_used_at is None or now - key.last_used_at >= self.every:
            self.seen[key.id] = now
        return key, bool(self.seen) and now - self.flushed >= self.every

    def take_seen(self) -> dict[str, float]:
        self.flushed = self.clock()
        seen, self.seen = self.seen, {}
        return dict(seen)  # a thread may still hold the old one


class ApiKeys:
    """The API keys of a service: ``sk_live_<id>_<secret><checksum>``.

    The store keeps a keyed hash of each secret (HMAC-SHA256 with the pepper), so a copy
    of the store opens nothing. A slow hash would only help an attacker: the secret has
    256 random bits, and hundreds of checks per second must be cheap. Thread-safe.

    Args:
        store: Where keys are kept.
        pepper: One secret of at least 32 bytes, or several during a rotation, the newest
            first.
        prefix: First part of every key; with ``"sk"`` logs mask it wherever it appears.
        mode: Second part: ``"live"``, ``"test"``; a key of one is unknown to the other.
        clock: Seconds since 1970.
        touch_every: Seconds between two notes of a key's last use; they are written
            together, not with every request.

    Raises:
        ConfigurationError: The pepper is missing or too short.
        InvalidArgumentError: Prefix or mode has other characters than letters and digits.

    Example:
        >>> from shared.auth import MemoryRecordStore
        >>> keys = ApiKeys(MemoryRecordStore(), pepper="p" * 32)
        >>> new = keys.create("billing", scopes=["orders:read"], name="nightly run")
        >>> keys.verify(new.secret.get_secret_value()).owner
        'billing'
        >>> keys.revoke(new.key.id).revoked_at is not None
        True
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        pepper: Any,
        prefix: str = "sk",
        mode: str = "live",
        clock: Callable[[], float] = time.time,
        touch_every: float = 60.0,
    ) -> None:
        self._store = store
        self._core = _Core(pepper, prefix, mode, clock, touch_every)

    def create(
        self,
        owner: str,
        *,
        scopes: Iterable[str] = (),
        networks: Iterable[str] = (),
        name: str = "",
        tenant: str | None = None,
        expires_in: float | None = None,
        created_by: str | None = None,
    ) -> NewApiKey:
        """Return a new key; its secret is known now and never again.

        Args:
            owner: The user or service it acts for.
            scopes: What it may do; nothing when empty.
            networks: From where it may be used: ``"10.0.0.0/8"``; from anywhere when empty.
            name: For people.
            tenant: For whom it acts.
            expires_in: Seconds it is good for, or None.
            created_by: Who makes it.

        Raises:
            ValidationError: One of them is malformed.
            InvalidArgumentError: *expires_in* is not positive.
        """
        record, secret = self._core.new(
            self._core.clock(),
            owner=owner,
            scopes=scopes,
            networks=networks,
            name=name,
            tenant=tenant,
            expires_in=expires_in,
            created_by=created_by,
        )
        _inserted(self._store.insert(record, now=record.created_at))
        return NewApiKey(secret, key_of(record))

    def verify(self, key: str, *, client: str | None = None) -> ApiKey:
        """Return what is known of *key* when it may be used.

        Args:
            key: As presented.
            client: Address it comes from, for keys that are bound to networks.

        Raises:
            AuthenticationError: It may not; the message never has the key.
        """
        parts = self._core.parse(key)
        record = self._store.get(parts.id, now=self._core.clock())
        found, due = self._core.judge(record, parts, client)
        if due:
            try:
                self.flush()
            except SharedError as exc:
                _lost(exc)
        return found

    def rotate(self, key_id: str, *, grace: float = _DAY) -> NewApiKey:
        """Give the key a new secret; the present one is good for *grace* seconds more.

        Raises:
            ResourceNotFoundError: There is no such key.
            InvalidArgumentError: It is revoked or expired, or *grace* is out of range.
        """
        for _ in range(_TRIES):
            now = self._core.clock()
            record, secret = self._core.rotated(self._store.get(key_id, now=now), key_id, grace)
            if self._store.change(record, now=now):
                return NewApiKey(secret, key_of(record))
        raise TransactionConflictError("the API key is being changed by others: try again")

    def revoke(self, key_id: str) -> ApiKey:
        """End the key at once, with every secret it has; it stays listed for 30 days.

        Raises:
            ResourceNotFoundError: There is no such key.
        """
        for _ in range(_TRIES):
            now = self._core.clock()
            record = revoked_record(_existing(self._store.get(key_id, now=now), key_id), now=now)
            if self._store.change(record, now=now):
                return key_of(record)
        raise TransactionConflictError("the API key is being changed by others: try again")

    def get(self, key_id: str) -> ApiKey:
        """Return what is known of a key.

        Raises:
            ResourceNotFoundError: There is no such key.
        """
        return key_of(_existing(self._store.get(key_id, now=self._core.clock()), key_id))

    def of_owner(self, owner: str) -> list[ApiKey]:
        """Return the keys of *owner*, the oldest first, those that ended lately too."""
        return [key_of(record) for record in self._store.of_owner(owner, now=self._core.clock())]

    def flush(self) -> None:
        """Write down when keys were last used; happens by itself while keys are used."""
        seen = self._core.take_seen()
        if seen:
            self._store.touch(seen)

    def close(self) -> None:
        """Write down what is left, and close the store where there is something to close."""
        self.flush()
        close = getattr(self._store, "close", None)
        if close is not None:
            close()


class AsyncApiKeys:
    """The :class:`ApiKeys` of asynchronous code; both know the same.

    Args:
        store: Where keys are kept.
        pepper: As :class:`ApiKeys`.
        prefix: As :class:`ApiKeys`.
        mode: As :class:`ApiKeys`.
        clock: As :class:`ApiKeys`.
        touch_every: As :class:`ApiKeys`.

    Example:
        >>> import asyncio
        >>> from shared.auth import AsyncMemoryRecordStore
        >>> async def main() -> None:
        ...     keys = AsyncApiKeys(AsyncMemoryRecordStore(), pepper="p" * 32)
        ...     new = await keys.create("billing", scopes=["orders:read"])
        ...     print((await keys.verify(new.secret.get_secret_value())).scopes)
        >>> asyncio.run(main())
        ('orders:read',)
    """

    def __init__(
        self,
        store: AsyncRecordStore,
        *,
        pepper: Any,
        prefix: str = "sk",
        mode: str = "live",
        clock: Callable[[], float] = time.time,
        touch_every: float = 60.0,
    ) -> None:
        self._store = store
        self._core = _Core(pepper, prefix, mode, clock, touch_every)

    async def create(
        self,
        owner: str,
        *,
        scopes: Iterable[str] = (),
        networks: Iterable[str] = (),
        name: str = "",
        tenant: str | None = None,
        expires_in: float | None = None,
        created_by: str | None = None,
    ) -> NewApiKey:
        """See :meth:`ApiKeys.create`."""
        record, secret = self._core.new(
            self._core.clock(),
            owner=owner,
            scopes=scopes,
            networks=networks,
            name=name,
            tenant=tenant,
            expires_in=expires_in,
            created_by=created_by,
        )
        _inserted(await self._store.insert(record, now=record.created_at))
        return NewApiKey(secret, key_of(record))

    async def verify(self, key: str, *, client: str | None = None) -> ApiKey:
        """See :meth:`ApiKeys.verify`."""
        parts = self._core.parse(key)
        record = await self._store.get(parts.id, now=self._core.clock())
        found, due = self._core.judge(record, parts, client)
        if due:
            try:
                await self.flush()
            except SharedError as exc:
                _lost(exc)
        return found

    async def rotate(self, key_id: str, *, grace: float = _DAY) -> NewApiKey:
        """See :meth:`ApiKeys.rotate`."""
        for _ in range(_TRIES):
            now = self._core.clock()
            record, secret = self._core.rotated(await self._store.get(key_id, now=now), key_id, grace)
            if await self._store.change(record, now=now):
                return NewApiKey(secret, key_of(record))
        raise TransactionConflictError("the API key is being changed by others: try again")

    async def revoke(self, key_id: str) -> ApiKey:
        """See :meth:`ApiKeys.revoke`."""
        for _ in range(_TRIES):
            now = self._core.clock()
            record = revoked_record(_existing(await self._store.get(key_id, now=now), key_id), now=now)
            if await self._store.change(record, now=now):
                return key_of(record)
        raise TransactionConflictError("the API key is being changed by others: try again")

    async def get(self, key_id: str) -> ApiKey:
        """See :meth:`ApiKeys.get`."""
        return key_of(_existing(await self._store.get(key_id, now=self._core.clock()), key_id))

    async def of_owner(self, owner: str) -> list[ApiKey]:
        """See :meth:`ApiKeys.of_owner`."""
        return [key_of(record) for record in await self._store.of_owner(owner, now=self._core.clock())]

    async def flush(self) -> None:
        """See :meth:`ApiKeys.flush`."""
        seen = self._core.take_seen()
        if seen:
            await self._store.touch(seen)

    async def close(self) -> None:
        """See :meth:`ApiKeys.close`."""
        await self.flush()
        close = getattr(self._store, "close", None)
        if close is not None:
            await close()


def _existing(record: Record | None, key_id: object) -> Record:
    if record is None:
        raise ResourceNotFoundError(resource="API key", resource_id=str(key_id)[:64])
    return record


def _inserted(kept: bool) -> None:
    if not kept:  # twelve random characters that were drawn before
        raise TransactionConflictError("the id of the new API key is taken: try again")


def _lost(exc: SharedError) -> None:
    # When a key was last used is worth a line, not the request.
    get_logger("shared.auth").warning("the last use of API keys was not noted", error=str(exc.code))
