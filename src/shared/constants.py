"""Names and numbers that every service spells the same way.

Status codes, header names, error codes and messages, service names and field
limits. Standard library only.
"""

from enum import IntEnum, StrEnum
from typing import Final

__all__ = [
    "DEFAULT_API_VERSION",
    "ERROR_MESSAGES",
    "Environment",
    "ErrorCode",
    "FieldLimit",
    "Header",
    "HttpStatus",
    "PaymentStatus",
    "ServiceName",
    "SuccessMessage",
]

DEFAULT_API_VERSION: Final = "v1"


class Environment(StrEnum):
    """Where the process runs; it chooses the profile of defaults and rules.

    Example:
        >>> Environment("production") is Environment.PRODUCTION
        True
    """

    DEVELOPMENT = "development"
    TESTING = "testing"
    STAGING = "staging"
    PRODUCTION = "production"


class HttpStatus(IntEnum):
    """Status codes under one spelling on every Python version.

    The standard library renamed several members between 3.11 and 3.13
    (``REQUEST_ENTITY_TOO_LARGE`` became ``CONTENT_TOO_LARGE``); these follow
    the present names. Source: RFC 9110, section 15; RFCs 4918, 5842, 6585, 7725,
    8297, 8470.

    Example:
        >>> int(HttpStatus.CONTENT_TOO_LARGE), HttpStatus.CONTENT_TOO_LARGE.phrase
        (413, 'Content Too Large')
    """

    CONTINUE = 100
    SWITCHING_PROTOCOLS = 101
    EARLY_HINTS = 103
    OK = 200
    CREATED = 201
    ACCEPTED = 202
    NON_AUTHORITATIVE_INFORMATION = 203
    NO_CONTENT = 204
    RESET_CONTENT = 205
    PARTIAL_CONTENT = 206
    MULTI_STATUS = 207
    MULTIPLE_CHOICES = 300
    MOVED_PERMANENTLY = 301
    FOUND = 302
    SEE_OTHER = 303
    NOT_MODIFIED = 304
    TEMPORARY_REDIRECT = 307
    PERMANENT_REDIRECT = 308
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    PAYMENT_REQUIRED = 402
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    NOT_ACCEPTABLE = 406
    PROXY_AUTHENTICATION_REQUIRED = 407
    REQUEST_TIMEOUT = 408
    CONFLICT = 409
    GONE = 410
    LENGTH_REQUIRED = 411
    PRECONDITION_FAILED = 412
    CONTENT_TOO_LARGE = 413
    URI_TOO_LONG = 414
    UNSUPPORTED_MEDIA_TYPE = 415
    RANGE_NOT_SATISFIABLE = 416
    EXPECTATION_FAILED = 417
    MISDIRECTED_REQUEST = 421
    UNPROCESSABLE_CONTENT = 422
    LOCKED = 423
    FAILED_DEPENDENCY = 424
    TOO_EARLY = 425
    UPGRADE_REQUIRED = 426
    PRECONDITION_REQUIRED = 428
    TOO_MANY_REQUESTS = 429
    REQUEST_HEADER_FIELDS_TOO_LARGE = 431
    UNAVAILABLE_FOR_LEGAL_REASONS = 451
    INTERNAL_SERVER_ERROR = 500
    NOT_IMPLEMENTED = 501
    BAD_GATEWAY = 502
    SERVICE_UNAVAILABLE = 503
    GATEWAY_TIMEOUT = 504
    HTTP_VERSION_NOT_SUPPORTED = 505
    INSUFFICIENT_STORAGE = 507
    LOOP_DETECTED = 508
    NETWORK_AUTHENTICATION_REQUIRED = 511

    @property
    def phrase(self) -> str:
        """The reason phrase, such as ``"Not Found"``.

        Example:
            >>> HttpStatus.NOT_FOUND.phrase, HttpStatus(207).phrase
            ('Not Found', 'Multi-Status')
        """
        return _PHRASES.get(self.value) or self.name.replace("_", " ").title()


# Phrases that are not simply the name in title case.
_PHRASES: Final = {
    200: "OK",
    203: "Non-Authoritative Information",
    207: "Multi-Status",
    414: "URI Too Long",
    451: "Unavailable For Legal Reasons",
    505: "HTTP Version Not Supported",
}


class Header(StrEnum):
    """Header names the library reads or writes.

    Example:
        >>> f"{Header.CORRELATION_ID}: c-1"
        'X-Correlation-ID: c-1'
    """

    ACCEPT = "Accept"
    ALLOW = "Allow"
    API_KEY = "X-API-Key"
    AUTHORIZATION = "Authorization"
    CACHE_CONTROL = "Cache-Control"
    CONTENT_LENGTH = "Content-Length"
    CONTENT_SECURITY_POLICY = "Content-Security-Policy"
    CONTENT_TYPE = "Content-Type"
    CORRELATION_ID = "X-Correlation-ID"
    CSRF_TOKEN = "X-CSRF-Token"  # noqa: S105 - a header's name
    DEADLINE = "X-Request-Deadline"
    DEPRECATION = "Deprecation"
    IDEMPOTENCY_KEY = "Idempotency-Key"
    LINK = "Link"
    LOCATION = "Location"
    RATE_LIMIT = "RateLimit"
    RATE_LIMIT_POLICY = "RateLimit-Policy"
    REQUEST_ID = "X-Request-ID"
    RETRY_AFTER = "Retry-After"
    SUNSET = "Sunset"
    TRACEPARENT = "traceparent"
    TRACESTATE = "tracestate"
    USER_AGENT = "User-Agent"
    WWW_AUTHENTICATE = "WWW-Authenticate"


class ErrorCode(StrEnum):
    """Stable, machine-readable names of what went wrong.

    A code never changes its meaning; clients branch on it. Each error class of
    :mod:`shared.errors` carries one.

    Example:
        >>> ErrorCode.NOT_FOUND == "NOT_FOUND"
        True
        >>> ERROR_MESSAGES[ErrorCode.NOT_FOUND]
        'Resource not found'
    """

    AI_SERVICE_ERROR = "AI_SERVICE_ERROR"
    API_VERSION_RETIRED = "API_VERSION_RETIRED"
    AUTHENTICATION_ERROR = "AUTHENTICATION_ERROR"
    AUTHORIZATION_ERROR = "AUTHORIZATION_ERROR"
    BAD_REQUEST = "BAD_REQUEST"
    BULKHEAD_FULL = "BULKHEAD_FULL"
    BUSINESS_ERROR = "BUSINESS_ERROR"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    CONFIGURATION_ERROR = "CONFIGURATION_ERROR"
    CONFLICT = "CONFLICT"
    CSRF_FAILED = "CSRF_FAILED"
    DATABASE_ERROR = "DATABASE_ERROR"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    DECRYPTION_FAILED = "DECRYPTION_FAILED"
    EMAIL_ERROR = "EMAIL_ERROR"
    EMAIL_REFUSED = "EMAIL_REFUSED"
    EMAIL_TEMPLATE_ERROR = "EMAIL_TEMPLATE_ERROR"
    EXTERNAL_SERVICE_ERROR = "EXTERNAL_SERVICE_ERROR"
    GONE = "GONE"
    HTTP_ERROR = "HTTP_ERROR"
    INFRASTRUCTURE_ERROR = "INFRASTRUCTURE_ERROR"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    INSUFFICIENT_STOCK = "INSUFFICIENT_STOCK"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INVALID_STATE = "INVALID_STATE"
    INVALID_TOKEN = "INVALID_TOKEN"  # noqa: S105 - a code
    LOCK_LOST = "LOCK_LOST"
    LOCK_TIMEOUT = "LOCK_TIMEOUT"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    MIGRATION_ERROR = "MIGRATION_ERROR"
    MISSING_DEPENDENCY = "MISSING_DEPENDENCY"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    NOT_FOUND = "NOT_FOUND"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    POOL_EXHAUSTED = "POOL_EXHAUSTED"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - a code
    TOKEN_REUSED = "TOKEN_REUSED"  # noqa: S105 - a code
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105 - a code
    TRANSACTION_CONFLICT = "TRANSACTION_CONFLICT"
    UNSAFE_URL = "UNSAFE_URL"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    WEBHOOK_REPLAYED = "WEBHOOK_REPLAYED"
    WEBHOOK_SIGNATURE_INVALID = "WEBHOOK_SIGNATURE_INVALID"
    WORKFLOW_ERROR = "WORKFLOW_ERROR"


ERROR_MESSAGES: Final[dict[ErrorCode, str]] = {
    ErrorCode.AI_SERVICE_ERROR: "The AI service could not answer",
    ErrorCode.API_VERSION_RETIRED: "This API version has been retired",
    ErrorCode.AUTHENTICATION_ERROR: "Authentication required",
    ErrorCode.AUTHORIZATION_ERROR: "Permission denied",
    ErrorCode.BAD_REQUEST: "Malformed request",
    ErrorCode.BULKHEAD_FULL: "Too many calls to a dependency are under way",
    ErrorCode.BUSINESS_ERROR: "The request cannot be carried out",
    ErrorCode.CIRCUIT_OPEN: "A dependency is failing and is not called for now",
    ErrorCode.CONFIGURATION_ERROR: "Invalid configuration",
    ErrorCode.CONFLICT: "The resource is in a conflicting state",
    ErrorCode.CSRF_FAILED: "The request did not come from this site",
    ErrorCode.DATABASE_ERROR: "The database could not answer",
    ErrorCode.DEADLINE_EXCEEDED: "The request took too long",
    ErrorCode.DECRYPTION_FAILED: "Protected data cannot be read",
    ErrorCode.EMAIL_ERROR: "The e-mail could not be sent",
    ErrorCode.EMAIL_REFUSED: "The e-mail was refused",
    ErrorCode.EMAIL_TEMPLATE_ERROR: "An e-mail cannot be written",
    ErrorCode.EXTERNAL_SERVICE_ERROR: "An external service failed",
    ErrorCode.GONE: "The resource has been removed",
    ErrorCode.HTTP_ERROR: "The request was refused",
    ErrorCode.INFRASTRUCTURE_ERROR: "An internal component failed",
    ErrorCode.INSUFFICIENT_BALANCE: "Insufficient balance",
    ErrorCode.INSUFFICIENT_STOCK: "Insufficient stock",
    ErrorCode.INTERNAL_ERROR: "Internal server error",
    ErrorCode.INVALID_STATE: "The resource does not allow this now",
    ErrorCode.INVALID_TOKEN: "The token is not valid",
    ErrorCode.LOCK_LOST: "The resource was taken by somebody else meanwhile",
    ErrorCode.LOCK_TIMEOUT: "The resource is in use by somebody else",
    ErrorCode.METHOD_NOT_ALLOWED: "Method not allowed",
    ErrorCode.MIGRATION_ERROR: "A migration failed",
    ErrorCode.MISSING_DEPENDENCY: "An optional library is not installed",
    ErrorCode.NOT_ACCEPTABLE: "No acceptable representation",
    ErrorCode.NOT_FOUND: "Resource not found",
    ErrorCode.PAYLOAD_TOO_LARGE: "Request body too large",
    ErrorCode.PAYMENT_DECLINED: "The payment was declined",
    ErrorCode.POOL_EXHAUSTED: "Too many requests are waiting for the database",
    ErrorCode.PRECONDITION_FAILED: "Precondition failed",
    ErrorCode.RATE_LIMIT_EXCEEDED: "Too many requests",
    ErrorCode.SERVICE_UNAVAILABLE: "Service temporarily unavailable",
    ErrorCode.TOKEN_EXPIRED: "The token has expired",
    ErrorCode.TOKEN_REUSED: "The token was used before",
    ErrorCode.TOKEN_REVOKED: "The token was revoked",
    ErrorCode.TRANSACTION_CONFLICT: "The data was changed by somebody else at the same time",
    ErrorCode.UNSAFE_URL: "The URL may not be used",
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: "Unsupported media type",
    ErrorCode.VALIDATION_ERROR: "Invalid input data",
    ErrorCode.WEBHOOK_REPLAYED: "The webhook was delivered before",
    ErrorCode.WEBHOOK_SIGNATURE_INVALID: "The webhook cannot be trusted",
    ErrorCode.WORKFLOW_ERROR: "A workflow failed",
}


class SuccessMessage(StrEnum):
    """Messages of successful answers.

    Example:
        >>> str(SuccessMessage.CREATED)
        'Resource created'
    """

    OPERATION = "Operation successful"
    CREATED = "Resource created"
    UPDATED = "Resource updated"
    DELETED = "Resource deleted"


class PaymentStatus(StrEnum):
    """The states of a payment, spelled the same by suppliers' clients and by the tables.

    Example:
        >>> PaymentStatus("succeeded") is PaymentStatus.SUCCEEDED
        True
    """

    PENDING = "pending"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class ServiceName(StrEnum):
    """Names under which the services and dependencies of a fleet are known.

    Example:
        >>> ServiceName("orders").name
        'ORDERS'
    """

    AGENT = "agent"
    API = "api"
    AUTH = "auth"
    CATALOG = "catalog"
    EMAIL = "email"
    GATEWAY = "gateway"
    INVENTORY = "inventory"
    ORDERS = "orders"
    PAYMENTS = "payments"
    SHARED = "shared"
    SHIPPING = "shipping"
    STORAGE = "storage"
    USERS = "users"
    WEB = "web"
    WORKER = "worker"


class FieldLimit:
    """Limits of common fields, in characters unless the name says otherwise.

    ``EMAIL_MAX`` is the longest address SMTP can carry. Source: RFC 5321,
    section 4.5.3.1.3 (256 octets of path, less the angle brackets).

    A plain class and not an enumeration: two limits may be the same number, and
    an enumeration would make one the alias of the other.

    Example:
        >>> FieldLimit.EMAIL_MAX, FieldLimit.PAGE_SIZE_DEFAULT
        (254, 20)
    """

    USERNAME_MIN: Final = 3
    USERNAME_MAX: Final = 64
    EMAIL_MAX: Final = 254
    PASSWORD_MIN: Final = 8
    PASSWORD_MAX_BYTES: Final = 1024
    NAME_MAX: Final = 200
    TITLE_MAX: Final = 255
    DESCRIPTION_MAX: Final = 2000
    SLUG_MAX: Final = 80
    URL_MAX: Final = 2048
    PHONE_MAX: Final = 20
    FILENAME_MAX_BYTES: Final = 255
    CORRELATION_ID_MAX: Final = 128
    IDEMPOTENCY_KEY_MAX: Final = 256
    PAGE_SIZE_DEFAULT: Final = 20
    PAGE_SIZE_MAX: Final = 100
    QUANTITY_MAX: Final = 1_000_000
