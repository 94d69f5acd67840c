"""Rules over several settings and rules of the profiles.

A rule names the settings it looks at and runs only when all of them are valid,
so that one wrong value does not hide, or cause, another report.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from pydantic import SecretStr

from shared.config._field import FieldSpec
from shared.config._plaintext import is_local, is_plaintext
from shared.config._report import Problem
from shared.config._types import ConnectionUrl


class _FoundLike(Protocol):
    @property
    def raws(self) -> tuple[Any, ...]: ...


Values = Mapping[str, Any]
Rule = Callable[[Values], Iterator[Problem]]

_EVERYWHERE: Final[list[tuple[tuple[str, ...], Rule]]] = []
_PRODUCTION: Final[list[tuple[tuple[str, ...], Rule]]] = []

#: Bytes of key an HS algorithm needs: the size of its hash. Source: RFC 7518, section 3.2.
KEY_BYTES: Final[Mapping[str, int]] = {"HS256": 32, "HS384": 48, "HS512": 64}
_PLACEHOLDERS: Final = (
    "change",
    "default",
    "dummy",
    "example",
    "insecure",
    "jwt_secret",
    "password",
    "placeholder",
    "replace",
    "secret",
    "supersecret",
    "test",
    "todo",
    "xxx",
    "your-",
    "your_",
)
_MIN_DISTINCT: Final = 8


def _rule(*names: str, production: bool = False) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        (_PRODUCTION if production else _EVERYWHERE).append((names, rule))
        return rule

    return register


def check(
    values: Values, environment: str, found: Mapping[str, _FoundLike], specs: Mapping[str, FieldSpec]
) -> Iterator[Problem]:
    """Yield what the rules of *environment* find; in staging, production's are warnings."""
    for problem in _run(_EVERYWHERE, values):
        yield _located(problem, found)
    if environment not in ("production", "staging"):
        return
    severity = "error" if environment == "production" else "warning"
    for problem in (*_run(_PRODUCTION, values), *_placeholders(values, specs)):
        yield replace(_located(problem, found), severity=severity)


def _run(rules: list[tuple[tuple[str, ...], Rule]], values: Values) -> Iterator[Problem]:
    for names, rule in rules:
        if all(name in values for name in names):
            yield from rule(values)


def _located(problem: Problem, found: Mapping[str, _FoundLike]) -> Problem:
    place = found[problem.variable]
    return replace(problem, origin=place.raws[0].origin if place.raws else "default")


# --- everywhere ---------------------------------------------------------------------------------


@_rule("CORS_ORIGINS", "CORS_ALLOW_CREDENTIALS")
def _cors(values: Values) -> Iterator[Problem]:
    if "*" in values["CORS_ORIGINS"] and values["CORS_ALLOW_CREDENTIALS"]:
        yield Problem(
            "CORS_ORIGINS",
            "'*' together with CORS_ALLOW_CREDENTIALS lets every site act as the user; browsers refuse it",
            fix="list the origins, or set CORS_ALLOW_CREDENTIALS=false",
            id="settings.cors-credentials",
        )


@_rule("PASSWORD_MIN_LENGTH", "PASSWORD_MAX_LENGTH")
def _password_lengths(values: Values) -> Iterator[Problem]:
    shortest, longest = values["PASSWORD_MIN_LENGTH"], values["PASSWORD_MAX_LENGTH"]
    if shortest > longest:
        yield Problem("PASSWORD_MIN_LENGTH", f"{shortest} is above PASSWORD_MAX_LENGTH, {longest}")


@_rule("RETRY_DELAY", "RETRY_MAX_DELAY")
def _retry_delays(values: Values) -> Iterator[Problem]:
    first, longest = values["RETRY_DELAY"], values["RETRY_MAX_DELAY"]
    if first > longest:
        yield Problem("RETRY_DELAY", f"{first} is above RETRY_MAX_DELAY, {longest}")


@_rule("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
def _aws_pair(values: Values) -> Iterator[Problem]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if values[name] is None]
    if len(missing) == 1:
        other = next(name for name in names if name != missing[0])
        yield Problem(missing[0], f"is not set, but {other} is; they only work together", severity="warning")


@_rule("REDIS_URL", "REDIS_HOST")
def _redis_twice(values: Values) -> Iterator[Problem]:
    if values["REDIS_URL"] is not None and values["REDIS_HOST"] is not None:
        yield Problem(
            "REDIS_HOST",
            "has no effect: REDIS_URL is set and wins",
            fix="remove REDIS_HOST, or remove REDIS_URL",
            id="settings.no-effect",
            severity="warning",
        )


# --- production -----------------------------------------------------------------------------------


@_rule("DEBUG", production=True)
def _debug(values: Values) -> Iterator[Problem]:
    if values["DEBUG"]:
        yield Problem(
            "DEBUG",
            "expected false: debug pages show code and settings",
            id="prod.debug",
            fix="set DEBUG=false",
        )


def _has_other_keys(values: Values) -> bool:
    """Tell whether the keys come from a file or an address, so that none has to be set."""
    return values["JWT_KEYS_FILE"] is not None or values["JWT_JWKS_URL"] is not None


@_rule(
    "JWT_SECRET_KEY",
    "JWT_ALGORITHM",
    "JWT_ALLOW_MISSING_KEY",
    "JWT_KEYS_FILE",
    "JWT_JWKS_URL",
    production=True,
)
def _jwt_key(values: Values) -> Iterator[Problem]:
    needed = KEY_BYTES.get(values["JWT_ALGORITHM"])
    if needed is None:
        return
    secret: SecretStr | None = values["JWT_SECRET_KEY"]
    if secret is None:
        if not values["JWT_ALLOW_MISSING_KEY"] and not _has_other_keys(values):
            yield Problem(
                "JWT_SECRET_KEY",
                "is not set; tokens could not be signed",
                id="prod.secret-missing",
                fix=f"set it to the output of: {_make_key(64)}; "
                "or set JWT_ALLOW_MISSING_KEY=true in a process that handles no tokens",
            )
        return
    yield from _weak("JWT_SECRET_KEY", secret, needed, f" for {values['JWT_ALGORITHM']}")


@_rule("JWT_PREVIOUS_SECRET_KEYS", "JWT_ALGORITHM", production=True)
def _jwt_previous(values: Values) -> Iterator[Problem]:
    needed = KEY_BYTES.get(values["JWT_ALGORITHM"])
    for secret in values["JWT_PREVIOUS_SECRET_KEYS"] if needed else ():
        yield from _weak("JWT_PREVIOUS_SECRET_KEYS", secret, needed or 0, f" for {values['JWT_ALGORITHM']}")


@_rule(
    "JWT_PRIVATE_KEY",
    "JWT_PUBLIC_KEY",
    "JWT_ALGORITHM",
    "JWT_ALLOW_MISSING_KEY",
    "JWT_KEYS_FILE",
    "JWT_JWKS_URL",
    production=True,
)
def _jwt_pair(values: Values) -> Iterator[Problem]:
    if values["JWT_ALGORITHM"] in KEY_BYTES or values["JWT_ALLOW_MISSING_KEY"] or _has_other_keys(values):
        return
    if values["JWT_PRIVATE_KEY"] is None and values["JWT_PUBLIC_KEY"] is None:
        yield Problem(
            "JWT_PRIVATE_KEY",
            f"is not set, and neither is JWT_PUBLIC_KEY; {values['JWT_ALGORITHM']} needs one of them",
            id="prod.secret-missing",
            fix="set JWT_PRIVATE_KEY to issue tokens or JWT_PUBLIC_KEY to verify them",
        )


@_rule("CSRF_SECRET_KEY", "CURSOR_SECRET_KEY", "API_KEY_PEPPER", production=True)
def _other_keys(values: Values) -> Iterator[Problem]:
    for name in ("CSRF_SECRET_KEY", "CURSOR_SECRET_KEY", "API_KEY_PEPPER"):
        if values[name] is not None:
            yield from _weak(name, values[name], 32, "")


def _make_key(size: int) -> str:
    return f"python -c 'import secrets; print(secrets.token_urlsafe({size}))'"


def _weak(name: str, secret: SecretStr, needed: int, purpose: str) -> Iterator[Problem]:
    data = secret.get_secret_value().encode("utf-8", "surrogatepass")
    if len(data) < needed:
        message = f"expected at least {needed} bytes{purpose}, got {len(data)}"
    elif len(set(data)) < _MIN_DISTINCT:
        message = f"expected a random value, got only {len(set(data))} different characters"
    else:
        return
    yield Problem(
        name,
        message,
        id="prod.secret-weak",
        fix=f"set {name} to the output of: {_make_key(max(48, needed))}",
    )


def _placeholders(values: Values, specs: Mapping[str, FieldSpec]) -> Iterator[Problem]:
    for name, spec in specs.items():
        if spec.secret and any(_is_placeholder(text) for text in _texts(values.get(name))):
            yield Problem(
                name,
                "is a placeholder from an example, not a secret",
                id="prod.secret-default",
                fix=f"set {name} to a real value",
            )


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts inside a secret, a list of them or a mapping to them."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _is_placeholder(text: str) -> bool:
    """Tell whether *text* is a word people write where a secret belongs.

    Long random values may contain such a word by chance, so only values that
    consist of words count: no digits mixed in, or short.
    """
    folded = text.strip().lower()
    if not any(word in folded for word in _PLACEHOLDERS):
        return False
    words = folded.replace("-", "").replace("_", "").replace(" ", "").replace(".", "")
    return words.rstrip("0123456789!").isalpha() or len(folded) < 16


@_rule("DATABASE_URL", "DATABASE_REPLICA_URLS", "DB_ALLOW_SQLITE", production=True)
def _sqlite(values: Values) -> Iterator[Problem]:
    if values["DB_ALLOW_SQLITE"]:
        return
    for name, url in _database_urls(values):
        if url.scheme == "sqlite":
            yield Problem(
                name,
                "SQLite lives in one file on one machine and is refused in production",
                id="prod.sqlite",
                fix="use a database server, or set DB_ALLOW_SQLITE=true if one machine is what you want",
            )


@_rule("DATABASE_URL", "DATABASE_REPLICA_URLS", "DB_ALLOW_PLAINTEXT", production=True)
def _database_plaintext(values: Values) -> Iterator[Problem]:
    if values["DB_ALLOW_PLAINTEXT"]:
        return
    for name, url in _database_urls(values):
        if is_plaintext(url):
            yield Problem(
                name,
                "is not encrypted on the way to another machine",
                id="prod.plaintext",
                fix="add ?sslmode=verify-full or ?ssl_ca=FILE to the URL, or set DB_ALLOW_PLAINTEXT=true",
            )


def _database_urls(values: Values) -> Iterator[tuple[str, ConnectionUrl]]:
    if values["DATABASE_URL"] is not None:
        yield "DATABASE_URL", values["DATABASE_URL"]
    for url in values["DATABASE_REPLICA_URLS"]:
        yield "DATABASE_REPLICA_URLS", url


@_rule("REDIS_URL", "REDIS_HOST", "REDIS_TLS", "REDIS_ALLOW_PLAINTEXT", production=True)
def _redis_plaintext(values: Values) -> Iterator[Problem]:
    url, host = values["REDIS_URL"], values["REDIS_HOST"]
    if values["REDIS_ALLOW_PLAINTEXT"]:
        return
    by_parts = url is None and host is not None and not values["REDIS_TLS"] and not is_local(host)
    if by_parts or (url is not None and is_plaintext(url)):
        yield Problem(
            "REDIS_URL" if url is not None else "REDIS_HOST",
            "is not encrypted on the way to another machine",
            id="prod.plaintext",
            fix="use rediss:// (or REDIS_TLS=true), or set REDIS_ALLOW_PLAINTEXT=true",
        )


@_rule("CACHE_URL", "REDIS_ALLOW_PLAINTEXT", production=True)
def _cache_plaintext(values: Values) -> Iterator[Problem]:
    url = values["CACHE_URL"]
    if url is not None and is_plaintext(url) and not values["REDIS_ALLOW_PLAINTEXT"]:
        yield Problem(
            "CACHE_URL",
            "is not encrypted on the way to another machine",
            id="prod.plaintext",
            fix="use rediss://, or set REDIS_ALLOW_PLAINTEXT=true",
        )


@_rule("JOBS_BROKER_URL", "REDIS_ALLOW_PLAINTEXT", production=True)
def _jobs_plaintext(values: Values) -> Iterator[Problem]:
    url = values["JOBS_BROKER_URL"]
    allowed = url.scheme == "redis" and values["REDIS_ALLOW_PLAINTEXT"]
    if is_plaintext(url) and not allowed:
        yield Problem(
            "JOBS_BROKER_URL",
            "is not encrypted on the way to another machine",
            id="prod.plaintext",
            fix="use rediss://, amqps:// or tls://; REDIS_ALLOW_PLAINTEXT=true also counts for redis://",
        )


@_rule("SMTP_HOST", "SMTP_TLS", "SMTP_ALLOW_PLAINTEXT", production=True)
def _smtp_plaintext(values: Values) -> Iterator[Problem]:
    host = values["SMTP_HOST"]
    if host is None or values["SMTP_TLS"] != "none" or values["SMTP_ALLOW_PLAINTEXT"] or is_local(host):
        return
    yield Problem(
        "SMTP_TLS",
        "mail is not encrypted on the way to another machine",
        id="prod.plaintext",
        fix="set SMTP_TLS=starttls, or set SMTP_ALLOW_PLAINTEXT=true",
    )


@_rule(
    "OPENAI_BASE_URL", "AWS_ENDPOINT_URL", "STORAGE_ENDPOINT_URL", "SUPPLIER_ALLOW_PLAINTEXT", production=True
)
def _supplier_plaintext(values: Values) -> Iterator[Problem]:
    for name in (
        ()
        if values["SUPPLIER_ALLOW_PLAINTEXT"]
        else ("OPENAI_BASE_URL", "AWS_ENDPOINT_URL", "STORAGE_ENDPOINT_URL")
    ):
        if values[name] is not None and is_plaintext(values[name]):
            yield Problem(
                name,
                "is not encrypted on the way to another machine",
                id="prod.plaintext",
                fix="use https://, or set SUPPLIER_ALLOW_PLAINTEXT=true for a server of your own network",
            )


@_rule("JWT_KEYS_FILE", "JWT_JWKS_URL")
def _two_sources_of_keys(values: Values) -> Iterator[Problem]:
    if values["JWT_KEYS_FILE"] is not None and values["JWT_JWKS_URL"] is not None:
        yield Problem("JWT_JWKS_URL", "stands beside JWT_KEYS_FILE: keys come from one place", fix="set one")
