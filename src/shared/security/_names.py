"""Which names promise a secret: password, X-API-Key, clientSecret, but not max_tokens."""

import re
from collections.abc import Iterable
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote

__all__ = ["Verdict", "Verdicts", "is_secret_name", "verdicts_for"]


class Verdict(IntEnum):
    """What a name says about its value."""

    PLAIN = 0
    SECRET = 1
    TEXT_SECRET = 2  # a text is secret, a number is a count: {"tokens": 512}


# Found anywhere inside a word, so that "dbpassword" and "xapikey" count too.
_INSIDE: Final = re.compile(
    r"passw(?:or)?d|passphrase|passcode|secret(?!ar)|credential|authorization|apikey|privatekey|secretkey"
    r"|accesskey|signingkey|encryptionkey|masterkey|creditcard|cardnumber|sessionid|sessid|connectionstring"
    r"|(?:[a-z]token|setcookie|[a-z]pwd)\Z"
).search
# Secret as a word of its own, wherever it stands.
_WORDS: Final = frozenset({"cvc", "cvv", "hotp", "jwt", "otp", "pwd", "ssn", "totp"})
# Secret when nothing but the last word or the whole name.
_LAST: Final = frozenset(
    {"auth", "bearer", "cookie", "cookies", "dsn", "pepper", "salt", "sig", "signature"},
)
_PAIRS: Final = frozenset(
    {
        *((kind, "key") for kind in (
            "access", "account", "admin", "aes", "api", "auth", "cipher", "crypto", "decryption", "deploy",
            "encryption", "gpg", "hmac", "jwt", "master", "pgp", "private", "rsa", "secret", "server",
            "consumer", "functions", "license", "session", "shared", "signing", "ssh", "storage",
            "subscription", "webhook",
        )),
        *((kind, "code") for kind in ("auth", "backup", "card", "mfa", "pin", "recovery", "security",
                                            "time")),
        *((kind, "codes") for kind in ("backup", "recovery")),
        *((kind, "keys") for kind in ("access", "api", "encryption", "private", "secret", "signing")),
        *(("card", last) for last in ("no", "number", "pan")),
        *(("cookie", last) for last in ("header", "jar", "string", "value")),
        ("client", "assertion"),
        ("code", "verifier"),
        ("connect", "sid"),
        ("connection", "string"),
        ("credit", "card"),
        ("saml", "response"),
        ("social", "security"),
    }
)  # fmt: skip
_ENDS: Final = frozenset({("secret", "id"), ("session", "id")})  # although other ids are harmless
_LOGINS: Final = frozenset(
    {"admin", "auth", "database", "db", "email", "ftp", "http", "login", "mail", "mysql", "pg", "postgres",
     "proxy", "redis", "root", "smtp", "ssh", "user"}
)  # fmt: skip
_PINNED: Final = frozenset({"account", "card", "login", "security", "sim", "user"})
_TOKEN_KINDS: Final = frozenset(
    {"access", "api", "auth", "bearer", "csrf", "device", "id", "invite", "personal", "push", "refresh",
     "reset", "revoked", "session", "user", "verification"}
)  # fmt: skip
# The first or last word that turns the name into a fact about a secret.
_FACT_FIRST: Final = frozenset(
    {"has", "is", "max", "min", "need", "needs", "num", "require", "requires", "total", "use", "uses"}
)
_FACT_LAST: Final = frozenset(
    {"age", "alg", "algorithm", "at", "audience", "backend", "brand", "bucket", "budget", "changed", "cost",
     "count", "counts", "created", "days", "disabled", "domain", "enabled", "endpoint", "exists", "expired",
     "expires", "expiry", "field", "file", "format", "hours", "httponly", "id", "ids", "in", "index",
     "issuer", "kind", "last", "length", "limit", "limits", "lifetime", "manager", "max", "min", "minutes",
     "name", "names", "path", "policies", "policy", "prefix", "present", "price", "provider", "rate",
     "remaining", "required", "rotated", "rounds", "samesite", "scheme", "scope", "scopes", "seconds",
     "secure", "size", "source", "status", "store", "strategy", "total", "ttl", "type", "types", "updated",
     "uri", "url", "usage", "used", "valid", "verified", "version"}
)  # fmt: skip

_split: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+").findall
_MAX_NAME: Final = 256
_MAX_MEMO: Final = 4096


def _words(name: str) -> list[str]:
    """Split ``clientSecret``, ``X-API-Key`` and ``db_pass`` into lower-case words."""
    if "%" in name:
        name = unquote(name)
    return [word.lower() for word in _split(name)]


def judge(name: str) -> Verdict:
    """Return what *name* says about its value, without memory."""
    if len(name) > _MAX_NAME:  # an attacker may choose the name, not our time
        name = f"{name[: _MAX_NAME // 2]} {name[-_MAX_NAME // 2 :]}"
    words = _words(name)
    if not words:
        return Verdict.PLAIN
    pairs = tuple(pairwise(words))
    if pairs and pairs[-1] in _ENDS:
        return Verdict.SECRET
    first, last = words[0], words[-1]
    if last in _FACT_LAST or (first in _FACT_FIRST and len(words) > 1):
        return Verdict.PLAIN
    if last in _LAST or not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(pairs):
        return Verdict.SECRET
    if any(map(_INSIDE, words)):
        return Verdict.TEXT_SECRET if last.endswith("token") else Verdict.SECRET
    return Verdict.TEXT_SECRET if _is_short_secret(words) else Verdict.PLAIN


def _is_short_secret(words: list[str]) -> bool:
    """Judge the short words that mean a secret only in the right company."""
    before, last = (words[-2] if len(words) > 1 else None), words[-1]
    if last == "pass":
        return before is None or before in _LOGINS
    if last == "pin":
        return before is None or before in _PINNED
    if last == "tokens":
        return before is None or before in _TOKEN_KINDS
    return "token" in words


class Verdicts(dict[Any, int]):
    """A bounded memory of verdicts: ``verdicts[name]`` judges once.

    Names may come from an attacker, so it forgets everything when full, and
    names of unusual length or type are judged anew each time.
    """

    __slots__ = ("_allowed", "_extra")

    def __init__(self, names: Iterable[str] = (), allow: Iterable[str] = ()) -> None:
        self._extra = tuple(f"_{'_'.join(words)}_" for name in names if (words := _words(name)))
        self._allowed = frozenset("_".join(_words(name)) for name in allow)

    def __missing__(self, name: object) -> int:
        if isinstance(name, bytes | bytearray):
            return self[bytes(name).decode("latin-1")]
        if not isinstance(name, str):
            return Verdict.PLAIN
        verdict = int(self._judge(str.__str__(name)))
        if len(name) <= _MAX_NAME:
            if len(self) >= _MAX_MEMO:
                self.clear()
            self[str.__str__(name)] = verdict
        return verdict

    def _judge(self, name: str) -> Verdict:
        if self._extra or self._allowed:
            joined = "_".join(_words(name[:_MAX_NAME]))
            if joined in self._allowed:
                return Verdict.PLAIN
            if any(extra in f"_{joined}_" for extra in self._extra):
                return Verdict.SECRET
        return judge(name)


_common: Final = Verdicts()


def verdicts_for(names: Iterable[str] = (), allow: Iterable[str] = ()) -> Verdicts:
    """Return the verdicts for these rules; the common ones are shared."""
    names, allow = tuple(names), tuple(allow)
    return Verdicts(names, allow) if names or allow else _common


def is_secret_name(name: str | bytes) -> bool:
    """Tell whether *name* promises a secret: of a field, header, parameter or setting.

    Understands ``snake_case``, ``camelCase``, ``Header-Case``, glued lower case and
    percent-encoding. Names of facts about a secret (``token_count``,
    ``max_tokens``, ``password_min_length``) are not secret. Anything that is not
    text is not. Verdicts are remembered, so a repeated name costs one look-up.

    Example:
        >>> [is_secret_name(name) for name in ("password", "X-API-Key", "clientSecret", b"Set-Cookie")]
        [True, True, True, True]
        >>> [is_secret_name(name) for name in ("max_tokens", "password_min_length", "secretary")]
        [False, False, False]
    """
    return _common[name] != Verdict.PLAIN
