"""The rules that the claims of a token are held to. Pure: the moment comes in.

Source: RFC 7519, section 4.1; RFC 8725, sections 3.8 to 3.12; RFC 9068, section 4.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from shared.auth._token_profile import TokenOptions, TokenProfile
from shared.errors import InvalidTokenError, TokenExpiredError

__all__ = ["RESERVED", "check_claims", "check_content", "check_times", "is_text"]

_MAX_TEXT: Final = 255
_MAX_TIME: Final = 253_402_300_800.0  # the end of the year 9999, in seconds since 1970
_MAX_LIST: Final = 1000

#: Claims that a caller cannot set by name: the library answers for them.
RESERVED: Final = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "typ", "its", "user_id", "fid", "gen", "fex", "bnd"}
)


def check_claims(
    claims: Mapping[str, Any],
    profile: TokenProfile,
    options: TokenOptions,
    *,
    audience: str | None,
    now: float,
) -> None:
    """Refuse claims that break a rule of *profile*.

    Raises:
        TokenExpiredError: The token's time is over.
        InvalidTokenError: Everything else.
    """
    for name in ("sub", "jti"):
        _check_text(claims, name)
    if claims.get("iss") != options.issuer:
        raise InvalidTokenError("the token is from another issuer")
    _check_audience(claims.get("aud"), audience or profile.audience)
    check_content(claims)
    check_times(claims, profile.max_life, options.leeway, now)
    if profile.name == "refresh":
        _check_family(claims)


def check_times(claims: Mapping[str, Any], max_life: float, leeway: float, now: float) -> None:
    """Refuse claims whose times are malformed, in the future, too far apart, or over.

    Raises:
        TokenExpiredError: The token's time is over.
        InvalidTokenError: Everything else.
    """
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    if "its" in claims and not issued <= _time(claims, "its") < issued + 1:
        raise InvalidTokenError("the token's 'its' must be its 'iat' with the part of the second")
    if not issued < expires <= issued + max_life:
        msg = f"the token's life is not above 0 and at most {max_life:g} s"
        raise InvalidTokenError(msg)
    if now < max(issued, begins) - leeway:
        wait = max(issued, begins) - now
        msg = f"the token is valid only in {wait:.0f} s (leeway {leeway:g} s)"
        raise InvalidTokenError(msg)
    if now >= expires + leeway:
        msg = f"the token expired {now - expires:.0f} s ago (leeway {leeway:g} s)"
        raise TokenExpiredError(msg)


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # True is an int to Python; a text is a number to some libraries. Here neither is.
    if type(value) not in (int, float) or not 0 <= value < _MAX_TIME or not math.isfinite(value):  # type: ignore[operator,arg-type]
        msg = f"the token's {name!r} must be a number of seconds since 1970"
        raise InvalidTokenError(msg)
    return value  # type: ignore[return-value]


def is_text(value: object) -> bool:
    """Tell whether *value* may be an id: 1 to 255 printable characters."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable()


def _check_text(claims: Mapping[str, Any], name: str) -> None:
    if not is_text(claims.get(name)):
        msg = f"the token's {name!r} must be 1 to {_MAX_TEXT} printable characters"
        raise InvalidTokenError(msg)


def _check_audience(found: object, wanted: str) -> None:
    several = found if isinstance(found, list) else [found]
    if not 1 <= len(several) <= _MAX_LIST or not all(isinstance(each, str) for each in several):
        raise InvalidTokenError("the token's 'aud' must be text or a list of it")
    if wanted not in several:
        raise InvalidTokenError("the token is for another audience")


def check_content(claims: Mapping[str, Any]) -> None:
    """Refuse what the library itself reads out of a token and is not what it should be.

    Raises:
        InvalidTokenError: It is not.
    """
    email = claims.get("email")
    if email is not None and not is_text(email):
        raise InvalidTokenError("the token's 'email' must be 1 to 255 printable characters")
    for name in ("roles", "permissions"):
        values = claims.get(name, [])
        if not isinstance(values, list | tuple) or len(values) > _MAX_LIST or not all(map(is_text, values)):
            msg = f"the token's {name!r} must be a list of at most {_MAX_LIST} texts"
            raise InvalidTokenError(msg)
    for name in ("fid", "bnd"):
        if name in claims:
            _check_text(claims, name)


def _check_family(claims: Mapping[str, Any]) -> None:
    _check_text(claims, "fid")
    generation = claims.get("gen")
    if type(generation) is not int or not 0 <= generation < 1 << 53:
        raise InvalidTokenError("the token's 'gen' must be a whole number")
    _time(claims, "fex")
