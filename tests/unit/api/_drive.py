"""Drive ASGI and WSGI applications without a server, and keep what the layer writes."""

import io
import sys
from collections import Counter
from typing import NamedTuple


class Lines:
    """An access log in memory."""

    def __init__(self):
        self.written = []

    def write(self, fields, *, level):
        self.written.append({"level": level, **fields})

    @property
    def only(self):
        assert len(self.written) == 1, self.written
        return self.written[0]


class Answer(NamedTuple):
    status: int
    headers: list
    body: bytes
    messages: list

    def header(self, name):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} is sent {len(found)} times"
        return found[0] if found else None

    def names(self):
        return Counter(name.lower() for name, _ in self.headers)


def http_scope(method="GET", path="/", headers=(), **more):
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": b"",
        "root_path": "",
        "headers": raw,
        "client": ("192.0.2.7", 50000),
        "server": ("127.0.0.1", 80),
        **more,
    }


async def asgi(app, method="GET", path="/", headers=(), body=b"", chunks=None, send=None, **more):
    """Send one request; *chunks* is a body in pieces; a piece of None is the client leaving."""
    pieces = list(chunks) if chunks is not None else [body]
    if body and chunks is None:
        headers = [*headers, ("content-length", str(len(body)))]
    sent = []

    async def receive():
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def keep(message):
        sent.append(message)
        if send is not None:
            await send(message)

    scope = http_scope(method, path, headers, **more)
    await app(scope, receive, keep)
    return answer_of(sent)


def answer_of(sent):
    start = next((m for m in sent if m["type"] == "http.response.start"), {"status": 0, "headers": []})
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    body = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
    return Answer(start["status"], headers, body, sent)


def environ_for(method="GET", path="/", headers=(), body=b"", **more):
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else "HTTP_" + key] = value
    return {**environ, **more}


def wsgi(app, method="GET", path="/", headers=(), body=b"", **more):
    """Send one request the way a correct server does: iterate to the end, then close."""
    started = []
    written = []

    def start_response(status, headers, exc_info=None):
        if started and exc_info is not None and written:
            raise exc_info[1].with_traceback(exc_info[2])
        assert not started or exc_info is not None, "start_response called twice"
        started[:] = [(status, headers)]
        return written.append

    result = app(environ_for(method, path, headers, body, **more), start_response)
    try:
        for chunk in result:
            assert started, "a body before the status"
            written.append(chunk)
    finally:
        if hasattr(result, "close"):
            result.close()
    status, sent = started[0]
    return Answer(int(status[:3]), sent, b"".join(written), [])
