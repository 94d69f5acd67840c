"""The flags a service has until it declares its own."""

from typing import Final

__all__ = ["FEATURE_FLAGS"]

FEATURE_FLAGS: Final[dict[str, bool]] = {
    # Phase 1: analytics
    "analytics_enabled": False,
    "ml_forecasting": False,
    "custom_dashboards": False,
    "automated_reports": False,
    # Phase 2: mobile
    "pwa_offline": False,
    "mobile_payments": False,
    "qr_ordering": False,
    "social_ordering": False,
    # Phase 3: AI
    "chatbot_enabled": False,
    "ai_recommendations": False,
    "auto_inventory": False,
    "dynamic_pricing": False,
    # Phase 4: integrations
    "accounting_sync": False,
    "crm_integration": False,
    "public_api": False,
    "webhook_system": False,
    # Research
    "blockchain_tracking": False,
    "iot_monitoring": False,
    "ar_menu": False,
    "biometric_auth": False,
}
"""Twenty flags by phase, all off: what ``is_feature_enabled`` knows until a service declares its own.

A value can be changed before the first evaluation; better is a list of :class:`Flag` objects.
"""
