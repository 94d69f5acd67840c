"""Keys: what passes is safe everywhere, what does not says why."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError, ValidationError
from shared.integrations.storage import check_key, check_prefix, safe_key


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "has 0 bytes"),
        ("ä" * 451, "has 902 bytes"),
        ("ä" * 128, "segment of 256 bytes"),
        ("a//b", "empty segment"),
        ("/a", "empty segment"),
        ("a/../b", r"segment '\.\.'"),
        ("a\x00", r"U\+0000"),
        ("a\u202etxt.exe", r"U\+202E"),
        ("e\u0301", "NFC"),
        (".shared-storage", "the store needs for itself"),
        ("a ", "ends with a space"),
        (b"a", "a key is text, got bytes"),
        (None, "a key is text, got NoneType"),
    ],
    ids=ascii,
)
def test_a_wrong_key_says_why(key, why):
    with pytest.raises(ValidationError, match=why):
        check_key(key)


@pytest.mark.parametrize("prefix", ["/", "../", "a//", "a/../", "\x00"], ids=ascii)
def test_a_prefix_that_no_key_has_is_refused(prefix):
    with pytest.raises(ValidationError):
        check_prefix(prefix)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\cv.pdf", "cv.pdf"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        (". . .", "file"),
        ("a\r\nSet-Cookie: x=1", "aSet-Cookie x=1"),
        ("Cafe\u0301.txt", "Café.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        (".shared-storage", "file"),
        ("x" * 300 + ".pdf", "x" * 176 + ".pdf"),
        ("日" * 200 + ".jpeg", "日" * 58 + ".jpeg"),
        ("a.pdf...", "a.pdf"),
        ("%2e%2e%2fpasswd", "2e2e2fpasswd"),
    ],
    ids=ascii,
)
def test_a_hostile_name_becomes_a_key(name, key):
    assert safe_key(name) == key
    assert safe_key(name, folder="uploads/7") == f"uploads/7/{key}"


def test_a_folder_that_is_none_is_the_callers_mistake():
    with pytest.raises(InvalidArgumentError):
        safe_key("a.txt", folder="../x")


@given(st.text(max_size=400))
def test_any_name_becomes_a_key_of_one_segment(name):
    key = safe_key(name)

    assert check_key(key) == key
    assert "/" not in key
    assert len(key.encode()) <= 255


@given(st.text(max_size=60) | st.binary(max_size=20))
def test_what_passes_is_safe_for_paths_urls_and_headers(key):
    try:
        found = check_key(key)
    except ValidationError:
        return

    assert found == key == unicodedata.normalize("NFC", key)
    assert not {"", ".", ".."} & set(key.split("/"))
    assert not set('\\\x00\r\n"<>?#%*|') & set(key)
    assert check_prefix(key) == key
