"""Links that work for a while, for stores that have none of their own."""

import hashlib
import hmac
import math
import re
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from shared.errors import AuthorizationError, InvalidArgumentError, ValidationError
from shared.integrations.storage._keys import check_key
from shared.integrations.storage._options import MOST_SECONDS
from shared.security import constant_time_equals

__all__ = ["METHODS", "check_life", "sign_url", "verify_url"]

METHODS: Final = ("GET", "PUT", "DELETE", "HEAD")
_MAX_QUERY: Final = 1024
_NUMBER: Final = re.compile(r"[0-9]{1,12}\Z").match


def check_life(method: str, seconds: float) -> float:
    """Return *seconds*, or say what is wrong with the link that is asked for.

    Raises:
        InvalidArgumentError: The method is none of GET, HEAD, PUT and DELETE, or the life is
            not 1 second to 7 days.
    """
    if method not in METHODS:
        msg = f"a link is for one of {', '.join(METHODS)}, got {method!r:.40}"
        raise InvalidArgumentError(msg)
    if not 1 <= seconds <= MOST_SECONDS or math.isnan(seconds):
        msg = f"a link lives 1 to {MOST_SECONDS} seconds, got {seconds!r}"
        raise InvalidArgumentError(msg)
    return seconds


def sign_url(base: str, method: str, key: str, expires: int, secret: bytes) -> str:
    """Return the link beneath *base* by which *method* may be used on *key* until *expires*."""
    path = quote(key, safe="/")
    signature = _signature(method, key, expires, secret)
    return f"{base.rstrip('/')}/{path}?method={method}&expires={expires}&signature={signature}"


def verify_url(base: str, url: str, method: str, now: float, secret: bytes) -> str:
    """Return the key that *url* is for.

    Raises:
        AuthorizationError: The link was changed, is for something else, or has expired.
    """
    key, query = _parts(base, url)
    wanted, expires, signature = (query.get(name, "") for name in ("method", "expires", "signature"))
    if not _NUMBER(expires):
        raise AuthorizationError("this link was changed or is none of ours")
    if not constant_time_equals(signature, _signature(wanted, key, int(expires), secret)):
        raise AuthorizationError("this link was changed or is none of ours")
    if method != wanted and not (method == "HEAD" and wanted == "GET"):
        msg = f"this link is for {wanted}, not for {method!r:.20}"
        raise AuthorizationError(msg)
    if int(expires) <= now:
        msg = f"this link expired {now - int(expires):.0f} s ago"
        raise AuthorizationError(msg)
    return key


def _parts(base: str, url: str) -> tuple[str, dict[str, str]]:
    try:
        split = urlsplit(url)
        # The host is left out: behind a proxy it is another than the one the link names.
        path = split.path.removeprefix(urlsplit(base).path.rstrip("/") + "/")
        key = check_key(unquote(path, errors="strict"))
        found = parse_qs(split.query[:_MAX_QUERY], strict_parsing=True, max_num_fields=16)
    except (ValueError, ValidationError) as exc:
        raise AuthorizationError("this link was changed or is none of ours") from exc
    if path == split.path or any(len(values) > 1 for values in found.values()):
        raise AuthorizationError("this link was changed or is none of ours")
    return key, {name: values[0] for name, values in found.items()}


def _signature(method: str, key: str, expires: int, secret: bytes) -> str:
    text = f"shared.storage v1\n{method}\n{expires}\n{key}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
