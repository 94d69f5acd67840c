"""What a storage says when S3 fails, refuses, or sends less than it promised."""

import asyncio
import socket
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.errors import (
    CircuitOpenError,
    ConfigurationError,
    DeadlineExceededError,
    ServiceUnavailableError,
    SharedError,
    StorageError,
)
from shared.integrations.storage import Storage
from shared.resilience import timeout
from tests.conformance.integrations.storage.conftest import S3_KEYS

TOKEN = "session-token-7f3a9c1e5b"
SECRETS = (TOKEN, S3_KEYS["secret_access_key"])


class Scripted(ThreadingHTTPServer):
    """Gives the answers of *script*, the last one again and again."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Scripted)
        self.script = []
        self.requests = []
        self.released = threading.Event()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.released.set()
        self.shutdown()
        self._thread.join(10)
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that goes away is part of the tests."""


class _Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _handle(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.requests.append((self.command, self.path))
        script = self.server.script
        status, body, promised = script.pop(0) if len(script) > 1 else script[0]
        if status == "hang":
            self.server.released.wait(30)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("content-length", str(len(body) if promised is None else promised))
        self.send_header("etag", '"x"')
        self.send_header("last-modified", "Fri, 20 Nov 2026 17:18:01 GMT")
        self.end_headers()
        self.wfile.write(body)
        if promised is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle


@pytest.fixture
def server():
    with Scripted() as made:
        yield made


@pytest.fixture
def make(server):
    def make(**options):
        url = f"http://127.0.0.1:{server.server_port}"
        options = {"timeout": 30.0, "session_token": TOKEN, **S3_KEYS, **options}
        return Storage("s3://objects", endpoint_url=url, **options)

    return make


def error(code, extra=""):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message>{extra}</Error>".encode()


def shown(caught):
    """Everything that a traceback or a log of the error would show."""
    return "".join(traceback.format_exception(caught.value)) + str(caught.value.to_dict())


def calls(storage):
    """Each verb, awaited and not."""
    return [
        lambda: storage.get("a.txt"),
        lambda: storage.put("a.txt", b"1"),
        lambda: storage.list(),
        lambda: asyncio.run(storage.aio.get("a.txt")),
        lambda: asyncio.run(storage.aio.put("a.txt", b"1")),
        lambda: asyncio.run(storage.aio.list()),
    ]


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (400, "ExpiredToken", "the session token has expired"),
        (403, "InvalidAccessKeyId", "the access key is not known"),
        (403, "SignatureDoesNotMatch", "the secret of the access key is wrong"),
        (403, "AccessDenied", "the credentials are not allowed to do this"),
        (404, "NoSuchBucket", "the bucket does not exist"),
        (301, "PermanentRedirect", "another region"),
        (400, "AuthorizationHeaderMalformed", "another region"),
        (401, "Whatever", "refuses the credentials"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_shows_no_secret(server, make, status, code, text):
    repeated = f"<Token-0>{TOKEN}</Token-0><StringToSign>{SECRETS[1]}</StringToSign>"
    server.script = [(status, error(code, repeated), None)]
    for number in range(6):
        storage = make()
        with pytest.raises(ConfigurationError, match=text) as caught:
            calls(storage)[number]()
        assert "s3://objects" in str(caught.value)
        assert caught.value.__cause__ is not None
        assert not [secret for secret in SECRETS if secret in shown(caught)]
        _forget()


def _forget():
    from shared.resilience import get_breakers

    get_breakers().reset()


def test_an_overloaded_store_is_asked_again_and_then_given_up(server, make):
    server.script = [(503, error("SlowDown"), None)]

    with pytest.raises(ServiceUnavailableError, match="answers 503 SlowDown"):
        make().get("a.txt")

    assert len(server.requests) == 3


def test_a_store_that_recovers_is_not_noticed(server, make):
    for call in calls(make())[:2]:
        server.script = [(500, error("InternalError"), None), (200, b"1", None)]

        call()

    assert len(server.requests) == 4


def test_a_write_on_condition_is_not_tried_again(server, make):
    server.script = [(500, error("InternalError"), None)]

    with pytest.raises(ServiceUnavailableError):
        make().put("a.txt", b"1", if_none_match=True)

    assert len(server.requests) == 1


def test_five_failures_open_the_breaker(server, make):
    server.script = [(500, error("InternalError"), None)]
    storage = make()
    for _ in range(2):
        with pytest.raises(SharedError):
            storage.get("a.txt")

    with pytest.raises(CircuitOpenError, match="storage"):
        storage.get("a.txt")

    assert len(server.requests) == 5


def test_what_is_missing_does_not_open_the_breaker(server, make):
    server.script = [(404, error("NoSuchKey"), None)]
    storage = make()

    assert [storage.exists("a.txt") for _ in range(8)] == [False] * 8


@pytest.mark.parametrize("way", ["get", "stream", "aget", "astream"])
def test_a_download_that_is_cut_off_is_an_error(server, make, way):
    server.script = [(200, b"x" * 1000, 5000)]
    storage = make()

    async def streamed():
        async with await storage.aio.stream("a.txt") as download:
            return [piece async for piece in download]

    read = {
        "get": lambda: storage.get("a.txt"),
        "stream": lambda: list(storage.stream("a.txt")),
        "aget": lambda: asyncio.run(storage.aio.get("a.txt")),
        "astream": lambda: asyncio.run(streamed()),
    }[way]
    with pytest.raises((StorageError, ServiceUnavailableError)) as caught:
        read()

    assert "objects" in str(caught.value)


def test_a_store_that_does_not_answer_is_not_waited_for(server, make):
    server.script = [("hang", b"", None)]

    with pytest.raises((DeadlineExceededError, ServiceUnavailableError)):
        make(timeout=0.3, transfer_timeout=0.5).put("a.txt", b"1", if_none_match=True)


def test_the_deadline_of_the_caller_cuts_a_coroutine_off(server, make):
    server.script = [("hang", b"", None)]
    storage = make()

    async def hurried():
        async with timeout(0.3):
            await storage.aio.get("a.txt")

    with pytest.raises(DeadlineExceededError):
        asyncio.run(hurried())


def test_a_store_that_cannot_be_reached_is_unavailable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        storage = Storage("s3://objects", endpoint_url=url, **S3_KEYS)
        for call in (lambda: storage.get("a"), lambda: asyncio.run(storage.aio.get("a"))):
            with pytest.raises(ServiceUnavailableError, match="cannot be reached"):
                call()
            _forget()


def test_an_answer_without_sense_is_an_error_of_ours(server, make):
    for body in (b"<html>welcome", b"\xff\xfe\x00", b""):
        server.script = [(200, body, None)]
        with pytest.raises(SharedError):
            make().list()
        _forget()


def test_an_upload_that_fails_in_the_middle_leaves_no_object(server, make):
    started = b"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
    server.script = [(200, started, None), (400, error("InvalidPart"), None)]

    with pytest.raises(SharedError):
        make().put("a.bin", bytes(20_000_000))

    assert not [path for method, path in server.requests if method == "POST" and "uploadId" in path]


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "s3://", "s3://user:pass-word@bucket", "gs:///x", "file://host/dir", "file:///", "file:///d?sync=1",
     "s3://bucket/a/../b", "nonsense", "", "s3://[::1"],
)  # fmt: skip
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ConfigurationError) as caught:
        Storage(url)

    assert "pass-word" not in str(caught.value)


def test_a_key_file_that_is_none_is_not_quoted(tmp_path):
    path = tmp_path / "account.json"
    path.write_text('{"private_key": "very-private", "client_email"')

    with pytest.raises(ConfigurationError) as caught:
        Storage("gs://objects", credentials_path=str(path))

    assert "very-private" not in "".join(traceback.format_exception(caught.value))
