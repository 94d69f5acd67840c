"""Whether a new password is good enough."""

import hashlib
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast

from shared.auth._password_words import is_common
from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError, ValidationError
from shared.logging import get_logger

__all__ = ["PasswordPolicy"]

BreachLookup = Callable[[str], Iterable[str] | Awaitable[Iterable[str]]]
_SHORTEST_WORD: Final = 4


@dataclass(frozen=True, kw_only=True)
class PasswordPolicy:
    """What a new password must be; asked when one is set, never at login.

    The defaults ask for length and refuse what attackers try first. Rules about kinds of
    characters are off: they make people choose ``Password1!``. Characters are counted in
    composed form (NFC); the password itself is hashed as it was typed.

    Attributes:
        min_length: Fewest characters, 1 to 1024.
        max_length: Most characters; a bound on the work.
        require_uppercase: A capital letter must be there.
        require_lowercase: A small letter must be there.
        require_digit: A digit must be there.
        require_special: Something that is neither letter nor digit must be there.
        refuse_common: Refuse much-used words, keyboard rows, runs and repetitions, also
            with digits around them or in ``p4ssw0rd`` spelling.
        blocklist: Further passwords to refuse, compared without regard to case.
        words: Words that no password may contain: the names of company and product.
        breached: Look-up among leaked passwords by k-anonymity: gets the first 5 digits
            of the SHA-1, returns the remaining 35 of every leaked password that begins
            so (``SUFFIX`` or ``SUFFIX:COUNT``). The password never leaves the process.
            A look-up that fails is logged and does not keep anybody from a password.

    Raises:
        InvalidArgumentError: The lengths are out of range.

    Source: NIST SP 800-63B-4, section 3.1.1.2; OWASP ASVS 5.0, chapter 6.2.

    Example:
        >>> policy = PasswordPolicy(words=["acme"])
        >>> policy.problems("correct horse battery")
        ()
        >>> policy.problems("acme-2026", personal=["ada@example.com"])
        ('leave out your name, address and other words tied to you or to this service',)
    """

    min_length: int = FieldLimit.PASSWORD_MIN
    max_length: int = 256
    require_uppercase: bool = False
    require_lowercase: bool = False
    require_digit: bool = False
    require_special: bool = False
    refuse_common: bool = True
    blocklist: frozenset[str] = field(default=frozenset(), repr=False)
    words: tuple[str, ...] = ()
    breached: BreachLookup | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        longest = FieldLimit.PASSWORD_MAX_BYTES
        if not 1 <= self.min_length <= self.max_length <= longest:
            msg = f"lengths must be 1 <= min <= max <= {longest}, got {self.min_length} and {self.max_length}"
            raise InvalidArgumentError(msg)
        given: tuple[object, ...] = (self.blocklist, self.words)
        if any(isinstance(words, str) for words in given):
            raise InvalidArgumentError("blocklist and words are collections of text, got one text")
        object.__setattr__(self, "blocklist", frozenset(word.casefold() for word in self.blocklist))
        object.__setattr__(self, "words", tuple(self.words))

    @classmethod
    def from_settings(cls, section: Any, **changes: Any) -> Self:
        """Return the policy of the service's ``settings.security``, with *changes*.

        Example:
            >>> from shared.config import SecuritySettings
            >>> PasswordPolicy.from_settings(SecuritySettings(PASSWORD_MIN_LENGTH=12)).min_length
            12
        """
        names = ("min_length", "max_length", "require_uppercase", "require_lowercase", "require_digit")
        given = {name: getattr(section, f"PASSWORD_{name.upper()}") for name in (*names, "require_special")}
        return cls(**{**given, **changes})

    def problems(self, password: object, *, personal: Iterable[str] = ()) -> tuple[str, ...]:
        """Return one sentence for every rule that *password* breaks; empty when it is good.

        Args:
            password: Anything; what is not text is refused.
            personal: The user's name, address and the like. Parts of 4 characters and
                more must not be in the password.

        Raises:
            InvalidArgumentError: :attr:`breached` is asynchronous: await :meth:`aproblems`.

        Example:
            >>> PasswordPolicy().problems("qwerty123")
            ("avoid much-used words, runs such as 'abcd' and repetitions",)
        """
        found = tuple(self._found(password, personal))
        if found or self.breached is None:
            return found
        head, tail = _sha1(cast("str", password))
        try:
            answer = self.breached(head)
        except Exception as exc:  # noqa: BLE001 - a supplier that is down is no reason to refuse
            return _unanswered(exc)
        if isinstance(answer, Awaitable):
            _discard(answer)
            raise InvalidArgumentError("the breach look-up is asynchronous: await aproblems() instead")
        return _verdict(answer, tail)

    async def aproblems(self, password: object, *, personal: Iterable[str] = ()) -> tuple[str, ...]:
        """Do :meth:`problems`, awaiting an asynchronous look-up.

        Example:
            >>> import asyncio
            >>> asyncio.run(PasswordPolicy().aproblems("short"))
            ('use 8 or more characters',)
        """
        found = tuple(self._found(password, personal))
        if found or self.breached is None:
            return found
        head, tail = _sha1(cast("str", password))
        try:
            answer = self.breached(head)
            return _verdict(await answer if isinstance(answer, Awaitable) else answer, tail)
        except Exception as exc:  # noqa: BLE001 - as above
            return _unanswered(exc)

    def require(self, password: object, *, personal: Iterable[str] = ()) -> None:
        """Raise unless *password* is good; arguments as for :meth:`problems`.

        Raises:
            ValidationError: With every rule it breaks under ``details["errors"]``.

        Example:
            >>> PasswordPolicy().require("short")
            Traceback (most recent call last):
                ...
            shared.errors.ValidationError: the password is not good enough: use 8 or more characters
        """
        _refuse(self.problems(password, personal=personal))

    async def arequire(self, password: object, *, personal: Iterable[str] = ()) -> None:
        """Do :meth:`require`, awaiting an asynchronous look-up.

        Example:
            >>> import asyncio
            >>> asyncio.run(PasswordPolicy().arequire("correct horse battery"))
        """
        _refuse(await self.aproblems(password, personal=personal))

    def _found(self, password: object, personal: Iterable[str]) -> Iterator[str]:
        if isinstance(personal, str):
            raise InvalidArgumentError("personal is a collection of words, got one text")
        if isinstance(password, str) and len(password) > self.max_length:
            # Nothing else is looked at: the work stays bounded for text of any size.
            yield f"use {self.max_length} or fewer characters"
            return
        if not isinstance(password, str) or _is_broken(password):
            yield "use text without broken characters"
            return
        text = unicodedata.normalize("NFC", password)
        if len(text) < self.min_length:
            yield f"use {self.min_length} or more characters"
        elif len(password.encode()) > FieldLimit.PASSWORD_MAX_BYTES:
            yield f"use {FieldLimit.PASSWORD_MAX_BYTES} or fewer bytes"
        yield from self._missing(text)
        folded = text.casefold()
        too_common = self.refuse_common and len(text) >= self.min_length and is_common(folded)
        if too_common or folded in self.blocklist:
            yield "avoid much-used words, runs such as 'abcd' and repetitions"
        if any(part in folded for part in _parts((*self.words, *personal))):
            yield "leave out your name, address and other words tied to you or to this service"

    def _missing(self, text: str) -> Iterator[str]:
        if self.require_uppercase and not any(map(str.isupper, text)):
            yield "add a capital letter"
        if self.require_lowercase and not any(map(str.islower, text)):
            yield "add a small letter"
        if self.require_digit and not any(map(str.isdigit, text)):
            yield "add a digit"
        if self.require_special and all(map(str.isalnum, text)):
            yield "add a character that is neither a letter nor a digit"


def _is_broken(text: str) -> bool:
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def _parts(words: Iterable[object]) -> Iterator[str]:
    for word in words:
        if isinstance(word, str):
            for part in re.split(r"[\W_]+", word.casefold()):
                if len(part) >= _SHORTEST_WORD:
                    yield part


def _sha1(password: str) -> tuple[str, str]:
    # The index of the breach services; it protects nothing.
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    return digest[:5], digest[5:]


def _verdict(answer: Iterable[str], tail: str) -> tuple[str, ...]:
    try:
        leaked = any(str(line).partition(":")[0].strip().upper() == tail for line in answer)
    except Exception as exc:  # noqa: BLE001 - a look-up that fails while it is read
        return _unanswered(exc)
    return ("choose another: this password is in a list of leaked ones",) if leaked else ()


def _unanswered(exc: Exception) -> tuple[str, ...]:
    get_logger("shared.auth").warning("the look-up of leaked passwords failed", error=type(exc).__name__)
    return ()


def _discard(answer: Any) -> None:
    close = getattr(answer, "close", None)
    if close is not None:
        close()


def _refuse(problems: tuple[str, ...]) -> None:
    if problems:
        errors = [{"field": "password", "message": message} for message in problems]
        msg = f"the password is not good enough: {'; '.join(problems)}"
        raise ValidationError(msg, details={"errors": errors})
