"""What a service can be told from outside, read once and checked as a whole.

One name per setting, the environment variable's: ``settings.database.DB_POOL_SIZE``
is ``DB_POOL_SIZE``. Values come from the environment, a ``.env`` file, files named
by ``NAME_FILE``, a secrets directory, secret managers or a settings file; anything
that is wrong is listed in one error without a secret in it. Importing the room
reads nothing and loads no third-party package: pydantic is loaded by the first
use of ``Settings``.

Example:
    >>> from shared.config import get_settings, settings
    >>> settings.database.DB_POOL_SIZE
    5
    >>> get_settings().to_dict()["ai"]["OPENAI_TEMPERATURE"]
    0.7
"""

from typing import TYPE_CHECKING

from shared.config._access import (
    SettingsReloaded,
    get_settings,
    override_settings,
    reload_settings,
    settings,
    use_settings,
    validate_environment_variables,
)
from shared.config._report import Problem
from shared.config._views import (
    ConfigView,
    get_agent_settings,
    get_api_config,
    get_aws_config,
    get_database_url,
    get_gcp_config,
    get_openai_config,
    get_redis_url,
    get_security_config,
    get_sendgrid_config,
    get_shopify_config,
    get_stripe_config,
)

if TYPE_CHECKING:
    from shared.config._check import SettingsReport, check_settings
    from shared.config._explain import Explanation, explain
    from shared.config._field import Section, setting
    from shared.config._generate import render_env_example, render_json_schema, render_settings_table
    from shared.config._sections import (
        AgentSettings,
        AISettings,
        APISettings,
        AppSettings,
        AWSSettings,
        CacheSettings,
        DatabaseSettings,
        EmailSettings,
        FlagsSettings,
        GCPSettings,
        JobsSettings,
        LoggingSettings,
        MonitoringSettings,
        RedisSettings,
        ResilienceSettings,
        SecuritySettings,
        ShopifySettings,
        StorageSettings,
        StripeSettings,
    )
    from shared.config._settings import Settings
    from shared.config._types import ConnectionUrl, UrlScheme

__all__ = [
    "AISettings",
    "APISettings",
    "AWSSettings",
    "AgentSettings",
    "AppSettings",
    "CacheSettings",
    "ConfigView",
    "ConnectionUrl",
    "DatabaseSettings",
    "EmailSettings",
    "Explanation",
    "FlagsSettings",
    "GCPSettings",
    "JobsSettings",
    "LoggingSettings",
    "MonitoringSettings",
    "Problem",
    "RedisSettings",
    "ResilienceSettings",
    "Section",
    "SecuritySettings",
    "Settings",
    "SettingsReloaded",
    "SettingsReport",
    "ShopifySettings",
    "StorageSettings",
    "StripeSettings",
    "UrlScheme",
    "check_settings",
    "explain",
    "get_agent_settings",
    "get_api_config",
    "get_aws_config",
    "get_database_url",
    "get_gcp_config",
    "get_openai_config",
    "get_redis_url",
    "get_security_config",
    "get_sendgrid_config",
    "get_settings",
    "get_shopify_config",
    "get_stripe_config",
    "override_settings",
    "reload_settings",
    "render_env_example",
    "render_json_schema",
    "render_settings_table",
    "setting",
    "settings",
    "use_settings",
    "validate_environment_variables",
]

# Guarded: an unguarded module __getattr__ makes type checkers accept every
# misspelt name of this package.
if not TYPE_CHECKING:
    _LAZY = {
        "ConnectionUrl": "_types",
        "Explanation": "_explain",
        "Section": "_field",
        "Settings": "_settings",
        "SettingsReport": "_check",
        "UrlScheme": "_types",
        "check_settings": "_check",
        "explain": "_explain",
        "render_env_example": "_generate",
        "render_json_schema": "_generate",
        "render_settings_table": "_generate",
        "setting": "_field",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in __all__:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = import_module(f"{__name__}.{_LAZY.get(name, '_sections')}")
        value = globals()[name] = getattr(module, name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)
