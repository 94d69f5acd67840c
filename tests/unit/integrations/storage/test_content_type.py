"""Types: the bytes must agree with what is claimed and with the name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, UnsupportedMediaTypeError
from shared.integrations.storage import Storage, sniff_content_type
from shared.integrations.storage._content_type import decide_content_type

SAMPLES = {
    "image/png": b"\x89PNG\r\n\x1a\n....",
    "image/jpeg": b"\xff\xd8\xff\xe0..JFIF",
    "image/gif": b"GIF89a......",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    "image/avif": b"\x00\x00\x00\x1cftypavif....",
    "image/heic": b"\x00\x00\x00\x1cftypheic....",
    "image/svg+xml": b'<?xml version="1.0"?>\n<!-- x --><svg xmlns="http://www.w3.org/2000/svg">',
    "image/tiff": b"II*\x00....",
    "application/pdf": b"%PDF-1.7",
    "application/zip": b"PK\x03\x04....",
    "application/gzip": b"\x1f\x8b\x08....",
    "text/html": b"  \n<!DOCTYPE HTML><html>",
    "video/mp4": b"\x00\x00\x00\x18ftypisom....",
    "video/webm": b"\x1aE\xdf\xa3....",
    "audio/wav": b"RIFF\x10\x00\x00\x00WAVEfmt ",
    "application/x-elf": b"\x7fELF\x02\x01\x01",
    "application/vnd.microsoft.portable-executable": b"MZ" + bytes(58) + b"\x80\x00\x00\x00",
    "application/x-tar": bytes(257) + b"ustar\x0000",
}


@pytest.mark.parametrize("kind", SAMPLES, ids=str)
def test_the_first_bytes_give_the_type_away(kind):
    assert sniff_content_type(SAMPLES[kind]) == kind


def test_text_gives_nothing_away():
    for data in (b"", b"hello", b"{}", b"<3 you", b"a,b\n1,2", b"MZ is short", b"\x00\x01"):
        assert sniff_content_type(data) is None


@pytest.mark.parametrize(
    ("head", "name", "claimed", "kind"),
    [
        (SAMPLES["image/png"], "a.png", "image/png", "image/png"),
        (SAMPLES["image/png"], "a", None, "image/png"),
        (SAMPLES["image/png"], "a", "application/octet-stream", "image/png"),
        (b"a,b", "a.csv", None, "text/csv"),
        (b"a,b", "a.CSV", "text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        (b"??", "a.unknown", None, "application/octet-stream"),
        (SAMPLES["application/zip"], "a.docx", None,
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (SAMPLES["application/zip"], "a.epub", "application/epub+zip", "application/epub+zip"),
        (SAMPLES["application/gzip"], "a.tar.gz", "application/x-gzip", "application/x-gzip"),
        (b"<html>", "a.txt", "text/plain", "text/plain"),
        (b"", "a.png", "image/png", "image/png"),
        (b"\xff\xfb\x90", "a.mp3", "audio/mpeg", "audio/mpeg"),
    ],
    ids=str,
)  # fmt: skip
def test_what_agrees_is_taken_as_claimed(head, name, claimed, kind):
    assert decide_content_type(head, name=name, claimed=claimed) == kind


@pytest.mark.parametrize(
    ("head", "name", "claimed"),
    [
        (b"<script>alert(1)</script>", "a.png", "image/png"),
        (b"<html>", "a", "image/jpeg"),
        (SAMPLES["image/svg+xml"], "a", "image/png"),
        (SAMPLES["application/pdf"], "a.png", None),
        (SAMPLES["application/pdf"], "a.pdf", "image/png"),
        (SAMPLES["application/x-elf"], "a.jpg", "image/jpeg"),
        (SAMPLES["application/vnd.microsoft.portable-executable"], "a.pdf", None),
        (SAMPLES["application/zip"], "a.png", None),
        (b"not a picture", "a.png", None),
        (b"not a picture", "a", "image/jpeg"),
        (SAMPLES["image/png"], "a.html", None),
        (SAMPLES["image/png"], "a.png", "text/plain"),
    ],
    ids=str,
)
def test_what_does_not_agree_is_refused(head, name, claimed):
    with pytest.raises(UnsupportedMediaTypeError):
        decide_content_type(head, name=name, claimed=claimed)

    assert decide_content_type(head, name=name, claimed=claimed, check=False)


@pytest.mark.parametrize(
    "claimed",
    [
        "",
        "png",
        "image/",
        "image/png\r\nX: 1",
        "image/png; a=\n",
        "a b/c",
        "image/png, text/html",
        "é/x",
        "x/" + "y" * 99,
    ],
    ids=ascii,
)
def test_a_claim_that_is_no_type_is_refused(claimed):
    with pytest.raises(InvalidArgumentError, match="a media type reads"):
        Storage().put("a", b"1", content_type=claimed)


def test_types_are_allowed_by_name_or_family():
    png = SAMPLES["image/png"]

    for allowed in (["image/png"], ["IMAGE/PNG"], ["image/*"], ["*/*"], ["text/plain", "image/png"]):
        assert decide_content_type(png, name="a.png", allowed=allowed) == "image/png"
    with pytest.raises(UnsupportedMediaTypeError, match="allowed: image/jpeg"):
        decide_content_type(png, name="a.png", allowed=["image/jpeg"])


@given(st.binary(max_size=600), st.text(max_size=20), st.none() | st.text(max_size=40))
def test_any_bytes_name_and_claim_give_a_type_or_an_error_of_ours(head, name, claimed):
    try:
        kind = decide_content_type(head, name=name, claimed=claimed)
    except (InvalidArgumentError, UnsupportedMediaTypeError):
        return

    assert "/" in kind
    assert "\n" not in kind
