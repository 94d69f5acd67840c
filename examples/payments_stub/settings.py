"""What the payment supplier can be told from outside."""

from pydantic import SecretStr

from shared.config import Section, Settings, setting


class StubSection(Section):
    """Settings of this service alone."""

    NOTICE_URL: str = setting(
        "http://127.0.0.1:8001/webhooks/payments", "Who is told that a charge was paid."
    )
    NOTICE_SECRET: SecretStr = setting(
        SecretStr("whsec_only-for-development"), "Secret that signs what is told."
    )


class StubSettings(Settings):
    """Everything the payment supplier can be told."""

    stub: StubSection
