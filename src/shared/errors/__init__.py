"""Every error the library raises, in one tree.

A public call raises only these; the foreign cause is chained. Each carries a
stable ``code`` for programs, a message for people, ``details`` that are safe to
show, and the HTTP status it becomes at the edge::

    SharedError
    ├── BusinessError                      the request cannot be carried out (4xx)
    │   ├── AuthenticationError            401  who are you?
    │   │   ├── InvalidTokenError
    │   │   │   ├── TokenExpiredError
    │   │   │   └── TokenRevokedError
    │   │   │       └── TokenReuseError    used before: it may be stolen
    │   │   └── WebhookSignatureError
    │   ├── AuthorizationError             403  you may not
    │   │   └── CsrfError                  a browser was made to send it
    │   ├── BadRequestError                400  not even parsable
    │   ├── ConflictError                  409
    │   │   ├── InsufficientBalanceError
    │   │   ├── InsufficientStockError
    │   │   ├── InvalidStateError          a transition the state machine refuses
    │   │   ├── LockLostError              held, and not renewed in time
    │   │   ├── LockTimeoutError           somebody else holds the lock
    │   │   ├── TransactionConflictError   changed by somebody else at the same time
    │   │   ├── UserAlreadyExistsError
    │   │   └── WebhookReplayError         delivered before: answer 200
    │   ├── EmailRefusedError              422  recipients or message refused for good
    │   ├── GoneError                      410
    │   │   └── ApiVersionRetiredError
    │   ├── MethodNotAllowedError          405
    │   ├── NotAcceptableError             406
    │   ├── PayloadTooLargeError           413
    │   ├── PaymentDeclinedError           402
    │   ├── PreconditionFailedError        412
    │   ├── RateLimitError                 429
    │   ├── ResourceNotFoundError          404
    │   │   ├── AgentNotFoundError
    │   │   ├── AssetNotFoundError
    │   │   ├── BalanceNotFoundError
    │   │   ├── InventoryItemNotFoundError
    │   │   ├── ObjectNotFoundError
    │   │   ├── OrderNotFoundError
    │   │   ├── PaymentNotFoundError
    │   │   ├── ReservationNotFoundError
    │   │   └── UserNotFoundError
    │   ├── UnsupportedMediaTypeError      415
    │   └── ValidationError                422  parsable and wrong
    │       └── UnsafeUrlError
    └── InfrastructureError                something beneath the request failed (5xx)
        ├── ConfigurationError             500
        │   ├── EmailTemplateError
        │   ├── InvalidArgumentError       500  also a ValueError
        │   │   └── FlagDocumentError      flags that contradict themselves
        │   ├── UnknownFlagError           500
        │   └── UnsupportedCallableError   500  also a TypeError
        ├── DatabaseError                  500
        ├── DeadlineExceededError          504  also a TimeoutError
        ├── DecryptionError                500
        ├── ExternalServiceError           502
        │   ├── AIServiceError
        │   │   ├── AIQuotaError       503  the account is used up
        │   │   └── AIRateLimitError   503  the supplier asks to wait
        │   ├── EmailError
        │   └── StorageError
        ├── MigrationError                 500
        ├── MissingDependencyError         500  also an ImportError
        ├── ServiceUnavailableError        503
        │   ├── BulkheadFullError          503  too many calls at once
        │   ├── CircuitOpenError
        │   ├── FlagUnavailableError       a required flag cannot be evaluated
        │   └── PoolExhaustedError         no database connection came free in time
        └── WorkflowError                  500

Foreign exceptions become ours through an :class:`ErrorMap`, which services extend.
"""

from shared.errors._base import SharedError
from shared.errors._business import (
    AgentNotFoundError,
    ApiVersionRetiredError,
    AssetNotFoundError,
    AuthenticationError,
    AuthorizationError,
    BadRequestError,
    BalanceNotFoundError,
    BusinessError,
    CsrfError,
    GoneError,
    InvalidTokenError,
    InventoryItemNotFoundError,
    MethodNotAllowedError,
    NotAcceptableError,
    ObjectNotFoundError,
    OrderNotFoundError,
    PayloadTooLargeError,
    PreconditionFailedError,
    RateLimitError,
    ReservationNotFoundError,
    ResourceNotFoundError,
    TokenExpiredError,
    TokenReuseError,
    TokenRevokedError,
    UnsafeUrlError,
    UnsupportedMediaTypeError,
    UserNotFoundError,
    ValidationError,
    WebhookSignatureError,
)
from shared.errors._conflict import (
    ConflictError,
    InsufficientBalanceError,
    InsufficientStockError,
    InvalidStateError,
    LockLostError,
    LockTimeoutError,
    TransactionConflictError,
    UserAlreadyExistsError,
    WebhookReplayError,
)
from shared.errors._infrastructure import (
    AIQuotaError,
    AIRateLimitError,
    AIServiceError,
    BulkheadFullError,
    CircuitOpenError,
    ConfigurationError,
    DatabaseError,
    DeadlineExceededError,
    DecryptionError,
    EmailError,
    EmailTemplateError,
    ExternalServiceError,
    FlagDocumentError,
    FlagUnavailableError,
    InfrastructureError,
    InvalidArgumentError,
    MigrationError,
    MissingDependencyError,
    PoolExhaustedError,
    ServiceUnavailableError,
    StorageError,
    UnknownFlagError,
    UnsupportedCallableError,
    WorkflowError,
)
from shared.errors._mapping import ErrorMap, error_for_status
from shared.errors._suppliers import EmailRefusedError, PaymentDeclinedError, PaymentNotFoundError

__all__ = [
    "AIQuotaError",
    "AIRateLimitError",
    "AIServiceError",
    "AgentNotFoundError",
    "ApiVersionRetiredError",
    "AssetNotFoundError",
    "AuthenticationError",
    "AuthorizationError",
    "BadRequestError",
    "BalanceNotFoundError",
    "BulkheadFullError",
    "BusinessError",
    "CircuitOpenError",
    "ConfigurationError",
    "ConflictError",
    "CsrfError",
    "DatabaseError",
    "DeadlineExceededError",
    "DecryptionError",
    "EmailError",
    "EmailRefusedError",
    "EmailTemplateError",
    "ErrorMap",
    "ExternalServiceError",
    "FlagDocumentError",
    "FlagUnavailableError",
    "GoneError",
    "InfrastructureError",
    "InsufficientBalanceError",
    "InsufficientStockError",
    "InvalidArgumentError",
    "InvalidStateError",
    "InvalidTokenError",
    "InventoryItemNotFoundError",
    "LockLostError",
    "LockTimeoutError",
    "MethodNotAllowedError",
    "MigrationError",
    "MissingDependencyError",
    "NotAcceptableError",
    "ObjectNotFoundError",
    "OrderNotFoundError",
    "PayloadTooLargeError",
    "PaymentDeclinedError",
    "PaymentNotFoundError",
    "PoolExhaustedError",
    "PreconditionFailedError",
    "RateLimitError",
    "ReservationNotFoundError",
    "ResourceNotFoundError",
    "ServiceUnavailableError",
    "SharedError",
    "StorageError",
    "TokenExpiredError",
    "TokenReuseError",
    "TokenRevokedError",
    "TransactionConflictError",
    "UnknownFlagError",
    "UnsafeUrlError",
    "UnsupportedCallableError",
    "UnsupportedMediaTypeError",
    "UserAlreadyExistsError",
    "UserNotFoundError",
    "ValidationError",
    "WebhookReplayError",
    "WebhookSignatureError",
    "WorkflowError",
    "error_for_status",
]
