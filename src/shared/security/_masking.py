"""Secrets inside text: masked by their shape or by the name before them."""

import re
from base64 import b64decode
from typing import Final

from shared.security._names import Verdict, Verdicts, verdicts_for

__all__ = ["MASK", "SHORTEST", "mask", "mask_text", "mask_url", "mask_with"]

MASK: Final = "***"

_MAX_PASSES: Final = 8  # hostile text must not buy more
SHORTEST: Final = 10  # "Basic" and four characters; nothing shorter has the shape of a secret

# --- shapes of secrets -----------------------------------------------------------

_PEM: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
# The dots are optional, so that a run without them is consumed and not tried again
# from each "eyJ" inside of it; whether there were any is looked at afterwards.
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{4,}+((?:\.[A-Za-z0-9_-]*+){0,4}+)")
# Words that follow "Bearer" in prose and in a WWW-Authenticate challenge.
_BEARER: Final = re.compile(
    r"\b(bearer[ \t]+)(?!(?:auth|authentication|authorization|challenge|credentials?|format|header|is|or|and"
    r"|realm|scheme|tokens?|was|error|scope)(?:[^A-Za-z0-9._~+/-]|[.,]?\Z|[.,]\s))[A-Za-z0-9._~+/-]{4,}=*",
    re.IGNORECASE,
)
_BASIC: Final = re.compile(r"\b(basic[ \t]+)([A-Za-z0-9+/_-]{4,}={0,2})", re.IGNORECASE)


def _keys(*shapes: tuple[str, str]) -> re.Pattern[str]:
    """Compile the shapes, each a fixed prefix and what follows it.

    The look-behind (no letter or digit before the prefix) stands *after* the
    prefix: a pattern that begins with literals is searched many times faster.
    """
    return re.compile("|".join(f"{prefix}(?<![A-Za-z0-9]{prefix}){rest}" for prefix, rest in shapes))


_KEYS: Final = _keys(
    ("sk-", "[A-Za-z0-9_-]{8,}"),  # OpenAI, Anthropic and others
    *((f"pk-{mode}-", "[A-Za-z0-9_-]{8,}") for mode in ("live", "test", "lf")),
    *((f"{kind}k_{mode}_", "[A-Za-z0-9_-]{4,}") for kind in "spr" for mode in ("live", "test", "prod")),
    ("whsec_", "[A-Za-z0-9+/=_-]{4,}"),  # webhook secrets: Stripe, Standard Webhooks
    ("gh[pousr]_", "[A-Za-z0-9]{16,}"),
    ("github_pat_", "[A-Za-z0-9_]{16,}"),
    ("glpat-", "[A-Za-z0-9_-]{16,}"),
    ("xox[abceoprs]-", "[A-Za-z0-9-]{8,}"),  # Slack
    ("xapp-", "[A-Za-z0-9-]{8,}"),
    ("AKIA", "[A-Z0-9]{12,}"),  # AWS
    ("ASIA", "[A-Z0-9]{12,}"),
    ("AIza", "[A-Za-z0-9_-]{30,}"),  # Google
    (r"ya29\.", "[A-Za-z0-9_-]{16,}"),
    (r"SG\.", r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),  # SendGrid
    ("shp[acps][a-z]_", "[A-Fa-f0-9]{16,}"),  # Shopify
    ("npm_", "[A-Za-z0-9]{30,}"),
    ("hf_", "[A-Za-z0-9]{30,}"),
    ("pypi-", "[A-Za-z0-9_-]{30,}"),
)
# user:password@ of a URL. The password may hold an unescaped "@" or "/": it ends at
# the last "@" before the query, or before a space, a quote or the next "://". A
# port is no password.
_PORT: Final = r"(?!\d{1,5}(?:[/?#,]|\Z))"
_USERINFO: Final = re.compile(
    rf"(://[^\s/:@?#\[\"'<>]*:)(?!//){_PORT}(?:(?:(?!://)[^\s\"'<>?#])*|(?:(?!://)[^\s\"'<>])*)@"
)
# The same where the whole text is known to be a URL: spaces do not end it and the
# scheme may be absent.
_URL_USERINFO: Final = re.compile(
    rf"\A((?:(?:[A-Za-z][\w+.\-]*:){{0,3}}//)?(?!(?:mailto|sips?|tel|xmpp|acct):)[^/?#:@\[]*:)(?!//){_PORT}"
    r"(?:[^?#]*|.*)@",
    re.DOTALL,
)
# A long user name without a password is a token: https://<token>@host.
_USER_TOKEN: Final = re.compile(r"(://)[^\s/:@?#\"'<>*]{16,}@")
_TO_BASE64: Final = str.maketrans("-_", "+/")
_HOOKS: Final = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/"
    r"|api\.telegram\.org/bot)[^\s\"'<>]+"
)

# --- name=value and "name": "value" ---------------------------------------------

# Possessive, and only at the start of a run: linear on any input.
_NAME: Final = re.compile(
    r"(?<![\w.\-%\[\]])([A-Za-z_%\[][\w.\-%\[\]]{0,255}+)(?:\\?[\"'])?[ \t]{0,8}(=>|:=|==?|:)([ \t]{0,8})"
)
_QUOTED: Final = re.compile(
    r"[bru]?(?:\"((?:[^\"\\]|\\.)*)|'((?:[^'\\]|\\.)*)|\\\"((?:(?!\\\").)*)|\\'((?:(?!\\').)*))", re.DOTALL
)
# A comma or semicolon ends the value only before a space, the end or the next name.
_BARE: Final = re.compile(r"(?:[^\s&\"'<>;,]|[;,](?![\s;,]|\Z|[\w.\-]{1,64}\s{0,8}[=:]))+")
_PARAMETER: Final = re.compile(r"[^\s&#\"'<>]+")  # of a URL
_LINE: Final = re.compile(r"[^\r\n\"'<>]+")
_ALONE: Final = re.compile(r"[ \t]*(?:[\r\n,;&)\]}\"'<>]|\Z)")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?\Z").match
_PROSE: Final = frozenset(
    {"absent", "authentication", "bad", "cannot", "denied", "disabled", "empty", "enabled", "expected",
     "expired", "failed", "false", "got", "has", "invalid", "is", "length", "malformed", "mismatch",
     "missing", "must", "none", "not", "null", "ok", "refused", "rejected", "required", "should", "success",
     "too", "true", "undefined", "unknown", "unset", "unsupported", "was", "wrong"}
)  # fmt: skip
_BEFORE_PARAMETER: Final = frozenset("?&#")
_WHOLE_LINE: Final = ("authorization", "cookie")


def mask(value: object, *, keep: int = 0) -> str:
    """Return ``"***"``, and at most the last *keep* characters of *value*.

    Characters are kept only when at least three times as many stay hidden, so a
    short secret never shows. A ``SecretStr`` is opened for its last characters
    only. What is masked already stays as it is.

    Args:
        value: The secret; anything but text and ``SecretStr`` is hidden whole.
        keep: How many characters may stay visible, so that people can tell two
            keys apart.

    Example:
        >>> mask("hunter2"), mask("sk-live-1234567890abcdef", keep=4)
        ('***', '***cdef')
    """
    if keep <= 0:
        return MASK
    reveal = getattr(value, "get_secret_value", None)
    text = reveal() if callable(reveal) else value
    if not isinstance(text, str):
        return MASK
    if text.startswith(MASK) and len(text) == len(MASK) + keep:
        return text
    return MASK + text[-keep:] if len(text) >= 4 * keep else MASK


def mask_text(text: str) -> str:
    """Mask the secrets inside free *text* and return the rest as it was.

    Recognised by shape: bearer and basic credentials, JSON web tokens, the keys
    of well-known suppliers (``sk-``, ``whsec_``, ``ghp_``, ``xoxb-``, ``AKIA``,
    …), private keys in PEM form, passwords in URLs. Recognised by name: secret
    query parameters, ``password=…``, ``"client_secret": "…"``, ``Authorization:``
    and ``Cookie:`` lines. Linear in the length of the text; never raises.

    Example:
        >>> mask_text("GET /?api_key=k-1 failed: Bearer abc123 for redis://:pw@cache/0")
        'GET /?api_key=*** failed: Bearer *** for redis://:***@cache/0'
    """
    return mask_with(text, verdicts_for())


def mask_with(text: str, verdicts: Verdicts) -> str:
    """Do the work of :func:`mask_text` under *verdicts*; substring tests first, they are nearly free."""
    if ":" in text or "=" in text:
        return _settled(text, verdicts)
    return _mask_shapes(text) if len(text) >= SHORTEST else text


def _settled(text: str, verdicts: Verdicts) -> str:
    """Mask until nothing is left to mask: a masked part may lay a name bare that it was glued to."""
    for _ in range(_MAX_PASSES):
        masked = _mask_named(text, verdicts)
        if masked == text:
            break
        text = masked
    return text


def _mask_named(text: str, verdicts: Verdicts) -> str:
    if "://" in text:
        text = _mask_locations(text)
    return _mask_shapes(_mask_assignments(text, verdicts))


def _mask_shapes(text: str) -> str:
    if "-" in text or "_" in text:
        if "PRIVATE KEY" in text:
            text = _PEM.sub(MASK, text)
        text = _KEYS.sub(MASK, text)
    elif "IA" in text or "AIza" in text:
        text = _KEYS.sub(MASK, text)
    if "." in text:
        if "eyJ" in text:
            text = _JWT.sub(_mask_jwt, text)
        if "SG." in text or "ya29." in text:
            text = _KEYS.sub(MASK, text)
    if " " in text:
        if "earer" in text or "EARER" in text:
            text = _BEARER.sub(rf"\1{MASK}", text)
        if "asic " in text or "ASIC " in text:
            text = _BASIC.sub(_mask_basic, text)
    return text


def mask_url(url: str) -> str:
    """Mask the password and the secret parameters of *url*; host, path and the rest stay.

    Works on any text that means to be a URL (DSN lists, JDBC, passwords that should
    have been escaped) without parsing it, so it never raises.

    Example:
        >>> mask_url("postgresql://app:p@ss/word@db:5432/orders?sslpassword=x&sslmode=require")
        'postgresql://app:***@db:5432/orders?sslpassword=***&sslmode=require'
    """
    return mask_text(_URL_USERINFO.sub(rf"\1{MASK}@", url))


def _mask_locations(text: str) -> str:
    if "@" in text:
        text = _USERINFO.sub(rf"\1{MASK}@", text)
        text = _USER_TOKEN.sub(rf"\1{MASK}@", text)
    return _HOOKS.sub(rf"\1{MASK}", text)


def _mask_jwt(match: re.Match[str]) -> str:
    return MASK if match[1] else match[0]


def _mask_basic(match: re.Match[str]) -> str:
    """Mask *match* when it decodes to ``user:password``; "basic functionality" does not."""
    encoded = match[2].rstrip("=")
    try:
        decoded = b64decode(encoded.translate(_TO_BASE64) + "=" * (-len(encoded) % 4))
    except ValueError:
        return match[0]
    return f"{match[1]}{MASK}" if b":" in decoded else match[0]


def _mask_assignments(text: str, verdicts: Verdicts) -> str:
    parts: list[str] = []
    done = 0
    for match in _NAME.finditer(text):
        verdict = verdicts[match[1]]
        if not verdict or match.start() < done:
            continue
        span = _secret_span(text, match, verdict)
        if span is not None:
            parts += text[done : span[0]], MASK
            done = span[1]
    return "".join((*parts, text[done:])) if parts else text


def _secret_span(text: str, name: re.Match[str], verdict: int) -> tuple[int, int] | None:
    """Return where the value after *name* begins and ends, or None when it is no secret."""
    start = name.end()
    quoted = _QUOTED.match(text, start)
    if quoted is not None and quoted.lastindex is not None:
        begin, end = quoted.span(quoted.lastindex)
        return (begin, end) if end > begin else None
    if name[1].lower().endswith(_WHOLE_LINE) and name[2] == ":":
        value = _LINE.match(text, start)
    elif text[name.start() - 1 : name.start()] in _BEFORE_PARAMETER:
        value = _PARAMETER.match(text, start)
    else:
        value = _BARE.match(text, start)
    if value is None or value[0].strip(".").lower() in _PROSE:
        return None
    if verdict == Verdict.TEXT_SECRET and _NUMBER(value[0]):
        return None
    # "password: must have 8 characters" is prose, "password: hunter2" is not.
    if name[2] == ":" and name[3] and not _ALONE.match(text, value.end()):
        return None
    return value.span()
