"""The three kinds of application, each with the same routes."""

import pytest

from shared.errors import ConflictError
from shared.logging import bind, get_logger
from shared.service import installed, uninstall


def fastapi_app():
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/hello")
    def hello():
        bind(greeted="world")
        get_logger("tests").info("hello")
        return {"hello": "world"}

    @app.get("/conflict")
    def conflict():
        raise ConflictError("taken")

    @app.get("/boom")
    def boom():
        raise RuntimeError("secret detail")

    return app


def starlette_app():
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    def hello(request):
        bind(greeted="world")
        get_logger("tests").info("hello")
        return JSONResponse({"hello": "world"})

    def conflict(request):
        raise ConflictError("taken")

    def boom(request):
        raise RuntimeError("secret detail")

    return Starlette(routes=[Route("/hello", hello), Route("/conflict", conflict), Route("/boom", boom)])


def flask_app():
    from flask import Flask

    app = Flask("tests.service", root_path=".")

    @app.get("/hello")
    def hello():
        bind(greeted="world")
        get_logger("tests").info("hello")
        return {"hello": "world"}

    @app.get("/conflict")
    def conflict():
        raise ConflictError("taken")

    @app.get("/boom")
    def boom():
        raise RuntimeError("secret detail")

    return app


KINDS = {"fastapi": fastapi_app, "starlette": starlette_app, "flask": flask_app}


@pytest.fixture(params=KINDS)
def make_app(request, shared_runtime):
    """Makes applications of one kind; what was installed is taken out after the test."""
    made = []

    def make():
        app = KINDS[request.param]()
        made.append(app)
        return app

    make.kind = request.param
    yield make
    for app in reversed(made):
        uninstall(app)


@pytest.fixture
def asgi_app(shared_runtime):
    app = fastapi_app()
    yield app
    uninstall(app)


@pytest.fixture
def service_of():
    return installed
