"""The signature algorithms that are accepted; each key has exactly one of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from shared.errors import ConfigurationError

__all__ = ["ALGORITHMS", "Algorithm", "algorithm_named"]

Family = Literal["HMAC", "RSA", "RSA-PSS", "EC", "OKP"]


class Algorithm(NamedTuple):
    """What there is to know of an algorithm.

    Attributes:
        name: As in the header ``alg``.
        family: What kind of key it needs.
        digest: Name of the hash; empty where the algorithm brings its own.
        size: Bytes: of the shortest HMAC key, or of one half of an EC signature, or
            of the whole one of EdDSA; 0 for RSA, where the key decides.
        curve: As in the JWK member ``crv``.
    """

    name: str
    family: Family
    digest: str
    size: int
    curve: str = ""


# Not there: "none", RSA1_5, ES256K, everything of JWE. Source: RFC 7518, section 3.1;
# RFC 8037, section 3.1; RFC 8725, section 3.2.
ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Algorithm("HS256", "HMAC", "sha256", 32),
            Algorithm("HS384", "HMAC", "sha384", 48),
            Algorithm("HS512", "HMAC", "sha512", 64),
            Algorithm("RS256", "RSA", "sha256", 0),
            Algorithm("RS384", "RSA", "sha384", 0),
            Algorithm("RS512", "RSA", "sha512", 0),
            Algorithm("PS256", "RSA-PSS", "sha256", 0),
            Algorithm("PS384", "RSA-PSS", "sha384", 0),
            Algorithm("PS512", "RSA-PSS", "sha512", 0),
            Algorithm("ES256", "EC", "sha256", 32, "P-256"),
            Algorithm("ES384", "EC", "sha384", 48, "P-384"),
            Algorithm("ES512", "EC", "sha512", 66, "P-521"),
            Algorithm("EdDSA", "OKP", "", 64, "Ed25519"),
        )
    }
)


def algorithm_named(name: object) -> Algorithm:
    """Return the algorithm *name*.

    Raises:
        ConfigurationError: It is not one of those that are accepted.
    """
    found = ALGORITHMS.get(name) if isinstance(name, str) else None
    if found is None:
        msg = f"algorithm {str(name)[:40]!r} is not accepted (known: {', '.join(ALGORITHMS)})"
        raise ConfigurationError(msg)
    return found
