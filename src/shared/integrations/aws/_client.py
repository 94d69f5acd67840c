"""Clients of Amazon's services with the region, the credentials and the limits of the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shared.errors import (
    AuthorizationError,
    ConfigurationError,
    DeadlineExceededError,
    ExternalServiceError,
    MissingDependencyError,
    RateLimitError,
    ResourceNotFoundError,
    ServiceUnavailableError,
    SharedError,
)

if TYPE_CHECKING:
    from shared.config import AWSSettings

__all__ = ["aws_client", "aws_errors"]

_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_REFUSED: Final = frozenset(
    {"InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException", "SignatureDoesNotMatch"}
    | {"UnrecognizedClientException", "AuthFailure"}
)
_THROTTLED: Final = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"})


def aws_client(service: str, settings: "AWSSettings | None" = None, *, timeout: float = 10.0) -> Any:
    """Return boto3's client of *service*, such as ``"sqs"``, as ``settings.aws`` describe it.

    Explicit keys or a profile win; without them boto3 looks where it always does: the
    process's variables, ``~/.aws``, the role of the container or the machine. Waits are
    bounded and nothing is tried twice: put ``guard(...)`` around what is called, and
    :func:`aws_errors` inside of it. Needs the extra ``aws``; the caller closes it.

    Args:
        service: boto3's name of the service.
        settings: ``settings.aws`` of the current runtime when None.
        timeout: Seconds for making a connection, and for each read.

    Raises:
        MissingDependencyError: boto3 is not installed.
        ConfigurationError: The region, the profile or the service is wrong or missing.

    Example:
        >>> from shared.config import AWSSettings
        >>> section = AWSSettings(AWS_REGION="eu-central-1", AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s")
        >>> client = aws_client("sqs", section)
        >>> client.meta.region_name, client.meta.config.retries["total_max_attempts"]
        ('eu-central-1', 1)
        >>> client.close()
    """
    try:
        import boto3  # type: ignore[import-untyped,unused-ignore]
        from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]
    except ImportError as exc:
        raise MissingDependencyError("boto3", extra="aws") from exc
    if settings is None:
        from shared.config import get_settings

        settings = get_settings().aws
    keys = {
        "aws_access_key_id": settings.AWS_ACCESS_KEY_ID,
        "aws_secret_access_key": settings.AWS_SECRET_ACCESS_KEY,
        "aws_session_token": settings.AWS_SESSION_TOKEN,
    }
    if (settings.AWS_ACCESS_KEY_ID is None) != (settings.AWS_SECRET_ACCESS_KEY is None):
        raise ConfigurationError(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both or none"
        )
    config = Config(connect_timeout=timeout, read_timeout=timeout, retries={"total_max_attempts": 1})
    with aws_errors(service):
        session = boto3.Session(
            profile_name=settings.AWS_PROFILE,
            region_name=settings.AWS_REGION,
            **{name: None if key is None else key.get_secret_value() for name, key in keys.items()},
        )
        return session.client(service, endpoint_url=settings.AWS_ENDPOINT_URL, config=config)


@contextmanager
def aws_errors(service: str) -> Iterator[None]:
    """Turn what boto3 raises in the block into our errors, without its sentences.

    Args:
        service: Names the service in the error.

    Raises:
        ConfigurationError: No credentials or no region were found, or the profile is none.
        ExternalServiceError: The credentials have expired or were refused (not
            retryable), or the service failed (retryable).
        AuthorizationError: The credentials do not allow it.
        ResourceNotFoundError: What was asked for does not exist.
        RateLimitError: Too many calls for now.
        ServiceUnavailableError: It cannot be reached.
        DeadlineExceededError: It did not answer in time.

    Example:
        >>> from botocore.exceptions import NoCredentialsError
        >>> with aws_errors("sqs"):
        ...     raise NoCredentialsError
        Traceback (most recent call last):
            ...
        shared.errors.ConfigurationError: sqs: no credentials were found: ...
    """
    try:
        import botocore.exceptions as raised  # type: ignore[import-untyped,unused-ignore]
    except ImportError as exc:
        raise MissingDependencyError("boto3", extra="aws") from exc
    try:
        yield
    except raised.ClientError as exc:
        raise _answered(service, exc) from exc
    except raised.BotoCoreError as exc:
        raise _unanswered(service, exc) from exc


def _answered(service: str, error: Any) -> SharedError:
    told = error.response.get("Error", {})
    code = str(told.get("Code", ""))[:100]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    details = {"service": service, "code": code, "status": status}
    if code in _EXPIRED:
        msg = f"{service}: the credentials of AWS have expired: renew AWS_SESSION_TOKEN or the role"
        return ExternalServiceError(msg, details=details, retryable=False)
    if code in _REFUSED:
        msg = f"{service}: the credentials of AWS were refused: check AWS_ACCESS_KEY_ID and its secret"
        return ExternalServiceError(msg, details=details, retryable=False)
    if code in _THROTTLED or status == 429:
        return RateLimitError(f"{service} takes no more calls for now", details=details)
    if "AccessDenied" in code or status == 403:
        return AuthorizationError(f"{service}: the credentials of AWS do not allow this", details=details)
    if status == 404 or code.startswith(("ResourceNotFound", "NoSuch", "ParameterNotFound")):
        return ResourceNotFoundError(f"{service}: it does not exist", details=details)
    if status == 503:
        return ServiceUnavailableError(f"{service} is not available", details=details)
    return ExternalServiceError(
        f"{service} answered {status} {code}", details=details, retryable=status >= 500
    )


def _unanswered(service: str, error: Exception) -> SharedError:
    name = type(error).__name__
    details = {"service": service}
    known = {
        "NoCredentialsError": "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or AWS_PROFILE, or give the machine a role",
        "PartialCredentialsError": "half of the credentials is missing",
        "CredentialRetrievalError": "the credentials could not be fetched",
        "ProfileNotFound": "the profile of AWS_PROFILE does not exist",
        "NoRegionError": "no region: set AWS_REGION",
        "UnknownServiceError": "boto3 knows no such service",
        "InvalidRegionError": "AWS_REGION is no region",
    }
    if name in known:
        return ConfigurationError(f"{service}: {known[name]}", details=details)
    if name in ("ConnectTimeoutError", "ReadTimeoutError"):
        return DeadlineExceededError(f"{service} did not answer in time", details=details)
    if name in ("EndpointConnectionError", "ConnectionClosedError", "ProxyConnectionError", "SSLError"):
        return ServiceUnavailableError(f"{service} cannot be reached", details=details)
    return ExternalServiceError(f"the call of {service} failed: {name}", details=details, retryable=False)
