"""How many messages go one after the other, and what is noted about each. Pure."""

import math
from collections.abc import Iterable, Iterator, Sized

from shared.cache import RateLimiter, RateVerdict
from shared.errors import CircuitOpenError, InvalidArgumentError, SharedError
from shared.integrations.email._message import EmailMessage
from shared.integrations.email._outcome import BulkProgress, BulkReport, BulkResult, EmailReceipt
from shared.resilience import RateLimit

__all__ = ["Bulk", "limiter_of", "pause"]


def limiter_of(rate: str | RateLimit | RateLimiter | None) -> RateLimiter | None:
    """Return the limiter for *rate*.

    Raises:
        InvalidArgumentError: It is no rate.
    """
    if rate is None or isinstance(rate, RateLimiter):
        return rate
    return RateLimiter("email-bulk", rate)


def pause(verdict: RateVerdict) -> float:
    """Return the seconds to wait before asking again; 0.0 when the message may go.

    Raises:
        InvalidArgumentError: It may never go.
    """
    if verdict.allowed:
        return 0.0
    wait = verdict.retry_after
    if math.isinf(wait):
        raise InvalidArgumentError("the rate admits no message at all")
    return max(wait, 0.001)


class Bulk:
    """The messages of one bulk and what became of them."""

    def __init__(self, messages: Iterable[EmailMessage], rate: str | RateLimit | RateLimiter | None) -> None:
        self.limiter: RateLimiter | None = limiter_of(rate)
        self._messages = messages
        self._total = len(messages) if isinstance(messages, Sized) else None
        self._results: list[BulkResult] = []
        self._down = False

    def __iter__(self) -> Iterator[EmailMessage]:
        for message in self._messages:
            if self._down:
                self._note("not_tried")
                continue
            yield message

    def took(self, receipt: EmailReceipt) -> None:
        """Note that a message was taken over."""
        self._note("partly" if receipt.refused else "sent", receipt=receipt)

    def lost(self, error: SharedError) -> None:
        """Note that a message was not, and stop trying when the breaker has opened."""
        if isinstance(error, CircuitOpenError):
            self._down = True
            self._note("not_tried", error=error)
        elif error.details.get("accepted") == "unknown":
            self._note("unknown", error=error)
        else:
            self._note("failed", error=error)

    def _note(self, status: str, **more: object) -> None:
        self._results.append(BulkResult(len(self._results), status, **more))  # type: ignore[arg-type]

    @property
    def progress(self) -> BulkProgress:
        """How far it is."""
        return BulkProgress(len(self._results), self._total, self._results[-1])

    def report(self) -> BulkReport:
        """What became of all."""
        return BulkReport(tuple(self._results))
