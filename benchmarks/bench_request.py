"""The request layer, in one process and without sockets: what each stack adds to a request."""

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import _apps
from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import AsgiDriver, WsgiDriver, check, log_file

PEERS = ("asgi_correlation_id", "prometheus_fastapi_instrumentator")
FULL = "ours, the full layer"
USUAL = "correlation-id + structlog + instrumentator"
USUAL_WITHOUT_METRICS = "correlation-id + structlog"


@contextlib.contextmanager
def driven(driver: type, app: Any) -> Iterator[Any]:
    """Yield a driver of *app* after it has given the right answer."""
    made = driver(app, _apps.PATH)
    try:
        status, _, body = made.request()
        check(status == 200, f"status {status}")
        check(json.loads(body) == _apps.ANSWER, f"answer {body[:80]!r}")
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def bare(driver: type, make: Callable[[], Any]) -> Iterator[Run]:
    with driven(driver, make()) as made:
        yield made.run


def _check_log(path: Path, made: Any) -> None:
    """Check that a request has an id in its answer and one line in the log."""
    before = len(path.read_bytes().splitlines())
    _, headers, _ = made.request()
    lines = path.read_bytes().splitlines()[before:]
    check("x-request-id" in headers, "the answer has no id")
    check(len(lines) == 1, f"a request wrote {len(lines)} lines")
    check(b"things10" in lines[0], "the line does not say what was asked for")


@contextlib.contextmanager
def ours(driver: type, make: Callable[[], Any]) -> Iterator[Run]:
    """Ids, trace context, access log, security headers, body limit, timing, errors."""
    with _apps.with_ours(make()) as (app, path), driven(driver, app) as made:
        _check_log(path, made)
        _, headers, _ = made.request()
        check("x-content-type-options" in headers, "no security headers")
        check("x-correlation-id" in headers, "no correlation id")
        yield made.run


@contextlib.contextmanager
def peers(make: Callable[..., Any], *, metrics: bool) -> Iterator[Run]:
    with log_file() as path:
        app = make(_apps.peer_middleware(path))
        if metrics:
            _apps.instrumented(app)
        with driven(AsgiDriver, app) as made:
            _check_log(path, made)
            yield made.run


@contextlib.contextmanager
def one_base_http(make: Callable[..., Any]) -> Iterator[Run]:
    with driven(AsgiDriver, make(_apps.base_http_middleware())) as made:
        yield made.run


@contextlib.contextmanager
def only_correlation_id(make: Callable[..., Any], path_to: Path = Path("/dev/null")) -> Iterator[Run]:
    with driven(AsgiDriver, make(_apps.peer_middleware(path_to)[:1])) as made:
        yield made.run


@contextlib.contextmanager
def hooks() -> Iterator[Run]:
    with log_file() as path, driven(WsgiDriver, _apps.flask_hooks(_apps.flask(), path)) as made:
        _check_log(path, made)
        yield made.run


def _asgi_table(name: str, make: Callable[..., Any], at_most: float) -> Table:
    base = f"bare {name}"
    return Table(
        name=name.lower(),
        title=f"one request on {name}, in process",
        base=base,
        cases=(
            Case(base, partial(bare, AsgiDriver, make), kind="floor"),
            Case(
                FULL, partial(ours, AsgiDriver, make), kind="ours", requires=("shared.service", "shared.api")
            ),
            Case("asgi-correlation-id alone", partial(only_correlation_id, make), requires=PEERS[:1]),
            Case("one BaseHTTPMiddleware that does nothing", partial(one_base_http, make)),
            Case(USUAL_WITHOUT_METRICS, partial(peers, make, metrics=False), requires=PEERS[:1]),
            Case(USUAL, partial(peers, make, metrics=True), requires=PEERS),
        ),
        goals=(
            Goal(FULL, base, at_most=at_most),
            Goal(FULL, USUAL, at_least=6.0, floor=base),
        ),
    )


FLASK = Table(
    name="flask",
    title="one request on Flask, in process",
    base="bare Flask",
    cases=(
        Case("bare Flask", partial(bare, WsgiDriver, _apps.flask), kind="floor"),
        Case(
            FULL,
            partial(ours, WsgiDriver, _apps.flask),
            kind="ours",
            requires=("shared.service", "shared.api"),
        ),
        Case("hooks: id + structlog + prometheus", hooks),
    ),
    goals=(Goal(FULL, "bare Flask", at_most=1.3),),
)

TABLES = (
    _asgi_table("Starlette", _apps.starlette, 1.5),
    _asgi_table("FastAPI", _apps.fastapi, 1.3),
    FLASK,
)
