"""What a failure of the supplier is called here; pure, and it repeats no text of the supplier's.

A supplier's message may quote the prompt or the key, so it goes into no message, no detail
and no traceback: what is kept is the status, the class and a well-formed code.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from shared.errors import (
    AIQuotaError,
    AIRateLimitError,
    AIServiceError,
    BusinessError,
    DeadlineExceededError,
    InvalidArgumentError,
    PayloadTooLargeError,
    SharedError,
    ValidationError,
)
from shared.resilience import parse_retry_after

__all__ = ["AIFailure", "ai_error", "counts_against", "late", "reason_of", "translate", "unfit"]

_CODE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}\Z", re.ASCII).match
_PARAM: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,63}\Z", re.ASCII).match
_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_FILTER: Final = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
_TOO_LONG: Final = frozenset({"context_length_exceeded", "string_above_max_length"})
_FINAL_5XX: Final = frozenset({501, 505})


class AIFailure(StrEnum):
    """Why there is no answer of the model: ``error.details["reason"]``, ``result.reason``.

    Example:
        >>> AIFailure("quota")
        <AIFailure.QUOTA: 'quota'>
    """

    NO_KEY = "no_key"
    AUTHENTICATION = "authentication"
    BAD_REQUEST = "bad_request"
    BUDGET = "budget"
    CIRCUIT_OPEN = "circuit_open"
    CONNECTION = "connection"
    CONTENT_FILTER = "content_filter"
    CUT = "cut"
    INVALID_OUTPUT = "invalid_output"
    MALFORMED = "malformed"
    MODEL = "model"
    QUOTA = "quota"
    RATE_LIMIT = "rate_limit"
    REFUSED = "refused"
    SERVER = "server"
    TIMEOUT = "timeout"
    TOO_LONG = "too_long"
    TRUNCATED = "truncated"


#: Failures that tell something about the health of the model; the others are answers.
_COUNTED: Final = frozenset(
    {
        AIFailure.AUTHENTICATION,
        AIFailure.CONNECTION,
        AIFailure.CUT,
        AIFailure.MALFORMED,
        AIFailure.QUOTA,
        AIFailure.RATE_LIMIT,
        AIFailure.SERVER,
        AIFailure.TIMEOUT,
    }
)


def ai_error(reason: AIFailure, text: str, *, retryable: bool = False, **details: Any) -> AIServiceError:
    """Return an :class:`AIServiceError` with *reason* among its details."""
    return AIServiceError(text, details={"reason": str(reason), **details}, retryable=retryable)


def unfit(text: str, reason: AIFailure = AIFailure.BAD_REQUEST) -> ValidationError:
    """Return the error of a prompt that cannot be sent."""
    return ValidationError(text, details={"reason": str(reason)})


def reason_of(error: BaseException) -> str:
    """Return why there is no answer, as a word of :class:`AIFailure`, else the error's code."""
    if isinstance(error, SharedError):
        reason = error.details.get("reason")
        if isinstance(reason, str):
            return reason
        if str(error.code) == "CIRCUIT_OPEN":
            return str(AIFailure.CIRCUIT_OPEN)
        if isinstance(error, DeadlineExceededError):
            return str(AIFailure.TIMEOUT)
        return str(error.code).lower()
    return type(error).__name__


def counts_against(error: Exception) -> bool:
    """Tell the circuit breaker whether *error* says that the model is not well."""
    if isinstance(error, BusinessError | InvalidArgumentError):
        return False
    if isinstance(error, SharedError):
        return isinstance(error, DeadlineExceededError) or error.details.get("reason") in _COUNTED
    return True


def late(model: str, limit: float, *, by_deadline: bool) -> DeadlineExceededError:
    """Return the error of a try that took too long."""
    if by_deadline:
        text = f"no time is left for model {shown(model)}: the deadline of the request has passed"
    else:
        text = f"model {shown(model)} did not answer within {limit:g} s"
    details = {"reason": str(AIFailure.TIMEOUT), "model": model[:200]}
    return DeadlineExceededError(text, details=details, retryable=not by_deadline)


def shown(model: str) -> str:
    """Return the name of a model as it may stand in a message."""
    return repr(model if len(model) <= 100 else f"{model[:100]}…")


def translate(error: Exception, model: str, limit: float, *, by_deadline: bool) -> SharedError:
    """Return our error for one of the SDK or of its HTTP library; *error* loses its text."""
    if isinstance(error, SharedError):
        return error
    import httpx2
    import openai

    about: dict[str, Any] = {"model": model[:200]}
    if isinstance(error, openai.APIStatusError):
        found = _by_status(error, model, about)
        scrub(error)
        return found
    cause: BaseException = error.__cause__ or error
    unreachable = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
    if isinstance(cause, unreachable) and not (by_deadline and isinstance(cause, httpx2.ConnectTimeout)):
        text = f"model {shown(model)} cannot be reached"
        return ai_error(AIFailure.CONNECTION, text, retryable=True, **about)
    if isinstance(error, (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError)):
        return late(model, limit, by_deadline=by_deadline)
    if isinstance(cause, (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
        return InvalidArgumentError(
            f"the request to model {shown(model)} is malformed: {type(cause).__name__}"
        )
    if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError, httpx2.StreamError)):
        text = f"the connection to model {shown(model)} broke"
        return ai_error(AIFailure.CONNECTION, text, retryable=True, **about)
    scrub(error)
    kind = type(error).__name__
    if isinstance(error, (openai.OpenAIError, ValueError, TypeError, UnicodeError)):
        text = f"the request to model {shown(model)} cannot be made: {kind}"
        return ai_error(AIFailure.BAD_REQUEST, text, **about)
    return ai_error(AIFailure.SERVER, f"the call of model {shown(model)} failed: {kind}", **about)


def scrub(error: BaseException) -> None:
    """Take the text out of a foreign *error* before it is chained: it may quote a prompt or a key."""
    status = getattr(error, "status_code", None)
    error.args = (f"status {status}" if isinstance(status, int) else "text withheld",)
    for name in ("message", "body"):
        if hasattr(error, name):
            setattr(error, name, None)


def _by_status(error: Any, model: str, about: dict[str, Any]) -> SharedError:
    """Return our error for an answer from 400 on.

    ======= ================================ ===================== =========
    status  error                            reason                retried
    ======= ================================ ===================== =========
    401 403 ``AIServiceError``               authentication        no
    404     ``AIServiceError``               model                 no
    400 413 ``PayloadTooLargeError``         too_long              no
    400     ``ValidationError``              content_filter        no
    408 504 ``AIServiceError``               timeout               yes
    409     ``AIServiceError``               server                yes
    429     ``AIQuotaError``                 quota                 no
    429     ``AIRateLimitError``             rate_limit            yes
    4xx     ``AIServiceError``               bad_request           no
    5xx     ``AIServiceError``               server                yes
    ======= ================================ ===================== =========
    """
    status: int = error.status_code
    code, details = _facts(error, status, about)
    name = shown(model)
    if status == 429:
        return _too_many(error.response.headers, code, name, details)
    if status in {401, 403}:
        text = f"the supplier of model {name} refuses the key: {status}"
        return ai_error(AIFailure.AUTHENTICATION, text, **details)
    if status == 404 or code == "model_not_found":
        text = f"model {name} is not served to this account: check the name, or list_models()"
        return ai_error(AIFailure.MODEL, text, **details)
    if status == 413 or code in _TOO_LONG:
        text = f"the prompt is longer than model {name} takes: shorten it"
        return PayloadTooLargeError(text, details={"reason": str(AIFailure.TOO_LONG), **details})
    if code in _FILTER:
        text = f"the content filter of model {name} refuses the prompt"
        return ValidationError(text, details={"reason": str(AIFailure.CONTENT_FILTER), **details})
    text = f"model {name} answered {status}{f' ({code})' if code else ''}"
    if status in {408, 504}:
        return ai_error(AIFailure.TIMEOUT, text, retryable=True, **details)
    if status == 409 or status >= 500:
        return ai_error(AIFailure.SERVER, text, retryable=status not in _FINAL_5XX, **details)
    return ai_error(AIFailure.BAD_REQUEST, text, **details)


def _too_many(headers: Mapping[str, str], code: str, name: str, details: dict[str, Any]) -> AIServiceError:
    if code in _QUOTA:
        text = f"the account behind model {name} has nothing left ({code}): see its billing page"
        return AIQuotaError(text, details={"reason": str(AIFailure.QUOTA), **details})
    wait = parse_retry_after(headers.get("retry-after", ""))
    milliseconds = parse_retry_after(headers.get("retry-after-ms", ""))  # what OpenAI sends beside it
    if milliseconds is not None:
        wait = milliseconds / 1000
    details = {"reason": str(AIFailure.RATE_LIMIT), **details}
    return AIRateLimitError(f"model {name} asks to wait: 429", retry_after=wait, details=details)


def _facts(error: Any, status: int, about: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the supplier's code, and what is safe to show of its answer."""
    body = error.body.get("error", error.body) if isinstance(error.body, Mapping) else {}
    body = body if isinstance(body, Mapping) else {}
    details = {**about, "status": status}
    code = _fitting(_CODE, body.get("code")) or _fitting(_CODE, body.get("type"))
    if _fitting(_CODE, body.get("type")) in _QUOTA:
        code = body["type"]
    facts = {
        "upstream_code": code,
        "param": _fitting(_PARAM, body.get("param")),
        "request_id": _fitting(_PARAM, error.request_id),
    }
    details |= {key: value for key, value in facts.items() if value}
    return code, details


def _fitting(shape: Callable[[str], Any], value: object) -> str:
    return value if isinstance(value, str) and shape(value) else ""
