"""Suppliers outside: AI, payments, e-mail, clouds."""

from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr

from shared.config._field import Section, setting
from shared.config._sections._common import LOWER, HttpUrl, Port, Printable, Seconds
from shared.config._types import ConnectionUrl, UrlScheme

_EMAIL = r"^[^@\s<>\"]{1,64}@[^@\s<>\"]{1,255}$"
_PRICE: Final = r"^[0-9]{1,6}(\.[0-9]{1,6})?(/[0-9]{1,6}(\.[0-9]{1,6})?)?$"
_BUDGET: Final = (
    r"^(?i:[0-9]{1,15} ?tokens?|[0-9]{1,9}(\.[0-9]{1,6})? ?usd) ?/ ?(?i:second|minute|hour|day|week)$"
)
Temperature = Annotated[float, Field(ge=0, le=2)]
Price = Annotated[str, Field(pattern=_PRICE)]
Spend = Annotated[str, Field(pattern=_BUDGET)]


class AISettings(Section):
    """The AI supplier: ``settings.ai``.

    Example:
        >>> AISettings(OPENAI_API_KEY="sk-1").OPENAI_API_KEY
        SecretStr('**********')
    """

    OPENAI_API_KEY: SecretStr | None = setting(None, "Key of the OpenAI API.")
    OPENAI_BASE_URL: HttpUrl | None = setting(None, "Address of a compatible server in place of OpenAI's.")
    OPENAI_ORGANIZATION: Printable | None = setting(None, "Organisation that is billed.")
    OPENAI_PROJECT: Printable | None = setting(None, "Project that is billed.")
    OPENAI_MODEL: Printable = setting("gpt-4o-mini", "Model for chat completions.")
    OPENAI_EMBEDDING_MODEL: Printable = setting("text-embedding-3-small", "Model for embeddings.")
    OPENAI_TEMPERATURE: Temperature = setting(0.7, "Randomness of the answers, 0 to 2.")
    OPENAI_MAX_TOKENS: int | None = setting(
        None, "Tokens of an answer at most; none is the model's limit.", ge=1
    )
    OPENAI_TIMEOUT: Seconds = setting(30.0, "Longest wait for an answer, in seconds.")
    OPENAI_MAX_ATTEMPTS: int = setting(
        3, "Calls in total when the supplier fails, the first included.", ge=1, le=20
    )
    OPENAI_FALLBACK_MODELS: list[Printable] = setting(
        [], "Models that are asked, in this order, when the chosen one cannot answer."
    )
    OPENAI_PRICES: dict[str, Price] = setting(
        {},
        "Prices by model in US dollars per million tokens, input/output; a model without one costs 0.",
        expects="pairs such as gpt-4o-mini=0.15/0.60,text-embedding-3-small=0.02",
    )
    OPENAI_USER_BUDGET: Spend | None = setting(
        None,
        "What one user may spend in a period.",
        expects="tokens or US dollars per period, such as 200000 tokens/day or 0.50 usd/hour",
    )
    OPENAI_SERVICE_BUDGET: Spend | None = setting(
        None,
        "What the whole service may spend in a period.",
        expects="tokens or US dollars per period, such as 5000000 tokens/day or 20 usd/day",
    )
    OPENAI_BUDGET_STORE: (
        Annotated[ConnectionUrl, UrlScheme("memory", "redis", "rediss", "sqlite", "unix")] | None
    ) = setting(
        None,
        "Where budgets are counted: memory:// (this process), sqlite:///file.db (this machine) or Redis; "
        "none is the Redis of this service, or memory without one.",
    )
    OPENAI_MAX_PROMPT_CHARS: int = setting(
        500_000, "Characters of a prompt at most; a longer one is refused before it is sent.", ge=1
    )
    OPENAI_LOG_CONTENT: bool = setting(
        False, "Whether prompts and answers are written to the log, cut and with secrets masked."
    )


class AgentSettings(Section):
    """Agents: ``settings.agent``.

    Example:
        >>> AgentSettings(AGENT_SYSTEM="Enhanced").AGENT_SYSTEM
        'enhanced'
    """

    AGENT_SYSTEM: Annotated[Literal["simple", "enhanced"], LOWER] = setting(
        "simple", "Which agent system runs tasks."
    )
    AGENT_MODEL: Printable | None = setting(None, "Model of the agents; none takes OPENAI_MODEL.")
    AGENT_TEMPERATURE: Temperature | None = setting(
        None, "Randomness of the agents, 0 to 2; none takes OPENAI_TEMPERATURE."
    )
    AGENT_MAX_TOKENS: int | None = setting(
        None, "Tokens of an agent's answer at most; none takes OPENAI_MAX_TOKENS.", ge=1
    )
    AGENT_TASK_TIMEOUT: Seconds = setting(300.0, "Longest run of one task, in seconds.")
    AGENT_MAX_ATTEMPTS: int = setting(3, "Runs of a failing task in total, the first included.", ge=1, le=20)
    AGENT_RETRY_DELAY: Seconds = setting(1.0, "Wait before the second run, in seconds.")
    AGENT_MAX_ITERATIONS: int = setting(10, "Steps of one task at most.", ge=1, le=1000)
    AGENT_MEMORY_ENABLED: bool = setting(True, "Whether an agent remembers the conversation.")
    AGENT_MEMORY_MAX_MESSAGES: int = setting(20, "Messages remembered at most.", ge=1, le=10_000)
    AGENT_TOOLS: list[str] = setting([], "Names of the tools an agent may use.")
    AGENT_TOOL_TIMEOUT: Seconds = setting(30.0, "Longest run of one tool, in seconds.")
    AGENT_CONFIG_ORDER: list[Literal["environment", "database"]] = setting(
        ["environment", "database"],
        "Where an agent's configuration is looked for, first match wins.",
        min_length=1,
    )
    AGENT_CONFIG_TTL: Seconds = setting(
        60.0, "How long a configuration from the database is reused, in seconds."
    )


class StripeSettings(Section):
    """Payments through Stripe: ``settings.stripe``.

    Example:
        >>> StripeSettings().STRIPE_WEBHOOK_TOLERANCE
        300.0
    """

    STRIPE_SECRET_KEY: SecretStr | None = setting(None, "Secret key of the Stripe API.")
    STRIPE_PUBLISHABLE_KEY: Printable | None = setting(None, "Publishable key for the browser.", secret=False)
    STRIPE_WEBHOOK_SECRET: SecretStr | None = setting(None, "Secret that signs the webhooks.")
    STRIPE_WEBHOOK_TOLERANCE: Seconds = setting(300.0, "Oldest webhook accepted, in seconds.")
    STRIPE_API_VERSION: Printable | None = setting(None, "Version of the Stripe API; none is the account's.")
    STRIPE_BASE_URL: HttpUrl | None = setting(None, "Address of a compatible server in place of Stripe's.")
    STRIPE_TIMEOUT: Seconds = setting(10.0, "Longest wait for one answer of Stripe, in seconds.")


class ShopifySettings(Section):
    """Orders and payments through Shopify: ``settings.shopify``.

    Example:
        >>> ShopifySettings(SHOPIFY_SHOP="acme.myshopify.com").SHOPIFY_WEBHOOK_SECRET is None
        True
    """

    SHOPIFY_SHOP: str | None = setting(
        None,
        "The shop, such as acme.myshopify.com.",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com$",
        expects="the name of a shop, such as acme.myshopify.com",
    )
    SHOPIFY_ACCESS_TOKEN: SecretStr | None = setting(None, "Token of the Admin API.")
    SHOPIFY_API_VERSION: Printable | None = setting(None, "Version of the Admin API, such as 2026-07.")
    SHOPIFY_WEBHOOK_SECRET: SecretStr | None = setting(
        None, "Secret that signs the webhooks: the client secret of the app."
    )


class EmailSettings(Section):
    """Sending e-mail: ``settings.email``.

    Example:
        >>> EmailSettings(SMTP_HOST="mail.example.com").SMTP_TLS
        'starttls'
    """

    EMAIL_BACKEND: Annotated[Literal["console", "file", "memory", "smtp", "sendgrid"], LOWER] = setting(
        "smtp", "What sends the mail.", profiles={"development": "console", "testing": "memory"}
    )
    EMAIL_FROM: str | None = setting(
        None,
        "Address of the sender.",
        aliases=("SENDGRID_FROM_EMAIL",),
        pattern=_EMAIL,
        expects="an e-mail address",
    )
    EMAIL_FROM_NAME: Printable | None = setting(None, "Name of the sender.", aliases=("SENDGRID_FROM_NAME",))
    EMAIL_FILE_DIR: str = setting("mail", "Directory of the file backend.")
    EMAIL_TEMPLATE_DIR: str | None = setting(None, "Directory of the templates.")
    EMAIL_DEFAULT_LOCALE: str = setting(
        "en",
        "Language of a message whose reader's own there is not.",
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$",
        expects="a language, such as en or de-AT",
    )
    EMAIL_BULK_RATE: str | None = setting(
        None,
        "Messages per time when many are sent, in this process; none is as fast as it goes.",
        pattern=r"^[0-9]+\s*/\s*[0-9]*\s*[A-Za-z]+$",
        expects="a rate, such as 10/second",
    )
    EMAIL_MAX_BYTES: int = setting(26_214_400, "Largest message, in bytes.", ge=1024)
    SENDGRID_API_KEY: SecretStr | None = setting(None, "Key of the SendGrid API.")
    SENDGRID_BASE_URL: HttpUrl | None = setting(
        None,
        "Address in place of SendGrid's own, such as https://api.eu.sendgrid.com to keep data in the EU.",
    )
    SENDGRID_WEBHOOK_KEY: Printable | None = setting(
        None, "Public key that SendGrid's signed events are checked with.", secret=False
    )
    SMTP_HOST: str | None = setting(
        None,
        "Host of the mail server.",
        pattern=r"^[A-Za-z0-9._:\-]+$",
        expects="a host name or an IP address",
    )
    SMTP_PORT: Port = setting(587, "Port of the mail server.")
    SMTP_USERNAME: str | None = setting(None, "User of the mail server.")
    SMTP_PASSWORD: SecretStr | None = setting(None, "Password of the mail server.")
    SMTP_TLS: Annotated[Literal["starttls", "tls", "none"], LOWER] = setting(
        "starttls", "Encryption: starttls (port 587), tls (port 465) or none."
    )
    SMTP_TIMEOUT: Seconds = setting(10.0, "Longest wait for the mail server, in seconds.")
    SMTP_ALLOW_PLAINTEXT: bool = setting(
        False, "Whether unencrypted mail to another machine is accepted in production."
    )


class GCPSettings(Section):
    """Google Cloud: ``settings.gcp``.

    Example:
        >>> GCPSettings(GCP_BUCKET_NAME="files").GCP_BUCKET_NAME
        'files'
    """

    GCP_PROJECT_ID: Printable | None = setting(None, "Project.", aliases=("GOOGLE_CLOUD_PROJECT",))
    GCP_REGION: Printable | None = setting(
        None, "Region, such as europe-west3.", aliases=("GOOGLE_CLOUD_REGION",)
    )
    GCP_BUCKET_NAME: Printable | None = setting(None, "Bucket for objects.")
    GCP_CREDENTIALS_PATH: str | None = setting(
        None, "Path of the service account's key file.", aliases=("GOOGLE_APPLICATION_CREDENTIALS",)
    )


class AWSSettings(Section):
    """Amazon Web Services: ``settings.aws``.

    Example:
        >>> AWSSettings(AWS_REGION="eu-central-1").USERS_TABLE
        'users'
    """

    AWS_REGION: str | None = setting(
        None,
        "Region, such as eu-central-1.",
        pattern=r"^[a-z0-9-]{1,32}$",
        expects="the name of a region, such as eu-central-1",
    )
    AWS_PROFILE: Printable | None = setting(
        None, "Profile of the files in ~/.aws; none is the library's default."
    )
    AWS_ACCESS_KEY_ID: SecretStr | None = setting(None, "Access key; none uses the machine's role.")
    AWS_SECRET_ACCESS_KEY: SecretStr | None = setting(None, "Secret of the access key.")
    AWS_SESSION_TOKEN: SecretStr | None = setting(None, "Token of temporary credentials.")
    AWS_ENDPOINT_URL: HttpUrl | None = setting(None, "Address of a compatible server in place of Amazon's.")
    AWS_S3_BUCKET: Printable | None = setting(None, "Bucket for objects.")
    USERS_TABLE: Printable = setting("users", "DynamoDB table of the users.")
    ORDERS_TABLE: Printable = setting("orders", "DynamoDB table of the orders.")
    INVENTORY_TABLE: Printable = setting("inventory", "DynamoDB table of the inventory.")
