import hashlib
import io
import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InfrastructureError, InvalidArgumentError, ResourceNotFoundError, SharedError
from shared.utils import calculate_file_hash, format_file_size, sanitize_filename
from tests.unit.utils.hostile import HUGE, MEGABYTES, any_text, anything

# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("my file.txt", "my file.txt"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\..\\windows\\system.ini", "windows_system.ini"),
        ("/etc/passwd", "etc_passwd"),
        ("C:\\Users\\ada\\cv.pdf", "C_Users_ada_cv.pdf"),
        ("a/../../b", "a_._._b"),
        ("archive..tar...gz", "archive.tar.gz"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("__init__.py", "__init__.py"),
        ("a\0b.txt", "ab.txt"),
        ("a\tb\r\nc.txt", "a b c.txt"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("zero\u200bwidth.txt", "zerowidth.txt"),
        ("cafe\u0301.txt", "café.txt"),
        ("日本語 ファイル.pdf", "日本語 ファイル.pdf"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("trailing. . .", "trailing"),
        ("\ud800broken.txt", "broken.txt"),
        ("a／b.txt", "a／b.txt"),
    ],
)
def test_sanitize_filename_keeps_the_meaning_and_drops_the_danger(name, safe):
    assert sanitize_filename(name) == safe


@pytest.mark.parametrize(
    "name", ["CON", "con.txt", "Aux.tar.gz", "nul .txt", "com1.log", "LPT9", "COM¹.txt", "conin$", "PRN"]
)
def test_sanitize_filename_never_gives_the_name_of_a_windows_device(name):
    assert sanitize_filename(name).startswith("_")


@pytest.mark.parametrize("name", ["", ".", "..", "...", "   ", "/", "\\\\", "\0", "\u202e", "-- --", "../.."])
def test_sanitize_filename_is_never_empty(name):
    assert sanitize_filename(name) == "file"


def test_sanitize_filename_sanitizes_the_default_too():
    assert sanitize_filename("..", default="../up load.bin") == "up load.bin"


def test_sanitize_filename_ends_with_a_name_when_the_default_has_none():
    assert sanitize_filename("..", default="/") == "file"


@pytest.mark.parametrize(
    ("name", "extension"),
    [("é" * 300 + ".txt", ".txt"), ("a" * 300 + ".tar.gz", ".tar.gz"), ("中" * 300 + ".jpeg", ".jpeg")],
)
def test_sanitize_filename_keeps_the_extension_of_a_long_name(name, extension):
    safe = sanitize_filename(name)

    assert safe.endswith(extension)
    assert len(safe.encode()) <= 255


def test_sanitize_filename_cuts_between_two_characters_as_a_reader_counts_them():
    family = "\U0001f468\u200d\U0001f469"  # the joiner is dropped, the two people stay
    flag = "\U0001f1e9\U0001f1ea"

    safe = sanitize_filename(family + flag * 40, max_bytes=34)

    assert safe == "\U0001f468\U0001f469" + flag * 3


def test_sanitize_filename_does_not_take_a_sentence_for_an_extension():
    name = "a" * 250 + ". an extension it is not"

    assert sanitize_filename(name) == "a" * 250 + ". an"


def test_sanitize_filename_cuts_a_character_that_alone_is_too_long():
    assert sanitize_filename("e" + "\u0301" * 500, max_bytes=32) == "é" + "\u0301" * 15


def test_sanitize_filename_checks_the_device_names_after_the_cut():
    safe = sanitize_filename("con" + " e" + "\u0323" * 30 + ".txt", max_bytes=32)

    assert safe == "_con.txt"


@pytest.mark.parametrize("replacement", ["", "-", "_"])
@given(name=any_text, max_bytes=st.sampled_from([32, 40, 255]))
@settings(max_examples=300)
def test_a_safe_name_obeys_every_rule(replacement, name, max_bytes):
    safe = sanitize_filename(name, replacement=replacement, max_bytes=max_bytes)

    assert 0 < len(safe.encode()) <= max_bytes
    assert not set(safe) & set('<>:"/\\|?*\0\n')
    assert ".." not in safe
    assert safe[0] not in " .-"
    assert safe[-1] not in " ."
    assert safe == unicodedata.normalize("NFC", safe)
    assert not any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co"} for letter in safe)


@pytest.mark.parametrize("replacement", ["", "-", "_"])
@given(name=any_text, max_bytes=st.sampled_from([32, 40, 255]))
@settings(max_examples=300)
def test_sanitizing_twice_is_sanitizing_once(replacement, name, max_bytes):
    once = sanitize_filename(name, replacement=replacement, max_bytes=max_bytes)

    assert sanitize_filename(once, replacement=replacement, max_bytes=max_bytes) == once


@given(name=any_text)
def test_a_safe_name_can_be_created(name, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / sanitize_filename(name)

    path.write_bytes(b"x")

    assert path.read_bytes() == b"x"
    path.unlink()


@pytest.mark.parametrize(
    "options",
    [{"replacement": "/"}, {"replacement": None}, {"max_bytes": 31}, {"max_bytes": 256}, {"default": 7}],
)
def test_sanitize_filename_refuses_wrong_options(options):
    with pytest.raises(InvalidArgumentError):
        sanitize_filename("..", **options)


@given(anything)
def test_sanitize_filename_never_raises_a_foreign_error(value):
    try:
        sanitize_filename(value)
    except SharedError:
        pass


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", MEGABYTES)
def test_sanitize_filename_takes_a_megabyte_in_bounded_time(name):
    assert 0 < len(sanitize_filename(MEGABYTES[name]).encode()) <= 255


# --- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (1536, "1.5 KB"),
        (-1, "-1 B"),
        (-1024, "-1.0 KB"),
        (1024**2 - 1, "1.0 MB"),
        (1024**2, "1.0 MB"),
        (5 * 1024**3, "5.0 GB"),
        (1024**4, "1.0 TB"),
        (1024**5, "1.0 PB"),
        (1024**6, "1.0 EB"),
        (1024**7, "1024.0 EB"),
        (1024.4, "1.0 KB"),
        (0.2, "0 B"),
        (2**53 + 1, "8.0 PB"),
    ],
)
def test_format_file_size_reads_as_people_write_it(size, shown):
    assert format_file_size(size) == shown


def test_format_file_size_shows_as_many_decimals_as_asked():
    assert [format_file_size(1234567, decimals=n) for n in (0, 1, 3)] == ["1 MB", "1.2 MB", "1.177 MB"]


@given(st.integers(0, 2**70))
def test_the_negative_size_is_the_size_with_a_sign(size):
    assert format_file_size(-size) == (f"-{format_file_size(size)}" if size else "0 B")


@given(st.integers(0, 1024**7 - 2**59))
def test_a_size_never_shows_1024_of_a_unit_that_has_a_next(size):
    assert not format_file_size(size).startswith("1024")


@pytest.mark.parametrize("size", ["1024", None, True, float("nan"), float("inf"), 2**129, HUGE, 1e300, [1]])
def test_format_file_size_refuses_what_is_no_size(size):
    with pytest.raises(InvalidArgumentError, match="size must be"):
        format_file_size(size)


@given(anything)
def test_format_file_size_never_raises_a_foreign_error(value):
    try:
        format_file_size(value)
    except SharedError:
        pass


# --- hashes ----------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"abc" * 100_000)
    return path


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "SHA3-256", "blake2b"])
def test_calculate_file_hash_agrees_with_hashlib(file, algorithm):
    expected = hashlib.new(algorithm.lower().replace("-", "_"), file.read_bytes()).hexdigest()

    assert calculate_file_hash(str(file), algorithm) == expected


def test_calculate_file_hash_is_sha256_by_default(file):
    assert calculate_file_hash(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_calculate_file_hash_reads_an_open_file_from_its_position(file):
    with file.open("rb") as opened:
        opened.seek(10)

        digest = calculate_file_hash(opened)

        assert not opened.closed
    assert digest == hashlib.sha256(file.read_bytes()[10:]).hexdigest()


def test_calculate_file_hash_of_nothing_is_the_hash_of_nothing():
    assert calculate_file_hash(io.BytesIO()) == hashlib.sha256().hexdigest()


@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
def test_calculate_file_hash_refuses_a_weak_algorithm_unless_asked(file, algorithm):
    with pytest.raises(InvalidArgumentError, match="can be forged"):
        calculate_file_hash(file, algorithm)

    assert (
        calculate_file_hash(file, algorithm, allow_weak=True)
        == hashlib.new(algorithm, file.read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("algorithm", ["", "crc32", "shake_128", None, 7, "x" * 100])
def test_calculate_file_hash_lists_the_algorithms_it_knows(file, algorithm):
    with pytest.raises(InvalidArgumentError, match="algorithm must be one of sha256"):
        calculate_file_hash(file, algorithm)


def test_calculate_file_hash_says_which_file_is_missing(tmp_path):
    with pytest.raises(ResourceNotFoundError, match=r"file 'absent\.bin' not found") as caught:
        calculate_file_hash(tmp_path / "absent.bin")

    assert str(tmp_path) not in str(caught.value)


def test_calculate_file_hash_refuses_a_folder(tmp_path):
    with pytest.raises(InfrastructureError, match="no regular file"):
        calculate_file_hash(tmp_path)


@pytest.mark.timeout(10)
def test_calculate_file_hash_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InfrastructureError, match="no regular file"):
        calculate_file_hash(tmp_path / "pipe")


@pytest.mark.timeout(10)
def test_calculate_file_hash_does_not_read_an_endless_device():
    with pytest.raises(InfrastructureError, match="no regular file"):
        calculate_file_hash("/dev/zero")


def test_calculate_file_hash_says_that_a_path_is_too_long():
    with pytest.raises(InfrastructureError, match="cannot be read") as caught:
        calculate_file_hash("x" * 5000)

    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("source", [None, 7, b"bytes", "a\0b", "\ud800"])
def test_calculate_file_hash_refuses_what_is_no_path(source):
    with pytest.raises(SharedError):
        calculate_file_hash(source)


def test_calculate_file_hash_refuses_a_file_in_text_mode(file):
    with file.open(encoding="utf-8") as opened, pytest.raises(InvalidArgumentError, match="binary mode"):
        calculate_file_hash(opened)


def test_calculate_file_hash_refuses_a_closed_file(file):
    with file.open("rb") as opened:
        pass

    with pytest.raises(InvalidArgumentError, match="binary mode"):
        calculate_file_hash(opened)
