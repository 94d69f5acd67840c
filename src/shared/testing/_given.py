"""The servers somebody names for the tests; the one place of the room that reads variables."""

import re
from typing import Annotated, ClassVar, Final
from urllib.parse import unquote

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.config import ConnectionUrl, UrlScheme
from shared.errors import ConfigurationError
from shared.security import MASK

__all__ = ["VARIABLES", "given_url", "reason_of"]

#: Variable of each engine.
VARIABLES: Final = {"postgres": "SHARED_TEST_DATABASE_URL", "redis": "SHARED_TEST_REDIS_URL"}


class _Given(BaseSettings):
    """Not settings of a service, so not in ``Settings``: what is wrong there must not hide the tests."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        extra="ignore", case_sensitive=True, env_ignore_empty=True, hide_input_in_errors=True
    )


class _Postgres(_Given):
    SHARED_TEST_DATABASE_URL: Annotated[ConnectionUrl, UrlScheme("postgres", "postgresql")] | None = None


class _Redis(_Given):
    SHARED_TEST_REDIS_URL: Annotated[ConnectionUrl, UrlScheme("redis", "rediss", "unix")] | None = None


_MODELS: Final[dict[str, type[_Given]]] = {"postgres": _Postgres, "redis": _Redis}


_SECRETS: Final = (re.compile(r"://[^/?#@:]*:([^/?#]*)@"), re.compile(r"[?&]password=([^&#]*)"))


def reason_of(error: BaseException, url: str) -> str:
    """Return what a driver says, on one line; some quote the part of the URL they stumbled over."""
    reason = " ".join(str(error).split())
    found = [match[1] for pattern in _SECRETS for match in pattern.finditer(str(url)) if match[1]]
    for secret in sorted({*found, *map(unquote, found)}, key=len, reverse=True):
        reason = reason.replace(secret, MASK)
    return reason


def given_url(kind: str) -> ConnectionUrl | None:
    """Return the URL given for *kind*, None when there is none; a variable that is empty is not set.

    Raises:
        ConfigurationError: It is not a URL of that kind; the message does not show it.
    """
    name = VARIABLES[kind]
    try:
        found = _MODELS[kind]()
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        wrong = error["msg"] if error["type"].startswith("shared_") else "a URL"
        msg = f"{name}: expected {wrong}"
        raise ConfigurationError(msg) from None
    url: ConnectionUrl | None = getattr(found, name)
    return url
