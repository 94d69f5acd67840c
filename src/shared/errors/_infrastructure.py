"""Errors of the ground a request stands on (5xx)."""

from collections.abc import Iterable
from typing import Any

from shared.constants import ErrorCode
from shared.errors._base import RetryAfterError, SharedError


class InfrastructureError(SharedError):
    """Something the request stands on failed; the caller did nothing wrong.

    Example:
        >>> InfrastructureError().to_dict()["message"]
        'An internal component failed'
    """

    code: str = ErrorCode.INFRASTRUCTURE_ERROR
    status: int = 500


class ConfigurationError(InfrastructureError):
    """The settings are wrong; the message lists everything that is.

    Example:
        >>> ConfigurationError("DB_POOL_SIZE: expected an integer >= 1, got 'many'").status
        500
    """

    code: str = ErrorCode.CONFIGURATION_ERROR


class InvalidArgumentError(ConfigurationError, ValueError):
    """An argument written in the code is outside of what it may be.

    Example:
        >>> raise InvalidArgumentError("max_attempts must be >= 1, got 0")
        Traceback (most recent call last):
            ...
        shared.errors.InvalidArgumentError: max_attempts must be >= 1, got 0
    """


class FlagDocumentError(InvalidArgumentError):
    """A flag, or a document of flags, contradicts itself; it is refused whole.

    Args:
        faults: Everything that is wrong with it, one line each; also in ``details``.
        subject: What is wrong.
        kwargs: As in :class:`SharedError`.

    Attributes:
        faults: As given.

    Example:
        >>> print(FlagDocumentError(["flags.beta.rules.0: give either serve or split"]))
        flag document: flags.beta.rules.0: give either serve or split
    """

    def __init__(self, faults: Iterable[str], *, subject: str = "flag document", **kwargs: Any) -> None:
        self.faults: tuple[str, ...] = tuple(faults)
        kwargs.setdefault("details", {"faults": list(self.faults)})
        super().__init__(f"{subject}: {'; '.join(self.faults)}", **kwargs)


class UnknownFlagError(ConfigurationError):
    """A flag was asked for that nobody declared, where that is an error.

    Example:
        >>> UnknownFlagError("flag 'new_menue' is not declared").status
        500
    """


class UnsupportedCallableError(ConfigurationError, TypeError):
    """A decorator or a ``call`` was given something it cannot guard, such as a generator.

    Example:
        >>> isinstance(UnsupportedCallableError("generators cannot be retried"), TypeError)
        True
    """


class MissingDependencyError(InfrastructureError, ImportError):
    """An optional library is needed and not installed.

    Example:
        >>> print(MissingDependencyError("redis", extra="redis"))
        'redis' is not installed; run: pip install 'libs-shared[redis]'
    """

    code: str = ErrorCode.MISSING_DEPENDENCY

    def __init__(self, library: str, *, extra: str, **kwargs: Any) -> None:
        super().__init__(
            f"{library!r} is not installed; run: pip install 'libs-shared[{extra}]'",
            details={"library": library, "extra": extra},
            **kwargs,
        )
        self.name = library


class EmailTemplateError(ConfigurationError):
    """A template is missing, malformed, or uses a value it was not given; nothing was sent.

    Example:
        >>> EmailTemplateError("template 'welcome': 'name' is undefined").status
        500
    """

    code: str = ErrorCode.EMAIL_TEMPLATE_ERROR


class DatabaseError(InfrastructureError):
    """The database refused a statement, or answered with nonsense.

    Example:
        >>> DatabaseError("relation 'orders' does not exist: run the migrations").status
        500
    """

    code: str = ErrorCode.DATABASE_ERROR


class DecryptionError(InfrastructureError):
    """Protected data was changed, moved, or encrypted with a key that is gone.

    Example:
        >>> DecryptionError("key 'k1' is not in the ring").status
        500
    """

    code: str = ErrorCode.DECRYPTION_FAILED


class MigrationError(InfrastructureError):
    """A schema or data migration failed or was refused.

    Example:
        >>> MigrationError("revision 'a1b2' is not known").status
        500
    """

    code: str = ErrorCode.MIGRATION_ERROR


class WorkflowError(InfrastructureError):
    """A step of a longer workflow failed.

    Example:
        >>> str(WorkflowError("step 'charge' failed after 3 attempts").code)
        'WORKFLOW_ERROR'
    """

    code: str = ErrorCode.WORKFLOW_ERROR


class ExternalServiceError(InfrastructureError):
    """A supplier answered with an error or nonsense.

    Example:
        >>> ExternalServiceError("the carrier answered 500").retryable
        True
    """

    code: str = ErrorCode.EXTERNAL_SERVICE_ERROR
    status: int = 502
    retryable: bool = True


class AIServiceError(ExternalServiceError):
    """The AI supplier failed.

    Example:
        >>> AIServiceError().to_dict()["message"]
        'The AI service could not answer'
    """

    code: str = ErrorCode.AI_SERVICE_ERROR


class AIQuotaError(AIServiceError):
    """The account at the AI supplier is used up or not paid for: only its owner can help.

    Example:
        >>> AIQuotaError("openai refuses: insufficient_quota").retryable
        False
    """

    status: int = 503
    retryable: bool = False


class AIRateLimitError(RetryAfterError, AIServiceError):
    """The AI supplier asks to wait; the caller of this service did nothing wrong.

    Example:
        >>> AIRateLimitError(retry_after=1.5).status, AIRateLimitError(retry_after=1.5).headers
        (503, {'Retry-After': '2'})
    """

    status: int = 503


class StorageError(ExternalServiceError):
    """The object storage gave back something else than what was stored, or refused for no known reason.

    Example:
        >>> StorageError("the download of 'a.pdf' was cut off: 7 of 9 bytes came").status
        502
    """


class EmailError(ExternalServiceError):
    """An e-mail could not be handed over, or nobody knows whether it was.

    It is retryable only while it is certain that the message was not accepted.
    ``details["accepted"]`` is False then, and ``"unknown"`` when the connection was
    lost after the message had been sent.

    Example:
        >>> EmailError("the mail server closed the connection", details={"accepted": False}).retryable
        True
    """

    code: str = ErrorCode.EMAIL_ERROR


class ServiceUnavailableError(RetryAfterError, InfrastructureError):
    """The service, or something it cannot do without, is down for now.

    Example:
        >>> ServiceUnavailableError(retry_after=2.5).headers
        {'Retry-After': '3'}
    """

    code: str = ErrorCode.SERVICE_UNAVAILABLE
    status: int = 503


class FlagUnavailableError(ServiceUnavailableError):
    """A flag that protects something cannot be evaluated; going on without it would be unsafe.

    Example:
        >>> FlagUnavailableError("flag 'verify_webhooks' is required and cannot be evaluated").status
        503
    """


class BulkheadFullError(ServiceUnavailableError):
    """Too many calls are under way or waiting; this one was refused at once.

    Example:
        >>> BulkheadFullError("10 calls to 'payments' are under way, the limit").status
        503
    """

    code: str = ErrorCode.BULKHEAD_FULL


class PoolExhaustedError(ServiceUnavailableError):
    """Every connection of the pool is in use, and none came back in time.

    Example:
        >>> PoolExhaustedError("all 20 connections were in use for 5.0 s").retryable
        True
    """

    code: str = ErrorCode.POOL_EXHAUSTED


class CircuitOpenError(ServiceUnavailableError):
    """The circuit breaker refuses the call while the dependency recovers.

    Example:
        >>> CircuitOpenError("circuit 'payments' is open", retry_after=30).retry_after
        30
    """

    code: str = ErrorCode.CIRCUIT_OPEN


class DeadlineExceededError(InfrastructureError, TimeoutError):
    """The time allowed for the work has passed.

    Example:
        >>> isinstance(DeadlineExceededError("2.0 s are over"), TimeoutError)
        True
    """

    code: str = ErrorCode.DEADLINE_EXCEEDED
    status: int = 504
    retryable: bool = True
