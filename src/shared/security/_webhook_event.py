"""What is known about a webhook that was checked."""

import json
from dataclasses import dataclass, field
from typing import Any, Self

from shared.errors import BadRequestError, ConfigurationError
from shared.security._replay import AsyncReplayStore, ReplayStore

__all__ = ["VerifiedEvent"]


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """A webhook whose signature, time and novelty have been checked.

    As a context manager it gives the delivery back when the block fails, so that
    the supplier's next try is not taken for a replay.

    Attributes:
        provider: Name of the supplier.
        body: The bytes that were signed.
        id: Identifies the event, or None. Signed for stripe, slack, standard and svix.
        type: Type of the event, or None. Not signed when it comes from a header
            (shopify, github): check that the body fits it.
        timestamp: When it was signed, in Unix seconds, or None (shopify, github and
            hmac sign no time).
        digest: SHA-256 of the body in hexadecimal digits.
        secret_index: Which of the secrets fitted; 0 for all traffic means that a
            rotation is over.

    Example:
        >>> from shared.security import sign_webhook, verify_webhook
        >>> headers = sign_webhook("hmac", b'{"paid": true}', "0123456789abcdef")
        >>> with verify_webhook("hmac", b'{"paid": true}', headers, ["0123456789abcdef"]) as event:
        ...     event.json()
        {'paid': True}
    """

    provider: str
    body: bytes = field(repr=False)
    id: str | None
    type: str | None
    timestamp: float | None
    digest: str
    secret_index: int
    _keys: tuple[str, ...] = field(default=(), repr=False, compare=False)
    _store: ReplayStore | None = field(default=None, repr=False, compare=False)
    _async_store: AsyncReplayStore | None = field(default=None, repr=False, compare=False)

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            BadRequestError: It is no JSON.

        Example:
            >>> from shared.security import sign_webhook, verify_webhook
            >>> headers = sign_webhook("hmac", b"[1, 2]", "0123456789abcdef")
            >>> verify_webhook("hmac", b"[1, 2]", headers, "0123456789abcdef").json()
            [1, 2]
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            msg = f"the body of the {self.provider} webhook is not JSON"
            raise BadRequestError(msg, cause=exc) from exc

    def release(self) -> None:
        """Forget the delivery, because handling it failed and the supplier will try again.

        Raises:
            ConfigurationError: The event came from :func:`averify_webhook`; its store
                needs ``await event.arelease()``.
        """
        if self._async_store is not None:
            msg = "this event came from averify_webhook: use 'async with' or 'await event.arelease()'"
            raise ConfigurationError(msg)
        if self._store is not None:
            self._store.release(self._keys)

    async def arelease(self) -> None:
        """Do the same as :meth:`release` for an event of either function."""
        if self._async_store is not None:
            await self._async_store.release(self._keys)
        else:
            self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is not None:
            self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        if failure[0] is not None:
            await self.arelease()
