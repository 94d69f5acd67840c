"""Errors of the caller who came at the wrong moment (409)."""

from shared.constants import ErrorCode
from shared.errors._business import BusinessError


class ConflictError(BusinessError):
    """The present state of the resource does not allow this.

    Example:
        >>> ConflictError("order 'o-7' was changed by somebody else").code
        <ErrorCode.CONFLICT: 'CONFLICT'>
    """

    code: str = ErrorCode.CONFLICT
    status: int = 409


class LockTimeoutError(ConflictError):
    """Somebody else holds the lock, for longer than the caller was ready to wait.

    Example:
        >>> LockTimeoutError("lock 'user:7' was not free within 2.0 s").retryable
        True
    """

    code: str = ErrorCode.LOCK_TIMEOUT
    retryable: bool = True


class LockLostError(ConflictError):
    """The lock was held and is not any more: it was not renewed in time, or its store forgot it.

    Example:
        >>> LockLostError("lock 'reports' was lost").status
        409
    """

    code: str = ErrorCode.LOCK_LOST
    retryable: bool = True


class TransactionConflictError(ConflictError):
    """Somebody else changed the same data at the same time; the same call may succeed later.

    Example:
        >>> TransactionConflictError("row changed since it was read").retryable
        True
    """

    code: str = ErrorCode.TRANSACTION_CONFLICT
    retryable: bool = True


class UserAlreadyExistsError(ConflictError):
    """A user with this name or address exists.

    Example:
        >>> isinstance(UserAlreadyExistsError("the name is taken"), ConflictError)
        True
    """


class InvalidStateError(ConflictError):
    """The state machine has no such transition from here.

    Example:
        >>> str(InvalidStateError("order 'o-7' is shipped and cannot be cancelled").code)
        'INVALID_STATE'
    """

    code: str = ErrorCode.INVALID_STATE


class InsufficientBalanceError(ConflictError):
    """The balance does not cover the amount.

    Example:
        >>> InsufficientBalanceError(details={"missing": "12.50"}).to_dict()["message"]
        'Insufficient balance'
    """

    code: str = ErrorCode.INSUFFICIENT_BALANCE


class InsufficientStockError(ConflictError):
    """Fewer items are available than were asked for.

    Example:
        >>> InsufficientStockError(details={"asked": 3, "available": 1}).status
        409
    """

    code: str = ErrorCode.INSUFFICIENT_STOCK


class WebhookReplayError(ConflictError):
    """This delivery was accepted before; answer it with 200, so that the supplier stops.

    Example:
        >>> WebhookReplayError().status
        409
    """

    code: str = ErrorCode.WEBHOOK_REPLAYED
