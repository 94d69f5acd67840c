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
from shared.errors._conflict import ConflictError
from shared.errors._infrastructure import (
    DeadlineExceededError,
    ExternalServiceError,
    InfrastructureError,
    InvalidArgumentError,
    ServiceUnavailableError,
)

Rule = Callable[[Any], SharedError]

_MAX_MEMO: Final = 1024

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
    ``"sqlalchemy.exc.IntegrityError"`` does not import SQLAlchemy. Knows from the
    start: ``ConnectionError`` is a :class:`ServiceUnavailableError`,
    ``TimeoutError`` a :class:`DeadlineExceededError`. Add rules at start-up;
    translating is thread-safe.

    Example:
        >>> errors = ErrorMap()
        >>> errors.register(KeyError, lambda exc: ResourceNotFoundError(cause=exc))
        >>> errors.translate(KeyError("x")).status
        404
        >>> errors.translate(ValueError("x")) is None
        True
    """

    def __init__(self) -> None:
        self._rules: dict[type[BaseException] | str, Rule] = {}
        self._memo: dict[type[BaseException], Rule | None] = {}
        self.register(ConnectionError, ServiceUnavailableError)
        self.register(TimeoutError, DeadlineExceededError)

    def register(self, foreign: type[BaseException] | str, to: type[SharedError] | Rule) -> None:
        """Map *foreign*, a class or ``"module.QualName"``, to one of our errors.

        A later rule for the same class replaces the earlier.

        Args:
            foreign: What is caught; its subclasses follow unless mapped themselves.
            to: An error class, raised with its standard message so that the text of
                the foreign exception cannot leak, or a callable from exception to error.

        Raises:
            InvalidArgumentError: *foreign* is neither an exception class nor a
                dotted name, or *to* cannot be made without arguments.

        Example:
            >>> errors = ErrorMap()
            >>> errors.register("decimal.InvalidOperation", ValidationError)
            >>> from decimal import Decimal
            >>> try:
            ...     Decimal("x")
            ... except ArithmeticError as exc:
            ...     errors.translate(exc)
            ValidationError('Invalid input data', code='VALIDATION_ERROR')
        """
        self._rules[_checked(foreign)] = _rule(to) if isinstance(to, type) else to
        self._memo = {}

    def translate(self, exc: BaseException) -> SharedError | None:
        """Return our error for *exc* (itself when it is ours), or None when no rule fits.

        Example:
            >>> ErrorMap().translate(ConnectionResetError("peer"))
            ServiceUnavailableError('Service temporarily unavailable', code='SERVICE_UNAVAILABLE')
        """
        if isinstance(exc, SharedError):
            return exc
        cls = type(exc)
        try:
            rule = self._memo[cls]
        except KeyError:
            rule = self._remember(cls)
        return None if rule is None else rule(exc)

    def _remember(self, cls: type[BaseException]) -> Rule | None:
        memo = self._memo  # register() replaces it: a rule found before then is not kept
        rule = self._find(cls)
        if len(memo) >= _MAX_MEMO:  # classes made at run time must not pile up
            memo.clear()
        memo[cls] = rule
        return rule

    def _find(self, cls: type[BaseException]) -> Rule | None:
        for base in cls.__mro__:
            rule = self._rules.get(base) or self._rules.get(f"{base.__module__}.{base.__qualname__}")
            if rule is not None:
                return rule
        return None


def _checked(foreign: Any) -> type[BaseException] | str:
    if isinstance(foreign, str):
        if all(part.isidentifier() for part in foreign.split(".")) and "." in foreign:
            return foreign
    elif isinstance(foreign, type) and issubclass(foreign, BaseException):
        return foreign
    msg = (
        f"foreign must be an exception class or its dotted name, such as 'builtins.KeyError', got {foreign!r}"
    )
    raise InvalidArgumentError(msg)


def _rule(cls: type[SharedError]) -> Rule:
    """Return the rule that makes *cls*, having tried it once."""
    try:
        usable = issubclass(cls, SharedError)
        cls(cause=None)
    except TypeError:
        usable = False
    if not usable:
        msg = f"to must be one of our errors that needs no argument, or a callable, got {cls.__qualname__}"
        raise InvalidArgumentError(msg)
    return lambda exc: cls(cause=exc)
