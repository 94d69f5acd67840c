"""The errors an OpenAPI document describes once, and how operations refer to them."""

from typing import Final

from shared.constants import ErrorCode

__all__ = ["ERRORS", "OTHER", "RESPONSES", "reference"]

RESPONSES: Final = "#/components/responses/"
#: What the names of other errors begin with; their status follows.
OTHER: Final = "Error"

# Status to the name of the component and the code whose message describes it.
ERRORS: Final[dict[str, tuple[str, ErrorCode]]] = {
    "400": ("BadRequest", ErrorCode.BAD_REQUEST),
    "401": ("Unauthorized", ErrorCode.AUTHENTICATION_ERROR),
    "403": ("Forbidden", ErrorCode.AUTHORIZATION_ERROR),
    "404": ("NotFound", ErrorCode.NOT_FOUND),
    "405": ("MethodNotAllowed", ErrorCode.METHOD_NOT_ALLOWED),
    "406": ("NotAcceptable", ErrorCode.NOT_ACCEPTABLE),
    "409": ("Conflict", ErrorCode.CONFLICT),
    "410": ("Gone", ErrorCode.API_VERSION_RETIRED),
    "412": ("PreconditionFailed", ErrorCode.PRECONDITION_FAILED),
    "413": ("PayloadTooLarge", ErrorCode.PAYLOAD_TOO_LARGE),
    "415": ("UnsupportedMediaType", ErrorCode.UNSUPPORTED_MEDIA_TYPE),
    "422": ("ValidationError", ErrorCode.VALIDATION_ERROR),
    "429": ("TooManyRequests", ErrorCode.RATE_LIMIT_EXCEEDED),
    "500": ("InternalServerError", ErrorCode.INTERNAL_ERROR),
    "502": ("ExternalServiceError", ErrorCode.EXTERNAL_SERVICE_ERROR),
    "503": ("ServiceUnavailable", ErrorCode.SERVICE_UNAVAILABLE),
    "504": ("DeadlineExceeded", ErrorCode.DEADLINE_EXCEEDED),
}


def reference(status: int | str) -> dict[str, str]:
    """Return the reference to the response of an error."""
    known = ERRORS.get(str(status))
    return {"$ref": RESPONSES + (f"{OTHER}{status}" if known is None else known[0])}
