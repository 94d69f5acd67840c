"""What the orders service can be told from outside, besides what every service can."""

from pydantic import SecretStr

from shared.config import Section, Settings, setting


class OrdersSection(Section):
    """Settings of this service alone."""

    CATALOG_URL: str = setting("http://127.0.0.1:8002", "Where the catalog service answers.")
    PAYMENTS_URL: str = setting("http://127.0.0.1:8003", "Where the payment supplier answers.")
    PAYMENTS_WEBHOOK_SECRET: SecretStr = setting(
        SecretStr("whsec_only-for-development"), "Secret that signs what the payment supplier tells."
    )
    MAX_QUANTITY: int = setting(100, "Most items in one order.", ge=1, le=10_000)


class OrdersSettings(Settings):
    """Everything the orders service can be told."""

    orders: OrdersSection
