"""The same small service on the three frameworks, and one client for all of them."""

import json
from typing import NamedTuple

from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from flask import Flask, abort, redirect
from flask import request as flask_request
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from shared.api import fastapi as on_fastapi
from shared.api import flask as on_flask
from shared.api import starlette as on_starlette
from shared.context import bind, get_correlation_id
from shared.errors import (
    AuthenticationError,
    ConfigurationError,
    OrderNotFoundError,
    RateLimitError,
    ServiceUnavailableError,
)


class Item(BaseModel):
    name: str
    qty: int = 1


class Unkind(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def group_of_one():
    return ExceptionGroup("tasks", [ExceptionGroup("inner", [OrderNotFoundError(resource_id="o-1")])])


RAISED = {
    "order": lambda: OrderNotFoundError(resource_id="o-1"),
    "login": lambda: AuthenticationError("token expired"),
    "busy": lambda: RateLimitError(retry_after=1.2),
    "down": lambda: ServiceUnavailableError(retry_after=3),
    "config": lambda: ConfigurationError("DATABASE_URL is wrong: postgres://u:hunter2@db"),
    "crash": lambda: RuntimeError("hunter2"),
    "unkind": Unkind,
    "lost": lambda: ConnectionResetError("hunter2"),
    "slow": lambda: TimeoutError("hunter2"),
    "group": group_of_one,
    "groups": lambda: ExceptionGroup("tasks", [ValueError("hunter2"), OrderNotFoundError()]),
    "key": lambda: KeyError("hunter2"),
    "forged": lambda: ServiceUnavailableError(headers={"X-A": "a\r\nSet-Cookie: b=c", "X-B": "ok"}),
}


def fastapi_app():
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read(item_id: int):
        bind(item_id=item_id)
        return {"id": item_id, "correlation_id": get_correlation_id()}

    @app.post("/items")
    async def create(item: Item):
        return item

    @app.get("/raise/{what}")
    async def fail(what: str):
        error = RAISED[what]()
        raise error

    @app.get("/http/{status}")
    def http(status: int):
        raise HTTPException(status, "teapot" if status == 418 else None, headers={"X-Kept": "yes"})

    @app.get("/away")
    async def away():
        return RedirectResponse("/items/1")

    return app


def starlette_app():
    async def read(request):
        bind(item_id=request.path_params["item_id"])
        return JSONResponse({"id": request.path_params["item_id"], "correlation_id": get_correlation_id()})

    async def create(request):
        from shared.api import load_model

        return JSONResponse(load_model(Item, await request.json()).model_dump())

    async def fail(request):
        error = RAISED[request.path_params["what"]]()
        raise error

    def http(request):
        status = request.path_params["status"]
        raise StarletteHTTPException(status, "teapot" if status == 418 else None, headers={"X-Kept": "yes"})

    async def away(_request):
        return RedirectResponse("/items/1")

    return Starlette(
        routes=[
            Route("/items/{item_id:int}", read),
            Route("/items", create, methods=["POST"]),
            Route("/raise/{what}", fail),
            Route("/http/{status:int}", http),
            Route("/away", away),
        ]
    )


def flask_app():
    app = Flask("catalog")

    @app.get("/items/<int:item_id>")
    def read(item_id):
        bind(item_id=item_id)
        return {"id": item_id, "correlation_id": get_correlation_id()}

    @app.post("/items")
    def create():
        from shared.api import load_model

        return load_model(Item, flask_request.get_json()).model_dump()

    @app.get("/raise/<what>")
    def fail(what):
        error = RAISED[what]()
        raise error

    @app.get("/http/<int:status>")
    def http(status):
        abort(status, "teapot" if status == 418 else None)

    @app.get("/away")
    def away():
        return redirect("/items/1")

    return app


class Reply(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Service:
    """One of the three applications with the layer and the handlers in it."""

    def __init__(self, framework, options, runtime, lines, **more):
        self.framework = framework
        make, self.module = FRAMEWORKS[framework]
        self.app = make()
        self.pipeline = self.module.install_layer(self.app, options, runtime=runtime, access=lines, **more)
        self.module.install_error_handlers(self.app)

    def call(self, method, path, *, headers=None, body=None):
        headers = dict(headers or {})
        if self.framework == "flask":
            answer = self.app.test_client(use_cookies=False).open(
                path, method=method, headers=headers, data=body
            )
            return Reply(answer.status_code, {k.lower(): v for k, v in answer.headers}, answer.data)
        client = TestClient(self.app, follow_redirects=False)
        answer = client.request(method, path, headers=headers, content=body)
        return Reply(answer.status_code, dict(answer.headers), answer.content)


FRAMEWORKS = {
    "fastapi": (fastapi_app, on_fastapi),
    "starlette": (starlette_app, on_starlette),
    "flask": (flask_app, on_flask),
}
