"""How the supplier is called: address, key, limits, prices."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from shared.errors import InvalidArgumentError
from shared.integrations.openai._prices import ModelPrice
from shared.security import mask_url

if TYPE_CHECKING:
    from pydantic import SecretStr

    from shared.config import AISettings

__all__ = ["DEFAULT_URL", "OpenAIOptions"]

DEFAULT_URL: Final = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions:
    """How :class:`OpenAIClient` calls the supplier; ``from_settings`` reads ``settings.ai``.

    Args:
        name: Of the supplier, for circuit breakers, metrics and spans; give another to
            every further server.
        api_key: Text or ``SecretStr``; not shown in the repr. A server at *base_url*
            may do without one.
        base_url: Address of a compatible server, up to and including its ``/v1``; OpenAI's when None.
        organization: Who is billed.
        project: What is billed.
        model: For chat completions that name none.
        embedding_model: For embeddings that name none.
        temperature: Of completions that name none, 0 to 2.
        max_tokens: Of an answer at most; None is the model's own limit.
        timeout: Seconds for one try.
        connect_timeout: Seconds for making a connection.
        max_attempts: Calls in total, the first included.
        fallback_models: Asked in this order when the chosen one cannot answer.
        prices: US dollars by model.
        max_prompt_chars: Longer prompts are refused before they are sent.
        max_response_bytes: A larger answer is refused while it arrives.
        max_connections: Size of the connection pool.
        log_content: Whether prompts and answers are logged, masked and cut.

    Raises:
        InvalidArgumentError: A number is out of range.

    Example:
        >>> OpenAIOptions(api_key="sk-1", base_url="http://127.0.0.1:8000/v1").shown
        'http://127.0.0.1:8000/v1'
    """

    name: str = "openai"
    api_key: "SecretStr | str | None" = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    organization: str | None = None
    project: str | None = None
    model: str = "gpt-4o-mini"
    embedding_model: str = "text-embedding-3-small"
    temperature: float | None = None
    max_tokens: int | None = None
    timeout: float = 30.0
    connect_timeout: float = 5.0
    max_attempts: int = 3
    fallback_models: tuple[str, ...] = ()
    prices: Mapping[str, ModelPrice] = field(default_factory=dict)
    max_prompt_chars: int = 500_000
    max_response_bytes: int = 64 * 1024 * 1024
    max_connections: int = 100
    log_content: bool = False

    def __post_init__(self) -> None:
        for name in ("timeout", "connect_timeout"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
                msg = f"{name} is seconds above 0, got {value!r}"
                raise InvalidArgumentError(msg)
        for name in ("max_attempts", "max_prompt_chars", "max_response_bytes", "max_connections"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                msg = f"{name} is a whole number >= 1, got {value!r}"
                raise InvalidArgumentError(msg)
        for name in ("organization", "project"):
            _check_header(name, getattr(self, name))
        _check_header("api_key", self.key())
        object.__setattr__(self, "fallback_models", tuple(self.fallback_models))

    @classmethod
    def from_settings(cls, ai: "AISettings", **changes: Any) -> Self:
        """Return the options of ``settings.ai``, with *changes*.

        Example:
            >>> from shared.config import get_settings
            >>> OpenAIOptions.from_settings(get_settings().ai, timeout=5.0).timeout
            5.0
        """
        found: dict[str, Any] = {
            "api_key": ai.OPENAI_API_KEY,
            "base_url": ai.OPENAI_BASE_URL,
            "organization": ai.OPENAI_ORGANIZATION,
            "project": ai.OPENAI_PROJECT,
            "model": ai.OPENAI_MODEL,
            "embedding_model": ai.OPENAI_EMBEDDING_MODEL,
            "temperature": ai.OPENAI_TEMPERATURE,
            "max_tokens": ai.OPENAI_MAX_TOKENS,
            "timeout": ai.OPENAI_TIMEOUT,
            "max_attempts": ai.OPENAI_MAX_ATTEMPTS,
            "fallback_models": tuple(ai.OPENAI_FALLBACK_MODELS),
            "prices": {name: ModelPrice.parse(text) for name, text in ai.OPENAI_PRICES.items()},
            "max_prompt_chars": ai.OPENAI_MAX_PROMPT_CHARS,
            "log_content": ai.OPENAI_LOG_CONTENT,
        }
        return cls(**{**found, **changes})

    @property
    def url(self) -> str:
        """Where the supplier is."""
        return str(self.base_url or DEFAULT_URL)

    @property
    def shown(self) -> str:
        """The address without secrets."""
        return mask_url(self.url)

    @property
    def is_openai(self) -> bool:
        """Whether the supplier is OpenAI itself, not a compatible server."""
        return self.url.rstrip("/") == DEFAULT_URL

    def key(self) -> str | None:
        """Return the key, open; None when there is none."""
        key: Any = self.api_key
        opened = key.get_secret_value() if hasattr(key, "get_secret_value") else key
        return str(opened).strip() or None if opened else None


def _check_header(name: str, value: str | None) -> None:
    """Refuse what cannot be sent in a header; the libraries beneath would quote it in their errors.

    Raises:
        InvalidArgumentError: It is not printable ASCII; the text does not say what it is.
    """
    if value is not None and not (value.isascii() and value.isprintable()):
        msg = f"{name} has characters that no header can carry: printable ASCII only"
        raise InvalidArgumentError(msg)
