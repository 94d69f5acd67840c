"""Flags over HTTP, on real servers: the same on FastAPI, Starlette and Flask."""

import json
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from shared.api import LayerOptions
from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.api.flags import OfrepEndpoint, add_ofrep_routes
from shared.errors import ConfigurationError
from shared.feature_flags import Flag, FlagDocument, Flags, Rule
from shared.runtime import Events
from tests.integration.api._servers import Wire, request, uvicorn_server, waitress_server

FACES = {"fastapi": (FastAPI, on_fastapi), "starlette": (Starlette, on_starlette), "flask": (Flask, on_flask)}
ALL = "/ofrep/v1/evaluate/flags"


@pytest.fixture(params=FACES)
def kind(request):
    return request.param


@pytest.fixture
def face(kind):
    return FACES[kind][1]


@pytest.fixture
def app(kind):
    return Flask("flags") if kind == "flask" else FACES[kind][0]()


@pytest.fixture
def flags():
    pro = Rule("on", when={"attr": "plan", "op": "eq", "value": "pro"})
    return Flags(
        [
            Flag("menu", tags=["client"], rules=[pro]),
            Flag("team/menu", tags=["client"], default=True),
            Flag("internal"),
        ],
        events=Events(),
    )


@contextmanager
def serving(kind, app):
    with (waitress_server if kind == "flask" else uvicorn_server)(app) as port:
        yield port


def send(port, method, path, *headers, body=b""):
    with Wire(port) as wire:  # servers may hang up after a 304
        wire.send(request(method, path, *headers, body=body))
        return wire.answer()


def post(port, path, data=b'{"context": {}}', *headers):
    return send(
        port,
        "POST",
        path,
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        *headers,
        body=data,
    )


def test_a_browser_evaluates_one_flag_and_all(kind, app, flags):
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        status, headers, found = post(port, f"{ALL}/menu", b'{"context": {"plan": "pro"}}')
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(found) == {
            "key": "menu",
            "value": True,
            "reason": "TARGETING_MATCH",
            "variant": "on",
        }
        _, _, found = post(port, ALL)
        assert [flag["key"] for flag in json.loads(found)["flags"]] == ["menu", "team/menu"]


def test_a_poll_is_answered_in_full_only_after_a_change(kind, app, flags):
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        _, headers, _ = post(port, ALL)
        etag = f"If-None-Match: {headers['etag']}"
        status, again, found = post(port, ALL, b"{}", etag)
        assert (status, again["etag"], found) == (304, headers["etag"], b"")

        flags.swap(FlagDocument({"menu": Flag("menu", tags=["client"], default=True)}, revision=1))
        assert post(port, ALL, b"{}", etag)[0] == 200


def test_errors_have_the_form_of_the_protocol(kind, app, flags):
    on = FACES[kind][1]
    on.install_layer(app)
    on.install_error_handlers(app)
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        status, _, found = post(port, f"{ALL}/misspelt")
        assert (status, json.loads(found)["errorCode"]) == (404, "FLAG_NOT_FOUND")
        status, _, found = post(port, f"{ALL}/menu", b"{")
        assert (status, json.loads(found)) == (
            400,
            {"key": "menu", "errorCode": "PARSE_ERROR", "errorDetails": "the body is not JSON"},
        )
        status, _, found = post(port, f"{ALL}/internal")
        assert status == 404


def test_a_key_with_a_slash_is_found(kind, app, flags):
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        status, _, found = post(port, f"{ALL}/team/menu")

    assert (status, json.loads(found)["value"]) == (200, True)


def test_another_method_and_another_path_are_refused(kind, app, flags):
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        assert send(port, "GET", ALL)[0] == 405
        assert post(port, "/ofrep/v1/evaluate")[0] == 404


def test_a_body_without_end_is_cut(kind, app, flags):
    add_ofrep_routes(app, OfrepEndpoint(flags, max_body=1000))

    with serving(kind, app) as port:
        status, _, found = post(port, f"{ALL}/menu", b" " * 5000)

    assert (status, json.loads(found)["errorDetails"]) == (400, "the body is longer than 1000 bytes")


def test_another_origin_can_be_let_in(kind, app, flags, face):
    from shared.api import CorsPolicy

    cors = CorsPolicy(
        origins=["https://shop.example"], headers=["Content-Type", "If-None-Match"], expose=["ETag"]
    )
    face.install_layer(app, LayerOptions(cors=cors))
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        status, headers, _ = send(
            port,
            "OPTIONS",
            ALL,
            "Origin: https://shop.example",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: content-type,if-none-match",
        )
        assert status in (200, 204)
        assert "if-none-match" in headers["access-control-allow-headers"].lower()
        _, headers, _ = post(port, ALL, b"{}", "Origin: https://shop.example")
        assert headers["access-control-allow-origin"] == "https://shop.example"
        assert "etag" in headers["access-control-expose-headers"].lower()


def test_the_routes_have_labels_of_their_own(kind, app, flags, face):
    seen = []
    face.install_layer(app, observers=[lambda finished: seen.append(finished.route)])
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        post(port, ALL)
        post(port, f"{ALL}/menu")

    assert seen[:2] == [ALL, f"{ALL}/{{key}}"]


def test_adding_twice_changes_nothing_and_uninstalling_takes_the_routes_out(kind, app, flags, face):
    add_ofrep_routes(app, OfrepEndpoint(flags))
    add_ofrep_routes(app, OfrepEndpoint(flags))
    count = len(face.operations(app))
    face.uninstall(app)

    with serving(kind, app) as port:
        assert post(port, ALL)[0] == 404

    assert count - len(face.operations(app)) in (0, 2)  # Flask cannot forget a rule


def test_installing_again_after_uninstalling_works(kind, app, flags, face):
    add_ofrep_routes(app, OfrepEndpoint(flags))
    face.uninstall(app)
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving(kind, app) as port:
        assert post(port, ALL)[0] == 200


def test_another_prefix_can_be_chosen(kind, app, flags):
    add_ofrep_routes(app, OfrepEndpoint(flags), prefix="/shop/ofrep/v1")

    with serving(kind, app) as port:
        assert post(port, f"/shop{ALL}")[0] == 200
        assert post(port, ALL)[0] == 404


def test_a_mount_of_everything_does_not_hide_the_routes(flags):
    async def everything(scope, receive, send):
        await PlainTextResponse("site")(scope, receive, send)

    app = Starlette(routes=[Mount("/", app=everything)])
    add_ofrep_routes(app, OfrepEndpoint(flags))

    with serving("starlette", app) as port:
        assert post(port, ALL)[1]["content-type"] == "application/json"


@pytest.mark.parametrize("prefix", ["", "/", "ofrep", "/ofrep/", "/{x}", "/a//b", "/a\n"])
def test_a_prefix_that_is_no_path_is_refused(app, prefix):
    with pytest.raises(ConfigurationError, match="prefix: expected a path"):
        add_ofrep_routes(app, prefix=prefix)


def test_what_is_no_application_is_refused():
    with pytest.raises(ConfigurationError, match="expected a FastAPI, Starlette or Flask application"):
        add_ofrep_routes(object())
