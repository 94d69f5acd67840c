"""The storage that the settings describe."""

import base64
import json
import os

import pytest

from shared.config import Settings, use_settings
from shared.errors import ConfigurationError, InvalidArgumentError, PayloadTooLargeError
from shared.integrations.storage import (
    AsyncStorage,
    Storage,
    StorageOptions,
    get_storage,
    storage_from_settings,
    storage_from_url,
)
from shared.runtime import Runtime, use

SECRET = "aws-secret-9f8e7d6c"


def settings(**values):
    return Settings(environ={}, env_file=None, **{"ENVIRONMENT": "testing", **values})


@pytest.fixture
def runtime():
    with use(Runtime("test")) as made:
        yield made
    made.close()


def test_the_runtime_has_one_storage_and_closes_it(runtime):
    use_settings(settings(), runtime=runtime)
    storage = get_storage()
    storage.put("a.txt", b"1")

    assert get_storage() is storage
    runtime.close()
    assert storage.list().items == ()


def test_two_runtimes_do_not_share_a_storage():
    found = []
    for name in ("one", "two"):
        with use(Runtime(name)) as runtime:
            use_settings(settings(), runtime=runtime)
            found.append(get_storage())
            runtime.close()

    assert found[0] is not found[1]


def test_limits_links_and_keys_come_from_the_settings(tmp_path):
    storage = storage_from_settings(
        settings(
            STORAGE_URL=f"file://{tmp_path}?fsync=off",
            STORAGE_MAX_BYTES=10,
            STORAGE_PUBLIC_URL="https://shop.example.com/files",
            STORAGE_URL_EXPIRE_SECONDS=60,
            STORAGE_SIGNING_KEY="s" * 32,
            STORAGE_ENCRYPT=True,
            ENCRYPTION_KEYS={"k1": base64.b64encode(os.urandom(32)).decode()},
        )
    )

    with pytest.raises(PayloadTooLargeError):
        storage.put("a.txt", bytes(11))
    assert storage.put("a.txt", b"1").is_encrypted
    link = storage.presign("a.txt")
    assert link.startswith("https://shop.example.com/files/a.txt?")
    assert storage.verify_url(link) == "a.txt"


def test_a_signing_key_is_made_up_where_nobody_minds(tmp_path):
    storage = storage_from_settings(settings(STORAGE_URL=f"file://{tmp_path}?fsync=off"))

    assert storage.verify_url(storage.presign("a.txt")) == "a.txt"


def test_a_bucket_gets_its_credentials_from_the_settings(tmp_path):
    s3 = storage_from_settings(
        settings(
            STORAGE_URL="s3://objects/prefix",
            AWS_REGION="eu-central-1",
            AWS_ACCESS_KEY_ID="AKIA123",
            AWS_SECRET_ACCESS_KEY=SECRET,
            AWS_SESSION_TOKEN="token-1",
            AWS_ENDPOINT_URL="https://s3.example.com",
        )
    )
    other = storage_from_settings(
        settings(STORAGE_ENDPOINT_URL="https://gcs.example.com"), url="gs://objects"
    )

    config = s3.backend.store.config
    assert (config["access_key_id"], config["secret_access_key"]) == ("AKIA123", SECRET)
    assert (config["region"], config["endpoint"]) == ("eu-central-1", "https://s3.example.com")
    assert repr(s3) == "<Storage 's3://objects/prefix'>"
    assert other.backend.store.config["base_url"].rstrip("/") == "https://gcs.example.com"
    assert SECRET not in repr(s3.core.options)


def test_every_wait_is_bounded_and_nobody_else_tries_again():
    storage = storage_from_settings(
        settings(STORAGE_URL="s3://objects", STORAGE_TIMEOUT=7, STORAGE_TRANSFER_TIMEOUT=70)
    )

    options = storage.backend.store.client_options
    assert {"connect_timeout", "read_timeout", "timeout"} <= set(options)
    assert storage.backend.store.retry_config["max_retries"] == 0


def test_another_place_has_the_same_limits(runtime, tmp_path):
    use_settings(settings(STORAGE_MAX_BYTES=10), runtime=runtime)

    archive = storage_from_url(f"file://{tmp_path}")

    assert archive.core.options.max_bytes == 10


def test_without_a_url_the_setting_is_named():
    with pytest.raises(ConfigurationError, match="STORAGE_URL is not set"):
        storage_from_settings(settings(ENVIRONMENT="staging", JWT_ALLOW_MISSING_KEY=True))


@pytest.mark.parametrize(
    "options",
    [
        {"max_bytes": 0},
        {"timeout": -1},
        {"allowed_types": "image/png"},
        {"maxbytes": 1},
        {"url_expires_in": 0},
    ],
    ids=json.dumps,
)
def test_options_out_of_range_are_refused(options):
    for cls in (Storage, AsyncStorage):
        with pytest.raises(InvalidArgumentError):
            cls(**options)


@pytest.mark.parametrize(
    "metadata",
    [
        {"Upper": "x"},
        {"shared-sha256": "x"},
        {"a": "b\r\nX-Evil: 1"},
        {"a": 7},
        {"": "x"},
        {"a" * 65: "x"},
        {"a": "x" * 1600},
    ],
    ids=ascii,
)
def test_metadata_that_no_store_could_keep_is_refused(metadata):
    with pytest.raises(InvalidArgumentError, match="metadata"):
        Storage().put("a", b"1", metadata=metadata)


@pytest.mark.parametrize(
    "options",
    [
        {"filename": "a\r\nb"}, {"filename": ""}, {"cache_control": "x\n"}, {"cache_control": "é"}, {"sha256": "abc"},
        {"if_match": "no-quotes"}, {"if_match": '"a"', "if_none_match": True}, {"content_type": "a/b\r\nX: 1"},
    ],
    ids=ascii,
)  # fmt: skip
def test_what_would_break_a_header_is_refused(options):
    with pytest.raises(InvalidArgumentError):
        Storage().put("a", b"1", **options)


def test_options_show_no_secret():
    shown = repr(StorageOptions(secret_access_key=SECRET, signing_key="k" * 40))

    assert SECRET not in shown
    assert "kkk" not in shown
