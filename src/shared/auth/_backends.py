"""Who computes signatures: python-jose's key objects, or ``cryptography`` itself.

Both do the same under the same tests. Of python-jose only the key objects are used:
its decoder trusts the header, takes padded signatures and lets foreign exceptions out.
"""

import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from shared.auth._key import Key
from shared.errors import ConfigurationError

__all__ = ["BACKENDS", "JoseBackend", "NativeBackend", "SignatureBackend", "backend_named"]

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class SignatureBackend(Protocol):
    """Computes and checks signatures; it decides nothing.

    Example:
        >>> backend: SignatureBackend = NativeBackend()
    """

    def signer(self, key: Key) -> Sign:
        """Return the function from data to signature."""

    def verifier(self, key: Key) -> Verify:
        """Return the function from data and signature to whether it holds; it never raises."""


class NativeBackend:
    """Signatures by ``hmac`` and ``cryptography``; knows every algorithm.

    Example:
        >>> key, backend = Key.generate("EdDSA"), NativeBackend()
        >>> backend.verifier(key)(b"data", backend.signer(key)(b"data"))
        True
    """

    def signer(self, key: Key) -> Sign:
        """Return the function from data to signature.

        Example:
            >>> len(NativeBackend().signer(Key.generate("HS256"))(b"data"))
            32
        """
        return _NATIVE[key.spec.family][0](key)

    def verifier(self, key: Key) -> Verify:
        """Return the function from data and signature to whether it holds; it never raises.

        Example:
            >>> NativeBackend().verifier(Key.generate("ES256"))(b"data", b"forged")
            False
        """
        return _NATIVE[key.spec.family][1](key)


class JoseBackend:
    """Signatures by the key objects of python-jose, which has no PS and no EdDSA: those are native.

    Example:
        >>> key, backend = Key.generate("ES256"), JoseBackend()
        >>> NativeBackend().verifier(key)(b"data", backend.signer(key)(b"data"))
        True
    """

    def signer(self, key: Key) -> Sign:
        """Return the function from data to signature.

        Example:
            >>> len(JoseBackend().signer(Key.generate("ES256"))(b"data"))
            64
        """
        if key.spec.family in _ONLY_NATIVE:
            return NativeBackend().signer(key)
        sign: Sign = _jose_key(key, private=True).sign
        return sign

    def verifier(self, key: Key) -> Verify:
        """Return the function from data and signature to whether it holds; it never raises.

        Example:
            >>> JoseBackend().verifier(Key.generate("HS256"))(b"data", b"forged")
            False
        """
        if key.spec.family in _ONLY_NATIVE:
            return NativeBackend().verifier(key)
        verify = _jose_key(key, private=False).verify

        def holds(data: bytes, signature: bytes) -> bool:
            try:
                return verify(data, signature) is True
            except Exception:  # noqa: BLE001 - a signature it cannot even read does not hold
                return False

        return holds


_ONLY_NATIVE: Final = frozenset({"RSA-PSS", "OKP"})

BACKENDS: Final[Mapping[str, SignatureBackend]] = MappingProxyType(
    {"jose": JoseBackend(), "native": NativeBackend()}
)


def backend_named(backend: str | SignatureBackend) -> SignatureBackend:
    """Return the backend called ``"jose"`` or ``"native"``, or the one given.

    Raises:
        ConfigurationError: There is none of that name.
    """
    if not isinstance(backend, str):
        return backend
    if backend not in BACKENDS:
        msg = f"signature backend {backend!r} is not known (known: {', '.join(BACKENDS)})"
        raise ConfigurationError(msg)
    return BACKENDS[backend]


def _jose_key(key: Key, *, private: bool) -> Any:
    from jose import jwk

    # Material that was checked by us, as an object: nothing is left for it to guess.
    return jwk.construct(key.material(private=private), key.algorithm)


# --- native ------------------------------------------------------------------------------------


def _hmac_signer(key: Key) -> Sign:
    secret, digest = key.material(private=True), key.spec.digest

    def sign(data: bytes) -> bytes:
        return hmac.digest(secret, data, digest)

    return sign


def _hmac_verifier(key: Key) -> Verify:
    secret, digest = key.material(private=True), key.spec.digest

    def holds(data: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, data, digest), signature)

    return holds


def _hash(key: Key) -> Any:
    from cryptography.hazmat.primitives import hashes

    kinds: dict[str, Any] = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
    return kinds[key.spec.digest]()


def _rsa_padding(key: Key) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding

    if key.spec.family == "RSA":
        return padding.PKCS1v15()
    # The salt is as long as the hash. Source: RFC 7518, section 3.5.
    return padding.PSS(mgf=padding.MGF1(_hash(key)), salt_length=padding.PSS.DIGEST_LENGTH)


def _rsa_signer(key: Key) -> Sign:
    sign, padding, digest = key.material(private=True).sign, _rsa_padding(key), _hash(key)
    return lambda data: sign(data, padding, digest)


def _rsa_verifier(key: Key) -> Verify:
    verify, padding, digest = key.material(private=False).verify, _rsa_padding(key), _hash(key)
    return _guarded(lambda data, signature: verify(signature, data, padding, digest))


def _ec_signer(key: Key) -> Sign:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    sign, method, size = key.material(private=True).sign, ec.ECDSA(_hash(key)), key.spec.size

    def raw(data: bytes) -> bytes:
        r, s = decode_dss_signature(sign(data, method))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return raw


def _ec_verifier(key: Key) -> Verify:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    verify, method, size = key.material(private=False).verify, ec.ECDSA(_hash(key)), key.spec.size

    def check(data: bytes, signature: bytes) -> None:
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        verify(encode_dss_signature(r, s), data, method)

    holds = _guarded(check)
    # Source: RFC 7518, section 3.4 (two numbers of full length, no DER).
    return lambda data, signature: len(signature) == 2 * size and holds(data, signature)


def _okp_signer(key: Key) -> Sign:
    sign: Sign = key.material(private=True).sign
    return sign


def _okp_verifier(key: Key) -> Verify:
    verify = key.material(private=False).verify
    return _guarded(lambda data, signature: verify(signature, data))


def _guarded(check: Callable[[bytes, bytes], object]) -> Verify:
    from cryptography.exceptions import InvalidSignature

    def holds(data: bytes, signature: bytes) -> bool:
        try:
            check(data, signature)
        except (InvalidSignature, ValueError):  # ValueError: a length that cannot be
            return False
        return True

    return holds


_NATIVE: Final[Mapping[str, tuple[Callable[[Key], Sign], Callable[[Key], Verify]]]] = MappingProxyType(
    {
        "HMAC": (_hmac_signer, _hmac_verifier),
        "RSA": (_rsa_signer, _rsa_verifier),
        "RSA-PSS": (_rsa_signer, _rsa_verifier),
        "EC": (_ec_signer, _ec_verifier),
        "OKP": (_okp_signer, _okp_verifier),
    }
)
