"""Answer a request once: what to refuse, what to replay, what to keep."""

import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.api._current import CurrentExchange
from shared.api._errors import Reply
from shared.api._exchange import Exchange
from shared.api._idempotency_key import fingerprint_of, idempotency_key, scope_of
from shared.api._limit_keys import ClientAddress, LimitKeys
from shared.cache import ReplayClaim, ReplayState, ReplayStore, StoredAnswer, replay_store
from shared.constants import Header
from shared.errors import BadRequestError, ConfigurationError, ConflictError, SharedError, ValidationError

if TYPE_CHECKING:
    from shared.database import Idempotent

__all__ = ["Idempotency", "IdempotentRequest", "idempotent_request"]

#: The request that the handler at hand answers.
AT_HAND: Final["CurrentExchange[IdempotentRequest]"] = CurrentExchange("shared.api.idempotency")
REPLAYED: Final = "Idempotency-Replayed"

_log: Final = logging.getLogger("shared.api")
# What says nothing about the operation: who asks, when, and whether the service is well.
_PASSING: Final = frozenset({401, 403, 408, 409, 425, 429})
_NOT_KEPT: Final = frozenset(
    {"connection", "date", "keep-alive", "server", "set-cookie", "transfer-encoding", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The request at hand as far as it must not be carried out twice.

    Attributes:
        key: What the caller sent, or None.
        scope: Whose key it is, and of which operation.
        fingerprint: Digest of method, path, query, content type and body.

    Example:
        >>> IdempotentRequest(None, "", "").run(None, lambda: {"id": 7}).value
        {'id': 7}
    """

    key: str | None
    scope: str
    fingerprint: str

    def run(self, session: Any, work: Callable[[], Any], *, ttl: float = 86_400.0) -> "Idempotent":
        """Carry *work* out once, with the key in the transaction of *session*.

        When the transaction commits, the work is done and the key says so; when it does
        not, neither happened: exactly once, whatever dies when. Without a key *work* runs.

        Args:
            session: Of the caller, who commits; see :class:`shared.database.IdempotencyStore`.
            work: Its result must be JSON; a repeated request gets it again.
            ttl: Seconds for which the result is kept.

        Raises:
            ValidationError: The key was used for another request.
            ConflictError: The first request is under way.
        """
        from shared.database import IdempotencyStore, Idempotent

        if self.key is None:
            return Idempotent(work(), replayed=False)
        store = IdempotencyStore(ttl=ttl)
        return self._told(store.run(session, self.key, work, scope=self.scope, request=self.fingerprint))

    async def arun(
        self, session: Any, work: Callable[[], Awaitable[Any]], *, ttl: float = 86_400.0
    ) -> "Idempotent":
        """As :meth:`run`, for an asynchronous session and a coroutine function.

        Raises:
            ValidationError: As :meth:`run`.
            ConflictError: As :meth:`run`.
        """
        from shared.database import AsyncIdempotencyStore, Idempotent

        if self.key is None:
            return Idempotent(await work(), replayed=False)
        store = AsyncIdempotencyStore(ttl=ttl)
        done = await store.run(session, self.key, work, scope=self.scope, request=self.fingerprint)
        return self._told(done)

    @staticmethod
    def _told(done: "Idempotent") -> "Idempotent":
        found = AT_HAND.find()
        if done.replayed and found is not None:
            found[1].state["shared.replayed"] = True
        return done


def idempotent_request() -> IdempotentRequest:
    """Return the request at hand, for a handler that writes the key with its own work.

    Raises:
        ConfigurationError: There is no request, or no :class:`Idempotency` in the application.

    Example:
        >>> idempotent_request()
        Traceback (most recent call last):
            ...
        shared.errors.ConfigurationError: no idempotent request is at hand: ...
    """
    found = AT_HAND.find()
    if found is None:
        msg = (
            "no idempotent request is at hand: call add_idempotency(app, Idempotency(...)) "
            "and ask inside of a request with an unsafe method"
        )
        raise ConfigurationError(msg)
    request: IdempotentRequest = found[0]
    return request


class Idempotency:
    """Carries an unsafe request out once per ``Idempotency-Key``, and repeats its answer.

    The key belongs to the caller (principal, else credential, else address), the method
    and the route. The same key with another request is a 422, a second request while the
    first is under way a 409 with ``Retry-After``, a malformed or missing one a 400. A
    repeated answer carries ``Idempotency-Replayed: true``. Final answers below 500 are
    kept; after 401, 403, 408, 409, 425, 429 and 5xx the key is free again.
    Source: draft-ietf-httpapi-idempotency-key-header-07.

    Args:
        store: Where answers are kept: a store or its URL. None keeps none: the handlers
            themselves write the key, with :meth:`IdempotentRequest.run`.
        ttl: Seconds for which an answer is kept.
        lease: Seconds after which a worker that has not answered counts as dead; longer
            than any request takes.
        methods: Methods that the header is read for.
        required: Routes that cannot do without a key, by template; True for all.
        max_answer_bytes: Larger answers, and event streams, are sent but not kept: their
            repetition is a 409.
        on_failure: ``"closed"`` answers 503 while the store is down, ``"open"`` carries
            requests out without protection.
        trusted_proxies: Networks whose ``X-Forwarded-For`` is believed.

    Raises:
        ConfigurationError: A value makes no sense.

    Example:
        >>> Idempotency("memory://", required=["/orders"]).store.shown
        'memory'
    """

    def __init__(
        self,
        store: ReplayStore | str | None = "memory://",
        *,
        ttl: float = 86_400.0,
        lease: float = 60.0,
        methods: Iterable[str] = ("POST", "PATCH"),
        required: bool | Iterable[str] = (),
        max_answer_bytes: int = 1_048_576,
        on_failure: Literal["closed", "open"] = "closed",
        trusted_proxies: Iterable[str] = (),
    ) -> None:
        for name, value in (("ttl", ttl), ("lease", lease)):
            if not (math.isfinite(value) and value > 0):
                msg = f"{name} is seconds above 0, got {value!r}"
                raise ConfigurationError(msg)
        if on_failure not in ("closed", "open"):
            msg = f"on_failure is one of closed, open, got {on_failure!r}"
            raise ConfigurationError(msg)
        self._owned = isinstance(store, str)
        self.store: ReplayStore | None = replay_store(store) if isinstance(store, str) else store
        self.ttl = ttl
        self.lease = lease
        self.methods: frozenset[str] = frozenset(method.upper() for method in methods)
        self.required: bool | frozenset[str] = required if isinstance(required, bool) else frozenset(required)
        self.max_answer_bytes = max_answer_bytes
        self.on_failure = on_failure
        self._keys = LimitKeys(ClientAddress(trusted_proxies))

    # -- before the application ------------------------------------------------------------

    def key_of(self, exchange: Exchange) -> str | None:
        """Return the key of a request, or None.

        Raises:
            BadRequestError: It is malformed, or missing where one is required.
        """
        sent = exchange.header_list(Header.IDEMPOTENCY_KEY)
        if sent:
            return idempotency_key(sent)
        required = self.required
        if required and (required is True or exchange.find_route() in required):
            msg = f"this request needs an {Header.IDEMPOTENCY_KEY} header"
            raise BadRequestError(msg, details={"reason": "missing_key"})
        return None

    def request(
        self, exchange: Exchange, key: str | None, query: str, content_type: str, body: bytes
    ) -> IdempotentRequest:
        """Return the request that *key* stands for, and make it the one at hand."""
        made = IdempotentRequest(None, "", "")
        if key is not None:
            mark = fingerprint_of(exchange.method, exchange.path, query, content_type, body)
            made = IdempotentRequest(key, scope_of(exchange, self._keys), mark)
        AT_HAND.set(made, exchange)
        return made

    def begin(self, request: IdempotentRequest) -> ReplayClaim | None:
        """Claim the key; None when nothing is to be kept.

        Raises:
            SharedError: The request must not be carried out.
        """
        if self.store is None or request.key is None:
            return None
        try:
            claim = self.store.begin(request.scope, request.key, request.fingerprint, lease=self.lease)
        except SharedError as exc:
            self._tolerate(exc)
            return None
        return self._checked(claim)

    async def abegin(self, request: IdempotentRequest) -> ReplayClaim | None:
        """As :meth:`begin`, without blocking the event loop.

        Raises:
            SharedError: As :meth:`begin`.
        """
        if self.store is None or request.key is None:
            return None
        try:
            claim = await self.store.abegin(request.scope, request.key, request.fingerprint, lease=self.lease)
        except SharedError as exc:
            self._tolerate(exc)
            return None
        return self._checked(claim)

    def _tolerate(self, error: SharedError) -> None:
        if self.on_failure == "closed" or error.status < 500:
            raise error
        _log.warning("idempotency keys are not checked: %s", type(error).__name__)

    def _checked(self, claim: ReplayClaim) -> ReplayClaim:
        if claim.state is ReplayState.OTHER:
            raise ValidationError(
                "the idempotency key was used for another request: choose a new one",
                details={"reason": "key_reused"},
            )
        if claim.state is ReplayState.BUSY:
            raise ConflictError(
                "a request with this idempotency key is under way",
                details={"reason": "in_progress"},
                headers={Header.RETRY_AFTER: str(max(1, math.ceil(min(claim.retry_after, 2.0))))},
                retryable=True,
            )
        if claim.state is ReplayState.DONE and claim.answer is None:
            raise ConflictError(
                "this request was carried out; its answer was too large to keep",
                details={"reason": "answer_not_kept"},
            )
        return claim

    @staticmethod
    def replay(answer: StoredAnswer) -> Reply:
        """Return the answer that is repeated."""
        return Reply(answer.status, (*answer.headers, (REPLAYED, "true")), answer.body)

    # -- after the application -------------------------------------------------------------

    @staticmethod
    def keeps(status: int) -> bool:
        """Tell whether an answer of this status is final."""
        return 200 <= status < 500 and status not in _PASSING

    @staticmethod
    def answer(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> StoredAnswer:
        """Return what is kept of an answer; cookies are not: they were for that moment."""
        kept = tuple((name, value) for name, value in headers if name.lower() not in _NOT_KEPT)
        return StoredAnswer(status, kept, body)

    def finish(self, request: IdempotentRequest, claim: ReplayClaim, answer: StoredAnswer | None) -> None:
        """Keep the answer; the caller gets it whatever the store says."""
        if self.store is None or request.key is None:
            return
        try:
            kept = self.store.finish(
                request.scope, request.key, request.fingerprint, claim.token, answer, ttl=self.ttl
            )
        except SharedError:
            _log.exception("the answer to an idempotent request could not be kept")
        else:
            _warn_of_lost_lease(kept, self.lease)

    async def afinish(
        self, request: IdempotentRequest, claim: ReplayClaim, answer: StoredAnswer | None
    ) -> None:
        """As :meth:`finish`, without blocking the event loop."""
        if self.store is None or request.key is None:
            return
        try:
            kept = await self.store.afinish(
                request.scope, request.key, request.fingerprint, claim.token, answer, ttl=self.ttl
            )
        except SharedError:
            _log.exception("the answer to an idempotent request could not be kept")
        else:
            _warn_of_lost_lease(kept, self.lease)

    def abandon(self, request: IdempotentRequest, claim: ReplayClaim) -> None:
        """Give the key back; when that fails, the lease ends by itself."""
        if self.store is None or request.key is None:
            return
        try:
            self.store.abandon(request.scope, request.key, claim.token)
        except SharedError:
            _log.warning("an idempotency key could not be given back; its lease ends by itself")

    async def aabandon(self, request: IdempotentRequest, claim: ReplayClaim) -> None:
        """As :meth:`abandon`, without blocking the event loop."""
        if self.store is None or request.key is None:
            return
        try:
            await self.store.aabandon(request.scope, request.key, claim.token)
        except SharedError:
            _log.warning("an idempotency key could not be given back; its lease ends by itself")

    def close(self) -> None:
        """Close the store, when this object made it."""
        if self._owned and self.store is not None:
            self.store.close()

    async def aclose(self) -> None:
        """Close the store, when this object made it."""
        if self._owned and self.store is not None:
            await self.store.aclose()


def _warn_of_lost_lease(kept: bool, lease: float) -> None:
    if not kept:
        _log.warning("a request took longer than its lease of %s s and may have been repeated", lease)
