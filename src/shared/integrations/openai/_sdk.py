"""The SDK underneath: made late, told everything, and never left to decide about retries."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any, Final

from shared.errors import MissingDependencyError
from shared.integrations.openai._options import OpenAIOptions
from shared.security import mask_url

__all__ = ["load_sdk", "load_sdk_async", "make_client", "send_options"]

_NO_KEY: Final = "none"  # what a compatible server without keys is sent


class _UrlMask(logging.Filter):
    """Masks the addresses that the HTTP library logs in full."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                mask_url(str(item)) if type(item).__name__ == "URL" else item for item in record.args
            )
        return True


_MASK: Final = _UrlMask()


def load_sdk() -> Any:
    """Return the SDK; the first import takes most of a second.

    Raises:
        MissingDependencyError: The extra ``openai`` is not installed.
    """
    try:
        import openai
    except ImportError as exc:
        raise MissingDependencyError("openai", extra="openai") from exc
    return openai


async def load_sdk_async() -> Any:
    """As :func:`load_sdk`; the first import runs in a thread, so that the event loop goes on."""
    if "openai" in sys.modules:
        return load_sdk()
    return await asyncio.to_thread(load_sdk)


def make_client(options: OpenAIOptions, *, asynchronous: bool) -> Any:
    """Return a client of the SDK for *options*.

    The values that the SDK would take from the environment are set here in any case:
    the settings alone say what is called and as whom.
    """
    openai = load_sdk()
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx2

    logging.getLogger("httpx2").addFilter(_MASK)  # adding it again changes nothing
    http: dict[str, Any] = {
        "timeout": httpx2.Timeout(options.timeout, connect=min(options.timeout, options.connect_timeout)),
        "limits": httpx2.Limits(
            max_connections=options.max_connections, max_keepalive_connections=options.max_connections
        ),
        "follow_redirects": False,  # a redirect would carry prompts to somebody else
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
    }
    kind, http_kind = (
        (openai.AsyncOpenAI, httpx2.AsyncClient) if asynchronous else (openai.OpenAI, httpx2.Client)
    )
    client = kind(
        api_key=options.key() or _NO_KEY,
        base_url=options.url,
        max_retries=0,
        http_client=http_kind(**http),
    )
    client.admin_api_key = None
    client.webhook_secret = None
    client.organization = options.organization
    client.project = options.project
    return client


def send_options(options: OpenAIOptions, limit: float) -> Mapping[str, Any]:
    """Return the SDK's options of one try that may take *limit* seconds."""
    import httpx2

    timeout = httpx2.Timeout(limit, connect=min(limit, options.connect_timeout))
    return {"timeout": timeout, "max_retries": 0, "follow_redirects": False}
