"""The public keys of an issuer as an HTTP answer: the same bytes for all callers until a key changes."""

from typing import TYPE_CHECKING, Final

from shared.api._conditional import NotModified, check_preconditions, entity_tag
from shared.api._errors import Reply
from shared.api._json import dumps
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.auth import KeyRing, KeySource

__all__ = ["JWKS_PATH", "JwksEndpoint"]

JWKS_PATH: Final = "/.well-known/jwks.json"
"""Where verifiers look for the keys, by custom (RFC 8615 reserves the folder)."""


class JwksEndpoint:
    """Answers with the JWK Set of a source of keys.

    Keys that wait to become active are in it too, so that every verifier has them
    before the first token is signed with one.

    Args:
        keys: The issuer's keys: those of this process, not of another.
        max_age: Seconds that caches may keep the answer; a new key must be in the set
            for longer than that before it signs.

    Raises:
        ConfigurationError: The keys belong to another issuer, or *max_age* is below 0.

    Source: RFC 7517, sections 5 and 8.5.
    """

    def __init__(self, keys: "KeySource", *, max_age: int = 300) -> None:
        if not keys.is_local:
            raise ConfigurationError("these keys are another issuer's: only who signs publishes the keys")
        if max_age < 0:
            msg = f"max_age must be 0 seconds or more, got {max_age}"
            raise ConfigurationError(msg)
        self._keys = keys
        self._caching = ("Cache-Control", f"public, max-age={max_age}")
        self._last: tuple[KeyRing | None, Reply, str] = (None, Reply(200, (), b""), "")

    def answer(self, if_none_match: str | None = None) -> Reply:
        """Return the set, or 304 without it for a caller who has it already."""
        ring = self._keys.current()
        known, found, etag = self._last
        if known is not ring:
            body = dumps(ring.jwks())
            etag = entity_tag(body.decode())
            headers = (("Content-Type", "application/jwk-set+json"), self._caching, ("ETag", etag))
            found = Reply(200, headers, body)
            self._last = ring, found, etag
        try:
            check_preconditions({} if if_none_match is None else {"If-None-Match": if_none_match}, etag)
        except NotModified:
            return Reply(304, (self._caching, ("ETag", etag)), b"")
        return found
