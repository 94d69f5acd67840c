"""Requests that a browser was made to send: tokens bound to the session, and where it came from."""

import base64
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable
from typing import Final

from shared.errors import CsrfError, InvalidArgumentError
from shared.security._compare import constant_time_equals
from shared.security._secret_input import Secrets, secret_list

__all__ = ["CsrfTokens"]

# v1.<Unix seconds in hexadecimal>.<16 random bytes>.<HMAC-SHA256>, both base64url
_TOKEN: Final = re.compile(r"v1\.([0-9a-f]{1,16})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})\Z").match
_MIN_SECRET: Final = 32
_MAX_SESSION: Final = 4096
_SKEW: Final = 60.0  # seconds another machine's clock may be ahead


class CsrfTokens:
    """Issues and checks tokens that only the pages of one session can know.

    Stateless: a token is an HMAC over the session id, the time and a random value,
    so it dies with the session and cannot be planted by a neighbouring subdomain.
    Each call of :meth:`issue` gives another text, so compressed answers do not
    betray it. Put it into a form field or a script-readable cookie and let the
    client send it back in ``X-CSRF-Token``. Thread-safe.

    Args:
        secrets: One secret of at least 32 bytes, or several during a rotation, the
            newest first.
        max_age: Seconds a token is good for; as long as the session when None.
        clock: Unix seconds.

    Raises:
        ConfigurationError: A secret is missing or too short.
        InvalidArgumentError: *max_age* is not positive.

    Source: OWASP Cross-Site Request Forgery Prevention (signed double submit).

    Example:
        >>> tokens = CsrfTokens("a secret of at least thirty-two bytes")
        >>> token = tokens.issue("session-1")
        >>> tokens.is_valid(token, "session-1"), tokens.is_valid(token, "session-2")
        (True, False)
    """

    def __init__(
        self, secrets: Secrets, *, max_age: float | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = secret_list(secrets, what="CSRF secret", minimum=_MIN_SECRET)
        if max_age is not None and not (math.isfinite(max_age) and max_age > 0):
            msg = f"max_age must be a positive number of seconds or None, got {max_age!r}"
            raise InvalidArgumentError(msg)
        self._max_age = max_age
        self._clock = clock

    def issue(self, session_id: str) -> str:
        """Return a fresh token for the session.

        Args:
            session_id: Whatever changes at login: the id of the session, never a user id.

        Raises:
            InvalidArgumentError: *session_id* is empty; all visitors would share the token.

        Example:
            >>> CsrfTokens("a secret of at least thirty-two bytes").issue("session-1").count(".")
            3
        """
        session = _session_bytes(session_id)
        if session is None:
            msg = f"session_id must be text of 1 to {_MAX_SESSION} characters"
            raise InvalidArgumentError(msg)
        issued, nonce = f"{max(0, int(self._clock())):x}", _base64(secrets.token_bytes(16))
        return f"v1.{issued}.{nonce}.{_mac(self._keys[0], session, issued, nonce)}"

    def verify(self, token: str | None, session_id: str | None) -> None:
        """Check that *token* was issued for this session.

        Raises:
            CsrfError: It is missing, malformed, too old, or of another session.

        Example:
            >>> CsrfTokens("a secret of at least thirty-two bytes").verify(None, "session-1")
            Traceback (most recent call last):
                ...
            shared.errors.CsrfError: the CSRF token is missing or malformed
        """
        session = _session_bytes(session_id)
        match = _TOKEN(token) if isinstance(token, str) else None
        if match is None:
            raise CsrfError("the CSRF token is missing or malformed")
        if session is None:
            raise CsrfError("there is no session the CSRF token could belong to")
        issued, nonce, mac = match.groups()
        # Summed, not searched: the time does not tell which of the keys fitted.
        if not sum(constant_time_equals(_mac(key, session, issued, nonce), mac) for key in self._keys):
            raise CsrfError("the CSRF token belongs to another session or was changed")
        self._check_age(int(issued, 16))

    def verify_double_submit(self, cookie: str | None, submitted: str | None, session_id: str | None) -> None:
        """Check that the token of the cookie came back in the request, and fits the session.

        Raises:
            CsrfError: As :meth:`verify`, or the two differ.

        Example:
            >>> tokens = CsrfTokens("a secret of at least thirty-two bytes")
            >>> token = tokens.issue("session-1")
            >>> tokens.verify_double_submit(token, token, "session-1")
        """
        self.verify(submitted, session_id)
        if not constant_time_equals(cookie, submitted):
            raise CsrfError("the CSRF token of the request is not that of the cookie")

    def is_valid(self, token: str | None, session_id: str | None) -> bool:
        """Tell whether :meth:`verify` would pass.

        Example:
            >>> CsrfTokens("a secret of at least thirty-two bytes").is_valid("junk", "session-1")
            False
        """
        try:
            self.verify(token, session_id)
        except CsrfError:
            return False
        return True

    def _check_age(self, issued: int) -> None:
        age = self._clock() - issued
        if age < -_SKEW:
            msg = f"the CSRF token was issued {-age:.0f} s in the future"
            raise CsrfError(msg)
        if self._max_age is not None and age > self._max_age:
            msg = f"the CSRF token is {age:.0f} s old, at most {self._max_age:g} s are accepted"
            raise CsrfError(msg)


def _session_bytes(session_id: object) -> bytes | None:
    if not isinstance(session_id, str) or not 0 < len(session_id) <= _MAX_SESSION:
        return None
    return str.encode(session_id, "utf-8", "surrogatepass")


def _mac(key: bytes, session: bytes, issued: str, nonce: str) -> str:
    # The length first: the border between session and time must not move.
    signed = (
        b"shared.security/v1/csrf" + len(session).to_bytes(4, "big") + session + f"{issued}.{nonce}".encode()
    )
    return _base64(hmac.digest(key, signed, "sha256"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
