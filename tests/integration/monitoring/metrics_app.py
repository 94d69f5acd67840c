"""A small service in both dialects that counts; run by the tests of this folder."""

import os
import signal

from shared.monitoring import Metrics

metrics = Metrics("counting-service")
hits = metrics.counter("hits", "Requests.", ["kind"])
took = metrics.histogram("took", "Durations.", unit="seconds", buckets=[0.1, 1])
hits.labels("import").inc()


def handle(path):
    if path == "/metrics":
        return metrics.expose().body
    if path == "/pid":
        return str(os.getpid()).encode()
    if path == "/die":
        os.kill(os.getpid(), signal.SIGKILL)
    hits.labels("work").inc()
    took.observe(0.05)
    return b"ok"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = handle(scope["path"])
    headers = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    body = handle(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body))), ("Connection", "close")])
    return [body]
