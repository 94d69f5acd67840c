"""What the accounts service can be told from outside, besides what every service can."""

from pydantic import SecretStr

from shared.config import Section, Settings, setting


class AccountsSection(Section):
    """Settings of this service alone."""

    ADMIN_PASSWORD: SecretStr = setting(..., "Password of admin@example.com.")
    PAYMENTS_WEBHOOK_SECRET: SecretStr = setting(..., "What the payment supplier signs its webhooks with.")


class AccountsSettings(Settings):
    """Everything the accounts service can be told."""

    accounts: AccountsSection
