"""A real HTTP server on loopback whose behaviour a test writes down."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        with self.server.lock:
            number = len(self.server.seen)
            self.server.seen.append((self.command, self.path, dict(self.headers.items()), body))
        self.server.asked.set()
        plans = self.server.plans
        plans[min(number, len(plans) - 1)](self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_):
        pass


class Service(ThreadingHTTPServer):
    """Takes one plan per request, the last one for all that follow."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.seen = []
        self.plans = [answer()]
        self.asked = threading.Event()
        self.stop = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what some tests are about


def answer(status=200, body=None, **headers):
    """Answer with JSON, or with bytes as they are."""

    def play(handler):
        raw = (
            body
            if isinstance(body, bytes)
            else json.dumps(body if body is not None else {"ok": True}).encode()
        )
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(raw)

    return play


def hang(handler):
    """Say nothing until the server stops."""
    handler.server.stop.wait(30)
    handler.close_connection = True


def hang_up(handler):
    """Close the connection without a word."""
    handler.close_connection = True


def drip(handler):
    """Send one byte now and then, for ever: no single read ever takes long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.stop.wait(0.005):
        handler.wfile.write(b".")
        handler.wfile.flush()
    handler.close_connection = True


@pytest.fixture
def service():
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join(10)
    server.server_close()
