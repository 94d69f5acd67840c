"""The public keys of an issuer elsewhere, fetched with care.

An address that only TLS reaches, small answers, few fetches: whoever sends tokens with
made-up key ids must not make this service hammer the issuer. Source: RFC 7517, section 5;
RFC 8725, section 3.10.
"""

import asyncio
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from shared.auth._backends import SignatureBackend
from shared.auth._json import parse_object
from shared.auth._key import Key
from shared.auth._key_ring import KeyRing, KeySource
from shared.errors import ConfigurationError, ExternalServiceError, InvalidArgumentError, SharedError
from shared.runtime import after_fork_in_child
from shared.security import GuardedUrl, guard_url

__all__ = ["RemoteKeys"]

_MAX_BYTES: Final = 65_536
_MAX_KEYS: Final = 20
_FIRST: Final = 1.0  # seconds between two fetches while there is no key at all
_PATIENCE: Final = 30.0  # seconds for somebody else's fetch
_HEADERS: Final = {"Accept": "application/json", "Connection": "close"}

Fetch = Callable[[str], bytes]


class RemoteKeys(KeySource):
    """The keys that an issuer publishes as a JWK Set: they verify, nothing here can sign.

    Fetched on first use and again after *max_age*. A token with a key id that is not
    known asks for another look, at most once in *cooldown*; of callers at once, one
    fetches and the others wait. When the issuer does not answer, the keys before are
    used up to *max_stale*.

    Args:
        url: ``https://`` only; checked like every address from outside, redirects are
            not followed.
        max_age: Seconds for which a set is used without asking.
        cooldown: Seconds between two fetches at least.
        max_stale: Seconds for which a set is used while the issuer does not answer.
        timeout: Seconds for a whole fetch.
        algorithm: For RSA keys that do not say theirs.
        hosts: As for :func:`shared.security.guard_url`.
        allow_networks: As for :func:`shared.security.guard_url`.
        ssl_context: For an issuer with a certificate of your own.
        backend: As :class:`KeyRing`.
        fetch: Gets the bytes of an address, in place of all that.
        monotonic: Seconds that never go back.

    Raises:
        InvalidArgumentError: A time is out of range, or the address is not ``https://``.

    Example:
        >>> import json
        >>> issuer = KeyRing([Key.generate("ES256", kid="2026")])
        >>> keys = RemoteKeys("https://id.example/jwks", fetch=lambda url: json.dumps(issuer.jwks()).encode())
        >>> keys.current()
        KeyRing(2026: verify-only)
    """

    is_local = False

    __slots__ = (
        "_algorithm",
        "_backend",
        "_cooldown",
        "_fetch",
        "_fetched",
        "_flight",
        "_lock",
        "_max_age",
        "_max_stale",
        "_monotonic",
        "_ring",
        "_tried",
        "_url",
    )

    def __init__(
        self,
        url: str,
        *,
        max_age: float = 600.0,
        cooldown: float = 30.0,
        max_stale: float = 86_400.0,
        timeout: float = 5.0,
        algorithm: str = "RS256",
        hosts: Collection[str] | None = None,
        allow_networks: Iterable[str] = (),
        ssl_context: ssl.SSLContext | None = None,
        backend: str | SignatureBackend = "jose",
        fetch: Fetch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not str(url).lower().startswith("https://"):
            raise InvalidArgumentError("keys are fetched over https:// only")
        if not (0 < max_age <= max_stale and cooldown > 0 and timeout > 0):
            raise InvalidArgumentError(
                "max_age, cooldown and timeout are seconds above 0, max_stale >= max_age"
            )
        networks = tuple(allow_networks)

        def safely(address: str) -> bytes:
            target = guard_url(address, hosts=hosts, allow_networks=networks)
            return _download(target, ssl_context or ssl.create_default_context(), timeout)

        self._url = str(url)
        self._max_age, self._cooldown, self._max_stale = max_age, cooldown, max_stale
        self._algorithm = algorithm
        self._backend = backend
        self._fetch: Fetch = fetch or safely
        self._monotonic = monotonic
        self._ring: KeyRing | None = None
        self._fetched = 0.0  # when the ring came
        self._tried: float | None = None  # when a fetch ended last, well or not
        self._lock = threading.Lock()
        self._flight: threading.Event | None = None
        after_fork_in_child(self)

    # -- the source --------------------------------------------------------------------

    def current(self) -> KeyRing:
        """Return the keys in force, fetching them when there are none or they are too old.

        Raises:
            ExternalServiceError: There are none, and the issuer does not give any.
        """
        ring = self._ring
        if ring is None or self._age() > self._max_age:
            ring = self._refreshed()
        return ring

    def ring_for(self, kid: str | None) -> KeyRing:
        """Return the keys in force; fetched anew for a *kid* that is not among them.

        Raises:
            ExternalServiceError: As :meth:`current`.
        """
        ring = self.current()
        if kid is not None and not ring.knows(kid):
            ring = self._refreshed()
        return ring

    async def aprepare(self, kid: str | None) -> None:
        """Fetch in a thread of its own what :meth:`ring_for` would wait for.

        Raises:
            ExternalServiceError: As :meth:`current`.
        """
        ring = self._ring
        if ring is None or self._age() > self._max_age or (kid is not None and not ring.knows(kid)):
            if ring is not None and self._is_cooling():
                return
            await asyncio.to_thread(self.ring_for, kid)

    # -- fetching ------------------------------------------------------------------------

    def _age(self) -> float:
        return self._monotonic() - self._fetched

    def _is_cooling(self) -> bool:
        wait = self._cooldown if self._ring is not None else min(self._cooldown, _FIRST)
        return self._tried is not None and self._monotonic() - self._tried < wait

    def _refreshed(self) -> KeyRing:
        """Return the ring after one fetch, mine or somebody else's, unless one ended a moment ago."""
        with self._lock:
            if self._is_cooling():
                return self._usable(None)
            flight, mine = self._flight, self._flight is None
            if flight is None:
                flight = self._flight = threading.Event()
        if not mine:
            flight.wait(_PATIENCE)
            return self._usable(None)
        failure: SharedError | None = None
        try:
            self._load()
        except SharedError as exc:
            failure = exc
        finally:
            with self._lock:
                self._tried = self._monotonic()
                self._flight = None
            flight.set()
        return self._usable(failure)

    def _load(self) -> None:
        try:
            data = self._fetch(self._url)
        except SharedError:
            raise
        except Exception as exc:
            msg = f"the keys of the issuer cannot be fetched ({type(exc).__name__})"
            raise ExternalServiceError(msg, cause=exc) from exc
        ring = self._ring_of(data)
        before = self._ring
        self._fetched = self._monotonic()
        # The same keys: what is known of their tokens still holds.
        if before is None or before.keys != ring.keys:
            self._ring = ring

    def _usable(self, failure: SharedError | None) -> KeyRing:
        ring = self._ring
        if ring is not None and self._age() <= self._max_stale:
            if failure is not None:
                import logging

                logging.getLogger("shared.auth").warning("the keys before stay in use: %s", failure)
            return ring
        why = "it was asked a moment ago" if failure is None else failure.message
        msg = f"the keys of the issuer are not known, and it does not give any: {why}"
        raise ExternalServiceError(msg, cause=failure) from failure

    def _ring_of(self, data: bytes) -> KeyRing:
        document = parse_object(data) if len(data) <= _MAX_BYTES else None
        listed = None if document is None else document.get("keys")
        if not isinstance(listed, list) or len(listed) > _MAX_KEYS:
            msg = f"the issuer's answer is no JWK Set of at most {_MAX_BYTES} bytes and {_MAX_KEYS} keys"
            raise ExternalServiceError(msg)
        keys = [key for key in map(self._key_of, listed) if key is not None]
        try:
            return KeyRing(keys, backend=self._backend)
        except ConfigurationError as exc:
            msg = f"the issuer's keys cannot be used: {exc.message}"
            raise ExternalServiceError(msg, cause=exc) from exc

    def _key_of(self, jwk: Any) -> Key | None:
        """Return the key, or None for one that is not for us: other uses, kinds, sizes; secrets above all."""
        if not isinstance(jwk, dict) or jwk.get("kty") == "oct" or not isinstance(jwk.get("kid"), str):
            return None
        has_own = "alg" in jwk or jwk.get("kty") != "RSA"
        try:
            return Key.from_jwk(jwk, None if has_own else self._algorithm, status="verify-only").public()
        except ConfigurationError:
            return None

    def after_fork(self) -> None:
        """Forget a fetch that ended with the parent; called in a forked child."""
        self._lock = threading.Lock()
        self._flight = None

    def __repr__(self) -> str:
        return f"RemoteKeys({self._url!r})"


def _download(target: GuardedUrl, context: ssl.SSLContext, timeout: float) -> bytes:
    """Return the body at *target*, from the address that was checked and no other."""
    until = time.monotonic() + timeout
    connection = http.client.HTTPSConnection(target.host, target.port, context=context)
    with socket.create_connection((target.addresses[0], target.port), timeout=timeout) as raw:
        raw.settimeout(max(0.01, until - time.monotonic()))
        with context.wrap_socket(raw, server_hostname=target.host) as secure:
            connection.sock = secure
            try:
                path = target.pinned_url.split("/", 3)[3]
                connection.request(
                    "GET", f"/{path}", headers={"Accept": "application/json", "Connection": "close"}
                )
                with connection.getresponse() as answer:
                    return _body(answer, secure, until)
            finally:
                connection.close()


def _body(answer: http.client.HTTPResponse, secure: socket.socket, until: float) -> bytes:
    if answer.status != http.client.OK:  # a redirect leads to where nobody has looked
        msg = f"the issuer of keys answered {answer.status}"
        raise ExternalServiceError(msg)
    data = b""
    while len(data) <= _MAX_BYTES:
        left = until - time.monotonic()
        if left <= 0:
            raise ExternalServiceError("the issuer of keys did not answer in time")
        secure.settimeout(left)
        part = answer.read1(_MAX_BYTES + 1 - len(data))
        if not part:
            break
        data += part
    return data
