"""Real servers: everything they say is a line of the one stream, once."""

import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import pytest

from tests.integration.logging.programs import environment, events

APP = """
import logging
from shared.logging import configure_logging, get_logger

handle = configure_logging({"LOG_FORMAT": "json"}, service="svc")
log = get_logger("app")
log.info("imported")


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    log.info("served", path=scope["path"])
    logging.getLogger("std").warning("served too")
    if scope["path"] == "/fail":
        raise ValueError("password=hunter2")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def wsgi(environ, start_response):
    log.info("served", path=environ["PATH_INFO"])
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("password=hunter2")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(
    folder: Path, command: list[str], port: int, ready: bytes, times: int = 1
) -> tuple[list[dict], bytes, bytes]:
    """Start *command*, ask it twice, stop it, and return its lines, its stdout and its stderr."""
    (folder / "service_app.py").write_text(textwrap.dedent(APP))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(LOG_FORMAT="json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said = b""
    try:
        while said.count(ready) < times:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said += line
        for path in ("/x", "/fail"):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read()
            except urllib.error.HTTPError as answer:
                answer.close()
    finally:
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=30)
    return events(said + rest), said + rest, errors


@pytest.mark.parametrize("options", [[], ["--no-access-log"]], ids=["defaults", "no access log"])
def test_everything_uvicorn_says_is_json_once(tmp_path, options):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service_app:asgi", "--port", str(port), *options]

    lines, out, err = serve(tmp_path, command, port, b"Uvicorn running")

    names = [line["event"] for line in lines]
    assert names.count("served") == 2
    assert names.count("served too") == 2
    assert sum("Application startup complete" in name for name in names) == 1
    assert sum("Exception in ASGI application" in name for name in names) == 1
    assert sum(line["logger"] == "uvicorn.access" for line in lines) == (0 if options else 2)
    assert b"hunter2" not in out + err
    # What uvicorn says before it imports the application is not ours to catch.
    assert all(line.startswith(b"INFO:     Started server process") for line in err.splitlines() if line)


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["workers import", "preload"])
def test_everything_gunicorn_says_is_json_once(tmp_path, preload):
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "service_app:wsgi",
        *("--bind", f"127.0.0.1:{port}", "--workers", "2", "--access-logfile", "-", *preload),
        *("--logger-class", "shared.logging.gunicorn.GunicornLogger", "--worker-tmp-dir", str(tmp_path)),
    ]

    lines, out, err = serve(
        tmp_path, command, port, b"Booting worker" if preload else b'"event":"imported"', times=2
    )

    names = [line["event"] for line in lines]
    assert names.count("served") == 2
    assert names.count("imported") == (1 if preload else 2)
    access = [line for line in lines if line["logger"] == "gunicorn.access"]
    assert ("GET", "/x", 200) in [(line["method"], line["path"], line["status"]) for line in access]
    assert sum("Listening at" in name for name in names) == 1
    assert err == b""
    assert b"hunter2" not in out
