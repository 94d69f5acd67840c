"""What a store of answered requests is asked, and what it says."""

import base64
import json
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self

from shared.errors import InfrastructureError

__all__ = ["ReplayClaim", "ReplayState", "ReplayStore", "StoredAnswer"]


class ReplayState(StrEnum):
    """What a key is to somebody who comes with it.

    Example:
        >>> ReplayState("started").name
        'STARTED'
    """

    STARTED = "started"
    """Nobody was there before: carry the request out."""

    DONE = "done"
    """It was carried out: the answer is there, unless it was too large to keep."""

    BUSY = "busy"
    """Somebody is carrying it out."""

    OTHER = "other"
    """The key was used for another request."""


class StoredAnswer(NamedTuple):
    """An answer as it left.

    Attributes:
        status: HTTP status.
        headers: Pairs of text.
        body: Complete body.

    Example:
        >>> answer = StoredAnswer(201, (("Content-Type", "application/json"),), b"{}")
        >>> StoredAnswer.load(answer.dump()) == answer
        True
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def dump(self) -> str:
        """Return it as text."""
        return json.dumps([self.status, self.headers, base64.b64encode(self.body).decode("ascii")])

    @classmethod
    def load(cls, text: Any) -> Self:
        """Return the answer that :meth:`dump` wrote down.

        Raises:
            InfrastructureError: It did not.
        """
        try:
            status, headers, body = json.loads(text)
            pairs = tuple((str(name), str(value)) for name, value in headers)
            return cls(int(status), pairs, base64.b64decode(body, validate=True))
        except (ValueError, TypeError) as exc:
            raise InfrastructureError("a stored answer cannot be read") from exc


class ReplayClaim(NamedTuple):
    """What :meth:`ReplayStore.begin` found.

    Attributes:
        state: See :class:`ReplayState`.
        token: Proof of who carries it out, when started: a store takes the answer from
            nobody else, so a worker that lost its lease changes nothing.
        answer: What was answered, when done and kept.
        retry_after: Seconds until the lease of whoever is at it ends, when busy.

    Example:
        >>> ReplayClaim(ReplayState.BUSY, retry_after=2.5).answer is None
        True
    """

    state: ReplayState
    token: str = ""
    answer: StoredAnswer | None = None
    retry_after: float = 0.0


class ReplayStore(Protocol):
    """Remembers which requests were carried out, and what was answered.

    A key is the pair of *scope* and *key*. Whoever begins holds a lease: when it ends
    before :meth:`finish` or :meth:`abandon`, because the worker died, the next one begins.

    Example:
        >>> from shared.cache import MemoryReplays
        >>> store: ReplayStore = MemoryReplays()
        >>> store.begin("u-1 POST /orders", "k-1", "f" * 64, lease=60.0).state
        <ReplayState.STARTED: 'started'>
    """

    shown: str
    """Kind of store and where it is, without secrets."""

    def begin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """Claim a key for *lease* seconds, or learn what became of it.

        Raises:
            SharedError: The store does not answer.
        """

    async def abegin(self, scope: str, key: str, fingerprint: str, *, lease: float) -> ReplayClaim:
        """As :meth:`begin`, without blocking the event loop."""

    def finish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """Keep the answer for *ttl* seconds; False when the lease went to somebody else.

        Raises:
            SharedError: The store does not answer.
        """

    async def afinish(
        self, scope: str, key: str, fingerprint: str, token: str, answer: StoredAnswer | None, *, ttl: float
    ) -> bool:
        """As :meth:`finish`, without blocking the event loop."""

    def abandon(self, scope: str, key: str, token: str) -> None:
        """Give the key back: nothing was carried out, or it may be carried out again.

        Raises:
            SharedError: The store does not answer.
        """

    async def aabandon(self, scope: str, key: str, token: str) -> None:
        """As :meth:`abandon`, without blocking the event loop."""

    def close(self) -> None:
        """Give back what is held open."""

    async def aclose(self) -> None:
        """Give back what is held open, also what belongs to the event loop."""


def done(kept: Any) -> ReplayClaim:
    """Return the claim for a request that was carried out, from its dumped answer or nothing."""
    return ReplayClaim(ReplayState.DONE, answer=StoredAnswer.load(kept) if kept else None)
