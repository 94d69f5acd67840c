"""The kinds of tokens and what each may be: one can never be taken for another.

Source: RFC 8725, sections 3.11 and 3.12; RFC 9068, section 2.1 (``at+jwt``).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Self

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.config import SecuritySettings

__all__ = [
    "ACCESS",
    "EMAIL_VERIFICATION",
    "PASSWORD_RESET",
    "REFRESH",
    "TokenOptions",
    "TokenProfile",
    "profiles_of",
    "seconds",
]

ACCESS: Final = "access"
REFRESH: Final = "refresh"
PASSWORD_RESET: Final = "password_reset"  # noqa: S105 - a kind of tokens
EMAIL_VERIFICATION: Final = "email_verification"

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_NAME: Final = "shared"
_FAMILY_LIFE: Final = 90 * _DAY


@dataclass(frozen=True, slots=True)
class TokenProfile:
    """A kind of tokens.

    Attributes:
        name: As in ``token_type=``.
        typ: Exactly the header ``typ``.
        audience: The claim ``aud`` when none is given.
        life: Seconds from ``iat`` to ``exp`` when none are given.
        max_life: Seconds above which a token is not made, and not accepted.
        is_single_use: Whether it is spent by ``consume``.

    Example:
        >>> profiles_of(TokenOptions())["refresh"].typ
        'rt+jwt'
    """

    name: str
    typ: str
    audience: str
    life: float
    max_life: float
    is_single_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOptions:
    """How tokens are made and judged. All times are seconds.

    Attributes:
        issuer: The claim ``iss``, written and demanded.
        audience: The claim ``aud`` of access tokens; the other kinds have
            ``<audience>/<kind>``.
        access_life: Of an access token.
        refresh_life: Of a refresh token, anew with each rotation.
        family_life: From the first refresh token to the end of its last successor.
        password_reset_life: Of a password reset token.
        email_verification_life: Of an e-mail verification token.
        gateway_life: Of a gateway's token.
        leeway: Difference of clocks that is tolerated, 0 to 600.
        reuse_grace: Time in which the same client gets the same successor of a refresh
            token again, because it lost the answer; 0 to 300.
        cache_size: Access tokens whose signature is not checked again; 0 for none.
        cache_life: Time for which one is not.
        on_store_failure: What happens to access tokens when revocations cannot be asked
            for: ``"refuse"`` (503) or ``"accept"``. The other kinds are always refused.

    Raises:
        ConfigurationError: A value is out of range.

    Example:
        >>> TokenOptions(access_life=300.0).issuer
        'shared'
    """

    issuer: str = _NAME
    audience: str = _NAME
    access_life: float = 30 * _MINUTE
    refresh_life: float = 14 * _DAY
    family_life: float = _FAMILY_LIFE
    password_reset_life: float = _HOUR
    email_verification_life: float = _DAY
    gateway_life: float = _MINUTE
    leeway: float = 30.0
    reuse_grace: float = 10.0
    cache_size: int = 4096
    cache_life: float = _MINUTE
    on_store_failure: Literal["refuse", "accept"] = "refuse"

    def __post_init__(self) -> None:
        for name in ("issuer", "audience"):
            value = getattr(self, name)
            if not isinstance(value, str) or not 1 <= len(value) <= 200 or not value.isprintable():
                msg = f"{name} must be 1 to 200 printable characters"
                raise ConfigurationError(msg)
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                msg = f"{name} must be {low:g} to {high:g} seconds, got {value!r}"
                raise ConfigurationError(msg)
        if self.family_life < self.refresh_life:
            msg = f"family_life ({self.family_life:g} s) is below refresh_life ({self.refresh_life:g} s)"
            raise ConfigurationError(msg)
        if type(self.cache_size) is not int or not 0 <= self.cache_size <= 1_000_000:
            msg = f"cache_size must be 0 to 1000000 tokens, got {self.cache_size!r}"
            raise ConfigurationError(msg)
        if self.on_store_failure not in ("refuse", "accept"):
            msg = f"on_store_failure must be 'refuse' or 'accept', got {self.on_store_failure!r}"
            raise ConfigurationError(msg)

    @classmethod
    def from_settings(cls, section: "SecuritySettings") -> Self:
        """Return the options that ``settings.security`` asks for.

        Example:
            >>> from shared.config import SecuritySettings
            >>> TokenOptions.from_settings(SecuritySettings(JWT_EXPIRE_MINUTES=5)).access_life
            300.0
        """
        refresh = section.JWT_REFRESH_EXPIRE_DAYS * _DAY
        return cls(
            issuer=section.JWT_ISSUER or _NAME,
            audience=section.JWT_AUDIENCE or _NAME,
            access_life=section.JWT_EXPIRE_MINUTES * _MINUTE,
            refresh_life=refresh,
            family_life=max(refresh, _FAMILY_LIFE),
            password_reset_life=section.JWT_PASSWORD_RESET_EXPIRE_MINUTES * _MINUTE,
            email_verification_life=section.JWT_EMAIL_VERIFICATION_EXPIRE_HOURS * _HOUR,
            leeway=section.JWT_LEEWAY_SECONDS,
        )

    @property
    def longest_life(self) -> float:
        """Seconds after which no token of today can be valid."""
        return max(profile.max_life for profile in profiles_of(self).values()) + self.leeway


_YEARS: Final = 3650 * _DAY
_RANGES: Final = (
    ("access_life", 1.0, _YEARS),
    ("refresh_life", 1.0, _YEARS),
    ("family_life", 1.0, _YEARS),
    ("password_reset_life", 1.0, 7 * _DAY),
    ("email_verification_life", 1.0, _YEARS),
    ("gateway_life", 1.0, 300.0),
    ("leeway", 0.0, 600.0),
    ("reuse_grace", 0.0, 300.0),
    ("cache_life", 0.0, 300.0),
)


def profiles_of(options: TokenOptions) -> Mapping[str, TokenProfile]:
    """Return the kinds of tokens by name."""
    base = options.audience
    access, refresh, reset = options.access_life, options.refresh_life, options.password_reset_life
    email, gateway = options.email_verification_life, options.gateway_life
    found = (
        TokenProfile(ACCESS, "at+jwt", base, access, max(_DAY, access)),
        TokenProfile(REFRESH, "rt+jwt", f"{base}/refresh", refresh, options.family_life),
        TokenProfile(
            PASSWORD_RESET, "reset+jwt", f"{base}/password-reset", reset, max(_DAY, reset), is_single_use=True
        ),
        TokenProfile(
            EMAIL_VERIFICATION, "verify+jwt", f"{base}/email", email, max(7 * _DAY, email), is_single_use=True
        ),
        TokenProfile("gateway", "gw+jwt", f"{base}/gateway", gateway, max(_MINUTE, gateway)),
    )
    return MappingProxyType({each.name: each for each in found})


def seconds(value: object, what: str) -> float:
    """Return *value*, a number of seconds or a ``timedelta``, as seconds above 0.

    Raises:
        ConfigurationError: It is neither, or not above 0.
    """
    total = getattr(value, "total_seconds", None)
    number = total() if callable(total) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
        msg = f"{what} must be seconds above 0, got {value!r}"
        raise ConfigurationError(msg)
    return float(number)
