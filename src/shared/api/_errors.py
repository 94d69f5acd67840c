"""From an exception to the answer that leaves: status, headers, body."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import quote

from shared.api._accept import JSON, PROBLEM, prefers_problem
from shared.api._conditional import NotModified
from shared.api._envelope import error_bytes
from shared.api._json import dumps_lossy
from shared.constants import DEFAULT_API_VERSION, ERROR_MESSAGES, ErrorCode
from shared.errors import BadRequestError, ErrorMap, SharedError, error_for_status

if TYPE_CHECKING:
    from shared.api._options import LayerOptions

__all__ = ["ErrorRenderer", "Reply", "from_http", "problem_details"]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z").match  # RFC 9110, section 5.6.2
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_OWN_HEADERS: Final = frozenset({"content-type", "content-length", "transfer-encoding"})
_MAX_EXPOSED: Final = 1000  # characters of a foreign exception's text


class Reply(NamedTuple):
    """A complete answer, made by the layer instead of the application.

    Attributes:
        status: HTTP status.
        headers: Pairs of text; the layer adds its own.
        body: Complete body.

    Example:
        >>> Reply(204).headers
        ()
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def problem_details(
    error: SharedError,
    *,
    base_url: str = "about:blank",
    instance: str | None = None,
    correlation_id: str | None = None,
) -> dict[str, Any]:
    """Return *error* as the members of a problem document.

    Args:
        error: What went wrong.
        base_url: Where the codes are documented; the code is appended. With
            ``"about:blank"`` the type says no more than the status.
        instance: URI reference of this occurrence: the path asked for.
        correlation_id: Id under which the logs know it.

    Returns:
        ``{"type", "title", "status", "detail", "instance"?, "code", "details",
        "correlation_id"?}``. Source: RFC 9457, section 3.

    Example:
        >>> from shared.errors import ConflictError
        >>> problem = problem_details(ConflictError(), base_url="https://errors.example.com")
        >>> problem["type"], problem["status"]
        ('https://errors.example.com/CONFLICT', 409)
    """
    code, status = _code(error), _status(error)
    if base_url == "about:blank":
        # Section 4.2.1: then the title should be the status phrase.
        kind, title = base_url, _phrase(status)
    else:
        kind = base_url + ("" if base_url[-1:] in "/#:=" else "/") + code
        title = _standard_message(code, status)
    problem: dict[str, Any] = {"type": kind, "title": title, "status": status, "detail": safe_text(error)}
    if instance is not None:
        problem["instance"] = instance
    problem["code"] = code
    problem["details"] = getattr(error, "details", None) or {}
    if correlation_id is not None:
        problem["correlation_id"] = correlation_id
    return problem


class ErrorRenderer:
    """Makes the answer for any exception.

    Args:
        problem: Whether problem details are the default form; ``Accept`` decides otherwise.
        problem_base_url: As *base_url* of :func:`problem_details`.
        version: Version of the API, for the envelope.
        expose_details: Whether a 500 tells the exception's type and message.
            Never in production: there it tells the correlation id only.
        errors: Rules for foreign exceptions.

    Immutable after construction, thread-safe, and never raises.

    Example:
        >>> reply = ErrorRenderer().render(ZeroDivisionError("secret"), correlation_id="c-1")
        >>> reply.status, b"secret" in reply.body, b"c-1" in reply.body
        (500, False, True)
    """

    def __init__(
        self,
        *,
        problem: bool = False,
        problem_base_url: str = "about:blank",
        version: str = DEFAULT_API_VERSION,
        expose_details: bool = False,
        errors: ErrorMap | None = None,
    ) -> None:
        self.problem = problem
        self.problem_base_url = problem_base_url
        self.version = version
        self.expose_details = expose_details
        self.errors: ErrorMap = errors if errors is not None else ErrorMap()

    @classmethod
    def from_options(cls, options: "LayerOptions", errors: ErrorMap) -> Self:
        """Return the renderer that *options* describe."""
        return cls(
            problem=options.error_format == "problem",
            problem_base_url=options.problem_base_url,
            version=options.api_version,
            expose_details=options.expose_error_details,
            errors=errors,
        )

    def translate(self, exc: BaseException) -> SharedError | None:
        """Return our error for *exc*, or None when nobody foresaw it.

        An exception group that holds exactly one exception counts as that
        exception: task groups wrap what a single child raised.
        """
        while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
            exc = exc.exceptions[0]
        try:
            return self.errors.translate(exc)
        except Exception as failure:  # noqa: BLE001 - a rule is foreign code; the error is then unforeseen
            note = f"the rule that should translate it failed with {type(failure).__name__}"
            if note not in getattr(exc, "__notes__", ()):
                exc.add_note(note)
            return None

    def render(
        self,
        exc: BaseException,
        *,
        accept: str | None = None,
        correlation_id: str | None = None,
        path: str | None = None,
        version: str | None = None,
    ) -> Reply:
        """Return the answer for *exc*.

        Args:
            exc: Ours, one that the rules know, or anything else: a 500.
            accept: Value of the request's ``Accept`` header.
            correlation_id: Told in a 500, and in every problem document.
            path: Path of the request, for ``instance``.
            version: Version that the request speaks; that of the renderer when None.
        """
        error = self.translate(exc)
        if isinstance(error, NotModified):
            return Reply(error.status, tuple(_safe_headers(error.headers)))
        if error is None:
            error = self._unforeseen(exc, correlation_id)
        elif _status(error) == 500 and not self.expose_details:
            error = _silenced(error, correlation_id)
        if prefers_problem(accept, default=self.problem):
            instance = None if path is None else quote(path[:512], safe="/:@!$&'()*+,;=~")
            document = problem_details(
                error, base_url=self.problem_base_url, instance=instance, correlation_id=correlation_id
            )
            kind, body = PROBLEM, dumps_lossy(document)
        else:
            details = getattr(error, "details", None)
            kind, body = (
                JSON,
                error_bytes(_code(error), safe_text(error), details, version=version or self.version),
            )
        headers = [
            *_safe_headers(getattr(error, "headers", None)),
            ("Content-Type", kind),
            ("Vary", "Accept"),
        ]
        return Reply(_status(error), (*headers, ("Content-Length", str(len(body)))), body)

    def _unforeseen(self, exc: BaseException, correlation_id: str | None) -> SharedError:
        details: dict[str, Any] = {} if correlation_id is None else {"correlation_id": correlation_id}
        if self.expose_details:
            details["type"] = type(exc).__qualname__
            details["message"] = _masked(safe_text(exc)[:_MAX_EXPOSED])
        return SharedError(details=details)


def _silenced(error: SharedError, correlation_id: str | None) -> SharedError:
    """Keep only the code of a 500: its message was written for the operators."""
    details = {} if correlation_id is None else {"correlation_id": correlation_id}
    headers = getattr(error, "headers", None)
    return SharedError(code=_code(error), details=details, headers=headers)


def from_http(status: int, detail: Any, headers: Mapping[str, str] | None = None) -> SharedError:
    """Return our error for a framework's own HTTP exception.

    Args:
        status: Its status; outside of 400 to 599 it becomes 500.
        detail: Text becomes the message, a mapping or list the details; the bare
            phrase of the status gives our standard message.
        headers: Kept.
    """
    if not 400 <= status <= 599:
        status = 500
    kept = {
        ("WWW-Authenticate" if k.lower() == "www-authenticate" else k): v for k, v in (headers or {}).items()
    }
    message = detail if isinstance(detail, str) and detail and detail != _phrase(status) else None
    error = error_for_status(int(status), message, headers=kept)
    if isinstance(detail, Mapping):
        error.details = dict(detail)
    elif isinstance(detail, (list, tuple)):
        error.details = {"errors": list(detail)}
    return error


def is_bad_json(exc: BaseException, reader: Any) -> bool:
    """Tell whether *exc* arose while *reader* parsed the body: the caller's fault, not the service's.

    Args:
        exc: A ``ValueError`` (broken JSON, wrong encoding) or ``RecursionError`` (too deep).
        reader: The framework's function that parses a body, such as ``Request.json``.
    """
    if not isinstance(exc, (json.JSONDecodeError, UnicodeDecodeError, RecursionError)):
        return False
    code = getattr(reader, "__code__", None)
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return True
        trace = trace.tb_next
    return False


def bad_body(exc: BaseException) -> BadRequestError:
    """Return the error for a body that a framework could not parse as JSON."""
    if isinstance(exc, json.JSONDecodeError):
        return BadRequestError(
            "the body is not valid JSON", details={"reason": "json_invalid", "position": exc.pos}
        )
    if isinstance(exc, RecursionError):
        return BadRequestError("the body nests too deep", details={"reason": "too_deep"})
    return BadRequestError("the body is not UTF-8 text", details={"reason": "not_utf8"})


def _status(error: SharedError) -> int:
    status = getattr(error, "status", 500)
    return status if isinstance(status, int) and 400 <= status <= 599 else 500


def _code(error: SharedError) -> str:
    return str(getattr(error, "code", ErrorCode.INTERNAL_ERROR))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _standard_message(code: str, status: int) -> str:
    try:
        return ERROR_MESSAGES[ErrorCode(code)]
    except (ValueError, KeyError):
        return _phrase(status)


def safe_text(exc: BaseException) -> str:
    """Return the text of *exc*, even when its own code refuses."""
    try:
        return str(exc)
    except Exception:  # noqa: BLE001 - a hostile __str__
        return f"<{type(exc).__name__}>"


def _masked(text: str) -> str:
    from shared.security import mask_text

    return mask_text(text)


def _safe_headers(headers: Any) -> list[tuple[str, str]]:
    """Return the pairs that may stand in a response; a value with a line break would end it."""
    if not isinstance(headers, Mapping):
        return []
    pairs = [(str(name), str(value)) for name, value in headers.items()]
    return [
        (name, value)
        for name, value in pairs
        if _TOKEN(name) and value.isascii() and not _UNSAFE(value) and name.lower() not in _OWN_HEADERS
    ]
