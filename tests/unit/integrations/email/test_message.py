"""What a writer gives is checked when the message is made, and nothing of it becomes a header."""

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import SharedError, ValidationError
from shared.integrations.email import Address, Attachment, EmailMessage, Letter

SENDER = Address("shop@example.com", "Shop")


def parsed(message):
    content = Letter.of(message, SENDER, "<1@example.com>").content
    return email.message_from_bytes(content, policy=email.policy.default)


def make(**changes):
    return EmailMessage(**{"to": "ada@example.com", "subject": "Hi", "text": "Hi", **changes})


INJECTIONS = [
    "x\r\nBcc: eve@evil.example",
    "x\nX: y",
    "x\rX: y",
    "x\x00y",
    "x\u2028y",
    "x\x85y",
    "x\x0by",
    "a\u202eb",
]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"subject": text},
        lambda text: {"to": (text, "ada@example.com")},
        lambda text: {"to": f"{text} <ada@example.com>"},
        lambda text: {"to": f"ada@example.com{text}"},
        lambda text: {"cc": ["bob@example.com", f"{text}@example.com"]},
        lambda text: {"bcc": f"<{text}@example.com>"},
        lambda text: {"sender": (text, "shop@example.com")},
        lambda text: {"reply_to": (text, "shop@example.com")},
        lambda text: {"headers": {"X-Note": text}},
        lambda text: {"headers": {text: "x"}},
        lambda text: {"category": text},
    ],
    ids=[
        "subject",
        "name",
        "named",
        "address",
        "cc",
        "bcc",
        "sender",
        "reply_to",
        "value",
        "header",
        "category",
    ],
)
def test_a_line_end_goes_nowhere(place, text):
    with pytest.raises(ValidationError) as caught:
        make(**place(text))

    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@@example.com",
        "a b@example.com",
        "ada@exa mple.com",
        "<ada@example.com> x",
    ]
    + [
        "ada@example.com, eve@example.com",
        "ada@example.com;eve@example.com",
        "<a@b.c><d@e.f>",
        "a@[127.0.0.1]",
    ]
    + [
        '"ada smith"@example.com',
        "x" * 65 + "@example.com",
        "a@" + "x" * 300,
        "ада@example.com",
        "a@-x.com",
        "a@x..com",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValidationError, match="to"):
        make(to=address)


@pytest.mark.parametrize(
    "value", [None, 7, b"ada@example.com", [], [None], ("a", "b", "c"), object, [["a@b.c"]]]
)
def test_what_is_no_text_is_refused(value):
    with pytest.raises(ValidationError):
        make(to=value)


def test_an_error_names_the_place_and_never_the_address():
    with pytest.raises(ValidationError, match=r"to\[2\]: not an e-mail address") as caught:
        make(to=["ada@example.com", "secret@@person"])

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_international_domain_is_written_in_ascii():
    found = make(to="Ada <ada@Bücher.example>")

    assert found.to[0].email == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Smith, John <j@example.com>", "Smith, John"),
        ('"Smith, John" <j@example.com>', "Smith, John"),
        ("Jürgen Müller <j@example.com>", "Jürgen Müller"),
        ("<j@example.com>", ""),
        (("O'Neil (Sales)", "j@example.com"), "O'Neil (Sales)"),
        (('Quote " and \\', "j@example.com"), 'Quote " and \\'),
        (("=?utf-8?q?=0ABcc:_eve?=", "j@example.com"), "=?utf-8?q?=0ABcc:_eve?="),
        (("a@b.c", "j@example.com"), None),
    ],
)
def test_a_name_arrives_as_it_was_given(given, name):
    if name is None:  # two addresses, not a name and an address
        assert make(to=given).recipients == ("a@b.c", "j@example.com")
        return

    shown = parsed(make(to=given))["to"].addresses[0]

    assert (shown.display_name, shown.addr_spec) == (name, "j@example.com")


def test_a_subject_that_looks_encoded_is_not_decoded_by_the_reader():
    assert parsed(make(subject="=?utf-8?q?Bank?="))["subject"] == "=?utf-8?q?Bank?="


TEXT = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=120)


@settings(max_examples=150, deadline=None)
@given(
    name=TEXT, subject=TEXT.filter(str.strip), text=st.text(max_size=500).map(lambda t: t.replace("\x00", ""))
)
def test_whatever_is_written_is_read_back_and_adds_no_header(name, subject, text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    message = make(to=[(name, "ada@example.com"), "bob@example.com"], subject=subject, text=text)

    shown = parsed(message)

    assert set(shown.keys()) == {
        "Content-Type", "MIME-Version", "Content-Transfer-Encoding", "From", "To", "Subject", "Date", "Message-ID",
    }  # fmt: skip
    assert [each.addr_spec for each in shown["to"].addresses] == ["ada@example.com", "bob@example.com"]
    assert shown["subject"].split() == subject.split()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_only_our_errors_come_out_of_any_text(to, subject, text, name):
    try:
        message = make(to=to, subject=subject, text=text, attachments=[Attachment(name, b"x")])
        content = Letter.of(message, SENDER, "<1@example.com>").content
    except SharedError:
        return

    head = content.split(b"\r\n\r\n")[0]
    assert head.count(b"\r\nTo: ") == 1
    assert b"\nBcc" not in head


def test_lines_are_short_and_end_with_crlf():
    message = make(
        text="x" * 5000 + "\ny\r\nz\rw", to=[(f"Name {n}" * 9, f"u{n}@example.com") for n in range(50)]
    )

    content = Letter.of(message, SENDER, "<1@example.com>").content

    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert content.isascii()


def test_text_and_html_are_alternatives_the_best_last():
    shown = parsed(make(text="plain ä", html="<b>ä</b>"))

    assert shown.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in shown.iter_parts()] == ["text/plain", "text/html"]
    assert shown.get_body(("plain",)).get_content() == "plain ä"


def test_a_picture_is_beside_the_html_and_a_file_beside_both():
    files = [Attachment("logo.png", b"png", content_id="logo"), Attachment("bücher.pdf", b"%PDF")]

    shown = parsed(make(html="<img src='cid:logo'>", attachments=files))

    assert shown.get_content_type() == "multipart/mixed"
    names = {part.get_filename(): part for part in shown.walk() if part.get_filename()}
    assert names["logo.png"]["Content-ID"] == "<logo>"
    assert names["bücher.pdf"].get_payload(decode=True) == b"%PDF"
    assert names["bücher.pdf"].get_content_disposition() == "attachment"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "..\\x",
        "/etc/passwd",
        "C:\\x",
        "a\nb",
        "a\r\nContent-Type: x",
        "a\x00",
        'a"b',
        "a\u202etxt.exe",
    ]
    + ["x" * 256, "ä" * 128, " a", "a ", "a:b", "a|b", None, 7],
)
def test_a_hostile_file_name_is_refused(name):
    with pytest.raises(ValidationError, match="attachment name"):
        Attachment(name, b"x")


@pytest.mark.parametrize(
    "kind",
    [
        "text",
        "text/",
        "/plain",
        "text/plain; charset=x",
        "text/plain\r\nX: y",
        "multipart/mixed",
        "message/rfc822",
        "a/b/c",
        "tëxt/plain",
        7,
    ],
)
def test_a_hostile_type_is_refused(kind):
    with pytest.raises(ValidationError, match="content_type"):
        Attachment("a.txt", b"x", kind)


def test_a_type_follows_from_the_name_and_is_unknown_otherwise():
    assert Attachment("a.pdf", b"").content_type == "application/pdf"
    assert Attachment("a.xyzzy", b"").content_type == "application/octet-stream"


def test_an_attachment_is_read_from_a_file(tmp_path):
    (tmp_path / "r.txt").write_bytes(b"abc")

    found = Attachment.from_path(tmp_path / "r.txt")

    assert (found.name, found.content, found.size) == ("r.txt", b"abc", 3)
    with pytest.raises(SharedError, match="cannot be read: FileNotFoundError"):
        Attachment.from_path(tmp_path / "absent")


def test_text_for_content_is_refused():
    with pytest.raises(SharedError, match="is bytes, got str"):
        Attachment("a.txt", "text")


@pytest.mark.parametrize(
    "changes",
    [
        {"text": None},
        {"text": "a\x00"},
        {"text": "\ud800"},
        {"text": 7},
        {"html": b"x"},
        {"subject": ""},
        {"subject": "  "},
        {"subject": "x" * 501},
        {"subject": None},
        {"to": [f"u{n}@example.com" for n in range(1001)]},
        {"to": [], "cc": "ada@example.com"},
        {"attachments": ["file"]},
        {"attachments": 7},
        {"attachments": [Attachment("a.png", b"", content_id="x")]},
        {"attachments": [Attachment("a.png", b"", content_id="x")] * 2, "html": "x"},
        {"headers": {"To": "x"}},
        {"headers": {"content-type": "x"}},
        {"headers": {"X-A": "x" * 901}},
        {"headers": {"X-A": "ä"}},
        {"headers": {"X-A": "1", "x-a": "2"}},
        {"category": "a b"},
        {"category": 7},
    ],
    ids=range(22),
)
def test_what_cannot_be_sent_is_refused_when_the_message_is_made(changes):
    with pytest.raises(ValidationError):
        make(**changes)


def test_a_content_id_is_checked():
    with pytest.raises(ValidationError, match="content_id"):
        Attachment("a.png", b"", content_id="<x>\r\n")


def test_an_address_that_is_there_twice_gets_one_message():
    message = make(to=["ada@example.com", "ADA@example.com"], cc="ada@example.com")

    assert message.recipients == ("ada@example.com",)


def test_nothing_personal_is_in_a_repr():
    message = make(to="ada@example.com", subject="secret", text="secret")

    assert repr(message) == "<EmailMessage to 1 recipient>"
    assert "ada" not in repr(message.to)
    assert "secret" not in repr(Letter.of(message, SENDER, "<1@example.com>"))


def test_a_changed_message_is_checked_again():
    with pytest.raises(ValidationError):
        make().with_changes(subject="a\nb")

    assert make().with_changes(subject="Other").subject == "Other"


def test_equal_messages_are_equal():
    assert make() == make()
    assert make() != make(subject="Other")
