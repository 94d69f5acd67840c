"""Keys, tokens and password rules."""

import base64
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError

from shared.config._field import Section, setting
from shared.config._sections._common import LOWER, HttpsUrl, Origin, Path, Printable


def _is_key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip().rstrip("=").translate(_TO_STANDARD)
    try:
        size = len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError:
        size = 0
    if size != KEY_SIZE:
        raise PydanticCustomError("shared_key", "keys of 32 bytes in base64, such as k1=BASE64,k2=BASE64")
    return secret


KEY_SIZE: Final = 32
_TO_STANDARD: Final = str.maketrans("-_", "+/")
EncryptionKey = Annotated[SecretStr, AfterValidator(_is_key)]


class SecuritySettings(Section):
    """Keys, tokens and password rules: ``settings.security``.

    Example:
        >>> SecuritySettings(JWT_EXPIRE_MINUTES=15).JWT_ACCESS_TOKEN_EXPIRE_MINUTES
        15
    """

    JWT_SECRET_KEY: SecretStr | None = setting(
        None,
        "Key that signs tokens with an HS algorithm: at least 32 bytes for HS256, 48 for HS384, 64 for "
        "HS512. In development and testing an absent one is generated for the process.",
        generated=True,
    )
    JWT_PREVIOUS_SECRET_KEYS: list[SecretStr] = setting(
        [], "Earlier keys that still verify tokens while a key is rotated."
    )
    JWT_PRIVATE_KEY: SecretStr | None = setting(
        None, "PEM key that signs tokens with an RS, PS, ES or EdDSA algorithm."
    )
    JWT_PUBLIC_KEY: str | None = setting(
        None, "PEM key that verifies what JWT_PRIVATE_KEY signs.", secret=False
    )
    JWT_ALGORITHM: Literal[
        "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
        "ES256", "ES384", "ES512", "EdDSA",
    ] = setting("HS256", "Algorithm of the signatures.")  # fmt: skip
    JWT_KEYS_FILE: Printable | None = setting(
        None,
        "File of keys made by `shared keys`, read again when it changes; goes before JWT_SECRET_KEY and "
        "JWT_PRIVATE_KEY.",
        secret=False,
    )
    JWT_JWKS_URL: HttpsUrl | None = setting(
        None,
        "Address of the issuer's public keys (JWK Set), for a process that only verifies tokens.",
        secret=False,
    )
    JWT_JWKS_PATH: Path | None = setting(
        None,
        "Path of the public keys of the service, such as /.well-known/jwks.json; none publishes none.",
        secret=False,
        expects="a path that begins with /",
    )
    JWT_BACKEND: Annotated[Literal["jose", "native"], LOWER] = setting(
        "jose", "What computes signatures: the key objects of python-jose, or cryptography itself."
    )
    JWT_EXPIRE_MINUTES: int = setting(
        30,
        "Life of an access token, in minutes.",
        aliases=("JWT_ACCESS_TOKEN_EXPIRE_MINUTES",),
        ge=1,
        le=525_600,
    )
    JWT_REFRESH_EXPIRE_DAYS: int = setting(14, "Life of a refresh token, in days.", ge=1, le=3650)
    JWT_PASSWORD_RESET_EXPIRE_MINUTES: int = setting(
        60, "Life of a password reset token, in minutes.", ge=1, le=10_080
    )
    JWT_EMAIL_VERIFICATION_EXPIRE_HOURS: int = setting(
        24, "Life of an e-mail verification token, in hours.", ge=1, le=8760
    )
    JWT_ISSUER: Printable | None = setting(None, "Issuer written into tokens and demanded of them.")
    JWT_AUDIENCE: Printable | None = setting(None, "Audience written into tokens and demanded of them.")
    JWT_LEEWAY_SECONDS: float = setting(
        30.0, "Difference of clocks that is tolerated, in seconds.", ge=0, le=600
    )
    JWT_ALLOW_MISSING_KEY: bool = setting(
        False,
        "Whether production may start without a key: for a process that neither issues nor verifies tokens.",
    )
    SUPPLIER_ALLOW_PLAINTEXT: bool = setting(
        False,
        "Whether production may talk to suppliers (OPENAI_BASE_URL, AWS_ENDPOINT_URL, STORAGE_ENDPOINT_URL) "
        "over http://.",
    )
    ENCRYPTION_KEYS: dict[str, EncryptionKey] = setting(
        {}, "Keys for encryption at rest by key id, 32 bytes in base64 each; the first encrypts, all decrypt."
    )
    CSRF_SECRET_KEY: SecretStr | None = setting(
        None,
        "Key that signs CSRF tokens, at least 32 bytes. "
        "In development and testing an absent one is generated for the process.",
        generated=True,
    )
    CSRF_PROTECTION: Annotated[Literal["off", "origin", "token"], LOWER] = setting(
        "off",
        "What a request with cookies that changes something must show: nothing, that it comes from an origin "
        "of ours, or the token of its session as well.",
    )
    CSRF_SESSION_COOKIE: Printable = setting(
        "session", "Name of the cookie whose session CSRF tokens belong to."
    )
    CSRF_TRUSTED_ORIGINS: list[Origin] = setting(
        [],
        "Other origins whose pages may send requests with cookies.",
        expects="a list of origins such as https://app.example.com, separated by commas or as JSON",
    )
    CURSOR_SECRET_KEY: SecretStr | None = setting(
        None,
        "Key that signs the cursors of pages, at least 32 bytes; JWT_SECRET_KEY when absent. "
        "In development and testing an absent one is generated for the process.",
        generated=True,
    )
    CURSOR_PREVIOUS_SECRET_KEYS: list[SecretStr] = setting(
        [], "Earlier keys whose cursors are still good while CURSOR_SECRET_KEY is rotated."
    )
    API_KEY_PEPPER: SecretStr | None = setting(
        None,
        "Key that hashes API keys before they are stored, at least 32 bytes. "
        "In development and testing an absent one is generated for the process.",
        generated=True,
    )
    API_KEY_PREVIOUS_PEPPERS: list[SecretStr] = setting(
        [], "Earlier peppers under which API keys are still known while it is rotated."
    )
    AUTHENTICATORS: list[Literal["bearer", "api_key", "session", "gateway"]] = setting(
        [], "Ways to prove who one is that install() adds, in order; none when empty."
    )
    AUTH_STORE: Annotated[Literal["memory", "database", "redis"], LOWER] = setting(
        "memory",
        "Where API keys, sessions and revoked tokens are kept: in this process, in DATABASE_URL or in "
        "REDIS_URL. Several processes need one of the latter two.",
    )
    GATEWAY_SECRET_KEYS: list[SecretStr] = setting(
        [], "Secrets shared with the gateway in front, at least 32 bytes each; several during a rotation."
    )
    SESSION_IDLE_MINUTES: int = setting(
        30, "Minutes without a request after which a session ends.", ge=1, le=43_200
    )
    SESSION_ABSOLUTE_HOURS: int = setting(
        12, "Hours after which a session ends however much it is used.", ge=1, le=8760
    )
    SESSION_COOKIE_NAME: Printable = setting(
        "__Host-session", "Name of the session cookie; with __Host- no other host can plant it."
    )
    SESSION_COOKIE_INSECURE: bool = setting(
        False, "Whether the session cookie may go over http, for development; needs a name without prefix."
    )
    PASSWORD_MIN_LENGTH: int = setting(8, "Shortest password, in characters.", ge=8, le=128)
    PASSWORD_MAX_LENGTH: int = setting(256, "Longest password, in characters.", ge=64, le=1024)
    PASSWORD_REQUIRE_UPPERCASE: bool = setting(False, "Whether a password must have a capital letter.")
    PASSWORD_REQUIRE_LOWERCASE: bool = setting(False, "Whether a password must have a small letter.")
    PASSWORD_REQUIRE_DIGIT: bool = setting(False, "Whether a password must have a digit.")
    PASSWORD_REQUIRE_SPECIAL: bool = setting(False, "Whether a password must have another character.")
    PASSWORD_SCHEME: Literal["bcrypt", "bcrypt_sha256", "argon2id"] = setting(
        "bcrypt_sha256", "How passwords are hashed; argon2id needs the extra argon2."
    )
    PASSWORD_BCRYPT_ROUNDS: int = setting(
        12, "Cost of bcrypt as a power of two.", ge=4, le=18, profiles={"testing": 4}
    )

    @property
    def JWT_ACCESS_TOKEN_EXPIRE_MINUTES(self) -> int:  # noqa: N802 - the name of a variable
        """The alias of ``JWT_EXPIRE_MINUTES``, in minutes."""
        return self.JWT_EXPIRE_MINUTES
