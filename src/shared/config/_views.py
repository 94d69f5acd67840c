"""The settings of one supplier or room as a plain mapping, for code that wants one.

Each reads the settings in force at the moment of the call.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from shared.config._access import get_settings
from shared.errors import ConfigurationError
from shared.security import MASK, is_secret_name, mask_text

if TYPE_CHECKING:
    from pydantic import SecretStr


class ConfigView(Mapping[str, Any]):
    """A read-only mapping whose secrets are open to ``[]`` and closed to ``repr``.

    Example:
        >>> view = ConfigView({"secret_key": "sk_live_1", "model": "m"}, secret=("secret_key",))
        >>> view["secret_key"], view
        ('sk_live_1', ConfigView({'secret_key': '***', 'model': 'm'}))
    """

    __slots__ = ("_secret", "_values")

    def __init__(self, values: Mapping[str, Any], *, secret: tuple[str, ...] = ()) -> None:
        self._values = dict(values)
        self._secret = frozenset(secret)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping with its secrets masked."""
        return {key: self._shown(key, value) for key, value in self._values.items()}

    def _shown(self, key: str, value: Any) -> Any:
        if value and (key in self._secret or (isinstance(value, str) and is_secret_name(key))):
            return MASK
        return mask_text(str(value)) if isinstance(value, str) else value

    def __repr__(self) -> str:
        return f"ConfigView({self.to_dict()!r})"

    def __reduce__(self) -> NoReturn:
        msg = "ConfigView holds secrets and is not pickled: call the function where the values are needed"
        raise ConfigurationError(msg)


def _open(secret: "SecretStr | None") -> str | None:
    return None if secret is None else secret.get_secret_value()


def get_database_url() -> str:
    """Return the URL of the database, password included.

    Raises:
        ConfigurationError: ``DATABASE_URL`` is not set.

    Example:
        >>> get_database_url()
        'sqlite:///app.db'
    """
    url = get_settings().database.DATABASE_URL
    if url is None:
        msg = "DATABASE_URL is not set: set it to a URL such as postgresql://user:password@host:5432/name"
        raise ConfigurationError(msg)
    return url


def get_redis_url() -> str:
    """Return the URL of Redis, from ``REDIS_URL`` or from ``REDIS_HOST`` and its siblings.

    In development and testing an unconfigured Redis is taken to be on this
    machine. ``settings.redis.url`` is None in that case, for code that can do
    without.

    Raises:
        ConfigurationError: Neither is set in staging or production.

    Example:
        >>> get_redis_url()
        'redis://localhost:6379/0'
    """
    found = get_settings()
    url = found.redis.url
    if url is not None:
        return url
    if found.app.ENVIRONMENT in ("development", "testing"):
        return found.redis.url_for("localhost")
    msg = "Redis is not configured: set REDIS_URL, such as rediss://user:password@host:6379/0, or REDIS_HOST"
    raise ConfigurationError(msg)


def get_stripe_config() -> ConfigView:
    """Return the settings of Stripe.

    Returns:
        A mapping with ``secret_key``, ``publishable_key``, ``webhook_secret``
        (text or None), ``webhook_tolerance`` (seconds), ``api_version``, ``base_url``
        (text or None) and ``timeout`` (seconds).

    Example:
        >>> get_stripe_config()["secret_key"] is None
        True
    """
    stripe = get_settings().stripe
    return ConfigView(
        {
            "secret_key": _open(stripe.STRIPE_SECRET_KEY),
            "publishable_key": stripe.STRIPE_PUBLISHABLE_KEY,
            "webhook_secret": _open(stripe.STRIPE_WEBHOOK_SECRET),
            "webhook_tolerance": stripe.STRIPE_WEBHOOK_TOLERANCE,
            "api_version": stripe.STRIPE_API_VERSION,
            "base_url": stripe.STRIPE_BASE_URL,
            "timeout": stripe.STRIPE_TIMEOUT,
        },
        secret=("secret_key", "webhook_secret"),
    )


def get_shopify_config() -> ConfigView:
    """Return the settings of Shopify.

    Returns:
        A mapping with ``shop``, ``access_token``, ``api_version`` and
        ``webhook_secret`` (text or None).

    Example:
        >>> sorted(get_shopify_config())
        ['access_token', 'api_version', 'shop', 'webhook_secret']
    """
    shopify = get_settings().shopify
    return ConfigView(
        {
            "shop": shopify.SHOPIFY_SHOP,
            "access_token": _open(shopify.SHOPIFY_ACCESS_TOKEN),
            "api_version": shopify.SHOPIFY_API_VERSION,
            "webhook_secret": _open(shopify.SHOPIFY_WEBHOOK_SECRET),
        },
        secret=("access_token", "webhook_secret"),
    )


def get_sendgrid_config() -> ConfigView:
    """Return the settings of SendGrid.

    Returns:
        A mapping with ``api_key``, ``from_email`` and ``from_name`` (text or None).

    Example:
        >>> sorted(get_sendgrid_config())
        ['api_key', 'from_email', 'from_name']
    """
    email = get_settings().email
    return ConfigView(
        {
            "api_key": _open(email.SENDGRID_API_KEY),
            "from_email": email.EMAIL_FROM,
            "from_name": email.EMAIL_FROM_NAME,
        },
        secret=("api_key",),
    )


def get_gcp_config() -> ConfigView:
    """Return the settings of Google Cloud.

    Returns:
        A mapping with ``project_id``, ``region``, ``bucket_name`` and
        ``credentials_path`` (text or None).

    Example:
        >>> sorted(get_gcp_config())
        ['bucket_name', 'credentials_path', 'project_id', 'region']
    """
    gcp = get_settings().gcp
    return ConfigView(
        {
            "project_id": gcp.GCP_PROJECT_ID,
            "region": gcp.GCP_REGION,
            "bucket_name": gcp.GCP_BUCKET_NAME,
            "credentials_path": gcp.GCP_CREDENTIALS_PATH,
        }
    )


def get_aws_config() -> ConfigView:
    """Return the settings of Amazon Web Services.

    Returns:
        A mapping with ``region``, ``profile``, ``access_key_id``, ``secret_access_key``,
        ``session_token``, ``endpoint_url``, ``s3_bucket`` (text or None) and
        ``tables``: ``{"users": name, "orders": name, "inventory": name}``.

    Example:
        >>> get_aws_config()["tables"]["users"]
        'users'
    """
    aws = get_settings().aws
    return ConfigView(
        {
            "region": aws.AWS_REGION,
            "profile": aws.AWS_PROFILE,
            "access_key_id": _open(aws.AWS_ACCESS_KEY_ID),
            "secret_access_key": _open(aws.AWS_SECRET_ACCESS_KEY),
            "session_token": _open(aws.AWS_SESSION_TOKEN),
            "endpoint_url": aws.AWS_ENDPOINT_URL,
            "s3_bucket": aws.AWS_S3_BUCKET,
            "tables": {
                "users": aws.USERS_TABLE,
                "orders": aws.ORDERS_TABLE,
                "inventory": aws.INVENTORY_TABLE,
            },
        },
        secret=("access_key_id", "secret_access_key", "session_token"),
    )


def get_openai_config() -> ConfigView:
    """Return the settings of OpenAI.

    Returns:
        A mapping with ``api_key``, ``base_url``, ``organization``, ``project``,
        ``model``, ``embedding_model``, ``temperature``, ``max_tokens``, ``timeout``
        (seconds) and ``max_attempts`` (calls in total).

    Example:
        >>> get_openai_config()["temperature"]
        0.7
    """
    ai = get_settings().ai
    return ConfigView(
        {
            "api_key": _open(ai.OPENAI_API_KEY),
            "base_url": ai.OPENAI_BASE_URL,
            "organization": ai.OPENAI_ORGANIZATION,
            "project": ai.OPENAI_PROJECT,
            "model": ai.OPENAI_MODEL,
            "embedding_model": ai.OPENAI_EMBEDDING_MODEL,
            "temperature": ai.OPENAI_TEMPERATURE,
            "max_tokens": ai.OPENAI_MAX_TOKENS,
            "timeout": ai.OPENAI_TIMEOUT,
            "max_attempts": ai.OPENAI_MAX_ATTEMPTS,
        },
        secret=("api_key",),
    )


def get_api_config() -> ConfigView:
    """Return the settings of the HTTP face.

    Returns:
        A mapping with ``host``, ``port``, ``debug``, ``version``, ``prefix``,
        ``cors_origins``, ``cors_allow_credentials``, ``cors_allow_methods``,
        ``cors_allow_headers``, ``cors_max_age`` (seconds) and ``max_body_bytes``.

    Example:
        >>> get_api_config()["cors_origins"], get_api_config()["port"]
        ([], 8000)
    """
    found = get_settings()
    api = found.api
    return ConfigView(
        {
            "host": api.API_HOST,
            "port": api.API_PORT,
            "debug": found.app.DEBUG,
            "version": api.API_VERSION,
            "prefix": api.API_PREFIX,
            "cors_origins": api.CORS_ORIGINS,
            "cors_allow_credentials": api.CORS_ALLOW_CREDENTIALS,
            "cors_allow_methods": api.CORS_ALLOW_METHODS,
            "cors_allow_headers": api.CORS_ALLOW_HEADERS,
            "cors_max_age": api.CORS_MAX_AGE,
            "max_body_bytes": api.MAX_BODY_BYTES,
        }
    )


def get_security_config() -> ConfigView:
    """Return the settings of tokens and passwords.

    Returns:
        A mapping with ``secret_key`` (text or None), ``algorithm``,
        ``expire_minutes``, ``refresh_expire_days``, ``issuer``, ``audience``,
        ``password_min_length``, ``password_max_length`` and
        ``password_requirements``: ``{"uppercase": bool, "lowercase": bool,
        "digit": bool, "special": bool}``.

    Example:
        >>> get_security_config()["algorithm"], get_security_config()["password_requirements"]["digit"]
        ('HS256', False)
    """
    security = get_settings().security
    return ConfigView(
        {
            "secret_key": _open(security.JWT_SECRET_KEY),
            "algorithm": security.JWT_ALGORITHM,
            "expire_minutes": security.JWT_EXPIRE_MINUTES,
            "refresh_expire_days": security.JWT_REFRESH_EXPIRE_DAYS,
            "issuer": security.JWT_ISSUER,
            "audience": security.JWT_AUDIENCE,
            "password_min_length": security.PASSWORD_MIN_LENGTH,
            "password_max_length": security.PASSWORD_MAX_LENGTH,
            "password_requirements": {
                "uppercase": security.PASSWORD_REQUIRE_UPPERCASE,
                "lowercase": security.PASSWORD_REQUIRE_LOWERCASE,
                "digit": security.PASSWORD_REQUIRE_DIGIT,
                "special": security.PASSWORD_REQUIRE_SPECIAL,
            },
        },
        secret=("secret_key",),
    )


def get_agent_settings() -> ConfigView:
    """Return the settings of agents, with the AI settings filled in where there is none.

    Returns:
        A mapping with ``system`` ("simple" or "enhanced"), ``model``,
        ``temperature``, ``max_tokens``, ``task_timeout`` and ``retry_delay``
        (seconds), ``max_attempts`` (runs in total), ``max_iterations``,
        ``memory_enabled``, ``memory_max_messages``, ``tools`` and ``tool_timeout``
        (seconds).

    Example:
        >>> get_agent_settings()["system"], get_agent_settings()["model"]
        ('simple', 'gpt-4o-mini')
    """
    found = get_settings()
    agent, ai = found.agent, found.ai
    return ConfigView(
        {
            "system": agent.AGENT_SYSTEM,
            "model": agent.AGENT_MODEL or ai.OPENAI_MODEL,
            "temperature": ai.OPENAI_TEMPERATURE
            if agent.AGENT_TEMPERATURE is None
            else agent.AGENT_TEMPERATURE,
            "max_tokens": ai.OPENAI_MAX_TOKENS if agent.AGENT_MAX_TOKENS is None else agent.AGENT_MAX_TOKENS,
            "task_timeout": agent.AGENT_TASK_TIMEOUT,
            "max_attempts": agent.AGENT_MAX_ATTEMPTS,
            "retry_delay": agent.AGENT_RETRY_DELAY,
            "max_iterations": agent.AGENT_MAX_ITERATIONS,
            "memory_enabled": agent.AGENT_MEMORY_ENABLED,
            "memory_max_messages": agent.AGENT_MEMORY_MAX_MESSAGES,
            "tools": agent.AGENT_TOOLS,
            "tool_timeout": agent.AGENT_TOOL_TIMEOUT,
        }
    )
