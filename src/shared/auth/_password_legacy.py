"""Hashes of other libraries, and our schemes for code that uses a passlib ``CryptContext``.

passlib is imported on first use and with its warnings silenced: its 1.7.4 imports
``crypt``, which warns from Python 3.11 on. Its own bcrypt is never called: it fails with
bcrypt 5 and cuts passwords at 72 bytes with older ones.
"""

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from shared.auth._password_formats import parse_hash
from shared.auth._password_schemes import BCRYPT_LIMIT, Argon2Cost, bcrypt_verify, hash_with
from shared.errors import ConfigurationError

__all__ = ["LEGACY_SCHEMES", "find_legacy", "legacy_verify", "make_context"]

LEGACY_SCHEMES: Final = (
    "pbkdf2_sha256",
    "pbkdf2_sha512",
    "django_pbkdf2_sha256",
    "sha256_crypt",
    "sha512_crypt",
    "scrypt",
)
"""Schemes of other libraries that are understood unless told otherwise."""

# Iterations beyond this would block a thread for many seconds; a hash that asks for
# more was not made by a login form.
_MOST_ITERATIONS: Final = 5_000_000
_MOST_SCRYPT_MEMORY: Final = 256 * 1024 * 1024
_NEVER: Final = frozenset(
    {"plaintext", "unix_disabled", "unix_fallback", "django_disabled", "ldap_plaintext"}
)


_import_lock = threading.Lock()


@contextmanager
def _silenced() -> Iterator[None]:
    """Import passlib without its warnings, which a strict service turns into errors.

    The filters are the process's: two threads must not put them back in the wrong order.
    """
    with _import_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def handler_of(name: str) -> Any:
    """Return passlib's handler of the scheme *name*.

    Raises:
        ConfigurationError: passlib does not know it, or it is no hash.
    """
    if name in _NEVER or "bcrypt" in name or "argon2" in name:
        msg = f"{name!r} is no legacy scheme: name one of passlib's, such as {', '.join(LEGACY_SCHEMES)}"
        raise ConfigurationError(msg)
    with _silenced():
        from passlib.registry import get_crypt_handler

        found = get_crypt_handler(name, None)
    if found is None:
        msg = f"passlib knows no scheme {name!r}"
        raise ConfigurationError(msg)
    return found


def find_legacy(text: object, schemes: Iterable[str]) -> Any:
    """Return the handler that understands *text* and may be asked about it, or None."""
    if not isinstance(text, str) or not 1 <= len(text) <= 1024:
        return None
    for name in schemes:
        handler = handler_of(name)
        try:
            if handler.identify(text):
                return handler if _is_affordable(handler.from_string(text)) else None
        except Exception:  # noqa: BLE001 - its parsers also fail by AssertionError and IndexError
            return None
    return None


def _is_affordable(parsed: Any) -> bool:
    if parsed.name == "scrypt":
        memory = 128 * (1 << min(parsed.rounds, 40)) * parsed.block_size
        return bool(memory * parsed.parallelism <= _MOST_SCRYPT_MEMORY)
    return bool(getattr(parsed, "rounds", 0) <= _MOST_ITERATIONS)


def legacy_verify(handler: Any, secret: bytes, text: str) -> bool:
    """Tell whether *secret* made *text*; whatever passlib cannot read does not fit."""
    try:
        return bool(handler.verify(secret, text))
    except Exception:  # noqa: BLE001 - as above
        return False


def _passlib() -> tuple[Any, Any]:
    with _silenced():
        from passlib import exc
        from passlib.utils import handlers
    return handlers, exc


def _base_handler() -> Any:
    """Return the passlib handler that our two schemes share."""
    uh, _ = _passlib()

    class _Bcrypt(uh.MinimalHandler):  # type: ignore[misc, name-defined] # passlib has no types
        name = "bcrypt"
        setting_kwds = ("rounds",)
        context_kwds = ()
        default_rounds = 12
        min_rounds, max_rounds, rounds_cost = 4, 16, "log2"
        rounds = 12

        @classmethod
        def using(cls, rounds: Any = None, relaxed: bool = False, **kwds: Any) -> Any:
            made = super().using(relaxed=relaxed, **kwds)
            made.rounds = cls.rounds if rounds is None else int(rounds)
            made.max_rounds = max(cls.max_rounds, made.rounds)
            return made

        @classmethod
        def identify(cls, hash: Any) -> bool:
            parsed = parse_hash(uh.to_unicode_for_identify(hash))
            return parsed is not None and parsed.scheme == cls.name

        @classmethod
        def hash(cls, secret: Any, **kwds: Any) -> str:
            handler = cls.using(**kwds) if kwds else cls
            return hash_with(
                cls.name, _bytes_of(cls.name, secret), rounds=handler.rounds, argon2=Argon2Cost()
            )

        @classmethod
        def verify(cls, secret: Any, hash: Any, **_: Any) -> bool:
            parsed = parse_hash(uh.to_unicode_for_identify(hash))
            if parsed is None or parsed.scheme != cls.name or parsed.cost > cls.max_rounds:
                raise uh.exc.InvalidHashError(cls)
            return bcrypt_verify(_bytes_of(cls.name, secret), parsed)

        @classmethod
        def needs_update(cls, hash: Any, **_: Any) -> bool:
            parsed = parse_hash(uh.to_unicode_for_identify(hash))
            return parsed is None or parsed.cost != cls.rounds or parsed.version == 1

    return _Bcrypt


def _bytes_of(scheme: str, secret: Any) -> bytes:
    uh, exc = _passlib()
    uh.validate_secret(secret)
    found = secret.encode() if isinstance(secret, str) else bytes(secret)
    if scheme == "bcrypt" and (len(found) > BCRYPT_LIMIT or b"\0" in found):
        # Refused, not cut: the rest of the password would not count.
        raise exc.PasswordSizeError(BCRYPT_LIMIT)
    return found


@cache
def _context_handlers() -> tuple[Any, Any]:
    """Return our ``bcrypt_sha256`` and ``bcrypt`` as passlib handlers."""
    plain = _base_handler()
    return type("_BcryptSha256", (plain,), {"name": "bcrypt_sha256"}), plain


def make_context(default: str, rounds: int, legacy: Iterable[str]) -> Any:
    """Return a ``CryptContext`` over our bcrypt and passlib's *legacy* schemes."""
    sha256, plain = _context_handlers()
    with _silenced():
        from passlib.context import CryptContext
    first, second = (plain, sha256) if default == "bcrypt" else (sha256, plain)
    return CryptContext(
        schemes=[first.using(rounds=rounds), second.using(rounds=rounds), *map(handler_of, legacy)],
        deprecated="auto",
    )
