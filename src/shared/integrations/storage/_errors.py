"""Turn what the stores say into errors of ours, without what they should not have said."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from shared.errors import (
    ConfigurationError,
    ConflictError,
    DeadlineExceededError,
    InfrastructureError,
    ObjectNotFoundError,
    PreconditionFailedError,
    ServiceUnavailableError,
    SharedError,
    StorageError,
    ValidationError,
)
from shared.security import mask_text

__all__ = ["file_errors", "missing", "object_errors", "truncated", "unmet"]

_STATUS: Final = re.compile(r"status code: (\d{3})").search
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,64})</Code>").search
_SHORT: Final = 400

# What the answer of a store repeats of the question: keys, tokens, what was signed.
_REPEATED: Final = re.compile(
    r"<(Token-\d|AWSAccessKeyId|AccessKeyId|StringToSign\w*|CanonicalRequest\w*|SignatureProvided|Signature|Details)>"
    r".*?(?:</\1>|$)",
    re.DOTALL,
)
_QUERY: Final = re.compile(
    r"(X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token))=[^&\s\"]+", re.IGNORECASE
)

_REFUSED: Final = {
    "ExpiredToken": "the session token has expired",
    "TokenRefreshRequired": "the session token has expired",
    "InvalidToken": "the session token is not valid",
    "InvalidAccessKeyId": "the access key is not known",
    "SignatureDoesNotMatch": "the secret of the access key is wrong, or the clock of this machine",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AccessDenied": "the credentials are not allowed to do this",
    "AllAccessDisabled": "the bucket is disabled",
}
_WRONG_PLACE: Final = {
    "NoSuchBucket": "the bucket does not exist",
    "InvalidBucketName": "this is no name of a bucket",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION",
    "IllegalLocationConstraintException": "the bucket is in another region: set AWS_REGION",
}


def missing(key: str) -> ObjectNotFoundError:
    """Return the error for a key without an object."""
    return ObjectNotFoundError(f"no object has the key {key!r}", details={"key": key})


def unmet(key: str, *, create: bool) -> PreconditionFailedError:
    """Return the error for a condition that does not hold."""
    why = "there is one already" if create else "it has changed since, or is gone"
    return PreconditionFailedError(f"the object {key!r} was not written: {why}", details={"key": key})


def truncated(key: str, got: int, wanted: int) -> StorageError:
    """Return the error for an object that ended early."""
    msg = f"the download of {key!r} was cut off: {got} of {wanted} bytes came"
    return StorageError(msg, details={"key": key, "received": got, "expected": wanted})


@contextmanager
def file_errors(key: str | None = None) -> Iterator[None]:
    """Let only errors of ours out of a block that works with files."""
    try:
        yield
    except SharedError:
        raise
    except OSError as exc:
        raise _of_file(exc, key) from exc


def _of_file(exc: OSError, key: str | None) -> SharedError:
    what = "the storage directory" if key is None else f"the object {key!r}"
    code = exc.errno
    name = errno.errorcode.get(code or 0, "an error")
    if code in (errno.ENOSPC, errno.EDQUOT):
        return ServiceUnavailableError(f"{what} was not written: no space is left ({name})")
    if code in (errno.ENOTDIR, errno.ELOOP, errno.EISDIR):
        msg = (
            f"{what} cannot be kept in a directory beside what is there: an object and a folder share a name"
        )
        return ConflictError(msg)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ConfigurationError(f"{what}: the directory may not be used by this process ({name})")
    if code in (errno.EMFILE, errno.ENFILE):
        return ServiceUnavailableError(f"{what}: too many files are open ({name})")
    return StorageError(f"{what}: the file system answered {name}")


@contextmanager
def object_errors(where: str, key: str | None = None, *, create: bool = False) -> Iterator[None]:
    """Let only errors of ours out of a block that calls the object store.

    Args:
        where: The masked URL, for messages.
        key: The object.
        create: Whether an unmet condition means that there is an object already.
    """
    try:
        yield
    except SharedError:
        raise
    except Exception as exc:
        from obstore.exceptions import BaseError

        if not isinstance(exc, BaseError | OSError | ValueError):
            raise
        # The text repeats what the server said, which repeats tokens: chain a copy without.
        text = str(exc)
        raise _of_object(exc, text, where, key, create=create) from _cleaned(exc, text)


def _cleaned(exc: BaseException, text: str) -> BaseException:
    """Return a copy of *exc* whose text is short and shows no secret."""
    head = text.partition("\n\nDebug source")[0]
    safe = mask_text(_QUERY.sub(r"\1=***", _REPEATED.sub(r"<\1>***</\1>", head)))[:_SHORT]
    kind: Any = type(exc)
    return kind(safe) if not isinstance(exc, UnicodeError) else ValueError(safe)


def _of_object(exc: BaseException, text: str, where: str, key: str | None, *, create: bool) -> SharedError:
    name = type(exc).__name__
    found = _CODE(text)
    code = found[1] if found else ""
    status = int(match[1]) if (match := _STATUS(text)) else 0
    if code in _WRONG_PLACE:
        return ConfigurationError(f"{where}: {_WRONG_PLACE[code]} ({code})")
    if code in _REFUSED:
        return ConfigurationError(f"{where} refuses: {_REFUSED[code]} ({code})")
    if name in {"AlreadyExistsError", "PreconditionError", "NotModifiedError"} and key is not None:
        return unmet(key, create=create)
    if isinstance(exc, FileNotFoundError) and key is not None:
        return missing(key)
    if status in (401, 403) or name in {"PermissionDeniedError", "UnauthenticatedError"}:
        return ConfigurationError(f"{where} refuses the credentials ({code or status or name})")
    return _of_transport(text, where, key, code, status)


def _of_transport(text: str, where: str, key: str | None, code: str, status: int) -> SharedError:
    if status == 416:
        msg = f"the range is outside of the object {key!r}"
        return ValidationError(msg, status=416)
    if status in (408, 429) or status >= 500:
        return ServiceUnavailableError(f"{where} answers {status} {code}".rstrip())
    if status == 409:
        return ConflictError(f"{where}: another change of {key!r} is under way ({code or status})")
    if status:
        return StorageError(f"{where} answers {status} {code}".rstrip(), retryable=False)
    lower = text.lower()
    if "timedout" in lower or "timed out" in lower or "timeout" in lower.partition("debug source")[0]:
        return DeadlineExceededError(f"{where} did not answer in time")
    if "configured region" in lower:  # a redirection that names no place
        return ConfigurationError(f"{where}: {_WRONG_PLACE['PermanentRedirect']}")
    if _without_credentials(lower):
        return ConfigurationError(f"{where}: no credentials were found; set them, or run with a role")
    if "kind: connect" in lower or "error sending request" in lower:
        return ServiceUnavailableError(f"{where} cannot be reached")
    if "kind: body" in lower or "kind: decode" in lower or "incomplete" in lower:
        return StorageError(f"the answer of {where} was cut off")
    return InfrastructureError(f"{where} cannot be used: see the cause")


def _without_credentials(text: str) -> bool:
    return (
        "169.254.169.254" in text
        or "metadata.google.internal" in text
        or "credential" in text.partition("debug")[0]
    )
