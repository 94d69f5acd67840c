"""Versions between the layer and bare ASGI and WSGI applications: bodies in pieces, large answers, no layer."""

import io
import json

import pytest

from shared.api import Pipeline, VersionChange, Versions
from shared.api._versions_asgi import AsgiVersions
from shared.api._versions_wsgi import WsgiVersions
from shared.api.asgi import AsgiLayer
from shared.api.wsgi import WsgiLayer
from shared.errors import ConfigurationError
from tests.unit.api._drive import Lines

VERSIONS = Versions(
    ["v1", "v2"],
    changes=[
        VersionChange(
            "new",
            version="v2",
            routes=["/x"],
            upgrade_request=lambda body: {"new": body["old"]},
            downgrade_response=lambda data: {"old": data["new"]},
        )
    ],
    max_bytes=200,
)


class Router:
    """Knows one route."""

    def __call__(self, _request, _status):
        return "/v2/x"

    def for_path(self, *asked):
        return "/v2/x" if asked[-1] == "/v2/x" else "unmatched"


async def over_asgi(application, messages, *, kind=b"application/json", path="/v1/x"):
    sent, pending = [], list(messages)

    async def receive():
        return pending.pop(0) if pending else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "query_string": b"", "http_version": "1.1",
        "headers": [(b"content-type", kind), (b"transfer-encoding", b"chunked")],
    }  # fmt: skip
    layer = AsgiLayer(AsgiVersions(application, VERSIONS), Pipeline(access=Lines()), route_of=Router())
    await layer(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent[1:])


def piece(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def echo(*chunks, headers=((b"content-type", b"application/json"), (b"content-length", b"999"))):
    seen = {}

    async def application(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        seen.update(path=scope["path"], body=body, headers=dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for chunk in chunks or (body,):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return application, seen


async def test_body_in_pieces_is_upgraded_and_its_length_told():
    application, seen = echo()

    status, headers, body = await over_asgi(application, [piece(b'{"old"', more=True), piece(b":7}")])

    assert (seen["path"], json.loads(seen["body"])) == ("/v2/x", {"new": 7})
    assert seen["headers"][b"content-length"] == str(len(seen["body"])).encode()
    assert b"transfer-encoding" not in seen["headers"]
    assert (status, json.loads(body), headers[b"content-length"]) == (
        200,
        {"old": 7},
        str(len(body)).encode(),
    )


async def test_answer_in_pieces_is_downgraded_as_a_whole():
    application, _ = echo(b'{"ne', b'w": 1}')

    assert json.loads((await over_asgi(application, [piece(b'{"old":1}')]))[2]) == {"old": 1}


async def test_body_of_another_type_is_left_alone():
    application, seen = echo(b"text", headers=[(b"content-type", b"text/plain")])

    _, _, body = await over_asgi(application, [piece(b"a=1")], kind=b"application/x-www-form-urlencoded")

    assert (seen["body"], body) == (b"a=1", b"text")


async def test_client_that_leaves_in_the_middle_is_seen_by_the_application():
    met = []

    async def application(_scope, receive, _send):
        met.append((await receive())["type"])

    with pytest.raises(IndexError):  # nothing was answered to nobody
        await over_asgi(application, [piece(b"{", more=True)])

    assert met == ["http.disconnect"]


async def test_answer_that_is_too_large_to_downgrade_is_a_500():
    application, _ = echo(b'{"new": "' + b"x" * 300 + b'"}')

    assert (await over_asgi(application, [piece(b'{"old":1}')]))[0] == 500


async def test_prefix_of_a_proxy_stays_in_front():
    seen = []

    async def application(scope, _receive, send):
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    sent = []

    async def receive():
        return piece(b"")

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/shop/v1/x", "root_path": "/shop", "query_string": b"",
        "headers": [], "http_version": "1.1",
    }  # fmt: skip
    layer = AsgiLayer(AsgiVersions(application, VERSIONS), Pipeline(access=Lines()), route_of=Router())
    await layer(scope, receive, send)

    assert seen == ["/shop/v2/x"]


async def test_asgi_without_the_layer_is_an_error():
    with pytest.raises(ConfigurationError, match="install_layer"):
        await AsgiVersions(echo()[0], VERSIONS)({"type": "http"}, None, None)


async def test_what_is_no_http_passes():
    met = []

    async def application(scope, _receive, _send):
        met.append(scope["type"])

    await AsgiVersions(application, VERSIONS)({"type": "lifespan"}, None, None)

    assert met == ["lifespan"]


# -- WSGI -------------------------------------------------------------------------------------


def over_wsgi(application, body=b"", *, method="POST", terminated=False, kind="application/json"):
    began = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": "/v1/x", "QUERY_STRING": "", "CONTENT_TYPE": kind,
        "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1",
    }  # fmt: skip
    if terminated:
        environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    else:
        environ["CONTENT_LENGTH"] = str(len(body))
    layer = WsgiLayer(WsgiVersions(application, VERSIONS), Pipeline(access=Lines()), route_of=Router())
    answer = layer(environ, lambda status, headers, exc_info=None: began.append((status, dict(headers))))
    try:
        sent = b"".join(answer)
    finally:
        answer.close()
    return int(began[-1][0][:3]), began[-1][1], sent


def wsgi_echo(*chunks, kind="application/json", written=()):
    seen = {}

    def application(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        seen.update(path=environ["PATH_INFO"], body=body)
        write = start_response("200 OK", [("Content-Type", kind), ("Content-Length", "999")])
        for chunk in written:
            write(chunk)
        yield from chunks or (body,)

    return application, seen


@pytest.mark.parametrize("terminated", [False, True], ids=["length", "chunked"])
def test_wsgi_body_is_upgraded_and_the_answer_downgraded(terminated):
    application, seen = wsgi_echo()

    status, headers, body = over_wsgi(application, b'{"old":7}', terminated=terminated)

    assert (seen["path"], json.loads(seen["body"])) == ("/v2/x", {"new": 7})
    assert (status, json.loads(body), headers["Content-Length"]) == (200, {"old": 7}, str(len(body)))


def test_wsgi_answer_that_was_written_is_downgraded():
    def application(_environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])(b'{"new":')
        return [b"1}"]

    assert json.loads(over_wsgi(application, b'{"old":1}')[2]) == {"old": 1}


def test_wsgi_answer_of_another_type_passes_in_pieces():
    application, _ = wsgi_echo(b"a", b"b", kind="text/plain")

    assert over_wsgi(application, b'{"old":1}')[2] == b"ab"


def test_wsgi_body_of_another_type_is_left_alone():
    application, seen = wsgi_echo(b"x", kind="text/plain")

    over_wsgi(application, b"a=1", kind="application/x-www-form-urlencoded")

    assert seen["body"] == b"a=1"


def test_wsgi_answer_that_is_too_large_to_downgrade_is_a_500():
    application, _ = wsgi_echo(b'{"new": "', b"x" * 300, b'"}')

    assert over_wsgi(application, b'{"old":1}')[0] == 500


def test_wsgi_answer_to_head_tells_no_length_it_does_not_know():
    def application(_environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "9")])
        return []

    status, headers, body = over_wsgi(application, method="HEAD")

    assert (status, body, "Content-Length" in headers) == (200, b"", False)


def test_wsgi_without_the_layer_is_an_error():
    with pytest.raises(ConfigurationError, match="install_layer"):
        WsgiVersions(lambda *_: [], VERSIONS)({}, None)
