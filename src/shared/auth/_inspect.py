"""What a token says of itself, for people."""

from typing import Any

from shared.auth import _base64
from shared.auth._json import parse_object
from shared.auth._jws import peek_header
from shared.auth._token_accessors import get_token_service
from shared.auth._token_service import TokenService
from shared.errors import InvalidTokenError, SharedError

__all__ = ["inspect_token"]


def inspect_token(token: str, *, service: TokenService | None = None) -> dict[str, Any]:
    """Return what *token* says of itself and whether any of it can be believed; for people only.

    Nothing may be decided by it but what ``accepted`` says: the rest is as the sender
    wrote it.

    Args:
        token: As it came.
        service: Which judges; that of the current runtime when None.

    Returns:
        ``{"accepted": bool, "reason": str | None, "type": str | None, "header": dict,
        "claims": dict | None}``; ``claims`` is None when they cannot be read.

    Raises:
        InvalidTokenError: It is so malformed that nothing can be shown.

    Example:
        >>> from shared.auth import create_access_token
        >>> found = inspect_token(create_access_token("u-1"))
        >>> found["accepted"], found["type"], found["claims"]["sub"]
        (True, 'access', 'u-1')
    """
    header = peek_header(token)
    data = _base64.decode(token.split(".")[1])
    claims = None if data is None else parse_object(data)
    token_type, reason = _judged(token, claims or {}, service)
    return {
        "accepted": reason is None,
        "reason": reason,
        "type": token_type,
        "header": header,
        "claims": claims,
    }


def _judged(
    token: str, claims: dict[str, Any], service: TokenService | None
) -> tuple[str | None, str | None]:
    """Return the kind of *token* and why it is refused."""
    token_type = None
    try:
        tokens = service or get_token_service()
        kinds = {profile.typ: profile for profile in tokens.profiles.values()}
        profile = kinds.get(str(peek_header(token).get("typ")))
        if profile is None:
            raise InvalidTokenError("the token is of a type that is not known here")
        token_type = profile.name
        # Whom it is for is shown, and not what is asked here.
        audience = claims.get("aud")
        tokens.decode(token, token_type=token_type, audience=audience if isinstance(audience, str) else None)
    except SharedError as exc:
        return token_type, exc.message
    return token_type, None
