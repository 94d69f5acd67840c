"""What suppliers refuse, and what is not known there (4xx)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from shared.constants import ErrorCode
from shared.errors._business import BusinessError, ResourceNotFoundError


class EmailRefusedError(BusinessError):
    """The message or its recipients were refused for good; trying again changes nothing.

    Args:
        message: As in :class:`SharedError`.
        refused: Addresses that were refused and the server's codes. Personal data: an
            attribute for the program, in neither the text nor ``details``.
        **kwargs: As in :class:`SharedError`.

    Example:
        >>> error = EmailRefusedError("1 of 2 was refused", refused={"ada@example.com": "550 5.1.1"})
        >>> error.status, error.details, list(error.refused.values())
        (422, {}, ['550 5.1.1'])
    """

    code: str = ErrorCode.EMAIL_REFUSED
    status: int = 422

    def __init__(
        self, message: str | None = None, *, refused: Mapping[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(message, **kwargs)
        self.refused: dict[str, str] = dict(refused or {})


class PaymentDeclinedError(BusinessError):
    """The means of payment was declined; ``details["decline_code"]`` says why, when known.

    Example:
        >>> PaymentDeclinedError(details={"decline_code": "insufficient_funds"}).status
        402
    """

    code: str = ErrorCode.PAYMENT_DECLINED
    status: int = 402


class PaymentNotFoundError(ResourceNotFoundError):
    """No such payment.

    Example:
        >>> PaymentNotFoundError().details
        {'resource': 'payment'}
    """

    resource: ClassVar[str | None] = "payment"
