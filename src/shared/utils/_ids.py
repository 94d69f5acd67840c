"""Identifiers: random, short, readable and sortable by time."""

import secrets
import string
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from shared.constants import FieldLimit
from shared.errors import InvalidArgumentError
from shared.runtime import after_fork_in_child
from shared.utils._checks import plain_text, text_argument, whole_argument

__all__ = [
    "generate_short_id",
    "generate_slug",
    "generate_timestamp_id",
    "generate_uuid",
    "parse_timestamp_id",
]

_ALPHANUMERIC: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD_VALUES: Final = {letter: value for value, letter in enumerate(_CROCKFORD)}
_ULID_LENGTH: Final = 26
_ULID_TAIL_BITS: Final = 80
_UUID7_TAIL_BITS: Final = 74
_MAX_MILLISECONDS: Final = (1 << 48) - 1
# A slug is short: what comes after this many characters of a title cannot matter,
# and transliteration may make eighteen characters out of one.
_SLUG_INPUT: Final = 10_000


class TimeSequence:
    """Makes pairs (millisecond, tail) that only ever grow within the process.

    The tail is random at the first pair of a millisecond and counts up from
    there. A clock that is set back does not bring the sequence back.
    """

    def __init__(
        self,
        tail_bits: int,
        *,
        clock: Callable[[], float] = time.time,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        """*clock* gives seconds since 1970, *random_bits* that many random bits."""
        self._tail_bits = tail_bits
        self._clock = clock
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = (-1, 0)
        after_fork_in_child(self)

    def next(self) -> tuple[int, int]:
        """Return the next pair; thread-safe."""
        now = min(max(int(self._clock() * 1000), 0), _MAX_MILLISECONDS)
        with self._lock:
            moment, tail = self._last
            if now > moment:
                # The top bit is left free so that there is room to count up.
                self._last = (now, self._random_bits(self._tail_bits - 1))
            elif tail + 1 < 1 << self._tail_bits:
                self._last = (moment, tail + 1)
            else:
                self._last = (moment + 1, self._random_bits(self._tail_bits - 1))
            return self._last

    def after_fork(self) -> None:
        """Part from the parent: the same pair must not come out of both processes."""
        self._lock = threading.Lock()
        moment, _ = self._last
        self._last = (moment, self._random_bits(self._tail_bits - 1))


_ulids: Final = TimeSequence(_ULID_TAIL_BITS)
_uuids: Final = TimeSequence(_UUID7_TAIL_BITS)


def generate_uuid(version: Literal[4, 7] = 4) -> str:
    """Return a new UUID as 36 characters, such as ``"0b5e…"``.

    Args:
        version: 4 is random and tells nothing. 7 begins with the time in
            milliseconds and grows within a process, which keeps the index of a
            primary key compact; it reveals when it was made.

    Raises:
        InvalidArgumentError: *version* is neither 4 nor 7.

    Example:
        >>> len(generate_uuid())
        36
        >>> generate_uuid(version=7) < generate_uuid(version=7)
        True

    Source: RFC 9562, sections 5.4, 5.7 and 6.2 (method 2).
    """
    if whole_argument("version", version, low=4, high=7) in (5, 6):
        msg = "version must be 4 or 7: 5 is made from a name, 6 reveals the machine"
        raise InvalidArgumentError(msg)
    return str(uuid.uuid4() if version == 4 else _uuid7(*_uuids.next()))


def _uuid7(moment: int, tail: int) -> uuid.UUID:
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    return uuid.UUID(int=moment << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def generate_short_id(length: int = 8, *, alphabet: str = _ALPHANUMERIC) -> str:
    """Return a random id of *length* characters, made by the system's secure generator.

    With the default alphabet 8 characters are 47 bits: enough for a coupon or a
    short link that is checked for duplicates (one clash is likely among 15
    million), not for a secret. Take 22 or more for what must not be guessed.

    Args:
        length: Characters, 1 to 4096.
        alphabet: Characters to draw from, 2 or more, each once.

    Raises:
        InvalidArgumentError: *length* or *alphabet* is outside of that.

    Example:
        >>> len(generate_short_id())
        8
        >>> set(generate_short_id(100, alphabet="01")) <= set("01")
        True
    """
    length = whole_argument("length", length, low=1, high=4096)
    letters = text_argument("alphabet", alphabet)
    if len(letters) < 2 or len(set(letters)) != len(letters):
        msg = "alphabet must have 2 or more characters, each once: a repeated one is drawn more often"
        raise InvalidArgumentError(msg)
    drawn: list[str] = []
    while len(drawn) < length:
        # One draw for ten characters: the system's generator is asked once for all of them.
        share = min(10, length - len(drawn))
        number = secrets.randbelow(len(letters) ** share)
        for _ in range(share):
            number, index = divmod(number, len(letters))
            drawn.append(letters[index])
    return "".join(drawn)


def generate_slug(
    text: str, *, max_length: int = FieldLimit.SLUG_MAX, separator: str = "-", allow_unicode: bool = False
) -> str:
    """Return *text* as a part of a URL: lower case, words joined by *separator*.

    Letters of other scripts are transliterated unless *allow_unicode*. Words are
    kept whole where one fits. Text without a letter or a digit gives ``""``: put
    an id there.

    Args:
        text: A title; its first 10,000 characters are looked at.
        max_length: Most characters of the result, 1 to 1024.
        separator: One of ``-``, ``_``, ``.`` and ``~``.
        allow_unicode: Keep the letters of every script.

    Raises:
        InvalidArgumentError: An argument is outside of that.

    Example:
        >>> generate_slug("Crème brûlée & Co: 2nd edition")
        'creme-brulee-co-2nd-edition'
        >>> generate_slug("Привет, мир"), generate_slug("Привет, мир", allow_unicode=True)
        ('privet-mir', 'привет-мир')
    """
    from slugify import slugify

    source = text_argument("text", text)[:_SLUG_INPUT]
    limit = whole_argument("max_length", max_length, low=1, high=1024)
    if plain_text(separator) not in {"-", "_", ".", "~"}:
        # The characters a URL never escapes. Source: RFC 3986, section 2.3.
        msg = "separator must be one of '-', '_', '.' and '~'"
        raise InvalidArgumentError(msg)
    slug = slugify(
        source.encode("utf-8", "ignore").decode(),
        entities=False,
        decimal=False,
        hexadecimal=False,
        max_length=limit,
        word_boundary=True,
        save_order=True,
        allow_unicode=allow_unicode,
    )
    return slug[:limit].strip("-").replace("-", separator)


def generate_timestamp_id(prefix: str = "") -> str:
    """Return an id that sorts by the time it was made: a ULID of 26 characters.

    Ids made by one process grow strictly, also within a millisecond and when the
    clock is set back. Ids of different threads, processes, forked workers and
    machines differ by 79 random bits. :func:`parse_timestamp_id` reads the time back.

    Args:
        prefix: Put in front as ``prefix_``, to tell kinds of ids apart; up to 32
            letters, digits, ``-`` and ``_``.

    Raises:
        InvalidArgumentError: *prefix* has other characters or is longer.

    Example:
        >>> generate_timestamp_id() < generate_timestamp_id()
        True
        >>> generate_timestamp_id("order")[:6]
        'order_'

    Source: the ULID specification (Crockford's base 32, monotonic variant).
    """
    moment, tail = _ulids.next()
    ulid = _base32(moment << _ULID_TAIL_BITS | tail)
    return f"{_checked_prefix(prefix)}_{ulid}" if prefix else ulid


def _base32(number: int) -> str:
    shifts = range(5 * (_ULID_LENGTH - 1), -1, -5)
    return "".join([_CROCKFORD[number >> shift & 31] for shift in shifts])


def _checked_prefix(prefix: object) -> str:
    text = text_argument("prefix", prefix)
    if len(text) > 32 or not (text.isascii() and text.replace("-", "").replace("_", "").isalnum()):
        msg = "prefix must be up to 32 ASCII letters, digits, '-' and '_'"
        raise InvalidArgumentError(msg)
    return text


def parse_timestamp_id(value: str) -> datetime:
    """Return when an id of :func:`generate_timestamp_id` was made, in UTC, to the millisecond.

    Raises:
        InvalidArgumentError: *value* is not such an id.

    Example:
        >>> parse_timestamp_id("order_01ARZ3NDEKTSV4RRFFQ69G5FAV").isoformat()
        '2016-07-30T23:54:10.259000+00:00'
    """
    ulid = text_argument("value", value)[-_ULID_LENGTH:].upper()
    digits = [_CROCKFORD_VALUES.get(letter, -1) for letter in ulid]
    if len(ulid) != _ULID_LENGTH or min(digits) < 0 or digits[0] > 7:
        msg = f"value must end in a ULID of {_ULID_LENGTH} characters, as generate_timestamp_id() makes it"
        raise InvalidArgumentError(msg)
    moment = 0
    for digit in digits[:10]:
        moment = moment << 5 | digit
    try:
        return datetime.fromtimestamp(moment // 1000, UTC).replace(microsecond=moment % 1000 * 1000)
    except (ValueError, OverflowError, OSError) as exc:
        msg = "value holds a time after the year 9999"
        raise InvalidArgumentError(msg) from exc
