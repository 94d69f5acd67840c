"""The keys of an issuer: one signs, those that may still be met verify."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from shared.auth._backends import SignatureBackend, backend_named
from shared.auth._key import Key, KeyStatus
from shared.errors import ConfigurationError, InvalidTokenError

__all__ = ["KeyRing", "KeySource", "Opener"]

_MAX_KEYS: Final = 64
_MAX_OPENERS: Final = 256


class Opener(NamedTuple):
    """What a header leads to: the check of its key's signatures, and the type it claims."""

    verify: Callable[[bytes, bytes], bool]
    typ: str | None


class KeySource:
    """Gives the ring that is in force now; a :class:`KeyRing` is its own source.

    Example:
        >>> ring = KeyRing([Key.generate("EdDSA")])
        >>> ring.current() is ring
        True
    """

    __slots__ = ("__weakref__",)

    #: Whether the keys are here, so that nothing has to be awaited.
    is_local: bool = True

    def current(self) -> "KeyRing":
        """Return the ring in force."""
        raise NotImplementedError

    def ring_for(self, kid: str | None) -> "KeyRing":
        """Return the ring in force, after looking for a *kid* that it lacks."""
        del kid
        return self.current()

    async def aprepare(self, kid: str | None) -> None:
        """Do without blocking what :meth:`ring_for` would wait for."""


class KeyRing(KeySource):
    """The keys of one issuer, found by their ids.

    At most one is ``active``: it signs. Rotation is in steps, each of which gives a new
    ring: add the new key as ``next`` everywhere, :meth:`rotate`, and when the longest
    token of the old key has expired, :meth:`retire` that.

    Immutable and thread-safe.

    Args:
        keys: At least one. HMAC keys and others do not mix: who verifies must not be
            able to sign by taking one kind for the other.
        backend: ``"jose"`` or ``"native"``, or an object of your own.

    Raises:
        ConfigurationError: An id or a key stands there twice, two keys are active, or
            the kinds are mixed.

    Example:
        >>> ring = KeyRing([Key.generate("ES256", kid="2025")])
        >>> ring = ring.add(Key.generate("ES256", kid="2026", status="next")).rotate()
        >>> [(key.kid, key.status.value) for key in ring.keys]
        [('2025', 'verify-only'), ('2026', 'active')]
        >>> [key["kid"] for key in ring.retire("2025").jwks()["keys"]]
        ['2026']
    """

    __slots__ = ("_backend", "_by_kid", "_only", "_sign", "active", "keys", "openers")

    def __init__(self, keys: Iterable[Key], *, backend: str | SignatureBackend = "jose") -> None:
        self.keys: tuple[Key, ...] = tuple(keys)
        _check(self.keys)
        self._backend = backend_named(backend)
        self.active: Key | None = next((key for key in self.keys if key.status is KeyStatus.ACTIVE), None)
        usable = [key for key in self.keys if key.can_verify]
        self._by_kid = {key.kid: (key.algorithm, self._backend.verifier(key)) for key in usable}
        self._only = usable[0].kid if len(usable) == 1 else None
        self._sign = None if self.active is None else self._backend.signer(self.active)
        #: Headers that stood in authentic tokens, as they are written; see ``_jws``.
        self.openers: dict[str, Opener] = {}

    # -- the source of itself ------------------------------------------------------

    def current(self) -> "KeyRing":
        """Return the ring itself.

        Example:
            >>> ring = KeyRing([Key.generate("EdDSA")])
            >>> ring.current() is ring
            True
        """
        return self

    # -- life ------------------------------------------------------------------------

    def add(self, key: Key) -> "KeyRing":
        """Return the ring with *key* added.

        Raises:
            ConfigurationError: As for the class.

        Example:
            >>> ring = KeyRing([Key.generate("EdDSA", kid="a")])
            >>> len(ring.add(Key.generate("EdDSA", kid="b", status="next")).keys)
            2
        """
        return self._with([*self.keys, key])

    def rotate(self, kid: str | None = None) -> "KeyRing":
        """Return the ring in which a ``next`` key signs and the one that signed verifies only.

        Args:
            kid: Which; the first that is ``next`` when None.

        Raises:
            ConfigurationError: No such key is ``next``.

        Example:
            >>> ring = KeyRing([Key.generate("EdDSA", kid="a")])
            >>> ring.add(Key.generate("EdDSA", kid="b", status="next")).rotate().active
            Key('b', 'EdDSA', status='active')
        """
        waiting = [
            key for key in self.keys if key.status is KeyStatus.NEXT and (kid is None or key.kid == kid)
        ]
        if not waiting:
            what = "no key" if kid is None else f"key {kid[:128]!r} is not there or not"
            msg = f"{what} 'next' in the ring: add one with this status and let every service see it first"
            raise ConfigurationError(msg)
        chosen = waiting[0]
        return self._with(
            key.with_status(KeyStatus.ACTIVE)
            if key is chosen
            else key.with_status(KeyStatus.VERIFY_ONLY)
            if key.status is KeyStatus.ACTIVE
            else key
            for key in self.keys
        )

    def retire(self, kid: str) -> "KeyRing":
        """Return the ring in which nothing that *kid* signed is accepted any more.

        Raises:
            ConfigurationError: There is no such key.

        Example:
            >>> KeyRing([Key.generate("EdDSA", kid="a")]).retire("a").active is None
            True
        """
        self.key(kid)
        return self._with(key.with_status(KeyStatus.RETIRED) if key.kid == kid else key for key in self.keys)

    def key(self, kid: str) -> Key:
        """Return the key called *kid*.

        Raises:
            ConfigurationError: There is no such key.

        Example:
            >>> KeyRing([Key.generate("EdDSA", kid="a")]).key("a").kid
            'a'
        """
        for key in self.keys:
            if key.kid == kid:
                return key
        msg = f"key {str(kid)[:128]!r} is not in the ring (known: {', '.join(key.kid for key in self.keys)})"
        raise ConfigurationError(msg)

    def _with(self, keys: Iterable[Key]) -> "KeyRing":
        return KeyRing(keys, backend=self._backend)

    # -- use -------------------------------------------------------------------------

    def sign(self, data: bytes) -> bytes:
        """Return the active key's signature of *data*.

        Raises:
            ConfigurationError: No key is active here.

        Example:
            >>> len(KeyRing([Key.generate("EdDSA")]).sign(b"data"))
            64
        """
        if self._sign is None:
            raise ConfigurationError("no key of the ring is active: this process verifies only")
        try:
            return self._sign(data)
        except Exception as exc:
            msg = f"key {self.active and self.active.kid!r} could not sign ({type(exc).__name__})"
            raise ConfigurationError(msg, cause=exc) from exc

    def resolve(self, header: Mapping[str, Any]) -> Opener:
        """Return how to check the signature under *header*.

        The key decides which algorithm is used and the header must agree: RFC 8725,
        section 3.1.

        Raises:
            InvalidTokenError: The key is not known, or the algorithm is not its own.

        Example:
            >>> KeyRing([Key.generate("EdDSA", kid="a")]).resolve({"alg": "EdDSA", "kid": "a"}).typ is None
            True
        """
        kid = header.get("kid", self._only)
        found = self._by_kid.get(kid) if isinstance(kid, str) else None
        if found is None:
            raise InvalidTokenError("the token's key is not known here, or retired")
        algorithm, verify = found
        if header.get("alg") != algorithm:
            msg = f"the token's algorithm is not that of its key, {algorithm}"
            raise InvalidTokenError(msg)
        return Opener(verify, header.get("typ"))

    def knows(self, kid: str) -> bool:
        """Tell whether *kid* is in the ring and not retired.

        Example:
            >>> KeyRing([Key.generate("EdDSA", kid="a")]).knows("b")
            False
        """
        return kid in self._by_kid

    def remember(self, head: str, opener: Opener) -> None:
        """Remember the header of an authentic token, as it is written.

        Example:
            >>> ring = KeyRing([Key.generate("EdDSA", kid="a")])
            >>> ring.remember("e30", ring.resolve({"alg": "EdDSA"}))
        """
        if len(self.openers) >= _MAX_OPENERS:  # an issuer with many headers: begin anew
            self.openers.clear()
        self.openers[head] = opener

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the JWK Set to publish: the public halves that verify; never an HMAC key.

        Example:
            >>> KeyRing([Key.generate("HS256")]).jwks()
            {'keys': []}
        """
        public = [key for key in self.keys if key.can_verify and not key.is_symmetric]
        return {"keys": [key.to_jwk() for key in public]}

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(f'{key.kid}: {key.status.value}' for key in self.keys)})"


def _check(keys: tuple[Key, ...]) -> None:
    if not 1 <= len(keys) <= _MAX_KEYS:
        msg = f"a key ring has 1 to {_MAX_KEYS} keys, got {len(keys)}"
        raise ConfigurationError(msg)
    ids = [key.kid for key in keys]
    if twice := next((kid for kid in ids if ids.count(kid) > 1), None):
        msg = f"key id {twice!r} stands twice in the ring"
        raise ConfigurationError(msg)
    active = [key.kid for key in keys if key.status is KeyStatus.ACTIVE]
    if len(active) > 1:
        msg = f"{len(active)} keys of the ring are active ({', '.join(active)}), one may be"
        raise ConfigurationError(msg)
    # Source: OWASP ASVS 5.0, 9.1.2.
    if len({key.is_symmetric for key in keys}) > 1:
        raise ConfigurationError("HMAC keys and others do not mix in one ring: make one for each")
    materials = [key.with_status(KeyStatus.VERIFY_ONLY) for key in keys]
    for number, key in enumerate(materials):
        if any(_same_material(key, other) for other in materials[:number]):
            msg = f"key {key.kid!r} stands in the ring under another id, too"
            raise ConfigurationError(msg)


def _same_material(key: Key, other: Key) -> bool:
    if key.is_symmetric:
        import hmac

        return hmac.compare_digest(key.material(private=True), other.material(private=True))
    return bool(key.material(private=False) == other.material(private=False))
