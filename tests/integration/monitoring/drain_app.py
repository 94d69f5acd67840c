"""A small service in both dialects that drains on SIGTERM; run by the tests of this folder."""

import asyncio
import json
import os
import time

from shared.monitoring import DrainOnSignal, HealthEndpoints, HealthRegistry, Lifecycle

lifecycle = Lifecycle(drain_delay=float(os.environ["DRAIN_DELAY"]), drain_timeout=10)
lifecycle.on_flush("log", lambda: print(f"flushed by {os.getpid()}", flush=True))
endpoints = HealthEndpoints(HealthRegistry(lifecycle=lifecycle), details="always")
chain = DrainOnSignal(lifecycle)


def duration(path):
    """Return how long the work takes, in seconds."""
    return lifecycle.drain_delay + 1.5 if path == "/slow" else 0.2


def answer(path, ready):
    if path == "/ready":
        return ready
    if path == "/live":
        return endpoints.live()
    return None


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        chain.install()
        lifecycle.mark_ready()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await lifecycle.afinish()
        await send({"type": "lifespan.shutdown.complete"})
        return
    with lifecycle.work():
        found = answer(scope["path"], await endpoints.aready())
        if found is None:
            await asyncio.sleep(duration(scope["path"]))
        status, body = (found.status, found.body) if found else (200, b'"worked"')
        headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    with lifecycle.work():
        found = answer(environ["PATH_INFO"], endpoints.ready())
        if found is None:
            time.sleep(duration(environ["PATH_INFO"]))
        status, body = (found.status, found.body) if found else (200, json.dumps("worked").encode())
        start_response(f"{status} X", [("Content-Length", str(len(body))), ("Connection", "close")])
        return [body]


def post_worker_init(worker):
    """Hook of gunicorn: the worker's own handlers are in place, the application is loaded."""
    chain.install()
    lifecycle.mark_ready()


def worker_exit(server, worker):
    """Hook of gunicorn: the worker is about to end."""
    lifecycle.finish()
