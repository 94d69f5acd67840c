"""A message as its writer gives it: checked when it is made, the same for every backend."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

from shared.errors import ValidationError
from shared.integrations.email._address import Address, AddressLike, Recipients, addresses_of
from shared.integrations.email._attachment import Attachment

__all__ = ["EmailMessage"]

_MAX_SUBJECT: Final = 500  # characters; a line of a header ends at 998 bytes
_MAX_RECIPIENTS: Final = 1000
_MAX_HEADER: Final = 900
_HEADER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,75}\Z")
_CATEGORY: Final = re.compile(r"[A-Za-z0-9_.:-]{1,100}\Z")
# Written from the message itself, or by servers on the way.
_OURS: Final = frozenset(
    [
        "from",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "reply-to",
        "sender",
        "return-path",
        "received",
        "dkim-signature",
        "arc-seal",
        "resent-to",
        "resent-from",
        "resent-cc",
        "resent-bcc",
    ]
)


@dataclass(frozen=True, init=False, repr=False, slots=True)
class EmailMessage:
    """A message: to whom, what, and what travels with it.

    Everything is checked when it is made, so that what a user typed can never become
    another header, another recipient or a path. It does not change afterwards;
    :meth:`with_changes` returns another one.

    Args:
        to: ``"ada@example.com"``, ``"Ada <ada@example.com>"``, ``("Ada", "ada@example.com")``,
            or several of them.
        subject: One line, at most 500 characters.
        text: Plain text. One of *text* and *html* must be there; better give both.
        html: The same as HTML.
        sender: Who it comes from; the mailer's own when None.
        cc: Further readers, whom all see.
        bcc: Further readers, whom nobody sees: they are in no header.
        reply_to: Where answers go.
        attachments: What travels with it.
        headers: Further headers, such as ``List-Unsubscribe``.
        category: What kind of message it is, for metrics, logs and suppliers: a name
            from code such as ``"receipt"``, never a value.

    Raises:
        ValidationError: Something is wrong; the message names the field and never
            quotes what was in it.

    Example:
        >>> message = EmailMessage("ada@example.com", "Your receipt", text="Thank you.", category="receipt")
        >>> message
        <EmailMessage category='receipt' to 1 recipient>
        >>> EmailMessage("ada@example.com", "Hi" + chr(10) + "Bcc: eve@example.com", text="")
        Traceback (most recent call last):
            ...
        shared.errors.ValidationError: subject: one line expected, without invisible characters
    """

    to: tuple[Address, ...]
    subject: str
    text: str | None
    html: str | None
    sender: Address | None
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    attachments: tuple[Attachment, ...]
    headers: Mapping[str, str] = field(hash=False)
    category: str | None

    def __init__(
        self,
        to: Recipients,
        subject: str,
        *,
        text: str | None = None,
        html: str | None = None,
        sender: AddressLike | None = None,
        cc: Recipients | None = None,
        bcc: Recipients | None = None,
        reply_to: Recipients | None = None,
        attachments: Iterable[Attachment] = (),
        headers: Mapping[str, str] | None = None,
        category: str | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "to", addresses_of(to, "to"))
        put(self, "subject", _subject(subject))
        put(self, "text", _body(text, "text"))
        put(self, "html", _body(html, "html"))
        put(self, "sender", None if sender is None else Address.parse(sender, field="sender"))
        put(self, "cc", addresses_of(cc, "cc"))
        put(self, "bcc", addresses_of(bcc, "bcc"))
        put(self, "reply_to", addresses_of(reply_to, "reply_to"))
        put(self, "attachments", _attachments(attachments))
        put(self, "headers", MappingProxyType(_headers(headers)))
        put(self, "category", _category(category))
        self._check_whole()

    def _check_whole(self) -> None:
        if self.text is None and self.html is None:
            raise _wrong("text", "text or html expected, better both")
        count = len(self.recipients)
        if not 1 <= count <= _MAX_RECIPIENTS:
            raise _wrong("to", f"1 to {_MAX_RECIPIENTS} recipients expected, got {count}")
        if not self.to:
            raise _wrong("to", "one recipient at least expected; cc and bcc are further ones")
        ids = [each.content_id for each in self.attachments if each.content_id]
        if len(ids) != len(set(ids)):
            raise _wrong("attachments", "a content_id is there twice")
        if ids and self.html is None:
            raise _wrong("attachments", "a content_id is for pictures inside of html, and there is none")

    @property
    def recipients(self) -> tuple[str, ...]:
        """Every address it goes to, each once: those of *to*, *cc* and *bcc*."""
        every = (*self.to, *self.cc, *self.bcc)
        return tuple({each.email.lower(): each.email for each in every}.values())

    def with_changes(self, **changes: Any) -> Self:
        """Return the same message with *changes*, checked again.

        Example:
            >>> first = EmailMessage("ada@example.com", "Hello", text="…")
            >>> first.with_changes(to="bob@example.com").recipients
            ('bob@example.com',)
        """
        names = ("to", "subject", "text", "html", "sender", "cc", "bcc", "reply_to", "attachments")
        values = {name: getattr(self, name) for name in (*names, "headers", "category")}
        return type(self)(**{**values, **changes})

    def __repr__(self) -> str:
        count = len(self.recipients)
        what = f" category={self.category!r}" if self.category else ""
        files = f" with {len(self.attachments)} attachment(s)" if self.attachments else ""
        return f"<EmailMessage{what} to {count} recipient{'' if count == 1 else 's'}{files}>"


def _subject(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("subject", f"text expected, got {type(value).__name__}")
    text = value.strip(" ")
    if not all(character.isprintable() or character in "\u200c\u200d\ufe0f" for character in text):
        raise _wrong("subject", "one line expected, without invisible characters")
    if not 1 <= len(text) <= _MAX_SUBJECT:
        raise _wrong("subject", f"1 to {_MAX_SUBJECT} characters expected, got {len(text)}")
    return text


def _body(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, f"text expected, got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(name, "half of a surrogate pair, which cannot be sent") from None
    if "\x00" in value:
        raise _wrong(name, "text without NUL expected")
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _attachments(value: object) -> tuple[Attachment, ...]:
    found = tuple(value) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(each, Attachment) for each in found):
        raise _wrong("attachments", "objects of Attachment expected")
    return found


def _headers(value: Mapping[Any, Any] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in (value or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.match(name):
            raise _wrong("headers", "a name of letters, digits and '-' expected")
        if name.lower() in _OURS or name.lower().startswith("content-"):
            raise _wrong("headers", f"{name!r} is written from the message itself")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise _wrong("headers", f"the value of {name!r}: one line of ASCII expected")
        if len(text) > _MAX_HEADER:
            raise _wrong("headers", f"the value of {name!r}: at most {_MAX_HEADER} characters expected")
        found[name] = text
    if len({name.lower() for name in found}) != len(found):
        raise _wrong("headers", "a name is there twice")
    return found


def _category(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _CATEGORY.match(value):
        raise _wrong("category", "1 to 100 of A-Z a-z 0-9 _ . : - expected")
    return value


def _wrong(name: str, text: str) -> ValidationError:
    return ValidationError(f"{name}: {text}", details={"field": name})
