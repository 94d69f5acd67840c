"""From a message to the bytes that go over the wire. Pure: time and ids come in."""

import io
from email.charset import QP, Charset
from email.encoders import encode_base64
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import formatdate
from typing import Final

from shared.errors import ValidationError
from shared.integrations.email._address import Address
from shared.integrations.email._attachment import Attachment
from shared.integrations.email._message import EmailMessage

__all__ = ["mime_bytes"]

_POLICY: Final = compat32.clone(linesep="\r\n")


def mime_bytes(message: EmailMessage, *, sender: Address, message_id: str, now: float) -> bytes:
    """Return *message* as RFC 5322 bytes with CRLF line ends; bcc is in none of its headers.

    Args:
        message: What.
        sender: Who it comes from.
        message_id: With its angle brackets.
        now: Unix seconds, for ``Date``.

    Raises:
        ValidationError: The message cannot be written, whatever the reason.

    Source: RFC 5322, sections 2.1 and 3.6; RFC 2045 to 2047; RFC 2231.
    """
    try:
        return _written(_headed(message, sender=sender, message_id=message_id, now=now))
    except (MessageError, ValueError, LookupError) as exc:
        msg = f"the message cannot be written: {type(exc).__name__}"
        raise ValidationError(msg, cause=exc) from exc


def _written(root: Message) -> bytes:
    stream = io.BytesIO()
    BytesGenerator(stream, mangle_from_=False, policy=_POLICY).flatten(root)
    return stream.getvalue()


def _headed(message: EmailMessage, *, sender: Address, message_id: str, now: float) -> Message:
    root = _with_files(message)
    root["From"] = _line((sender,))
    root["To"] = _line(message.to)
    if message.cc:
        root["Cc"] = _line(message.cc)
    if message.reply_to:
        root["Reply-To"] = _line(message.reply_to)
    subject = Header(message.subject, _charset(message.subject), header_name="Subject")
    root["Subject"] = subject.encode(linesep="\r\n")
    root["Date"] = formatdate(now)
    root["Message-ID"] = message_id
    for name, value in message.headers.items():
        root[name] = value
    return root


def _line(addresses: tuple[Address, ...]) -> str:
    """Return addresses as one header, one on each line: none is ever cut in two."""
    return ",\r\n ".join(_mailbox(each) for each in addresses)


def _mailbox(address: Address) -> str:
    if _charset(address.name) == "us-ascii":
        return str(address)
    # Several short words: one longer than 75 characters is none. Source: RFC 2047, section 2.
    name = Header(address.name, "utf-8", maxlinelen=75, header_name="Reply-To").encode(linesep="\r\n")
    return f"{name}\r\n <{address.email}>"


def _charset(text: str) -> str:
    """Return how to write *text*; what looks encoded is encoded, so that no reader decodes it."""
    return "us-ascii" if text.isascii() and "=?" not in text else "utf-8"


def _with_files(message: EmailMessage) -> Message:
    body = _readable(message)
    files = [each for each in message.attachments if not each.content_id]
    if not files:
        return body
    mixed = MIMEMultipart("mixed")
    mixed.attach(body)
    for each in files:
        mixed.attach(_file(each))
    return mixed


def _readable(message: EmailMessage) -> Message:
    if message.html is None:
        return _text(message.text or "", "plain")
    html: Message = _text(message.html, "html")
    pictures = [each for each in message.attachments if each.content_id]
    if pictures:
        related = MIMEMultipart("related")
        related.attach(html)
        for each in pictures:
            related.attach(_file(each))
        html = related
    if message.text is None:
        return html
    both = MIMEMultipart("alternative")  # the last is the best: RFC 2046, section 5.1.4
    both.attach(_text(message.text, "plain"))
    both.attach(html)
    return both


def _text(text: str, kind: str) -> Message:
    charset = Charset("utf-8")
    charset.body_encoding = QP  # readable in a log of the server, and short for most languages
    return MIMEText(text, kind, charset)  # type: ignore[arg-type]  # a Charset is taken as well


def _file(each: Attachment) -> Message:
    kind, _, rest = each.content_type.partition("/")
    part = MIMEBase(kind, rest)
    part.set_payload(each.content)
    encode_base64(part)
    name = each.name if each.name.isascii() else ("utf-8", "", each.name)
    part.add_header("Content-Disposition", "inline" if each.content_id else "attachment", filename=name)
    if each.content_id:
        part["Content-ID"] = f"<{each.content_id}>"
    return part
