"""Real servers on loopback, and a client made of a bare socket."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn
import waitress


@contextmanager
def uvicorn_server(app, **options):
    """Serve *app* in a thread; yields the port."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http="h11",  # the parser that is always there; what else is installed must not matter
        log_config=None,
        access_log=False,
        lifespan="off",
        **options,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def waitress_server(app, **options):
    """Serve *app* in a thread; yields the port."""
    server = waitress.create_server(
        app, host="127.0.0.1", port=0, threads=1, clear_untrusted_proxy_headers=True, **options
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:

        def hang_up():  # in the server's own thread, which otherwise closes no connection
            for channel in list(server.active_channels.values()):
                channel.handle_close()

        server.trigger.pull_trigger(hang_up)
        # The workers wake the server when they are done: they must end before it does.
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(server.close)
        thread.join(10)
        assert not thread.is_alive()


def wait_for(holds, seconds=10.0):
    """Wait until *holds()* is true; events of another thread have no other sign."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


class Wire:
    """One connection: raw bytes out, parsed answers in."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_if_possible(self, data):
        """Send; a server that has refused already may have hung up."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(self.buffer)
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self._more():
                raise EOFError(self.buffer)
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def answer(self):
        """Return status, headers and body of the next answer."""
        head = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} is sent twice"
            headers[name.lower()] = value
        if status < 200 or status in (204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, self._chunks()
        if "content-length" not in headers:
            return status, headers, self.rest()
        return status, headers, self.exactly(int(headers["content-length"]))

    def _chunks(self):
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            self.exactly(2)
        self.exactly(2)
        return body

    def rest(self):
        """Return all that comes until the server hangs up."""
        while self._more():
            pass
        return self.buffer


def request(method, path, *headers, body=b""):
    """Return one HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
