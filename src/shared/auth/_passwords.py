"""Hash passwords, check them, and bring old hashes up to date at login."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Literal, Self

from shared.auth._password_formats import ParsedHash, parse_hash
from shared.auth._password_legacy import LEGACY_SCHEMES, find_legacy, handler_of, legacy_verify, make_context
from shared.auth._password_policy import PasswordPolicy
from shared.auth._password_pool import HashingPool
from shared.auth._password_schemes import (
    BCRYPT_LIMIT,
    Argon2Cost,
    argon2_verify,
    bcrypt_verify,
    dummy_hash,
    hash_with,
)
from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError, ValidationError
from shared.runtime import current

__all__ = ["PasswordManager"]

Scheme = Literal["bcrypt", "bcrypt_sha256", "argon2id"]
_SCHEMES: Final = ("bcrypt", "bcrypt_sha256", "argon2id")
_MOST_ROUNDS: Final = 16  # 16 times the default; 31 would take days
_MOST_MEMORY: Final = 262_144  # KiB
_MOST_PASSES: Final = 32
_MOST_LANES: Final = 16


class PasswordManager:
    """Hashes and checks passwords; holds no password and no state but its settings.

    Hashes are in the form that passlib, argon2 and every bcrypt library write, so the
    column can be shared with other code. Checking never raises for what a user or a row
    may hold: too long, empty, malformed or unknown is simply False, and costs as much
    time as a wrong password, so nobody learns which users exist. Thread-safe.

    Args:
        scheme: ``"bcrypt_sha256"`` (passwords of any length), ``"argon2id"`` (extra
            ``argon2``) or ``"bcrypt"`` (refuses more than 72 bytes).
        rounds: Cost of bcrypt as a power of two, 4 to 18.
        argon2: Cost of argon2id.
        policy: What new passwords must be; :meth:`problems` asks it.
        legacy_schemes: Names of passlib's schemes that are still understood and
            upgraded at login.
        legacy_truncate: Accept a plain bcrypt hash for a password beyond 72 bytes by
            its first 72, as the library did that made it.
        pool: Threads for the asynchronous twins; the current runtime's when None.

    Raises:
        InvalidArgumentError: The scheme is unknown or *rounds* out of range.
        ConfigurationError: passlib does not know one of *legacy_schemes*.

    Example:
        >>> manager = PasswordManager(rounds=4)
        >>> hashed = manager.hash_password("correct horse")
        >>> hashed[:28]
        '$bcrypt-sha256$v=2,t=2b,r=4$'
        >>> manager.verify_password("correct horse", hashed), manager.verify_password("wrong", hashed)
        (True, False)
    """

    def __init__(
        self,
        *,
        scheme: Scheme = "bcrypt_sha256",
        rounds: int = 12,
        argon2: Argon2Cost | None = None,
        policy: PasswordPolicy | None = None,
        legacy_schemes: Iterable[str] = LEGACY_SCHEMES,
        legacy_truncate: bool = False,
        pool: HashingPool | None = None,
    ) -> None:
        if scheme not in _SCHEMES or not 4 <= rounds <= 18:
            msg = f"scheme must be one of {', '.join(_SCHEMES)} and rounds 4 to 18, got {scheme!r}, {rounds}"
            raise InvalidArgumentError(msg)
        self.scheme: str = scheme
        self.rounds: int = rounds
        self.argon2: Argon2Cost = argon2 or Argon2Cost()
        self.policy: PasswordPolicy = policy or PasswordPolicy()
        self._legacy = (legacy_schemes,) if isinstance(legacy_schemes, str) else tuple(legacy_schemes)
        if self._legacy != LEGACY_SCHEMES:
            for name in self._legacy:
                handler_of(name)
        self._truncates = legacy_truncate
        self._pool = pool
        self._dummy = dummy_hash(scheme, rounds=rounds, argon2=self.argon2)

    @classmethod
    def from_settings(cls, section: Any, **changes: Any) -> Self:
        """Return the manager of the service's ``settings.security``, with *changes*.

        Example:
            >>> from shared.config import SecuritySettings
            >>> PasswordManager.from_settings(SecuritySettings(PASSWORD_BCRYPT_ROUNDS=10)).rounds
            10
        """
        given = {
            "scheme": section.PASSWORD_SCHEME,
            "rounds": section.PASSWORD_BCRYPT_ROUNDS,
            "policy": PasswordPolicy.from_settings(section),
        }
        return cls(**{**given, **changes})

    # -- hashing ---------------------------------------------------------------------

    def hash_password(self, password: str) -> str:
        """Return a new hash of *password*, each time another one.

        Takes tens of milliseconds on purpose: in a coroutine await :meth:`ahash_password`.
        The policy is not asked: see :meth:`problems`.

        Raises:
            ValidationError: The password is empty, no text, longer than 1024 bytes, or
                longer than plain bcrypt can take.

        Example:
            >>> PasswordManager(rounds=4, scheme="bcrypt").hash_password("correct horse")[:7]
            '$2b$04$'
        """
        return hash_with(self.scheme, self._new_secret(password), rounds=self.rounds, argon2=self.argon2)

    def verify_password(self, password: str, hashed: str | None) -> bool:
        """Tell whether *password* made *hashed*; never raises for either.

        Args:
            password: As typed.
            hashed: As stored; None for a user who does not exist, which takes as long.

        Raises:
            MissingDependencyError: *hashed* is of argon2 and the extra is not installed.

        Example:
            >>> PasswordManager(rounds=4).verify_password("anything", None)
            False
        """
        return self._check(password, hashed)[0]

    def verify_and_update(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Do :meth:`verify_password`, and hash anew what is out of date.

        Returns:
            Whether it fits, and the hash to store in place of the old one, or None. The
            hash is out of date when its scheme or cost is not the one in force.

        Example:
            >>> old = PasswordManager(rounds=4).hash_password("correct horse")
            >>> fits, better = PasswordManager(rounds=5).verify_and_update("correct horse", old)
            >>> fits, better[:27]
            (True, '$bcrypt-sha256$v=2,t=2b,r=5')
        """
        fits, outdated = self._check(password, hashed)
        return fits, self.hash_password(password) if fits and outdated else None

    def needs_rehash(self, hashed: str) -> bool:
        """Tell whether *hashed* is not of the scheme and cost in force.

        Example:
            >>> manager = PasswordManager(rounds=4)
            >>> manager.needs_rehash("$2b$04$" + "a" * 53), manager.needs_rehash(manager.hash_password("x"))
            (True, False)
        """
        parsed = parse_hash(hashed)
        return parsed is None or self._is_outdated(parsed)

    async def ahash_password(self, password: str) -> str:
        """Do :meth:`hash_password` in a thread, while the event loop goes on.

        Raises:
            ValidationError: As :meth:`hash_password`.
            ServiceUnavailableError: Too many are waiting.

        Example:
            >>> import asyncio
            >>> manager = PasswordManager(rounds=4)
            >>> asyncio.run(manager.ahash_password("correct horse"))[:14]
            '$bcrypt-sha256'
        """
        self._new_secret(password)
        return await self._threads().run(partial(self.hash_password, password))

    async def averify_password(self, password: str, hashed: str | None) -> bool:
        """Do :meth:`verify_password` in a thread, while the event loop goes on.

        Raises:
            ServiceUnavailableError: Too many are waiting.

        Example:
            >>> import asyncio
            >>> asyncio.run(PasswordManager(rounds=4).averify_password("anything", None))
            False
        """
        return await self._threads().run(partial(self.verify_password, password, hashed))

    async def averify_and_update(self, password: str, hashed: str | None) -> tuple[bool, str | None]:
        """Do :meth:`verify_and_update` in a thread, while the event loop goes on.

        Raises:
            ServiceUnavailableError: Too many are waiting.

        Example:
            >>> import asyncio
            >>> asyncio.run(PasswordManager(rounds=4).averify_and_update("anything", None))
            (False, None)
        """
        return await self._threads().run(partial(self.verify_and_update, password, hashed))

    # -- policy and interop --------------------------------------------------------------

    def problems(self, password: object, *, personal: Iterable[str] = ()) -> tuple[str, ...]:
        """Return what speaks against *password* as a new one; see :meth:`PasswordPolicy.problems`.

        Example:
            >>> PasswordManager().problems("short")
            ('use 8 or more characters',)
        """
        found = self.policy.problems(password, personal=personal)
        return found or self._too_long_for_bcrypt(password)

    def _too_long_for_bcrypt(self, password: object) -> tuple[str, ...]:
        if self.scheme != "bcrypt" or len(str(password).encode()) <= BCRYPT_LIMIT:
            return ()
        return (f"use {BCRYPT_LIMIT} or fewer bytes",)

    def passlib_context(self) -> Any:
        """Return a passlib ``CryptContext`` with our bcrypt and the legacy schemes.

        For code that is written for passlib: ``hash``, ``verify``, ``verify_and_update``
        and ``needs_update`` work, with any bcrypt from 4.1 to 5.

        Raises:
            InvalidArgumentError: The scheme in force is argon2id: passlib's own handler
                serves that.

        Example:
            >>> context = PasswordManager(rounds=4).passlib_context()
            >>> context.verify("correct horse", context.hash("correct horse"))
            True
        """
        if self.scheme == "argon2id":
            raise InvalidArgumentError("passlib_context() is for the bcrypt schemes, not for argon2id")
        return make_context(self.scheme, self.rounds, self._legacy)

    # -- inside ----------------------------------------------------------------------------

    def _check(self, password: object, hashed: object) -> tuple[bool, bool]:
        """Return whether it fits, and whether the hash is out of date."""
        secret = _secret(password)
        if secret is None:
            return False, False
        parsed = parse_hash(hashed)
        if parsed is not None and self._is_affordable(parsed):
            return self._verify(secret, parsed)
        handler = find_legacy(hashed, self._legacy) if parsed is None else None
        if handler is not None:
            return legacy_verify(handler, secret, str(hashed)), True
        self._spend(secret)
        return False, False

    def _verify(self, secret: bytes, parsed: ParsedHash) -> tuple[bool, bool]:
        if parsed.scheme.startswith("argon2"):
            return argon2_verify(secret, parsed), self._is_outdated(parsed)
        cut = False
        if parsed.scheme == "bcrypt" and (len(secret) > BCRYPT_LIMIT or b"\0" in secret):
            if not self._truncates or b"\0" in secret:
                self._spend(secret)
                return False, False
            secret, cut = secret[:BCRYPT_LIMIT], True
        # What stands after the cut was not checked, so it must not go into a new hash.
        return bcrypt_verify(secret, parsed), self._is_outdated(parsed) and not cut

    def _spend(self, secret: bytes) -> None:
        """Take as long as the check of a real hash would."""
        if self._dummy.scheme == "argon2id":
            argon2_verify(secret, self._dummy)
        else:
            bcrypt_verify(secret[:BCRYPT_LIMIT].replace(b"\0", b"."), self._dummy)

    def _is_affordable(self, parsed: ParsedHash) -> bool:
        if parsed.scheme.startswith("argon2"):
            limits = max(_MOST_MEMORY, self.argon2.memory), max(_MOST_PASSES, self.argon2.passes)
            return parsed.memory <= limits[0] and parsed.cost <= limits[1] and parsed.lanes <= _MOST_LANES
        return 4 <= parsed.cost <= max(_MOST_ROUNDS, self.rounds)

    def _is_outdated(self, parsed: ParsedHash) -> bool:
        if parsed.scheme != self.scheme:
            return True
        if parsed.scheme == "argon2id":
            return Argon2Cost(parsed.memory, parsed.cost, parsed.lanes) != self.argon2
        return parsed.cost != self.rounds or parsed.version != 2 or parsed.ident != "2b"

    def _new_secret(self, password: object) -> bytes:
        secret = _secret(password)
        if secret is None:
            msg = f"a password is text of 1 to {FieldLimit.PASSWORD_MAX_BYTES} bytes, got {_kind(password)}"
            raise ValidationError(msg)
        if self.scheme == "bcrypt" and (len(secret) > BCRYPT_LIMIT or b"\0" in secret):
            msg = f"bcrypt takes {BCRYPT_LIMIT} bytes without NUL: use the scheme bcrypt_sha256"
            raise ValidationError(msg)
        return secret

    def _threads(self) -> HashingPool:
        return self._pool or current().get(HashingPool, lambda _: HashingPool())

    def __repr__(self) -> str:
        return f"PasswordManager(scheme={self.scheme!r}, rounds={self.rounds})"


def _secret(password: object) -> bytes | None:
    """Return the bytes of a password that may be looked at, or None."""
    if not isinstance(password, str) or len(password) > FieldLimit.PASSWORD_MAX_BYTES:
        return None
    try:
        secret = password.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return secret if 0 < len(secret) <= FieldLimit.PASSWORD_MAX_BYTES else None


def _kind(password: object) -> str:
    return f"{len(password)} characters" if isinstance(password, str) else type(password).__name__
