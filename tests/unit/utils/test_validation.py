import pytest
from hypothesis import given

from shared.errors import InvalidArgumentError
from shared.utils import is_valid_email, is_valid_phone, is_valid_url
from tests.unit.utils.hostile import HOSTILE, HUGE, MEGABYTES, HostileText, anything

NOT_TEXT = [
    None,
    True,
    7,
    3.5,
    b"user@example.com",
    ["a@b.co"],
    {"a": 1},
    object(),
    HOSTILE,
    HUGE,
]
CHECKS = [is_valid_email, is_valid_phone, is_valid_url]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("value", NOT_TEXT)
def test_what_is_not_text_is_not_valid(check, value):
    assert check(value) is False


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@given(value=anything)
def test_a_check_answers_true_or_false_to_anything(check, value):
    assert check(value) in (True, False)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MEGABYTES)
def test_a_megabyte_is_refused_in_bounded_time(check, name):
    assert check(MEGABYTES[name]) is False


def test_a_text_whose_methods_fail_is_judged_by_its_characters():
    assert is_valid_email(HostileText("user@example.com"))


# --- e-mail --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "user@example.com",
        "first.last+tag@sub.example.co.uk",
        "o'neil@example.org",
        "ünal@münchen.de",
        "用户@例子.中国",
        "user@xn--mnchen-3ya.de",
        "a" * 64 + "@example.com",
    ],
)
def test_an_address_is_valid(address):
    assert is_valid_email(address) is True


@pytest.mark.parametrize(
    "address",
    [
        "",
        "user",
        "user@",
        "@example.com",
        "user@localhost",
        "user@host.local",
        "user@app.test",
        "user@@example.com",
        "user@example..com",
        ".user@example.com",
        "us er@example.com",
        "user@example.com\n",
        "user@example.com\r\nBcc: all@example.com",
        "user@exam\0ple.com",
        "\ud800@example.com",
        "user@\u202eexample.com",
        "Ada <ada@example.com>",
        '"a b"@example.com',
        "user@[127.0.0.1]",
        "a" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "user@" + "a." * 200 + "com",
    ],
)
def test_an_address_is_refused(address):
    assert is_valid_email(address) is False


def test_an_address_reserved_for_tests_is_valid_when_asked():
    assert is_valid_email("user@app.test", allow_test_domains=True) is True


# --- phone -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    ["+14155552671", "+1 (415) 555-2671", "+49 30 901820", "tel:+442079460958", "+８１ ３ １２３４ ５６７８"],
)
def test_an_international_number_is_valid(number):
    assert is_valid_phone(number) is True


@pytest.mark.parametrize(
    "number",
    ["", "+", "415 555 2671", "+1 1", "+999 123456", "+1 415 555 2671\n", "hello", "\ud800", "+" + "1" * 60],
)
def test_a_number_is_refused(number):
    assert is_valid_phone(number) is False


@pytest.mark.parametrize("region", ["US", "us"])
def test_a_national_number_is_valid_in_its_region(region):
    assert is_valid_phone("(415) 555-2671", region=region) is True


@pytest.mark.parametrize("region", ["USA", "XX", "", 1, HOSTILE, "A" * 1000])
def test_an_unknown_region_is_an_error_and_not_a_wrong_number(region):
    with pytest.raises(InvalidArgumentError, match="region must be a two-letter country code"):
        is_valid_phone("415 555 2671", region=region)


# --- URL -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTP://EXAMPLE.COM:8080/a/b;c?d=e&f=%20#g",
        "https://münchen.de/straße?q=ä#ö",
        "https://例子.中国/",
        "https://xn--mnchen-3ya.de",
        "https://a。b.com",
        "https://example.com./",
        "http://localhost:8000/health",
        "http://127.0.0.1/",
        "http://[2001:db8::1]:443/",
        "https://" + ".".join(["a" * 63] * 3) + ".com/",
    ],
)
def test_a_url_is_valid(url):
    assert is_valid_url(url) is True


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "http:example.com",
        "http://",
        "http:///path",
        "http://?q",
        "javascript:alert(1)",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://exa mple.com",
        " http://example.com",
        "http://example.com\n",
        "http://example.com/\r\nSet-Cookie: a=b",
        "http://example.com\\@evil.example",
        "http://user:pass@example.com",
        "http://a@b@example.com",
        "http://example.com:0",
        "http://example.com:65536",
        "http://example.com:",
        "http://example.com:８０",
        "http://example.com:+80",
        "http://example.com/%zz",
        "http://example.com/%2",
        "http://catalog:8000",
        "http://a..b",
        "http://-a.com",
        "http://a-.com",
        "http://a_b.com",
        "http://1.2.3",
        "http://0x7f.1",
        "http://2130706433",
        "http://127.0.0.01",
        "http://１２７.0.0.1",
        "http://[::1",
        "http://[1.2.3.4]/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.a]/",
        "http://xn--a.com",
        "http://💩.la",
        "http://ex\u202eample.com",
        "http://example.com/\u202egnp.exe",
        "http://example.com/\u00a0",
        "http://example.com/\ud800",
        "http://" + "a" * 64 + ".com",
        "http://" + ".".join(["a" * 63] * 4) + ".com",
        "http://example.com/" + "a" * 2048,
    ],
)
def test_a_url_is_refused(url):
    assert is_valid_url(url) is False


def test_a_name_without_a_dot_is_a_host_when_asked():
    assert is_valid_url("http://catalog:8000/items", allow_simple_host=True) is True


def test_login_data_is_accepted_when_asked():
    assert is_valid_url("http://user:pass@example.com", allow_userinfo=True) is True


def test_a_second_at_sign_is_refused_also_with_login_data():
    assert is_valid_url("http://user@evil.example@example.com", allow_userinfo=True) is False


def test_other_schemes_are_accepted_when_asked():
    assert is_valid_url("postgresql://db.example.com/app", schemes={"postgresql"}) is True


def test_schemes_given_as_one_text_are_an_error():
    with pytest.raises(InvalidArgumentError, match="schemes must be a collection"):
        is_valid_url("http://example.com", schemes="https")
