"""Is this password good enough? The answer lists every rule it breaks."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError
from shared.utils._checks import kind, plain_text, whole_argument
from shared.utils._unicode import composed

__all__ = ["PasswordCheck", "PasswordRule", "PasswordRules", "validate_password"]


class PasswordRule(StrEnum):
    """What a password can break; stable names for programs.

    Example:
        >>> str(PasswordRule.COMMON)
        'common'
    """

    TEXT = "text"
    MIN_LENGTH = "min_length"
    MAX_LENGTH = "max_length"
    UPPERCASE = "uppercase"
    LOWERCASE = "lowercase"
    DIGIT = "digit"
    SPECIAL = "special"
    COMMON = "common"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRules:
    """What a password must be.

    The defaults ask for length and refuse what attackers try first. Rules about
    kinds of characters are off: they make people choose ``Password1!``.

    Attributes:
        min_length: Fewest characters, 1 to 1024.
        max_length: Most characters, *min_length* to 1024; a bound on hashing work.
        require_uppercase: A capital letter of any script must be there.
        require_lowercase: A small letter must be there.
        require_digit: A digit must be there.
        require_special: A character that is neither letter nor digit must be there.
        refuse_common: Refuse much-used words, keyboard rows, runs and repetitions,
            also with digits around them or in ``p4ssw0rd`` spelling.

    Raises:
        InvalidArgumentError: The lengths are outside of that.

    Example:
        >>> PasswordRules(min_length=12, require_digit=True).min_length
        12

    Source: NIST SP 800-63B, section 3.1.1.2.
    """

    min_length: int = FieldLimit.PASSWORD_MIN
    max_length: int = 256
    require_uppercase: bool = False
    require_lowercase: bool = False
    require_digit: bool = False
    require_special: bool = False
    refuse_common: bool = True

    def __post_init__(self) -> None:
        longest = FieldLimit.PASSWORD_MAX_BYTES
        low = whole_argument("min_length", self.min_length, low=1, high=longest)
        whole_argument("max_length", self.max_length, low=low, high=longest)

    @classmethod
    def from_settings(cls, section: Any) -> "PasswordRules":
        """Return the rules of the service's ``settings.security``.

        Args:
            section: Has ``PASSWORD_MIN_LENGTH``, ``PASSWORD_MAX_LENGTH`` and the
                four ``PASSWORD_REQUIRE_*``; one that is absent keeps its default.

        Example:
            >>> from types import SimpleNamespace
            >>> PasswordRules.from_settings(SimpleNamespace(PASSWORD_MIN_LENGTH=10)).min_length
            10
        """
        names = {name: f"PASSWORD_{name.upper()}" for name in cls.__slots__ if name != "refuse_common"}
        given = {name: getattr(section, setting, None) for name, setting in names.items()}
        return cls(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """The outcome of :func:`validate_password`; true when the password is good.

    It never holds the password.

    Attributes:
        broken: The rules the password breaks, in the order of :class:`PasswordRule`.
        messages: One sentence for people for each of them.

    Example:
        >>> check = validate_password("short")
        >>> check.ok, list(map(str, check.broken)), check.messages
        (False, ['min_length'], ('use 8 or more characters',))
    """

    broken: tuple[PasswordRule, ...] = ()
    messages: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.broken

    def __bool__(self) -> bool:
        return self.ok


_DEFAULT_RULES: Final = PasswordRules()
_RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789",
    "1234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv",
    "1q2w3e4r5t6y7u8i9o0p",
)
_COMMON: Final = frozenset(
    """
    admin administrator baseball changeme computer default dragon football freedom guest hello hunter
    iloveyou letmein login lovely master michael monkey mustang ninja pass password passwort passw passwd
    princess qazwsx qwerty root secret shadow starwars summer sunshine superman superuser temp test trustno
    user welcome whatever winter
    """.split()  # noqa: SIM905 - a list of words reads better as text
)
_LEET: Final = str.maketrans(
    {"@": "a", "4": "a", "3": "e", "1": "i", "!": "i", "0": "o", "$": "s", "5": "s", "7": "t"}
)
_SHORTEST_PERSONAL: Final = 4


def validate_password(
    password: object, rules: PasswordRules | None = None, *, personal: Iterable[str] = ()
) -> PasswordCheck:
    """Check *password* against every rule at once.

    Characters are counted in their composed form (NFC), so that ``é`` counts once
    however it was typed. A value that is not text breaks the rule ``text``.

    Args:
        password: Anything.
        rules: ``PasswordRules()`` when absent; for those of the service's settings
            ``PasswordRules.from_settings(settings.security)``.
        personal: Words the password must not contain in any case: the user's name,
            e-mail address, the product's name. Parts of 4 characters and more count.

    Raises:
        InvalidArgumentError: *rules* is something else, or *personal* is one text.

    Example:
        >>> validate_password("correct horse battery").ok
        True
        >>> check = validate_password("Passw0rd123", PasswordRules(require_special=True))
        >>> list(map(str, check.broken))
        ['special', 'common']
        >>> validate_password("ada-lovelace-1815", personal=["ada.lovelace@example.com"]).messages
        ('leave out your name, address and other words tied to you',)
    """
    rules = _DEFAULT_RULES if rules is None else rules
    if not issubclass(type(rules), PasswordRules):
        msg = f"rules must be PasswordRules, got {kind(rules)}"
        raise InvalidArgumentError(msg)
    if plain_text(personal) is not None:
        msg = "personal must be a collection of words, got text"
        raise InvalidArgumentError(msg)
    found = tuple(_problems(password, rules, personal))
    return PasswordCheck(tuple(rule for rule, _ in found), tuple(message for _, message in found))


def _problems(
    password: object, rules: PasswordRules, personal: Iterable[str]
) -> Iterator[tuple[PasswordRule, str]]:
    text = plain_text(password)
    if text is not None and len(text) <= 4 * rules.max_length:
        text = composed(text)
    if text is not None and len(text) > rules.max_length:
        # Nothing else is looked at: the work stays bounded for a body of any size.
        yield PasswordRule.MAX_LENGTH, f"use {rules.max_length} or fewer characters"
        return
    if text is None or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        yield PasswordRule.TEXT, "use text without broken characters"
        return
    if len(text) < rules.min_length:
        yield PasswordRule.MIN_LENGTH, f"use {rules.min_length} or more characters"
    yield from _missing_kinds(text, rules)
    if rules.refuse_common and len(text) >= rules.min_length and _is_common(text):
        yield PasswordRule.COMMON, "avoid much-used words, runs such as 'abcd' and repetitions"
    if _is_personal(text, personal):
        yield PasswordRule.PERSONAL, "leave out your name, address and other words tied to you"


def _missing_kinds(text: str, rules: PasswordRules) -> Iterator[tuple[PasswordRule, str]]:
    if rules.require_uppercase and not any(letter.isupper() for letter in text):
        yield PasswordRule.UPPERCASE, "add a capital letter"
    if rules.require_lowercase and not any(letter.islower() for letter in text):
        yield PasswordRule.LOWERCASE, "add a small letter"
    if rules.require_digit and not any(letter.isdigit() for letter in text):
        yield PasswordRule.DIGIT, "add a digit"
    if rules.require_special and all(letter.isalnum() for letter in text):
        yield PasswordRule.SPECIAL, "add a character that is neither a letter nor a digit"


def _is_common(text: str) -> bool:
    folded = text.casefold()
    if len(set(folded)) <= 2:
        return True
    spellings = {folded, folded.translate(_LEET)}
    stems = {re.sub(r"^[\W\d_]+|[\W\d_]+$", "", spelling) for spelling in spellings}
    # "summer2026!" is cut before the digits are read as letters.
    stems |= {re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded).translate(_LEET)}
    if any(_unit(word) in _COMMON for word in spellings | stems):
        return True
    return any(folded in run * 2 or folded in run[::-1] * 2 for run in _RUNS) or _unit(folded) in _RUNS


def _unit(word: str) -> str:
    """Return what *word* repeats: ``"passpass"`` says no more than ``"pass"``."""
    # A word that is a repetition occurs in its own double before the end of the first half.
    period = (word + word).find(word, 1)
    return word[:period] if 0 < period < len(word) else word


def _is_personal(text: str, personal: Iterable[str]) -> bool:
    folded = text.casefold()
    for entry in personal:
        for part in re.split(r"[\W_]+", (plain_text(entry) or "").casefold()):
            if len(part) >= _SHORTEST_PERSONAL and part in folded:
                return True
    return False
