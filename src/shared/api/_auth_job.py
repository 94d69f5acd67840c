"""The layer's job that finds out who sends a request, before anything else looks at it."""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from shared.api._exchange import Exchange
from shared.api._jobs import Job

if TYPE_CHECKING:
    from shared.auth import Authenticator, Authenticators, PlainRequest

__all__ = ["AuthenticationJob"]

# What gateways and proxies say about the user. Whoever reaches the service directly can say
# it too, so it never reaches the application; a gateway that is trusted signs what it says.
_IDENTITY: Final = re.compile(
    rb"(?:x[-_](?:user|auth|gateway|remote[-_]user|forwarded[-_](?:user|email|groups"
    rb"|preferred[-_]username|access[-_]token))(?:[-_]|\Z)|remote[-_]user\Z)",
    re.IGNORECASE,
).match


class AuthenticationJob(Job):
    """Makes the principal of each request current, and removes identity headers nobody signed.

    Asks the authenticators; the first that finds its credential decides. A credential
    that does not hold leaves the request without a principal: public routes answer,
    rules such as ``require_user()`` refuse with the reason. ``X-User-*``, ``X-Auth-*``,
    ``X-Gateway-*``, ``Remote-User`` and their like are taken out of the request, in any case
    and with underscores too.

    Args:
        authenticators: In order, or an ``Authenticators``.
        keep_headers: Names of identity headers that the application may see after all.
        at_first: Called once, with the first request: every route is there by then.

    Example:
        >>> from shared.api import Pipeline
        >>> from shared.auth import BearerAuthenticator
        >>> job = AuthenticationJob([BearerAuthenticator(verify=lambda token: None)])
        >>> pipeline = Pipeline(jobs=[job])
    """

    def __init__(
        self,
        authenticators: "Iterable[Authenticator] | Authenticators",
        *,
        keep_headers: Iterable[str] = (),
        at_first: Callable[[], object] | None = None,
    ) -> None:
        from shared.auth import Authenticators, establish

        self.authenticators: Authenticators = (
            authenticators if isinstance(authenticators, Authenticators) else Authenticators(authenticators)
        )
        self._establish = establish
        self._at_first = at_first
        self._kept = frozenset(name.lower().replace("_", "-").encode() for name in keep_headers)

    def on_request(self, exchange: Exchange) -> None:
        """Find out who sends the request."""
        if self._at_first is not None:
            self._begin()
        found = self.authenticators.identify(_request_of(exchange))
        self._strip(exchange)
        self._establish(found.principal, found.failure)

    async def on_request_async(self, exchange: Exchange) -> None:
        """Do the same in an event loop."""
        if self._at_first is not None:
            self._begin()
        found = await self.authenticators.aidentify(_request_of(exchange))
        self._strip(exchange)
        self._establish(found.principal, found.failure)

    def _begin(self) -> None:
        begin, self._at_first = self._at_first, None
        if begin is not None:
            begin()

    def _strip(self, exchange: Exchange) -> None:
        scope = getattr(exchange, "scope", None)
        if scope is not None:
            headers = scope["headers"]
            if any(_IDENTITY(name) for name, _ in headers):
                scope["headers"] = [
                    (name, value) for name, value in headers if not _IDENTITY(name) or self._keeps(name)
                ]
            return
        environ: dict[str, Any] = getattr(exchange, "environ", {})
        for key in [key for key in environ if key.startswith("HTTP_")]:
            name = key[5:].encode("latin-1", "replace")
            if _IDENTITY(name) and not self._keeps(name):
                del environ[key]

    def _keeps(self, name: bytes) -> bool:
        return name.lower().replace(b"_", b"-") in self._kept


def _request_of(exchange: Exchange) -> "PlainRequest":
    from shared.auth import PlainRequest

    scope = getattr(exchange, "scope", None)
    if scope is not None:
        return PlainRequest(
            exchange.method,
            exchange.path,
            scope["headers"],
            query=scope.get("query_string", b"").decode("latin-1"),
            https=exchange.https,
            client=exchange.client,
        )
    environ: dict[str, Any] = getattr(exchange, "environ", {})
    headers = [(key[5:].replace("_", "-"), value) for key, value in environ.items() if key[:5] == "HTTP_"]
    return PlainRequest(
        exchange.method,
        exchange.path,
        headers,
        query=environ.get("QUERY_STRING", ""),
        https=exchange.https,
        client=exchange.client,
    )
