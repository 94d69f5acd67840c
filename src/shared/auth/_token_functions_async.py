"""The functions over the tokens of the current runtime, for asynchronous code.

Those that only make a token ask no store and have no twin here.
"""

from typing import Any

from shared.auth._token_accessors import get_async_token_service
from shared.auth._token_core import UserId
from shared.auth._token_events import TokenRefused
from shared.auth._token_maker import Life
from shared.auth._token_payload import TokenPayload
from shared.auth._token_profile import ACCESS, EMAIL_VERIFICATION, PASSWORD_RESET
from shared.errors import SharedError
from shared.runtime import current

__all__ = [
    "aconsume_email_verification_token",
    "aconsume_password_reset_token",
    "acreate_refresh_token",
    "adecode_token",
    "aget_email_from_token",
    "aget_user_id_from_token",
    "arevoke_all_for_user",
    "arevoke_token",
    "arotate_refresh_token",
    "averify_token",
]


async def acreate_refresh_token(
    user_id: UserId, email: str | None = None, *, expires_in: Life | None = None, **claims: Any
) -> str:
    """Do the same as :func:`create_refresh_token` without blocking.

    Example:
        >>> import asyncio
        >>> asyncio.run(acreate_refresh_token("u-1")).count(".")
        2
    """
    service = get_async_token_service()
    return await service.create_refresh_token(user_id, email, expires_in=expires_in, **claims)


async def averify_token(
    token: object, *, token_type: str = ACCESS, audience: str | None = None
) -> TokenPayload | None:
    """Do the same as :func:`verify_token` without blocking.

    Example:
        >>> import asyncio
        >>> from shared.auth import create_access_token
        >>> asyncio.run(averify_token(create_access_token("u-1")))["user_id"]
        'u-1'
    """
    try:
        service = get_async_token_service()
    except SharedError as exc:
        current().events.emit(TokenRefused(token_type, str(exc.code), exc.message))
        return None
    return await service.verify(token, token_type=token_type, audience=audience)


async def adecode_token(token: str, *, token_type: str = ACCESS, audience: str | None = None) -> TokenPayload:
    """Do the same as :func:`decode_token` without blocking.

    Example:
        >>> import asyncio
        >>> from shared.auth import create_access_token
        >>> asyncio.run(adecode_token(create_access_token("u-1"))).user_id
        'u-1'
    """
    return await get_async_token_service().decode(token, token_type=token_type, audience=audience)


async def aget_user_id_from_token(token: object, *, token_type: str = ACCESS) -> str | None:
    """Do the same as :func:`get_user_id_from_token` without blocking.

    Example:
        >>> import asyncio
        >>> from shared.auth import create_access_token
        >>> asyncio.run(aget_user_id_from_token(create_access_token("u-1")))
        'u-1'
    """
    payload = await averify_token(token, token_type=token_type)
    return None if payload is None else payload.user_id


async def aget_email_from_token(token: object, *, token_type: str = ACCESS) -> str | None:
    """Do the same as :func:`get_email_from_token` without blocking.

    Example:
        >>> import asyncio
        >>> asyncio.run(aget_email_from_token("junk")) is None
        True
    """
    payload = await averify_token(token, token_type=token_type)
    return None if payload is None else payload.email


async def arotate_refresh_token(token: str, *, client: str | None = None) -> str:
    """Do the same as :func:`rotate_refresh_token` without blocking.

    Example:
        >>> import asyncio
        >>> async def main() -> None:
        ...     first = await acreate_refresh_token("u-1")
        ...     print(await arotate_refresh_token(first) == first)
        >>> asyncio.run(main())
        False
    """
    return await get_async_token_service().rotate_refresh_token(token, client=client)


async def aconsume_password_reset_token(token: str, *, bound_to: str | None = None) -> TokenPayload:
    """Do the same as :func:`consume_password_reset_token` without blocking.

    Example:
        >>> import asyncio
        >>> from shared.auth import create_password_reset_token
        >>> asyncio.run(aconsume_password_reset_token(create_password_reset_token("u-1"))).user_id
        'u-1'
    """
    service = get_async_token_service()
    return await service.consume(token, token_type=PASSWORD_RESET, bound_to=bound_to)


async def aconsume_email_verification_token(token: str, *, bound_to: str | None = None) -> TokenPayload:
    """Do the same as :func:`consume_email_verification_token` without blocking.

    Example:
        >>> import asyncio
        >>> from shared.auth import create_email_verification_token
        >>> asyncio.run(aconsume_email_verification_token(create_email_verification_token("u-1"))).user_id
        'u-1'
    """
    service = get_async_token_service()
    return await service.consume(token, token_type=EMAIL_VERIFICATION, bound_to=bound_to)


async def arevoke_token(token: str) -> bool:
    """Do the same as :func:`revoke_token` without blocking.

    Example:
        >>> import asyncio
        >>> asyncio.run(arevoke_token("junk"))
        False
    """
    return await get_async_token_service().revoke(token)


async def arevoke_all_for_user(user_id: UserId) -> None:
    """Do the same as :func:`revoke_all_for_user` without blocking.

    Example:
        >>> import asyncio
        >>> asyncio.run(arevoke_all_for_user("u-1"))
    """
    await get_async_token_service().revoke_all_for_user(user_id)
