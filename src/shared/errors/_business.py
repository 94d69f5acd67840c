"""Errors of the caller: the request cannot be carried out (4xx)."""

from typing import Any, ClassVar

from shared.constants import ErrorCode
from shared.errors._base import RetryAfterError, SharedError


class BusinessError(SharedError):
    """The request breaks a rule; repeating it unchanged will fail again."""

    code = ErrorCode.BUSINESS_ERROR
    status = 400


class BadRequestError(BusinessError):
    """The request cannot be parsed: broken JSON, wrong encoding, malformed header."""

    code = ErrorCode.BAD_REQUEST
    status = 400


class ValidationError(BusinessError):
    """The input was understood and is wrong.

    Example:
        >>> error = ValidationError(details={"errors": [{"field": "qty", "message": "must be > 0"}]})
        >>> str(error), error.status
        ('Invalid input data', 422)
    """

    code = ErrorCode.VALIDATION_ERROR
    status = 422


class AuthenticationError(BusinessError):
    """The caller is unknown: no credentials, or credentials that do not hold."""

    code = ErrorCode.AUTHENTICATION_ERROR
    status = 401

    def __init__(self, message: str | None = None, *, challenge: str = "Bearer", **kwargs: Any) -> None:
        headers = dict(kwargs.pop("headers", None) or {})
        # RFC 9110, section 11.6.1: a 401 must carry at least one challenge.
        headers.setdefault("WWW-Authenticate", challenge)
        super().__init__(message, headers=headers, **kwargs)


class AuthorizationError(BusinessError):
    """The caller is known and may not do this."""

    code = ErrorCode.AUTHORIZATION_ERROR
    status = 403


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

    code = ErrorCode.NOT_FOUND
    status = 404
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
    """No such user."""

    resource = "user"


class OrderNotFoundError(ResourceNotFoundError):
    """No such order."""

    resource = "order"


class AssetNotFoundError(ResourceNotFoundError):
    """No such asset."""

    resource = "asset"


class BalanceNotFoundError(ResourceNotFoundError):
    """No such balance."""

    resource = "balance"


class InventoryItemNotFoundError(ResourceNotFoundError):
    """No such inventory item."""

    resource = "inventory item"


class ReservationNotFoundError(ResourceNotFoundError):
    """No such reservation."""

    resource = "reservation"


class AgentNotFoundError(ResourceNotFoundError):
    """No such agent."""

    resource = "agent"


class MethodNotAllowedError(BusinessError):
    """The path exists and does not answer this method.

    Args:
        message: As in :class:`SharedError`.
        allowed: Methods the path answers; sent as ``Allow`` (RFC 9110, section 15.5.6).
    """

    code = ErrorCode.METHOD_NOT_ALLOWED
    status = 405

    def __init__(self, message: str | None = None, *, allowed: tuple[str, ...] = (), **kwargs: Any) -> None:
        headers = dict(kwargs.pop("headers", None) or {})
        if allowed:
            headers.setdefault("Allow", ", ".join(sorted(allowed)))
        super().__init__(message, headers=headers, **kwargs)


class NotAcceptableError(BusinessError):
    """No representation fits the ``Accept`` header."""

    code = ErrorCode.NOT_ACCEPTABLE
    status = 406


class ConflictError(BusinessError):
    """The present state of the resource does not allow this."""

    code = ErrorCode.CONFLICT
    status = 409


class UserAlreadyExistsError(ConflictError):
    """A user with this name or address exists."""


class InvalidStateError(ConflictError):
    """The state machine has no such transition from here."""

    code = ErrorCode.INVALID_STATE


class InsufficientBalanceError(ConflictError):
    """The balance does not cover the amount."""

    code = ErrorCode.INSUFFICIENT_BALANCE


class InsufficientStockError(ConflictError):
    """Fewer items are available than were asked for."""

    code = ErrorCode.INSUFFICIENT_STOCK


class GoneError(BusinessError):
    """The resource, or this version of the API, has been removed for good."""

    code = ErrorCode.API_VERSION_RETIRED
    status = 410


class PreconditionFailedError(BusinessError):
    """A conditional header of the request does not hold."""

    code = ErrorCode.PRECONDITION_FAILED
    status = 412


class PayloadTooLargeError(BusinessError):
    """The body is larger than the service reads."""

    code = ErrorCode.PAYLOAD_TOO_LARGE
    status = 413


class UnsupportedMediaTypeError(BusinessError):
    """The body's content type is not one the endpoint reads."""

    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    status = 415


class RateLimitError(RetryAfterError, BusinessError):
    """The caller has used up its permits.

    Example:
        >>> RateLimitError(retry_after=0.2).headers
        {'Retry-After': '1'}
    """

    code = ErrorCode.RATE_LIMIT_EXCEEDED
    status = 429
