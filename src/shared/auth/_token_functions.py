"""The functions over the tokens of the current runtime."""

from collections.abc import Iterable
from typing import Any

from shared.auth._token_accessors import get_token_service
from shared.auth._token_core import UserId
from shared.auth._token_events import TokenRefused
from shared.auth._token_maker import Life
from shared.auth._token_payload import TokenPayload
from shared.auth._token_profile import ACCESS, EMAIL_VERIFICATION, PASSWORD_RESET
from shared.errors import SharedError
from shared.runtime import current

__all__ = [
    "consume_email_verification_token",
    "consume_password_reset_token",
    "create_access_token",
    "create_email_verification_token",
    "create_password_reset_token",
    "create_refresh_token",
    "decode_token",
    "get_email_from_token",
    "get_user_id_from_token",
    "is_token_expired",
    "revoke_all_for_user",
    "revoke_token",
    "rotate_refresh_token",
    "verify_token",
]


def create_access_token(
    user_id: UserId,
    email: str | None = None,
    *,
    roles: Iterable[str] = (),
    permissions: Iterable[str] = (),
    expires_in: Life | None = None,
    audience: str | None = None,
    family: str | None = None,
    **claims: Any,
) -> str:
    """Return a signed access token of ``JWT_EXPIRE_MINUTES``.

    Args:
        user_id: Whose it is: text, a whole number or a UUID.
        email: Their address, if services need it.
        roles: What they are; at most 1000.
        permissions: What they may; at most 1000.
        expires_in: Another life, in seconds or as a ``timedelta``.
        audience: Who accepts it; ``JWT_AUDIENCE`` when None.
        family: Refresh family (``payload.family``) that ends with it.
        claims: More, as JSON; what the library sets itself cannot be given.

    Raises:
        InvalidArgumentError: An argument cannot be used.
        ConfigurationError: The keys are missing or must not be used.

    Example:
        >>> token = create_access_token(user_id="123", email="user@example.com")
        >>> verify_token(token)["email"]
        'user@example.com'
    """
    return get_token_service().create_access_token(
        user_id,
        email,
        roles=roles,
        permissions=permissions,
        audience=audience,
        expires_in=expires_in,
        family=family,
        **claims,
    )


def create_refresh_token(
    user_id: UserId, email: str | None = None, *, expires_in: Life | None = None, **claims: Any
) -> str:
    """Return the first refresh token of a new family, of ``JWT_REFRESH_EXPIRE_DAYS``.

    Args:
        user_id: Whose it is.
        email: Their address, kept by all successors.
        expires_in: Another life, in seconds.
        claims: More, as JSON, kept by all successors.

    Raises:
        InvalidArgumentError: An argument cannot be used.
        ServiceUnavailableError: The store does not answer.

    Example:
        >>> get_user_id_from_token(create_refresh_token("u-1"), token_type="refresh")
        'u-1'
    """
    return get_token_service().create_refresh_token(user_id, email, expires_in=expires_in, **claims)


def create_password_reset_token(
    user_id: UserId,
    email: str | None = None,
    *,
    bound_to: str | None = None,
    expires_in: Life | None = None,
) -> str:
    """Return a token that resets a password once, of ``JWT_PASSWORD_RESET_EXPIRE_MINUTES``.

    Args:
        user_id: Whose password.
        email: Where the token is sent.
        bound_to: Something that the reset changes, such as the present password hash:
            the token dies with it. Only a digest is in the token.
        expires_in: Another life, in seconds.

    Raises:
        InvalidArgumentError: An argument cannot be used.

    Example:
        >>> token = create_password_reset_token("u-1", "ada@example.com")
        >>> consume_password_reset_token(token)["user_id"]
        'u-1'
    """
    return get_token_service().create_password_reset_token(
        user_id, email, bound_to=bound_to, expires_in=expires_in
    )


def create_email_verification_token(
    user_id: UserId,
    email: str | None = None,
    *,
    bound_to: str | None = None,
    expires_in: Life | None = None,
) -> str:
    """Return a token that verifies an address once, of ``JWT_EMAIL_VERIFICATION_EXPIRE_HOURS``.

    Arguments and errors as for :func:`create_password_reset_token`.

    Example:
        >>> token = create_email_verification_token("u-1", "ada@example.com")
        >>> consume_email_verification_token(token)["email"]
        'ada@example.com'
    """
    return get_token_service().create_email_verification_token(
        user_id, email, bound_to=bound_to, expires_in=expires_in
    )


def verify_token(
    token: object, *, token_type: str = ACCESS, audience: str | None = None
) -> TokenPayload | None:
    """Return what *token* says, or None when it is not accepted for whatever reason; never raises.

    Who must know the reason calls :func:`decode_token`, or listens for
    :class:`TokenRefused` events.

    Args:
        token: As it came, of whatever type.
        token_type: What it must be for: ``"access"``, ``"refresh"``,
            ``"password_reset"``, ``"email_verification"`` or ``"gateway"``.
        audience: Whom it must be for; that of the type when None.

    Returns:
        An immutable mapping with ``user_id``, ``email`` (if given) and the claims.

    Example:
        >>> payload = verify_token(create_access_token("u-1"))
        >>> payload["user_id"], verify_token("junk"), verify_token(None)
        ('u-1', None, None)
    """
    try:
        service = get_token_service()
    except SharedError as exc:
        current().events.emit(TokenRefused(token_type, str(exc.code), exc.message))
        return None
    return service.verify(token, token_type=token_type, audience=audience)


def decode_token(token: str, *, token_type: str = ACCESS, audience: str | None = None) -> TokenPayload:
    """Return what *token* says; the twin of :func:`verify_token` that tells why not.

    Args:
        token: As it came.
        token_type: What it must be for.
        audience: Whom it must be for; that of the type when None.

    Raises:
        TokenExpiredError: Its time is over.
        TokenRevokedError: It was taken back, or used.
        InvalidTokenError: It is malformed, forged or for something else.
        ServiceUnavailableError: Whether it was taken back cannot be found out.
        ConfigurationError: The keys are missing or must not be used.

    Example:
        >>> decode_token(create_refresh_token("u-1"))
        Traceback (most recent call last):
            ...
        shared.errors.InvalidTokenError: the token is not of the type 'at+jwt': it was made for something else
    """
    return get_token_service().decode(token, token_type=token_type, audience=audience)


def get_user_id_from_token(token: object, *, token_type: str = ACCESS) -> str | None:
    """Return whose *token* it is, or None when it is not accepted; never raises.

    Example:
        >>> get_user_id_from_token(create_access_token("u-1")), get_user_id_from_token("junk")
        ('u-1', None)
    """
    payload = verify_token(token, token_type=token_type)
    return None if payload is None else payload.user_id


def get_email_from_token(token: object, *, token_type: str = ACCESS) -> str | None:
    """Return the address in *token*, or None when it has none or is not accepted; never raises.

    Example:
        >>> get_email_from_token(create_access_token("u-1", "ada@example.com"))
        'ada@example.com'
    """
    payload = verify_token(token, token_type=token_type)
    return None if payload is None else payload.email


def is_token_expired(token: object) -> bool:
    """Tell whether nothing can be done with *token* any more; never raises.

    True for an authentic token whose time is over, and for everything that is no token
    of ours. Of whatever type; revocations are not looked at.

    Example:
        >>> is_token_expired(create_access_token("u-1")), is_token_expired("junk")
        (False, True)
    """
    try:
        return get_token_service().is_expired(token)
    except SharedError:  # no keys: nothing can be done with any token
        return True


def rotate_refresh_token(token: str, *, client: str | None = None) -> str:
    """Return the successor of a refresh token, which cannot be used any more.

    Of callers that come at once, and of one that lost the answer and asks again within
    10 s, all get the same successor. Who comes later, or is another *client*, has a
    stolen token or met its thief: the whole family is revoked.

    Args:
        token: The refresh token.
        client: What tells one client from another, such as a device id.

    Raises:
        TokenReuseError: It was used before; its family is revoked now.
        TokenRevokedError: The family, or all of the user's tokens, were taken back.
        TokenExpiredError: Its time is over, or that of the family.
        InvalidTokenError: It is no refresh token of ours.
        ServiceUnavailableError: The store does not answer.

    Example:
        >>> first = create_refresh_token("u-1")
        >>> second = rotate_refresh_token(first)
        >>> rotate_refresh_token(first) == second  # the answer was lost
        True
    """
    return get_token_service().rotate_refresh_token(token, client=client)


def consume_password_reset_token(token: str, *, bound_to: str | None = None) -> TokenPayload:
    """Return what a password reset token says, and spend it.

    Args:
        token: As it came.
        bound_to: As it was when the token was made.

    Raises:
        TokenReuseError: It was used before, or revoked.
        InvalidTokenError: As :func:`decode_token`, or *bound_to* has changed.
        ServiceUnavailableError: The store does not answer.

    Example:
        >>> token = create_password_reset_token("u-1", bound_to="$2b$hash-of-now")
        >>> consume_password_reset_token(token, bound_to="$2b$hash-of-now").user_id
        'u-1'
    """
    return get_token_service().consume(token, token_type=PASSWORD_RESET, bound_to=bound_to)


def consume_email_verification_token(token: str, *, bound_to: str | None = None) -> TokenPayload:
    """Return what an e-mail verification token says, and spend it.

    Arguments and errors as for :func:`consume_password_reset_token`.

    Example:
        >>> consume_email_verification_token(create_email_verification_token("u-1")).user_id
        'u-1'
    """
    return get_token_service().consume(token, token_type=EMAIL_VERIFICATION, bound_to=bound_to)


def revoke_token(token: str) -> bool:
    """Take back a token of whatever type; a refresh token with its whole family.

    Returns:
        Whether there was anything to take back: False for a token that has expired or
        is none of ours.

    Raises:
        ServiceUnavailableError: The store does not answer.

    Example:
        >>> token = create_access_token("u-1")
        >>> revoke_token(token), verify_token(token)
        (True, None)
    """
    return get_token_service().revoke(token)


def revoke_all_for_user(user_id: UserId) -> None:
    """Take back every token that *user_id* has got until now: after a new password, or a theft.

    Tokens that are made later are not concerned.

    Raises:
        InvalidArgumentError: *user_id* cannot be one.
        ServiceUnavailableError: The store does not answer.

    Example:
        >>> token = create_access_token("u-1")
        >>> revoke_all_for_user("u-1")
        >>> verify_token(token) is None
        True
    """
    get_token_service().revoke_all_for_user(user_id)
