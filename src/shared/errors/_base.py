"""The root of the error tree."""

from collections.abc import Mapping
from typing import Any

from shared.constants import ERROR_MESSAGES, ErrorCode


class SharedError(Exception):
    """The root of the tree; catch it to catch everything the library raises.

    Args:
        message: What was wrong, the value, the limit, the way out. Defaults to
            the standard message of the code. Never a secret or personal data.
        code: Overrides the class's stable code.
        details: Facts for programs, safe to show to the caller of an API. Copied.
        cause: The exception that led here; becomes ``__cause__``.
        status: Overrides the HTTP status of the class, 400 to 599.
        headers: Response headers that belong to this answer, such as ``Retry-After``.
        retryable: Whether the same call may succeed later; defaults to the class's.

    Errors pickle and copy with all of their data, so they cross processes.

    Example:
        >>> error = SharedError("disk is full: 0 bytes left", details={"path": "/data"})
        >>> error.code, error.status, error.to_dict()["details"]
        (<ErrorCode.INTERNAL_ERROR: 'INTERNAL_ERROR'>, 500, {'path': '/data'})
    """

    code: str = ErrorCode.INTERNAL_ERROR
    status: int = 500
    retryable: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        cause: BaseException | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retryable: bool | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        if retryable is not None:
            self.retryable = retryable
        if message is None:
            message = ERROR_MESSAGES.get(self.code, type(self).__name__)  # type: ignore[call-overload]
        super().__init__(message)
        self.message: str = message
        self.details: dict[str, Any] = dict(details) if details else {}
        self.headers: dict[str, str] = dict(headers) if headers else {}
        if cause is not None:
            self.__cause__ = cause

    def to_dict(self) -> dict[str, Any]:
        """Return the ``error`` object of the envelope.

        Returns:
            ``{"code": str, "message": str, "details": dict}``, in this order.
        """
        return {"code": str(self.code), "message": self.message, "details": dict(self.details)}

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={str(self.code)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses have their own signatures, so calling them with args, as
        # Exception does, would fail; the state is complete without __init__.
        return _restore, (type(self), self.args, self.__dict__.copy(), self.__cause__)


def _restore(
    cls: type[SharedError],
    args: tuple[Any, ...],
    state: dict[str, Any],
    cause: BaseException | None,
) -> SharedError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    if cause is not None:
        error.__cause__ = cause
    return error


class RetryAfterError(SharedError):
    """Adds ``retry_after`` to errors that pass with time."""

    retryable = True

    def __init__(
        self, message: str | None = None, *, retry_after: float | None = None, **kwargs: Any
    ) -> None:
        """*retry_after*: seconds until a retry makes sense; sent rounded up, at least 1."""
        headers = dict(kwargs.pop("headers", None) or {})
        details = dict(kwargs.pop("details", None) or {})
        if retry_after is not None:
            # Rounded up: a client that waits exactly this long must succeed.
            seconds = max(1, -int(-retry_after // 1))
            headers.setdefault("Retry-After", str(seconds))
            details.setdefault("retry_after", seconds)
        super().__init__(message, headers=headers, details=details, **kwargs)
        self.retry_after = retry_after
