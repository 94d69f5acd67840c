"""Links: honoured by the store itself, or verified by ours."""

import json
import urllib.request

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.errors import AuthorizationError, ConfigurationError, InvalidArgumentError
from shared.integrations.storage import Storage
from tests.conformance.integrations.storage.conftest import S3_KEYS


def test_a_link_lives_a_second_to_a_week(store):
    for seconds in (0, 0.5, 604_801, float("nan")):
        with pytest.raises(InvalidArgumentError, match="1 to 604800"):
            store.presign("a.txt", expires_in=seconds)
    with pytest.raises(InvalidArgumentError, match="GET, PUT"):
        store.presign("a.txt", method="PATCH")


def test_a_link_to_s3_is_honoured_by_s3(s3_url):
    storage = Storage("s3://objects/links", endpoint_url=s3_url, **S3_KEYS)
    storage.put("grüße 7.txt", b"hello")

    link = storage.presign("grüße 7.txt", expires_in=60)

    with urllib.request.urlopen(link, timeout=30) as answer:
        assert answer.read() == b"hello"
    upload = storage.presign("b.txt", method="PUT")
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(upload, data=b"uploaded", method="PUT", headers=headers)
    with urllib.request.urlopen(request, timeout=30):
        assert storage.get("b.txt") == b"uploaded"
    assert S3_KEYS["secret_access_key"] not in link


def test_a_link_to_google_is_signed_with_the_key_file(tmp_path):
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "private_key": private.decode(),
        "private_key_id": "1",
        "client_email": "shop@project.example.com",
        "client_id": "1",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(account))
    storage = Storage("gs://objects/links", credentials_path=str(path))

    link = storage.presign("a b.txt", expires_in=60)

    assert link.startswith("https://storage.googleapis.com/objects/links%2Fa%20b%2Etxt?") or "a%20b" in link
    assert "X-Goog-Signature=" in link
    assert "X-Goog-Expires=60" in link


@pytest.fixture(params=["memory", "file"])
def own(request, tmp_path):
    now = [1_000_000.0]
    url = "memory://" if request.param == "memory" else f"file://{tmp_path}?fsync=off"
    storage = Storage(
        url, signing_key="k" * 32, public_url="https://shop.example.com/files/", clock=lambda: now[0]
    )
    storage.now = now
    return storage


def test_our_link_names_its_key(own):
    link = own.presign("a/grüße & co.txt", expires_in=60)

    assert link.startswith(
        "https://shop.example.com/files/a/gr%C3%BC%C3%9Fe%20%26%20co.txt?method=GET&expires=1000060&"
    )
    assert own.verify_url(link) == own.verify_url(link, method="HEAD") == "a/grüße & co.txt"
    assert own.verify_url(link.removeprefix("https://shop.example.com")) == "a/grüße & co.txt"
    assert own.verify_url(link.replace("shop.example.com", "127.0.0.1:8000")) == "a/grüße & co.txt"


def test_our_link_expires(own):
    link = own.presign("a.txt", expires_in=60)
    own.now[0] += 60

    with pytest.raises(AuthorizationError, match="expired 0 s ago"):
        own.verify_url(link)


def test_our_link_is_for_one_method(own):
    with pytest.raises(AuthorizationError, match="is for GET, not for 'PUT'"):
        own.verify_url(own.presign("a.txt"), method="PUT")
    with pytest.raises(AuthorizationError, match="is for PUT"):
        own.verify_url(own.presign("a.txt", method="PUT"))
    assert own.verify_url(own.presign("a.txt", method="PUT"), method="PUT") == "a.txt"


def changed_links(link):
    yield link.replace("a.txt", "b.txt")
    yield link.replace("expires=1003600", "expires=1003601")
    yield link.replace("expires=1003600", "expires=9999999999999999")
    yield link.replace("expires=1003600", "expires=-1")
    yield link.replace("expires=1003600", "expires=１003600")
    yield link.replace("method=GET", "method=PUT")
    yield link + "&method=PUT"
    yield link + "&expires=9999999999"
    yield link[:-1]
    yield link.partition("&signature")[0]
    yield link.partition("?")[0]
    yield link.replace("/files/", "/other/")
    yield link.replace("a.txt", "..%2f..%2fetc%2fpasswd")
    yield link.replace("a.txt", "a.txt%00")
    yield link.replace("a.txt", "%ff")
    yield link.replace("signature=", "signature=é")
    yield "https://[::1"
    yield ""
    yield "x" * 100_000


def test_a_link_that_was_changed_is_refused(own):
    link = own.presign("a.txt")

    for wrong in changed_links(link):
        with pytest.raises(AuthorizationError):
            own.verify_url(wrong, method="GET")
        with pytest.raises(AuthorizationError):
            own.verify_url(wrong, method="PUT")


def test_a_link_of_another_storage_is_refused(own):
    with pytest.raises(AuthorizationError):
        own.verify_url(
            Storage(signing_key="x" * 32, public_url="https://shop.example.com/files").presign("a.txt")
        )


def test_a_directory_needs_a_key_to_sign_with(tmp_path):
    with pytest.raises(ConfigurationError, match="STORAGE_SIGNING_KEY"):
        Storage(f"file://{tmp_path}").presign("a.txt")
    with pytest.raises(ConfigurationError, match="32 bytes") as caught:
        Storage(signing_key="too-short")
    assert "too-short" not in str(caught.value)
