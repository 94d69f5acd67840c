"""A key: its id, its one algorithm, and where it stands in its life."""

import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Self

from shared.auth import _base64
from shared.auth._algorithms import Algorithm, algorithm_named
from shared.auth._jwk import jwk_algorithm, jwk_of, load_jwk, thumbprint
from shared.auth._key_checks import check_hmac_secret, check_public_key
from shared.errors import ConfigurationError

__all__ = ["Key", "KeyStatus"]

_KID: Final = re.compile(r"[\x21-\x7e]{1,128}\Z").match
_MAX_PEM: Final = 32_768


class KeyStatus(StrEnum):
    """Where a key stands in its life.

    ``next`` is published and verifies, so that every service knows it before it signs;
    ``active`` signs; ``verify-only`` signs no more; ``retired`` does nothing.

    Example:
        >>> [status.value for status in KeyStatus]
        ['next', 'active', 'verify-only', 'retired']
    """

    NEXT = "next"
    ACTIVE = "active"
    VERIFY_ONLY = "verify-only"
    RETIRED = "retired"


class Key:
    """A key for signatures, checked when it is loaded, with exactly one algorithm.

    Make one with :meth:`from_secret`, :meth:`from_pem`, :meth:`from_jwk` or
    :meth:`generate`. Immutable; shows no secret in its repr and is not pickled.

    Attributes:
        kid: Its id, the header ``kid`` of what it signs.
        algorithm: Its one algorithm, such as ``"ES256"``.
        status: Where it stands in its life.

    Example:
        >>> key = Key.generate("ES256", kid="2026-11")
        >>> key
        Key('2026-11', 'ES256', status='active')
        >>> sorted(key.to_jwk())
        ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']
    """

    __slots__ = ("_private", "_public", "algorithm", "kid", "spec", "status")

    def __init__(
        self, kid: str | None, spec: Algorithm, public: Any, private: Any, status: KeyStatus | str
    ) -> None:
        self.spec: Algorithm = spec
        self.algorithm: str = spec.name
        self._public = public  # None for HMAC
        self._private = private  # for HMAC the secret; None when only the public half is known
        self.status: KeyStatus = _status(status)
        self.kid: str = _checked_kid(self._default_kid() if kid is None else kid)
        if self.status in (KeyStatus.ACTIVE, KeyStatus.NEXT) and private is None:
            self.status = KeyStatus.VERIFY_ONLY

    @classmethod
    def from_secret(
        cls,
        secret: str | bytes | Any,
        algorithm: str = "HS256",
        *,
        kid: str | None = None,
        status: KeyStatus | str = KeyStatus.ACTIVE,
    ) -> Self:
        """Return an HMAC key.

        Args:
            secret: Text (used as UTF-8), bytes or a ``SecretStr``; at least as long as
                the hash: 32, 48 or 64 bytes.
            algorithm: ``HS256``, ``HS384`` or ``HS512``.
            kid: Its id; one that tells nothing of the secret when None.
            status: Where it stands in its life.

        Raises:
            ConfigurationError: The secret is too short, not random, or a key of another
                kind in whatever spelling (PEM, DER, SSH, JWK).

        Example:
            >>> import secrets
            >>> Key.from_secret(secrets.token_urlsafe(48), kid="s1")
            Key('s1', 'HS256', status='active')
        """
        spec = algorithm_named(algorithm)
        if spec.family != "HMAC":
            msg = f"{algorithm} takes no secret: load its key with from_pem() or from_jwk()"
            raise ConfigurationError(msg)
        data = _secret_bytes(secret)
        check_hmac_secret(data, spec)
        return cls(kid, spec, None, data, status)

    @classmethod
    def from_pem(
        cls,
        pem: str | bytes | Any,
        algorithm: str,
        *,
        kid: str | None = None,
        status: KeyStatus | str = KeyStatus.ACTIVE,
    ) -> Self:
        """Return the private or public key of a PEM document that is not encrypted.

        A public key verifies only. The id is the RFC 7638 thumbprint when None.

        Raises:
            ConfigurationError: It cannot be read, is weak, or does not fit *algorithm*.

        Example:
            >>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            >>> from cryptography.hazmat.primitives.serialization import (
            ...     Encoding, NoEncryption, PrivateFormat)
            >>> pem = Ed25519PrivateKey.generate().private_bytes(
            ...     Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            >>> Key.from_pem(pem, "EdDSA", kid="e1")
            Key('e1', 'EdDSA', status='active')
        """
        spec = algorithm_named(algorithm)
        if spec.family == "HMAC":
            msg = f"{algorithm} takes a secret and no PEM document: use from_secret()"
            raise ConfigurationError(msg)
        return cls._loaded(_load_pem(_secret_bytes(pem)), spec, kid, status)

    @classmethod
    def from_jwk(
        cls,
        jwk: Mapping[str, Any],
        algorithm: str | None = None,
        *,
        kid: str | None = None,
        status: KeyStatus | str = KeyStatus.ACTIVE,
    ) -> Self:
        """Return the key that *jwk* describes.

        Args:
            jwk: A JSON Web Key; members that are not needed are left alone.
            algorithm: For keys without ``alg``; must not contradict it.
            kid: Its id; that of the JWK, or the thumbprint, when None.
            status: Where it stands in its life.

        Raises:
            ConfigurationError: It is malformed, weak, or not for this.

        Example:
            >>> jwk = Key.generate("ES256", kid="k1").to_jwk()
            >>> Key.from_jwk(jwk)  # the public half
            Key('k1', 'ES256', status='verify-only')
        """
        if not isinstance(jwk, Mapping):
            msg = f"a JWK is a mapping, got {type(jwk).__name__}"  # type: ignore[unreachable]
            raise ConfigurationError(msg)
        spec = algorithm_named(jwk_algorithm(jwk, algorithm))
        found, name = load_jwk(jwk), jwk.get("kid") if kid is None else kid
        if isinstance(found, bytes):
            return cls.from_secret(found, spec.name, kid=name, status=status)
        if spec.family == "HMAC":
            msg = f"{spec.name} needs a JWK of the type 'oct'"
            raise ConfigurationError(msg)
        return cls._loaded(found, spec, name, status)

    @classmethod
    def generate(
        cls,
        algorithm: str,
        *,
        kid: str | None = None,
        status: KeyStatus | str = KeyStatus.ACTIVE,
        bits: int = 2048,
    ) -> Self:
        """Return a new random key.

        Args:
            algorithm: Any that is accepted.
            kid: Its id; derived from the key when None.
            status: Where it stands in its life.
            bits: Size of an RSA key, 2048 to 8192.

        Raises:
            ConfigurationError: The algorithm is not accepted, or *bits* out of range.

        Example:
            >>> Key.generate("HS512", kid="k1").algorithm
            'HS512'
        """
        import secrets

        spec = algorithm_named(algorithm)
        if spec.family == "HMAC":
            return cls(kid, spec, None, secrets.token_bytes(64), status)
        return cls._loaded(_generate(spec, bits), spec, kid, status)

    @classmethod
    def _loaded(cls, found: Any, spec: Algorithm, kid: str | None, status: KeyStatus | str) -> Self:
        private = found if hasattr(found, "public_key") else None
        public = found if private is None else private.public_key()
        check_public_key(public, spec)
        return cls(kid, spec, public, private, status)

    def _default_kid(self) -> str:
        if self._public is None:
            # Keyed by the secret itself, so that it is no plain hash of it.
            return _base64.encode(hmac.digest(self._private, b"shared.auth key id", "sha256")[:16])
        return self.thumbprint

    @property
    def is_symmetric(self) -> bool:
        """Whether who verifies can also sign."""
        return self._public is None

    @property
    def can_sign(self) -> bool:
        """Whether the private half is there."""
        return self._private is not None

    @property
    def can_verify(self) -> bool:
        """Whether signatures of this key are still accepted."""
        return self.status is not KeyStatus.RETIRED

    @property
    def thumbprint(self) -> str:
        """The SHA-256 thumbprint of the public key. Source: RFC 7638.

        Raises:
            ConfigurationError: It is an HMAC key; a hash of a secret is not given away.
        """
        if self._public is None:
            raise ConfigurationError("an HMAC key has no public thumbprint")
        return thumbprint(jwk_of(self._public, None, self.spec))

    def with_status(self, status: KeyStatus | str) -> "Key":
        """Return the same key at another point of its life.

        Example:
            >>> Key.generate("EdDSA", kid="k1").with_status("retired").can_verify
            False
        """
        return type(self)(self.kid, self.spec, self._public, self._private, status)

    def public(self) -> "Key":
        """Return the public half.

        Raises:
            ConfigurationError: It is an HMAC key.

        Example:
            >>> Key.generate("EdDSA", kid="k1").public().can_sign
            False
        """
        if self._public is None:
            raise ConfigurationError("an HMAC key has no public half")
        return type(self)(self.kid, self.spec, self._public, None, self.status)

    def to_jwk(self, *, private: bool = False) -> dict[str, Any]:
        """Return the key as a JSON Web Key.

        Args:
            private: With the private half: a secret, for a file or a vault.

        Raises:
            ConfigurationError: It is an HMAC key and *private* is False, or there is no
                private half.

        Example:
            >>> Key.generate("EdDSA", kid="k1").to_jwk()["crv"]
            'Ed25519'
        """
        described = {"kid": self.kid, "alg": self.algorithm, "use": "sig"}
        if private and self._private is None:
            msg = f"key {self.kid!r} has no private half here"
            raise ConfigurationError(msg)
        if self._public is None:
            if not private:
                raise ConfigurationError("an HMAC key has no public half")
            return {"kty": "oct", **described, "k": _base64.encode(self._private)}
        return {**jwk_of(self._public, self._private if private else None, self.spec), **described}

    def material(self, *, private: bool) -> Any:
        """Return the secret bytes, or the key object of ``cryptography``; for signature backends.

        Example:
            >>> len(Key.generate("HS256").material(private=True))
            64
        """
        return self._private if private or self._public is None else self._public

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key) or self._identity() != other._identity():
            return False
        if self._public is None or other._public is None:
            return hmac.compare_digest(self._private, other._private)
        return bool(self._public == other._public)

    def _identity(self) -> tuple[str, str, str, bool, bool]:
        return self.kid, self.algorithm, self.status, self.can_sign, self.is_symmetric

    def __hash__(self) -> int:
        return hash((self.kid, self.algorithm))

    def __repr__(self) -> str:
        return f"Key({self.kid!r}, {self.algorithm!r}, status={self.status.value!r})"

    def __reduce__(self) -> Any:
        raise ConfigurationError("keys are not pickled: load the ring anew in the other process")


def _status(status: KeyStatus | str) -> KeyStatus:
    try:
        return KeyStatus(status)
    except ValueError as exc:
        msg = f"status {str(status)[:20]!r} is not known (known: {', '.join(KeyStatus)})"
        raise ConfigurationError(msg) from exc


def _checked_kid(kid: object) -> str:
    if not isinstance(kid, str) or not _KID(kid):
        raise ConfigurationError("a key id is 1 to 128 visible ASCII characters")
    return kid


def _secret_bytes(secret: Any) -> bytes:
    reveal = getattr(secret, "get_secret_value", None)
    value = reveal() if callable(reveal) else secret
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, bytes | bytearray):
        msg = f"a key is text, bytes or a SecretStr, got {type(value).__name__}"
        raise ConfigurationError(msg)
    return bytes(value)


def _load_pem(pem: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    pem = pem.strip()
    if not pem.startswith(b"-----BEGIN ") or len(pem) > _MAX_PEM:
        msg = f"a PEM document begins with '-----BEGIN ' and has at most {_MAX_PEM} bytes"
        raise ConfigurationError(msg)
    try:
        if b"PRIVATE KEY-----" in pem[:64]:
            return load_pem_private_key(pem, password=None)
        return load_pem_public_key(pem)
    except Exception as exc:  # noqa: BLE001 - parsers raise what they like
        # Not chained: some messages of parsers show what they parse.
        msg = f"the PEM document holds no key that can be read ({type(exc).__name__})"
        raise ConfigurationError(msg) from None


def _generate(spec: Algorithm, bits: int) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if spec.family == "OKP":
        return ed25519.Ed25519PrivateKey.generate()
    if spec.family == "EC":
        curves: dict[str, Any] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
        return ec.generate_private_key(curves[spec.curve]())
    if not 2048 <= bits <= 8192:
        msg = f"an RSA key has 2048 to 8192 bits, got {bits}"
        raise ConfigurationError(msg)
    return rsa.generate_private_key(65537, bits)
