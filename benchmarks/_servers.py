"""``python -m benchmarks._servers <app> <fd>``: one of the apps under uvicorn, on a socket already open."""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from benchmarks import _apps
from benchmarks._tools import log_file


@contextlib.contextmanager
def build(name: str) -> Iterator[Any]:
    """Yield the application *name*: ``<framework>-<stack>``."""
    framework, _, stack = name.partition("-")
    make = {"starlette": _apps.starlette, "fastapi": _apps.fastapi}[framework]
    if stack == "bare":
        yield make()
    elif stack == "ours":
        with _apps.with_ours(make()) as (app, _):
            yield app
    elif stack == "base":
        yield make(_apps.base_http_middleware())
    else:
        with log_file() as path:
            yield _apps.instrumented(make(_apps.peer_middleware(path)))


def main(arguments: list[str]) -> None:
    """Serve until the standard input ends or the process is terminated."""
    import uvicorn

    name, descriptor = arguments
    _apps.quiet_servers()
    with build(name) as app, socket.socket(fileno=int(descriptor)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, loop="asyncio", http="h11", lifespan="on")
        )
        # A parent that is killed closes our input: no server stays behind.
        threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
        server.run(sockets=[listener])


def _stop_with_parent(server: Any) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    server.should_exit = True


if __name__ == "__main__":
    main(sys.argv[1:])
