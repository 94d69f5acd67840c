"""Keys of an issuer elsewhere: few fetches, small answers, no way to an inner address."""

import asyncio
import datetime as dt
import http.server
import ipaddress
import json
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth import (
    AsyncTokenService,
    Key,
    KeyRing,
    RemoteKeys,
    TokenService,
    sign_compact,
    verify_compact,
)
from shared.errors import (
    ExternalServiceError,
    InvalidArgumentError,
    InvalidTokenError,
    ServiceUnavailableError,
    SharedError,
    UnsafeUrlError,
)
from tests.unit.auth.forge import Clock, header, key, raw

URL = "https://id.example/jwks"


class Issuer:
    """An issuer whose answers can be changed and counted."""

    def __init__(self, *keys):
        self.ring = KeyRing(keys or [key("ES256", "a")])
        self.calls = 0
        self.answer = None

    def __call__(self, url):
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return json.dumps(self.ring.jwks()).encode() if self.answer is None else self.answer

    def token(self, **claims):
        return sign_compact(b"{}", self.ring)


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def mono():
    return Clock(1000.0)


@pytest.fixture
def keys(issuer, mono):
    return RemoteKeys(URL, fetch=issuer, monotonic=mono)


async def test_a_known_key_is_prepared_without_another_fetch(keys, issuer, mono):
    await keys.aprepare("a")
    mono.now += 60  # longer than the cooldown, shorter than the age
    await keys.aprepare("a")
    known = issuer.calls
    await keys.aprepare("b")

    assert (known, issuer.calls) == (1, 2)


def test_keys_are_fetched_once_and_verify(keys, issuer):
    for _ in range(5):
        assert verify_compact(issuer.token(), keys) == b"{}"

    assert issuer.calls == 1
    assert keys.current().active is None


def test_nothing_is_fetched_before_a_token_comes(keys, issuer):
    assert issuer.calls == 0


def test_keys_are_fetched_again_after_their_age(keys, issuer, mono):
    ring = keys.current()

    mono.advance(600.0)
    assert keys.current() is ring
    assert issuer.calls == 1
    mono.advance(0.1)
    keys.current()
    assert issuer.calls == 2


def test_the_same_keys_stay_the_same_ring(keys, issuer, mono):
    ring = keys.current()
    mono.advance(601)

    assert keys.current() is ring


def test_an_unknown_key_is_looked_for(keys, issuer, mono):
    keys.current()
    issuer.ring = issuer.ring.add(key("ES256", "b").with_status("next")).rotate()
    mono.advance(30)

    assert verify_compact(issuer.token(), keys) == b"{}"
    assert issuer.calls == 2


def test_a_flood_of_unknown_keys_fetches_once_in_a_while(keys, issuer, mono):
    for number in range(200):
        with pytest.raises(InvalidTokenError):
            verify_compact(raw(header(alg="ES256", kid=f"x{number}"), b"{}"), keys)
        mono.advance(0.5)

    assert issuer.calls <= 1 + 200 * 0.5 / 30 + 1


def test_a_known_key_is_served_during_the_flood(keys, issuer):
    keys.current()
    for number in range(20):
        with pytest.raises(InvalidTokenError):
            verify_compact(raw(header(alg="ES256", kid=f"x{number}"), b"{}"), keys)

    assert verify_compact(issuer.token(), keys) == b"{}"
    assert issuer.calls == 1


def test_a_key_that_the_issuer_withdrew_is_refused(keys, issuer, mono):
    token = issuer.token()
    assert verify_compact(token, keys)
    issuer.ring = KeyRing([key("ES256", "b")])
    mono.advance(601)

    with pytest.raises(InvalidTokenError):
        verify_compact(token, keys)


def test_a_verified_token_is_refused_once_its_key_is_withdrawn(issuer, mono):
    clock = Clock()
    theirs = TokenService(issuer.ring, clock=clock)
    ours = TokenService(RemoteKeys(URL, fetch=issuer, monotonic=mono), clock=clock)
    token = theirs.create_access_token("u-1")
    assert ours.verify(token)
    issuer.ring = KeyRing([key("ES256", "b")])
    mono.advance(601)

    assert ours.verify(token) is None


def test_old_keys_are_used_while_the_issuer_is_down(keys, issuer, mono, caplog):
    token = issuer.token()
    keys.current()
    issuer.answer = ConnectionError("down")
    mono.advance(86_400)

    assert verify_compact(token, keys)
    assert "stay in use" in caplog.text
    mono.advance(31)
    with pytest.raises(ExternalServiceError, match="does not give any"):
        verify_compact(token, keys)


def test_an_issuer_that_is_down_is_not_asked_all_the_time(keys, issuer, mono):
    keys.current()
    issuer.answer = ConnectionError("down")
    mono.advance(601)

    for _ in range(50):
        keys.current()

    assert issuer.calls == 2


def test_without_any_key_the_error_is_ours_and_the_next_try_comes_soon(keys, issuer, mono):
    issuer.answer = TimeoutError("slow")
    for _ in range(10):
        with pytest.raises(ExternalServiceError):
            keys.current()
    assert issuer.calls == 1

    issuer.answer = None
    mono.advance(1.0)
    assert keys.current()
    assert issuer.calls == 2


def test_a_service_without_keys_refuses_and_does_not_raise(issuer, mono):
    issuer.answer = OSError("down")
    tokens = TokenService(RemoteKeys(URL, fetch=issuer, monotonic=mono), clock=Clock())

    assert tokens.verify(issuer.token()) is None
    with pytest.raises((ExternalServiceError, ServiceUnavailableError)):
        tokens.decode(issuer.token())


def test_of_callers_at_once_one_fetches():
    issuer, entered, go = Issuer(), threading.Event(), threading.Event()

    def slow(url):
        entered.set()
        assert go.wait(30)
        return issuer(url)

    keys = RemoteKeys(URL, fetch=slow)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(keys.current) for _ in range(8)]
        assert entered.wait(30)
        go.set()
        rings = {id(future.result(timeout=30)) for future in waiting}

    assert issuer.calls == 1
    assert len(rings) == 1


async def test_a_coroutine_does_not_wait_for_the_issuer():
    issuer, clock = Issuer(), Clock()
    thread = []

    def fetch(url):
        thread.append(threading.current_thread())
        return issuer(url)

    tokens = AsyncTokenService(RemoteKeys(URL, fetch=fetch), clock=clock)
    token = TokenService(issuer.ring, clock=clock).create_access_token("u-1")

    payloads = await asyncio.gather(*(tokens.verify(token) for _ in range(8)))

    assert [payload.user_id for payload in payloads] == ["u-1"] * 8
    assert issuer.calls == 1
    assert threading.main_thread() not in thread


async def test_a_coroutine_is_not_stalled_by_unknown_keys_either():
    issuer = Issuer()
    tokens = AsyncTokenService(RemoteKeys(URL, fetch=issuer), clock=Clock())

    for number in range(10):
        assert await tokens.verify(raw(header(alg="ES256", kid=f"x{number}"), b"{}")) is None
        assert await tokens.verify(f"junk{number}") is None

    assert issuer.calls <= 2


# --- what comes from outside ------------------------------------------------------------------


ANSWERS = [
    b"", b"{}", b"[]", b"null", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, null, "x", []]}', b"\xff\xfe",
    b'{"keys": []' + b" " * 65_536 + b"}", b'{"keys": [' + b"{}," * 20 + b"{}]}", b'{"keys": [], "keys": []}',
    b"[" * 100_000, json.dumps({"keys": [{"kty": "oct", "kid": "a", "alg": "HS256", "k": "A" * 64}]}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_that_is_no_set_of_keys_is_refused(keys, issuer, answer):
    issuer.answer = answer

    with pytest.raises(ExternalServiceError):
        keys.current()


def test_keys_that_are_not_for_us_are_left_out(keys, issuer):
    good = key("ES256", "a").to_jwk()
    issuer.answer = json.dumps(
        {
            "keys": [
                good,
                {**good, "kid": "enc", "use": "enc"},
                {**good, "kid": "curve", "crv": "secp256k1", "alg": "ES256K"},
                {name: value for name, value in key("EdDSA").to_jwk().items() if name != "kid"},
                {"kty": "oct", "kid": "secret", "alg": "HS256", "k": "A" * 64},
                {"kty": "XYZ", "kid": "new"},
            ]
        }
    ).encode()

    assert [found.kid for found in keys.current().keys] == ["a"]


def test_a_private_key_that_an_issuer_lets_slip_is_not_kept(keys, issuer):
    issuer.answer = json.dumps({"keys": [key("ES256", "a").to_jwk(private=True)]}).encode()

    assert not keys.current().keys[0].can_sign


def test_an_id_that_stands_there_twice_makes_the_set_unusable(keys, issuer):
    twice = [key("ES256", "a").to_jwk(), Key.generate("ES256", kid="a").to_jwk()]
    issuer.answer = json.dumps({"keys": twice}).encode()

    with pytest.raises(ExternalServiceError, match="'a' stands twice"):
        keys.current()


def test_an_rsa_key_without_an_algorithm_gets_the_one_that_was_given(issuer):
    bare = {name: value for name, value in key("RS256", "a").to_jwk().items() if name != "alg"}
    issuer.answer = json.dumps({"keys": [bare]}).encode()

    assert RemoteKeys(URL, fetch=issuer).current().keys[0].algorithm == "RS256"
    assert RemoteKeys(URL, fetch=issuer, algorithm="PS512").current().keys[0].algorithm == "PS512"


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda items: json.dumps({"keys": items}).encode(),
        st.lists(
            st.dictionaries(
                st.sampled_from(["kty", "kid", "alg", "x", "y", "n", "e", "crv", "use"]),
                st.text(max_size=6) | st.integers(),
            ),
            max_size=3,
        ),
    )
)
def test_only_our_errors_come_out_of_any_answer(answer):
    with pytest.raises(ExternalServiceError):
        RemoteKeys(URL, fetch=lambda url: answer).current()


@pytest.mark.parametrize(
    "url", ["http://id.example/jwks", "file:///etc/passwd", "ftp://id.example", "", "id.example"]
)
def test_other_schemes_are_refused(url):
    with pytest.raises(InvalidArgumentError, match="https"):
        RemoteKeys(url)


@pytest.mark.parametrize(
    "options", [{"max_age": 0}, {"cooldown": 0}, {"timeout": 0}, {"max_stale": 1.0}], ids=range(4)
)
def test_times_out_of_range_are_refused(options):
    with pytest.raises(InvalidArgumentError, match="seconds above 0"):
        RemoteKeys(URL, **options)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/k",
        "https://169.254.169.254/k",
        "https://localhost/k",
        "https://2130706433/k",
        "https://[::1]/k",
    ],
)
def test_an_inner_address_is_not_fetched(url):
    with pytest.raises(ExternalServiceError, match="does not give any") as caught:
        RemoteKeys(url).current()

    assert isinstance(caught.value.__cause__, UnsafeUrlError)


# --- over TLS, from a real server ---------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "key.pem").write_bytes(
        private.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(ser.Encoding.PEM))
    return folder


class Server:
    """A real issuer on loopback, over TLS."""

    def __init__(self, folder):
        self.status, self.headers, self.body, self.pause = 200, {}, b"", 0.0
        self.paths = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for start in range(0, len(outer.body), 65_536):
                        self.wfile.write(outer.body[start : start + 65_536])
                        if outer.pause:
                            outer.stop.wait(outer.pause)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = False  # server_close() waits for them

            def handle_error(self, request, client_address):
                pass

        self.stop = threading.Event()
        self._server = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._server.server_port}/jwks?v=1"
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        if self.stop.is_set():
            return
        self.stop.set()
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()


@pytest.fixture
def server(certificate):
    made = Server(certificate)
    made.body = json.dumps(Issuer().ring.jwks()).encode()
    yield made
    made.close()


def remote(server, certificate, **options):
    return RemoteKeys(
        server.url,
        hosts=[server.host],
        allow_networks=["127.0.0.0/8"],
        ssl_context=ssl.create_default_context(cafile=certificate / "cert.pem"),
        **{"timeout": 20.0, **options},
    )


def test_keys_come_over_tls(server, certificate):
    keys = remote(server, certificate)

    assert verify_compact(Issuer().token(), keys) == b"{}"
    assert server.paths == ["/jwks?v=1"]


def test_a_certificate_that_nobody_vouches_for_is_refused(server):
    keys = RemoteKeys(server.url, hosts=[server.host], allow_networks=["127.0.0.0/8"], timeout=20.0)

    with pytest.raises(ExternalServiceError) as caught:
        keys.current()
    assert isinstance(caught.value.__cause__.__cause__, ssl.SSLError)


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_a_redirect_is_not_followed_and_other_answers_are_no_keys(server, certificate, status):
    server.status, server.headers = status, {"Location": "http://169.254.169.254/"}

    with pytest.raises(ExternalServiceError) as caught:
        remote(server, certificate).current()

    assert str(status) in str(caught.value.__cause__)
    assert len(server.paths) == 1


def test_a_huge_answer_is_not_read(server, certificate):
    server.body = b'{"keys": [' + b" " * 50_000_000

    with pytest.raises(ExternalServiceError):
        remote(server, certificate).current()


def test_an_answer_that_never_ends_is_given_up(server, certificate):
    server.body, server.pause = b" " * 65_536 * 1000, 30.0
    server.headers = {"Content-Length": str(10**9)}
    server.body = b" " * 10 + b" " * 65_536
    began = time.monotonic()

    with pytest.raises(ExternalServiceError):
        remote(server, certificate, timeout=1.0).current()

    assert time.monotonic() - began < 20


def test_nobody_there_is_an_error_of_ours(server, certificate):
    keys = remote(server, certificate)
    server.close()

    with pytest.raises(SharedError):
        keys.current()
