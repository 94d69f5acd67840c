"""What it costs to be watched: metrics and spans of a request, a scrape, a monitored call."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

from benchmarks import _apps
from benchmarks._model import Case, Goal, Run, Table
from benchmarks._tools import AsgiDriver, check, looped
from benchmarks.bench_request import bare, driven

BARE = "bare Starlette"
LAYER = "ours, the full layer with metrics and tracing"
METRICS = "ours, metrics and tracing alone"
SERIES = 10_000


# --- a request -------------------------------------------------------------------------------


@contextlib.contextmanager
def ours(*without: str, exporting: bool = False) -> Iterator[Run]:
    import os

    from shared.monitoring import get_metrics, get_tracer
    from shared.runtime import use
    from shared.service import install, installed, uninstall

    os.environ.update(ENVIRONMENT="testing", LOG_FORMAT="json", LOG_SINK="/dev/null")
    app = install(_apps.starlette(), service="bench", without=without)
    try:
        with use(installed(app).runtime):
            metrics = get_metrics()
            if exporting:
                get_tracer().add_exporter(lambda _spans: None)
        with driven(AsgiDriver, app) as made:
            labels = {
                "http_request_method": "GET",
                "http_route": "/things10/{item_id}",
                "http_response_status_code": "200",
                "error_type": "",
            }
            name = "http_server_request_duration_seconds_count"
            check((metrics.value(name, labels) or 0) > 0, "the request was not counted by its route")
            yield made.run
    finally:
        uninstall(app)


@contextlib.contextmanager
def instrumentator() -> Iterator[Run]:
    with driven(AsgiDriver, _apps.instrumented(_apps.starlette())) as made:
        yield made.run


@contextlib.contextmanager
def exporter() -> Iterator[Run]:
    from starlette.middleware import Middleware
    from starlette_exporter import PrometheusMiddleware

    app = _apps.starlette((Middleware(PrometheusMiddleware, app_name="bench"),))
    with driven(AsgiDriver, app) as made:
        yield made.run


@contextlib.contextmanager
def telemetry(*, sampled: bool) -> Iterator[Run]:
    """OpenTelemetry's middleware with its SDK: metrics, and spans that go nowhere."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
    from starlette.middleware import Middleware

    middleware = Middleware(
        OpenTelemetryMiddleware,
        tracer_provider=TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF),
        meter_provider=MeterProvider(),
    )
    with driven(AsgiDriver, _apps.starlette((middleware,))) as made:
        yield made.run


EXPORTER, TELEMETRY = "starlette_exporter", "OpenTelemetry ASGI, sampling off"
_SDK = ("opentelemetry.instrumentation.asgi", "opentelemetry.sdk")

REQUEST = Table(
    name="watched-request",
    title="a request that is counted by route and part of a trace, on Starlette, in process",
    base=BARE,
    cases=(
        Case(BARE, partial(bare, AsgiDriver, _apps.starlette), kind="floor"),
        Case(
            METRICS,
            partial(ours, "logging", "access_log", "security_headers", "body_limit", "rate_limits", "errors"),
            kind="ours",
        ),
        Case(LAYER, ours, kind="ours"),
        Case("ours, the full layer, every span taken", partial(ours, exporting=True), kind="ours"),
        Case("instrumentator", instrumentator, requires=("prometheus_fastapi_instrumentator",)),
        Case(EXPORTER, exporter, requires=("starlette_exporter",)),
        Case(TELEMETRY, partial(telemetry, sampled=False), requires=_SDK),
        Case("OpenTelemetry ASGI, sampling on", partial(telemetry, sampled=True), requires=_SDK),
    ),
    goals=(Goal(LAYER, BARE, at_most=1.6), Goal(LAYER, TELEMETRY, at_least=3.0)),
    notes=("ours also gives ids, an access line, headers, limits and error answers.",),
)


# --- a scrape ------------------------------------------------------------------------------------


def _counters(count: int) -> Any:
    from shared.monitoring import Metrics

    metrics = Metrics("bench", multiprocess=False, max_series=2 * count)
    requests = metrics.counter("requests", "Requests.", ("route", "status"))
    for number in range(count):
        requests.labels(f"/orders/{number}", "200").inc(number)
    return metrics


def _samples(text: str) -> set[Any]:
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "requests_total"
    }


@contextlib.contextmanager
def our_scrape() -> Iterator[Run]:
    from prometheus_client import generate_latest

    metrics = _counters(SERIES)
    ours, theirs = metrics.expose().body.decode(), generate_latest(metrics.registry).decode()
    check(_samples(ours) == _samples(theirs), "other samples than the client's")
    check(len(_samples(ours)) == SERIES, "series are missing")
    yield looped(metrics.expose)


@contextlib.contextmanager
def their_scrape() -> Iterator[Run]:
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    requests = prometheus_client.Counter("requests", "Requests.", ("route", "status"), registry=registry)
    for number in range(SERIES):
        requests.labels(f"/orders/{number}", "200").inc(number)
    yield looped(partial(prometheus_client.generate_latest, registry))


SCRAPE = Table(
    name="scrape",
    title=f"/metrics with {SERIES} series",
    base="generate_latest of the client",
    cases=(
        Case("generate_latest of the client", their_scrape, requires=("prometheus_client",), seconds=0.6),
        Case("ours", our_scrape, kind="ours", seconds=0.1),
    ),
    goals=(Goal("ours", "generate_latest of the client", at_least=10.0),),
    unit="ms",
    rounds=(12, 3),
)


# --- a monitored call ----------------------------------------------------------------------------


def work() -> None:
    pass


async def awork() -> None:
    pass


def _wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@contextlib.contextmanager
def plain_wrapper() -> Iterator[Run]:
    yield looped(_wrapped(work))


@contextlib.contextmanager
def observed() -> Iterator[Run]:
    """A plain wrapper that observes nothing but a constant: the least a measured call costs."""
    import prometheus_client

    child = prometheus_client.Histogram(
        "seconds", "Seconds.", ("name",), registry=prometheus_client.CollectorRegistry()
    ).labels("work")
    guarded = _wrapped(work)

    def call() -> None:
        guarded()
        child.observe(0.01)

    yield looped(call)


@contextlib.contextmanager
def monitored(**options: Any) -> Iterator[Run]:
    from shared.monitoring import get_performance_recorder, monitor_task_execution

    call = monitor_task_execution("work", **options)(work)
    call()
    check(get_performance_recorder().performance()["total"]["count"] == 1, "the call was not recorded")
    yield looped(call)


@contextlib.contextmanager
def monitored_coroutine() -> Iterator[Run]:
    from shared.monitoring import monitor_task_execution

    call = monitor_task_execution("work")(awork)

    async def many(loops: int) -> None:
        for _ in range(loops):
            await call()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(many(1))
        yield lambda loops: loop.run_until_complete(many(loops))
    finally:
        loop.close()


PLAIN, OBSERVE, MONITORED = (
    "floor: a plain wrapper",
    "Histogram.observe of the client",
    "ours, a monitored call",
)

CALL = Table(
    name="monitored",
    title="a call of a monitored function: rollup by minute and histogram",
    base=PLAIN,
    cases=(
        Case(PLAIN, plain_wrapper, kind="floor"),
        Case(OBSERVE, observed, requires=("prometheus_client",)),
        Case(MONITORED, monitored, kind="ours"),
        Case("ours, for a user", partial(monitored, user_id="u-1"), kind="ours"),
        Case("ours, awaited", monitored_coroutine, kind="ours"),
    ),
    goals=(Goal(MONITORED, OBSERVE, at_most=3.0, floor=PLAIN),),
)

TABLES = (REQUEST, SCRAPE, CALL)
