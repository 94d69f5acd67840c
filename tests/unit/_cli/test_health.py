import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared._cli import main
from shared.monitoring import HealthEndpoints, HealthRegistry


@contextmanager
def serving(answer):
    """A real server on loopback; *answer* gets the path and the headers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answer(self.path, self.headers)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def service(**checks):
    registry = HealthRegistry()
    for name, check in checks.items():
        registry.add(name, check, critical=not name.startswith("optional"))
    endpoints = HealthEndpoints(registry, details="always")
    return lambda path, headers: endpoints.ready()


def test_a_healthy_service_is_exit_code_0(capsys):
    with serving(service(database=lambda: True)) as url:
        code = main(["health", f"{url}/ready"])

    output = capsys.readouterr().out
    assert code == 0
    assert output.startswith("healthy (HTTP 200, ")
    assert "ok    database: healthy" in output


def test_a_degraded_service_is_exit_code_0_and_says_so(capsys):
    with serving(service(optional=lambda: False)) as url:
        code = main(["health", url])

    assert code == 0
    assert "FAIL  optional: unhealthy" in capsys.readouterr().out


def test_an_unhealthy_service_is_exit_code_1(capsys):
    def broken():
        raise ConnectionError("refused")

    with serving(service(database=broken)) as url:
        code = main(["health", url])

    assert code == 1
    assert "FAIL  database: unhealthy (error=ConnectionError: refused)" in capsys.readouterr().out


def test_nobody_there_is_exit_code_2(capsys):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert main(["health", f"http://127.0.0.1:{port}/"]) == 2
    assert f"no answer from 127.0.0.1:{port}" in capsys.readouterr().err


def test_an_answer_that_never_ends_is_exit_code_2_in_time(capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        stop = threading.Event()

        def drip():
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while not stop.wait(0.02):
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        code = main(["health", f"http://127.0.0.1:{listener.getsockname()[1]}/", "--timeout", "0.3"])
        took = time.monotonic() - began
        stop.set()
        thread.join()

    assert code == 2
    assert took < 2


def test_what_is_no_http_is_exit_code_2():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def greet():
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        code = main(["health", f"http://127.0.0.1:{listener.getsockname()[1]}/", "--timeout", "1"])
        thread.join()

    assert code == 2


def test_json_holds_the_whole_report(capsys):
    with serving(service(database=lambda: True)) as url:
        main(["health", url, "--json"])

    answer = json.loads(capsys.readouterr().out)
    assert (answer["healthy"], answer["http_status"], answer["report"]["checks"]) == (
        True,
        200,
        {"database": "healthy"},
    )


def test_headers_are_sent_along():
    def answer(path, headers):
        return (200 if headers["Authorization"] == "Bearer t" else 401), (), b""

    with serving(answer) as url:
        codes = [main(["health", url]), main(["health", url, "--header", "Authorization: Bearer t"])]

    assert codes == [1, 0]


@pytest.mark.parametrize(
    "body", [b"", b"plain text", b"[1]", b"{", b"[" * 60_000, b'{"checks": 7}', b"\xff\xfe"]
)
def test_any_body_is_understood_by_its_status_alone(body):
    with serving(lambda path, headers: (200, (), body)) as url:
        assert main(["health", url]) == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://x/",
        "http://",
        "http://h:99999/",
        "http://h:x/",
        "http://a:b@h/",
        "http://h/a b",
        "http://h/\r\nX: y",
    ],
)
def test_what_is_no_url_is_exit_code_2(url, capsys):
    assert main(["health", url]) == 2
    assert "error" in capsys.readouterr().err


@given(st.text(max_size=40))
def test_any_text_in_place_of_a_url_is_refused_and_never_raises(text):
    assert main(["health", "--", "no-scheme:" + text]) == 2


@pytest.mark.parametrize(
    "arguments", [["--timeout", "0"], ["--timeout", "nan"], ["--header", "x"], ["--header", "a: b\r\nc: d"]]
)
def test_wrong_options_are_exit_code_2(arguments):
    assert main(["health", "http://127.0.0.1:9/", *arguments]) == 2


def test_the_verb_loads_no_third_party_module():
    code = (
        "import sys; from shared._cli import main; main(['health', 'x']);"
        "print(sorted({n.partition('.')[0] for n in sys.modules} & {'pydantic', 'prometheus_client', 'structlog'}))"
    )
    path = ":".join(sys.path)

    output = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    ).stdout

    assert output.strip() == "[]"
