"""The sections that every service has."""

from shared.config._sections._app import AppSettings
from shared.config._sections._security import SecuritySettings
from shared.config._sections._serving import (
    BREAKER_PRESETS,
    APISettings,
    FlagsSettings,
    LoggingSettings,
    MonitoringSettings,
    ResilienceSettings,
)
from shared.config._sections._state import (
    CacheSettings,
    DatabaseSettings,
    JobsSettings,
    RedisSettings,
    StorageSettings,
)
from shared.config._sections._suppliers import (
    AgentSettings,
    AISettings,
    AWSSettings,
    EmailSettings,
    GCPSettings,
    ShopifySettings,
    StripeSettings,
)

__all__ = [
    "BREAKER_PRESETS",
    "AISettings",
    "APISettings",
    "AWSSettings",
    "AgentSettings",
    "AppSettings",
    "CacheSettings",
    "DatabaseSettings",
    "EmailSettings",
    "FlagsSettings",
    "GCPSettings",
    "JobsSettings",
    "LoggingSettings",
    "MonitoringSettings",
    "RedisSettings",
    "ResilienceSettings",
    "SecuritySettings",
    "ShopifySettings",
    "StorageSettings",
    "StripeSettings",
]
