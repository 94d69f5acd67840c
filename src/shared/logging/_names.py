"""Names that loggers and log lines share across services."""

from enum import StrEnum

__all__ = ["LogAction", "LoggerName"]


class LoggerName(StrEnum):
    """Names of loggers that every service spells the same way.

    Example:
        >>> LoggerName.USER == "user"
        True
    """

    AGENT = "agent"
    API = "api"
    ASSET = "asset"
    AUDIT = "audit"
    AUTH = "auth"
    BALANCE = "balance"
    CACHE = "cache"
    DATABASE = "database"
    GATEWAY = "gateway"
    INVENTORY = "inventory"
    JOB = "job"
    ORDER = "order"
    PAYMENT = "payment"
    SHARED = "shared"
    USER = "user"
    WEB = "web"


class LogAction(StrEnum):
    """What was done, as a value to search for; any other text is an action too.

    Example:
        >>> LogAction.ORDER_CREATED == "order_created"
        True
    """

    ACCESS_DENIED = "access_denied"
    AGENT_INTERACTION = "agent_interaction"
    API_CALL = "api_call"
    ASSET_CREATED = "asset_created"
    ASSET_TRANSFERRED = "asset_transferred"
    BALANCE_UPDATED = "balance_updated"
    CACHE_FAILURE = "cache_failure"
    CONFIGURATION_LOADED = "configuration_loaded"
    DATABASE_OPERATION = "database_operation"
    EMAIL_SENT = "email_sent"
    EXTERNAL_CALL = "external_call"
    FLAG_CHANGED = "flag_changed"
    INVENTORY_RELEASED = "inventory_released"
    INVENTORY_RESERVED = "inventory_reserved"
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_COMPLETED = "order_completed"
    ORDER_CREATED = "order_created"
    ORDER_FAILED = "order_failed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an action
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_SUCCESS = "payment_success"
    RATE_LIMITED = "rate_limited"
    REFUND_ISSUED = "refund_issued"
    SECURITY_EVENT = "security_event"
    SERVICE_STARTED = "service_started"
    SERVICE_STOPPED = "service_stopped"
    TASK_EXECUTION = "task_execution"
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    USER_CREATED = "user_created"
    USER_DELETED = "user_deleted"
    USER_LOGIN_FAILURE = "user_login_failure"
    USER_LOGIN_SUCCESS = "user_login_success"
    USER_LOGOUT = "user_logout"
    USER_REGISTRATION_FAILURE = "user_registration_failure"
    USER_REGISTRATION_SUCCESS = "user_registration_success"
    USER_UPDATED = "user_updated"
    VALIDATION_FAILURE = "validation_failure"
