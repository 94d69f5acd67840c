"""From a status to its error, and from a foreign exception to ours."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.constants import ErrorCode
from shared.errors._base import SharedError
from shared.errors._business import (
    AuthenticationError,
    AuthorizationError,
    BadRequestError,
    BusinessError,
    ConflictError,
    GoneError,
    MethodNotAllowedError,
    NotAcceptableError,
    PayloadTooLargeError,
    PreconditionFailedError,
    RateLimitError,
    ResourceNotFoundError,
    UnsupportedMediaTypeError,
    ValidationError,
)
from shared.errors._infrastructure import (
    DeadlineExceededError,
    ExternalServiceError,
    InfrastructureError,
    ServiceUnavailableError,
)

_BY_STATUS: Final[dict[int, type[SharedError]]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthorizationError,
    404: ResourceNotFoundError,
    405: MethodNotAllowedError,
    406: NotAcceptableError,
    409: ConflictError,
    410: GoneError,
    412: PreconditionFailedError,
    413: PayloadTooLargeError,
    415: UnsupportedMediaTypeError,
    422: ValidationError,
    429: RateLimitError,
    502: ExternalServiceError,
    503: ServiceUnavailableError,
    504: DeadlineExceededError,
}


def error_for_status(
    status: int, message: str | None = None, *, headers: Mapping[str, str] | None = None
) -> SharedError:
    """Return the error of the tree that stands for an HTTP *status*.

    Statuses without a class of their own keep their number: below 500 they
    become a :class:`BusinessError` with code ``HTTP_ERROR``, else an
    :class:`InfrastructureError`.

    Example:
        >>> error_for_status(404)
        ResourceNotFoundError('Resource not found', code='NOT_FOUND')
        >>> error_for_status(418).status
        418
    """
    known = _BY_STATUS.get(status)
    if known is not None:
        return known(message, headers=headers)
    if status == 500:
        return SharedError(message, headers=headers)
    if status < 500:
        return BusinessError(message, code=ErrorCode.HTTP_ERROR, status=status, headers=headers)
    return InfrastructureError(message, status=status, headers=headers)


class ErrorMap:
    """Turns foreign exceptions into ours; the nearest class of the MRO wins.

    A foreign class may be given by its qualified name, so that mapping
    ``"sqlalchemy.exc.IntegrityError"`` does not import SQLAlchemy. Not
    thread-safe while rules are being added; do that at start-up.

    Example:
        >>> errors = ErrorMap()
        >>> errors.register(KeyError, lambda exc: ResourceNotFoundError(cause=exc))
        >>> errors.translate(KeyError("x")).status
        404
        >>> errors.translate(ValueError("x")) is None
        True
    """

    def __init__(self) -> None:
        self._rules: dict[type[BaseException] | str, Callable[[Any], SharedError]] = {}
        self._memo: dict[type[BaseException], Callable[[Any], SharedError] | None] = {}
        self.register(ConnectionError, _unavailable)
        self.register(TimeoutError, _deadline)

    def register(
        self,
        foreign: type[BaseException] | str,
        to: type[SharedError] | Callable[[Any], SharedError],
    ) -> None:
        """Map *foreign*, a class or ``"module.QualName"``, to one of our errors.

        Args:
            foreign: What is caught; its subclasses follow unless mapped themselves.
            to: An error class, raised with its standard message so that the text of
                the foreign exception cannot leak, or a callable from exception to error.
        """
        if isinstance(to, type):
            cls = to
            self._rules[foreign] = lambda exc: cls(cause=exc)
        else:
            self._rules[foreign] = to
        self._memo.clear()

    def translate(self, exc: BaseException) -> SharedError | None:
        """Return our error for *exc* (itself when it is ours), or None when no rule fits."""
        if isinstance(exc, SharedError):
            return exc
        cls = type(exc)
        try:
            rule = self._memo[cls]
        except KeyError:
            rule = self._memo[cls] = self._find(cls)
        return None if rule is None else rule(exc)

    def _find(self, cls: type[BaseException]) -> Callable[[Any], SharedError] | None:
        for base in cls.__mro__:
            rule = self._rules.get(base) or self._rules.get(f"{base.__module__}.{base.__qualname__}")
            if rule is not None:
                return rule
        return None


def _unavailable(exc: BaseException) -> SharedError:
    return ServiceUnavailableError(cause=exc)


def _deadline(exc: BaseException) -> SharedError:
    return DeadlineExceededError(cause=exc)
