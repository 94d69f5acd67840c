"""Is this an e-mail address, a URL, a phone number? A wrong one is False, never an error."""

import ipaddress
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError
from shared.utils._checks import kind, plain_text

__all__ = ["is_valid_email", "is_valid_phone", "is_valid_url"]

# Longer than any real number with its spaces, brackets and extension.
_PHONE_INPUT: Final = 64
_HOST_MAX: Final = 253
# Octets. Source: RFC 5321, section 4.5.3.1.1.
_LOCAL_PART_MAX: Final = 64
# The characters of an IRI, %XX included; isprintable() takes out the invisible ones of
# the upper range. Source: RFC 3986, section 2; RFC 3987, sections 2.2 and 4.1.
_URL_SHAPE: Final = re.compile(
    r"[a-zA-Z][a-zA-Z0-9+.\-]*://"
    r"(?:[a-zA-Z0-9\-._~:/?#\[\]@!$&'()*+,;=\u00a0-\U0010ffff]"
    r"|%[0-9a-fA-F]{2})+"
)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def is_valid_email(value: object, *, allow_test_domains: bool = False) -> bool:
    """Tell whether *value* is an e-mail address that could exist; asks no server.

    Addresses in every script are accepted. Refused are display names, quoted
    local parts, address literals and domains that never reach the internet
    (``user@localhost``, ``user@host.local``).

    Args:
        value: Anything; what is not text is not an address.
        allow_test_domains: Accept ``@test`` and ``@….test``, which are reserved for tests.

    Example:
        >>> is_valid_email("user@example.com"), is_valid_email("ünal@münchen.de")
        (True, True)
        >>> is_valid_email("user@"), is_valid_email(None)
        (False, False)

    Source: RFC 5321, RFC 6531 (through email-validator).
    """
    text = plain_text(value)
    if text is None or not 3 <= len(text) <= FieldLimit.EMAIL_MAX:
        return False
    from email_validator import validate_email

    try:
        address = validate_email(
            text,
            check_deliverability=False,
            test_environment=allow_test_domains,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
        )
    except ValueError:  # the library's errors, and those of the codecs below it
        return False
    return len(address.local_part.encode()) <= _LOCAL_PART_MAX


def is_valid_phone(value: object, *, region: str | None = None) -> bool:
    """Tell whether *value* is a phone number that is in use somewhere.

    Args:
        value: Anything. International (``+49 …``) unless *region* is given.
        region: Two-letter country whose national numbers are understood, such as
            ``"US"``.

    Raises:
        InvalidArgumentError: *region* is not a known country code.

    Example:
        >>> is_valid_phone("+1 415 555 2671"), is_valid_phone("415 555 2671", region="US")
        (True, True)
        >>> is_valid_phone("415 555 2671"), is_valid_phone("+1 1")
        (False, False)
    """
    import phonenumbers

    country = _known_region(region, phonenumbers.SUPPORTED_REGIONS)
    text = plain_text(value)
    if text is None or len(text) > _PHONE_INPUT or not text.isprintable():
        return False
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(text, country)))
    except phonenumbers.NumberParseException:
        return False


def _known_region(region: object, known: Collection[str]) -> str | None:
    if region is None:
        return None
    code = (plain_text(region) or "").upper()
    if code in known:
        return code
    shown = repr(code) if 0 < len(code) <= 20 else kind(region)
    msg = f"region must be a two-letter country code such as 'US' or 'DE', got {shown}"
    raise InvalidArgumentError(msg)


def is_valid_url(
    value: object,
    *,
    schemes: Collection[str] = ("http", "https"),
    allow_simple_host: bool = False,
    allow_userinfo: bool = False,
) -> bool:
    """Tell whether *value* is a complete URL, written without tricks.

    A shape check: it resolves nothing and says nothing about where the host
    leads (``http://127.0.0.1`` is a URL). Hosts are domain names in every
    script, IPv4 in four decimal parts, IPv6 in brackets and ``localhost``.
    Spaces, control characters, backslashes, half-written escapes and IPv4 in
    disguise (``http://0x7f.1``) are refused.

    Args:
        value: Anything; up to 2048 characters.
        schemes: Accepted schemes, lower case.
        allow_simple_host: Accept names without a dot, such as ``http://catalog:8000``.
        allow_userinfo: Accept ``user:password@host``.

    Raises:
        InvalidArgumentError: *schemes* is one text instead of a collection.

    Example:
        >>> is_valid_url("https://example.com/a?b=c"), is_valid_url("https://bücher.example/")
        (True, True)
        >>> is_valid_url("javascript:alert(1)"), is_valid_url("http://catalog:8000")
        (False, False)
        >>> is_valid_url("http://catalog:8000", allow_simple_host=True)
        True

    Source: RFC 3986, RFC 3987, RFC 5890 to 5892 (through ``idna``).
    """
    if plain_text(schemes) is not None:
        msg = 'schemes must be a collection such as ("https",), got text'
        raise InvalidArgumentError(msg)
    text = plain_text(value)
    if text is None or len(text) > FieldLimit.URL_MAX or not text.isprintable():
        return False
    if _URL_SHAPE.fullmatch(text) is None:
        return False
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:  # brackets that do not hold an address, a port that is no number
        return False
    if parts.scheme not in schemes or not host or port == 0 or parts.netloc.endswith(":"):
        return False
    if ("@" in parts.netloc and not allow_userinfo) or parts.netloc.count("@") > 1:
        return False
    return _is_host(host, bracketed="[" in parts.netloc, allow_simple=allow_simple_host)


def _is_host(host: str, *, bracketed: bool, allow_simple: bool) -> bool:
    if bracketed:
        return _is_address(host, 6) and "%" not in host
    if host == "localhost" or _is_address(host, 4):
        return True
    name = _ascii_name(host.removesuffix("."))
    if name is None or len(name) > _HOST_MAX:
        return False
    labels = name.split(".")
    if len(labels) == 1 and not allow_simple:
        return False
    # A last label of digits makes a browser read the whole as an IPv4 address;
    # so does 0x. Source: the URL standard, "ends in a number".
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        return False
    return all(_LABEL.fullmatch(label) for label in labels)


def _is_address(host: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(host).version == version
    except ValueError:
        return False


def _ascii_name(host: str) -> str | None:
    """Return *host* as it goes over the wire, or None for what is no name."""
    if host.isascii() and "xn--" not in host:
        return host
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except ValueError:  # idna's errors and the codec's
        return None
