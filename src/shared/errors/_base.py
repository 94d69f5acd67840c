"""The root of the error tree."""

import math
import pickle
from collections.abc import Mapping
from copy import copy
from typing import Any, Self

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

    Errors pickle and copy with all of their data, so they cross processes. A cause
    that cannot be pickled is replaced by a note that names its class.

    Example:
        >>> error = SharedError("disk is full: 0 bytes left", details={"path": "/data"})
        >>> error.code, error.status, error.to_dict()["details"]
        (<ErrorCode.INTERNAL_ERROR: 'INTERNAL_ERROR'>, 500, {'path': '/data'})
    """

    # Where users import the tree from: tracebacks read better, and a pickle does not
    # depend on the private module a class happens to live in.
    __module__ = "shared.errors"

    code: str = ErrorCode.INTERNAL_ERROR
    status: int = 500
    retryable: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("shared.errors."):
            cls.__module__ = "shared.errors"

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
            message = self._standard_message()
        super().__init__(message)
        self.message: str = message
        self.details: dict[str, Any] = dict(details) if details else {}
        self.headers: dict[str, str] = dict(headers) if headers else {}
        if cause is not None:
            self.__cause__ = cause

    def _standard_message(self) -> str:
        """Return the message of the code, or of the nearest class whose code has one."""
        codes = (self.code, *(vars(base).get("code") for base in type(self).__mro__))
        return next(ERROR_MESSAGES[code] for code in codes if code in ERROR_MESSAGES)  # type: ignore[index]

    def to_dict(self) -> dict[str, Any]:
        """Return the ``error`` object of the envelope.

        Returns:
            ``{"code": str, "message": str, "details": dict}``, in this order.

        Example:
            >>> SharedError("disk is full").to_dict()
            {'code': 'INTERNAL_ERROR', 'message': 'disk is full', 'details': {}}
        """
        return {"code": str(self.code), "message": self.message, "details": dict(self.details)}

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={str(self.code)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses have their own signatures, so calling them with args, as
        # Exception does, would fail; the state is complete without __init__.
        cause, state = self.__cause__, self.__dict__.copy()
        if cause is not None and not _is_picklable(cause):
            note = f"caused by {type(cause).__module__}.{type(cause).__qualname__}"
            state["__notes__"] = [*state.get("__notes__", ()), note]
            cause = None
        # A method of the class: the pickle then names nothing private of this package.
        return self._restored, (self.args, state, cause)

    def __copy__(self) -> Self:
        state = {name: copy(value) for name, value in self.__dict__.items()}
        return self._restored(self.args, state, self.__cause__)

    @classmethod
    def _restored(cls, args: tuple[Any, ...], state: dict[str, Any], cause: BaseException | None) -> Self:
        error = cls.__new__(cls)
        error.args = args
        error.__dict__.update(state)
        if cause is not None:
            error.__cause__ = cause
        return error


def _is_picklable(exc: BaseException) -> bool:
    """Tell whether *exc* survives the way to another process; many foreign ones do not."""
    try:
        pickle.loads(pickle.dumps(exc))  # noqa: S301 - our own bytes of a moment ago
    except Exception:  # noqa: BLE001 - a foreign class fails in its own way
        return False
    return True


def with_header(headers: Mapping[str, str] | None, name: str, value: str) -> dict[str, str]:
    """Return *headers* with *name* added unless it is there, in whatever case."""
    found = dict(headers or {})
    if name.lower() not in map(str.lower, found):
        found[name] = value
    return found


class RetryAfterError(SharedError):
    """Adds ``retry_after`` to errors that pass with time.

    Args:
        message: As in :class:`SharedError`.
        retry_after: Seconds until a retry makes sense; sent rounded up, at least 1.
            Not sent when it is not finite.
        kwargs: As in :class:`SharedError`.
    """

    retryable: bool = True

    def __init__(
        self, message: str | None = None, *, retry_after: float | None = None, **kwargs: Any
    ) -> None:
        if retry_after is not None and math.isfinite(retry_after):
            # Rounded up: a client that waits exactly this long must succeed.
            seconds = max(1, math.ceil(retry_after))
            kwargs["headers"] = with_header(kwargs.get("headers"), "Retry-After", str(seconds))
            kwargs["details"] = {"retry_after": seconds, **(kwargs.get("details") or {})}
        super().__init__(message, **kwargs)
        self.retry_after = retry_after
