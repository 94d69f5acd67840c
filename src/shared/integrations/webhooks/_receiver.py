"""Webhooks of suppliers: checked, taken once, recorded with what they cause. No HTTP framework."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from shared.database import Inbox, Outbox, get_database
from shared.errors import (
    ConfigurationError,
    InvalidArgumentError,
    SharedError,
    WebhookReplayError,
    WebhookSignatureError,
)
from shared.logging import get_logger
from shared.monitoring import Metrics
from shared.runtime import Events, Runtime, current
from shared.security import VerifiedEvent, WebhookScheme, verify_webhook

if TYPE_CHECKING:
    from shared.database import Database

__all__ = ["WebhookHandled", "WebhookOutcome", "WebhookReceiver", "measure_webhooks"]

Handler = Callable[[Any, VerifiedEvent], object]
_MAX_BYTES: Final = 1_048_576


@dataclass(frozen=True, slots=True)
class WebhookOutcome:
    """What became of a delivery that was genuine.

    Attributes:
        event: What was delivered.
        is_duplicate: Whether it was taken before, so that nothing was done now.

    Example:
        >>> from shared.security import sign_webhook, verify_webhook
        >>> headers = sign_webhook("hmac", b"{}", "0123456789abcdef")
        >>> event = verify_webhook("hmac", b"{}", headers, "0123456789abcdef")
        >>> WebhookOutcome(event, is_duplicate=True).is_duplicate
        True
    """

    event: VerifiedEvent
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class WebhookHandled:
    """Sent through ``runtime.events`` after a delivery was dealt with.

    Attributes:
        provider: Who sent it, or was said to have.
        outcome: ``processed``, ``duplicate``, ``refused`` (not genuine) or ``failed``.
        seconds: How long it took.
        error_type: Class of the error; empty when there was none.

    Example:
        >>> WebhookHandled("stripe", "processed", 0.01).outcome
        'processed'
    """

    provider: str
    outcome: Literal["processed", "duplicate", "refused", "failed"]
    seconds: float
    error_type: str = ""


class WebhookReceiver:
    """Takes the webhooks of one supplier: each once, together with what it causes.

    A delivery is checked first (signature, time, size). Then, in **one** transaction: it
    is noted in the inbox, *handle* runs, and a message ``webhooks.<provider>`` is written
    to the outbox, for what takes longer than the supplier waits. When any of it fails
    nothing of it is there, and the supplier's next try finds it new. The supplier
    delivers at least once; here it counts once, in any number of processes. Needs the
    tables of the room ``database``.

    Args:
        provider: As of :func:`shared.security.verify_webhook`.
        secrets: One or several, or a callable that returns them, asked at each delivery.
        handle: ``handle(session, event)``, a plain function that writes with the
            (synchronous) session it is given. It commits nothing, calls nobody outside,
            and may run again when its transaction lost against another.
        database: Where; ``get_database()`` when None.
        outbox: Writes the message; None for none.
        accept: Deliveries that it returns False for are answered and otherwise ignored.
        consumer: Name in the inbox; ``webhook:<provider>`` by default.
        tolerance: Seconds the signed time may be away from now.
        max_bytes: Largest body.
        events: Where events go; the current runtime's by default.
        now: Unix seconds.

    Raises:
        ConfigurationError: The provider is not known.

    Example:
        >>> from shared.database import Base, Database, tables_of
        >>> from shared.security import sign_webhook
        >>> secret, body = "0123456789abcdef", b'{"id": "evt_1", "type": "ping"}'
        >>> with Database("sqlite://") as db:
        ...     Base.metadata.create_all(db.engine, tables=tables_of("database"))
        ...     show = lambda session, event: print(event.type)
        ...     receiver = WebhookReceiver("stripe", secret, show, database=db)
        ...     for _ in range(2):
        ...         receiver.receive(body, sign_webhook("stripe", body, secret)).is_duplicate
        ping
        False
        True
    """

    def __init__(
        self,
        provider: str | WebhookScheme,
        secrets: Any,
        handle: Handler | None = None,
        *,
        database: "Database | None" = None,
        outbox: Outbox | None = Outbox(),  # noqa: B008 - it holds nothing
        accept: Callable[[VerifiedEvent], bool] | None = None,
        consumer: str | None = None,
        tolerance: float = 300.0,
        max_bytes: int = _MAX_BYTES,
        events: Events | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        if handle is not None and not callable(handle):
            raise InvalidArgumentError("handle is called with a session and an event")
        self.provider: str = provider if isinstance(provider, str) else provider.name
        self.max_bytes = max_bytes
        self._scheme = provider
        self._secrets = secrets
        self._handle = handle
        self._database = database
        self._outbox = outbox
        self._accept = accept
        self._inbox = Inbox(consumer or f"webhook:{self.provider}")
        self._tolerance = tolerance
        self._events = events
        self._now = now

    # -- receiving ---------------------------------------------------------------------

    def receive(self, body: bytes, headers: Any) -> WebhookOutcome:
        """Take a delivery, for threads.

        Args:
            body: The bytes as they came.
            headers: A mapping or pairs, text or bytes.

        Raises:
            WebhookSignatureError: It is not genuine. Answer 401.
            PayloadTooLargeError: It is too large.
            BadRequestError: It is genuine, and no JSON.
            SharedError: As *handle* or the database fails: nothing was recorded, and the
                supplier should try again.
        """
        started = time.monotonic()
        try:
            event, keys = self._verified(body, headers)
            fresh = self._ignores(event) or self._place.transaction(retry=True).run(self._record, event, keys)
        except BaseException as exc:
            self._failed(exc, started)
            raise
        return self._done(event, fresh=fresh, started=started)

    async def areceive(self, body: bytes, headers: Any) -> WebhookOutcome:
        """As :meth:`receive`, without blocking the event loop; *handle* is a plain function all the same."""
        started = time.monotonic()

        async def work(session: Any) -> bool:
            found: bool = await session.run_sync(self._record, event, keys)
            return found

        try:
            event, keys = self._verified(body, headers)
            fresh = self._ignores(event) or await self._place.aio.transaction(retry=True).run(work)
        except BaseException as exc:
            self._failed(exc, started)
            raise
        return self._done(event, fresh=fresh, started=started)

    # -- inside ------------------------------------------------------------------------

    @property
    def _place(self) -> "Database":
        return self._database or get_database()

    def _verified(self, body: bytes, headers: Any) -> tuple[VerifiedEvent, tuple[str, ...]]:
        """Return the event and what makes it the same as another, checked and not yet noted."""
        secrets = self._secrets() if callable(self._secrets) else self._secrets
        if secrets is None or secrets == "":
            msg = f"the webhooks of {self.provider} cannot be checked: their secret is not set"
            raise ConfigurationError(msg)
        keys = _Keys()
        event = verify_webhook(
            self._scheme,
            body,
            headers,
            secrets,
            tolerance=self._tolerance,
            now=self._now(),
            replay_store=keys,
            max_bytes=self.max_bytes,
        )
        return event, keys.found

    def _ignores(self, event: VerifiedEvent) -> bool:
        return self._accept is not None and not self._accept(event)

    def _record(self, session: Any, event: VerifiedEvent, keys: tuple[str, ...]) -> bool:
        """Note, handle and tell: all of it in the transaction of *session*."""
        # Every key is noted: of two, one may be new when somebody replays under another id.
        new = [self._inbox.is_new(session, key) for key in sorted(keys)]
        if not all(new):
            return False
        content = event.json()
        if self._handle is not None:
            self._handle(session, event)
        if self._outbox is not None:
            payload = {"id": event.id, "type": event.type, "digest": event.digest, "content": content}
            self._outbox.add(session, f"webhooks.{self.provider}", payload)
        return True

    def _done(self, event: VerifiedEvent, *, fresh: bool, started: float) -> WebhookOutcome:
        outcome: Literal["processed", "duplicate"] = "processed" if fresh else "duplicate"
        self._tell(outcome, started)
        get_logger("shared.integrations.webhooks").info(
            f"webhook {outcome}", provider=self.provider, event_id=event.id, event_type=event.type
        )
        return WebhookOutcome(event, is_duplicate=not fresh)

    def _failed(self, error: BaseException, started: float) -> None:
        refused = isinstance(error, WebhookSignatureError | WebhookReplayError)
        self._tell("refused" if refused else "failed", started, type(error).__name__)
        get_logger("shared.integrations.webhooks").warning(
            "webhook refused" if refused else "webhook not recorded",
            provider=self.provider,
            error_type=type(error).__name__,
            reason=error.message if isinstance(error, SharedError) else None,
        )

    def _tell(self, outcome: Any, started: float, error_type: str = "") -> None:
        runtime = current()
        if runtime.find(Metrics) is not None:  # nobody looks otherwise
            runtime.get(_Measured, _Measured)
        event = WebhookHandled(self.provider, outcome, time.monotonic() - started, error_type)
        (self._events or runtime.events).emit(event)

    def __repr__(self) -> str:
        return f"<WebhookReceiver of {self.provider}>"


class _Keys:
    """A replay store that remembers nothing: it shows what would be remembered."""

    def __init__(self) -> None:
        self.found: tuple[str, ...] = ()

    def claim(self, keys: Sequence[str], *, ttl: float) -> bool:  # noqa: ARG002 - the inbox has its own
        self.found = tuple(keys)
        return True

    def release(self, keys: Sequence[str]) -> None:
        """Nothing is remembered."""


def measure_webhooks(metrics: Metrics, events: Events) -> Callable[[], None]:
    """Feed what *events* tell about webhooks to *metrics*; return a function that stops it.

    Example:
        >>> from shared.monitoring import Metrics
        >>> metrics, events = Metrics(), Events()
        >>> stop = measure_webhooks(metrics, events)
        >>> events.emit(WebhookHandled("stripe", "processed", 0.01))
        >>> metrics.value("webhook_deliveries_total", {"provider": "stripe", "outcome": "processed"})
        1.0
        >>> stop()
    """
    from shared.monitoring import PaymentMetrics

    target = PaymentMetrics(metrics)
    return events.subscribe(
        WebhookHandled, lambda event: target.webhook(event.provider, event.outcome, event.seconds)
    )


class _Measured:
    """Marks a runtime whose webhooks are counted, if its settings say so."""

    def __init__(self, runtime: Runtime) -> None:
        from shared.config import get_settings
        from shared.monitoring import get_metrics
        from shared.runtime import use

        with use(runtime):
            if get_settings().monitoring.METRICS_ENABLED:
                measure_webhooks(get_metrics(), runtime.events)
