"""Errors of the caller: the request cannot be carried out (4xx)."""

from typing import Any, ClassVar

from shared.constants import ErrorCode
from shared.errors._base import RetryAfterError, SharedError, with_header


class BusinessError(SharedError):
    """The request breaks a rule; repeating it unchanged will fail again.

    Example:
        >>> BusinessError("the basket is empty").status
        400
    """

    code: str = ErrorCode.BUSINESS_ERROR
    status: int = 400


class BadRequestError(BusinessError):
    """The request cannot be parsed: broken JSON, wrong encoding, malformed header.

    Example:
        >>> BadRequestError().to_dict()["message"]
        'Malformed request'
    """

    code: str = ErrorCode.BAD_REQUEST
    status: int = 400


class ValidationError(BusinessError):
    """The input was understood and is wrong.

    Example:
        >>> error = ValidationError(details={"errors": [{"field": "qty", "message": "must be > 0"}]})
        >>> str(error), error.status
        ('Invalid input data', 422)
    """

    code: str = ErrorCode.VALIDATION_ERROR
    status: int = 422


class UnsafeUrlError(ValidationError):
    """A URL from outside leads where it must not.

    Example:
        >>> UnsafeUrlError("host 'localhost' is not public").status
        422
    """

    code: str = ErrorCode.UNSAFE_URL


class AuthenticationError(BusinessError):
    """The caller is unknown: no credentials, or credentials that do not hold.

    Args:
        message: As in :class:`SharedError`; which rule failed, never the credential.
        challenge: What to send next time; becomes ``WWW-Authenticate``.
        kwargs: As in :class:`SharedError`.

    Example:
        >>> AuthenticationError("token expired 42 s ago (leeway 30 s)").headers
        {'WWW-Authenticate': 'Bearer'}
    """

    code: str = ErrorCode.AUTHENTICATION_ERROR
    status: int = 401

    def __init__(self, message: str | None = None, *, challenge: str = "Bearer", **kwargs: Any) -> None:
        # RFC 9110, section 11.6.1: a 401 must carry at least one challenge.
        kwargs["headers"] = with_header(kwargs.get("headers"), "WWW-Authenticate", challenge)
        super().__init__(message, **kwargs)


class InvalidTokenError(AuthenticationError):
    """A token that this service does not accept: malformed, forged, or made for something else.

    The challenge is that of RFC 6750, section 3.1.

    Example:
        >>> InvalidTokenError("audience is missing").headers
        {'WWW-Authenticate': 'Bearer error="invalid_token"'}
    """

    code: str = ErrorCode.INVALID_TOKEN

    def __init__(
        self, message: str | None = None, *, challenge: str = 'Bearer error="invalid_token"', **kwargs: Any
    ) -> None:
        super().__init__(message, challenge=challenge, **kwargs)


class TokenExpiredError(InvalidTokenError):
    """An authentic token whose time is over.

    Example:
        >>> TokenExpiredError("token expired 42 s ago (leeway 30 s)").status
        401
    """

    code: str = ErrorCode.TOKEN_EXPIRED


class TokenRevokedError(InvalidTokenError):
    """An authentic token that was taken back.

    Example:
        >>> str(TokenRevokedError())
        'The token was revoked'
    """

    code: str = ErrorCode.TOKEN_REVOKED


class TokenReuseError(TokenRevokedError):
    """A token for one use that was used before: somebody may have stolen it.

    Example:
        >>> str(TokenReuseError())
        'The token was used before'
    """

    code: str = ErrorCode.TOKEN_REUSED


class WebhookSignatureError(AuthenticationError):
    """A webhook was not signed by who it says, or not lately.

    Example:
        >>> WebhookSignatureError("timestamp is 400 s old, at most 300 s are accepted").status
        401
    """

    code: str = ErrorCode.WEBHOOK_SIGNATURE_INVALID

    def __init__(self, message: str | None = None, *, challenge: str = "Signature", **kwargs: Any) -> None:
        super().__init__(message, challenge=challenge, **kwargs)


class AuthorizationError(BusinessError):
    """The caller is known and may not do this.

    Example:
        >>> AuthorizationError("needs permission 'orders:refund'").status
        403
    """

    code: str = ErrorCode.AUTHORIZATION_ERROR
    status: int = 403


class CsrfError(AuthorizationError):
    """A browser sent the request on behalf of another site, or without the token of its session.

    Example:
        >>> CsrfError("Origin is 'https://evil.example'").status
        403
    """

    code: str = ErrorCode.CSRF_FAILED


class ResourceNotFoundError(BusinessError):
    """What was asked for does not exist, or not for this caller.

    Args:
        message: As in :class:`SharedError`; built from *resource* when absent.
        resource: Kind of thing, such as ``"order"``.
        resource_id: Its identifier, put into ``details`` only.

    Example:
        >>> error = ResourceNotFoundError(resource="order", resource_id="o-1")
        >>> str(error), error.details
        ('order not found', {'resource': 'order', 'id': 'o-1'})
    """

    code: str = ErrorCode.NOT_FOUND
    status: int = 404
    resource: ClassVar[str | None] = None

    def __init__(
        self,
        message: str | None = None,
        *,
        resource: str | None = None,
        resource_id: object = None,
        **kwargs: Any,
    ) -> None:
        kind = resource or self.resource
        details = dict(kwargs.pop("details", None) or {})
        if kind is not None:
            details.setdefault("resource", kind)
            message = message or f"{kind} not found"
        if resource_id is not None:
            details.setdefault("id", str(resource_id))
        super().__init__(message, details=details, **kwargs)


class UserNotFoundError(ResourceNotFoundError):
    """No such user.

    Example:
        >>> UserNotFoundError(resource_id="u-7").to_dict()
        {'code': 'NOT_FOUND', 'message': 'user not found', 'details': {'resource': 'user', 'id': 'u-7'}}
    """

    resource: ClassVar[str | None] = "user"


class OrderNotFoundError(ResourceNotFoundError):
    """No such order.

    Example:
        >>> str(OrderNotFoundError())
        'order not found'
    """

    resource: ClassVar[str | None] = "order"


class AssetNotFoundError(ResourceNotFoundError):
    """No such asset.

    Example:
        >>> str(AssetNotFoundError())
        'asset not found'
    """

    resource: ClassVar[str | None] = "asset"


class BalanceNotFoundError(ResourceNotFoundError):
    """No such balance.

    Example:
        >>> str(BalanceNotFoundError())
        'balance not found'
    """

    resource: ClassVar[str | None] = "balance"


class InventoryItemNotFoundError(ResourceNotFoundError):
    """No such inventory item.

    Example:
        >>> str(InventoryItemNotFoundError())
        'inventory item not found'
    """

    resource: ClassVar[str | None] = "inventory item"


class ReservationNotFoundError(ResourceNotFoundError):
    """No such reservation.

    Example:
        >>> str(ReservationNotFoundError())
        'reservation not found'
    """

    resource: ClassVar[str | None] = "reservation"


class AgentNotFoundError(ResourceNotFoundError):
    """No such agent.

    Example:
        >>> str(AgentNotFoundError())
        'agent not found'
    """

    resource: ClassVar[str | None] = "agent"


class ObjectNotFoundError(ResourceNotFoundError):
    """No such object in the storage.

    Example:
        >>> str(ObjectNotFoundError())
        'object not found'
    """

    resource: ClassVar[str | None] = "object"


class MethodNotAllowedError(BusinessError):
    """The path exists and does not answer this method.

    Args:
        message: As in :class:`SharedError`.
        allowed: Methods the path answers; sent as ``Allow`` (RFC 9110, section 15.5.6).

    Example:
        >>> MethodNotAllowedError(allowed=("POST", "GET")).headers
        {'Allow': 'GET, POST'}
    """

    code: str = ErrorCode.METHOD_NOT_ALLOWED
    status: int = 405

    def __init__(self, message: str | None = None, *, allowed: tuple[str, ...] = (), **kwargs: Any) -> None:
        if allowed:
            kwargs["headers"] = with_header(kwargs.get("headers"), "Allow", ", ".join(sorted(allowed)))
        super().__init__(message, **kwargs)


class NotAcceptableError(BusinessError):
    """No representation fits the ``Accept`` header.

    Example:
        >>> NotAcceptableError("only application/json is served").status
        406
    """

    code: str = ErrorCode.NOT_ACCEPTABLE
    status: int = 406


class GoneError(BusinessError):
    """The resource existed and has been removed for good.

    Example:
        >>> GoneError("report 'r-1' was deleted on 2026-11-01").status
        410
    """

    code: str = ErrorCode.GONE
    status: int = 410


class ApiVersionRetiredError(GoneError):
    """This version of the API has been switched off.

    Example:
        >>> str(ApiVersionRetiredError().code)
        'API_VERSION_RETIRED'
    """

    code: str = ErrorCode.API_VERSION_RETIRED


class PreconditionFailedError(BusinessError):
    """A conditional header of the request does not hold.

    Example:
        >>> PreconditionFailedError("If-Match does not hold").status
        412
    """

    code: str = ErrorCode.PRECONDITION_FAILED
    status: int = 412


class PayloadTooLargeError(BusinessError):
    """The body is larger than the service reads.

    Example:
        >>> PayloadTooLargeError("body of 2 MiB, at most 1 MiB is read").status
        413
    """

    code: str = ErrorCode.PAYLOAD_TOO_LARGE
    status: int = 413


class UnsupportedMediaTypeError(BusinessError):
    """The body's content type is not one the endpoint reads.

    Example:
        >>> UnsupportedMediaTypeError("text/xml is not read, send application/json").status
        415
    """

    code: str = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    status: int = 415


class RateLimitError(RetryAfterError, BusinessError):
    """The caller has used up its permits.

    Example:
        >>> RateLimitError(retry_after=0.2).headers
        {'Retry-After': '1'}
    """

    code: str = ErrorCode.RATE_LIMIT_EXCEEDED
    status: int = 429
